//! Archives of all kinds, also hostile ones.

use proptest::prelude::*;
use ramfs::Limits;
use rootfs::Error;
use ukerrno::Errno;
use ukfile::{Kind, OpenFlags};
use vfs::{Context, Follow};

#[derive(Clone, Debug)]
struct File {
    name: String,
    data: Vec<u8>,
    mode: u32,
    inode: u32,
    links: u32,
}

fn file(name: &str, data: &[u8], mode: u32) -> File {
    File { name: name.into(), data: data.into(), mode, inode: 0, links: 1 }
}

/// An archive that lives as long as the ones of an image.
fn archive(files: &[File]) -> &'static [u8] {
    let mut bytes = Vec::new();
    let trailer = file("TRAILER!!!", b"", 0);
    for f in files.iter().chain([&trailer]) {
        let (size, name) = (f.data.len() as u32, f.name.len() as u32 + 1);
        let fields = [f.inode, f.mode, 3, 4, f.links, 99, size, 0, 0, 1, 3, name, 0];
        bytes.extend_from_slice(b"070701");
        fields.iter().for_each(|n| bytes.extend_from_slice(format!("{n:08X}").as_bytes()));
        bytes.extend_from_slice(f.name.as_bytes());
        bytes.push(0);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend_from_slice(&f.data);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes.leak()
}

fn tree(files: &[File]) -> Result<Context, Error> {
    rootfs::make(Limits::default(), Some(archive(files))).map(Context::new)
}

fn read(files: &Context, path: &str) -> Vec<u8> {
    let mut bytes = vec![0; 100];
    let file = files.open(None, path.as_bytes(), OpenFlags::empty(), 0).unwrap();
    let read = file.read(&mut [&mut bytes]).unwrap();
    bytes.truncate(read);
    bytes
}

#[test]
fn everything_that_an_archive_can_have() {
    devfs::register().unwrap();
    let files = tree(&[
        file(".", b"", 0o40711),
        file("./bin/tool", b"program", 0o104755),
        file("/lib/", b"", 0o40700),
        file("link", b"bin/tool", 0o120777),
        file("null", b"", 0o20666),
        file("fifo", b"", 0o10600),
        File { inode: 7, links: 2, ..file("one", b"", 0o100644) },
        File { inode: 7, links: 2, ..file("two", b"shared", 0o100644) },
        file("again", b"first", 0o100644),
        file("again", b"second", 0o100600),
    ])
    .unwrap();
    let stat = |path: &str| files.metadata(None, path.as_bytes(), Follow::No).unwrap();
    assert_eq!(stat("/").permissions, 0o711);
    let tool = stat("/bin/tool");
    assert_eq!(
        (tool.permissions, tool.user, tool.group, tool.modified.seconds),
        (0o4755, 3, 4, 99)
    );
    assert_eq!(stat("/lib").permissions, 0o700);
    assert_eq!(read(&files, "/link"), b"program");
    assert_eq!((stat("/null").kind, stat("/null").special), (Kind::CharacterDevice, 0x103));
    assert_eq!(stat("/fifo").kind, Kind::Fifo);
    assert_eq!((read(&files, "/one"), stat("/one").links), (b"shared".to_vec(), 2));
    assert_eq!((read(&files, "/again"), stat("/again").permissions), (b"second".to_vec(), 0o600));
    let null = files.open(None, b"/dev/null", OpenFlags::WRITE_ONLY, 0).unwrap();
    assert_eq!(null.write(&[b"gone"]), Ok(4));
    assert_eq!(stat("/tmp").permissions, 0o1777);
}

#[test]
fn later_entries_replace_what_is_of_another_type() {
    let files = tree(&[
        file("usr/lib", b"", 0o40755),
        file("lib", b"usr/lib", 0o120777),
        file("lib/", b"", 0o40700),
        file("lib/a", b"in it", 0o100644),
        file("bin", b"", 0o100644),
        file("bin", b"", 0o40755),
        file("bin/b", b"below", 0o100644),
        file("etc/", b"", 0o40755),
        file("etc", b"no directory", 0o100644),
    ])
    .unwrap();
    assert_eq!(read(&files, "/lib/a"), b"in it");
    assert!(files.resolve(None, b"/usr/lib/a", Follow::Yes).is_err());
    assert_eq!(read(&files, "/bin/b"), b"below");
    assert_eq!(read(&files, "/etc"), b"no directory");
}

#[test]
fn hostile_archives_are_refused_with_the_entry() {
    for (files, number, error) in [
        (vec![file("../etc/passwd", b"", 0o100644)], 1, Errno::EINVAL),
        (vec![file("ok", b"", 0o100644), file("a/../../x", b"", 0o100644)], 2, Errno::EINVAL),
        (vec![file("odd", b"", 0o30000)], 1, Errno::EINVAL),
        (vec![file("/", b"", 0o100644)], 1, Errno::EINVAL),
        (vec![file("f", b"", 0o100644), file("f/below", b"", 0o100644)], 2, Errno::ENOTDIR),
        (vec![file(&"n".repeat(300), b"", 0o100644)], 1, Errno::ENAMETOOLONG),
        (vec![file("link", b"", 0o120777)], 1, Errno::ENOENT),
        (vec![file("d/x", b"", 0o100644), file("d", b"", 0o100644)], 2, Errno::ENOTEMPTY),
    ] {
        let found = tree(&files).err();
        assert_eq!(found, Some(Error::Entry(number, error)), "{files:?}");
    }
    let full = Limits { nodes: 2, ..Limits::default() };
    let many = archive(&[file("a", b"", 0o100644), file("b", b"", 0o100644)]);
    assert_eq!(rootfs::make(full, Some(many)).err(), Some(Error::Entry(2, Errno::ENOSPC)));
    let root = rootfs::make(Limits::default(), None).unwrap();
    rootfs::make_directories(&root, " /data  /srv/www/ /dev").unwrap();
    assert!(Context::new(root.clone()).resolve(None, b"/srv/www", vfs::Follow::Yes).is_ok());
    let error = rootfs::make_directories(&root, "/a /dev/null/b").err();
    assert_eq!(error, Some(Error::Directory(2, Errno::ENOTDIR)));
    let junk = rootfs::make(Limits::default(), Some(b"junk".as_slice())).err().unwrap();
    assert_eq!(
        junk.to_string(),
        "the initial ram disk is bad: no cpio archive of format newc at byte 0"
    );
}

proptest! {
    /// Links may lead anywhere; what is made through them stays below the root.
    #[test]
    fn any_entries_end_in_a_tree_or_an_error(list in prop::collection::vec((
        prop::sample::select(vec!["a", "b", "a/b", "b/a", "./a", "a//b", "a/b/c", "/", "a/"]),
        prop::sample::select(vec!["", "a", "/a", "b/a", "../..", "."]),
        prop::sample::select(vec![0o100644u32, 0o40755, 0o120777, 0o10600, 0o20600, 0]),
        0u32..3,
    ), 0..12)) {
        let files: Vec<File> = list
            .into_iter()
            .map(|(name, data, mode, inode)| {
                File { inode, links: 1 + inode, ..file(name, data.as_bytes(), mode) }
            })
            .collect();
        if let Ok(files) = tree(&files) {
            prop_assert!(files.metadata(None, b"/dev/null", Follow::Yes).is_ok());
        }
    }
}
