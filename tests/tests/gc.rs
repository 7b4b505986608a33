//! Garbage collection in images: what is lost is found, what is used stays.

use image_tests::{MACHINES, Outcome, call, machines, run};

const OXK: &str = env!("CARGO_BIN_EXE_oxk-under-test");
const SCHEDULERS: [&str; 2] = ["ukschedcoop", "ukschedpreempt"];

fn under_every_scheduler(app: &str, check: impl Fn(&str, &Outcome)) {
    for scheduler in SCHEDULERS {
        // Images of different content have folders of their own.
        let dir = format!("build/with-ukallocgc-{scheduler}");
        let provider = format!("sched={scheduler}");
        for machine in machines() {
            let args = ["--provider", "alloc=ukallocgc", "--provider", &provider];
            let more = ["--build-dir", &dir, "--memory", "16M"];
            check(scheduler, &run(OXK, app, machine, &[args, more].concat()));
        }
    }
}

fn all_pass(scheduler: &str, said: &Outcome) {
    assert!(said.all().contains(" checks, 0 failed"), "{scheduler}: {}", said.all());
    said.expect(0, &[]);
}

#[test]
fn garbage_is_collected_and_all_else_stays() {
    under_every_scheduler("apps/gctest", all_pass);
}

#[test]
fn threads_live_in_a_collected_heap() {
    under_every_scheduler("apps/schedtest", all_pass);
}

#[test]
fn pauses_are_told() {
    let args = ["--build-dir", "build/with-ukallocgc-ukschedcoop", "--", "pause", "2"];
    run(OXK, "apps/gctest", MACHINES[0], &args).expect(0, &["2 MiB alive in 16385 blocks: "]);
}

#[test]
fn the_collector_is_refused_with_several_cpus() {
    let said = call(OXK, &["build", "apps/cpus", "--provider", "alloc=ukallocgc"]);
    let cause = " works with one CPU, and the image has 4\n";
    said.expect(
        1,
        &["error: `ukallocgc` (", cause, "help: set cpus = 1, or choose another library"],
    );
}
