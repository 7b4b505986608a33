//! Reads and writes ext4 on disks, with its journal; reads ext2 and ext3.
//!
//! ```
//! # let folder = tempfile::tempdir()?;
//! # std::fs::create_dir_all(folder.path().join("tree/etc"))?;
//! # std::fs::write(folder.path().join("tree/etc/motd"), "Hello from the disk\n")?;
//! # let path = folder.path().join("image");
//! # let tool = std::process::Command::new("mke2fs")
//! #     .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
//! #     .args(["-q", "-F", "-t", "ext4", "-d"])
//! #     .args([folder.path().join("tree").as_path(), &path])
//! #     .arg("4M")
//! #     .status();
//! # if tool.is_err() {
//! #     eprintln!("NOT TESTED: there is no mke2fs here");
//! #     return Ok(());
//! # }
//! # let image = std::fs::read(path)?;
//! use ext4::Ext4;
//! use ukfile::OpenFlags;
//! use vfs::{Context, Location, Mount, MountFlags};
//!
//! // In an image the source is a disk: `ukblkdev::disk("blk0")`.
//! let fs = Ext4::new(Box::new(image))?;
//! let mount = Mount::new(fs, b"blk0", MountFlags::READ_ONLY)?;
//! let files = Context::new(Location::root_of(mount));
//! let motd = files.open(None, b"/etc/motd", OpenFlags::READ_ONLY, 0)?;
//! let mut text = [0; 100];
//! let length = motd.read(&mut [&mut text])?;
//! assert_eq!(&text[..length], b"Hello from the disk\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Ext4::new`] is for reading: nothing is written, whatever is called. [`Ext4::writable`] is for what
//! has a journal and extents.
//!
//! - Metadata is changed in memory, in transactions, which go to the journal and then to their
//!   places; data waits in memory too, and is on the disk before what leads to it. A crash leaves what
//!   was committed.
//! - A journal that was not finished is replayed or, for reading, read as if it had been.
//! - Sparse files, extents that were reserved and not written, indirect blocks, blocks of 1 to
//!   64 KiB; the numbers of files, their links, owners and times are the disk's.
//! - Checksums of metadata (`metadata_csum`) are checked. What contradicts itself is `EUCLEAN`, never
//!   a panic; a file system with a feature that is not known here is refused by name.
//! - Names in directories of more than one block are found by the hash trees that these have.
//!
//! From the disk up: `cache` and `waiting` (what was read and written lately), `volume` (blocks, inodes), `transaction` and
//! `log` (changes and the journal), `group`, `allocate` and `draft` (blocks and inodes that are taken
//! and given back), `extents` and `content` (files), `directory` and `names` (blocks of entries), `index`,
//! `insert`, `order`, `chain`, `alike` and `hash` (hash trees of directories), `tree` (names and inodes), `orphans`,
//! `node` and `fs` (the tree of files), `committer` (what waits is committed).
//!
//! Structures and names are those of Linux's *ext4 Data Structures and Algorithms*
//! (Documentation/filesystems/ext4) and of jbd2 there.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod alike;
mod allocate;
mod bytes;
mod cache;
mod chain;
mod claim;
#[cfg_attr(not(feature = "threads"), path = "no_committer.rs")]
mod committer;
mod content;
mod directory;
mod draft;
mod error;
mod extents;
mod fs;
mod group;
mod hash;
mod index;
mod inode;
mod insert;
mod journal;
mod log;
mod map;
mod names;
mod node;
mod order;
mod orphans;
mod superblock;
mod transaction;
mod tree;
mod volume;
mod waiting;

pub use cache::Source;
pub use error::Ext4Error;
pub use fs::{Ext4, KIND};
