//! The objects of a program in C: compiled from its list of sources, or by its own build system.

use std::path::{Path, PathBuf};
use std::process::Command;

use indicatif::ProgressBar;

use super::compile::{Unit, cc, compile, file_of_compiler, is_cxx, smallest};
use super::libc::{Libc, expand};
use crate::diagnostic::{Context, Diagnostic, Result};
use crate::lock::Lock;
use crate::manifest::{CProgram, Optimize, Spanned};
use crate::project::Loaded;
use crate::resolve::Resolution;

/// Compiles the program; returns its objects and archives.
pub fn build(
    loaded: &Loaded,
    resolution: &Resolution<'_>,
    libc: &Libc,
    bar: &ProgressBar,
) -> Result<Vec<PathBuf>> {
    let manifest = resolution.manifest;
    let app = folder(loaded)?;
    let program = Program { c: &manifest.c, app: &app, loaded };
    let flags = program.flags(libc, manifest.optimize)?;
    let mut objects = Vec::new();
    if !manifest.c.make.is_empty() {
        objects.extend(program.make(&flags)?);
    }
    let mut units = Vec::new();
    for pattern in &manifest.c.sources {
        for source in program.files(pattern)? {
            let mut flags = flags.clone();
            if is_cxx(&source) {
                // What these need is not in a C library: tables to unwind by, and names of types.
                flags.extend(
                    ["-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics"].map(str::to_owned),
                );
            }
            units.push(Unit { source, flags });
        }
    }
    bar.set_length(units.len() as u64);
    bar.set_position(0);
    bar.set_message(manifest.name.clone());
    objects
        .extend(compile(&units, &app, &loaded.build_dir().join("native/objects"), &|| bar.inc(1))?);
    Ok(objects)
}

fn folder(loaded: &Loaded) -> Result<PathBuf> {
    loaded.manifest.dir.canonicalize().context("cannot find the application")
}

/// All sources that the manifest names.
pub fn sources(loaded: &Loaded) -> Result<Vec<PathBuf>> {
    let app = folder(loaded)?;
    let program = Program { c: &loaded.manifest.c, app: &app, loaded };
    let mut sources = Vec::new();
    for pattern in &program.c.sources {
        sources.extend(program.files(pattern)?);
    }
    Ok(sources)
}

/// The flags that the manifest has: folders with headers, then its own.
pub fn own_flags(loaded: &Loaded) -> Result<Vec<String>> {
    let app = folder(loaded)?;
    Program { c: &loaded.manifest.c, app: &app, loaded }.include_flags().map(|mut flags| {
        flags.extend(loaded.manifest.c.flags.iter().cloned());
        flags
    })
}

struct Program<'a> {
    c: &'a CProgram,
    app: &'a Path,
    loaded: &'a Loaded,
}

impl Program<'_> {
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
        let excluded = |path: &Path| {
            let full = folder.join(path);
            self.c.exclude.iter().any(|pattern| {
                let implied = Spanned::implied(pattern.clone());
                let place = self.place(&implied);
                place.is_ok_and(|(folder, rest)| {
                    expand(&folder, rest).iter().any(|p| folder.join(p) == full)
                })
            })
        };
        let found: Vec<PathBuf> =
            expand(&folder, rest).into_iter().filter(|path| !excluded(path)).collect();
        if found.is_empty() {
            return Err(Diagnostic::new(format!("there is no file `{}`", pattern.value))
                .at(&self.loaded.manifest.source, pattern.span.clone())
                .help("paths are relative to the manifest's folder; * stands for any characters"));
        }
        Ok(found.into_iter().map(|path| folder.join(path)).collect())
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

    /// Runs the program's own build system; the compiler with its flags is in `CC`.
    fn make(&self, flags: &[String]) -> Result<Vec<PathBuf>> {
        let source = &self.loaded.manifest.source;
        let [program, arguments @ ..] = &self.c.make[..] else { return Ok(Vec::new()) };
        let lock = self.loaded.build_dir().join("native/make.lock");
        let _lock = Lock::take(&lock, &format!("run `{}`", self.c.make.join(" ")))?;
        let compiler = format!("{} {}", cc().display(), flags.join(" "));
        let status = Command::new(program)
            .args(arguments)
            .current_dir(self.app)
            .env("CC", compiler)
            .status()
            .map_err(|e| {
                Diagnostic::new(format!("cannot start `{program}`: {e}"))
                    .in_file(source)
                    .help("`make` in [c] is the program that builds the objects")
            })?;
        if !status.success() {
            return Err(Diagnostic::new(format!("`{}` failed", self.c.make.join(" ")))
                .in_file(source)
                .help("what it says stands above; it must use the compiler in CC"));
        }
        let mut objects = Vec::new();
        for pattern in &self.c.objects {
            objects.extend(self.files(pattern)?);
        }
        Ok(objects)
    }
}
