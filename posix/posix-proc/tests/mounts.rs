//! What is mounted, as programs read it.

use std::sync::Arc;

use syscall_shim as _;
use ukerrno::Errno;
use ukfile::OpenFlags;
use ukplat::BootInfo;
use vfs::{Context, Follow, Location, Mount, MountFlags};

type Mounted = Result<Arc<Mount>, Errno>;

#[test]
fn file_systems_have_the_names_they_were_mounted_by() {
    static BOOT: BootInfo = BootInfo::EMPTY;
    let fs = ramfs::RamFs::new(ramfs::Limits::default()).unwrap();
    let root = Mount::new(fs, b"rootfs", MountFlags::empty()).unwrap();
    let files = Context::new(Location::root_of(root));
    vfs::set_root(files.root.clone());
    vfs::register(&ramfs::KIND).unwrap();
    posix_files::start(files.root.clone()).unwrap();
    posix_proc::init(&BOOT).unwrap();
    let mount = |at: &str, mount: Mounted| {
        files.make_directory(None, at.as_bytes(), 0o755).unwrap();
        files.resolve(None, at.as_bytes(), Follow::Yes).unwrap().mount(&mount.unwrap()).unwrap();
    };
    mount("/proc", Mount::new(procfs::file_system(), b"proc", MountFlags::empty()));
    mount("/tmp", Mount::open(b"tmpfs", b"none", b"size=8K", MountFlags::empty()));
    mount("/a b", Mount::open(b"ramfs", b"x", b"", MountFlags::READ_ONLY));
    let tmp = files.resolve(None, b"/tmp", Follow::Yes).unwrap();
    mount("/bound", tmp.mount.bind(tmp.node.clone(), b"/tmp"));
    let mut text = [0; 1000];
    let file = files.open(None, b"/proc/1/mounts", OpenFlags::READ_ONLY, 0).unwrap();
    let length = file.read(&mut [&mut text]).unwrap();
    assert_eq!(
        std::str::from_utf8(&text[..length]).unwrap(),
        "rootfs / ramfs rw 0 0\n\
         proc /proc proc rw 0 0\n\
         none /tmp tmpfs rw 0 0\n\
         x /a\\040b ramfs ro 0 0\n\
         /tmp /bound tmpfs rw 0 0\n"
    );
}
