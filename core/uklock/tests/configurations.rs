//! Runs the tests of this crate in its other configurations: features exclude each other, and one
//! build has one set of them.
#![cfg(not(any(feature = "threads", feature = "smp", feature = "host")))]

fn tests(features: &str, which: &[&str]) {
    configurations::run(env!("CARGO_PKG_NAME"), features, which);
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
