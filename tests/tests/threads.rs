//! Threads under every scheduler, on every platform.

use image_tests::{MACHINES, Outcome, call, machines, run};

const OXK: &str = env!("CARGO_BIN_EXE_oxk-under-test");
const SCHEDULERS: [&str; 2] = ["ukschedcoop", "ukschedpreempt"];

fn schedtest(scheduler: &str, machine: image_tests::Machine, args: &[&str]) -> Outcome {
    // Images of different content have folders of their own.
    let (provider, dir) = (format!("sched={scheduler}"), format!("build/with-{scheduler}"));
    let mut all = vec!["--provider", &provider, "--build-dir", &dir];
    all.extend(args);
    run(OXK, "apps/schedtest", machine, &all)
}

#[test]
fn all_checks_pass_under_every_scheduler() {
    for scheduler in SCHEDULERS {
        for machine in machines() {
            let said = schedtest(scheduler, machine, &[]);
            assert!(said.all().contains(" checks, 0 failed"), "{scheduler}: {}", said.all());
            said.expect(0, &[]);
        }
    }
}

#[test]
fn all_checks_pass_on_several_cpus() {
    for scheduler in SCHEDULERS {
        for (machine, cpus) in machines().zip(["2", "4", "2", "2"]) {
            let (provider, dir) = (format!("sched={scheduler}"), format!("build/smp-{scheduler}"));
            let args = ["--provider", &provider, "--build-dir", &dir, "--cpus", cpus];
            let said = run(OXK, "apps/schedtest", machine, &args);
            assert!(said.all().contains(" checks, 0 failed"), "{scheduler}: {}", said.all());
            said.expect(0, &[]);
        }
    }
}

#[test]
fn threads_are_listed_with_their_counters() {
    schedtest(SCHEDULERS[0], MACHINES[0], &["--", "threads"])
        .expect(0, &["thread 1 `main` ThreadStats"]);
}

#[test]
fn a_thread_that_uses_its_stack_up_is_named() {
    for machine in machines() {
        schedtest(SCHEDULERS[0], machine, &["--", "overflow"])
            .expect(102, &["fault: stack overflow of thread greedy", "schedtest::basics::recurse"]);
    }
}

#[test]
fn an_image_without_threads_contains_none_of_the_scheduler() {
    let said = call(OXK, &["size", "apps/hello", "--json"]).out;
    assert!(!said.contains("uksched"), "{said}");
}

#[test]
fn sleeping_threads_use_no_cpu() {
    let image = call(OXK, &["build", "apps/schedtest", "--json"]);
    let image: serde_json::Value = serde_json::from_str(&image.out).unwrap();
    let path = image["image"].as_str().unwrap();
    let mut child = std::process::Command::new(path).args(["idle", "1000"]).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(700));
    // Fields 14 and 15 of /proc/PID/stat: user and system time in clock ticks (proc(5)).
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    assert!(child.wait().unwrap().success());
    assert!(ticks <= 3, "20 sleeping threads took {ticks} clock ticks of CPU time");
}
