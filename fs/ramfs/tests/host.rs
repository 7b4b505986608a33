//! The same operations here and on the host's file system must have the same results.

use proptest::prelude::*;
use ramfs::{Limits, RamFs};
use vfscheck::Abilities;

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 5000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_host_gives_the_same_results(steps in vfscheck::steps()) {
        vfscheck::compare(RamFs::new(Limits::default()).unwrap(), &Abilities::ALL, &steps)?;
    }
}
