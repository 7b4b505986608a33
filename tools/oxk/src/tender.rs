//! The tender, our own monitor: finding or building it, and the command line for an image.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::diagnostic::{Context, Diagnostic, Result};
use crate::disk::Disk;
use crate::net::Card;
use crate::project::Project;
use crate::rule::prerequisites;
use crate::share::Shared;

/// Memory of the virtual machine when nobody says.
pub const DEFAULT_MEMORY: u64 = 64 << 20;
/// The platform whose images the tender runs.
pub const PLATFORM: &str = "hvt";
/// Names the tender to use in place of the one that is built.
const VARIABLE: &str = "OXIKRAFT_TENDER";
/// Package, program and profile.
const NAME: &str = "tender";

/// Whether virtual machines can be made here.
pub fn kvm_opens() -> bool {
    std::fs::OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok()
}

/// Finds the tender: the one that `OXIKRAFT_TENDER` names, the one beside this program where both
/// are installed, or the repository's, which is built when it is not up to date.
pub fn ensure(project: &Project) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(VARIABLE).map(PathBuf::from) {
        if path.is_file() {
            return Ok(path);
        }
        let cause = format!("{VARIABLE} is {}, which is not there", path.display());
        return Err(Diagnostic::new(cause).help("unset it to use the one of the repository"));
    }
    let installed = std::env::current_exe().ok().map(|oxk| oxk.with_file_name(NAME));
    if !project.root.join("tools/tender/Cargo.toml").is_file() {
        return installed.filter(|path| path.is_file()).ok_or_else(|| {
            Diagnostic::new("cannot find the tender, which runs images for hvt")
                .help("install it beside oxk: cargo install --path tools/tender")
        });
    }
    build(&project.root)
}

fn build(root: &Path) -> Result<PathBuf> {
    let target = root.join("build/target").join(NAME);
    let program = target.join("x86_64-unknown-linux-gnu").join(NAME).join(NAME);
    if is_current(root, &program) {
        return Ok(program);
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--quiet", "--package", NAME, "--profile", NAME])
        // With a target of its own, flags do not reach build scripts.
        .args(["--target", "x86_64-unknown-linux-gnu", "--target-dir"])
        .arg(&target)
        // Linked statically it starts in half the time.
        .env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static")
        .env_remove("CARGO_BUILD_TARGET")
        .current_dir(root)
        .stdin(Stdio::null());
    let status = command.status().context("cannot start cargo")?;
    if !status.success() {
        return Err(Diagnostic::new("cannot build the tender, which runs images for hvt")
            .help("the reason is printed above; --plat linuxu does without it"));
    }
    Ok(program)
}

/// Whether the program is newer than everything that it is made of. Cargo lists the files of the
/// repository among that beside the program ("dep-info files" in its book).
fn is_current(root: &Path, program: &Path) -> bool {
    let modified = |path: &Path| path.metadata().and_then(|m| m.modified()).ok();
    let Some(built) = modified(program) else { return false };
    let Ok(list) = std::fs::read_to_string(program.with_extension("d")) else { return false };
    let mut sources: BTreeSet<PathBuf> = prerequisites(&list).into_iter().collect();
    let folders: BTreeSet<&Path> = sources.iter().filter_map(|source| source.parent()).collect();
    let manifests: Vec<PathBuf> = folders.into_iter().filter_map(manifest_of).collect();
    sources.extend(manifests);
    sources.extend(["Cargo.toml", "Cargo.lock"].map(|file| root.join(file)));
    sources.iter().all(|source| modified(source).is_some_and(|time| time < built))
}

/// The manifest of the package that a folder belongs to.
fn manifest_of(folder: &Path) -> Option<PathBuf> {
    folder.ancestors().map(|dir| dir.join("Cargo.toml")).find(|path| path.is_file())
}

/// What to start.
#[derive(Debug)]
pub struct Spec<'a> {
    /// The image.
    pub image: &'a Path,
    /// Number of CPUs.
    pub cpus: u32,
    /// Bytes of memory.
    pub memory: u64,
    /// Words of the guest's command line after its name.
    pub words: &'a [String],
    /// Initial ram disk.
    pub initrd: Option<&'a Path>,
    /// Disks.
    pub disks: &'a [Disk],
    /// Directories of the host.
    pub shared: &'a [Shared],
    /// Network cards.
    pub nets: &'a [Card],
    /// Further options of the tender.
    pub options: &'a [String],
}

impl Spec<'_> {
    /// Arguments for the tender.
    pub fn arguments(&self) -> Vec<String> {
        let mut out = vec!["--memory".to_owned(), self.memory.to_string()];
        if self.cpus > 1 {
            out.extend(["--cpus".to_owned(), self.cpus.to_string()]);
        }
        if let Some(initrd) = self.initrd {
            out.extend(["--initrd".to_owned(), initrd.to_string_lossy().into_owned()]);
        }
        for disk in self.disks {
            out.extend(["--disk".to_owned(), disk.to_string()]);
        }
        for shared in self.shared {
            let read_only = if shared.read_only { ",ro" } else { ",rw" };
            let directory = shared.directory.display();
            out.extend(["--share".to_owned(), format!("{}={directory}{read_only}", shared.tag)]);
        }
        for net in self.nets {
            out.extend(["--net".to_owned(), net.to_string()]);
        }
        out.extend(self.options.iter().cloned());
        out.push(self.image.to_string_lossy().into_owned());
        out.extend(self.words.iter().cloned());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::time::{Duration, SystemTime};

    #[test]
    fn a_program_is_old_when_anything_it_is_made_of_is_younger() {
        let dir = tempfile::tempdir().unwrap();
        let root = &dir.path().join("a repository");
        let package = |name: &str, more: &str| {
            format!("[package]\nname = \"{name}\"\nedition = \"2024\"\n{more}")
        };
        let needs =
            |other: &str| format!("[dependencies]\n{other} = {{ path = \"../{other}\" }}\n");
        let files = [
            ("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"*/\"]\n".to_owned()),
            ("program/Cargo.toml", package("program", &needs("near"))),
            ("program/src/main.rs", "fn main() { near::near() }".to_owned()),
            ("near/Cargo.toml", package("near", &needs("far"))),
            ("near/src/lib.rs", "pub fn near() { far::far() }".to_owned()),
            ("far/Cargo.toml", package("far", "")),
            ("far/src/lib.rs", "mod deep; pub use deep::far;".to_owned()),
            ("far/src/deep/mod.rs", "pub fn far() { print!(include_str!(\"said\")) }".to_owned()),
            ("far/src/deep/said", "far".to_owned()),
            ("other/Cargo.toml", package("other", "")),
            ("other/src/lib.rs", String::new()),
        ];
        for (path, content) in &files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let program = root.join("target/debug/program");
        assert!(!is_current(root, &program), "there is none");
        let built = Command::new(std::env::var_os("CARGO").unwrap())
            .args(["build", "--quiet", "--offline", "--package", "program"])
            .env_remove("CARGO_TARGET_DIR")
            .env_remove("CARGO_BUILD_TARGET")
            .current_dir(root)
            .status();
        assert!(built.unwrap().success());
        assert!(is_current(root, &program));
        for (path, _) in &files {
            let file = File::options().append(true).open(root.join(path)).unwrap();
            let before = file.metadata().unwrap().modified().unwrap();
            file.set_modified(SystemTime::now() + Duration::from_secs(60)).unwrap();
            let is_part = !path.starts_with("other/");
            assert_eq!(is_current(root, &program), !is_part, "{path} is young");
            file.set_modified(before).unwrap();
        }
        assert!(is_current(root, &program));
        fs::remove_file(root.join("far/src/deep/said")).unwrap();
        assert!(!is_current(root, &program), "one is gone");
    }
}
