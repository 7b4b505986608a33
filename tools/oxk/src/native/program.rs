//! The objects of a program in C: compiled from its list of sources, or by its own build system.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use indicatif::ProgressBar;

use super::compile::{Unit, compile};
use super::compiler::{Language, file_of_compiler, headers_of_cxx, smallest, without_elsewhere};
use super::libc::{Libc, expand};
use crate::build::fnv1a;
use crate::diagnostic::{Context, Diagnostic, Result};
use crate::lock::Lock;
use crate::manifest::{CProgram, Optimize, Spanned};
use crate::project::Loaded;
use crate::resolve::Resolution;
use crate::run::quote;

/// What a program is linked from.
#[derive(Debug)]
pub struct Objects {
    /// Objects and archives.
    pub files: Vec<PathBuf>,
    /// Nobody else lets the program's own build system change them while they are linked.
    _made: Option<Lock>,
}

/// Compiles the program.
pub fn build(
    loaded: &Loaded,
    resolution: &Resolution<'_>,
    libc: &Libc,
    bar: &ProgressBar,
) -> Result<Objects> {
    let manifest = resolution.manifest;
    let app = folder(loaded)?;
    let program = Program::new(&manifest.c, &app, loaded)?;
    let flags = program.flags(libc, manifest.optimize)?;
    let cxx_flags = cxx_flags(&flags);
    let made = match manifest.c.make.is_empty() {
        true => None,
        false => Some(program.make(&flags, &cxx_flags)?),
    };
    let mut files = Vec::new();
    for pattern in &manifest.c.objects {
        files.extend(program.files(pattern)?);
    }
    let units: Vec<Unit> = program
        .sources()?
        .into_iter()
        .map(|(source, language)| match language {
            Language::C => Unit { source, flags: flags.clone() },
            Language::Cxx => Unit { source, flags: cxx_flags.clone() },
        })
        .collect();
    bar.set_length(units.len() as u64);
    bar.set_position(0);
    bar.set_message(manifest.name.clone());
    let into = loaded.build_dir().join("native/objects");
    files.extend(compile(&units, &app, &into, &|| bar.inc(1))?);
    Ok(Objects { files, _made: made })
}

/// Flags for C++: those for C, and the headers of the compiler's standard library, of which that works which
/// needs no code of it.
fn cxx_flags(flags: &[String]) -> Vec<String> {
    let headers = headers_of_cxx();
    let name = |folder: &PathBuf| folder.display().to_string();
    // They wrap the C library's headers, so they come before them.
    let mut all: Vec<String> =
        headers.iter().flat_map(|folder| ["-isystem".to_owned(), name(folder)]).collect();
    all.extend(flags.iter().cloned());
    all.extend(headers.iter().map(|folder| format!("-ffile-prefix-map={}=c++", name(folder))));
    all.extend(
        [
            // What these need is not in a C library: tables to unwind by, and names of types.
            "-fno-exceptions",
            "-fno-rtti",
            "-fno-threadsafe-statics",
            // libstdc++ was set up for glibc, and has these of it.
            "-D__GLIBC_PREREQ(major,minor)=0",
            "-D__locale_t=locale_t",
            // Else it takes a program that calls no function of threads itself for one without, and counts
            // references as one thread may.
            "-D_GLIBCXX_GTHREAD_USE_WEAK=0",
            // Bounds are checked, as in several distributions. Without, `std::string` would be an instance in
            // its library, which is not there.
            "-D_GLIBCXX_ASSERTIONS",
        ]
        .map(str::to_owned),
    );
    all
}

fn folder(loaded: &Loaded) -> Result<PathBuf> {
    loaded.manifest.dir.canonicalize().context("cannot find the application")
}

/// All sources that the manifest names.
pub fn sources(loaded: &Loaded) -> Result<Vec<PathBuf>> {
    let app = folder(loaded)?;
    let sources = Program::new(&loaded.manifest.c, &app, loaded)?.sources()?;
    Ok(sources.into_iter().map(|(source, _)| source).collect())
}

/// The flags that the manifest has: folders with headers, then its own.
pub fn own_flags(loaded: &Loaded) -> Result<Vec<String>> {
    let app = folder(loaded)?;
    let mut flags = Program::new(&loaded.manifest.c, &app, loaded)?.include_flags()?;
    flags.extend(loaded.manifest.c.flags.iter().cloned());
    Ok(flags)
}

struct Program<'a> {
    c: &'a CProgram,
    app: &'a Path,
    loaded: &'a Loaded,
    /// What `exclude` means.
    excluded: HashSet<PathBuf>,
}

impl<'a> Program<'a> {
    fn new(c: &'a CProgram, app: &'a Path, loaded: &'a Loaded) -> Result<Self> {
        let mut program = Self { c, app, loaded, excluded: HashSet::new() };
        for pattern in &c.exclude {
            let found = program.files(pattern)?;
            program.excluded.extend(found);
        }
        Ok(program)
    }

    /// The sources, each once, and what they are written in.
    fn sources(&self) -> Result<Vec<(PathBuf, Language)>> {
        let mut seen = HashSet::new();
        let mut sources = Vec::new();
        for pattern in &self.c.sources {
            for source in self.files(pattern)? {
                let language = Language::of(&source).ok_or_else(|| {
                    let name = source.strip_prefix(self.app).unwrap_or(&source);
                    Diagnostic::new(format!("{} is no source in C or C++", name.display()))
                        .at(&self.loaded.manifest.source, pattern.span.clone())
                        .help("name the sources by their endings, as in \"src/*.c\"")
                })?;
                // Two patterns may mean the same file.
                if seen.insert(source.canonicalize().unwrap_or_else(|_| source.clone())) {
                    sources.push((source, language));
                }
            }
        }
        Ok(sources)
    }

    /// Flags for all of its files.
    fn flags(&self, libc: &Libc, optimize: Optimize) -> Result<Vec<String>> {
        let mut flags = vec![
            match optimize {
                Optimize::Speed => "-O2",
                Optimize::Size => smallest(),
            }
            .to_owned(),
            "-nostdinc".to_owned(),
            "-isystem".to_owned(),
            libc.include.display().to_string(),
        ];
        if let Some(own) = file_of_compiler("-print-file-name=include") {
            flags.extend(["-isystem".to_owned(), own.display().to_string()]);
        }
        flags.extend(
            [
                "-g",
                "-fpie",
                "-ffunction-sections",
                "-fdata-sections",
                "-fno-omit-frame-pointer",
                "-fno-unwind-tables",
                "-fno-asynchronous-unwind-tables",
                // Some distributions switch these on; an image has no use for them.
                "-fno-stack-protector",
                "-fno-stack-clash-protection",
                "-fcf-protection=none",
            ]
            .map(str::to_owned),
        );
        flags.extend(self.include_flags()?);
        // The image must not depend on where things lie on this machine. The last match wins.
        let name = &self.loaded.manifest.name;
        for (from, to) in [
            (libc.include.as_path(), "libc/include"),
            (&self.fetched()?, "fetched"),
            (&crate::build::cargo_home(), "registry"),
            (self.app, name.as_str()),
        ] {
            flags.push(format!("-ffile-prefix-map={}={to}", from.display()));
        }
        flags.extend(self.c.flags.iter().cloned());
        Ok(flags)
    }

    fn include_flags(&self) -> Result<Vec<String>> {
        let mut flags = Vec::new();
        for pattern in &self.c.include {
            flags.extend(self.files(pattern)?.iter().map(|f| format!("-I{}", f.display())));
        }
        Ok(flags)
    }

    /// The files or folders that a pattern means.
    fn files(&self, pattern: &Spanned<String>) -> Result<Vec<PathBuf>> {
        let (folder, rest) = self.place(pattern)?;
        let found = expand(&folder, rest).into_iter().map(|path| folder.join(path));
        let found: Vec<PathBuf> = found.filter(|path| !self.excluded.contains(path)).collect();
        if found.is_empty() {
            return Err(Diagnostic::new(format!("there is no file `{}`", pattern.value))
                .at(&self.loaded.manifest.source, pattern.span.clone())
                .help("paths are relative to the manifest's folder; * stands for any characters"));
        }
        Ok(found)
    }

    /// The folder that a pattern begins in, and the rest of it.
    fn place<'p>(&self, pattern: &'p Spanned<String>) -> Result<(PathBuf, &'p str)> {
        match pattern.value.split_once(':') {
            Some((name, rest)) => match self.c.fetch.iter().find(|(fetched, _)| fetched == name) {
                Some((_, release)) => Ok((release.tree(&self.fetched()?)?, rest)),
                None => Ok((self.source_crate(name, pattern)?, rest)),
            },
            None => Ok((self.app.to_owned(), pattern.value.as_str())),
        }
    }

    /// Where fetched sources are kept.
    fn fetched(&self) -> Result<PathBuf> {
        Ok(self.loaded.cache()?.join("sources"))
    }

    /// Where cargo has the sources of a crate that the application's `Cargo.toml` names. The lock
    /// file pins it, with a hash.
    fn source_crate(&self, name: &str, pattern: &Spanned<String>) -> Result<PathBuf> {
        let manifest = self.app.join("Cargo.toml");
        let source = &self.loaded.manifest.source;
        let missing = || {
            Diagnostic::new(format!("there is no source crate `{name}`"))
                .at(source, pattern.span.clone())
                .help(format!("name it in {}", manifest.display()))
        };
        if !manifest.is_file() {
            return Err(missing());
        }
        let metadata = self.loaded.cargo_metadata(&manifest)?;
        let packages = metadata["packages"].as_array().into_iter().flatten();
        packages
            .filter(|package| package["name"] == name)
            .find_map(|package| Path::new(package["manifest_path"].as_str()?).parent())
            .map(Path::to_path_buf)
            .ok_or_else(missing)
    }

    /// Runs the program's own build system; the compilers with their flags are in `CC` and `CXX`.
    fn make(&self, flags: &[String], cxx_flags: &[String]) -> Result<Lock> {
        let source = &self.loaded.manifest.source;
        let words = self.c.make.join(" ");
        let place = self.loaded.build_dir().join("native/make");
        let place = place.join(format!("{:016x}", fnv1a(self.app.as_os_str().as_encoded_bytes())));
        let lock = Lock::take(&place.with_extension("lock"), &format!("run `{words}`"))?;
        let mut command = Command::new(&self.c.make[0]);
        command.args(&self.c.make[1..]).current_dir(self.app);
        without_elsewhere(&mut command);
        let mut with = words.clone();
        for (variable, language, flags) in
            [("CC", Language::C, flags), ("CXX", Language::Cxx, cxx_flags)]
        {
            let line = language.words().into_iter().chain(flags.iter().cloned());
            let line = line.map(|word| quote(&word)).collect::<Vec<_>>().join(" ");
            with += &format!("\n{line}\n{}", language.identity().unwrap_or_default());
            command.env(variable, line);
        }
        let made_with = place.with_extension("made-with");
        if std::fs::read_to_string(&made_with).ok().as_ref() != Some(&with) {
            self.make_all(&mut command);
        }
        let status = command.status().map_err(|e| {
            Diagnostic::new(format!("cannot start `{}`: {e}", self.c.make[0]))
                .in_file(source)
                .help("`make` in [c] is the program that builds the objects")
        })?;
        if !status.success() {
            return Err(Diagnostic::new(format!("`{words}` failed"))
                .in_file(source)
                .help("what it says stands above; it must use the compiler in CC"));
        }
        std::fs::write(&made_with, with)
            .context(format!("cannot write {}", made_with.display()))?;
        Ok(lock)
    }

    /// Has everything made again, as the flags are others and build systems look at times alone. They
    /// see results that are older than all sources, and `make` has an option for it.
    fn make_all(&self, command: &mut Command) {
        let given = std::env::var("MAKEFLAGS").unwrap_or_default();
        // Letters come first, without a dash.
        let rest = if given.starts_with(['-', ' ']) || given.contains('=') { " " } else { "" };
        command.env("MAKEFLAGS", format!("B{rest}{given}"));
        for object in self.c.objects.iter().filter_map(|pattern| self.files(pattern).ok()).flatten()
        {
            let file = std::fs::File::options().append(true).open(object);
            // One that cannot be changed is no result of the build system.
            let _ = file.and_then(|file| file.set_modified(UNIX_EPOCH));
        }
    }
}
