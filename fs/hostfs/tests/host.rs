//! The same operations through a `hostfs` and on the host itself must have the same results.

use hostfs::HostFs;
use proptest::prelude::*;
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
fn the_host_moves_directories() {
    let folder = tempfile::tempdir().unwrap();
    let fs = HostFs::new(folder.path().to_str().unwrap().as_bytes()).unwrap();
    vfscheck::moved_outside(fs, folder.path());
}
