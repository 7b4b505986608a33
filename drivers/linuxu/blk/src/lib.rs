//! Files of the host as block devices, for platform `linuxu`.
//!
//! The parameters `linuxu-blk.disk0` to `disk7` name the files, with `,ro` behind those that are only
//! read; `oxk run --disk FILE` sets them. A request is done, by system calls, when it is kicked.
//!
//! ```no_run
//! // With this library in the image, after boot:
//! for disk in ukblkdev::disks() {
//!     ukplat::println!("{}: {} bytes", disk.name(), disk.bytes());
//! }
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod device;

use alloc::boxed::Box;
use alloc::ffi::CString;

use ukparam::Text;
use ukplat::{BootInfo, InitError};

pub use device::{FileDisk, OpenError};

/// Parameter `linuxu-blk.disk0`.
pub static DISK0: Text = Text::new();
/// Parameter `linuxu-blk.disk1`.
pub static DISK1: Text = Text::new();
/// Parameter `linuxu-blk.disk2`.
pub static DISK2: Text = Text::new();
/// Parameter `linuxu-blk.disk3`.
pub static DISK3: Text = Text::new();
/// Parameter `linuxu-blk.disk4`.
pub static DISK4: Text = Text::new();
/// Parameter `linuxu-blk.disk5`.
pub static DISK5: Text = Text::new();
/// Parameter `linuxu-blk.disk6`.
pub static DISK6: Text = Text::new();
/// Parameter `linuxu-blk.disk7`.
pub static DISK7: Text = Text::new();

/// Boot phase `linuxu-blk`: opens the files.
///
/// # Errors
/// A file that cannot be a disk.
pub fn init(_boot: &'static BootInfo) -> Result<(), InitError> {
    let disks = [&DISK0, &DISK1, &DISK2, &DISK3, &DISK4, &DISK5, &DISK6, &DISK7];
    for word in disks.into_iter().filter_map(Text::get).filter(|word| !word.is_empty()) {
        match open(word) {
            Ok(disk) => _ = ukblkdev::register(Box::new(disk)),
            Err(error) => {
                ukplat::eprintln!("{}: {}", word, error);
                return Err(InitError::about("cannot use as a disk", word, "see above"));
            }
        }
    }
    Ok(())
}

/// `FILE[,ro]`.
fn open(word: &str) -> Result<FileDisk, OpenError> {
    let (path, read_only) = match word.strip_suffix(",ro") {
        Some(path) => (path, true),
        None => (word.strip_suffix(",rw").unwrap_or(word), false),
    };
    // Words of a command line have no zero bytes.
    FileDisk::open(&CString::new(path).unwrap_or_default(), read_only)
}
