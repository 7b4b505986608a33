//! QEMU: finding or installing it, and the command line for an image.

pub mod monitor;

use std::fmt;
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use crate::diagnostic::{Context as _, Diagnostic, Result};
use crate::disk::Disk;
use crate::install::{Installation, in_path, is_root};
use crate::net::{self, Card};
use crate::run::quote;
use crate::share::Shared;

/// Memory of the virtual machine when nobody says.
pub const DEFAULT_MEMORY: u64 = 64 << 20;
/// The guest writes its exit code, one byte, to this I/O port …
pub const CODE_PORT: u16 = 0x500;
/// … and then anything here to end QEMU at once.
pub const EXIT_PORT: u16 = 0xf4;
/// Size of the buffer in QEMU's firmware that takes the command line to a PVH image, with the zero
/// byte at its end. The firmware does not check: what is longer overwrites its start info.
const MAX_COMMAND_LINE: usize = 4 << 10;
/// Length of a socket's path at most (unix(7)), without the zero byte at its end.
const MAX_SOCKET: usize = 107;

/// Machine models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Model {
    /// A PC with PCI Express and ACPI
    #[default]
    Q35,
    /// Minimal machine with virtio-mmio, after Firecracker
    Microvm,
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Model::Q35 => "q35",
            Model::Microvm => "microvm",
        })
    }
}

/// How the guest's instructions are executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Accel {
    /// KVM where /dev/kvm opens and this is not itself a virtual machine, else TCG
    #[default]
    Auto,
    /// Hardware virtualisation
    Kvm,
    /// Translation in software
    Tcg,
}

impl fmt::Display for Accel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Accel::Auto => "automatic acceleration",
            Accel::Kvm => "KVM",
            Accel::Tcg => "software emulation (TCG)",
        })
    }
}

impl Accel {
    /// Replaces `Auto` by what this machine can do well. Nested virtualisation is often software
    /// in disguise and slower than TCG, so it is taken only when asked for.
    pub fn decide(self) -> Self {
        if self != Accel::Auto {
            return self;
        }
        let opens = std::fs::OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok();
        let nested = std::fs::read_to_string("/proc/cpuinfo")
            .is_ok_and(|text| text.split_whitespace().any(|word| word == "hypervisor"));
        if opens && !nested { Accel::Kvm } else { Accel::Tcg }
    }
}

/// The QEMU program for an architecture.
fn program(arch: &str) -> String {
    std::env::var("OXIKRAFT_QEMU").unwrap_or_else(|_| format!("qemu-system-{arch}"))
}

/// Finds QEMU in the search path.
pub fn find(arch: &str) -> Result<PathBuf> {
    let program = program(arch);
    let found = if program.contains('/') {
        Some(PathBuf::from(&program)).filter(|p| p.is_file())
    } else {
        in_path(&program)
    };
    found.ok_or_else(|| {
        let way_out = installation(arch).map_or_else(
            || format!("install a package with the program qemu-system-{arch}"),
            |known| format!("install it: {}", known.shell_line(is_root())),
        );
        Diagnostic::new(format!("cannot find {program}, which runs images for kvm")).help(way_out)
    })
}

/// How this system installs QEMU for an architecture.
fn installation(arch: &str) -> Option<Installation> {
    Installation::find(|manager| package(arch, manager))
}

/// Its name in the lists of a package manager.
fn package(arch: &str, manager: &str) -> String {
    let is_x86 = arch == "x86_64";
    let (x86_or_arm, x86_or_arch) = if is_x86 { ("x86", "x86") } else { ("arm", arch) };
    match manager {
        "dnf" => format!("qemu-system-{x86_or_arch}-core"),
        "pacman" => format!("qemu-system-{x86_or_arch}"),
        "zypper" => format!("qemu-{x86_or_arm}"),
        "apk" => format!("qemu-system-{arch}"),
        _ => format!("qemu-system-{x86_or_arm}"),
    }
}

/// Makes sure that QEMU is there: installs it when this user may, else says how.
pub fn ensure(arch: &str) -> Result<PathBuf> {
    let missing = match find(arch) {
        Ok(path) => return Ok(path),
        Err(missing) => missing,
    };
    // Who named a program of their own wants no other.
    let known = installation(arch).filter(|_| std::env::var_os("OXIKRAFT_QEMU").is_none());
    match known {
        Some(known) if known.try_run() => find(arch),
        _ => Err(missing),
    }
}

/// Files by which a machine and who started it talk; removed with this.
#[derive(Debug)]
pub struct Files {
    code: TempPath,
    monitor: Option<TempPath>,
}

/// The same, to stay: where the exit code will be, and the socket of the monitor.
pub type Kept = (PathBuf, Option<PathBuf>);

impl Files {
    /// Files of names that nobody else uses.
    pub fn new() -> Result<Self> {
        let code = tempfile::Builder::new().prefix("oxk-").tempfile();
        let code = code.context("cannot make a file")?.into_temp_path();
        let monitor = code.with_extension("monitor");
        let monitor = if monitor.as_os_str().len() <= MAX_SOCKET {
            Some(TempPath::try_from_path(monitor).context("cannot name a socket")?)
        } else {
            None
        };
        Ok(Self { code, monitor })
    }

    /// Where the machine leaves the exit code.
    pub fn code(&self) -> &Path {
        &self.code
    }

    /// The socket of the machine's monitor; `None` where its path is too long for one.
    pub fn monitor(&self) -> Option<&Path> {
        self.monitor.as_deref()
    }

    /// Lets them stay.
    pub fn keep(self) -> Result<Kept> {
        let doing = "cannot keep a file";
        let monitor = self.monitor.map(TempPath::keep).transpose().context(doing)?;
        Ok((self.code.keep().context(doing)?, monitor))
    }
}

/// What to start.
#[derive(Debug)]
pub struct Spec<'a> {
    /// The image.
    pub image: &'a Path,
    /// Machine model.
    pub model: Model,
    /// Decided acceleration.
    pub accel: Accel,
    /// Number of CPUs.
    pub cpus: u32,
    /// Bytes of memory.
    pub memory: u64,
    /// The guest's command line.
    pub words: &'a [String],
    /// Initial ram disk.
    pub initrd: Option<&'a Path>,
    /// Disks.
    pub disks: &'a [Disk],
    /// Directories of the host.
    pub shared: &'a [Shared],
    /// Network cards.
    pub nets: &'a [Card],
    /// Files for the exit code and the monitor.
    pub files: &'a Files,
}

impl Spec<'_> {
    /// Arguments for QEMU.
    pub fn arguments(&self) -> Result<Vec<String>> {
        let command_line: Vec<String> = self.words.iter().map(|w| quote(w)).collect();
        let command_line = command_line.join(" ");
        if command_line.len() >= MAX_COMMAND_LINE {
            return Err(Diagnostic::new(format!(
                "the command line has {} bytes, QEMU passes on less than {MAX_COMMAND_LINE}",
                command_line.len()
            ))
            .help("pass long input in an initial ram disk (--initrd)"));
        }
        if let Some(word) = self.words.iter().find(|w| w.contains('\0')) {
            return Err(Diagnostic::new(format!("the argument {word:?} contains a zero byte")));
        }
        let needed = self.needed_memory()?;
        if self.memory < needed {
            return Err(Diagnostic::new(format!(
                "{} of memory are too small: the image and its ram disk need {}",
                crate::build::human_size(self.memory),
                crate::build::human_size(needed)
            ))
            .help("give more with --memory"));
        }
        let mut out: Vec<String> = Vec::new();
        let mut arg = |words: &[&str]| out.extend(words.iter().map(|w| (*w).to_owned()));
        let (accel, cpu) = match self.accel {
            Accel::Kvm => ("kvm", "host,-arch-capabilities"),
            _ => ("tcg", "max"),
        };
        let memory_kib = self.memory.div_ceil(1 << 10);
        arg(&["-M", &self.model.to_string(), "-accel", accel, "-cpu", cpu]);
        arg(&["-m", &format!("{memory_kib}K"), "-smp", &self.cpus.to_string()]);
        arg(&["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
        arg(&["-kernel", &self.image.to_string_lossy()]);
        if !command_line.is_empty() {
            arg(&["-append", &command_line]);
        }
        if let Some(initrd) = self.initrd {
            arg(&["-initrd", &initrd.to_string_lossy()]);
        }
        arg(&["-chardev", "stdio,id=console,signal=on", "-serial", "chardev:console"]);
        for (index, disk) in self.disks.iter().enumerate() {
            let id = format!("disk{index}");
            let file = value(&disk.path);
            let read_only = if disk.read_only { "on" } else { "off" };
            arg(&[
                "-drive",
                &format!("if=none,id={id},format=raw,readonly={read_only},file={file}"),
            ]);
            arg(&["-device", &self.virtio("blk", index, &format!("drive={id}"))]);
        }
        for (index, shared) in self.shared.iter().enumerate() {
            let (id, path) = (&shared.tag, value(&shared.directory));
            let read_only = if shared.read_only { ",readonly=on" } else { "" };
            // Files are made as whoever runs the machine; numbers of other file systems below are
            // kept apart.
            let backend =
                format!("local,id={id},path={path},security_model=none,multidevs=remap{read_only}");
            arg(&["-fsdev", &backend]);
            let options = format!("fsdev={id},mount_tag={id}");
            arg(&["-device", &self.virtio("9p", self.disks.len() + index, &options)]);
        }
        let others = self.disks.len() + self.shared.len();
        for (index, card) in self.nets.iter().enumerate() {
            let (netdev, options) = net::qemu(card, index);
            arg(&["-netdev", &netdev]);
            arg(&["-device", &self.virtio("net", others + index, &options)]);
        }
        if self.model == Model::Microvm {
            arg(&["-global", "virtio-mmio.force-legacy=false"]);
        }
        if let Some(monitor) = self.files.monitor() {
            arg(&["-qmp", &format!("unix:{},server=on,wait=off", value(monitor))]);
        }
        let code_file = value(self.files.code());
        arg(&["-chardev", &format!("file,id=code,path={code_file}")]);
        arg(&["-device", &format!("isa-debugcon,iobase={CODE_PORT:#x},chardev=code")]);
        arg(&["-device", &format!("isa-debug-exit,iobase={EXIT_PORT:#x},iosize=4")]);
        Ok(out)
    }

    /// A virtio device, which the image finds as number `index`.
    fn virtio(&self, kind: &str, index: usize, options: &str) -> String {
        match self.model {
            // By default the machine fills its places from the last one on. The interrupt of the
            // first one is lost: QEMU takes line 0 of its second I/O APIC for that of a PC's timer.
            Model::Microvm => {
                format!("virtio-{kind}-device,bus=virtio-mmio-bus.{},{options}", index + 1)
            }
            Model::Q35 => format!("virtio-{kind}-pci,disable-legacy=on,{options}"),
        }
    }

    /// Bytes that the machine must have for image and ram disk to fit.
    fn needed_memory(&self) -> Result<u64> {
        let bytes = std::fs::read(self.image)
            .map_err(|e| Diagnostic::new(format!("cannot read {}: {e}", self.image.display())))?;
        let end = image_end(&bytes).ok_or_else(|| {
            Diagnostic::new(format!("{} is not a bootable image", self.image.display()))
                .help("build it again: oxk build APP --plat kvm")
        })?;
        let initrd = match self.initrd {
            None => 0,
            Some(path) => std::fs::metadata(path).map(|m| m.len()).map_err(|e| {
                Diagnostic::new(format!("cannot read the initial ram disk {}: {e}", path.display()))
                    .help("give an existing file with --initrd")
            })?,
        };
        Ok(end + initrd.next_multiple_of(4096))
    }
}

/// A path as the value of an option: a comma is written twice.
pub fn value(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

/// End of the highest loaded segment, as a physical address.
fn image_end(elf: &[u8]) -> Option<u64> {
    use object::read::elf::{FileHeader, ProgramHeader};
    let header = object::elf::FileHeader64::<object::Endianness>::parse(elf).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, elf).ok()?;
    segments
        .iter()
        .filter(|s| s.p_type(endian) == object::elf::PT_LOAD)
        .map(|s| s.p_paddr(endian).checked_add(s.p_memsz(endian)))
        .try_fold(0, |max, end| end.map(|e| max.max(e)))
        .filter(|end| *end > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_system_has_its_package() {
        for (manager, x86, arm) in [
            ("apt-get", "qemu-system-x86", "qemu-system-arm"),
            ("dnf", "qemu-system-x86-core", "qemu-system-aarch64-core"),
            ("pacman", "qemu-system-x86", "qemu-system-aarch64"),
            ("zypper", "qemu-x86", "qemu-arm"),
            ("apk", "qemu-system-x86_64", "qemu-system-aarch64"),
        ] {
            assert_eq!(package("x86_64", manager), x86);
            assert_eq!(package("aarch64", manager), arm);
        }
    }

    proptest! {
        #[test]
        fn the_end_of_any_file_can_be_asked_for(bytes in prop::collection::vec(any::<u8>(), 0..300), damage: bool) {
            let mut elf = bytes;
            if damage && elf.len() > 64 {
                elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
                // One to four program headers behind the header.
                elf[32..40].copy_from_slice(&64u64.to_le_bytes());
                let count = elf[56] % 4;
                elf[54..58].copy_from_slice(&[56, 0, count, 0]);
            }
            let _ = image_end(&elf);
        }
    }
}
