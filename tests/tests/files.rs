//! Files in images: the tree at boot, and what is done with it.

use image_tests::{MACHINES, Machine, run};

const OXK: &str = env!("CARGO_BIN_EXE_oxk-under-test");
const ARCHIVE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fs/cpio/tests/two-files.cpio");
const NO_ARCHIVE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");

fn filetest(machine: Machine, args: &[&str]) -> image_tests::Outcome {
    run(OXK, "apps/filetest", machine, args)
}

#[test]
fn files_work_on_every_machine() {
    for machine in MACHINES {
        filetest(machine, &[]).expect(0, &["files: ok"]);
        filetest(machine, &["--", "/none"]).expect(1, &["error: ENOENT"]);
    }
}

#[test]
fn the_initial_ram_disk_is_the_tree() {
    for machine in MACHINES {
        filetest(machine, &["--initrd", ARCHIVE, "--", "/etc/motd"]).expect(0, &["Welcome"]);
        filetest(machine, &["--initrd", NO_ARCHIVE]).expect(
            103,
            &["the initial ram disk is bad: no cpio archive of format newc at byte 0"],
        );
    }
}
