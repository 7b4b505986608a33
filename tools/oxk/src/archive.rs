//! The files that a manifest puts into the image, as a cpio archive of the format "newc".

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::diagnostic::{Context, Diagnostic, Result};
use crate::manifest::{Manifest, Spanned};

// Kinds of files (inode(7)).
const REGULAR: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;
const SYMLINK: u32 = 0o120_000;

/// The archive with what `[files]` in the manifest names; `None` when it names nothing. Owners and times are
/// left out, so that the same files make the same archive.
pub fn of(manifest: &Manifest) -> Result<Option<Vec<u8>>> {
    if manifest.files.is_empty() {
        return Ok(None);
    }
    let mut entries = BTreeMap::new();
    for file in &manifest.files {
        let (place, path) = found(manifest, file)?;
        add(&mut entries, place, &path)?;
    }
    Ok(Some(pack(&entries)))
}

/// Looks whether what `[files]` names is there.
pub fn check(manifest: &Manifest) -> Result<()> {
    manifest.files.iter().try_for_each(|file| found(manifest, file).map(|_| ()))
}

/// The place in the image, and the file or folder.
fn found<'m>(
    manifest: &Manifest,
    (target, source): &'m (Spanned<String>, Spanned<String>),
) -> Result<(&'m str, PathBuf)> {
    let wrong = |cause: String, span: &Spanned<String>, help: &str| {
        Diagnostic::new(cause).at(&manifest.source, span.span.clone()).help(help)
    };
    let place = target.value.strip_prefix('/').map(|place| place.trim_end_matches('/'));
    let place = place.filter(|place| place.split('/').all(|part| part != ".."));
    let place = place.ok_or_else(|| {
        let cause = format!("`{}` is no place in the image", target.value);
        wrong(cause, target, "write an absolute path without `..`, such as \"/etc/app.conf\"")
    })?;
    let path = manifest.dir.join(&source.value);
    if !path.exists() {
        let cause = format!("there is no file or folder `{}`", source.value);
        return Err(wrong(cause, source, "paths are relative to the manifest's folder"));
    }
    // What the manifest itself names is followed; links in folders stay links.
    let path = path.canonicalize().context(format!("cannot find {}", path.display()))?;
    Ok((place, path))
}

/// Mode and content of the files, by their names.
type Entries = BTreeMap<String, (u32, Vec<u8>)>;

fn add(entries: &mut Entries, place: &str, path: &Path) -> Result<()> {
    let doing = || format!("cannot read {}", path.display());
    let metadata = path.symlink_metadata().context(doing())?;
    let executable = metadata.permissions().mode() & 0o111 != 0;
    let permissions = if executable { 0o755 } else { 0o644 };
    if metadata.is_symlink() {
        let target = std::fs::read_link(path).context(doing())?;
        let target = target.as_os_str().as_encoded_bytes().to_vec();
        entries.insert(place.to_owned(), (SYMLINK | 0o777, target));
    } else if metadata.is_dir() {
        if !place.is_empty() {
            entries.insert(place.to_owned(), (DIRECTORY | 0o755, Vec::new()));
        }
        let inside: Vec<PathBuf> =
            std::fs::read_dir(path).context(doing())?.flatten().map(|e| e.path()).collect();
        for path in inside {
            let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
                Diagnostic::new(format!("the name of {} is not UTF-8", path.display()))
                    .help("rename it, or leave it out of [files]")
            })?;
            let place = if place.is_empty() { name.to_owned() } else { format!("{place}/{name}") };
            add(entries, &place, &path)?;
        }
    } else {
        let content = std::fs::read(path).context(doing())?;
        entries.insert(place.to_owned(), (REGULAR | permissions, content));
    }
    Ok(())
}

/// The archive (cpio(5), "new ASCII format"): for each file a header of 13 numbers, name and
/// content, each padded to four bytes.
fn pack(entries: &Entries) -> Vec<u8> {
    let mut out = Vec::new();
    let mut entry = |inode: usize, name: &str, mode: u32, content: &[u8]| {
        let links = u32::from(mode & 0o170_000 == DIRECTORY) + 1;
        let numbers = [
            inode as u32,
            mode,
            0,
            0,
            links,
            0,
            content.len() as u32,
            0,
            0,
            0,
            0,
            name.len() as u32 + 1,
            0,
        ];
        out.extend_from_slice(b"070701");
        for number in numbers {
            out.extend_from_slice(format!("{number:08x}").as_bytes());
        }
        out.extend_from_slice(name.as_bytes());
        out.push(0);
        out.resize(out.len().next_multiple_of(4), 0);
        out.extend_from_slice(content);
        out.resize(out.len().next_multiple_of(4), 0);
    };
    for (index, (name, (mode, content))) in entries.iter().enumerate() {
        entry(index + 1, name, *mode, content);
    }
    entry(0, "TRAILER!!!", 0, &[]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Source;

    fn manifest(dir: &Path, files: &str) -> Manifest {
        let text =
            format!("name = \"a\"\nkind = \"c\"\n[c]\nsources = [\"a.c\"]\n[files]\n{files}");
        Manifest::parse(Source { path: "oxk.toml".into(), text }, dir).unwrap()
    }

    #[test]
    fn files_folders_and_links() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("site/css")).unwrap();
        std::fs::write(dir.path().join("site/index.html"), "<p>").unwrap();
        std::os::unix::fs::symlink("index.html", dir.path().join("site/start")).unwrap();
        std::fs::write(dir.path().join("app.conf"), "a=1\n").unwrap();
        let text = "\"/srv/\" = \"site\"\n\"/etc/app.conf\" = \"app.conf\"\n";
        let packed = of(&manifest(dir.path(), text)).unwrap().unwrap();
        assert_eq!(of(&manifest(dir.path(), text)).unwrap().unwrap(), packed);
        let found: Vec<_> = cpio::entries(&packed)
            .map(|e| e.unwrap())
            .map(|e| (String::from_utf8_lossy(e.name).into_owned(), e.mode, e.data.to_vec()))
            .collect();
        let entry = |name: &str, mode, data: &[u8]| (name.to_owned(), mode, data.to_vec());
        assert_eq!(
            found,
            [
                entry("etc/app.conf", 0o100_644, b"a=1\n"),
                entry("srv", 0o040_755, b""),
                entry("srv/css", 0o040_755, b""),
                entry("srv/index.html", 0o100_644, b"<p>"),
                entry("srv/start", 0o120_777, b"index.html"),
            ]
        );
    }

    #[test]
    fn wrong_places_are_shown() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a"), "").unwrap();
        for (files, cause) in [
            ("\"etc\" = \"a\"", "`etc` is no place in the image"),
            ("\"/../etc\" = \"a\"", "`/../etc` is no place in the image"),
            ("\"/etc\" = \"b\"", "there is no file or folder `b`"),
        ] {
            let error = of(&manifest(dir.path(), files)).unwrap_err();
            assert_eq!(error.cause, cause);
        }
    }
}
