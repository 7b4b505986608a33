//! The same operations through `ninepfs`, a server, and `hostfs`, and on the host itself must have
//! the same results.

use ninepfs::{NinePFs, Options};
use p9server::{Access, Local, Server};
use proptest::prelude::*;
use vfscheck::Abilities;

/// What the protocol has words for, and the server allows.
const ABILITIES: Abilities = Abilities {
    temporary_files: false,
    allocates: false,
    holes: false,
    exchanges: false,
    set_id: false,
    ..Abilities::ALL
};

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, max_shrink_iters: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_host_gives_the_same_results(steps in vfscheck::steps(), least in any::<bool>()) {
        let folder = vfscheck::folder();
        let server = Server::new(folder.path(), Access::ReadWrite).unwrap();
        let channel = Box::leak(Box::new(Local::new(server)));
        // With the shortest messages that links fit into, files go in several.
        let max_message = if least { 5000 } else { Options::default().max_message };
        let fs = NinePFs::new(channel, Options { max_message, ..Options::default() }).unwrap();
        vfscheck::compare(fs, &ABILITIES, &steps)?;
    }
}

#[test]
fn the_host_moves_directories() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::new(folder.path(), Access::ReadWrite).unwrap();
    let fs = NinePFs::new(Box::leak(Box::new(Local::new(server))), Options::default()).unwrap();
    vfscheck::moved_outside(fs, folder.path());
}
