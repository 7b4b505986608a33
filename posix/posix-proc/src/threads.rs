//! `/proc/self/task`: the threads.

use alloc::vec::Vec;
use core::ffi::CStr;
use core::fmt::{Result, Write};

use procfs::Member;
use syscall_shim::Errno;

/// The threads of the program, by number.
pub struct Threads;

impl procfs::Family for Threads {
    fn next(&self, from: u64) -> Option<u64> {
        posix_thread::find_number(|number| number as u64 >= from).map(|number| number as u64)
    }

    fn members(&self) -> &'static [Member] {
        static MEMBERS: [Member; 3] = [
            Member { name: "comm", write: name, set: Some(set_name) },
            Member { name: "stat", write: stat, set: None },
            Member { name: "status", write: status, set: None },
        ];
        &MEMBERS
    }
}

/// Where `/proc/thread-self` leads.
pub fn this() -> core::result::Result<Vec<u8>, Errno> {
    procfs::text(format_args!("1/task/{}", posix_thread::gettid()))
}

/// Writes the name of a thread; nothing when it is gone.
pub fn write_name(thread: i32, out: &mut dyn Write) -> Result {
    let name = posix_thread::name_of(thread).unwrap_or_default();
    let text = CStr::from_bytes_until_nul(&name).unwrap_or_default();
    write_lossy(text.to_bytes(), out)
}

/// Writes bytes as text, with a sign in place of what is none.
pub fn write_lossy(bytes: &[u8], out: &mut dyn Write) -> Result {
    for chunk in bytes.utf8_chunks() {
        out.write_str(chunk.valid())?;
        if !chunk.invalid().is_empty() {
            out.write_char(char::REPLACEMENT_CHARACTER)?;
        }
    }
    Ok(())
}

fn name(thread: u64, out: &mut dyn Write) -> Result {
    write_name(thread as i32, out)?;
    out.write_char('\n')
}

fn set_name(thread: u64, text: &[u8]) -> core::result::Result<(), Errno> {
    posix_thread::set_name_of(thread as i32, text.strip_suffix(b"\n").unwrap_or(text))
}

fn stat(thread: u64, out: &mut dyn Write) -> Result {
    crate::process::stat_of(thread, out)
}

fn status(thread: u64, out: &mut dyn Write) -> Result {
    crate::process::status_of(thread, out)
}
