//! What programs read in /proc: the process, CPUs, memory, mounts, limits of the system.
//!
//! ```no_run
//! # fn boot() -> &'static ukplat::BootInfo { unimplemented!() }
//! // The image does this when it boots.
//! posix_proc::init(boot())?;
//! # Ok::<(), ukplat::InitError>(())
//! ```
//!
//! See proc(5). `/proc/self` has `cmdline`, `comm`, `cwd`, `exe`, `fd`, `maps`, `root`, `stat`, `statm`,
//! `status` and `task`; beside it are `cpuinfo`, `filesystems`, `loadavg`, `meminfo`, `mounts`, `stat`, `uptime`,
//! `version`, and settings below `sys`. With the option `counters`, `/proc/syscalls` has a line for each
//! call that was made: its number, its name, how often.
//!
//! The program is part of the image: `exe` leads to a name under which there is no file.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod descriptors;
mod process;
mod system;
#[cfg(test)]
mod tests;
mod threads;

use procfs::{Content, register, text};
use ukplat::{BootInfo, InitError};

use Content::{Directory, Family, Link, Setting, Text};

fn files() -> [(&'static str, Content); 33] {
    [
        ("self", Link(|| text(format_args!("1")))),
        ("thread-self", Link(threads::this)),
        ("1/cmdline", Text(process::command_line)),
        ("1/comm", Setting(process::name, process::set_name)),
        ("1/cwd", Link(process::working_directory)),
        ("1/exe", Link(process::executable)),
        ("1/fd", Directory(&descriptors::Descriptors)),
        ("1/maps", Text(process::mappings)),
        ("1/mounts", Text(system::mounts)),
        ("1/root", Link(|| text(format_args!("/")))),
        ("1/stat", Text(process::stat)),
        ("1/statm", Text(process::memory_pages)),
        ("1/status", Text(process::status)),
        ("1/task", Family(&threads::Threads)),
        ("cpuinfo", Text(system::cpus)),
        ("filesystems", Text(system::file_systems)),
        ("loadavg", Text(|out| writeln!(out, "0.00 0.00 0.00 1/1 1"))),
        ("meminfo", Text(system::memory)),
        ("mounts", Link(|| text(format_args!("self/mounts")))),
        ("stat", Text(system::stat)),
        ("uptime", Text(system::uptime)),
        ("version", Text(system::version)),
        ("sys/fs/file-max", Text(|out| writeln!(out, "{}", fdtab::MAX_LIMIT))),
        ("sys/fs/nr_open", Text(|out| writeln!(out, "{}", fdtab::MAX_LIMIT))),
        ("sys/kernel/hostname", Setting(system::host_name, system::set_host_name)),
        ("sys/kernel/osrelease", Text(|out| writeln!(out, "{}", posix_process::RELEASE))),
        ("sys/kernel/ostype", Text(|out| writeln!(out, "Linux"))),
        ("sys/kernel/pid_max", Text(|out| writeln!(out, "4194304"))),
        ("sys/kernel/random/boot_id", Text(system::boot_id)),
        ("sys/kernel/random/entropy_avail", Text(|out| writeln!(out, "256"))),
        ("sys/kernel/random/uuid", Text(|out| system::write_uuid(out, system::new_uuid()))),
        ("sys/vm/max_map_count", Text(|out| writeln!(out, "65530"))),
        // Memory is taken when it is mapped.
        ("sys/vm/overcommit_memory", Text(|out| writeln!(out, "2"))),
    ]
}

/// Boot phase `proc`.
///
/// # Errors
/// Somebody else has registered one of the files.
pub fn init(_boot: &'static BootInfo) -> Result<(), InitError> {
    const ERROR: InitError = InitError::new("a file of /proc is registered twice");
    for (path, content) in files() {
        register(path, content).map_err(|_| ERROR)?;
    }
    #[cfg(feature = "counters")]
    register("syscalls", Text(system::calls)).map_err(|_| ERROR)?;
    Ok(())
}
