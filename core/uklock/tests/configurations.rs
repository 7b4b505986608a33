//! Runs the tests of this crate in its other configurations: features exclude each other, and one
//! build has one set of them.
#![cfg(not(any(feature = "threads", feature = "smp", feature = "host")))]

use std::process::Command;

fn tests(features: &str, which: &[&str]) {
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let output = Command::new(cargo)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["test", "--offline", "--quiet", "--package", "uklock", "--features", features])
        .args(which)
        .output()
        .expect("cargo starts");
    let text = [output.stdout, output.stderr].map(|b| String::from_utf8_lossy(&b).into_owned());
    assert!(output.status.success(), "{features}:\n{}", text.concat());
    assert!(text[0].contains(" passed"), "{features}: nothing ran\n{}", text.concat());
}

#[test]
fn threads_on_one_cpu() {
    tests("host,threads,alloc", &["--test", "threads", "--test", "properties"]);
}

#[test]
fn threads_on_several_cpus() {
    tests("host,threads,smp,alloc", &["--test", "threads", "--test", "properties"]);
}

#[test]
fn models_of_one_cpu() {
    tests("model,threads,alloc", &["--test", "model"]);
}

#[test]
fn models_of_priority_inheritance() {
    tests("model,threads,alloc,inherit", &["--test", "model"]);
    tests("model,threads,smp,alloc,inherit", &["--test", "model"]);
}

#[test]
fn models_of_several_cpus() {
    tests("model,threads,smp,alloc", &["--test", "model"]);
}
