//! Runs tests of a crate again, with features that exclude those of the build.
//!
//! ```no_run
//! // In the tests of a crate: its models, which its feature `model` is for.
//! configurations::run(env!("CARGO_PKG_NAME"), "model", &["--test", "model"]);
//! ```
#![forbid(unsafe_code)]

use std::process::Command;

/// Runs those of the tests of `package` that the arguments `which` of `cargo test` choose, with
/// `features`. Called in a test, whose working directory is in the workspace.
///
/// # Panics
/// A test fails, or none is run.
pub fn run(package: &str, features: &str, which: &[&str]) {
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let output = Command::new(cargo)
        .args(["test", "--offline", "--quiet", "--package", package, "--features", features])
        .args(which)
        .output()
        .expect("cargo starts");
    let text = [output.stdout, output.stderr].map(|b| String::from_utf8_lossy(&b).into_owned());
    assert!(output.status.success(), "{features}:\n{}", text.concat());
    assert!(text[0].contains(" passed"), "{features}: nothing ran\n{}", text.concat());
}
