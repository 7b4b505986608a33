//! The same operations here and on the host's file system must have the same results, and leave a
//! disk that `e2fsck` finds nothing wrong with.

mod disks;

use disks::{Recorder, check, make, tools};
use ext4::Ext4;
use proptest::prelude::*;
use vfscheck::Abilities;

const SHAPES: [&[&str]; 2] = [
    &["-t", "ext4", "-b", "4096", "-O", "metadata_csum,64bit"],
    &["-t", "ext4", "-b", "4096", "-O", "^metadata_csum,^64bit,^flex_bg"],
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, max_shrink_iters: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_host_gives_the_same_results(shape in 0..SHAPES.len(), steps in vfscheck::steps()) {
        if !tools() {
            return Ok(());
        }
        let disk = Recorder::new(make(SHAPES[shape], "16M"));
        // Files have up to 2³² blocks, and Linux's tmpfs more; `fallocate` has more modes here.
        let abilities = Abilities { sizes: false, most_bytes: 1 << 42, ..Abilities::ALL };
        {
            let fs = Ext4::writable(Box::new(disk.clone()), &mut |why| panic!("{why}")).unwrap();
            vfscheck::compare(fs, &abilities, &steps)?;
        }
        check(&disk.content()).map_err(TestCaseError::fail)?;
    }
}
