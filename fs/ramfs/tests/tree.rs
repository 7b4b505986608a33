//! What the host cannot show: mounts, limits, other users, roots of processes, threads.

use std::sync::Arc;

use ramfs::{Limits, RamFs};
use ukerrno::Errno;
use ukfile::{Description, Kind, OpenFlags, Seek, Timestamp};
use vfs::{
    Allocate, Context, Credentials, Follow, Location, Mount, MountFlags, RenameFlags, SetTime,
};

const CREATE: OpenFlags = OpenFlags::READ_WRITE.union(OpenFlags::CREATE);

fn mount(limits: Limits, flags: MountFlags) -> Arc<Mount> {
    Mount::new(RamFs::new(limits).unwrap(), b"test", flags).unwrap()
}

fn context() -> Context {
    Context {
        umask: 0,
        ..Context::new(Location::root_of(mount(Limits::default(), MountFlags::empty())))
    }
}

fn user(context: &Context, user: u32) -> Context {
    Context { credentials: Credentials { user, group: user, groups: None }, ..context.clone() }
}

fn at(context: &Context, path: &str) -> Location {
    context.resolve(None, path.as_bytes(), Follow::Yes).unwrap()
}

fn names(context: &Context, path: &str) -> Vec<String> {
    let directory = context.open(None, path.as_bytes(), OpenFlags::DIRECTORY, 0).unwrap();
    let mut names = Vec::new();
    vfs::list_open(&directory, &mut |e| {
        names.push(String::from_utf8(e.name.to_vec()).unwrap());
        true
    })
    .unwrap();
    names
}

#[test]
fn mounts_hide_and_come_off_when_nobody_uses_them() {
    let files = context();
    files.make_directory(None, b"/mnt", 0o755).unwrap();
    files.open(None, b"/mnt/hidden", CREATE, 0o644).unwrap();
    let inside = mount(Limits::default(), MountFlags::empty());
    at(&files, "/mnt").mount(&inside).unwrap();
    assert_eq!(at(&files, "/mnt").mount(&inside), Err(Errno::EBUSY), "it is mounted already");
    drop(inside);
    files.make_directory(None, b"/mnt/sub", 0o755).unwrap();
    assert_eq!(names(&files, "/mnt"), [".", "..", "sub"]);
    assert!(at(&files, "/mnt/sub/../..").is(&files.root), "out of the mount");
    assert_eq!(files.path_of(&at(&files, "/mnt/sub")).unwrap(), b"/mnt/sub");
    let a = files.metadata(None, b"/", Follow::Yes).unwrap().device;
    assert_ne!(a, files.metadata(None, b"/mnt", Follow::Yes).unwrap().device);

    at(&files, "/mnt").mount(&mount(Limits::default(), MountFlags::empty())).unwrap();
    assert_eq!(names(&files, "/mnt"), [".", ".."]);
    assert!(at(&files, "/mnt/..").is(&files.root), "out of both");
    at(&files, "/mnt").unmount(false).unwrap();

    let rename = |from: &str, to: &str| {
        let none = RenameFlags::empty();
        files.rename((None, from.as_bytes()), (None, to.as_bytes()), none)
    };
    assert_eq!(rename("/mnt/sub", "/sub"), Err(Errno::EXDEV));
    assert_eq!(rename("/mnt", "/elsewhere"), Err(Errno::EBUSY));
    assert_eq!(files.remove_directory(None, b"/mnt"), Err(Errno::EBUSY));
    let open = files.open(None, b"/mnt/sub", OpenFlags::DIRECTORY, 0).unwrap();
    assert_eq!(files.make_link(&at(&files, "/mnt/sub"), None, b"/x"), Err(Errno::EXDEV));
    assert_eq!(at(&files, "/mnt").unmount(false), Err(Errno::EBUSY));
    drop(open);
    assert_eq!(at(&files, "/mnt/sub").unmount(false), Err(Errno::EINVAL));
    at(&files, "/mnt").unmount(false).unwrap();
    assert_eq!(names(&files, "/mnt"), [".", "..", "hidden"]);
    assert_eq!(at(&files, "/").unmount(false), Err(Errno::EINVAL), "the root stays");
}

#[test]
fn what_is_in_use_lives_on_after_a_lazy_unmount() {
    let files = context();
    files.make_directory(None, b"/mnt", 0o755).unwrap();
    at(&files, "/mnt").mount(&mount(Limits::default(), MountFlags::empty())).unwrap();
    let file = files.open(None, b"/mnt/file", CREATE, 0o644).unwrap();
    file.write(&[b"still here"]).unwrap();
    let inside = Context { working: at(&files, "/mnt"), ..files.clone() };
    at(&files, "/mnt").unmount(true).unwrap();
    assert_eq!(names(&files, "/mnt"), [".", ".."]);
    assert_eq!(file.seek(Seek::End(0)), Ok(10));
    assert_eq!(names(&inside, "."), [".", "..", "file"]);
    assert_eq!(inside.path_of(&inside.working).unwrap(), b"(unreachable)/");
}

#[test]
fn bind_mounts_show_a_part_elsewhere() {
    let files = context();
    for path in ["/a", "/a/b", "/here"] {
        files.make_directory(None, path.as_bytes(), 0o755).unwrap();
    }
    let part = at(&files, "/a/b");
    let bind = part.mount.bind(part.node.clone(), b"/a/b").unwrap();
    bind.remount(MountFlags::READ_ONLY).unwrap();
    at(&files, "/here").mount(&bind).unwrap();
    files.open(None, b"/a/b/file", CREATE, 0o644).unwrap();
    assert_eq!(names(&files, "/here"), [".", "..", "file"]);
    assert!(at(&files, "/here/..").is(&files.root));
    assert_eq!(files.unlink(None, b"/here/file"), Err(Errno::EROFS));
    assert_eq!(files.open(None, b"/here/file", CREATE, 0).err(), Some(Errno::EROFS));
    assert_eq!(files.set_permissions(&at(&files, "/here/file"), 0), Err(Errno::EROFS));
    assert_eq!(files.check_access(&at(&files, "/here/file"), vfs::WRITE), Err(Errno::EROFS));
}

#[test]
fn nothing_leads_out_of_a_root_directory() {
    let files = context();
    for path in ["/jail", "/jail/etc"] {
        files.make_directory(None, path.as_bytes(), 0o755).unwrap();
    }
    files.make_symlink(b"/etc", None, b"/jail/absolute").unwrap();
    files.make_symlink(b"../../../etc", None, b"/jail/upwards").unwrap();
    let root = at(&files, "/jail");
    let jailed = Context { working: root.clone(), root, ..files.clone() };
    let etc = at(&files, "/jail/etc");
    for path in ["/etc", "/../etc", "../../etc", "/absolute", "/upwards", "etc/../../etc"] {
        assert!(at(&jailed, path).is(&etc), "{path}");
    }
    assert_eq!(jailed.path_of(&etc).unwrap(), b"/etc");
    assert_eq!(jailed.path_of(&files.root).unwrap(), b"(unreachable)/");
    assert_eq!(names(&jailed, "/")[..2], [".", ".."]);
}

#[test]
fn directories_know_their_path_through_moves_and_after_their_end() {
    let files = context();
    for path in ["/a", "/a/b", "/a/b/c", "/x"] {
        files.make_directory(None, path.as_bytes(), 0o755).unwrap();
    }
    let c = at(&files, "/a/b/c");
    let none = RenameFlags::empty();
    files.rename((None, b"/a/b"), (None, b"/x/y"), none).unwrap();
    assert_eq!(files.path_of(&c).unwrap(), b"/x/y/c");
    files.rename((None, b"/x/y"), (None, b"/a"), RenameFlags::EXCHANGE).unwrap();
    assert_eq!(files.path_of(&c).unwrap(), b"/a/c");
    files.remove_directory(None, b"/a/c").unwrap();
    assert_eq!(files.path_of(&c), Err(Errno::ENOENT));
    let inside = Context { working: c, ..files.clone() };
    assert_eq!(inside.make_directory(None, b"new", 0o755), Err(Errno::ENOENT));
    assert!(inside.resolve(None, b"..", Follow::Yes).unwrap().is(&at(&files, "/a")));
    assert_eq!(files.path_of(&files.root).unwrap(), b"/");
}

#[test]
fn links_lead_to_at_most_forty_others() {
    let files = context();
    files.open(None, b"/0", CREATE, 0o644).unwrap();
    for n in 1..=41 {
        let target = format!("{}", n - 1);
        files.make_symlink(target.as_bytes(), None, format!("/{n}").as_bytes()).unwrap();
    }
    assert!(files.resolve(None, b"/40", Follow::Yes).is_ok());
    assert_eq!(files.resolve(None, b"/41", Follow::Yes).err(), Some(Errno::ELOOP));
    files.make_symlink(b"self", None, b"/self").unwrap();
    assert_eq!(files.open(None, b"/self", CREATE, 0).err(), Some(Errno::ELOOP));
    // A link to nothing: O_CREAT makes what it leads to.
    files.make_symlink(b"/made", None, b"/dangling").unwrap();
    files.open(None, b"/dangling", CREATE, 0o600).unwrap();
    assert_eq!(files.metadata(None, b"/made", Follow::No).unwrap().kind, Kind::Regular);
}

#[test]
fn users_get_what_permissions_say() {
    let root = context();
    let (alice, bob) = (user(&root, 1), user(&root, 2));
    root.make_directory(None, b"/tmp", 0o1777).unwrap();
    root.make_directory(None, b"/closed", 0o700).unwrap();
    root.open(None, b"/closed/file", CREATE, 0o666).unwrap();
    assert_eq!(alice.open(None, b"/closed/file", OpenFlags::empty(), 0).err(), Some(Errno::EACCES));
    assert_eq!(alice.make_directory(None, b"/new", 0o755), Err(Errno::EACCES));

    alice.open(None, b"/tmp/hers", CREATE, 0o644).unwrap();
    assert_eq!(bob.unlink(None, b"/tmp/hers"), Err(Errno::EPERM), "sticky");
    let none = RenameFlags::empty();
    assert_eq!(bob.rename((None, b"/tmp/hers"), (None, b"/tmp/his"), none), Err(Errno::EPERM));
    bob.open(None, b"/tmp/his", CREATE, 0o644).unwrap();
    assert_eq!(bob.rename((None, b"/tmp/his"), (None, b"/tmp/hers"), none), Err(Errno::EPERM));
    assert_eq!(bob.open(None, b"/tmp/hers", OpenFlags::WRITE_ONLY, 0).err(), Some(Errno::EACCES));
    let hers = at(&root, "/tmp/hers");
    assert_eq!(bob.set_permissions(&hers, 0o777), Err(Errno::EPERM));
    assert_eq!(alice.set_owner(&hers, Some(2), None), Err(Errno::EPERM));
    assert_eq!(alice.set_owner(&hers, Some(1), Some(2)), Err(Errno::EPERM), "not her group");
    assert_eq!(alice.set_owner(&hers, Some(1), Some(1)), Ok(()));
    assert_eq!(bob.set_times(&hers, SetTime::Now, SetTime::Now), Err(Errno::EACCES));
    let then = SetTime::To(Timestamp::default());
    assert_eq!(bob.set_times(&hers, then, SetTime::Now), Err(Errno::EPERM));
    assert_eq!(bob.set_size(&hers, 5), Err(Errno::EACCES));
    assert_eq!(bob.check_access(&hers, vfs::READ), Ok(()));
    assert_eq!(bob.check_access(&hers, vfs::READ | vfs::EXECUTE), Err(Errno::EACCES));
    let device = alice.make_node(None, b"/tmp/null", Kind::CharacterDevice, 0o666, 0x103);
    assert_eq!(device, Err(Errno::EPERM));
    let no_time = OpenFlags::NO_ATIME;
    assert_eq!(bob.open(None, b"/tmp/hers", no_time, 0).err(), Some(Errno::EPERM));
}

#[test]
fn reading_is_noted_unless_the_mount_or_the_file_says_no() {
    let quiet = MountFlags::NO_ATIME;
    let (plain, no_time) = (OpenFlags::empty(), OpenFlags::NO_ATIME);
    for (flags, opened, set, noted) in [
        (MountFlags::empty(), plain, plain, true),
        (MountFlags::empty(), no_time, no_time, false),
        (MountFlags::empty(), plain, no_time, false),
        (MountFlags::empty(), no_time, plain, true),
        (quiet, plain, plain, false),
    ] {
        let files = Context::new(Location::root_of(mount(Limits::default(), flags)));
        files.make_directory(None, b"/directory", 0o755).unwrap();
        files.open(None, b"/directory/file", CREATE, 0o644).unwrap().write(&[b"text"]).unwrap();
        files.make_symlink(b"directory", None, b"/link").unwrap();
        let opened_as = |path: &[u8]| {
            let file = files.open(None, path, opened, 0).unwrap();
            file.set_flags(set);
            file
        };
        // Those on the way there and back do not count.
        let changes = |path: &[u8], read: &dyn Fn()| {
            let at = files.resolve(None, path, Follow::No).unwrap();
            let never = SetTime::To(Timestamp::default());
            files.set_times(&at, never, SetTime::Omit).unwrap();
            read();
            at.node.metadata().unwrap().accessed != Timestamp::default()
        };
        let file = opened_as(b"/directory/file");
        let read = || assert_eq!(file.read_at(0, &mut [&mut [0; 4]], plain), Ok(4));
        let visit = || {
            let open: &vfs::OpenNode = file.downcast().unwrap();
            let visited = open.visit((0, 4), file.flags(), &mut |piece| Ok(piece.len()));
            assert_eq!(visited, Ok(4));
        };
        let directory = opened_as(b"/directory");
        let list = || vfs::list_open(&directory, &mut |_| true).unwrap();
        let noted_of = [
            changes(b"/directory/file", &read),
            changes(b"/directory/file", &visit),
            changes(b"/directory", &list),
        ];
        assert_eq!(noted_of, [noted; 3], "{flags:?} {opened:?} {set:?}");
        let follow = || assert!(files.metadata(None, b"/link/file", Follow::Yes).is_ok());
        let tell = || assert!(files.read_link(None, b"/link").is_ok());
        let noted_of = [changes(b"/link", &follow), changes(b"/link", &tell)];
        assert_eq!(noted_of, [flags != quiet; 2], "{flags:?}");
    }
}

#[test]
fn set_id_bits_go_when_others_write() {
    let root = context();
    root.make_directory(None, b"/group", 0o777).unwrap();
    root.set_permissions(&at(&root, "/group"), 0o2777).unwrap();
    root.set_owner(&at(&root, "/group"), None, Some(7)).unwrap();
    let alice = user(&root, 1);
    let file = alice.open(None, b"/group/file", CREATE, 0o777).unwrap();
    assert_eq!(file.file().metadata().unwrap().group, 7, "of the directory");
    alice.make_directory(None, b"/group/below", 0o755).unwrap();
    let below = alice.metadata(None, b"/group/below", Follow::No).unwrap();
    assert_eq!((below.group, below.permissions), (7, 0o2755));
    root.set_permissions(&at(&root, "/group/file"), 0o6777).unwrap();
    file.write(&[b"x"]).unwrap();
    assert_eq!(file.file().metadata().unwrap().permissions, 0o777);
    root.set_permissions(&at(&root, "/group/file"), 0o6777).unwrap();
    root.set_owner(&at(&root, "/group/file"), Some(3), None).unwrap();
    assert_eq!(file.file().metadata().unwrap().permissions, 0o777);
}

#[test]
fn a_full_file_system_says_so_and_keeps_what_it_has() {
    let limits = Limits { bytes: 3 * 4096, nodes: 4 };
    let files = Context::new(Location::root_of(mount(limits, MountFlags::empty())));
    let statistics = || files.root.mount.file_system().statistics().unwrap();
    assert_eq!((statistics().blocks, statistics().free, statistics().free_nodes), (3, 3, 3));
    let file = files.open(None, b"/a", CREATE, 0o644).unwrap();
    assert_eq!(file.write(&[&[1; 10_000]]), Ok(10_000));
    assert_eq!(file.write(&[&[2; 10_000]]), Ok(12_288 - 10_000), "what there is room for");
    assert_eq!(file.write(&[b"x"]), Err(Errno::ENOSPC));
    let other = files.open(None, b"/b", CREATE, 0o644).unwrap();
    assert_eq!(other.write(&[&[1; 100]]), Err(Errno::ENOSPC));
    assert_eq!(other.write(&[b"short"]), Ok(5), "in its node");
    assert_eq!(
        vfs::allocate_open(&other, Allocate::Reserve { keep_size: true }, 0, 1),
        Err(Errno::ENOSPC)
    );
    files.make_symlink(b"a", None, b"/c").unwrap();
    assert_eq!(files.make_directory(None, b"/d", 0o755), Err(Errno::ENOSPC));
    assert_eq!(files.open(None, b"/d", CREATE, 0).err(), Some(Errno::ENOSPC));
    // A file without a name holds its memory until it is closed.
    files.unlink(None, b"/a").unwrap();
    assert_eq!(statistics().free, 0);
    drop(file);
    assert_eq!((statistics().free, statistics().free_nodes), (3, 1));
    assert_eq!(other.write(&[&[1; 100]]), Ok(100));
    assert_eq!(vfs::allocate_open(&other, Allocate::PunchHole, 0, 4096), Ok(()));
    assert_eq!(statistics().free, 3);
    let mut back = [9; 5];
    other.read_at(3, &mut [&mut back], OpenFlags::empty()).unwrap();
    assert_eq!(back, [0; 5]);
}

#[test]
fn reserving_is_all_or_nothing() {
    let limits = Limits { bytes: 10 * 4096, nodes: 9 };
    let files = Context::new(Location::root_of(mount(limits, MountFlags::empty())));
    let file = files.open(None, b"/a", CREATE, 0o644).unwrap();
    let reserve = Allocate::Reserve { keep_size: false };
    assert_eq!(vfs::allocate_open(&file, reserve, 0, 11 * 4096), Err(Errno::ENOSPC));
    assert_eq!(file.file().metadata().unwrap().blocks, 0);
    assert_eq!(vfs::allocate_open(&file, reserve, 1, i64::MAX), Err(Errno::EFBIG));
    assert_eq!(vfs::allocate_open(&file, reserve, 0, 10 * 4096), Ok(()));
    let other = files.open(None, b"/b", CREATE, 0o644).unwrap();
    assert_eq!(other.write(&[&[1; 100]]), Err(Errno::ENOSPC));
    assert_eq!(file.write(&[&[1; 40_960]]), Ok(40_960), "it was promised");
    // What is there already takes nothing, and nothing is left of what does not fit.
    assert_eq!(vfs::allocate_open(&file, reserve, 0, 10 * 4096), Ok(()));
    vfs::resize_open(&file, 7 * 4096).unwrap();
    assert_eq!(vfs::allocate_open(&file, reserve, 0, 8 * 4096), Ok(()));
    assert_eq!(vfs::allocate_open(&file, reserve, 3 * 4096, 8 * 4096), Err(Errno::ENOSPC));
    assert_eq!(file.file().metadata().unwrap().blocks, 8 * 8);
    assert_eq!(files.root.mount.file_system().statistics().unwrap().free, 2);
}

#[test]
fn what_was_given_at_boot_is_copied_when_it_is_written() {
    static TEXT: [u8; 10_000] = [b'x'; 10_000];
    let files = context();
    let root = files.root.node.clone();
    let node = RamFs::add_static(&root, b"text", 0o644, (0, 0), &TEXT).unwrap();
    let mut seen = Vec::new();
    node.visit(5, 100, &mut |piece| {
        assert!(TEXT.as_ptr_range().contains(&piece.as_ptr()), "not copied");
        seen.extend_from_slice(piece);
        Ok(piece.len())
    })
    .unwrap();
    assert_eq!(seen, [b'x'; 100]);
    let file = files.open(None, b"/text", OpenFlags::READ_WRITE, 0).unwrap();
    file.write_at(5000, &[b"new"], OpenFlags::empty()).unwrap();
    let mut back = [0; 5];
    file.read_at(4999, &mut [&mut back], OpenFlags::empty()).unwrap();
    assert_eq!(&back, b"xnewx");
    assert_eq!(file.file().metadata().unwrap().size, 10_000);
    assert_eq!(RamFs::add_static(&root, b"text", 0o644, (0, 0), b"").err(), Some(Errno::EEXIST));
}

#[test]
fn a_removed_directory_is_not_listed() {
    let files = context();
    files.make_directory(None, b"/gone", 0o755).unwrap();
    let directory = files.open(None, b"/gone", OpenFlags::DIRECTORY, 0).unwrap();
    files.remove_directory(None, b"/gone").unwrap();
    assert_eq!(vfs::list_open(&directory, &mut |_| true), Err(Errno::ENOENT));
}

#[test]
fn listings_go_on_where_they_were_whatever_happens_in_between() {
    let files = context();
    for n in 0..200 {
        files.open(None, format!("/f{n}").as_bytes(), CREATE, 0o644).unwrap();
    }
    let directory = files.open(None, b"/", OpenFlags::DIRECTORY, 0).unwrap();
    let mut seen = Vec::new();
    let mut round = 0;
    loop {
        let before = seen.len();
        let mut count = 0;
        vfs::list_open(&directory, &mut |entry| {
            if count == 7 {
                return false;
            }
            count += 1;
            seen.push(String::from_utf8(entry.name.to_vec()).unwrap());
            true
        })
        .unwrap();
        if seen.len() == before {
            break;
        }
        // Odd ones go and new ones come.
        for n in (1..200).step_by(2).skip(round * 5).take(5) {
            files.unlink(None, format!("/f{n}").as_bytes()).unwrap();
            files.open(None, format!("/new{n}").as_bytes(), CREATE, 0o644).unwrap();
        }
        round += 1;
        assert!(round < 200, "it never ends");
    }
    for n in (0..200).step_by(2) {
        let name = format!("f{n}");
        assert_eq!(seen.iter().filter(|s| **s == name).count(), 1, "{name}");
    }
    let mut once = seen.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), seen.len(), "nothing twice");
}

#[test]
fn files_without_names_can_get_one() {
    let files = context();
    let flags = OpenFlags::TEMPORARY | OpenFlags::DIRECTORY | OpenFlags::READ_WRITE;
    let file = files.open(None, b"/", flags, 0o600).unwrap();
    file.write(&[b"content"]).unwrap();
    assert_eq!(file.file().metadata().unwrap().links, 0);
    let location = vfs::location_of(&file).unwrap();
    files.make_link(location, None, b"/named").unwrap();
    assert_eq!(files.metadata(None, b"/named", Follow::No).unwrap().size, 7);
    // Who had a name and lost it does not get another.
    files.unlink(None, b"/named").unwrap();
    assert_eq!(files.make_link(location, None, b"/again"), Err(Errno::ENOENT));
    let hidden = files.open(None, b"/", flags | OpenFlags::EXCLUSIVE, 0o600).unwrap();
    let location = vfs::location_of(&hidden).unwrap();
    assert_eq!(files.make_link(location, None, b"/never"), Err(Errno::ENOENT));
}

#[test]
fn deep_trees_come_apart_without_deep_stacks() {
    let files = context();
    let mut here = files.clone();
    for _ in 0..100_000 {
        here.make_directory(None, b"d", 0o755).unwrap();
        here.working = here.resolve(None, b"d", Follow::No).unwrap();
    }
    drop(here);
    drop(files);
}

#[test]
fn options_of_mount_are_checked() {
    let open =
        |options: &str| (ramfs::KIND.open)(b"none", options.as_bytes(), vfs::MountFlags::empty());
    let fs = open("size=1M,nr_inodes=10,mode=700").unwrap();
    assert_eq!(fs.statistics().unwrap().blocks, 256);
    assert_eq!(fs.root().metadata().unwrap().permissions, 0o700);
    assert_eq!(open("").unwrap().statistics().unwrap().blocks, 0);
    for bad in [
        "size",
        "size=",
        "size=x",
        "mode=9",
        "colour=red",
        "size=1M,,x",
        "size=99999999999999999999G",
    ] {
        assert_eq!(open(bad).err(), Some(Errno::EINVAL), "{bad}");
    }
}

/// Threads that move, make and remove the same names: nothing may hang, and the tree stays a tree.
#[test]
fn threads_do_not_tear_the_tree() {
    let files = context();
    for n in 0..4 {
        files.make_directory(None, format!("/{n}").as_bytes(), 0o755).unwrap();
    }
    let threads: Vec<_> = (0..4u64)
        .map(|id| {
            let files = files.clone();
            std::thread::spawn(move || {
                let mut state = id + 1;
                let mut next = |below: u64| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
                    (state >> 33) % below
                };
                for _ in 0..20_000 {
                    let mut path = || format!("/{}/{}", next(4), next(4));
                    let (a, b) = (path(), path());
                    let deep = format!("{a}/{}", next(3));
                    let (a, b, deep) = (a.as_bytes(), b.as_bytes(), deep.as_bytes());
                    let _ = match next(7) {
                        0 => files.make_directory(None, a, 0o755),
                        1 => files.make_directory(None, deep, 0o755),
                        2 => files.remove_directory(None, a),
                        3 => files.rename((None, a), (None, b), RenameFlags::empty()),
                        4 => files.rename((None, a), (None, deep), RenameFlags::EXCHANGE),
                        5 => files
                            .open(None, a, CREATE, 0o644)
                            .and_then(|f: Arc<Description>| f.write(&[b"text"]).map(drop)),
                        _ => files.unlink(None, a),
                    };
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|t| t.join().unwrap());
    check(&files, &files.root, 0);
}

/// Counts of links, parents, and names agree everywhere.
fn check(files: &Context, here: &Location, depth: usize) {
    assert!(depth < 1000);
    let mut below = Vec::new();
    here.node
        .list(2, &mut |e| {
            below.push(e.name.to_vec());
            true
        })
        .unwrap();
    let mut directories = 0;
    for name in below {
        let child = files.resolve(Some(here), &name, Follow::No).unwrap();
        if child.node.kind() == Kind::Directory {
            directories += 1;
            assert!(vfs::same(&child.node.parent().unwrap(), &here.node));
            assert_eq!(child.node.name().unwrap().as_deref(), Some(&name[..]));
            check(files, &child, depth + 1);
        } else {
            assert_eq!(child.node.metadata().unwrap().links, 1);
        }
    }
    assert_eq!(here.node.metadata().unwrap().links, 2 + directories);
}
