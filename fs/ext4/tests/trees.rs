//! Directories with many names: their hash trees are kept, and are what `e2fsck` expects of them.

mod disks;

use std::collections::BTreeSet;
use std::sync::Arc;

use disks::{Recorder, alike, check, check_after_replay, debugfs, make, optimize, tools};
use ukerrno::Errno;
use ukfile::{Description, OpenFlags, SyncKind};
use vfs::{Context, FileSystem as _, Follow, RenameFlags};

const SHAPES: [&[&str]; 5] = [
    &["-b", "1024", "-O", "metadata_csum,64bit"],
    &["-b", "1024", "-O", "^metadata_csum,^64bit"],
    &["-b", "1024", "-O", "metadata_csum,large_dir"],
    &["-b", "4096", "-O", "metadata_csum,64bit"],
    &["-b", "65536", "-O", "metadata_csum"],
];
/// Lets names have the same hashes each time.
const SEED: [&str; 2] = ["-E", "hash_seed=00000000-0000-4000-8000-000000000001"];
const WRITE: OpenFlags = OpenFlags::WRITE_ONLY.union(OpenFlags::CREATE);

fn disk(shape: &[&str], size: &str) -> Recorder {
    Recorder::new(make(&[&["-t", "ext4", "-N", "100"], shape].concat(), size))
}

fn clean(disk: &Recorder, what: &str) {
    if let Err(text) = check(&disk.content()) {
        panic!("{what}: {text}");
    }
}

/// Names of many lengths, some with bytes that have a sign.
fn name(n: usize) -> String {
    format!("{}n\u{e4}me {n}{}", n * n % 97, "\u{ff}x".repeat(n % 50))
}

/// Names of one file.
struct Names<'a> {
    files: &'a Context,
    directory: &'a str,
}

impl<'a> Names<'a> {
    fn new(files: &'a Context, directory: &'a str) -> Self {
        files.make_directory(None, directory.as_bytes(), 0o755).unwrap();
        files.open(None, b"/file", WRITE, 0o600).unwrap();
        Self { files, directory }
    }

    fn path(&self, name: &str) -> Vec<u8> {
        format!("{}/{name}", self.directory).into_bytes()
    }

    fn add(&self, name: &str) -> Result<(), Errno> {
        let file = self.files.resolve(None, b"/file", Follow::No)?;
        self.files.make_link(&file, None, &self.path(name))
    }

    fn remove(&self, name: &str) {
        self.files.unlink(None, &self.path(name)).unwrap();
    }

    fn has(&self, name: &str) -> bool {
        self.files.resolve(None, &self.path(name), Follow::No).is_ok()
    }

    fn open(&self) -> Arc<Description> {
        self.files.open(None, self.directory.as_bytes(), OpenFlags::DIRECTORY, 0).unwrap()
    }

    fn all(&self) -> Vec<String> {
        list(&self.open(), usize::MAX)
    }
}

/// The next names of a directory, but `.` and `..`.
fn list(directory: &Description, most: usize) -> Vec<String> {
    let mut names = Vec::new();
    vfs::list_open(directory, &mut |entry| {
        let room = names.len() < most;
        if room && !matches!(entry.name, b"." | b"..") {
            names.push(String::from_utf8(entry.name.to_vec()).unwrap());
        }
        room
    })
    .unwrap();
    names
}

fn has_tree(disk: &Recorder, path: &str) -> bool {
    let told = debugfs(&disk.content(), &[&format!("stat {path}")]).1;
    let flags = told.split_once("Flags: 0x").unwrap().1.split_whitespace().next().unwrap();
    u32::from_str_radix(flags, 16).unwrap() & 0x1000 != 0
}

/// Levels below the root of a tree, and its nodes and blocks of entries.
fn levels_and_blocks(disk: &Recorder, path: &str) -> (usize, usize) {
    let told = debugfs(&disk.content(), &[&format!("htree_dump {path}")]).1;
    let levels = told.split_once("Indirect levels: ").unwrap().1.lines().next().unwrap();
    (levels.trim().parse().unwrap(), told.matches("Entry #").count())
}

#[test]
fn directories_become_trees_and_stay_so() {
    if !tools() {
        return;
    }
    for shape in SHAPES {
        let (levels, count, size) = match shape[1] {
            "1024" => (1, 2500, "16M"),
            "4096" => (0, 1000, "32M"),
            // As small as they may be with a journal.
            _ => (0, 2500, "160M"),
        };
        let disk = disk(shape, size);
        let mut expected = BTreeSet::new();
        {
            let (_fs, files) = disk.mount();
            let names = Names::new(&files, "/many");
            for n in 0..count {
                names.add(&name(n)).unwrap();
                assert_eq!(names.add(&name(n)), Err(Errno::EEXIST));
                expected.insert(name(n));
                if n % 3 == 0 {
                    names.remove(&name(n / 2));
                    expected.remove(&name(n / 2));
                    names.add(&name(n / 2)).unwrap();
                    expected.insert(name(n / 2));
                }
            }
            for n in (0..count).step_by(5) {
                names.remove(&name(n));
                expected.remove(&name(n));
            }
        }
        clean(&disk, &format!("{shape:?}"));
        let (told, blocks) = levels_and_blocks(&disk, "/many");
        assert_eq!(told, levels, "{shape:?}");
        assert!(blocks > 2, "{shape:?}: {blocks}");
        {
            let (_fs, files) = disk.mount();
            let names = Names { files: &files, directory: "/many" };
            for n in 0..count {
                assert_eq!(names.has(&name(n)), expected.contains(&name(n)), "{n}");
            }
            let all = names.all();
            assert_eq!(all.len(), expected.len(), "{shape:?}");
            assert!(all.into_iter().collect::<BTreeSet<_>>() == expected, "{shape:?}");
            files.make_directory(None, b"/other", 0o755).unwrap();
            files.rename((None, b"/many"), (None, b"/other/many"), RenameFlags::empty()).unwrap();
            let names = Names { files: &files, directory: "/other/many" };
            (0..100).for_each(|n| names.add(&format!("new {n}")).unwrap());
        }
        clean(&disk, &format!("{shape:?}, moved"));
        assert!(has_tree(&disk, "/other/many"), "{shape:?}");
        {
            let (_fs, files) = disk.mount();
            let names = Names { files: &files, directory: "/other/many" };
            names.all().iter().for_each(|name| names.remove(name));
            files.remove_directory(None, b"/other/many").unwrap();
        }
        clean(&disk, &format!("{shape:?}, removed"));
    }
}

/// A block of entries that has lost all of them is one still, and gets new ones.
#[test]
fn blocks_without_names_stay_in_their_trees() {
    if !tools() {
        return;
    }
    for shape in SHAPES {
        let disk = disk(shape, if shape[1] == "65536" { "160M" } else { "16M" });
        let count = if shape[1] == "65536" { 2500 } else { 300 };
        {
            let (_fs, files) = disk.mount();
            let names = Names::new(&files, "/many");
            (0..count).for_each(|n| names.add(&name(n)).unwrap());
            // In the order of their hashes: the first blocks lose all.
            let (directory, mut gone) = (names.open(), Vec::new());
            while gone.len() < count * 2 / 3 {
                let some = list(&directory, 3);
                some.iter().for_each(|name| names.remove(name));
                gone.extend(some);
            }
            let left = list(&directory, usize::MAX);
            assert_eq!(gone.len() + left.len(), count, "{shape:?}");
            assert!(names.all() == left, "{shape:?}");
            assert!(left.iter().all(|name| names.has(name)));
            assert!(gone.iter().all(|name| !names.has(name)));
            let some = &gone[gone.len() / 4];
            names.add(some).unwrap();
            assert!(names.has(some) && names.all()[1..] == left, "{shape:?}");
        }
        clean(&disk, &format!("{shape:?}"));
        assert!(has_tree(&disk, "/many"), "{shape:?}");
    }
}

/// Where the disk has none, directories get none.
#[test]
fn directories_without_trees_stay_so() {
    if !tools() {
        return;
    }
    let disk = disk(&["-b", "1024", "-O", "^dir_index"], "8M");
    let count = 300;
    {
        let (_fs, files) = disk.mount();
        let names = Names::new(&files, "/many");
        (0..count).for_each(|n| names.add(&name(n)).unwrap());
        assert!((0..count).all(|n| names.has(&name(n))));
        assert_eq!(names.all().len(), count);
    }
    clean(&disk, "without trees");
    assert!(!has_tree(&disk, "/many"));
}

/// A tree whose hashes cannot be made, or which contradicts itself, is given up.
#[test]
fn trees_that_cannot_be_used_are_given_up() {
    if !tools() {
        return;
    }
    for shape in [SHAPES[0], SHAPES[1]] {
        let disk = disk(shape, "8M");
        let count = 200;
        {
            let (_fs, files) = disk.mount();
            let names = Names::new(&files, "/many");
            (0..count).for_each(|n| names.add(&name(n)).unwrap());
        }
        assert!(has_tree(&disk, "/many"));
        let disk = Recorder::new(debugfs(&disk.content(), &["ssv flags 0"]).0);
        {
            let (_fs, files) = disk.mount();
            let names = Names { files: &files, directory: "/many" };
            (count..2 * count).for_each(|n| names.add(&name(n)).unwrap());
            assert!((0..2 * count).all(|n| names.has(&name(n))));
            assert_eq!(names.all().len(), 2 * count);
        }
        clean(&disk, "given up");
        assert!(!has_tree(&disk, "/many"), "{shape:?}");
    }
}

/// So is one that leads to names which are not in the range of their block.
#[test]
fn trees_with_names_in_wrong_blocks_are_given_up() {
    if !tools() {
        return;
    }
    let disk = disk(&[SHAPES[1], &SEED].concat(), "8M");
    let count = 200;
    {
        let (_fs, files) = disk.mount();
        let names = Names::new(&files, "/many");
        (0..count).for_each(|n| names.add(&name(n)).unwrap());
    }
    let mut bytes = disk.content();
    let told = debugfs(&bytes, &["bmap /many 0"]).1;
    let root: usize = told.lines().last().unwrap().trim().parse().unwrap();
    // The hash from which on names are in the second block.
    let hash = &mut bytes[root * 1024 + 40..][..4];
    let smaller = (u32::from_le_bytes(hash.try_into().unwrap()) / 2) & !1;
    hash.copy_from_slice(&smaller.to_le_bytes());
    let disk = Recorder::new(bytes);
    {
        let (_fs, files) = disk.mount();
        let names = Names { files: &files, directory: "/many" };
        (count..5 * count).for_each(|n| names.add(&name(n)).unwrap());
        assert!((0..5 * count).all(|n| names.has(&name(n))));
        assert_eq!(names.all().len(), 5 * count);
    }
    clean(&disk, "given up");
    assert!(!has_tree(&disk, "/many"));
}

/// Among ten thousand names one is found, and one is added, by reading a few blocks.
#[test]
fn few_blocks_are_read_for_one_of_many_names() {
    if !tools() {
        return;
    }
    for shape in [SHAPES[1], SHAPES[3]] {
        let disk = disk(shape, "32M");
        let count = 10_000;
        {
            let (_fs, files) = disk.mount();
            let names = Names::new(&files, "/many");
            (0..count).for_each(|n| names.add(&name(n)).unwrap());
        }
        let (_, blocks) = levels_and_blocks(&disk, "/many");
        let size = if shape[1] == "1024" { 1 << 10 } else { 4 << 10 };
        let lines = blocks * size / (32 << 10);
        assert!(lines > 25, "{lines}");
        for n in 0..30 {
            // What was read for one is forgotten for the next.
            let (_fs, files) = disk.mount();
            let names = Names { files: &files, directory: "/many" };
            assert!(files.resolve(None, b"/many", Follow::No).is_ok());
            let before = disk.reads();
            assert!(names.has(&name(n * 331)));
            assert!(!names.has(&name(count + n)));
            let looked_up = disk.reads() - before;
            // The inode of the name; of each at most two nodes and a block of names.
            assert!(looked_up <= 6, "{shape:?}: {looked_up} of {lines}");
            names.add(&name(count + n)).unwrap();
            // With bitmaps, groups, and inodes when a block is split.
            let added = disk.reads() - before - looked_up;
            assert!(added <= 8, "{shape:?}: {added} of {lines}");
        }
        clean(&disk, "looked at");
    }
}

/// Who lists a directory while it grows finds what is there all the time, and that once.
#[test]
fn a_listing_has_each_name_once_while_the_directory_grows() {
    if !tools() {
        return;
    }
    for shape in [SHAPES[0], SHAPES[1]] {
        for count in [3, 10, 400] {
            let disk = disk(shape, "16M");
            let (_fs, files) = disk.mount();
            let names = Names::new(&files, "/many");
            (0..count).for_each(|n| names.add(&name(n)).unwrap());
            let (directory, mut found, mut added) = (names.open(), Vec::new(), 0);
            loop {
                let some = list(&directory, 2);
                if some.is_empty() {
                    break;
                }
                found.extend(some);
                for _ in 0..if added < 2000 { 7 } else { 0 } {
                    names.add(&format!("new {added} {}", "-".repeat(added % 90))).unwrap();
                    added += 1;
                }
            }
            assert!(added > 6, "{added}");
            found.retain(|name| !name.starts_with("new"));
            found.sort_unstable();
            let mut expected: Vec<String> = (0..count).map(name).collect();
            expected.sort_unstable();
            assert_eq!(found, expected, "{shape:?} {count}");
        }
    }
}

/// A tree gets another level whenever all of its nodes are full.
#[test]
fn trees_get_as_high_as_they_may() {
    if !tools() {
        return;
    }
    let long = |n: usize| format!("{n:0255}");
    let disk = disk(&[SHAPES[2], &SEED].concat(), "32M");
    let count = 26_000;
    {
        let (_fs, files) = disk.mount();
        let names = Names::new(&files, "/many");
        (0..count).for_each(|n| names.add(&long(n)).unwrap());
        assert!((0..count).all(|n| names.has(&long(n))));
        assert_eq!(names.all().len(), count);
        (0..count).step_by(3).for_each(|n| names.remove(&long(n)));
    }
    clean(&disk, "high");
    assert_eq!(levels_and_blocks(&disk, "/many").0, 2);
}

/// A tree that is full is so for names that would need more of it.
#[test]
fn a_full_tree_leaves_the_directory_whole() {
    if !tools() {
        return;
    }
    let long = |n: usize| format!("{n:0255}");
    let disk = disk(SHAPES[1], "32M");
    let mut count = 0;
    {
        let (_fs, files) = disk.mount();
        let names = Names::new(&files, "/many");
        let full = loop {
            match names.add(&long(count)) {
                Ok(()) => count += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(full, Errno::ENOSPC);
        assert!(count > 10_000, "{count}");
        // Where it has room, it still has.
        names.remove(&long(7));
        names.add(&long(7)).unwrap();
        assert!((0..count).step_by(97).all(|n| names.has(&long(n))));
    }
    clean(&disk, "full");
    assert_eq!(levels_and_blocks(&disk, "/many").0, 1);
}

/// Whether names are there after a crash is the same for each of them, while nodes are split.
#[test]
fn what_is_committed_survives_with_its_tree() {
    if !tools() {
        return;
    }
    for shape in [SHAPES[0], SHAPES[1]] {
        let disk = disk(shape, "16M");
        let (fs, files) = disk.mount();
        let names = Names::new(&files, "/many");
        let mut done = 0;
        for step in [1, 3, 4, 30, 200, 600, 1500] {
            (done..done + step).for_each(|n| names.add(&name(n)).unwrap());
            done += step;
            fs.root().sync(SyncKind::All).unwrap();
            names.add("not certain").unwrap();
            let crashed = disk.content();
            names.remove("not certain");
            let replayed = check_after_replay(&crashed).unwrap();
            for left in [crashed, replayed] {
                let (_fs, files) = Recorder::new(left).mount();
                let names = Names { files: &files, directory: "/many" };
                assert!((0..done).all(|n| names.has(&name(n))), "{shape:?} {done}");
                assert_eq!(names.all().len(), done, "{shape:?}");
            }
        }
    }
}

/// Names with one hash are in several blocks: as these are split here, and as `e2fsck` orders them.
#[test]
fn names_with_one_hash_are_listed_wherever_they_are() {
    if !tools() {
        return;
    }
    for csum in ["^metadata_csum", "metadata_csum"] {
        let empty = make(&["-t", "ext4", "-b", "1024", "-N", "100", "-O", csum], "8M");
        let disk = Recorder::new(debugfs(&empty, &["ssv def_hash_version legacy"]).0);
        let one_hash = (0..300).map(|n| alike::name(n * 0x1234_5671));
        let mut expected: BTreeSet<_> = one_hash.chain((0..300).map(name)).collect();
        {
            let (_fs, files) = disk.mount();
            let names = Names::new(&files, "/many");
            expected.iter().for_each(|name| names.add(name).unwrap());
            assert_eq!(names.all().into_iter().collect::<BTreeSet<_>>(), expected);
        }
        clean(&disk, csum);
        let disk = Recorder::new(optimize(&disk.content()));
        assert!(has_tree(&disk, "/many"));
        let (_fs, files) = disk.mount();
        let names = Names { files: &files, directory: "/many" };
        for step in [2, 3, 1] {
            let (mut found, directory) = (Vec::new(), names.open());
            while let some @ [_, ..] = &list(&directory, 50)[..] {
                found.extend_from_slice(some);
            }
            assert_eq!(found.len(), expected.len(), "{csum} {step}");
            assert!(found.iter().cloned().collect::<BTreeSet<_>>() == expected, "{csum} {step}");
            for name in found.iter().step_by(step) {
                names.remove(name);
                expected.remove(name);
            }
        }
        assert!(names.all().is_empty());
    }
}
