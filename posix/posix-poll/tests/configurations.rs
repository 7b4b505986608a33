//! Runs the models: features exclude each other, and one build has one set of them.
#![cfg(not(feature = "model"))]

use std::process::Command;

#[test]
fn models() {
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let output = Command::new(cargo)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["test", "--offline", "--quiet", "--package", "posix-poll", "--features", "model"])
        .args(["--test", "model"])
        .output()
        .expect("cargo starts");
    let text = [output.stdout, output.stderr].map(|b| String::from_utf8_lossy(&b).into_owned());
    assert!(output.status.success(), "{}", text.concat());
    assert!(text[0].contains(" passed"), "nothing ran\n{}", text.concat());
}
