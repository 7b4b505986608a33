use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use proptest::prelude::*;
use ramfs::{Limits, RamFs};
use ukfile::OpenFlags;
use vfs::{FileSystem, MountFlags, NodeRef, Statistics};

use super::*;

fn bad(table: &str) -> &'static str {
    entries(table).find_map(Result::err).unwrap().expected
}

#[test]
fn wrong_entries_say_what_would_be_right() {
    assert_eq!(entries("").count(), 0);
    assert_eq!(entries(" ; ;").count(), 0);
    for table in ["a", "a /b", "a /b c d e"] {
        assert_eq!(bad(table), "expected: source path type [options]", "{table}");
    }
    assert_eq!(bad("a b c"), "the path must begin with /");
}

#[test]
fn options_are_flags_or_the_file_systems() {
    let entry = entries("a /b c ro,size=1M,nodev,rw,mode=700").next().unwrap().unwrap();
    assert_eq!(entry.flags, MountFlags::NO_DEVICES);
    assert_eq!(entry.options, b"size=1M,mode=700");
}

/// Counts how often it was synchronised.
#[derive(Debug)]
struct Counting(Arc<RamFs>, AtomicUsize);

impl FileSystem for Counting {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn root(&self) -> NodeRef {
        self.0.root()
    }

    fn statistics(&self) -> Result<Statistics, Errno> {
        self.0.statistics()
    }

    fn sync(&self) -> Result<(), Errno> {
        self.1.fetch_add(1, Relaxed);
        Ok(())
    }
}

#[test]
fn what_the_table_says_is_mounted() {
    let root = Mount::new(RamFs::new(Limits::default()).unwrap(), b"root", MountFlags::empty());
    vfs::set_root(Location::root_of(root.unwrap()));
    static CONFIG: Config = Config { file_systems: &[&ramfs::KIND] };
    assert!(TABLE.set("none /a/b tmpfs size=8K;none /a/c ramfs ro;none /a/c ramfs mode=700"));
    init(&BootInfo::EMPTY, &CONFIG).unwrap();
    let files = Context::new(vfs::root().unwrap());
    let flags = OpenFlags::READ_WRITE | OpenFlags::CREATE;
    let file = files.open(None, b"/a/b/file", flags, 0o600).unwrap();
    assert_eq!(file.write(&[&[1; 9000]]), Ok(8192));
    assert_eq!(files.metadata(None, b"/a/c", Follow::Yes).unwrap().permissions, 0o700, "the last");
    let kind = |path: &[u8]| files.resolve(None, path, Follow::Yes).unwrap().mount.kind();
    assert_eq!((kind(b"/a/b"), kind(b"/a/c")), ("tmpfs", "ramfs"), "by the names in the table");
    let wrong = |text: &str| mount(&files, &entries(text).next().unwrap().unwrap());
    assert_eq!(wrong("none /d nofs"), Err(Errno::ENODEV));
    assert_eq!(wrong("none /d ramfs size=x"), Err(Errno::EINVAL));
    assert_eq!(wrong("none /a/b/file ramfs"), Err(Errno::ENOTDIR));
    assert_eq!(wrong("none /a/b/file/x ramfs"), Err(Errno::ENOTDIR));
    assert!(files.metadata(None, b"/d", Follow::Yes).is_err(), "nothing is made in vain");

    // What is in use still is written too, though it is nowhere in the tree any more.
    let fs = Arc::new(Counting(RamFs::new(Limits::default()).unwrap(), AtomicUsize::new(0)));
    files.make_directory(None, b"/a/d", 0o700).unwrap();
    let at = || files.resolve(None, b"/a/d", Follow::Yes).unwrap();
    at().mount(&Mount::new(fs.clone(), b"", MountFlags::empty()).unwrap()).unwrap();
    let file = files.open(None, b"/a/d/file", flags, 0o600).unwrap();
    at().unmount(true).unwrap();
    let synced = || fs.1.swap(0, Relaxed);
    assert_eq!(synced(), 1, "now");
    fini();
    assert_eq!(synced(), 1, "at the end");
    drop(file);
    fini();
    assert_eq!(synced(), 0, "nobody uses it");
}

proptest! {
    #[test]
    fn any_bytes_can_be_written(source in prop::collection::vec(any::<u8>(), 1..30), path in prop::collection::vec(any::<u8>(), 0..30)) {
        let octal = |bytes: &[u8]| bytes.iter().map(|b| format!("\\{b:03o}")).collect::<String>();
        let table = format!("{} /{} 9p", octal(&source), octal(&path));
        let entry = entries(&table).next().unwrap().unwrap();
        prop_assert_eq!(entry.source, source);
        prop_assert_eq!(&entry.path[1..], path);
    }

    #[test]
    fn any_text_is_read_or_refused(table: String) {
        let _ = entries(&table).count();
    }
}
