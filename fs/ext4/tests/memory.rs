//! With too little memory calls give `ENOMEM`, and nothing is lost: what could not be committed is
//! committed when there is memory again.

mod disks;

use disks::{Recorder, check, make, tools};
use limited_memory::{Limited, with_limit};
use ukerrno::Errno;
use ukfile::{OpenFlags, SyncKind};
use vfs::{Context, Follow, RenameFlags};

#[global_allocator]
static ALLOCATOR: Limited = Limited;

const WRITE: OpenFlags = OpenFlags::READ_WRITE.union(OpenFlags::CREATE);

type Step = fn(&Context) -> Result<(), Errno>;

/// Things that need memory. Each finds what those before it leave.
const STEPS: [Step; 6] = [
    |files| files.make_directory(None, b"/dir", 0o755),
    |files| {
        let file = files.open(None, b"/dir/file", WRITE, 0o600)?;
        match file.file().metadata()?.size {
            0 => file.write(&[&[7; 5000]]).map(drop),
            _ => Ok(()),
        }
    },
    |files| files.open(None, b"/dir/file", WRITE, 0)?.file().sync(SyncKind::All),
    |files| files.rename((None, b"/dir/file"), (None, b"/moved"), RenameFlags::empty()),
    |files| files.remove_directory(None, b"/dir"),
    |files| files.open(None, b"/moved", WRITE, 0)?.file().sync(SyncKind::All),
];

#[test]
fn what_lacked_memory_can_be_done_later() {
    if !tools() {
        return;
    }
    for shape in ["metadata_csum,64bit", "^metadata_csum,^64bit"] {
        let empty = make(&["-t", "ext4", "-b", "1024", "-O", shape], "4M");
        for limit in (0..).step_by(701) {
            let disk = Recorder::new(empty.clone());
            let (fs, files) = disk.mount();
            let mut refused = 0;
            for step in STEPS {
                match with_limit(limit, || step(&files)) {
                    Ok(()) => continue,
                    Err(error) => assert_eq!(error, Errno::ENOMEM, "{limit}"),
                }
                refused += 1;
                step(&files).unwrap_or_else(|error| panic!("{limit}: {error}"));
            }
            let size = files.metadata(None, b"/moved", Follow::No).unwrap().size;
            assert_eq!(size, 5000, "{limit}");
            drop((fs, files));
            // What could not be deleted for want of memory goes now.
            drop(disk.mount());
            if limit % 8 == 0 || refused == 0 {
                check(&disk.content()).unwrap_or_else(|error| panic!("{limit}: {error}"));
            }
            if refused == 0 {
                break;
            }
        }
    }
}
