//! The same operations through a `hostfs` and on the host itself must have the same results.

use std::io::Write;

use hostfs::HostFs;
use proptest::prelude::*;
use ukfile::OpenFlags;
use vfs::{Context, Location, Mount, MountFlags};
use vfscheck::Abilities;

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, max_shrink_iters: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_host_gives_the_same_results(steps in vfscheck::steps()) {
        let folder = vfscheck::folder();
        let path = folder.path().to_str().unwrap();
        vfscheck::compare(HostFs::new(path.as_bytes()).unwrap(), &Abilities::ALL, &steps)?;
    }
}

#[test]
fn many_buffers_are_appended_in_one_step() {
    const EACH: usize = 300;
    let folder = tempfile::tempdir().unwrap();
    let fs = HostFs::new(folder.path().to_str().unwrap().as_bytes()).unwrap();
    let mount = Mount::new(fs, b"share", MountFlags::empty()).unwrap();
    let files = Context::new(Location::root_of(mount));
    let flags = OpenFlags::WRITE_ONLY | OpenFlags::CREATE | OpenFlags::APPEND;
    let file = files.open(None, b"/file", flags, 0o600).unwrap();
    let path = folder.path().join("file");
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let mut host = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
            for _ in 0..EACH {
                host.write_all(b"x").unwrap();
            }
        });
        for _ in 0..EACH {
            assert_eq!(file.write(&[&b"o"[..]; 40]), Ok(40));
        }
    });
    let text = std::fs::read(&path).unwrap();
    assert_eq!(text.len(), EACH * 41);
    assert!(text.split(|&b| b == b'x').all(|piece| piece.len() % 40 == 0));
}

#[test]
fn the_host_moves_directories() {
    let folder = tempfile::tempdir().unwrap();
    let fs = HostFs::new(folder.path().to_str().unwrap().as_bytes()).unwrap();
    vfscheck::moved_outside(fs, folder.path());
}
