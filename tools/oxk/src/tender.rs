//! The tender, our own monitor: finding or building it, and the command line for an image.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::diagnostic::{Context, Diagnostic, Result};
use crate::disk::Disk;
use crate::net::Card;
use crate::project::Project;
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

/// What the tender is made of that changes with it.
const PACKAGES: [&str; 8] = [
    "tools/tender",
    "tools/netcard",
    "plat/hvt-abi",
    "tools/p9server",
    "fs/p9",
    "fs/hostfs",
    "fs/vfs",
    "core/ukfile",
];

/// Whether the program is newer than everything that it is made of.
fn is_current(root: &Path, program: &Path) -> bool {
    let modified = |path: &Path| path.metadata().and_then(|m| m.modified()).ok();
    let Some(built) = modified(program) else { return false };
    let mut sources: Vec<PathBuf> =
        ["Cargo.toml", "Cargo.lock"].iter().map(|file| root.join(file)).collect();
    for package in PACKAGES {
        let dir = root.join(package);
        sources.push(dir.join("Cargo.toml"));
        if add_files(&dir.join("src"), &mut sources).is_err() {
            return false;
        }
    }
    sources.iter().all(|source| modified(source).is_some_and(|time| time < built))
}

/// Adds the files of a folder and of those in it.
fn add_files(dir: &Path, to: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() { add_files(&path, to)? } else { to.push(path) }
    }
    Ok(())
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
