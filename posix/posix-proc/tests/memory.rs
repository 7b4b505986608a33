//! With too little memory, what programs do in `/proc` fails with `ENOMEM`, and nothing else happens.

use fdtab::TABLE;
use limited_memory::{Limited, with_limit};
use syscall_shim as _;
use ukerrno::Errno;
use ukfile::{Kind, OpenFlags};
use ukplat::BootInfo;
use vfs::{Context, Follow, Location, Mount, MountFlags};

#[global_allocator]
static ALLOCATOR: Limited = Limited;

/// Steps of the limit in bytes, and where it ends: more than any text here has.
const STEP: usize = 8;
const MOST: isize = 1 << 20;

/// Does something with more and more memory, until there is enough; returns how often there was not.
fn with_little_memory(path: &str, action: impl Fn() -> Result<(), Errno>) -> usize {
    for (tries, bytes) in (0..MOST).step_by(STEP).enumerate() {
        match with_limit(bytes, &action) {
            Ok(()) => return tries,
            Err(error) => assert_eq!(error, Errno::ENOMEM, "{path} with {bytes} bytes"),
        }
    }
    panic!("{path} is never there");
}

fn start() -> Context {
    static BOOT: BootInfo = BootInfo::EMPTY;
    let fs = ramfs::RamFs::new(ramfs::Limits::default()).unwrap();
    let mount = Mount::new(fs, b"root", MountFlags::empty()).unwrap();
    let files = Context::new(Location::root_of(mount));
    posix_files::start(files.root.clone()).unwrap();
    posix_proc::init(&BOOT).unwrap();
    files.make_directory(None, b"/proc", 0o555).unwrap();
    let at = files.resolve(None, b"/proc", Follow::Yes).unwrap();
    at.mount(&Mount::new(procfs::file_system(), b"proc", MountFlags::empty()).unwrap()).unwrap();
    files
}

/// The names in a directory.
fn names(files: &Context, path: &str) -> Vec<String> {
    let mut names = Vec::new();
    let directory = files.open(None, path.as_bytes(), OpenFlags::DIRECTORY, 0).unwrap();
    vfs::list_open(&directory, &mut |entry| {
        names.push(String::from_utf8(entry.name.to_vec()).unwrap());
        true
    })
    .unwrap();
    names.into_iter().filter(|name| name != "." && name != "..").collect()
}

/// What can be done with what is under a path, and below.
fn look(files: &Context, path: &str) -> usize {
    let bytes = path.as_bytes();
    let kind = files.metadata(None, bytes, Follow::No).unwrap().kind;
    let failed = with_little_memory(path, || match kind {
        Kind::Symlink => files.read_link(None, bytes).map(drop),
        Kind::Directory => {
            let open = files.open(None, bytes, OpenFlags::DIRECTORY, 0)?;
            vfs::list_open(&open, &mut |_| true)
        }
        _ => files.open(None, bytes, OpenFlags::empty(), 0)?.read(&mut [&mut [0; 100]]).map(drop),
    });
    assert!(failed > 0, "{path} takes memory");
    let below = if kind == Kind::Directory { names(files, path) } else { Vec::new() };
    1 + below.iter().map(|name| look(files, &format!("{path}/{name}"))).sum::<usize>()
}

#[test]
fn what_is_missing_is_told() {
    let files = start();
    // Descriptors of several kinds.
    let pair = pipe::pipe(OpenFlags::empty()).unwrap();
    TABLE.insert_pair(pair, false).unwrap();
    let directory = files.open(None, b"/proc", OpenFlags::DIRECTORY, 0).unwrap();
    TABLE.insert(directory, false).unwrap();
    // What is made once is there before anything is counted.
    for file in ["sys/kernel/random/boot_id", "sys/kernel/random/uuid", "stat"] {
        let path = format!("/proc/{file}");
        let file = files.open(None, path.as_bytes(), OpenFlags::empty(), 0).unwrap();
        assert_eq!(file.read(&mut [&mut [0; 37]]), Ok(37));
    }
    assert!(look(&files, "/proc") > 40);
    for name in ["sys/kernel/hostname", "self/comm", "self/task/1/comm"] {
        let path = format!("/proc/{name}");
        with_little_memory(&path, || {
            let file = files.open(None, path.as_bytes(), OpenFlags::WRITE_ONLY, 0)?;
            file.write(&[b"na", b"me\n"]).map(drop)
        });
        let file = files.open(None, path.as_bytes(), OpenFlags::empty(), 0).unwrap();
        let mut text = [0; 5];
        assert_eq!((file.read(&mut [&mut text]), text), (Ok(5), *b"name\n"));
    }
}
