//! Threads under every scheduler, on every platform.

use std::time::Duration;

use image_tests::{HVT, MACHINES, Machine, Outcome, call, idle_ticks, machines, run};

const OXK: &str = env!("CARGO_BIN_EXE_oxk-under-test");
const SCHEDULERS: [&str; 2] = ["ukschedcoop", "ukschedpreempt"];

fn schedtest(scheduler: &str, machine: Machine, args: &[&str]) -> Outcome {
    // Images of different content have folders of their own.
    let (provider, dir) = (format!("sched={scheduler}"), format!("build/with-{scheduler}"));
    let mut all = vec!["--provider", &provider, "--build-dir", &dir];
    all.extend(args);
    run(OXK, "apps/schedtest", machine, &all)
}

/// The same in an image for several CPUs.
fn on_cpus(scheduler: &str, machine: Machine, cpus: &str, args: &[&str]) -> Outcome {
    let own = image_for(scheduler, cpus);
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    run(OXK, "apps/schedtest", machine, &[&own, args].concat())
}

/// Options of such an image: each has a folder of its own.
fn image_for(scheduler: &str, cpus: &str) -> [String; 6] {
    let (provider, dir) = (format!("sched={scheduler}"), format!("build/smp-{scheduler}-{cpus}"));
    ["--provider", &provider, "--build-dir", &dir, "--cpus", cpus].map(str::to_owned)
}

#[test]
fn all_checks_pass_under_every_scheduler() {
    for scheduler in SCHEDULERS {
        for machine in machines() {
            let said = schedtest(scheduler, machine, &[]);
            assert!(said.all().contains(" checks, 0 failed"), "{scheduler}: {}", said.all());
            // Where nobody is preempted there is nothing to check.
            let avx = scheduler == "ukschedpreempt" && has_avx(machine);
            said.expect(0, if avx { &["there is AVX"] } else { &[] });
        }
    }
}

/// Whether images there may use AVX: this CPU has it, and of hvt's CPUs KVM says so, which may have less.
fn has_avx(machine: Machine) -> bool {
    const XSAVE_AVX: u32 = 1 << 26 | 1 << 28;
    let of_kvm = || {
        let kvm = kvm_ioctls::Kvm::new().unwrap();
        let features = kvm.get_supported_cpuid(kvm_bindings::KVM_MAX_CPUID_ENTRIES).unwrap();
        features.as_slice().iter().any(|e| e.function == 1 && e.ecx & XSAVE_AVX == XSAVE_AVX)
    };
    let here = std::arch::is_x86_feature_detected!("avx");
    here && (machine.name != HVT.name || of_kvm())
}

#[test]
fn all_checks_pass_on_several_cpus() {
    for scheduler in SCHEDULERS {
        for (machine, cpus) in machines().zip(["2", "4", "2", "2"]) {
            let said = on_cpus(scheduler, machine, cpus, &[]);
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
fn an_idle_image_uses_no_cpu_time() {
    for scheduler in SCHEDULERS {
        // Images that are there already, with one CPU and with several.
        for (machine, cpus) in machines().zip(["2", "4", "2", "2"]) {
            let smp = image_for(scheduler, cpus);
            let smp = smp.each_ref().map(String::as_str);
            let (provider, dir) = (format!("sched={scheduler}"), format!("build/with-{scheduler}"));
            let one = ["--provider", &provider, "--build-dir", &dir, "--cpus", "1"];
            let images = if machine.name == MACHINES[0].name { &[one, smp][..] } else { &[smp] };
            for image in images {
                let args: Vec<&str> = image.iter().copied().chain(["--", "idle", "3500"]).collect();
                let time = Duration::from_millis(1500);
                let ticks = idle_ticks(OXK, "apps/schedtest", machine, &args, time);
                // Two percent of one host CPU, for what a virtual machine monitor does.
                assert!(ticks <= 3, "{scheduler} on {}: {ticks} clock ticks", machine.name);
            }
        }
    }
}

#[test]
fn the_image_ends_while_threads_wait() {
    for (scheduler, machine) in SCHEDULERS.into_iter().flat_map(|s| MACHINES.map(|m| (s, m))) {
        for (who, code) in [("main", 5), ("thread", 6)] {
            // With one CPU and with several, in images that are there already.
            schedtest(scheduler, machine, &["--", "end", who]).expect(code, &[]);
            let cpus = if machine.name == "kvm on q35" { "4" } else { "2" };
            on_cpus(scheduler, machine, cpus, &["--", "end", who]).expect(code, &[]);
        }
    }
}

#[test]
fn who_holds_a_mutex_inherits_the_priority_of_who_waits() {
    let provider = "sched=ukschedpreempt";
    for (inherits, dir, whom) in [
        ("false", "build/with-ukschedpreempt", "a less urgent thread"),
        ("true", "build/inherit", "the owner alone"),
    ] {
        let set = format!("uklock.priority-inheritance={inherits}");
        let args = ["--provider", provider, "--build-dir", dir, "--set", &set, "--", "inversion"];
        for machine in MACHINES {
            let lines = ["owner", "chain"]
                .map(|case| format!("{case}: waited for {whom}; the owner has priority 3 again"));
            run(OXK, "apps/schedtest", machine, &args).expect(0, &[&lines[0], &lines[1]]);
        }
    }
    // The same with several CPUs, where queues have locks of their own.
    let set = "uklock.priority-inheritance=true";
    let args =
        ["--provider", provider, "--build-dir", "build/smp-inherit", "--set", set, "--cpus", "2"];
    let said = run(OXK, "apps/schedtest", MACHINES[0], &args);
    said.expect(0, &[" checks, 0 failed"]);
    let args: Vec<&str> = args.into_iter().chain(["--", "inversion"]).collect();
    run(OXK, "apps/schedtest", MACHINES[0], &args)
        .expect(0, &["owner: waited for the owner alone"]);
}

#[test]
fn threads_move_to_idle_cpus_unless_they_may_not() {
    let (provider, machine) = ("sched=ukschedpreempt", MACHINES[0]);
    // Threads that may move do so soon, unless other programs have the host's CPUs.
    for (stealing, dir, outcome, ms) in [
        ("true", "build/smp-ukschedpreempt-2", "thread moved", "20000"),
        ("false", "build/no-stealing", "thread stayed", "250"),
    ] {
        let set = format!("ukschedpreempt.work-stealing={stealing}");
        let args = ["--provider", provider, "--build-dir", dir, "--cpus", "2", "--set", &set];
        let args: Vec<&str> = args.into_iter().chain(["--", "placement", ms]).collect();
        run(OXK, "apps/schedtest", machine, &args).expect(0, &[outcome, "pinned thread stayed"]);
    }
}
