//! Building the C library of an image by its recipe, once for all images.

mod rust;
mod upstream;

use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use toml_edit::{Document, TableLike};

use super::compiler::Language;
use super::sources::hex;
use crate::diagnostic::{Context, Diagnostic, Result, Source};
use crate::pool::{Reader, toml_error};
use upstream::Upstream;

/// Counts the ways in which this file and those below build from the same recipe.
const WAY: u32 = 2;

/// A recipe, `recipe.toml` in the folder of the library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// Name of the library.
    pub name: String,
    /// Its version.
    pub version: String,
    way: Way,
    /// Folder with the recipe. What it has of its own is beside it.
    dir: PathBuf,
    /// All that the result depends on, as text.
    content: String,
}

/// How a library is built.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    /// From a release of others; `own/` beside the recipe is laid over its source tree.
    Upstream(Box<Upstream>),
    /// From a crate beside the recipe, with this root file; headers are in `include/`.
    Rust(String),
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
        let way = match read.text(root, "rust")? {
            Some(file) => {
                read.known_keys(root, &["name", "version", "rust"])?;
                Way::Rust(file)
            }
            None => {
                read.known_keys(root, &[&["name", "version"], &upstream::KEYS[..]].concat())?;
                Way::Upstream(Box::new(Upstream::read(root, &source)?))
            }
        };
        Ok(Self {
            name: text(&read, root, "name")?,
            version: text(&read, root, "version")?,
            way,
            dir: path.parent().unwrap_or(Path::new(".")).to_owned(),
            content: source.text.clone(),
        })
    }

    /// The library, from `cache` when recipe, own files, `header` and compiler are those it was
    /// built with. `header` is the content of `uk_syscalls.h`.
    pub fn build(&self, cache: &Path, header: &str, arch: &str, bar: &ProgressBar) -> Result<Libc> {
        let (compiler, own) = match &self.way {
            Way::Upstream(_) => {
                (Language::C.identity()?.to_owned(), files_below(&self.dir.join("own")))
            }
            Way::Rust(_) => (rust::compiler_version()?, files_below(&self.dir)),
        };
        let mut all = format!("{WAY}\0{}\0{header}\0{arch}\0{compiler}\0", self.content);
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
        let room = tempfile::tempdir_in(cache).context("cannot create a folder to build in")?;
        let out = room.path().join("out");
        std::fs::create_dir_all(out.join("lib")).context("cannot create a folder to build in")?;
        bar.set_message(format!("{} {}", self.name, self.version));
        match &self.way {
            Way::Upstream(upstream) => {
                let sources = cache.join("sources");
                upstream.build(&own, header, &sources, room.path(), &out, bar)?;
            }
            Way::Rust(root) => rust::build(&self.dir, root, &self.name, arch, &out)?,
        }
        match std::fs::rename(&out, &done) {
            Ok(()) => Ok(libc),
            // Another process was faster.
            Err(_) if libc.archive.is_file() => Ok(libc),
            Err(error) => Err(error).context(format!("cannot keep {name}")),
        }
    }
}

/// A text that a recipe must have.
fn text(read: &Reader<'_>, table: &dyn TableLike, key: &str) -> Result<String> {
    read.text(table, key)?
        .ok_or_else(|| Diagnostic::new(format!("the recipe has no `{key}`")).in_file(read.source))
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
                let name_text = name.to_string_lossy();
                // As of shells: files that begin with a dot are hidden.
                let hidden = name_text.starts_with('.') && !part.starts_with('.');
                if !hidden && matches(part, &name_text) {
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
        for file in ["x/a.c", "x/b.h", "x/._a.c", "y/c.c", "d.c"] {
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
    fn the_recipes_of_the_pool_can_be_read() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let recipe = Recipe::read(&root.join("libc/musl/recipe.toml")).unwrap();
        assert_eq!((recipe.name.as_str(), recipe.version.as_str()), ("musl", "1.2.3"));
        let recipe = Recipe::read(&root.join("libc/nolibc/recipe.toml")).unwrap();
        assert_eq!((recipe.name.as_str(), recipe.way), ("nolibc", Way::Rust("src/lib.rs".into())));
    }
}
