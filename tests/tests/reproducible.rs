//! The same sources give the same image, wherever they lie, and are compiled only once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use image_tests::{call, root};

const OXK: &str = env!("CARGO_BIN_EXE_oxk-under-test");

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A copy of the sources that images are made of.
fn clone_of_repository(to: &Path) {
    for folder in ["arch", "plat", "core", "alloc", "debug", "apps"] {
        copy(&root().join(folder), &to.join(folder));
    }
    for file in ["Cargo.toml", "Cargo.lock"] {
        std::fs::copy(root().join(file), to.join(file)).unwrap();
    }
    // The workspace names these too.
    for (folder, name) in [("tools/none", "none"), ("tests", "nothing")] {
        std::fs::create_dir_all(to.join(folder).join("src")).unwrap();
        std::fs::write(to.join(folder).join("src/lib.rs"), "").unwrap();
        let text = format!("[package]\nname = \"{name}\"\nedition = \"2024\"\n");
        std::fs::write(to.join(folder).join("Cargo.toml"), text).unwrap();
    }
}

/// Builds selftest, which has most libraries and a third-party crate, and returns its image.
fn build(repository: &Path, platform: &str, build_dir: Option<&Path>) -> Vec<u8> {
    let mut command = Command::new(OXK);
    command.args(["build", "apps/selftest", "--plat", platform, "--json"]);
    if let Some(dir) = build_dir {
        command.arg("--build-dir").arg(dir);
    }
    let output = command
        .current_dir(repository)
        .env("OXIKRAFT_ROOT", repository)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    std::fs::read(said["image"].as_str().unwrap()).unwrap()
}

#[test]
fn the_folder_does_not_show_in_the_image() {
    let dir = tempfile::tempdir().unwrap();
    let elsewhere = dir.path().join("a folder").join("deeper");
    clone_of_repository(&elsewhere);
    for platform in ["linuxu", "kvm"] {
        let here = build(&root(), platform, None);
        let there = build(&elsewhere, platform, Some(&dir.path().join("out")));
        assert!(here == there, "{platform}: images of the same sources differ");
        let folder = dir.path().to_str().unwrap().as_bytes().to_vec();
        let contains = there.windows(folder.len()).any(|w| w == folder);
        assert!(!contains, "{platform}: the image contains the path of its sources");
    }
}

/// All files below a folder with the time of their last change.
fn times(dir: &Path, found: &mut BTreeMap<PathBuf, SystemTime>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let meta = entry.metadata().unwrap();
        if meta.is_dir() {
            times(&entry.path(), found);
        } else {
            found.insert(entry.path(), meta.modified().unwrap());
        }
    }
}

#[test]
fn a_second_build_writes_and_compiles_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let build_dir = dir.path().join("out");
    let args = ["build", "apps/hello", "--build-dir", build_dir.to_str().unwrap()];
    call(OXK, &args).expect(0, &["Built"]);
    let outputs = |of: &str| {
        let mut found = BTreeMap::new();
        times(&build_dir.join(of), &mut found);
        // Notes of cargo for itself are no output of a compiler.
        found.retain(|path, _| {
            path.extension()
                .is_some_and(|e| ["rlib", "rmeta", "rs", "toml", "ld"].iter().any(|x| e == *x))
                || path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("hello_"))
        });
        found
    };
    let before = (
        outputs("gen"),
        outputs("target"),
        std::fs::metadata(build_dir.join("hello_linuxu-x86_64")).unwrap().modified().unwrap(),
    );
    assert!(before.0.len() >= 3 && before.1.len() > 8, "{before:?}");
    call(OXK, &args).expect(0, &["Built"]);
    let after = (
        outputs("gen"),
        outputs("target"),
        std::fs::metadata(build_dir.join("hello_linuxu-x86_64")).unwrap().modified().unwrap(),
    );
    assert_eq!(before, after, "the second build did something");

    // A changed option does not compile what does not depend on it.
    let mut set = args.to_vec();
    set.extend(["--set", "linuxu.memory=32M"]);
    call(OXK, &set).expect(0, &["Built"]);
    let changed = outputs("target");
    let rebuilt: Vec<_> =
        changed.iter().filter(|(path, time)| before.1.get(*path) != Some(time)).collect();
    assert!(!rebuilt.is_empty(), "the option has no effect");
    let libraries =
        rebuilt.iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "rlib"));
    assert_eq!(libraries.count(), 0, "{rebuilt:?}");
}

#[test]
fn hello_is_small() {
    for (platform, limit) in [("linuxu", 64 << 10), ("kvm", 96 << 10)] {
        let said = call(OXK, &["build", "apps/hello", "--plat", platform, "--json"]);
        let said: serde_json::Value = serde_json::from_str(&said.expect(0, &[]).out).unwrap();
        let bytes = said["bytes"].as_u64().unwrap();
        assert!(bytes <= limit, "hello for {platform} has {bytes} bytes, promised are {limit}");
        let image = std::fs::metadata(said["image"].as_str().unwrap()).unwrap();
        assert_eq!((image.len(), said["platform"].as_str()), (bytes, Some(platform)));
    }
}
