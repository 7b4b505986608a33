//! `oxk bench alloc` measures everything that it promises. Times are not looked at.

use image_tests::call;
use serde_json::Value;

const OXK: &str = env!("CARGO_BIN_EXE_oxk-under-test");

#[track_caller]
fn positive(value: &Value, what: &str) {
    match value {
        Value::Number(number) => {
            assert!(number.as_f64().is_some_and(|n| n > 0.0), "{what}: {number}");
        }
        Value::Array(values) => {
            assert!(!values.is_empty(), "{what}");
            values.iter().for_each(|value| positive(value, what));
        }
        other => panic!("{what}: {other}"),
    }
}

#[test]
fn allocators_are_measured_side_by_side() {
    let dir = tempfile::tempdir().unwrap();
    let svg = dir.path().join("bars.svg");
    let said = call(OXK, &["bench", "alloc", "--quick", "--json", "-o", svg.to_str().unwrap()]);
    said.expect(0, &[]);
    let report: Value = serde_json::from_str(&said.out).unwrap();
    let allocators: Vec<&str> =
        report["allocators"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for name in [
        "ukalloctlsf",
        "ukallocregion",
        "ukallocpool",
        "ukallocoscar",
        "mimalloc",
        "rlsf",
        "talc",
        "glibc",
    ] {
        assert!(allocators.contains(&name), "{name} is missing");
    }
    let times = report["ns_per_call"].as_object().unwrap();
    for work in ["pair-64", "random-4096", "mixed", "sqlite", "redis", "larson", "cache-scratch"] {
        let cells = times[work].as_object().unwrap();
        for name in &allocators {
            let one_size = ["pair-64", "random-4096"].contains(&work);
            let takes_part = match *name {
                "ukallocregion" => work == "pair-64",
                "ukallocpool" => one_size,
                "ukallocgc" => !["larson", "cache-scratch"].contains(&work),
                _ => true,
            };
            if !takes_part {
                assert!(cells[*name].is_null(), "{work}, {name}");
            } else {
                positive(&cells[*name], &format!("{work}, {name}"));
            }
        }
    }
    for work in ["mixed", "sqlite", "redis"] {
        let memory = &report["memory_bytes"][work];
        positive(&memory["live"], work);
        positive(&memory["needed"]["ukalloctlsf"], work);
        positive(&memory["needed"]["glibc"], work);
    }
    for size in ["16 MB", "256 MB", "1024 MB"] {
        positive(&report["init_ns"][size]["ukalloctlsf"]["first_block"], size);
    }
    for path in report["longest_path"].as_array().unwrap() {
        let latency = path["latency_ns"]["ukalloctlsf"].as_array().unwrap();
        assert_eq!(latency.len(), 3, "{path}");
        positive(&latency[2], "longest call");
    }
    let ratios = report["ratios"].as_array().unwrap();
    assert!(ratios.iter().any(|r| r["peer"] == "rlsf" && r["same_design"] == true));
    let drawing = std::fs::read_to_string(svg).unwrap();
    assert!(drawing.starts_with("<svg") && drawing.contains("ukalloctlsf"));
}

#[test]
fn hello_has_no_drawing() {
    call(OXK, &["bench", "hello", "-o", "x.svg"]).expect(1, &["hello has no --quick"]);
}

#[test]
fn the_start_is_measured_on_every_platform() {
    let dir = tempfile::tempdir().unwrap();
    let svg = dir.path().join("bars.svg");
    let args = ["bench", "boot", "--quick", "--runs", "1", "--json", "-o", svg.to_str().unwrap()];
    let said = call(OXK, &args);
    said.expect(0, &[]);
    let report: Value = serde_json::from_str(&said.out).unwrap();
    let hvt = image_tests::hvt().map(|_| "hvt");
    for platform in ["linuxu", "QEMU q35", "QEMU microvm"].into_iter().chain(hvt) {
        positive(&report["whole_us"][platform], platform);
        positive(&report["guest_us"][platform], platform);
    }
    if hvt.is_some() {
        positive(&report["hvt_parts_us"]["the tender's own share of these"], "own share");
        positive(&report["hvt_by_memory_us"]["8 MiB"]["kernel"], "8 MiB");
        positive(&report["smallest_memory_bytes"], "smallest memory");
    }
    let calls = report["calls"].as_array().unwrap();
    assert!(calls.iter().any(|c| c["what"] == "wait" && c["who"] == "linuxu"), "{calls:?}");
    assert!(std::fs::read_to_string(svg).unwrap().contains("QEMU microvm"));
}

#[test]
fn many_guests_answer_and_are_gone_afterwards() {
    let said = call(OXK, &["bench", "density", "--quick", "--json"]);
    said.expect(0, &[]);
    let report: Value = serde_json::from_str(&said.out).unwrap();
    let platforms: Vec<&str> =
        report.as_array().unwrap().iter().filter_map(|row| row["platform"].as_str()).collect();
    let expected: Vec<&str> =
        image_tests::hvt().map(|_| "hvt").into_iter().chain(["linuxu"]).collect();
    assert_eq!(platforms, expected);
    for row in report.as_array().unwrap() {
        assert_eq!(row["guests"], 50);
        positive(&row["answer_ns"], "answer");
        positive(&row["rss_bytes"], "memory");
    }
    call(OXK, &["bench", "hello", "--guests", "5"])
        .expect(1, &["has no --guests", "help: density"]);
    call(OXK, &["bench", "density", "-o", "x.svg"]).expect(1, &["it has no --output"]);
}

#[test]
fn system_calls_are_measured_in_every_way() {
    let said = call(OXK, &["bench", "syscall", "--json"]);
    said.expect(0, &[]);
    let report: Value = serde_json::from_str(&said.out).unwrap();
    let value = |platform: &str, what: &str, unit: &str| {
        let rows = report.as_array().unwrap();
        let row = rows.iter().find(|row| row["platform"] == platform && row["what"] == what);
        let row = row.unwrap_or_else(|| panic!("no {what} on {platform}"));
        row[unit].as_f64().unwrap_or_else(|| panic!("no {unit} of {what} on {platform}"))
    };
    let cycles = |platform: &str, what: &str| value(platform, what, "cycles");
    for platform in ["linuxu"].into_iter().chain(image_tests::hvt().map(|_| "hvt")) {
        for what in ["loop", "function", "wrapper", "library", "number"] {
            assert!(cycles(platform, what) > 0.0, "{what} on {platform}");
        }
    }
    // Far apart wherever this runs: a call, and a change into kernel mode and back.
    assert!(cycles("linuxu", "library") < cycles("linuxu", "linux"), "{report}");
    // There a trap is a signal: into Linux, back, and once more.
    assert!(cycles("linuxu", "linux") < cycles("linuxu", "trapped"), "{report}");
    // Whoever executes them, instructions are as many.
    let instructions = |what: &str| value("kvm", what, "instructions");
    assert!(instructions("loop") < instructions("function"), "{report}");
    assert!(instructions("function") < instructions("library"), "{report}");
    assert!(instructions("library") <= 2.0 * instructions("wrapper"), "{report}");
    assert!(instructions("library") < instructions("number"), "{report}");
    assert!(instructions("number") < instructions("trapped"), "{report}");
}

#[test]
fn sqlite_is_measured_beside_linux() {
    let dir = tempfile::tempdir().unwrap();
    let svg = dir.path().join("bars.svg");
    let said = call(
        OXK,
        &[
            "bench",
            "sqlite",
            "--quick",
            "--runs",
            "2",
            "--allocator",
            "ukalloctlsf",
            "--json",
            "-o",
            svg.to_str().unwrap(),
        ],
    );
    said.expect(0, &[]);
    for subject in ["ukalloctlsf", "Linux, glibc", "Linux, musl"] {
        assert!(said.out.contains(&format!("\"{subject}\"")), "{subject}: {}", said.out);
    }
    assert!(std::fs::read_to_string(svg).unwrap().starts_with("<svg"));
    call(OXK, &["bench", "files", "--allocator", "ukalloctlsf"])
        .expect(1, &["this experiment has no --allocator"]);
}
