//! What is written must be there, and `e2fsck` find nothing wrong with the disk.

mod disks;

use disks::{Event, Recorder, check, check_after_replay, make, tools};
use ext4::Ext4;
use ukerrno::Errno;
use ukfile::{Kind, OpenFlags, SyncKind};
use vfs::{Allocate, Context, FileSystem as _, Follow, RenameFlags, SetTime};

/// Disks of different shapes.
const SHAPES: [&[&str]; 6] = [
    &["-t", "ext4", "-b", "1024"],
    &["-t", "ext4", "-b", "4096"],
    &["-t", "ext4", "-b", "4096", "-O", "metadata_csum,64bit,orphan_file"],
    &["-t", "ext4", "-b", "2048", "-O", "^metadata_csum,^64bit"],
    &["-t", "ext4", "-b", "1024", "-O", "^metadata_csum,^64bit,uninit_bg,^flex_bg", "-g", "2048"],
    &["-t", "ext4", "-b", "1024", "-I", "128", "-O", "metadata_csum,64bit,^huge_file,^dir_nlink"],
];

fn bytes(length: usize, salt: usize) -> Vec<u8> {
    (0..length).map(|n| (n ^ (n / 251) ^ salt) as u8).collect()
}

fn put(files: &Context, path: &[u8], content: &[u8]) -> Result<(), Errno> {
    let flags = OpenFlags::WRITE_ONLY | OpenFlags::CREATE | OpenFlags::TRUNCATE;
    let file = files.open(None, path, flags, 0o644)?;
    let mut done = 0;
    while done < content.len() {
        done += file.write(&[&content[done..content.len().min(done + 70_001)]])?;
    }
    Ok(())
}

fn get(files: &Context, path: &[u8]) -> Result<Vec<u8>, Errno> {
    let file = files.open(None, path, OpenFlags::READ_ONLY, 0)?;
    let (mut all, mut part) = (Vec::new(), vec![0; 50_000]);
    loop {
        match file.read(&mut [&mut part])? {
            0 => return Ok(all),
            read => all.extend(&part[..read]),
        }
    }
}

fn clean(disk: &Recorder, what: &str) {
    if let Err(text) = check(&disk.content()) {
        panic!("{what}: {text}");
    }
}

#[test]
fn a_tree_is_made_changed_and_removed() {
    if !tools() {
        return;
    }
    for shape in SHAPES {
        let disk = Recorder::new(make(shape, "24M"));
        let (large, small) = (bytes(3_000_000, 1), bytes(700, 2));
        {
            let (fs, files) = disk.mount();
            files.make_directory(None, b"/a", 0o755).unwrap();
            files.make_directory(None, b"/a/b", 0o700).unwrap();
            put(&files, b"/a/large", &large).unwrap();
            put(&files, b"/a/b/small", &small).unwrap();
            files.make_symlink(b"a/b/small", None, b"/short").unwrap();
            files.make_symlink(&b"x/".repeat(300), None, b"/long").unwrap();
            files.make_node(None, b"/fifo", Kind::Fifo, 0o600, 0).unwrap();
            let number = ukfile::device_number(300, 70_000);
            files.make_node(None, b"/device", Kind::BlockDevice, 0o600, number).unwrap();
            let old = files.resolve(None, b"/a/b/small", Follow::No).unwrap();
            files.make_link(&old, None, b"/linked").unwrap();
            fs.sync().unwrap();
            clean(&disk, "after sync");
        }
        clean(&disk, &format!("made on {shape:?}"));
        {
            let (_fs, files) = disk.mount();
            assert!(get(&files, b"/a/large").unwrap() == large);
            assert_eq!(get(&files, b"/short").unwrap(), small);
            assert_eq!(*files.read_link(None, b"/long").unwrap(), *b"x/".repeat(300));
            let told = files.metadata(None, b"/linked", Follow::No).unwrap();
            assert_eq!((told.links, told.size, told.permissions), (2, 700, 0o644));
            let device = files.metadata(None, b"/device", Follow::No).unwrap();
            assert_eq!(device.special, ukfile::device_number(300, 70_000));
            let none = RenameFlags::empty();
            files.rename((None, b"/a/b"), (None, b"/moved"), none).unwrap();
            files.rename((None, b"/moved/small"), (None, b"/a/large"), none).unwrap();
            files.make_directory(None, b"/other", 0o755).unwrap();
            files.make_directory(None, b"/other/below", 0o755).unwrap();
            files.rename((None, b"/other/below"), (None, b"/a"), RenameFlags::EXCHANGE).unwrap();
            assert_eq!(get(&files, b"/other/below/large").unwrap(), small);
            assert_eq!(files.remove_directory(None, b"/other"), Err(Errno::ENOTEMPTY));
        }
        clean(&disk, &format!("moved on {shape:?}"));
        {
            let (_fs, files) = disk.mount();
            for path in
                [&b"/other/below/large"[..], b"/short", b"/long", b"/fifo", b"/device", b"/linked"]
            {
                files.unlink(None, path).unwrap();
            }
            for path in [&b"/other/below"[..], b"/other", b"/a", b"/moved"] {
                files.remove_directory(None, path).unwrap();
            }
        }
        clean(&disk, &format!("removed on {shape:?}"));
        let (fs, _files) = disk.mount();
        let told = fs.statistics().unwrap();
        let empty = Recorder::new(make(shape, "24M"));
        let new = empty.mount().0.statistics().unwrap();
        assert_eq!((told.free, told.free_nodes), (new.free, new.free_nodes), "{shape:?}");
    }
}

#[test]
fn files_with_holes_and_reserved_blocks() {
    if !tools() {
        return;
    }
    for shape in SHAPES {
        let disk = Recorder::new(make(shape, "24M"));
        let mut expected = vec![0; 2_000_000];
        {
            let (_fs, files) = disk.mount();
            let flags = OpenFlags::READ_WRITE | OpenFlags::CREATE;
            let file = files.open(None, b"/file", flags, 0o600).unwrap();
            // Every second block, backwards: many extents, nodes that are split, keys that change.
            for n in (0..400).rev() {
                let at = n * 5000;
                let part = bytes(2000, n);
                file.write_at(at as u64, &[&part], OpenFlags::empty()).unwrap();
                expected[at..at + 2000].copy_from_slice(&part);
            }
            vfs::resize_open(&file, 2_000_000).unwrap();
            vfs::allocate_open(&file, Allocate::Reserve { keep_size: false }, 300_000, 700_000)
                .unwrap();
            vfs::allocate_open(&file, Allocate::PunchHole, 400_100, 99_000).unwrap();
            expected[400_100..499_100].fill(0);
            let zero = Allocate::Zero { keep_size: true };
            vfs::allocate_open(&file, zero, 1_500_000, 300_001).unwrap();
            expected[1_500_000..1_800_001].fill(0);
            file.write_at(450_000, &[b"in a hole"], OpenFlags::empty()).unwrap();
            expected[450_000..450_009].copy_from_slice(b"in a hole");
            file.write_at(1_600_000, &[&bytes(9000, 3)], OpenFlags::empty()).unwrap();
            expected[1_600_000..1_609_000].copy_from_slice(&bytes(9000, 3));
            assert!(get(&files, b"/file").unwrap() == expected);
        }
        clean(&disk, &format!("{shape:?}"));
        {
            let (_fs, files) = disk.mount();
            assert!(get(&files, b"/file").unwrap() == expected);
            let file = files.resolve(None, b"/file", Follow::No).unwrap();
            for size in [1_234_567, 777_777, 400_000, 4097, 1] {
                files.set_size(&file, size).unwrap();
                files.set_size(&file, 2_000_000).unwrap();
                expected[size as usize..].fill(0);
                assert!(get(&files, b"/file").unwrap() == expected, "{size}");
            }
            files.set_size(&file, 0).unwrap();
            assert_eq!(files.metadata(None, b"/file", Follow::No).unwrap().blocks, 0);
        }
        clean(&disk, &format!("cut on {shape:?}"));
    }
}

/// The disk with hash trees for all directories that are worth one, as `e2fsck` makes them.
fn with_hash_trees(disk: &Recorder) -> Recorder {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    std::fs::write(&image, disk.content()).unwrap();
    disks::tool("e2fsck").arg("-fyD").arg(&image).output().unwrap();
    let bytes = std::fs::read(&image).unwrap();
    let told = disks::debugfs(&bytes, &["stat /many"]).1;
    let flags = told.split_once("Flags: 0x").unwrap().1.split_whitespace().next().unwrap();
    assert!(u32::from_str_radix(flags, 16).unwrap() & 0x1000 != 0, "it has none: {told}");
    Recorder::new(bytes)
}

#[test]
fn directories_grow_with_and_without_hash_trees() {
    if !tools() {
        return;
    }
    for shape in SHAPES {
        let disk = Recorder::new(make(&[shape, &["-N", "3000"]].concat(), "24M"));
        {
            let (_fs, files) = disk.mount();
            files.make_directory(None, b"/many", 0o755).unwrap();
            for n in 0..1500 {
                put(&files, format!("/many/a file with the number {n}").as_bytes(), b"").unwrap();
            }
        }
        clean(&disk, &format!("{shape:?}"));
        let disk = with_hash_trees(&disk);
        clean(&disk, "with a hash tree");
        {
            let (_fs, files) = disk.mount();
            for n in (0..1500).step_by(2) {
                let path = format!("/many/a file with the number {n}");
                files.unlink(None, path.as_bytes()).unwrap();
            }
        }
        clean(&disk, &format!("with a hash tree, less on {shape:?}"));
        {
            let (_fs, files) = disk.mount();
            for n in 0..700 {
                put(&files, format!("/many/new {n}").as_bytes(), b"").unwrap();
            }
            for n in (1..1500).step_by(2) {
                let path = format!("/many/a file with the number {n}");
                assert_eq!(get(&files, path.as_bytes()).unwrap(), b"");
            }
        }
        clean(&disk, &format!("with a hash tree, more on {shape:?}"));
        let disk = with_hash_trees(&disk);
        {
            let (_fs, files) = disk.mount();
            files.make_directory(None, b"/other", 0o755).unwrap();
            files.rename((None, b"/many"), (None, b"/other/many"), RenameFlags::empty()).unwrap();
            assert_eq!(get(&files, b"/other/many/new 7").unwrap(), b"");
        }
        clean(&disk, &format!("with a hash tree, elsewhere on {shape:?}"));
    }
}

/// What synchronising costs: requests to the disk.
#[test]
fn what_is_synchronised_takes_few_requests() {
    if !tools() {
        return;
    }
    for shape in SHAPES {
        let disk = Recorder::new(make(shape, "24M"));
        let (fs, files) = disk.mount();
        let file =
            files.open(None, b"/file", OpenFlags::READ_WRITE | OpenFlags::CREATE, 0).unwrap();
        file.write(&[&[1; 100]]).unwrap();
        file.file().sync(SyncKind::All).unwrap();
        disk.record();
        let mut seen = 0;
        let mut requests = || {
            let events = disk.events();
            let flushes =
                events[seen..].iter().filter(|event| matches!(event, Event::Flush)).count();
            let writes = events.len() - seen - flushes;
            seen = events.len();
            (writes, flushes)
        };
        // The data; what the journal gets, and the block that commits it. Nothing goes to its place.
        let mut each = [(0, 0); 5];
        for requests_of_it in &mut each {
            file.write(&[&[1; 100]]).unwrap();
            file.file().sync(SyncKind::All).unwrap();
            *requests_of_it = requests();
        }
        // The journal may go on elsewhere on the disk in between.
        each.sort_unstable();
        assert_eq!(each[..4], [(3, 2); 4], "{shape:?}");
        // Parts of blocks go with those between them, when they are to be safe.
        file.write_at(0, &[&[2; 9000]], OpenFlags::empty()).unwrap();
        file.file().sync(SyncKind::All).unwrap();
        requests();
        file.write_at(500, &[&[3; 8000]], OpenFlags::empty()).unwrap();
        assert_eq!(requests(), (0, 0), "{shape:?}");
        file.file().sync(SyncKind::Data).unwrap();
        assert_eq!(requests(), (1, 1), "{shape:?}");
        // More than a hundred blocks go to their places, in the order of these.
        for n in 0..100 {
            files.make_directory(None, format!("/d{n}").as_bytes(), 0o755).unwrap();
        }
        file.file().sync(SyncKind::All).unwrap();
        requests();
        let before = disk.content();
        fs.sync().unwrap();
        let after = disk.content();
        let changed = before.chunks(1024).zip(after.chunks(1024)).filter(|(a, b)| a != b).count();
        let (writes, _) = requests();
        assert!(changed > 100 && writes <= 16, "{shape:?}: {writes} for {changed}");
    }
}

#[test]
fn a_full_disk_loses_nothing() {
    if !tools() {
        return;
    }
    for shape in SHAPES {
        let disk = Recorder::new(make(shape, "8M"));
        let (fs, files) = disk.mount();
        put(&files, b"/kept", &bytes(100_000, 1)).unwrap();
        let before = fs.statistics().unwrap();
        for round in 0..3 {
            assert_eq!(put(&files, b"/large", &bytes(9 << 20, 2)), Err(Errno::ENOSPC), "{round}");
            let mut count = 0;
            let full = loop {
                match files.make_directory(None, format!("/d{count}").as_bytes(), 0o755) {
                    Ok(()) => count += 1,
                    Err(error) => break error,
                }
            };
            assert_eq!(full, Errno::ENOSPC);
            let length = get(&files, b"/large").unwrap().len();
            assert!(get(&files, b"/large").unwrap() == bytes(9 << 20, 2)[..length]);
            fs.sync().unwrap();
            clean(&disk, &format!("full, {shape:?}"));
            (0..count).for_each(|n| {
                files.remove_directory(None, format!("/d{n}").as_bytes()).unwrap();
            });
            files.unlink(None, b"/large").unwrap();
        }
        assert!(get(&files, b"/kept").unwrap() == bytes(100_000, 1));
        // The root directory may have grown.
        let after = fs.statistics().unwrap();
        assert!(before.free - after.free < 100 && before.free_nodes == after.free_nodes);
        drop((fs, files));
        clean(&disk, "at the end");
    }
}

#[test]
fn what_is_open_without_a_name_is_deleted_by_the_next_mount() {
    if !tools() {
        return;
    }
    for shape in SHAPES {
        let disk = Recorder::new(make(shape, "8M"));
        let (fs, files) = disk.mount();
        let free = fs.statistics().unwrap().free;
        put(&files, b"/file", &bytes(200_000, 1)).unwrap();
        files.make_directory(None, b"/dir", 0o755).unwrap();
        let file = files.open(None, b"/file", OpenFlags::READ_WRITE, 0).unwrap();
        let directory = files.open(None, b"/dir", OpenFlags::DIRECTORY, 0).unwrap();
        let temporary = OpenFlags::READ_WRITE | OpenFlags::TEMPORARY | OpenFlags::DIRECTORY;
        let unnamed = files.open(None, b"/", temporary, 0o600).unwrap();
        unnamed.write(&[&bytes(5000, 2)]).unwrap();
        files.unlink(None, b"/file").unwrap();
        files.remove_directory(None, b"/dir").unwrap();
        let at = vfs::location_of(&directory).unwrap();
        assert_eq!(files.make_directory(Some(at), b"x", 0o755), Err(Errno::ENOENT));
        let mut part = [0; 10];
        file.read(&mut [&mut part]).unwrap();
        assert_eq!(part, bytes(10, 1)[..]);
        file.file().sync(SyncKind::All).unwrap();
        let crashed = disk.content();
        drop((file, directory, unnamed));
        assert_eq!(fs.statistics().unwrap().free, free);
        drop((fs, files));
        clean(&disk, "closed");
        check_after_replay(&crashed).unwrap();
        let disk = Recorder::new(crashed);
        let (fs, files) = disk.mount();
        assert_eq!(fs.statistics().unwrap().free, free);
        drop((fs, files));
        clean(&disk, &format!("crashed, {shape:?}"));
    }
}

/// What lost its last name gets no other one, whatever it was made as.
#[test]
fn a_file_without_a_name_gets_its_first_one_once() {
    if !tools() {
        return;
    }
    let disk = Recorder::new(make(SHAPES[0], "4M"));
    {
        let (_fs, files) = disk.mount();
        let temporary = OpenFlags::READ_WRITE | OpenFlags::TEMPORARY | OpenFlags::DIRECTORY;
        let file = files.open(None, b"/", temporary, 0o600).unwrap();
        let place = vfs::location_of(&file).unwrap();
        files.make_link(place, None, b"/a").unwrap();
        files.make_link(place, None, b"/b").unwrap();
        files.unlink(None, b"/a").unwrap();
        files.unlink(None, b"/b").unwrap();
        assert_eq!(files.make_link(place, None, b"/a"), Err(Errno::ENOENT));
    }
    clean(&disk, "closed");
}

#[test]
fn what_cannot_be_written_safely_is_only_read() {
    if !tools() {
        return;
    }
    for (options, reason) in [
        (&["-t", "ext2"][..], "no journal"),
        (&["-t", "ext3"], "no journal and extents"),
        (&["-t", "ext4", "-O", "^has_journal"], "no journal"),
        (&["-t", "ext4", "-O", "quota"], "only known for reading"),
        (&["-t", "ext4", "-O", "bigalloc", "-C", "16384"], "only known for reading"),
        (&["-t", "ext4", "-O", "mmp"], "only known for reading"),
    ] {
        let disk = Recorder::new(make(options, "16M"));
        disk.record();
        let mut told = String::new();
        let fs = Ext4::writable(Box::new(disk.clone()), &mut |why| told = why.to_string()).unwrap();
        assert!(told.contains(reason), "{options:?}: {told}");
        let files = disks::mounted(fs.clone());
        assert_eq!(files.make_directory(None, b"/new", 0o755), Err(Errno::EROFS));
        drop((fs, files));
        assert_eq!(disk.count(), 0, "nothing was written");
    }
}

#[test]
fn a_disk_that_fails_ends_writing_and_damages_nothing() {
    if !tools() {
        return;
    }
    for writes in [0, 1, 2, 3, 5, 8, 13, 30] {
        let disk = Recorder::new(make(SHAPES[0], "8M"));
        let (fs, files) = disk.mount();
        put(&files, b"/file", b"as it was").unwrap();
        fs.sync().unwrap();
        disk.fail_after(writes);
        let change = || -> Result<(), Errno> {
            for n in 0..20 {
                put(&files, format!("/new{n}").as_bytes(), &bytes(3000, n))?;
                files.unlink(None, format!("/new{n}").as_bytes())?;
                fs.sync()?;
            }
            Ok(())
        };
        assert_eq!(change(), Err(Errno::EIO), "{writes}");
        assert_eq!(get(&files, b"/file").unwrap(), b"as it was");
        check_after_replay(&disk.content()).unwrap();
    }
}

/// Times go on in steps: what replaces something again within one changes nothing else.
#[test]
fn writing_again_at_once_needs_no_transaction() {
    if !tools() {
        return;
    }
    let disk = Recorder::new(make(SHAPES[0], "8M"));
    let (_fs, files) = disk.mount();
    let file = files.open(None, b"/file", OpenFlags::READ_WRITE | OpenFlags::CREATE, 0).unwrap();
    file.write(&[&[1; 1024]]).unwrap();
    file.file().sync(SyncKind::All).unwrap();
    let (mut same, mut other) = (0, 0);
    disk.record();
    for n in 0..200 {
        let (before, seen) = (file.file().metadata().unwrap(), disk.count());
        file.write_at(0, &[&[n; 1024]], OpenFlags::empty()).unwrap();
        let after = file.file().metadata().unwrap();
        file.file().sync(SyncKind::All).unwrap();
        let events = &disk.events()[seen..];
        if before.modified == after.modified {
            same += 1;
            assert!(matches!(events, [Event::Write(..), Event::Flush]), "{}", events.len());
        } else {
            other += 1;
            assert!(before.modified < after.modified && events.len() > 2);
        }
    }
    assert!(same > 0 && same + other == 200, "{same} {other}");
}

/// What is done later has no earlier time, whoever gives it.
#[test]
fn times_do_not_go_back() {
    if !tools() {
        return;
    }
    let disk = Recorder::new(make(&["-t", "ext4"], "4M"));
    let (_fs, files) = disk.mount();
    let told = || files.metadata(None, b"/file", Follow::No).unwrap();
    for n in 0..200 {
        put(&files, b"/file", &[n]).unwrap();
        let file = files.resolve(None, b"/file", Follow::No).unwrap();
        let written = told();
        files.set_times(&file, SetTime::Now, SetTime::Now).unwrap();
        let touched = told();
        assert!(written.modified <= touched.modified && touched.modified <= touched.changed);
        put(&files, b"/file", &[n]).unwrap();
        assert!(touched.modified <= told().modified);
    }
}
