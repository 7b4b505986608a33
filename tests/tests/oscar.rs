//! Bad pointers in images with Oscar as their allocator: each is found, and said to be what it is.
//! That it serves good ones is tested with the other allocators.

use image_tests::{MACHINES, Outcome, machines, run};

const OXK: &str = env!("CARGO_BIN_EXE_oxk-under-test");

const OSCAR: [&str; 4] =
    ["--provider", "alloc=ukallocoscar", "--build-dir", "build/with-ukallocoscar"];

fn crash_everywhere(way: &str, check: impl Fn(&Outcome)) {
    for machine in machines() {
        let mut args = OSCAR.to_vec();
        args.extend(["--", "crash", way]);
        check(&run(OXK, "apps/selftest", machine, &args));
    }
}

#[test]
fn a_use_after_free_is_a_fault() {
    crash_everywhere("use-after-free", |said| {
        said.expect(
            102,
            &[
                "fault: invalid memory access at address 0x1",
                ": use after free of a 100-byte block, at offset 8\n",
                "ukcrash::use_after_free",
            ],
        );
    });
}

#[test]
fn a_double_free_is_a_fault() {
    crash_everywhere("double-free", |said| {
        said.expect(102, &[": double free of a 100-byte block\n", "ukcrash::double_free"]);
    });
}

#[test]
fn a_byte_written_past_the_end_is_found_when_the_block_is_freed() {
    crash_everywhere("heap-overflow", |said| {
        said.expect(
            101,
            &["heap corrupted: written past the end of a 100-byte block", "ukcrash::heap_overflow"],
        );
    });
}

#[test]
fn running_past_the_end_is_a_fault() {
    crash_everywhere("heap-overrun", |said| {
        said.expect(102, &[": access past the end of a 100-byte block, ", "ukcrash::heap_overrun"]);
    });
}

#[test]
fn reports_know_as_many_freed_blocks_as_the_manifest_says() {
    let mut args = OSCAR.to_vec();
    args[3] = "build/with-ukallocoscar-forgetful";
    args.extend(["--set", "ukallocoscar.freed-blocks=0", "--", "crash", "use-after-free"]);
    run(OXK, "apps/selftest", MACHINES[0], &args)
        .expect(102, &[": use of a block that was freed long ago\n"]);
}
