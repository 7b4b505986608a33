//! Runs the models: features exclude each other, and one build has one set of them.
#![cfg(not(feature = "model"))]

#[test]
fn models() {
    configurations::run(env!("CARGO_PKG_NAME"), "model", &["--test", "model"]);
}
