//! Sources of other projects: fetched when they are needed, pinned by hash, kept for the next time.

use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};
use toml_edit::{Item, TableLike};

use crate::diagnostic::{Context, Diagnostic, Result};
use crate::pool::Reader;

/// A file that upstream released: an archive, or a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Where upstream has it.
    pub url: String,
    /// SHA-256 of the file, in hexadecimal digits.
    pub sha256: String,
    /// Debian source package whose `.orig` archive is the same file, or has it inside.
    pub debian: Option<String>,
    /// Where the file is in that archive, without the archive's folder.
    pub member: Option<String>,
}

/// Keys of a release in a table.
pub const KEYS: [&str; 4] = ["url", "sha256", "debian", "member"];

impl Release {
    /// Reads it from a table that `what` names in messages.
    pub fn read(read: &Reader<'_>, table: &dyn TableLike, what: &str) -> Result<Self> {
        let text = |key: &str| {
            read.text(table, key)?.ok_or_else(|| {
                Diagnostic::new(format!("{what} has no `{key}`")).in_file(read.source)
            })
        };
        let release = Self {
            url: text("url")?,
            sha256: text("sha256")?.to_ascii_lowercase(),
            debian: read.text(table, "debian")?,
            member: read.text(table, "member")?,
        };
        let wrong = |key: &str, must: &str| {
            let span = table.get(key).and_then(Item::span);
            Err(Diagnostic::new(format!("`{key}` must {must}")).at(read.source, span))
        };
        if release.sha256.len() != 64 || !release.sha256.bytes().all(|b| b.is_ascii_hexdigit()) {
            return wrong("sha256", "be 64 hexadecimal digits");
        }
        if release.file_name().is_empty() {
            return wrong("url", "end with the name of a file");
        }
        let inside =
            |path: &str| Path::new(path).components().all(|c| matches!(c, Component::Normal(_)));
        match &release.member {
            Some(_) if release.debian.is_none() => wrong("member", "come with `debian`"),
            Some(member) if !inside(member) => wrong("member", "be a path in the archive"),
            _ => Ok(release),
        }
    }

    /// Whether the file is a whole tree.
    fn is_archive(&self) -> bool {
        let name = self.file_name();
        let ends = [".tar", ".tgz", ".txz", ".tbz2"];
        name.contains(".tar.") || ends.iter().any(|end| name.ends_with(end))
    }

    /// A folder with what was released: the file under its name, or what the archive's folder has.
    /// Fetched when it is needed, then in `cache`.
    pub fn tree(&self, cache: &Path) -> Result<PathBuf> {
        let tree = cache.join(format!("{}-{}.tree", &self.sha256[..16], self.file_name()));
        if tree.is_dir() {
            return Ok(tree);
        }
        let file = self.fetch(cache)?;
        let room = tempfile::tempdir_in(cache).context("cannot create a folder for sources")?;
        let made = room.path().join("tree");
        std::fs::create_dir(&made).context("cannot create a folder for sources")?;
        if self.is_archive() {
            unpack(&file, &made).ok_or_else(|| {
                Diagnostic::new(format!("cannot unpack {}", file.display()))
                    .help("tar must be there, and the archive must have all in one folder")
            })?;
        } else {
            std::fs::copy(&file, made.join(self.file_name())).context("cannot copy a source")?;
        }
        match std::fs::rename(&made, &tree) {
            // Another process was faster.
            Err(_) if tree.is_dir() => Ok(tree),
            Err(error) => Err(error).context(format!("cannot keep {}", self.file_name())),
            Ok(()) => Ok(tree),
        }
    }

    /// File name of what was released.
    fn file_name(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or_default()
    }

    /// The archive in the cache, fetched if it is not there. The folder that `OXK_SOURCES` names
    /// is asked first, then upstream, then the distribution's source packages.
    pub fn fetch(&self, cache: &Path) -> Result<PathBuf> {
        let kept = cache.join(format!("{}-{}", &self.sha256[..16], self.file_name()));
        if kept.is_file() && sha256(&kept)? == self.sha256 {
            return Ok(kept);
        }
        std::fs::create_dir_all(cache).context(format!("cannot create {}", cache.display()))?;
        let room = tempfile::tempdir_in(cache).context("cannot create a folder for downloads")?;
        let mut tried = Vec::new();
        let mut found = None;
        type Way = fn(&Release, &Path) -> std::result::Result<PathBuf, String>;
        let ways: [(&str, Way); 3] = [
            ("the folder OXK_SOURCES", |release, _| release.in_folder().ok_or_else(not_there)),
            (self.url.as_str(), Self::at_upstream),
            ("the distribution's source packages", |release, room| {
                release.in_distribution(room).ok_or_else(not_there)
            }),
        ];
        for (way, fetch) in ways {
            match fetch(self, room.path()) {
                Ok(file) if sha256(&file)? == self.sha256 => {
                    found = Some(file);
                    break;
                }
                Ok(_) => tried.push(format!("{way}: another file (its SHA-256 differs)")),
                Err(why) => tried.push(format!("{way}: {why}")),
            }
        }
        let Some(file) = found else {
            let cause = format!("cannot fetch {} ({})", self.file_name(), tried.join("; "));
            return Err(Diagnostic::new(cause).help(format!(
                "put the file with SHA-256 {} into a folder and name that in OXK_SOURCES",
                self.sha256
            )));
        };
        // By renaming, so that a second process never sees half of it.
        let whole = room.path().join("whole");
        std::fs::copy(&file, &whole).context("cannot copy the archive")?;
        std::fs::rename(&whole, &kept).context("cannot keep the archive")?;
        Ok(kept)
    }

    fn in_folder(&self) -> Option<PathBuf> {
        let folder = PathBuf::from(std::env::var_os("OXK_SOURCES")?);
        Some(folder.join(self.file_name())).filter(|file| file.is_file())
    }

    fn at_upstream(&self, room: &Path) -> std::result::Result<PathBuf, String> {
        let file = room.join(self.file_name());
        let output = Command::new("curl")
            .args(["-fsSL", "--connect-timeout", "10", "--max-time", "300", "-o"])
            .arg(&file)
            .arg(&self.url)
            .stdin(Stdio::null())
            .output()
            .map_err(|e| format!("cannot start curl: {e}"))?;
        if output.status.success() {
            return Ok(file);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(said.lines().last().map_or_else(not_there, |line| line.trim().to_owned()))
    }

    /// With lists of its own, so that nothing of the machine's changes.
    fn in_distribution(&self, room: &Path) -> Option<PathBuf> {
        let package = self.debian.as_ref()?;
        let lists = room.join("lists");
        std::fs::create_dir_all(lists.join("partial")).ok()?;
        let options = [
            format!("Dir::Etc::sourcelist={}", room.join("apt.sources").display()),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            format!("Dir::State::lists={}", lists.display()),
        ];
        let apt = || {
            let mut apt = quiet("apt-get");
            apt.current_dir(room);
            options.iter().for_each(|option| {
                apt.args(["-o", option]);
            });
            apt
        };
        std::fs::write(room.join("apt.sources"), source_lists("/etc/apt")).ok()?;
        apt().arg("update").status().ok().filter(|s| s.success())?;
        let fetch = ["source", "--download-only"];
        apt().args(fetch).arg(package).status().ok().filter(|s| s.success())?;
        let mut files = std::fs::read_dir(room).ok()?.flatten().map(|entry| entry.path());
        let archive = files.find(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name.starts_with(&format!("{package}_"))
                && name.contains(".orig.tar.")
                && !name.ends_with(".asc")
        })?;
        match &self.member {
            Some(member) => take(&archive, member, room),
            None => Some(archive),
        }
    }
}

fn not_there() -> String {
    "not there".to_owned()
}

/// One file of an archive, which has everything in one folder.
fn take(archive: &Path, member: &str, room: &Path) -> Option<PathBuf> {
    let tree = room.join("members");
    std::fs::create_dir_all(&tree).ok()?;
    unpack(archive, &tree)?;
    Some(tree.join(member)).filter(|file| file.is_file())
}

/// What is in an archive's only folder, in the folder `into`.
fn unpack(archive: &Path, into: &Path) -> Option<()> {
    let listed = Command::new("tar").arg("tf").arg(archive).stdin(Stdio::null()).output().ok()?;
    let names = String::from_utf8_lossy(&listed.stdout).into_owned();
    let mut folders = names.lines().map(|name| name.trim_start_matches("./").split('/').next());
    let folder = folders.next()??;
    let in_one = folders.all(|other| other == Some(folder) || other == Some(""));
    let mut tar = quiet("tar");
    tar.arg("xf").arg(archive).args(["--strip-components=1", "--no-same-owner", "-C"]).arg(into);
    (listed.status.success() && in_one && tar.status().ok()?.success()).then_some(())
}

/// The machine's package sources, asked for sources instead of binaries.
fn source_lists(folder: &str) -> String {
    let parts = std::fs::read_dir(Path::new(folder).join("sources.list.d"));
    let mut files: Vec<PathBuf> = parts.into_iter().flatten().flatten().map(|e| e.path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "sources"));
    files.sort();
    let texts = files.iter().filter_map(|path| std::fs::read_to_string(path).ok());
    let mut all: String =
        texts.map(|text| text.replace("Types: deb\n", "Types: deb-src\n") + "\n").collect();
    // The older format says the same in lines.
    let old = std::fs::read_to_string(Path::new(folder).join("sources.list")).unwrap_or_default();
    for line in old.lines().filter_map(|line| line.strip_prefix("deb ")) {
        // Options are in brackets, with blanks between them.
        let line = line.trim_start();
        let line = match line.strip_prefix('[') {
            Some(options) => options.split_once(']').map_or("", |(_, rest)| rest),
            None => line,
        };
        let mut words = line.split_whitespace();
        if let (Some(uri), Some(suite)) = (words.next(), words.next()) {
            let parts: Vec<&str> = words.collect();
            all += &format!(
                "Types: deb-src\nURIs: {uri}\nSuites: {suite}\nComponents: {}\n\n",
                parts.join(" ")
            );
        }
    }
    all
}

fn quiet(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn sha256(file: &Path) -> Result<String> {
    let bytes = std::fs::read(file).context(format!("cannot read {}", file.display()))?;
    Ok(hex(&bytes))
}

/// SHA-256 in hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_sources_of_both_formats() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        std::fs::create_dir(dir.path().join("sources.list.d")).unwrap();
        write("sources.list.d/a.sources", "Types: deb\nURIs: u\nSuites: s\nComponents: main\n");
        write("sources.list.d/b.list", "deb x y main\n");
        write(
            "sources.list",
            "# comment\ndeb [arch=amd64 signed-by=/k.gpg] u2 s2 main contrib\ndeb-src u3 s3 main\n",
        );
        assert_eq!(
            source_lists(dir.path().to_str().unwrap()),
            "Types: deb-src\nURIs: u\nSuites: s\nComponents: main\n\n\
             Types: deb-src\nURIs: u2\nSuites: s2\nComponents: main contrib\n\n"
        );
    }

    #[test]
    fn what_is_kept_is_checked_and_what_is_wrong_is_refused() {
        let cache = tempfile::tempdir().unwrap();
        let release = Release {
            url: "http://127.0.0.1:9/thing-1.tar.gz".into(),
            sha256: hex(b"content"),
            debian: None,
            member: None,
        };
        let kept = cache.path().join(format!("{}-thing-1.tar.gz", &release.sha256[..16]));
        std::fs::write(&kept, "content").unwrap();
        assert_eq!(release.fetch(cache.path()).unwrap(), kept);
        std::fs::write(&kept, "something else").unwrap();
        let error = release.fetch(cache.path()).unwrap_err();
        assert!(error.cause.starts_with("cannot fetch thing-1.tar.gz ("), "{error}");
        assert!(error.help.unwrap().contains("OXK_SOURCES"));
    }

    #[test]
    fn a_release_is_a_folder() {
        let cache = tempfile::tempdir().unwrap();
        let keep = |name: &str, content: &[u8]| {
            let sha256 = hex(content);
            std::fs::write(cache.path().join(format!("{}-{name}", &sha256[..16])), content)
                .unwrap();
            let url = format!("http://127.0.0.1:9/{name}");
            Release { url, sha256, debian: None, member: None }
        };
        let tree = keep("one.c", b"int one;").tree(cache.path()).unwrap();
        assert_eq!(std::fs::read(tree.join("one.c")).unwrap(), b"int one;");

        let sources = cache.path().join("thing-1/src");
        std::fs::create_dir_all(&sources).unwrap();
        std::fs::write(sources.join("two.c"), "int two;").unwrap();
        let archive = cache.path().join("thing.tar.gz");
        let mut tar = Command::new("tar");
        tar.arg("czf").arg(&archive).arg("-C").arg(cache.path()).arg("thing-1");
        assert!(tar.status().unwrap().success());
        let release = keep("thing-1.tar.gz", &std::fs::read(&archive).unwrap());
        let tree = release.tree(cache.path()).unwrap();
        assert_eq!(std::fs::read(tree.join("src/two.c")).unwrap(), b"int two;");
        assert_eq!(release.tree(cache.path()).unwrap(), tree);

        let room = tempfile::tempdir().unwrap();
        let member = take(&archive, "src/two.c", room.path()).unwrap();
        assert_eq!(std::fs::read(member).unwrap(), b"int two;");
        assert_eq!(take(&archive, "src/three.c", room.path()), None);
        assert!(keep("broken.tar.gz", b"no archive").tree(cache.path()).is_err());

        // What lies beside the folder would get lost.
        std::fs::write(cache.path().join("beside.c"), "int beside;").unwrap();
        let mut tar = Command::new("tar");
        tar.arg("czf").arg(&archive).arg("-C").arg(cache.path()).args(["thing-1", "beside.c"]);
        assert!(tar.status().unwrap().success());
        let release = keep("thing-2.tar.gz", &std::fs::read(&archive).unwrap());
        assert!(release.tree(cache.path()).is_err());
    }
}
