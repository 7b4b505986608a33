//! `[[mounts]]`: file systems that are mounted before `main`.

use std::path::{Path, PathBuf};

use toml_edit::{Item, TableLike};

use super::{Manifest, Setting, SettingValue, Spanned};
use crate::diagnostic::{Diagnostic, Result};
use crate::disk::Disk;
use crate::pool::Reader;
use crate::share::Share;

/// The type of directories of the host, and the interface of libraries that mount them.
pub const SHARE: &str = "share";
/// The file system of disks that the command line mounts.
const ON_DISKS: &str = "ext4";
/// The interface of the library that mounts, and its name.
const MOUNTS: &str = "mounts";

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountSource {
    /// A directory of the host.
    Share(PathBuf),
    /// A file system of this library, and its source in the library's words.
    Library(Spanned<String>, String),
}

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountSpec {
    /// What.
    pub source: MountSource,
    /// Where, absolute.
    pub path: String,
    /// As in fstab(5), with commas between.
    pub options: String,
}

/// Reads all of them. Directories of the host are relative to `dir`.
pub fn read(read: &Reader<'_>, root: &dyn TableLike, dir: &Path) -> Result<Vec<MountSpec>> {
    let mut list: Vec<MountSpec> = Vec::new();
    for item in &read.tables(root, "mounts")? {
        let (spec, span) = one(read, item, dir)?;
        if list.iter().any(|other| other.path == spec.path) {
            return Err(Diagnostic::new(format!("two file systems are mounted at {}", spec.path))
                .at(read.source, span)
                .help("mount each at a path of its own"));
        }
        list.push(spec);
    }
    Ok(list)
}

type Span = Option<std::ops::Range<usize>>;

fn one(read: &Reader<'_>, item: &Item, dir: &Path) -> Result<(MountSpec, Span)> {
    let table = read.table(item, "mounts")?;
    read.known_keys(table, &["path", "type", "source", "options"])?;
    let span = |key: &str| table.get(key).and_then(Item::span);
    let wrong = |key: &str, cause: String| Diagnostic::new(cause).at(read.source, span(key));
    let path = read.required_text(table, "path", item)?;
    check_path(&path).map_err(|cause| {
        wrong("path", cause).help("write where the image is to have it, as in path = \"/data\"")
    })?;
    let options = read.text(table, "options")?.unwrap_or_default();
    check_options(&options).map_err(|cause| {
        wrong("options", cause).help("write them as fstab has them: options = \"ro,size=1M\"")
    })?;
    let kind = read.text(table, "type")?.unwrap_or_else(|| SHARE.to_owned());
    let source = read.text(table, "source")?;
    let source = match (kind.as_str(), source) {
        (SHARE, Some(source)) if !source.is_empty() => MountSource::Share(dir.join(source)),
        (SHARE, _) => {
            return Err(Diagnostic::new("a shared directory needs `source`")
                .at(read.source, item.span())
                .help("name the directory of the host, seen from here: source = \"data\""));
        }
        (_, source) => {
            let kind = Spanned { value: kind, span: span("type") };
            MountSource::Library(kind, source.unwrap_or_else(|| "none".to_owned()))
        }
    };
    Ok((MountSpec { source, path, options }, span("path")))
}

/// What is wrong with the path of a mount.
pub fn check_path(path: &str) -> std::result::Result<(), String> {
    if !path.starts_with('/') {
        return Err(format!("the path `{path}` does not begin with /"));
    }
    if path.split('/').any(|name| name == "..") {
        return Err(format!("the path `{path}` has `..` in it"));
    }
    if path.trim_matches('/').is_empty() {
        return Err("nothing can be mounted in place of the root directory".to_owned());
    }
    Ok(())
}

fn check_options(options: &str) -> std::result::Result<(), String> {
    match options.chars().find(|c| c.is_whitespace() || *c == ';' || c.is_control()) {
        None => Ok(()),
        Some(_) => Err(format!("the options `{options}` have a space or a `;` in them")),
    }
}

impl Manifest {
    /// Adds what the mounts need to what the image must have.
    pub(super) fn require_mounts(&mut self) {
        for mount in self.mounts.clone() {
            match mount.source {
                MountSource::Share(_) => self.require(SHARE),
                MountSource::Library(kind, _) => self.libraries.push(kind),
            }
            self.require(MOUNTS);
        }
        // What needs nothing of the machine is mounted however the image is started.
        let own: Vec<String> = self.mounts.iter().filter_map(MountSpec::own_entry).collect();
        if !own.is_empty() {
            self.settings.push(Setting {
                library: Spanned::implied(MOUNTS.to_owned()),
                option: Spanned::implied("table".to_owned()),
                value: SettingValue::Text(own.join(";")),
            });
        }
    }

    fn require(&mut self, interface: &str) {
        if !self.requires.iter().any(|r| r.value == interface) {
            self.requires.push(Spanned::implied(interface.to_owned()));
        }
    }

    /// Adds shared directories, as `--share` names them, in place of mounts at the same paths.
    pub fn add_shares(&mut self, shares: &[Share]) {
        for share in shares {
            let spec = MountSpec {
                source: MountSource::Share(share.directory.clone()),
                path: share.path.clone(),
                options: if share.read_only { "ro" } else { "" }.to_owned(),
            };
            self.put_mount(spec);
            self.require(SHARE);
            self.require(MOUNTS);
        }
    }

    /// Adds what is on disks that `--disk` mounts, likewise.
    pub fn add_disks(&mut self, disks: &[Disk]) {
        for (index, disk) in disks.iter().enumerate() {
            let Some(path) = disk.mount.clone() else { continue };
            let library = Spanned::implied(ON_DISKS.to_owned());
            self.put_mount(MountSpec {
                source: MountSource::Library(library.clone(), format!("blk{index}")),
                path,
                options: if disk.read_only { "ro" } else { "" }.to_owned(),
            });
            self.libraries.push(library);
            self.require(MOUNTS);
        }
        let on_disks = |m: &&MountSpec| matches!(&m.source, MountSource::Library(kind, _) if kind.value == ON_DISKS);
        let mut mounts = self.mounts.iter().filter(on_disks).peekable();
        if mounts.peek().is_some() && mounts.all(MountSpec::is_read_only) {
            // What is set elsewhere comes later, and counts.
            let setting = Setting {
                library: Spanned::implied(ON_DISKS.to_owned()),
                option: Spanned::implied("write".to_owned()),
                value: SettingValue::Text("false".to_owned()),
            };
            self.settings.insert(0, setting);
        }
    }

    /// In place of what was mounted at the same path.
    fn put_mount(&mut self, spec: MountSpec) {
        match self.mounts.iter_mut().find(|m| m.path == spec.path) {
            Some(mount) => *mount = spec,
            None => self.mounts.push(spec),
        }
    }
}

impl MountSpec {
    /// Whether nothing in it can be changed.
    pub fn is_read_only(&self) -> bool {
        self.options.split(',').any(|option| option == "ro")
    }

    /// A line of the table, with this source and type (fstab(5)).
    pub fn entry(&self, source: &str, kind: &str) -> String {
        let path = escape(self.path.as_bytes());
        let options = if self.options.is_empty() { "defaults" } else { &self.options };
        format!("{source} {path} {kind} {options}")
    }

    /// The line of a file system that is the image's own.
    pub fn own_entry(&self) -> Option<String> {
        match &self.source {
            MountSource::Share(_) => None,
            MountSource::Library(kind, source) => {
                Some(self.entry(&escape(source.as_bytes()), &kind.value))
            }
        }
    }
}

/// A field of the table: other bytes than plain ones in octal.
pub fn escape(bytes: &[u8]) -> String {
    let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b';' | b'\\' | b'\'' | b'"');
    let mut out = String::new();
    for &byte in bytes {
        if plain(byte) {
            out.push(byte.into());
        } else {
            out.push_str(&format!("\\{byte:03o}"));
        }
    }
    out
}
