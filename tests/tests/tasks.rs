//! Tasks without stacks, with and without threads, on every platform.

use image_tests::{MACHINES, Machine, Outcome, call, machines, run};

const OXK: &str = env!("CARGO_BIN_EXE_oxk-under-test");

fn asynctest(dir: &str, machine: Machine, more: &[&str]) -> Outcome {
    // Images of different content have folders of their own.
    let mut all = vec!["--build-dir", dir];
    all.extend(more);
    run(OXK, "apps/asynctest", machine, &all)
}

fn passes(said: &Outcome) {
    assert!(said.all().contains(" checks, 0 failed"), "{}", said.all());
    said.expect(0, &[]);
}

#[test]
fn without_threads_on_one_and_several_cpus() {
    for machine in machines() {
        passes(&asynctest("build/tasks", machine, &[]));
        passes(&asynctest("build/tasks-cpus", machine, &["--cpus", "2"]));
    }
}

#[test]
fn with_threads_on_one_and_several_cpus() {
    passes(&asynctest("build/tasks-coop", MACHINES[0], &["--provider", "sched=ukschedcoop"]));
    for machine in machines() {
        let args = ["--provider", "sched=ukschedpreempt", "--cpus", "2"];
        passes(&asynctest("build/tasks-preempt", machine, &args));
    }
}

#[test]
fn sleeping_tasks_use_no_cpu() {
    let image = call(OXK, &["build", "apps/asynctest", "--json", "--build-dir", "build/tasks"]);
    let image: serde_json::Value = serde_json::from_str(&image.out).unwrap();
    let path = image["image"].as_str().unwrap();
    let mut child = std::process::Command::new(path).args(["idle", "1000"]).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(700));
    let ticks = image_tests::cpu_ticks(child.id());
    assert!(child.wait().unwrap().success());
    assert!(ticks <= 3, "20 sleeping tasks took {ticks} clock ticks of CPU time");
}
