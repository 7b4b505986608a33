//! The system.

use alloc::vec::Vec;
use core::fmt::{Result, Write};

use syscall_shim::Errno;
use uklock::OnceLock;
use vfs::MountFlags;

use crate::threads::write_lossy;

const SECOND: u64 = 1_000_000_000;

/// Seconds with two digits behind the point.
fn seconds(ns: u64) -> (u64, u64) {
    (ns / SECOND, ns % SECOND / 10_000_000)
}

pub fn uptime(out: &mut dyn Write) -> Result {
    let (whole, part) = seconds(posix_process::uptime_ns());
    let idle = (0..ukplat::cpu_count()).map(idle_ns).sum();
    let (idle_whole, idle_part) = seconds(idle);
    writeln!(out, "{whole}.{part:02} {idle_whole}.{idle_part:02}")
}

pub fn version(out: &mut dyn Write) -> Result {
    let own = env!("CARGO_PKG_VERSION");
    writeln!(out, "Linux version {} (Oxikraft {own})", posix_process::RELEASE)
}

pub fn memory(out: &mut dyn Write) -> Result {
    let memory = posix_process::memory();
    let line = |out: &mut dyn Write, name: &str, bytes: usize| {
        writeln!(out, "{name:<15}{:>9} kB", bytes / 1024)
    };
    line(out, "MemTotal:", memory.total)?;
    line(out, "MemFree:", memory.free)?;
    line(out, "MemAvailable:", memory.free)?;
    for name in ["Buffers:", "Cached:", "SwapCached:", "Shmem:", "SwapTotal:", "SwapFree:"] {
        line(out, name, 0)?;
    }
    writeln!(out, "HugePages_Total:       0\nHugepagesize:       2048 kB")
}

/// Bytes that CPUID gives of the name of the CPU's maker, and of the CPU.
const NAMES: (usize, usize) = (12, 48);

/// What CPUID says the CPU is called (Intel SDM volume 2, leaves 0 and 0x8000_0002 on).
#[cfg(target_arch = "x86_64")]
fn cpu_names() -> ([u8; NAMES.0], [u8; NAMES.1]) {
    use core::arch::x86_64::__cpuid;
    fn put(words: &[u32], to: &mut [u8]) {
        for (bytes, word) in to.chunks_exact_mut(4).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
    }
    let (mut vendor, mut model) = ([0; NAMES.0], [0; NAMES.1]);
    let first = __cpuid(0);
    put(&[first.ebx, first.edx, first.ecx], &mut vendor);
    if __cpuid(0x8000_0000).eax >= 0x8000_0004 {
        for (leaf, part) in (0x8000_0002..).zip(model.chunks_exact_mut(16)) {
            let found = __cpuid(leaf);
            put(&[found.eax, found.ebx, found.ecx, found.edx], part);
        }
    }
    (vendor, model)
}

#[cfg(not(target_arch = "x86_64"))]
fn cpu_names() -> ([u8; NAMES.0], [u8; NAMES.1]) {
    ([0; NAMES.0], [0; NAMES.1])
}

/// The text in what CPUID gave, which zero bytes and blanks may surround.
fn text_in(bytes: &[u8]) -> &str {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let text = core::str::from_utf8(&bytes[..end]).unwrap_or_default().trim();
    if text.is_empty() { "unknown" } else { text }
}

pub fn cpus(out: &mut dyn Write) -> Result {
    let (vendor, model) = cpu_names();
    let (vendor, model) = (text_in(&vendor), text_in(&model));
    let count = ukplat::cpu_count();
    for cpu in 0..count {
        writeln!(out, "processor\t: {cpu}\nvendor_id\t: {vendor}\nmodel name\t: {model}")?;
        writeln!(out, "physical id\t: 0\nsiblings\t: {count}\ncore id\t\t: {cpu}")?;
        writeln!(out, "cpu cores\t: {count}\n")?;
    }
    Ok(())
}

/// Nanoseconds that a CPU was idle, or not started.
fn idle_ns(cpu: usize) -> u64 {
    posix_process::uptime_ns().saturating_sub(ukplat::busy::of_cpu(cpu))
}

/// All time that a CPU is not idle counts as the program's, as on the clock of CPU time.
pub fn stat(out: &mut dyn Write) -> Result {
    const TICK: u64 = SECOND / 100;
    let count = ukplat::cpu_count();
    let busy = ukplat::busy::total_ns() / TICK;
    let idle: u64 = (0..count).map(idle_ns).sum();
    writeln!(out, "cpu  {busy} 0 0 {} 0 0 0 0 0 0", idle / TICK)?;
    for cpu in 0..count {
        let (busy, idle) = (ukplat::busy::of_cpu(cpu) / TICK, idle_ns(cpu) / TICK);
        writeln!(out, "cpu{cpu} {busy} 0 0 {idle} 0 0 0 0 0 0")?;
    }
    let boot = ukplat::wall_ns().saturating_sub(posix_process::uptime_ns()) / SECOND;
    writeln!(out, "btime {boot}\nprocesses 1\nprocs_running 1\nprocs_blocked 0")
}

pub fn file_systems(out: &mut dyn Write) -> Result {
    let mut result = Ok(());
    vfs::registered(&mut |kind| {
        let device = if kind.virtual_only { "nodev" } else { "" };
        for name in kind.names() {
            result = result.and_then(|()| writeln!(out, "{device}\t{name}"));
        }
    });
    result
}

/// Blanks and what else would end a field, as getmntent(3) reads them.
fn escape(out: &mut dyn Write, bytes: &[u8]) -> Result {
    for byte in bytes {
        match byte {
            b' ' | b'\t' | b'\n' | b'\\' => write!(out, "\\{byte:03o}")?,
            _ => out.write_char(*byte as char)?,
        }
    }
    Ok(())
}

pub fn mounts(out: &mut dyn Write) -> Result {
    let (Some(root), Ok(files)) = (vfs::root(), posix_files::context()) else { return Ok(()) };
    let mut result = Ok(());
    root.mount.each(&mut |mount| {
        let at = match mount.at().map(|at| files.path_of(&at)) {
            Some(Err(Errno::ENOMEM)) => {
                result = Err(core::fmt::Error);
                return;
            }
            Some(path) => path.unwrap_or_default(),
            None => Vec::new(),
        };
        let at = if at.is_empty() { b"/" } else { &at[..] };
        let flags = mount.flags();
        let mode = if flags.contains(MountFlags::READ_ONLY) { "ro" } else { "rw" };
        result = result
            .and_then(|()| escape(out, mount.source()))
            .and_then(|()| out.write_char(' '))
            .and_then(|()| escape(out, at))
            .and_then(|()| writeln!(out, " {} {mode} 0 0", mount.kind()));
    });
    result
}

pub fn host_name(out: &mut dyn Write) -> Result {
    let name = posix_process::host_name();
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    write_lossy(&name[..end], out)?;
    out.write_char('\n')
}

pub fn set_host_name(text: &[u8]) -> core::result::Result<(), Errno> {
    posix_process::set_host_name(text.strip_suffix(b"\n").unwrap_or(text))
}

/// A random number in the form of RFC 9562, version 4.
pub fn new_uuid() -> [u8; 16] {
    let mut bytes = [0; 16];
    ukrandom::fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    bytes
}

pub fn write_uuid(out: &mut dyn Write, bytes: [u8; 16]) -> Result {
    for (index, byte) in bytes.iter().enumerate() {
        let dash = if [4, 6, 8, 10].contains(&index) { "-" } else { "" };
        write!(out, "{dash}{byte:02x}")?;
    }
    writeln!(out)
}

pub fn boot_id(out: &mut dyn Write) -> Result {
    static ID: OnceLock<[u8; 16]> = OnceLock::new();
    write_uuid(out, *ID.get_or_init(new_uuid))
}

/// How often calls were made, and those that nobody handles.
#[cfg(feature = "counters")]
pub fn calls(out: &mut dyn Write) -> Result {
    for (number, count) in syscall_shim::calls() {
        let name = syscall_shim::nr::name(number).unwrap_or("-");
        writeln!(out, "{number} {name} {count}")?;
    }
    for (number, count) in syscall_shim::missing() {
        let name = syscall_shim::nr::name(number).unwrap_or("-");
        writeln!(out, "{number} {name} {count} ENOSYS")?;
    }
    Ok(())
}
