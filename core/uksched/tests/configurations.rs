//! Runs the models: they need features that exclude those of this build.
#![cfg(not(feature = "model"))]

#[test]
fn models_of_several_cpus() {
    configurations::run(env!("CARGO_PKG_NAME"), "model,inherit", &["--test", "model"]);
}
