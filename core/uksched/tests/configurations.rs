//! Runs the models: they need features that exclude those of this build.
#![cfg(not(feature = "model"))]

use std::process::Command;

#[test]
fn models_of_several_cpus() {
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let output = Command::new(cargo)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["test", "--offline", "--quiet", "--package", "uksched"])
        .args(["--features", "model,inherit", "--test", "model"])
        .output()
        .expect("cargo starts");
    let text = [output.stdout, output.stderr].map(|b| String::from_utf8_lossy(&b).into_owned());
    assert!(output.status.success(), "{}", text.concat());
    assert!(text[0].contains(" passed"), "nothing ran\n{}", text.concat());
}
