//! Every allocator of the pool as the main heap of an image, on every platform.

use image_tests::{MACHINES, call, machines, run};

const OXK: &str = env!("CARGO_BIN_EXE_oxk-under-test");

/// Libraries that provide `alloc`, as the tool lists them.
fn allocators() -> Vec<String> {
    let said = call(OXK, &["libs", "--json"]);
    let libraries: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let provides = |l: &serde_json::Value| {
        l["provides"].as_array().is_some_and(|list| list.iter().any(|i| i == "alloc"))
    };
    let names = libraries.as_array().unwrap().iter().filter(|l| provides(l));
    names.map(|l| l["name"].as_str().unwrap().to_owned()).collect()
}

/// Allocators by whose design memory that was used up stays so.
const GIVE_NOTHING_BACK: [&str; 1] = ["ukallocregion"];

/// In an image with one CPU and without threads no instruction of an allocator locks the bus.
fn assert_no_atomic_instruction(name: &str, image: &str) {
    let output = std::process::Command::new("objdump")
        .args(["--disassemble", "--demangle", "--no-show-raw-insn", image])
        .current_dir(image_tests::root())
        .output()
        .expect("objdump comes with the C compiler");
    let text = String::from_utf8_lossy(&output.stdout);
    let (mut function, mut functions) = ("", 0);
    for line in text.lines() {
        if line.ends_with(">:") {
            function = line;
            functions += usize::from(line.contains(name));
        }
        let instruction = line.split('\t').nth(1).unwrap_or_default();
        let atomic = instruction.starts_with("lock ")
            || (instruction.starts_with("xchg") && instruction.contains('('));
        assert!(!(atomic && function.contains("ukalloc")), "{name}: {function}\n{line}");
    }
    assert!(functions > 0, "no function of {name} was looked at: {}", output.status);
}

#[test]
fn every_allocator_passes_the_self_test_on_every_platform() {
    let allocators = allocators();
    assert!(allocators.len() >= 2, "{allocators:?}");
    for name in allocators {
        // Images of different content have folders of their own.
        let dir = format!("build/with-{name}");
        let provider = format!("alloc={name}");
        let options = ["--provider", &provider, "--build-dir", &dir];
        for machine in machines() {
            let said = run(OXK, "apps/selftest", machine, &options);
            assert!(said.all().contains(" checks, 0 failed"), "{name}: {}", said.all());
            said.expect(0, &[]);
        }
        let mut heaps = options.to_vec();
        heaps.extend(["--", "heaps"]);
        run(OXK, "apps/selftest", MACHINES[0], &heaps).expect(0, &[&name]);
        assert_no_atomic_instruction(&name, &format!("{dir}/selftest_linuxu-x86_64.dbg"));
        if GIVE_NOTHING_BACK.contains(&name.as_str()) {
            continue;
        }
        let mut exhaust = options.to_vec();
        exhaust.extend(["--memory", "16M", "--", "exhaust"]);
        run(OXK, "apps/selftest", MACHINES[0], &exhaust)
            .expect(0, &["took ", "afterwards: Ok(())"]);
    }
}
