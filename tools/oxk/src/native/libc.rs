//! Building the C library of an image by its recipe, once for all images.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use indicatif::ProgressBar;
use toml_edit::{Document, Item, TableLike};

use super::compile::{Unit, cc, compile, file_of_compiler};
use super::sources::{Release, hex};
use crate::diagnostic::{Context, Diagnostic, Result, Source};
use crate::pool::{Reader, toml_error};

/// A recipe, `recipe.toml` in the folder of the library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// Name of the library.
    pub name: String,
    /// Its version.
    pub version: String,
    release: Release,
    /// The folder in the archive.
    folder: String,
    remove: Vec<String>,
    prepare: Vec<String>,
    sources: Vec<String>,
    replacements: String,
    flags: Vec<String>,
    edits: Vec<Edit>,
    /// Folder with the recipe; `own/` beside it is laid over the source tree.
    dir: PathBuf,
    /// All that the result depends on, as text.
    content: String,
}

/// A change of a file: from the only place of `from` to the end of the next `to`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Edit {
    file: String,
    from: String,
    to: Option<String>,
    with: String,
}

/// A built C library.
#[derive(Debug, Clone)]
pub struct Libc {
    /// Its headers.
    pub include: PathBuf,
    /// The archive.
    pub archive: PathBuf,
}

impl Recipe {
    /// Reads a recipe.
    pub fn read(path: &Path) -> Result<Self> {
        let source = Source::read(path)?;
        let document = Document::parse(source.text.clone()).map_err(|e| toml_error(&source, &e))?;
        let root = document.as_table();
        let read = Reader { source: &source };
        read.known_keys(
            root,
            &[
                "name",
                "version",
                "url",
                "sha256",
                "debian",
                "folder",
                "remove",
                "prepare",
                "sources",
                "replacements",
                "flags",
                "edit",
            ],
        )?;
        let text = |table: &dyn TableLike, key: &str| -> Result<String> {
            read.text(table, key)?.ok_or_else(|| {
                Diagnostic::new(format!("the recipe has no `{key}`")).in_file(&source)
            })
        };
        let mut edits = Vec::new();
        for table in root.get("edit").and_then(Item::as_array_of_tables).into_iter().flatten() {
            read.known_keys(table, &["file", "from", "to", "with"])?;
            edits.push(Edit {
                file: text(table, "file")?,
                from: text(table, "from")?,
                to: read.text(table, "to")?,
                with: text(table, "with")?,
            });
        }
        let sha256 = text(root, "sha256")?;
        if sha256.len() != 64 || !sha256.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(Diagnostic::new("`sha256` must be 64 hexadecimal digits")
                .at(&source, root.get("sha256").and_then(Item::span)));
        }
        Ok(Self {
            name: text(root, "name")?,
            version: text(root, "version")?,
            release: Release {
                url: text(root, "url")?,
                sha256: sha256.to_ascii_lowercase(),
                debian: read.text(root, "debian")?,
            },
            folder: text(root, "folder")?,
            remove: read.list(root, "remove")?,
            prepare: read.list(root, "prepare")?,
            sources: read.list(root, "sources")?,
            replacements: text(root, "replacements")?,
            flags: read.list(root, "flags")?,
            edits,
            dir: path.parent().unwrap_or(Path::new(".")).to_owned(),
            content: source.text.clone(),
        })
    }

    /// The library, from `cache` when recipe, own files, `header` and compiler are those it was
    /// built with. `header` is the content of `uk_syscalls.h`.
    pub fn build(&self, cache: &Path, header: &str, bar: &ProgressBar) -> Result<Libc> {
        let own = files_below(&self.dir.join("own"));
        let mut all = format!("{}\0{header}\0{}\0", self.content, compiler_version()?);
        for (name, path) in &own {
            let text = std::fs::read_to_string(path).context("cannot read a file of a recipe")?;
            all += &format!("{name}\0{text}\0");
        }
        let name = format!("{}-{}-{}", self.name, self.version, &hex(all.as_bytes())[..16]);
        let done = cache.join(&name);
        let libc = Libc { include: done.join("include"), archive: done.join("lib/libc.a") };
        if libc.archive.is_file() {
            return Ok(libc);
        }
        let archive = self.release.fetch(&cache.join("sources"))?;
        let room = tempfile::tempdir_in(cache).context("cannot create a folder to build in")?;
        let out = room.path().join("out");
        let tree = self.unpack(&archive, room.path())?;
        self.change(&tree, &own)?;
        std::fs::create_dir_all(out.join("lib")).context("cannot create a folder to build in")?;
        std::fs::create_dir_all(tree.join("obj/src/internal")).context("cannot create a folder")?;
        std::fs::write(tree.join("obj/src/internal/uk_syscalls.h"), header)
            .context("cannot write a header")?;
        for line in &self.prepare {
            run_line(line, &tree, &out)?;
        }
        let units = self.units(&tree, &out);
        bar.set_length(units.len() as u64);
        bar.set_message(format!("{} {}", self.name, self.version));
        let objects = compile(&units, &tree, &room.path().join("objects"), &|| bar.inc(1))?;
        make_archive(&objects, &out.join("lib/libc.a"))?;
        match std::fs::rename(&out, &done) {
            Ok(()) => Ok(libc),
            // Another process was faster.
            Err(_) if libc.archive.is_file() => Ok(libc),
            Err(error) => Err(error).context(format!("cannot keep {name}")),
        }
    }

    fn unpack(&self, archive: &Path, room: &Path) -> Result<PathBuf> {
        let status = Command::new("tar").arg("xf").arg(archive).arg("-C").arg(room).status();
        let tree = room.join(&self.folder);
        if !status.context("cannot start tar")?.success() || !tree.is_dir() {
            let cause = format!("cannot unpack {}", archive.display());
            return Err(Diagnostic::new(cause).help("remove the file to fetch it again"));
        }
        Ok(tree)
    }

    fn change(&self, tree: &Path, own: &[(String, PathBuf)]) -> Result<()> {
        for file in &self.remove {
            std::fs::remove_file(tree.join(file)).context(format!("cannot remove {file}"))?;
        }
        for edit in &self.edits {
            let path = tree.join(&edit.file);
            let text =
                std::fs::read_to_string(&path).context(format!("cannot read {}", edit.file))?;
            let text = edit.apply(&text).ok_or_else(|| {
                let start = edit.from.lines().next().unwrap_or_default();
                Diagnostic::new(format!("cannot edit {}: `{start}` is not there once", edit.file))
                    .help("the recipe is for another version of these sources")
            })?;
            std::fs::write(&path, text).context(format!("cannot write {}", edit.file))?;
        }
        for (name, path) in own {
            let place = tree.join(name);
            if let Some(folder) = place.parent() {
                std::fs::create_dir_all(folder).context("cannot create a folder")?;
            }
            std::fs::copy(path, &place).context(format!("cannot copy {name}"))?;
        }
        Ok(())
    }

    /// The files to compile: one in a folder of the architecture replaces the one beside it.
    fn units(&self, tree: &Path, out: &Path) -> Vec<Unit> {
        let mut chosen = std::collections::BTreeMap::new();
        for pattern in &self.sources {
            let folder = pattern.rsplit_once('/').map_or("", |(folder, _)| folder);
            for file in expand(tree, pattern) {
                chosen.insert(file.with_extension(""), file);
            }
            for extension in ["c", "s", "S"] {
                let pattern = format!("{folder}/{}/*.{extension}", self.replacements);
                for file in expand(tree, &pattern) {
                    let stem = file.file_stem().map(PathBuf::from).unwrap_or_default();
                    let beside = file.ancestors().nth(2).unwrap_or(Path::new("")).join(stem);
                    chosen.insert(beside, file);
                }
            }
        }
        let out = out.display().to_string();
        let mut flags: Vec<String> = self.flags.iter().map(|f| f.replace("$OUT", &out)).collect();
        flags.push(format!("-ffile-prefix-map={}=", tree.display()));
        chosen.into_values().map(|source| Unit { source, flags: flags.clone() }).collect()
    }
}

impl Edit {
    fn apply(&self, text: &str) -> Option<String> {
        let mut places = text.match_indices(&self.from);
        let start = places.next()?.0;
        if places.next().is_some() {
            return None;
        }
        let after = start + self.from.len();
        let end = match &self.to {
            Some(to) => after + text[after..].find(to)? + to.len(),
            None => after,
        };
        Some([&text[..start], &self.with, &text[end..]].concat())
    }
}

/// What the compiler says it is, so that another one builds anew.
fn compiler_version() -> Result<String> {
    let output = Command::new(cc()).arg("--version").output().map_err(|e| {
        Diagnostic::new(format!("cannot start the C compiler {}: {e}", cc().display()))
            .help("applications in C need one: install gcc or clang, or name one in CC")
    })?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn run_line(line: &str, tree: &Path, out: &Path) -> Result<()> {
    let output = Command::new("sh")
        .args(["-euc", line])
        .current_dir(tree)
        .env("OUT", out)
        .stdin(Stdio::null())
        .output()
        .context("cannot start sh")?;
    if output.status.success() {
        return Ok(());
    }
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    Err(Diagnostic::new(format!("a line of the recipe failed: {line}")))
}

/// An archive with an index, for this tool's linker and for others.
fn make_archive(objects: &[PathBuf], archive: &Path) -> Result<()> {
    let ar = file_of_compiler("-print-prog-name=ar").unwrap_or_else(|| "ar".into());
    let list = archive.with_extension("list");
    let names: Vec<String> = objects.iter().map(|o| o.display().to_string()).collect();
    std::fs::write(&list, names.join("\n")).context("cannot write a list of objects")?;
    let output = Command::new(ar)
        .arg("rcsD")
        .arg(archive)
        .arg(format!("@{}", list.display()))
        .output()
        .context("cannot start ar")?;
    std::fs::remove_file(&list).context("cannot remove a list of objects")?;
    if output.status.success() {
        return Ok(());
    }
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    Err(Diagnostic::new("cannot make an archive of the C library"))
}

/// All files below a folder with their relative names, sorted.
fn files_below(folder: &Path) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for path in std::fs::read_dir(next).into_iter().flatten().flatten().map(|e| e.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(name) = path.strip_prefix(folder) {
                found.push((name.display().to_string(), path.clone()));
            }
        }
    }
    found.sort();
    found
}

/// The files that a pattern means, relative to `folder`, sorted. A `*` stands for any characters
/// but `/`, in names of folders and files.
pub fn expand(folder: &Path, pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.split('/') {
        if !part.contains('*') {
            found = found.into_iter().map(|path| path.join(part)).collect();
            continue;
        }
        let mut next = Vec::new();
        for path in found {
            for entry in std::fs::read_dir(folder.join(&path)).into_iter().flatten().flatten() {
                let name = entry.file_name();
                if matches(part, &name.to_string_lossy()) {
                    next.push(path.join(name));
                }
            }
        }
        found = next;
    }
    found.retain(|path| folder.join(path).exists());
    found.sort();
    found
}

/// Whether a name fits a pattern with `*`.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        assert!(matches("*.c", "a.c") && matches("a*b*.c", "axxbyy.c") && matches("a.c", "a.c"));
        assert!(!matches("*.c", "a.cc") && !matches("a.c", "a.cx") && !matches("a*b*.c", "ab"));
        let dir = tempfile::tempdir().unwrap();
        for file in ["x/a.c", "x/b.h", "y/c.c", "d.c"] {
            std::fs::create_dir_all(dir.path().join(file).parent().unwrap()).unwrap();
            std::fs::write(dir.path().join(file), "").unwrap();
        }
        let names = |pattern| -> Vec<String> {
            expand(dir.path(), pattern).iter().map(|p| p.display().to_string()).collect()
        };
        assert_eq!(names("*/*.c"), ["x/a.c", "y/c.c"]);
        assert_eq!(names("d.c"), ["d.c"]);
        assert!(names("none.c").is_empty() && names("z/*.c").is_empty());
    }

    #[test]
    fn edits_must_fit_once() {
        let edit = |from: &str, to: Option<&str>| Edit {
            file: String::new(),
            from: from.into(),
            to: to.map(str::to_owned),
            with: "N".into(),
        };
        assert_eq!(edit("b", None).apply("abc").as_deref(), Some("aNc"));
        assert_eq!(edit("b", Some("d")).apply("abcde").as_deref(), Some("aNe"));
        assert_eq!(edit("b", Some("x")).apply("abcde"), None);
        assert_eq!(edit("b", None).apply("abcb"), None);
        assert_eq!(edit("z", None).apply("abc"), None);
    }

    #[test]
    fn the_recipes_of_the_pool_can_be_read() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let recipe = Recipe::read(&root.join("libc/musl/recipe.toml")).unwrap();
        assert_eq!((recipe.name.as_str(), recipe.version.as_str()), ("musl", "1.2.3"));
    }
}
