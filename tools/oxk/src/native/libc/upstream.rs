//! A C library that others wrote: their release, changed where it traps into a kernel.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use indicatif::ProgressBar;
use toml_edit::{Item, Table, TableLike};

use super::expand;
use crate::diagnostic::{Context, Diagnostic, Result, Source};
use crate::native::compile::{Unit, compile};
use crate::native::compiler::file_of_compiler;
use crate::native::sources::Release;
use crate::pool::Reader;

/// The part of a recipe about sources of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    release: Release,
    /// The folder in the archive.
    folder: String,
    remove: Vec<String>,
    prepare: Vec<String>,
    sources: Vec<String>,
    replacements: String,
    flags: Vec<String>,
    edits: Vec<Edit>,
}

/// A change of a file: from the only place of `from` to the end of the next `to`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Edit {
    file: String,
    from: String,
    to: Option<String>,
    with: String,
}

/// Keys of this part in a recipe.
pub const KEYS: [&str; 10] = [
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
];

impl Upstream {
    /// Reads the part from a recipe.
    pub fn read(root: &Table, source: &Source) -> Result<Self> {
        let read = Reader { source };
        let text = |table: &dyn TableLike, key: &str| super::text(&read, table, key);
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
        Ok(Self {
            release: Release::read(&read, root, "the recipe")?,
            folder: text(root, "folder")?,
            remove: read.list(root, "remove")?,
            prepare: read.list(root, "prepare")?,
            sources: read.list(root, "sources")?,
            replacements: text(root, "replacements")?,
            flags: read.list(root, "flags")?,
            edits,
        })
    }

    /// Builds the library into `out`, working in the folder `room`. The files of `own` are laid over the
    /// source tree; `header` is the content of `uk_syscalls.h`.
    pub fn build(
        &self,
        own: &[(String, PathBuf)],
        header: &str,
        sources: &Path,
        room: &Path,
        out: &Path,
        bar: &ProgressBar,
    ) -> Result<()> {
        let tree = self.unpack(&self.release.fetch(sources)?, room)?;
        self.change(&tree, own)?;
        std::fs::create_dir_all(tree.join("obj/src/internal")).context("cannot create a folder")?;
        std::fs::write(tree.join("obj/src/internal/uk_syscalls.h"), header)
            .context("cannot write a header")?;
        for line in &self.prepare {
            run_line(line, &tree, out)?;
        }
        let units = self.units(&tree, out);
        bar.set_length(units.len() as u64);
        let objects = compile(&units, &tree, &room.join("objects"), &|| bar.inc(1))?;
        make_archive(&objects, &out.join("lib/libc.a"))
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
    // It divides the list at blanks.
    let escaped = |object: &PathBuf| {
        let path = object.display().to_string();
        path.replace('\\', "\\\\").replace(' ', "\\ ").replace('"', "\\\"").replace('\'', "\\'")
    };
    let names: Vec<String> = objects.iter().map(escaped).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
