//! The process.

use alloc::format;
use alloc::vec::Vec;
use core::fmt::{Result, Write};

use posix_time::{Clock, NANOSECONDS};
use syscall_shim::Errno;
use ukplat::BootInfo;

use crate::threads::name_of;

const PAGE: usize = posix_mmap::PAGE;
/// Ticks of a second, as programs expect them.
const TICKS: u64 = 100;

fn image() -> &'static str {
    ukboot::image().map_or("image", |image| image.name)
}

/// Name and arguments, each with a zero byte behind it.
pub fn command_line(out: &mut dyn Write) -> Result {
    write!(out, "{}\0", image())?;
    let given = BootInfo::get().map_or(&[][..], BootInfo::arguments);
    let default = ukboot::image().map_or(&[][..], |image| image.default_arguments);
    for argument in if given.is_empty() { default } else { given } {
        write!(out, "{argument}\0")?;
    }
    Ok(())
}

/// The first thread, whose number is that of the process.
const FIRST: u64 = posix_thread::FIRST as u64;

fn thread_name() -> alloc::string::String {
    name_of(posix_thread::FIRST)
}

pub fn name(out: &mut dyn Write) -> Result {
    writeln!(out, "{}", thread_name())
}

pub fn set_name(text: &[u8]) -> core::result::Result<(), Errno> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    posix_thread::set_name_of(posix_thread::FIRST, text)
}

pub fn executable() -> Vec<u8> {
    format!("/{}", image()).into_bytes()
}

pub fn working_directory() -> Vec<u8> {
    let path = posix_files::context().and_then(|files| files.path_of(&files.working));
    path.unwrap_or_else(|_| b"/".to_vec())
}

/// Bytes of memory in use, and those that can be.
fn bytes() -> (usize, usize) {
    let memory = posix_process::memory();
    (memory.used, memory.total)
}

/// The image's variables, and what the program has mapped; protection as it was asked for.
pub fn mappings(out: &mut dyn Write) -> Result {
    if let Some(boot) = BootInfo::get() {
        let data = &boot.data;
        writeln!(out, "{:08x}-{:08x} rw-p 00000000 00:00 0 /{}", data.start, data.end, image())?;
    }
    for (range, protection) in posix_mmap::mappings() {
        let flag = |bit: u32, letter: char| if protection & bit != 0 { letter } else { '-' };
        let (read, write, run) = (flag(1, 'r'), flag(2, 'w'), flag(4, 'x'));
        writeln!(
            out,
            "{:08x}-{:08x} {read}{write}{run}p 00000000 00:00 0",
            range.start, range.end
        )?;
    }
    Ok(())
}

pub fn stat(out: &mut dyn Write) -> Result {
    write_stat(FIRST, Clock::Process, out)
}

pub fn stat_of(thread: u64, out: &mut dyn Write) -> Result {
    write_stat(thread, Clock::Thread(thread as i32), out)
}

/// Fields as proc(5) numbers them, from 3 on; those that nothing here stands for are 0.
fn write_stat(thread: u64, clock: Clock, out: &mut dyn Write) -> Result {
    let (used, total) = bytes();
    let ticks = clock.now_ns() / (NANOSECONDS / TICKS);
    let threads = posix_thread::count();
    let mut fields = [0u64; 53];
    fields[5] = 1;
    fields[6] = 1;
    fields[14] = ticks;
    fields[18] = 20;
    fields[20] = threads as u64;
    fields[23] = total as u64;
    fields[24] = (used / PAGE) as u64;
    fields[25] = u64::MAX;
    write!(out, "{thread} ({}) R", name_of(thread as i32))?;
    for field in &fields[4..] {
        write!(out, " {field}")?;
    }
    writeln!(out)
}

pub fn memory_pages(out: &mut dyn Write) -> Result {
    let (used, total) = bytes();
    writeln!(out, "{} {} 0 0 0 {} 0", total / PAGE, used / PAGE, used / PAGE)
}

pub fn status(out: &mut dyn Write) -> Result {
    status_of(FIRST, out)
}

pub fn status_of(thread: u64, out: &mut dyn Write) -> Result {
    let (used, total) = bytes();
    let [user, effective, saved] = posix_process::user();
    let [group, effective_group, saved_group] = posix_process::group();
    let cpus = u64::MAX >> (u64::BITS - ukplat::cpu_count().clamp(1, 64) as u32);
    writeln!(out, "Name:\t{}", name_of(thread as i32))?;
    writeln!(out, "State:\tR (running)\nTgid:\t1\nPid:\t{thread}\nPPid:\t0\nTracerPid:\t0")?;
    writeln!(out, "Uid:\t{user}\t{effective}\t{saved}\t{effective}")?;
    writeln!(out, "Gid:\t{group}\t{effective_group}\t{saved_group}\t{effective_group}")?;
    writeln!(out, "FDSize:\t{}", fdtab::TABLE.limit())?;
    writeln!(out, "VmPeak:\t{:8} kB\nVmSize:\t{:8} kB", total / 1024, total / 1024)?;
    writeln!(out, "VmHWM:\t{:8} kB\nVmRSS:\t{:8} kB", used / 1024, used / 1024)?;
    writeln!(out, "Threads:\t{}", posix_thread::count())?;
    writeln!(out, "Cpus_allowed:\t{cpus:x}")
}
