use std::sync::{Arc, Mutex};

use ukerrno::Errno;
use ukfile::{Kind, OpenFlags, Seek};
use vfs::{Context, Follow, Location, Mount, MountFlags};

use crate::{Content, Directory, Family, Member, file_system, register};

struct Even;

impl Directory for Even {
    fn next(&self, from: u64) -> Option<u64> {
        let next = from.next_multiple_of(2);
        (next < 9).then_some(next)
    }

    fn link(&self, number: u64) -> Result<Vec<u8>, Errno> {
        if !number.is_multiple_of(2) || number >= 9 {
            return Err(Errno::ENOENT);
        }
        crate::text(format_args!("even:[{number}]"))
    }

    fn jump(&self, number: u64, through: &Arc<Mount>) -> Result<Option<Location>, Errno> {
        match number {
            2 => Err(Errno::ENOMEM),
            4 => Ok(Some(Location::root_of(through.clone()))),
            _ => Ok(None),
        }
    }
}

struct Odd;

impl Family for Odd {
    fn next(&self, from: u64) -> Option<u64> {
        let next = from | 1;
        (next < 6).then_some(next)
    }

    fn members(&self) -> &'static [Member] {
        static MEMBERS: [Member; 2] = [
            Member { name: "number", write: |number, out| write!(out, "{number}"), set: None },
            Member {
                name: "double",
                write: |number, out| write!(out, "{}", 2 * number),
                set: Some(|number, bytes| {
                    if bytes == number.to_string().as_bytes() { Ok(()) } else { Err(Errno::EINVAL) }
                }),
            },
        ];
        &MEMBERS
    }
}

#[test]
fn directories_that_are_alike() {
    register("family/odd", Content::Family(&Odd)).unwrap();
    let mount = Mount::new(file_system(), b"proc", MountFlags::empty()).unwrap();
    let files = Context::new(Location::root_of(mount));
    let names = |path: &[u8]| {
        let directory = files.open(None, path, OpenFlags::DIRECTORY, 0).unwrap();
        let mut names = Vec::new();
        // One at a time, as a program with a small buffer.
        while {
            let before = names.len();
            vfs::list_open(&directory, &mut |entry| {
                let first = names.len() == before;
                if first {
                    names.push(String::from_utf8(entry.name.to_vec()).unwrap());
                }
                first
            })
            .unwrap();
            names.len() > before
        } {}
        names
    };
    assert_eq!(names(b"/family/odd"), [".", "..", "1", "3", "5"]);
    assert_eq!(names(b"/family/odd/3"), [".", "..", "number", "double"]);
    let file = files.open(None, b"/family/odd/5/double", OpenFlags::READ_WRITE, 0).unwrap();
    let mut text = [0; 4];
    assert_eq!((file.read(&mut [&mut text]), &text[..2]), (Ok(2), &b"10"[..]));
    assert_eq!((file.write(&[b"5"]), file.write(&[b"6"])), (Ok(1), Err(Errno::EINVAL)));
    for missing in [&b"/family/odd/2"[..], b"/family/odd/7", b"/family/odd/03", b"/family/odd/3/x"]
    {
        assert_eq!(files.metadata(None, missing, Follow::Yes).err(), Some(Errno::ENOENT));
    }
    let mut files = files.clone();
    files.working = files.resolve(None, b"/family/odd/3", Follow::Yes).unwrap();
    assert_eq!(files.path_of(&files.working), Ok(b"/family/odd/3".to_vec()));
}

#[test]
fn numbers_stay_and_differ() {
    register("numbers/odd", Content::Family(&Odd)).unwrap();
    register("numbers/even", Content::Directory(&Even)).unwrap();
    register("numbers/text", Content::Text(|out| write!(out, "text"))).unwrap();
    let mount = Mount::new(file_system(), b"proc", MountFlags::empty()).unwrap();
    let files = Context::new(Location::root_of(mount));
    let number = |path: &str| {
        let found = files.metadata(None, path.as_bytes(), Follow::No).unwrap();
        assert_ne!(found.device, 0);
        found.inode
    };
    let mut all = vec![number("/"), number("/numbers")];
    for directory in
        ["/numbers", "/numbers/even", "/numbers/odd", "/numbers/odd/1", "/numbers/odd/3"]
    {
        let node = files.resolve(None, directory.as_bytes(), Follow::Yes).unwrap().node;
        let mut listed = Vec::new();
        node.list(2, &mut |entry| {
            listed.push((String::from_utf8(entry.name.to_vec()).unwrap(), entry.inode));
            true
        })
        .unwrap();
        for (name, inode) in listed {
            let path = format!("{directory}/{name}");
            assert_eq!((number(&path), number(&path)), (inode, inode), "{path}");
            all.push(inode);
        }
    }
    assert_eq!(all.len(), 2 + 3 + 5 + 3 + 2 + 2);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 17, "one is that of another");
}

static SET: Mutex<Vec<u8>> = Mutex::new(Vec::new());

#[test]
fn texts_links_settings_and_directories() {
    register("a/b/text", Content::Text(|out| write!(out, "0123456789"))).unwrap();
    register("a/link", Content::Link(|| Ok(b"b/text".to_vec()))).unwrap();
    register("a/even", Content::Directory(&Even)).unwrap();
    let set = Content::Setting(
        |out| write!(out, "{}", SET.lock().unwrap().len()),
        |bytes| {
            *SET.lock().unwrap() = bytes.to_vec();
            if bytes == b"bad" { Err(Errno::EINVAL) } else { Ok(()) }
        },
    );
    register("a/set", set).unwrap();
    assert_eq!(register("a/link", set), Err(Errno::EEXIST));
    assert_eq!(register("a/link/x", set), Err(Errno::ENOTDIR));
    let mount = Mount::new(file_system(), b"proc", MountFlags::empty()).unwrap();
    let files = Context::new(Location::root_of(mount));

    let file = files.open(None, b"/a/link", OpenFlags::empty(), 0).unwrap();
    let mut part = [0; 4];
    assert_eq!((file.read(&mut [&mut part]), part), (Ok(4), *b"0123"));
    assert_eq!((file.read(&mut [&mut part]), part), (Ok(4), *b"4567"));
    assert_eq!(file.read(&mut [&mut part]), Ok(2));
    assert_eq!(file.read(&mut [&mut part]), Ok(0));
    assert_eq!((file.seek(Seek::Start(1)), file.read(&mut [&mut part])), (Ok(1), Ok(4)));

    let flags = OpenFlags::READ_WRITE | OpenFlags::TRUNCATE;
    let file = files.open(None, b"/a/set", flags, 0).unwrap();
    assert_eq!((file.write(&[b"ab", b"c"]), SET.lock().unwrap().clone()), (Ok(3), b"abc".to_vec()));
    assert_eq!(file.write(&[b"bad"]), Err(Errno::EINVAL));
    assert!(files.make_directory(None, b"/a/new", 0o755).is_err());
    assert!(files.unlink(None, b"/a/set").is_err());

    let target = |path: &[u8]| files.read_link(None, path).map(|t| t.to_vec());
    assert_eq!(target(b"/a/even/4"), Ok(b"even:[4]".to_vec()));
    for missing in [&b"/a/even/5"[..], b"/a/even/04", b"/a/even/x", b"/nothing"] {
        assert_eq!(target(missing), Err(Errno::ENOENT));
    }
    // Links that lead somewhere without a path.
    let there = |path: &[u8]| files.metadata(None, path, Follow::Yes).map(|found| found.kind);
    assert_eq!(there(b"/a/even/4"), Ok(Kind::Directory));
    assert_eq!(there(b"/a/even/4/a/even/4/a/link"), Ok(Kind::Regular));
    assert_eq!(there(b"/a/even/4/a/none"), Err(Errno::ENOENT));
    assert_eq!(
        (there(b"/a/even/2"), there(b"/a/even/6")),
        (Err(Errno::ENOMEM), Err(Errno::ENOENT))
    );
    let create = OpenFlags::CREATE | OpenFlags::WRITE_ONLY;
    assert_eq!(files.open(None, b"/a/even/4", create, 0).err(), Some(Errno::EISDIR));
    let made = files.make_directory(None, b"/a/even/4/a", 0);
    assert_eq!(made, Err(Errno::EEXIST), "on the way to the last name too");
    let names = |path: &[u8]| {
        let node = files.resolve(None, path, Follow::Yes).unwrap().node;
        let mut names = Vec::new();
        let mut from = 2;
        // Two at a time: positions lead on.
        loop {
            let before = names.len();
            node.list(from, &mut |entry| {
                names.push((String::from_utf8(entry.name.to_vec()).unwrap(), entry.kind));
                from = entry.next;
                names.len() < before + 2
            })
            .unwrap();
            if names.len() == before {
                return names;
            }
        }
    };
    let links: Vec<String> = names(b"/a/even").into_iter().map(|(name, _)| name).collect();
    assert_eq!(links, ["0", "2", "4", "6", "8"]);
    let expected = [
        ("b", Kind::Directory),
        ("even", Kind::Directory),
        ("link", Kind::Symlink),
        ("set", Kind::Regular),
    ];
    assert_eq!(names(b"/a"), expected.map(|(name, kind)| (name.to_owned(), kind)));
    let inside = files.resolve(None, b"/a/b", Follow::Yes).unwrap();
    assert_eq!(files.path_of(&inside), Ok(b"/a/b".to_vec()));
}
