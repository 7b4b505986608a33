//! For tests of file systems: the same operations there and on the host's file system must have the
//! same results.
//!
//! ```no_run
//! use proptest::prelude::*;
//! # fn some_file_system() -> std::sync::Arc<dyn vfs::FileSystem> { unimplemented!() }
//!
//! proptest! {
//!     #[test]
//!     fn the_host_gives_the_same_results(steps in vfscheck::steps()) {
//!         vfscheck::compare(some_file_system(), &vfscheck::Abilities::ALL, &steps)?;
//!     }
//! }
//! # fn main() {}
//! ```
//!
//! Paths are made of few names, so that operations meet each other. All happens far below the root
//! of the file system, and of a temporary folder, so that `..` never leaves them. Results, error
//! numbers, and all metadata of the whole tree are compared after each step.
#![forbid(unsafe_code)]

mod host;
mod moved;
mod ours;
mod steps;

use std::sync::Arc;

use proptest::prelude::*;
use rustix::fs::{self as host_fs, Mode, OFlags};
use vfs::FileSystem;

use host::Host;
pub use host::folder;
pub use moved::moved_outside;
use ours::Ours;
use steps::Step;

/// More than symbolic links can go up.
const DEPTH: usize = 100;
/// A moment long ago that all times are set to, so that changes show.
const LONG_AGO: i64 = 1_000_000_000;
const SLOTS: usize = 3;

/// What a file system can do that not all can. Steps that need what is missing are left out.
#[derive(Clone, Copy, Debug)]
pub struct Abilities {
    /// `O_TMPFILE`.
    pub temporary_files: bool,
    /// `fallocate`.
    pub allocates: bool,
    /// `SEEK_HOLE` and `SEEK_DATA` tell where holes are.
    pub holes: bool,
    /// `RENAME_EXCHANGE`.
    pub exchanges: bool,
    /// Files may have set-user-ID and set-group-ID.
    pub set_id: bool,
    /// Sizes of directories, and storage of files, are those of Linux's tmpfs.
    pub sizes: bool,
    /// Bytes that a file can have; steps that go beyond are left out.
    pub most_bytes: i64,
}

impl Abilities {
    /// Everything.
    pub const ALL: Self = Self {
        temporary_files: true,
        allocates: true,
        holes: true,
        exchanges: true,
        set_id: true,
        sizes: true,
        most_bytes: i64::MAX,
    };
}

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Steps(Vec<Step>);

/// Up to 60 steps.
pub fn steps() -> impl Strategy<Value = Steps> {
    prop::collection::vec(steps::step(), 1..60).prop_map(Steps)
}

/// What both sides are compared by.
type Outcome = Result<String, i32>;

fn bytes(length: usize, salt: u64) -> Vec<u8> {
    (0..length as u64).map(|n| (n.wrapping_mul(31) ^ salt ^ n >> 8) as u8).collect()
}

/// Positions in directories are each system's own.
fn position_of(position: u64, directory: bool) -> String {
    if directory { String::new() } else { position.to_string() }
}

fn base_path() -> Vec<u8> {
    b"d/".repeat(DEPTH)
}

/// Does the steps with a file system that is empty, and on the host.
///
/// # Errors
/// The first difference.
pub fn compare(
    file_system: Arc<dyn FileSystem>,
    abilities: &Abilities,
    steps: &Steps,
) -> Result<(), TestCaseError> {
    // Permissions of new files are compared as they are asked for.
    rustix::process::umask(Mode::from_raw_mode(0o022));
    let (mut host, mut ours) = (Host::new(), Ours::new(file_system));
    host.in_memory &= abilities.sizes;
    let in_memory = host.in_memory;
    for (index, step) in steps.0.iter().enumerate().filter(|(_, step)| step.is_for(abilities)) {
        let salt = index as u64 * 7;
        let theirs: Outcome = host.run(step, salt).map_err(|e| e.raw_os_error());
        let mine: Outcome = ours.run(step, salt, in_memory).map_err(|e| e.number().into());
        prop_assert_eq!(&mine, &theirs, "step {}: {:?}\nleft: here, right: the host", index, step);
        let (mut a, mut b) = (Vec::new(), Vec::new());
        let base = host_fs::openat(&host.base, ".", OFlags::DIRECTORY, Mode::empty());
        if let Ok(base) = base {
            host.tree(&base, "", &mut b);
            ours.tree(&ours.context.working.clone(), "", in_memory, &mut a);
        }
        prop_assert_eq!(a, b, "after step {}: {:?}\nleft: here, right: the host", index, step);
    }
    Ok(())
}
