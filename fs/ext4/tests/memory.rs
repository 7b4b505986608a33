//! With too little memory calls give `ENOMEM`, and nothing is lost: what could not be committed is
//! committed when there is memory again.

mod disks;

use std::collections::BTreeSet;

use disks::{Fault, Recorder, alike, check, debugfs, make, tools};
use limited_memory::{Limited, with_limit};
use ukerrno::Errno;
use ukfile::{OpenFlags, SyncKind};
use vfs::{Context, FileSystem as _, Follow, RenameFlags};

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

/// What is only there to be read sooner does not keep anything from being written.
#[test]
fn what_was_read_makes_room_for_a_commit() {
    if !tools() {
        return;
    }
    let disk = Recorder::new(make(&["-t", "ext4", "-b", "4096"], "16M"));
    let (fs, files) = disk.mount();
    let file = files.open(None, b"/file", WRITE, 0o600).unwrap();
    assert_eq!(file.write(&[&[7; 400 << 10]]), Ok(400 << 10));
    fs.sync().unwrap();
    for at in (0..400 << 10).step_by(4096) {
        file.read_at(at, &mut [&mut [0; 4096]], OpenFlags::empty()).unwrap();
    }
    files.make_directory(None, b"/dir", 0o755).unwrap();
    assert_eq!(with_limit(-(64 << 10), || file.file().sync(SyncKind::All)), Ok(()));
    let (_fs, after) = Recorder::new(disk.content()).mount();
    assert!(after.resolve(None, b"/dir", Follow::No).is_ok());
    // Where nothing can make room, it is so.
    files.make_directory(None, b"/other", 0o755).unwrap();
    let none = with_limit(-(1 << 20), || file.file().sync(SyncKind::All));
    assert_eq!(none, Err(Errno::ENOMEM));
}

/// What `sync` does beyond that, for which there is no memory, can be done at any other time.
#[test]
fn what_is_in_the_journal_is_safe() {
    if !tools() {
        return;
    }
    // For anything; for the first write, which is of blocks to their places; for a later one.
    let (none, enough) = (-(1 << 20), 1 << 20);
    for (limit, fault) in [(none, None), (enough, Some(0)), (enough, Some(2))] {
        let disk = Recorder::new(make(&["-t", "ext4", "-b", "4096"], "16M"));
        let (fs, files) = disk.mount();
        files.make_directory(None, b"/dir", 0o755).unwrap();
        fs.root().sync(SyncKind::All).unwrap();
        if let Some(after) = fault {
            disk.fail_once(Fault::Memory, after);
        }
        assert_eq!(with_limit(limit, || fs.sync()), Ok(()), "{limit} {fault:?}");
        let crashed = disk.content();
        assert!(check(&crashed).is_err(), "{limit} {fault:?}: there was enough memory");
        let (_fs, after) = Recorder::new(crashed).mount();
        assert!(after.resolve(None, b"/dir", Follow::No).is_ok(), "{limit} {fault:?}");
        fs.sync().unwrap();
        check(&disk.content()).unwrap();
    }
}

/// Names that were made to be alike take memory when they are listed: without it none is hidden.
#[test]
fn alike_names_are_all_listed_or_none() {
    if !tools() {
        return;
    }
    let image = make(&["-t", "ext4", "-b", "1024", "-O", "^metadata_csum"], "4M");
    let disk = Recorder::new(debugfs(&image, &["ssv def_hash_version legacy"]).0);
    let (_fs, files) = disk.mount();
    files.make_directory(None, b"/many", 0o755).unwrap();
    files.open(None, b"/file", WRITE, 0o600).unwrap();
    let names = alike::names();
    for name in &names {
        let file = files.resolve(None, b"/file", Follow::No).unwrap();
        files.make_link(&file, None, format!("/many/{name}").as_bytes()).unwrap();
    }
    let list = |limit| {
        let directory = files.open(None, b"/many", OpenFlags::DIRECTORY, 0).unwrap();
        let mut count = 0;
        loop {
            let before = count;
            with_limit(limit, || {
                vfs::list_open(&directory, &mut |_| {
                    count += 1;
                    count - before <= 50
                })
            })?;
            // The one that was not taken is given again.
            if count - before <= 50 {
                return Ok(count);
            }
            count -= 1;
        }
    };
    let mut refused = 0;
    for limit in (0..).step_by(5003) {
        match list(limit) {
            Err(Errno::ENOMEM) => refused += 1,
            // With `.` and `..`.
            listed => {
                assert_eq!(listed, Ok(2 + names.len()), "{limit}");
                break;
            }
        }
    }
    assert!(refused > 5, "{refused}");
}

/// How many blocks have names with one hash does not matter: memory is for some names at a time.
#[test]
fn names_with_one_hash_are_listed_with_little_memory() {
    if !tools() {
        return;
    }
    let image = make(&["-t", "ext4", "-b", "1024", "-O", "^metadata_csum"], "8M");
    let disk = Recorder::new(debugfs(&image, &["ssv def_hash_version legacy"]).0);
    let (_fs, files) = disk.mount();
    files.make_directory(None, b"/many", 0o755).unwrap();
    files.open(None, b"/file", WRITE, 0o600).unwrap();
    let names: BTreeSet<_> = (0..1000).map(|n| alike::name(n * 0x1234_5671)).collect();
    for name in &names {
        let file = files.resolve(None, b"/file", Follow::No).unwrap();
        files.make_link(&file, None, format!("/many/{name}").as_bytes()).unwrap();
    }
    let directory = files.open(None, b"/many", OpenFlags::DIRECTORY, 0).unwrap();
    // In 250 blocks and more.
    assert!(directory.file().metadata().unwrap().size > 250 << 10);
    let (mut found, mut left) = (Vec::with_capacity(names.len() + 2), 0);
    while left == 0 {
        left = 300;
        with_limit(200 << 10, || {
            vfs::list_open(&directory, &mut |entry| {
                let has_room = left > 0;
                if has_room {
                    left -= 1;
                    found.push(entry.name.len());
                }
                has_room
            })
        })
        .unwrap();
    }
    assert_eq!(found.len(), names.len() + 2);
}
