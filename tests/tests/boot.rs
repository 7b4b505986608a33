//! hello and selftest on every platform and machine model.

use image_tests::{Machine, call, machines, run};

const OXK: &str = env!("CARGO_BIN_EXE_oxk-under-test");

fn selftest(machine: Machine, args: &[&str]) -> image_tests::Outcome {
    run(OXK, "apps/selftest", machine, args)
}

#[test]
fn hello_names_platform_architecture_and_libraries() {
    for machine in machines() {
        let platform = machine.args[1];
        run(OXK, "apps/hello", machine, &[]).expect(
            0,
            &["Hello, world!", &format!("Oxikraft on {platform} (x86_64)"), "ukboot", "ukplat"],
        );
        run(OXK, "apps/hello", machine, &["--", "Ada Lovelace"])
            .expect(0, &["Hello, Ada Lovelace!"]);
    }
}

#[test]
fn all_checks_inside_the_image_pass() {
    for machine in machines() {
        selftest(machine, &[]).expect(0, &[" checks, 0 failed"]);
    }
}

#[test]
fn exit_codes_come_through() {
    for machine in machines() {
        for code in [0, 1, 42, 127, 255] {
            selftest(machine, &["--", "exit", &code.to_string()]).expect(code, &[]);
        }
    }
}

#[test]
fn arguments_arrive_as_they_were_given() {
    for machine in machines() {
        let words = ["it's", "two words", "\"quoted\"", "back\\slash", "", "ü", "--", "a.b=c"];
        let mut args = vec!["--", "echo"];
        args.extend(words);
        let said = selftest(machine, &args);
        let expected: String = words.iter().map(|w| format!("[{w}]\n")).collect();
        said.expect(0, &[&expected]);
    }
}

#[test]
fn a_panic_is_reported_with_names_and_lines() {
    for machine in machines() {
        let said = selftest(machine, &["--", "panic"]);
        said.expect(
            101,
            &[
                "panic at apps/selftest/src/lib.rs:",
                "selftest panics on purpose, index 5",
                "selftest::inner (apps/selftest/src/lib.rs:",
                "selftest::outer (apps/selftest/src/lib.rs:",
            ],
        );
    }
}

#[test]
fn faults_are_stopped_and_reported() {
    for machine in machines() {
        for (way, function) in [
            ("null-read", "ukcrash::null_read"),
            ("null-call", "ukcrash::null_call"),
            ("write-code", "ukcrash::write_code"),
            ("write-constant", "ukcrash::write_constant"),
            ("run-data", "ukcrash::run_data"),
            ("stack-overflow", "ukcrash::recurse"),
        ] {
            let said = selftest(machine, &["--", "crash", way]);
            said.expect(102, &["fault: ", function, "rip 0", "rsp 0"]);
        }
    }
}

#[test]
fn a_stack_overflow_of_a_virtual_machine_says_so() {
    for machine in machines().skip(1) {
        selftest(machine, &["--", "crash", "stack-overflow"])
            .expect(102, &["fault: stack overflow at address", ".stack sets the size"]);
    }
}

#[test]
fn a_stack_overflow_of_a_thread_names_it() {
    for machine in machines() {
        selftest(machine, &["--", "crash", "thread-stack-overflow"]).expect(
            102,
            &["fault: stack overflow of thread tester at address", "ukplatcheck::recurse"],
        );
    }
}

#[test]
fn parameters_set_options_without_a_rebuild() {
    for machine in machines() {
        let quiet = selftest(machine, &["--param", "uklog.level=error", "--", "log"]);
        quiet.expect(0, &["ERROR selftest: an error"]);
        assert!(!quiet.all().contains("an information"));
        let loud = selftest(machine, &["--param", "uklog.level=trace", "--", "log"]);
        loud.expect(0, &["INFO  selftest: an information", "TRACE selftest: a trace"]);
    }
}

#[test]
fn wrong_parameters_end_the_boot_with_the_reason() {
    for machine in machines() {
        for (param, reason) in [
            ("uklog.level=loud", "wrong value for parameter `uklog.level=loud`: one of off, error"),
            ("uklgo.level=info", "unknown parameter `uklgo.level`"),
        ] {
            let reason = &["boot failed in phase param of ukparam: ", reason];
            selftest(machine, &["--param", param]).expect(103, reason);
        }
    }
}

#[test]
fn the_boot_trace_times_every_phase() {
    for machine in machines() {
        selftest(machine, &["--param", "ukboot.trace=yes", "--", "exit", "0"])
            .expect(0, &["boot: entry", "boot: param", "boot: heap", "boot: irq", "boot: total"]);
    }
}

#[test]
fn memory_runs_out_without_harm() {
    for machine in machines() {
        selftest(machine, &["--", "exhaust"]).expect(0, &["took ", "afterwards: Ok(())"]);
    }
}

#[test]
fn heaps_are_listed_with_their_libraries() {
    for machine in machines() {
        selftest(machine, &["--", "heaps"])
            .expect(0, &["main", "scratch", "ukallocregion", "uktime"]);
    }
}

#[test]
fn the_initial_ram_disk_arrives_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("initrd");
    let content: Vec<u8> = (0..300_000u32).map(|i| ((i * 7) >> 3) as u8).collect();
    std::fs::write(&file, &content).unwrap();
    let sum = content.iter().fold(0u32, |s, b| s.wrapping_mul(31).wrapping_add((*b).into()));
    for machine in machines() {
        selftest(machine, &["--initrd", file.to_str().unwrap(), "--", "initrd"])
            .expect(0, &[&format!("initrd {} bytes, sum {sum:#010x}", content.len())]);
        selftest(machine, &["--", "initrd"]).expect(1, &["no initial ram disk"]);
    }
}

#[test]
fn idle_images_use_no_cpu() {
    let image = call(OXK, &["build", "apps/selftest", "--json"]);
    let image: serde_json::Value = serde_json::from_str(&image.out).unwrap();
    let path = image["image"].as_str().unwrap();
    let mut child = std::process::Command::new(path).args(["sleep", "1000"]).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(700));
    let ticks = image_tests::cpu_ticks(child.id());
    assert!(child.wait().unwrap().success());
    assert!(ticks <= 2, "sleeping took {ticks} clock ticks of CPU time");
}

#[test]
fn what_is_run_says_where_and_why_there() {
    let (what, why) = match oxk::tender::kvm_opens() {
        true => ("in a virtual machine of the tender", "because /dev/kvm opens\n"),
        false => ("as a process", "because /dev/kvm does not open\n"),
    };
    call(OXK, &["run", "apps/hello"]).expect(0, &[what, why]);
    let named = call(OXK, &["run", "apps/hello", "--plat", "linuxu"]);
    assert!(!named.expect(0, &["as a process"]).all().contains("because"), "{named:?}");
}

#[test]
fn the_console_is_a_file_or_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("it's said");
    let said = || std::fs::read_to_string(&file).unwrap().replace('\r', "");
    for machine in machines() {
        let to_file = ["--console", file.to_str().unwrap()];
        let hello = run(OXK, "apps/hello", machine, &to_file);
        assert!(!hello.expect(0, &[]).all().contains("Hello"), "{}", hello.all());
        assert!(said().contains("Hello, world!"), "{}: {}", machine.name, said());
        // Made anew, and with names in reports.
        let crash = [&to_file[..], &["--", "crash", "null-read"]].concat();
        assert!(!selftest(machine, &crash).expect(102, &[]).all().contains("fault: "));
        let report = said();
        for text in ["fault: ", "ukcrash::null_read", "(debug/ukcrash/src/"] {
            assert!(report.contains(text), "{}: {text}: {report}", machine.name);
        }
        assert!(!report.contains("Hello"), "{report}");
        let none = run(OXK, "apps/hello", machine, &["--console", "none"]);
        assert!(!none.expect(0, &[]).all().contains("Hello"), "{}", none.all());
    }
    let nowhere = dir.path().join("no/where");
    run(OXK, "apps/hello", image_tests::MACHINES[0], &["--console", nowhere.to_str().unwrap()])
        .expect(125, &["cannot write the console to ", "no/where: "]);
}
