//! Disks that the host's tools made must have what was put on them, and damaged ones an end.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{LazyLock, Once};

use ext4::{Ext4, Ext4Error};
use proptest::prelude::*;
use ukblkdev::{BlockError, model::Memory};
use ukerrno::Errno;
use ukfile::{Kind, OpenFlags, Seek};
use vfs::{Context, Follow, Location, Mount, MountFlags};

/// A program of e2fsprogs, wherever it is.
fn tool(name: &str) -> Command {
    let mut command = Command::new(name);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin")).stdin(Stdio::null());
    command.env("E2FSPROGS_LIBMAGIC_SUPPRESS", "1");
    command
}

/// Whether the programs are here. Where not, says so past the test harness, which hides what
/// passing tests print.
fn tools() -> bool {
    static TOLD: Once = Once::new();
    let here = ["mke2fs", "debugfs"].iter().all(|name| tool(name).arg("-V").output().is_ok());
    if !here {
        TOLD.call_once(|| {
            let text = "\nNOT TESTED: ext4 on disks, for which mke2fs and debugfs (e2fsprogs) are needed.\n";
            let _ = std::io::stderr().write_all(text.as_bytes());
        });
    }
    here
}

fn succeeds(mut command: Command) -> Vec<u8> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A folder of the host, and the image that is made of it.
struct Made {
    folder: tempfile::TempDir,
}

impl Made {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("tree")).unwrap();
        Self { folder }
    }

    fn tree(&self) -> PathBuf {
        self.folder.path().join("tree")
    }

    fn image(&self) -> PathBuf {
        self.folder.path().join("image")
    }

    fn make(&self, options: &[&str], size: &str) {
        let _ = std::fs::remove_file(self.image());
        let mut command = tool("mke2fs");
        command.args(["-q", "-F"]).args(options).arg("-d").arg(self.tree());
        command.arg(self.image()).arg(size);
        succeeds(command);
    }

    /// Changes the image, or looks at it.
    fn debugfs(&self, commands: &str) -> String {
        let script = self.folder.path().join("script");
        std::fs::write(&script, commands).unwrap();
        let mut command = tool("debugfs");
        command.arg("-w").arg("-f").arg(script).arg(self.image());
        String::from_utf8_lossy(&succeeds(command)).into_owned()
    }

    fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.image()).unwrap()
    }

    fn files(&self) -> Context {
        mounted(Ext4::new(Box::new(self.bytes())).unwrap())
    }
}

fn mounted(fs: std::sync::Arc<dyn vfs::FileSystem>) -> Context {
    Context::new(Location::root_of(Mount::new(fs, b"blk0", MountFlags::empty()).unwrap()))
}

fn content(files: &Context, path: &[u8]) -> Result<Vec<u8>, Errno> {
    let file = files.open(None, path, OpenFlags::READ_ONLY, 0)?;
    let (mut all, mut part) = (Vec::new(), vec![0; 50_000]);
    loop {
        // In two buffers, the second of which begins anywhere in a block.
        let (first, second) = part.split_at_mut(777);
        match file.read(&mut [first, second])? {
            0 => return Ok(all),
            read => all.extend(&part[..read]),
        }
    }
}

/// Names in a directory, listed a few at a time.
fn names(files: &Context, path: &[u8]) -> Result<Vec<(Vec<u8>, Kind, u64)>, Errno> {
    let directory = files.open(None, path, OpenFlags::DIRECTORY, 0)?;
    let mut names = Vec::new();
    loop {
        let (before, mut room) = (names.len(), 3);
        vfs::list_open(&directory, &mut |entry| {
            room -= 1;
            if room >= 0 {
                names.push((entry.name.to_vec(), entry.kind, entry.inode));
            }
            room >= 0
        })?;
        if names.len() == before {
            return Ok(names);
        }
    }
}

fn compare(files: &Context, host: &Path, path: &[u8]) {
    let here = String::from_utf8_lossy(path).into_owned();
    let (theirs, ours) =
        (host.symlink_metadata().unwrap(), files.metadata(None, path, Follow::No).unwrap());
    assert_eq!(ours.mode(), theirs.mode(), "{here}");
    // The root is the disk's own.
    if path != b"/" {
        assert_eq!((ours.user, ours.group), (theirs.uid(), theirs.gid()), "{here}");
        assert_eq!(ours.modified.seconds, theirs.mtime(), "{here}");
    }
    if !theirs.is_dir() {
        assert_eq!((ours.size, u64::from(ours.links)), (theirs.size(), theirs.nlink()), "{here}");
    }
    if theirs.is_symlink() {
        let target = std::fs::read_link(host).unwrap();
        assert_eq!(&*files.read_link(None, path).unwrap(), target.as_os_str().as_bytes());
    } else if theirs.is_file() {
        assert!(content(files, path).unwrap() == std::fs::read(host).unwrap(), "{here}");
    } else if theirs.is_dir() {
        let ours = names(files, path).unwrap();
        let mut theirs: BTreeSet<Vec<u8>> = [b".".to_vec(), b"..".to_vec()].into();
        for entry in std::fs::read_dir(host).unwrap() {
            let name = entry.unwrap().file_name();
            let below = [path, b"/", name.as_bytes()].concat();
            compare(files, &host.join(&name), &below);
            let told = files.metadata(None, &below, Follow::No).unwrap();
            let listed = ours.iter().find(|(other, ..)| other == name.as_bytes()).unwrap();
            assert_eq!((listed.1, listed.2), (told.kind, told.inode), "{here}");
            theirs.insert(name.as_bytes().to_vec());
        }
        let count = ours.len();
        let ours: BTreeSet<Vec<u8>> =
            ours.into_iter().map(|(name, ..)| name).filter(|name| name != b"lost+found").collect();
        assert!(ours == theirs && count - ours.len() <= 1, "{here}");
    }
}

/// All that a disk can have that a user without privileges can make.
fn fill(tree: &Path) {
    let bytes = |length: usize| (0..length).map(|n| (n ^ (n / 253)) as u8).collect::<Vec<u8>>();
    std::fs::create_dir_all(tree.join("a/b/c")).unwrap();
    for (name, length) in [("empty", 0), ("one", 1), ("block", 4096), ("a/more", 12 * 1024 + 1)] {
        std::fs::write(tree.join(name), bytes(length)).unwrap();
    }
    // Three levels of tables with blocks of 1 KiB: 12 + 256 + 256² blocks come before.
    let large = std::fs::File::create(tree.join("a/large")).unwrap();
    large.write_all_at(&bytes(1_500_000), 0).unwrap();
    large.write_all_at(b"far away", 68_000_001).unwrap();
    for (name, at) in [("a/b/sparse", 300 * 1024), ("a/b/sparser", 5_000_000)] {
        let file = std::fs::File::create(tree.join(name)).unwrap();
        file.write_all_at(&bytes(5000), at).unwrap();
        file.set_len(at + 100_000).unwrap();
    }
    for (number, mode) in [0o600u32, 0o755, 0o4711, 0o2755, 0o000].into_iter().enumerate() {
        let path = tree.join(format!("a/b/c/mode{number}"));
        std::fs::write(&path, "x").unwrap();
        // Whoever runs the test must be able to read it.
        let readable = mode | 0o400;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(readable)).unwrap();
    }
    symlink("a/b", tree.join("short")).unwrap();
    symlink("x".repeat(59), tree.join("longest in the inode")).unwrap();
    symlink("x".repeat(60), tree.join("in a block")).unwrap();
    symlink("y/".repeat(500), tree.join("a/long")).unwrap();
    std::fs::hard_link(tree.join("one"), tree.join("a/b/also one")).unwrap();
    let long = "n".repeat(255);
    std::fs::write(tree.join(&long), "the longest name").unwrap();
    // Enough for several blocks of a directory, and for a hash tree.
    std::fs::create_dir(tree.join("many")).unwrap();
    for number in 0..600 {
        std::fs::write(tree.join(format!("many/file number {number}")), number.to_string())
            .unwrap();
    }
}

#[test]
fn a_disk_has_what_was_put_on_it() {
    if !tools() {
        return;
    }
    let made = Made::new();
    fill(&made.tree());
    let plain = "-Onone,filetype,sparse_super";
    for options in [
        &["-t", "ext2", "-b", "1024"][..],
        &["-t", "ext2", "-b", "4096"],
        &["-t", "ext2", "-b", "1024", "-r", "0", "-Onone"],
        &["-t", "ext3", "-b", "2048", plain, "-I", "128"],
        &["-t", "ext4", "-b", "1024"],
        &["-t", "ext4", "-b", "4096"],
        &["-t", "ext4", "-b", "4096", "-O", "metadata_csum,64bit"],
        &["-t", "ext4", "-b", "1024", "-O", "^metadata_csum,^64bit,^has_journal"],
    ] {
        made.make(options, "24M");
        // Directories get hash trees.
        let indexed = options.contains(&"ext4") && tool("e2fsck").arg("-V").output().is_ok();
        if indexed {
            let mut command = tool("e2fsck");
            command.arg("-fyD").arg(made.image()).output().unwrap();
        }
        let files = made.files();
        eprintln!("{options:?}");
        compare(&files, &made.tree(), b"/");
        let inode = |path: &[u8]| files.metadata(None, path, Follow::No).unwrap().inode;
        assert_eq!(inode(b"/one"), inode(b"/a/b/also one"));
        assert_eq!(content(&files, b"/short/also one").unwrap().len(), 1);
        let sparse = files.open(None, b"/a/b/sparse", OpenFlags::READ_ONLY, 0).unwrap();
        assert_eq!(sparse.seek(Seek::Hole(0)), Ok(0));
        assert_eq!(sparse.seek(Seek::Data(0)), Ok(300 * 1024));
        assert_eq!(sparse.seek(Seek::Data(400 * 1024)), Err(Errno::ENXIO));
        let inside = files.resolve(None, b"/a/b/c", Follow::Yes).unwrap();
        assert_eq!(files.path_of(&inside), Ok(b"/a/b/c".to_vec()));
        let told = files.root.mount.file_system().statistics().unwrap();
        assert!(told.magic == 0xef53 && told.blocks * told.block_size == 24 << 20);
        assert!(0 < told.free && told.free < told.blocks && told.free_nodes < told.nodes);
    }
}

#[test]
fn nothing_can_be_changed() {
    if !tools() {
        return;
    }
    let made = Made::new();
    std::fs::write(made.tree().join("file"), "as it was").unwrap();
    made.make(&["-t", "ext4"], "4M");
    let files = made.files();
    let create = OpenFlags::READ_WRITE | OpenFlags::CREATE;
    for (path, flags) in [
        (&b"/file"[..], OpenFlags::READ_WRITE),
        (b"/file", OpenFlags::WRITE_ONLY | OpenFlags::TRUNCATE),
        (b"/new", create),
        (b"/file", create),
    ] {
        assert_eq!(files.open(None, path, flags, 0o600).err(), Some(Errno::EROFS));
    }
    let none = vfs::RenameFlags::empty();
    let file = files.resolve(None, b"/file", Follow::No).unwrap();
    for result in [
        files.make_directory(None, b"/new", 0o755),
        files.make_symlink(b"file", None, b"/new"),
        files.make_link(&file, None, b"/new"),
        files.rename((None, b"/file"), (None, b"/new"), none),
        files.unlink(None, b"/file"),
        files.remove_directory(None, b"/lost+found"),
        files.set_permissions(&file, 0o600),
        files.set_owner(&file, Some(1), None),
        files.set_times(&file, vfs::SetTime::Now, vfs::SetTime::Now),
        files.set_size(&file, 0),
    ] {
        assert_eq!(result, Err(Errno::EROFS));
    }
    assert_eq!(content(&files, b"/file").unwrap(), b"as it was");
}

#[test]
fn what_was_reserved_and_not_written_is_zeros() {
    if !tools() {
        return;
    }
    let made = Made::new();
    let mut expected = vec![b'a'; 4096];
    expected.resize(60 * 4096, 0);
    expected.resize(61 * 4096, b'z');
    let file = std::fs::File::create(made.tree().join("file")).unwrap();
    file.write_all_at(&expected[..4096], 0).unwrap();
    file.write_all_at(&expected[60 * 4096..], 60 * 4096).unwrap();
    for name in ["before", "zzz behind"] {
        std::fs::write(made.tree().join(name), vec![0xee; 2 << 20]).unwrap();
    }
    made.make(&["-t", "ext4", "-b", "4096"], "16M");
    // Its blocks are those that had something else.
    made.debugfs("rm before\nrm \"zzz behind\"\nfallocate file 1 50\n");
    let files = made.files();
    assert_eq!(content(&files, b"/file").unwrap(), expected);
    let file = files.open(None, b"/file", OpenFlags::READ_ONLY, 0).unwrap();
    assert_eq!(file.seek(Seek::Hole(0)), Ok(4096));
    assert_eq!(file.seek(Seek::Data(4096)), Ok(60 * 4096));
}

/// An image whose journal has new content of a block of the file, and of one that was revoked.
fn with_journal(options: &[&str], version: &str) -> (Made, Vec<u8>) {
    let made = Made::new();
    let block = 1024;
    std::fs::write(made.tree().join("file"), vec![b'o'; 3 * block]).unwrap();
    made.make(&[&["-t", "ext4", "-b", "1024"], options].concat(), "8M");
    let told = made.debugfs("blocks file\n");
    let blocks: Vec<&str> = told
        .lines()
        .find(|l| l.starts_with(|c: char| c.is_ascii_digit()))
        .unwrap()
        .split_whitespace()
        .collect();
    // It begins with the magic number of the journal, which is written differently there.
    let mut new = vec![b'n'; block];
    new[..4].copy_from_slice(&[0xc0, 0x3b, 0x39, 0x98]);
    let (one, two) = (made.folder.path().join("one"), made.folder.path().join("two"));
    std::fs::write(&one, &new).unwrap();
    std::fs::write(&two, [&new[..], &new].concat()).unwrap();
    let (one, two) = (one.display(), two.display());
    let (first, second) = (blocks[0], blocks[1]);
    made.debugfs(&format!(
        "jo {version}\njw -b {first},{second} {two}\njw -r {second}\njw -b {first} {one}\njc\n"
    ));
    let mut expected = new;
    expected.extend(vec![b'o'; 2 * block]);
    (made, expected)
}

#[test]
fn a_journal_that_was_not_finished_is_read() {
    if !tools() {
        return;
    }
    for (options, version) in [
        (&["-O", "metadata_csum"][..], "-c -v 3"),
        (&["-O", "metadata_csum,64bit"], "-c -v 3"),
        (&["-O", "metadata_csum"], "-c -v 2"),
        (&["-O", "^metadata_csum,^64bit"], ""),
    ] {
        let (made, expected) = with_journal(options, version);
        let told = made.debugfs("features\n");
        assert!(told.contains("needs_recovery"), "{told}");
        assert!(content(&made.files(), b"/file").unwrap() == expected, "{options:?} {version}");
    }
}

#[test]
fn what_cannot_be_read_is_refused_with_the_reason() {
    if !tools() {
        return;
    }
    let refused = |bytes: Vec<u8>| Ext4::new(Box::new(bytes)).unwrap_err();
    assert_eq!(refused(Vec::new()), Ext4Error::Other);
    assert_eq!(refused(vec![0; 1 << 20]), Ext4Error::Other);
    let made = Made::new();
    made.make(&["-t", "ext4", "-O", "inline_data"], "4M");
    let told = refused(made.bytes()).to_string();
    assert!(told.contains("not known here: inline_data;"), "{told}");
    made.make(&["-t", "ext4", "-O", "metadata_csum"], "4M");
    let good = made.bytes();
    assert_eq!(
        refused(good[..good.len() / 2].to_vec()),
        Ext4Error::Damaged("it is longer than the disk")
    );
    let mut bad = good.clone();
    bad[1024 + 0x10] ^= 1;
    let told = refused(bad).to_string();
    assert!(told.contains("the checksum of its superblock is wrong; look with e2fsck"), "{told}");
    // One bit of the inode of the root directory.
    let mut command = tool("debugfs");
    command.args(["-R", "imap <2>"]).arg(made.image());
    let place = String::from_utf8(succeeds(command)).unwrap();
    let number = |text: &str| {
        let digits = text.trim_start_matches("0x");
        u64::from_str_radix(digits, if digits == text { 10 } else { 16 }).unwrap() as usize
    };
    let place = place.lines().last().unwrap();
    let words: Vec<&str> = place.split(|c: char| c.is_whitespace() || c == ',').collect();
    let after = |word| number(words[words.iter().position(|w| *w == word).unwrap() + 1]);
    let mut bad = good.clone();
    bad[after("block") * 1024 + after("offset") + 0x10] ^= 1;
    assert_eq!(refused(bad), Ext4Error::Damaged("the checksum of an inode is wrong"));
}

#[test]
fn errors_of_the_disk_are_errors_of_calls() {
    if !tools() {
        return;
    }
    let made = Made::new();
    std::fs::write(made.tree().join("file"), vec![1; 500_000]).unwrap();
    made.make(&["-t", "ext4"], "4M");
    let (memory, bytes) = (Memory::new(512, (4 << 20) / 512), made.bytes());
    let disk = ukblkdev::register(Box::new(memory.clone()));
    disk.write(0, &bytes).unwrap();
    let files = || mounted(Ext4::new(Box::new(disk)).unwrap());
    assert!(content(&files(), b"/file").unwrap() == vec![1; 500_000]);
    // In the middle of it.
    let at = bytes.windows(4096).position(|block| block == [1; 4096]).unwrap() + 200_000;
    memory.break_block(at as u64 / 512);
    assert_eq!(content(&files(), b"/file"), Err(Errno::EIO));
    let kind = vfs::by_name(b"ext4").err();
    assert_eq!(kind, Some(Errno::ENODEV), "nobody has registered it");
    let name = disk.name().as_bytes();
    assert!((ext4::KIND.open)(name, b"", MountFlags::empty()).is_ok());
    {
        let first = (ext4::KIND.open)(name, b"", MountFlags::empty());
        let second = (ext4::KIND.open)(name, b"", MountFlags::empty());
        assert!(first.is_ok() && second.err() == Some(Errno::EBUSY), "one writes to a disk");
        assert!((ext4::KIND.open)(name, b"", MountFlags::READ_ONLY).is_ok());
    }
    assert!((ext4::KIND.open)(&[b"/dev/", name].concat(), b"", MountFlags::empty()).is_ok());
    for (options, result) in [
        (&b"commit=1"[..], None),
        (b"commit=0", None),
        (b"commit=-1", Some(Errno::EINVAL)),
        (b"commit=", Some(Errno::EINVAL)),
        (b"data=journal", Some(Errno::EINVAL)),
    ] {
        assert_eq!((ext4::KIND.open)(name, options, MountFlags::empty()).err(), result);
    }
    {
        let reader = (ext4::KIND.open)(name, b"", MountFlags::READ_ONLY).unwrap();
        let files = mounted(reader.clone());
        let make = |path: &[u8]| files.make_directory(None, path, 0o755);
        let writer = (ext4::KIND.open)(name, b"", MountFlags::empty()).unwrap();
        assert_eq!(reader.remount(MountFlags::empty()), Err(Errno::EBUSY));
        mounted(writer.clone()).make_directory(None, b"/by the other", 0o755).unwrap();
        drop(writer);
        assert_eq!(make(b"/new"), Err(Errno::EROFS));
        reader.remount(MountFlags::empty()).unwrap();
        assert_eq!(make(b"/by the other"), Err(Errno::EEXIST));
        make(b"/new").unwrap();
        reader.remount(MountFlags::READ_ONLY).unwrap();
        let other = (ext4::KIND.open)(name, b"", MountFlags::READ_ONLY).unwrap();
        assert!(mounted(other).resolve(None, b"/new", Follow::No).is_ok(), "it was written");
        reader.remount(MountFlags::empty()).unwrap();
        make(b"/newer").unwrap();
    }
    assert_eq!((ext4::KIND.open)(b"blk99", b"", MountFlags::empty()).err(), Some(Errno::ENODEV));
    let empty = ukblkdev::register(Box::new(Memory::new(512, 64)));
    assert_eq!(
        (ext4::KIND.open)(empty.name().as_bytes(), b"", MountFlags::empty()).err(),
        Some(Errno::EINVAL)
    );
    assert_eq!(Errno::from(Ext4Error::Disk(BlockError::Io)), Errno::EIO);
}

/// Goes through all there is, as far as there is an end.
fn walk(files: &Context, path: &[u8], left: &mut u32) {
    let Ok(listed) = names(files, path) else { return };
    for (name, ..) in listed {
        if matches!(&name[..], b"." | b"..") || *left == 0 {
            continue;
        }
        *left -= 1;
        let below = [path, b"/", &name].concat();
        let _ = files.read_link(None, &below);
        let Ok(metadata) = files.metadata(None, &below, Follow::No) else { continue };
        match metadata.kind {
            Kind::Directory => walk(files, &below, left),
            Kind::Regular => {
                let Ok(file) = files.open(None, &below, OpenFlags::READ_ONLY, 0) else { continue };
                let mut part = vec![0; 40_000];
                for at in [0, 9000, 70_000, metadata.size / 2, metadata.size.saturating_sub(9)] {
                    let at = at.min(i64::MAX as u64 - 50_000);
                    let _ = file.read_at(at, &mut [&mut part], OpenFlags::empty());
                }
            }
            _ => {}
        }
    }
}

/// Images without checksums, which would notice, and one with; with journals that are not finished, and with a
/// hash tree.
static IMAGES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let made = Made::new();
    let tree = made.tree();
    std::fs::create_dir_all(tree.join("a/b")).unwrap();
    std::fs::write(tree.join("a/large"), vec![7; 400_000]).unwrap();
    std::fs::write(tree.join("a/b/small"), "small").unwrap();
    symlink("z".repeat(80), tree.join("a/link")).unwrap();
    (0..40).for_each(|n| std::fs::write(tree.join(format!("a/b/{n}")), "").unwrap());
    let mut images = Vec::new();
    for options in [
        &["-t", "ext2", "-b", "1024"][..],
        &["-t", "ext4", "-b", "1024", "-O", "^metadata_csum,^64bit,^has_journal"],
        &["-t", "ext4", "-b", "1024", "-O", "metadata_csum,^has_journal"],
    ] {
        made.make(options, "1M");
        images.push(made.bytes());
    }
    for (options, version) in
        [(&["-O", "^metadata_csum,^64bit"], ""), (&["-O", "metadata_csum,64bit"], "-c -v 3")]
    {
        images.push(with_journal(options, version).0.bytes());
    }
    (0..250).for_each(|n| {
        std::fs::write(tree.join(format!("a/b/a longer name, number {n}")), "").unwrap()
    });
    made.make(
        &["-t", "ext4", "-b", "1024", "-N", "400", "-O", "^metadata_csum,^has_journal"],
        "1M",
    );
    let mut command = tool("e2fsck");
    command.arg("-fyD").arg(made.image()).output().unwrap();
    images.push(made.bytes());
    images
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damage_has_results(
        which in 0usize..6,
        // Most of what matters is not zero.
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..30),
    ) {
        if !tools() {
            return Ok(());
        }
        static USED: LazyLock<Vec<Vec<usize>>> = LazyLock::new(|| {
            let used = |image: &Vec<u8>| {
                (0..image.len()).filter(|at| !matches!(image[*at], 0 | 7 | 0xff)).collect()
            };
            IMAGES.iter().map(used).collect()
        });
        let mut image = IMAGES[which].clone();
        for (index, value, near) in changes {
            let at = USED[which][index.index(USED[which].len())] + usize::from(near);
            if let Some(byte) = image.get_mut(at) {
                *byte = value;
            }
        }
        if let Ok(fs) = Ext4::new(Box::new(image)) {
            walk(&mounted(fs), b"/", &mut 300);
        }
    }
}
