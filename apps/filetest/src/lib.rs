//! Self-test of files: run inside an image by the tests.
//!
//! ```console
//! $ cargo oxk run apps/filetest
//! files: ok
//! ```
#![no_std]
#![forbid(unsafe_code)]

mod share;

use ukerrno::Errno;
use ukfile::{Description, OpenFlags};
use vfs::{Context, Follow, RenameFlags};

const CREATE: OpenFlags = OpenFlags::READ_WRITE.union(OpenFlags::CREATE);

/// Uses files as a program does, and says what went wrong; with a path as argument it prints that
/// file, with a word before it it does that with a directory of the host.
pub fn main(arguments: &[&str]) -> Result<(), Errno> {
    let files = posix_files::context()?;
    match arguments {
        [] => {
            tree(&files)?;
            full(&files)?;
        }
        [path] => return print(&files, path.as_bytes()),
        ["share", path] => share::use_it(&files, path)?,
        ["only-read", path] => share::only_read(&files, path)?,
        ["wait", path] => share::wait_and_end(&files, path)?,
        ["lock", path] => share::lock(&files, path)?,
        ["escape", path] => share::escape(&files, path)?,
        _ => return Err(Errno::EINVAL),
    }
    // What descriptor 1 stands for.
    let console: &Description = &*posix_files::descriptor(1)?;
    console.write(&[b"files: ", b"ok\n"])?;
    Ok(())
}

fn print(files: &Context, path: &[u8]) -> Result<(), Errno> {
    let file = files.open(None, path, OpenFlags::empty(), 0)?;
    let (console, mut bytes) = (posix_files::descriptor(1)?, [0; 100]);
    loop {
        match file.read(&mut [&mut bytes])? {
            0 => return Ok(()),
            read => console.write(&[&bytes[..read]])?,
        };
    }
}

#[track_caller]
fn check(what: bool) -> Result<(), Errno> {
    if what {
        return Ok(());
    }
    ukplat::eprintln!("not as it should be: {}", core::panic::Location::caller());
    Err(Errno::EIO)
}

fn tree(files: &Context) -> Result<(), Errno> {
    files.make_directory(None, b"/data", 0o755)?;
    let file = files.open(None, b"/data/new", CREATE, 0o644)?;
    check(file.write(&[b"one ", b"two"])? == 7)?;
    let none = RenameFlags::empty();
    files.rename((None, b"/data/new"), (None, b"/data/log"), none)?;
    files.make_symlink(b"data/log", None, b"/link")?;
    let mut text = [0; 7];
    let link = files.open(None, b"/link", OpenFlags::empty(), 0)?;
    check(link.read(&mut [&mut text])? == 7 && &text == b"one two")?;
    check(files.remove_directory(None, b"/data") == Err(Errno::ENOTEMPTY))?;
    check(files.metadata(None, b"/dev/null", Follow::Yes)?.special == 0x103)?;
    let null = files.open(None, b"/dev/null", OpenFlags::WRITE_ONLY, 0)?;
    check(null.write(&[b"gone"])? == 4)
}

/// The root file system has 1 MiB, as the manifest says.
fn full(files: &Context) -> Result<(), Errno> {
    let file = files.open(None, b"/big", CREATE, 0o644)?;
    let block = [7; 16384];
    let mut written = 0;
    let end = loop {
        match file.write(&[&block]) {
            Ok(more) => written += more,
            Err(error) => break error,
        }
    };
    check(end == Errno::ENOSPC && written == 1 << 20)?;
    files.unlink(None, b"/big")?;
    drop(file);
    let again = files.open(None, b"/big", CREATE, 0o644)?;
    check(again.write(&[&block])? == block.len())
}
