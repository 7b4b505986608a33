//! Several schedulers in one image, on every platform.

use std::time::Duration;

use image_tests::{MACHINES, call, idle_ticks, machines, run};

const OXK: &str = env!("CARGO_BIN_EXE_oxk-under-test");
const APP: &str = "apps/instances";

#[test]
fn each_keeps_to_its_cpus_and_rules() {
    for machine in machines() {
        let said = run(OXK, APP, machine, &[]);
        assert!(said.all().contains(" checks, 0 failed"), "{}: {}", machine.name, said.all());
        said.expect(0, &["none where it is not", "a token travels round all schedulers"]);
    }
}

#[test]
fn a_data_plane_without_its_cpu_is_refused() {
    for machine in &MACHINES[1..] {
        run(OXK, APP, *machine, &["--qemu-arg=-smp", "--qemu-arg=3"])
            .expect(103, &["boot failed in phase sched", "a scheduler has no CPU"]);
    }
}

#[test]
fn idle_schedulers_use_no_cpu_time() {
    for machine in machines() {
        let ticks =
            idle_ticks(OXK, APP, machine, &["--", "idle", "3500"], Duration::from_millis(1500));
        // Two percent of one host CPU, for what a virtual machine monitor does in that time.
        assert!(ticks <= 3, "{}: {ticks} clock ticks", machine.name);
    }
}

#[test]
fn the_tool_shows_them() {
    call(OXK, &["menu", APP, "--list"]).expect(
        0,
        &["schedulers ", "ukschedpreempt on CPU 0-1; ukschedcoop on CPU 2; none on CPU 3"],
    );
    call(OXK, &["graph", APP]).expect(0, &["none on CPU 3 runs plane::poll"]);
    call(OXK, &["build", APP, "--cpus", "2"])
        .expect(1, &["the image has 2 CPUs, and a scheduler is to have CPU 2", "oxk.toml:"]);
}
