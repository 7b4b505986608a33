//! Machines of many shapes, and images that go wrong in bad places.

use image_tests::{MACHINES, hvt, machines, run};

const OXK: &str = env!("CARGO_BIN_EXE_oxk-under-test");

/// The numbers of the line `touched MIB MiB from LOWEST to HIGHEST`.
fn touched(text: &str) -> (u64, u64) {
    let line = text.lines().find(|l| l.starts_with("touched ")).unwrap_or_else(|| panic!("{text}"));
    let words: Vec<&str> = line.split_whitespace().collect();
    let highest = words[6].trim_start_matches("0x");
    (words[1].parse().unwrap(), u64::from_str_radix(highest, 16).unwrap())
}

#[test]
fn memory_above_one_and_above_four_gib_is_used() {
    for (memory, mib, above) in [("1500M", 1400, 1 << 30), ("6G", 6000, 4 << 30)] {
        for machine in machines().skip(1) {
            let said = run(OXK, "apps/selftest", machine, &["--memory", memory, "--", "touch"]);
            said.expect(0, &["touched "]);
            let (count, highest) = touched(&said.all());
            assert!(count >= mib && highest > above, "{}: {}", machine.name, said.all());
        }
    }
}

#[test]
fn an_initial_ram_disk_may_lie_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("initrd");
    std::fs::write(&file, vec![1u8; 5_000_001]).unwrap();
    let file = file.to_str().unwrap();
    let shapes = [(MACHINES[1], "6G"), (MACHINES[2], "3G"), (MACHINES[1], "24M")];
    for (machine, memory) in shapes.into_iter().chain(hvt().map(|hvt| (hvt, "6M"))) {
        let args = ["--memory", memory, "--initrd", file, "--", "initrd"];
        run(OXK, "apps/selftest", machine, &args).expect(0, &["initrd 5000001 bytes"]);
    }
}

#[test]
fn further_cpus_do_no_harm() {
    for machine in machines().skip(1) {
        run(OXK, "apps/selftest", machine, &["--cpus", "4"]).expect(0, &[" checks, 0 failed"]);
    }
}

#[test]
fn old_and_new_cpus_will_do() {
    for cpu in ["qemu64", "max", "Nehalem"] {
        let cpu = format!("--qemu-arg={cpu}");
        run(OXK, "apps/selftest", MACHINES[2], &["--qemu-arg=-cpu", &cpu])
            .expect(0, &[" checks, 0 failed"]);
    }
}

#[test]
fn crashes_in_interrupt_handlers_are_reported() {
    for machine in machines() {
        run(OXK, "apps/selftest", machine, &["--", "interrupt", "panic"]).expect(
            101,
            &["selftest panics in a bad place", "selftest::panics", "in_interrupt::once"],
        );
        run(OXK, "apps/selftest", machine, &["--", "interrupt", "crash"]).expect(
            102,
            &["fault: invalid memory access", "ukcrash::null_read", "in_interrupt::once"],
        );
    }
}

#[test]
fn crashes_while_a_crash_is_reported_end_with_the_code_of_the_first() {
    for machine in machines() {
        for what in ["panic", "crash"] {
            run(OXK, "apps/selftest", machine, &["--", "report", what])
                .expect(101, &["crashed again while reporting a crash"]);
        }
    }
}
