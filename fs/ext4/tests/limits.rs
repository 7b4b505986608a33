//! What fails, is full, or is at its limit leaves a disk that is whole.

mod disks;

use std::sync::LazyLock;

use disks::{Fault, Recorder, check, check_after_replay, debugfs, make, mounted, tools};
use ext4::{Ext4, Ext4Error};
use proptest::prelude::*;
use ukerrno::Errno;
use ukfile::{OpenFlags, SyncKind};
use vfs::{Allocate, Context, FileSystem, Follow, RenameFlags};

const SMALL: &[&str] = &["-t", "ext4", "-b", "1024", "-O", "metadata_csum,64bit"];
const PLAIN: &[&str] = &["-t", "ext4", "-b", "1024", "-O", "^metadata_csum,^64bit"];
const WRITE: OpenFlags = OpenFlags::READ_WRITE.union(OpenFlags::CREATE);

fn clean(disk: &Recorder, what: &str) {
    if let Err(text) = check(&disk.content()) {
        panic!("{what}: {text}");
    }
}

/// Makes, changes and synchronises files. Those that are certain afterwards.
fn work(files: &Context, fs: &dyn FileSystem, round: usize) -> Vec<(Vec<u8>, usize)> {
    let mut safe = Vec::new();
    for n in 0..4 {
        let path = format!("/file {round} {n}").into_bytes();
        let mut put = || -> Result<(), Errno> {
            let file = files.open(None, &path, WRITE, 0o600)?;
            let length = 2500 * n + round;
            if file.write(&[&vec![n as u8 + 1; length]])? == length {
                let how = if n % 2 == 0 { SyncKind::All } else { SyncKind::Data };
                // Whoever tries once more must not be told that what is lost is safe.
                file.file().sync(how).or_else(|_| file.file().sync(how))?;
                safe.push((path.clone(), length));
            }
            Ok(())
        };
        let _ = put();
        let other = format!("/other {n}").into_bytes();
        let _ = files.make_directory(None, &other, 0o700);
        let moved = format!("/moved {n}").into_bytes();
        let _ = files.rename((None, &other), (None, &moved), RenameFlags::empty());
        let _ = files.remove_directory(None, &moved);
        if n == 2 {
            let _ = fs.sync();
        }
    }
    safe
}

#[test]
fn one_fault_of_the_disk_anywhere_loses_nothing_that_was_confirmed() {
    if !tools() {
        return;
    }
    let faults = [(Fault::Write, 3), (Fault::Memory, 2), (Fault::Flush, 1), (Fault::Read, 1)];
    for (fault, step) in faults {
        for after in (0..).step_by(step) {
            let start = make(if after % 2 == 0 { SMALL } else { PLAIN }, "4M");
            let disk = Recorder::new(start.clone());
            let (fs, files) = disk.mount();
            disk.record();
            // It may be needed for what comes first.
            let before = disk.content();
            disk.fail_once(fault, after);
            let mut safe = work(&files, &*fs, 0);
            let failed = disk.has_failed();
            let later = work(&files, &*fs, 1);
            let what = format!("{fault:?} {after}");
            let is_well = failed && fault == Fault::Memory;
            assert!(!is_well || later.len() == 4, "{what}: it goes on");
            safe.extend(later);
            let without_power = disk.without_power(&before);
            for left in [&without_power, &check_after_replay(&without_power).expect(&what)] {
                let (_fs, files) = Recorder::new(left.clone()).mount();
                for (path, length) in &safe {
                    let name = String::from_utf8_lossy(path);
                    let file = files.open(None, path, OpenFlags::READ_ONLY, 0);
                    let file = file.unwrap_or_else(|error| panic!("{what}: {name}: {error}"));
                    let mut content = vec![0; length + 1];
                    assert_eq!(file.read(&mut [&mut content]), Ok(*length), "{what}: {name}");
                    let byte = path[path.len() - 1] - b'0' + 1;
                    assert!(content[..*length].iter().all(|b| *b == byte), "{what}: {name}");
                }
            }
            drop((fs, files));
            if is_well {
                clean(&disk, &what);
            }
            check_after_replay(&disk.content()).expect(&what);
            if !failed {
                break;
            }
        }
    }
}

#[test]
fn links_are_counted_up_to_their_limit() {
    if !tools() {
        return;
    }
    for (options, beyond) in
        [(&["-O", "dir_nlink"], Ok(())), (&["-O", "^dir_nlink"], Err(Errno::EMLINK))]
    {
        let disk = Recorder::new(make(&[SMALL, options].concat(), "4M"));
        {
            let (_fs, files) = disk.mount();
            files.make_directory(None, b"/many", 0o755).unwrap();
            files.make_directory(None, b"/other", 0o755).unwrap();
            files.open(None, b"/file", WRITE, 0o600).unwrap();
        }
        let few = ["sif /many links_count 64999", "sif /file links_count 64999"];
        let disk = Recorder::new(debugfs(&disk.content(), &few).0);
        let (_fs, files) = disk.mount();
        let links = |path: &[u8]| files.metadata(None, path, Follow::No).unwrap().links;
        let file = files.resolve(None, b"/file", Follow::No).unwrap();
        files.make_link(&file, None, b"/link").unwrap();
        assert_eq!(files.make_link(&file, None, b"/link too many"), Err(Errno::EMLINK));
        assert_eq!(links(b"/file"), 65_000);
        files.unlink(None, b"/link").unwrap();
        files.make_link(&file, None, b"/link").unwrap();
        files.make_directory(None, b"/many/65000", 0o755).unwrap();
        assert_eq!(links(b"/many"), 65_000);
        assert_eq!(files.make_directory(None, b"/many/beyond", 0o755), beyond);
        let moved = files.rename((None, b"/other"), (None, b"/many/other"), RenameFlags::empty());
        assert_eq!(moved, beyond);
        let counted = if beyond.is_ok() { 1 } else { 65_000 };
        assert_eq!(links(b"/many"), counted);
        files.remove_directory(None, b"/many/65000").unwrap();
        // Whoever has more than can be counted once has so for ever.
        assert_eq!(links(b"/many"), if beyond.is_ok() { 1 } else { 64_999 });
    }
}

#[test]
fn a_file_on_a_full_disk_can_be_cut_and_removed() {
    if !tools() {
        return;
    }
    let disk = Recorder::new(make(PLAIN, "4M"));
    let (fs, files) = disk.mount();
    let file = files.open(None, b"/file", WRITE, 0o600).unwrap();
    // As many extents as the root of their tree can lead to with one level below it, but a few: one
    // more level would take a block.
    for n in 0..83 * 3 + 40 {
        file.write_at(n * 3 * 1024, &[&[1; 2048]], OpenFlags::empty()).unwrap();
    }
    let size = file.file().metadata().unwrap().size as i64;
    let large = files.open(None, b"/large", WRITE, 0o600).unwrap();
    let mut last = 1 << 20;
    while last >= 1024 {
        match large.write(&[&vec![2; last]]) {
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error, Errno::ENOSPC);
                last /= 2;
            }
        }
    }
    fs.sync().unwrap();
    assert_eq!(fs.statistics().unwrap().free, 0);
    vfs::resize_open(&file, size - 1024).unwrap();
    // An extent that begins later has its place in the tree.
    vfs::allocate_open(&file, Allocate::PunchHole, 0, 1024).unwrap();
    fs.sync().unwrap();
    assert_eq!(fs.statistics().unwrap().free, 2);
    let reserve = Allocate::Reserve { keep_size: true };
    assert_eq!(vfs::allocate_open(&large, reserve, 0, 8 << 20), Err(Errno::ENOSPC));
    drop((file, large));
    files.unlink(None, b"/file").unwrap();
    files.unlink(None, b"/large").unwrap();
    drop((fs, files));
    clean(&disk, "removed");
}

#[test]
fn what_other_systems_leave_is_put_right_or_only_read() {
    if !tools() {
        return;
    }
    // Linux keeps the numbers of the superblock right only at the end.
    for shape in [SMALL, PLAIN] {
        let stale =
            ["ssv free_blocks_count 77", "ssv free_inodes_count 5", "feature needs_recovery"];
        let empty = make(shape, "4M");
        let disk = Recorder::new(debugfs(&empty, &stale).0);
        let free = |fs: &Ext4| fs.statistics().map(|told| (told.free, told.free_nodes)).unwrap();
        let expected = free(&Ext4::new(Box::new(empty)).unwrap());
        assert_eq!(free(&Ext4::new(Box::new(disk.content())).unwrap()), (77, 5));
        assert_eq!(free(&disk.mount().0), expected);
        clean(&disk, "counted");
    }
    let why = |disk: &Recorder| {
        let mut told = None;
        let fs = Ext4::writable(Box::new(disk.clone()), &mut |why| told = Some(why.to_string()));
        let made = mounted(fs.unwrap()).make_directory(None, b"/new", 0o755);
        assert_eq!(made.err(), told.as_ref().map(|_| Errno::EROFS));
        told.unwrap_or_default()
    };
    // Linux notes in the journal why it was given up.
    let mut bytes = make(PLAIN, "4M");
    let head = [0xc0, 0x3b, 0x39, 0x98, 0, 0, 0, 4];
    let journal = (0..bytes.len()).step_by(1024).find(|at| bytes[*at..*at + 8] == head).unwrap();
    bytes[journal + 0x23] = 5;
    assert!(why(&Recorder::new(bytes)).contains("its journal was given up"));
    let disk = Recorder::new(debugfs(&make(PLAIN, "4M"), &["ssv state 3"]).0);
    assert!(why(&disk).contains("errors were found"));
    // One block of the device would be written in parts.
    let disk = Recorder::new(make(PLAIN, "4M"));
    disk.set_block_size(4096);
    assert!(why(&disk).contains("smaller than those of the device"));
    disk.set_block_size(1024);
    assert_eq!(why(&disk), "");
    // A flag of a group, which is believed only with the right checksum.
    let mut bytes = make(&["-t", "ext4", "-b", "1024", "-O", "^metadata_csum,uninit_bg"], "4M");
    bytes[2048 + 0x12] ^= 2;
    let refused = Ext4::writable(Box::new(Recorder::new(bytes)), &mut |_| {}).err();
    assert_eq!(refused, Some(Ext4Error::Damaged("the checksum of a group is wrong")));
}

/// Each directory holds the one above it.
#[test]
fn deep_trees_are_let_go_of_on_a_small_stack() {
    if !tools() {
        return;
    }
    let disk = Recorder::new(make(&[PLAIN, &["-N", "2100"]].concat(), "6M"));
    let (fs, files) = disk.mount();
    let mut here = files.resolve(None, b"/", Follow::No).unwrap();
    for _ in 0..2000 {
        files.make_directory(Some(&here), b"d", 0o755).unwrap();
        here = files.resolve(Some(&here), b"d", Follow::No).unwrap();
    }
    let small = std::thread::Builder::new().stack_size(64 << 10);
    small.spawn(move || drop(here)).unwrap().join().unwrap();
    drop((fs, files));
    let (_fs, files) = disk.mount();
    assert!(files.resolve(None, &b"/d".repeat(2000), Follow::No).is_ok());
}

#[test]
fn sizes_end_where_the_disk_says() {
    if !tools() {
        return;
    }
    let disk = Recorder::new(make(&[PLAIN, &["-O", "^large_file,^huge_file"]].concat(), "4M"));
    {
        let (_fs, files) = disk.mount();
        let file = files.open(None, b"/file", WRITE, 0o600).unwrap();
        vfs::resize_open(&file, i64::from(i32::MAX)).unwrap();
        assert_eq!(vfs::resize_open(&file, 1 << 31), Err(Errno::EFBIG));
        let last = i32::MAX as u64 - 1;
        assert_eq!(file.write_at(last, &[b"x"], OpenFlags::empty()), Ok(1));
        assert_eq!(file.write_at(last + 1, &[b"x"], OpenFlags::empty()), Err(Errno::EFBIG));
    }
    clean(&disk, "below 2 GiB");
    let disk = Recorder::new(make(SMALL, "4M"));
    {
        let (_fs, files) = disk.mount();
        let file = files.open(None, b"/file", WRITE, 0o600).unwrap();
        let most = ((1 << 32) - 1) * 1024;
        assert_eq!(file.write_at(most - 1, &[b"x"], OpenFlags::empty()), Ok(1));
        assert_eq!(file.write_at(most, &[b"x"], OpenFlags::empty()), Err(Errno::EFBIG));
    }
    clean(&disk, "up to the end");
}

/// Disks without checksums, which would notice, and one with; with names, extents, deleted files that
/// are open, and journals that are not finished.
static DISKS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut disks = Vec::new();
    for shape in [PLAIN, SMALL] {
        let disk = Recorder::new(make(shape, "2M"));
        let (fs, files) = disk.mount();
        files.make_directory(None, b"/a", 0o755).unwrap();
        for n in 0..100 {
            files.make_directory(None, format!("/a/name {n}").as_bytes(), 0o755).unwrap();
        }
        let file = files.open(None, b"/file", WRITE, 0o600).unwrap();
        for n in 0..100 {
            file.write_at(n * 4000, &[&[1; 2048]], OpenFlags::empty()).unwrap();
        }
        let open = files.open(None, b"/open", WRITE, 0o600).unwrap();
        open.write(&[&[2; 9000]]).unwrap();
        files.unlink(None, b"/open").unwrap();
        fs.sync().unwrap();
        disks.push(disk.content());
        files.remove_directory(None, b"/a/name 7").unwrap();
        file.file().sync(SyncKind::All).unwrap();
        disks.push(disk.content());
    }
    disks
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changes_of_what_is_damaged_have_results(
        which in 0usize..4,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..30),
    ) {
        if !tools() {
            return Ok(());
        }
        let mut bytes = DISKS[which].clone();
        let used: Vec<usize> = (0..bytes.len()).filter(|at| !matches!(bytes[*at], 0 | 1 | 2 | 0xff)).collect();
        for (index, value, near) in changes {
            let at = used[index.index(used.len())] + usize::from(near);
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        let Ok(fs) = Ext4::writable(Box::new(Recorder::new(bytes)), &mut |_| {}) else { return Ok(()) };
        let files = mounted(fs.clone());
        work(&files, &*fs, 0);
        if let Ok(file) = files.open(None, b"/file", OpenFlags::READ_WRITE, 0) {
            for at in [0, 3000, 100_000, 399_000, 1 << 30] {
                let _ = file.write_at(at, &[&[3; 5000]], OpenFlags::empty());
            }
            let _ = vfs::allocate_open(&file, Allocate::PunchHole, 10_000, 150_000);
            let _ = vfs::allocate_open(&file, Allocate::Reserve { keep_size: false }, 0, 500_000);
            let _ = vfs::resize_open(&file, 50_001);
            let _ = file.file().sync(SyncKind::All);
        }
        let _ = files.rename((None, b"/a/name 3"), (None, b"/moved"), RenameFlags::empty());
        for n in 0..100 {
            let _ = files.remove_directory(None, format!("/a/name {n}").as_bytes());
        }
        let _ = files.unlink(None, b"/file");
        let _ = files.remove_directory(None, b"/a");
        let _ = fs.sync();
    }
}
