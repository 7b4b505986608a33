//! Images with one and several CPUs on every platform and machine model.

use std::time::Duration;

use image_tests::{MACHINES, Machine, Outcome, call, idle_ticks, machines};

const OXK: &str = env!("CARGO_BIN_EXE_oxk-under-test");

/// Arguments for `apps/cpus`; images of different content have folders of their own.
fn arguments(machine: Machine, cpus: usize) -> Vec<String> {
    let dir = format!("build/cpus-{cpus}");
    let fixed = ["--cpus", &cpus.to_string(), "--build-dir", &dir, "--timeout", "120"];
    machine.args.iter().chain(&fixed).map(|a| (*a).to_owned()).collect()
}

fn run(machine: Machine, cpus: usize, more: &[&str]) -> Outcome {
    let arguments = arguments(machine, cpus);
    let fixed = ["run", "apps/cpus"].into_iter().chain(arguments.iter().map(String::as_str));
    call(OXK, &fixed.chain(more.iter().copied()).collect::<Vec<_>>())
}

#[test]
fn cpus_start_count_interrupt_each_other_and_share_flows() {
    for machine in machines() {
        for cpus in [1, 2, 4] {
            let said = run(machine, cpus, &[]);
            let text = said.all();
            assert!(!text.contains("FAILED"), "{} with {cpus} CPUs:\n{text}", machine.name);
            assert_eq!(text.matches("ok      ").count(), 6, "{}:\n{text}", machine.name);
            said.expect(0, &[&format!("{cpus} CPUs run")]);
        }
    }
}

#[test]
fn a_machine_with_fewer_cpus_than_the_image_wants_is_used_as_it_is() {
    for machine in &MACHINES[1..] {
        run(*machine, 4, &["--qemu-arg=-smp", "--qemu-arg=2"]).expect(0, &["2 CPUs run"]);
    }
}

#[test]
fn a_fault_is_reported_with_its_cpu() {
    for machine in machines() {
        for cpu in [0, 1, 3] {
            run(machine, 4, &["--", "crash", &cpu.to_string()]).expect(
                102,
                &[
                    &format!("fault: invalid memory access at address 0x10 on CPU {cpu}\n"),
                    "ukplatcheck::cpus::crash",
                ],
            );
        }
    }
}

#[test]
fn every_cpu_can_end_the_image() {
    for machine in machines() {
        for cpu in [0, 2] {
            run(machine, 4, &["--", "exit", &cpu.to_string()]).expect(7, &["4 CPUs run"]);
        }
    }
}

#[test]
fn idle_cpus_use_no_cpu_time() {
    for machine in machines() {
        let dir = ["--cpus", "4", "--build-dir", "build/cpus-4", "--", "idle", "3500"];
        let ticks = idle_ticks(OXK, "apps/cpus", machine, &dir, Duration::from_millis(1500));
        // Two percent of one host CPU, for what a virtual machine monitor does in that time.
        assert!(ticks <= 3, "{}: 4 idle CPUs took {ticks} clock ticks", machine.name);
    }
}
