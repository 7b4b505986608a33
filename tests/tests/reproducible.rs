//! The same sources give the same image, wherever they lie, and are compiled only once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use image_tests::{call, outcome, root};

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
    for platform in ["linuxu", "kvm", "hvt"] {
        let here = build(&root(), platform, None);
        let there = build(&elsewhere, platform, Some(&dir.path().join("out")));
        assert!(here == there, "{platform}: images of the same sources differ");
        let folder = dir.path().to_str().unwrap().as_bytes().to_vec();
        let contains = there.windows(folder.len()).any(|w| w == folder);
        assert!(!contains, "{platform}: the image contains the path of its sources");
    }
}

/// Files below a folder that the tool and compilers write, with the time of their last change.
/// Notes of cargo for itself are left out.
fn outputs(dir: &Path, found: &mut BTreeMap<PathBuf, SystemTime>) {
    const KINDS: [&str; 6] = ["rs", "toml", "ld", "rlib", "rmeta", "dbg"];
    for entry in std::fs::read_dir(dir).unwrap() {
        let (path, meta) = entry.map(|e| (e.path(), e.metadata().unwrap())).unwrap();
        if meta.is_dir() {
            outputs(&path, found);
        } else if path.extension().is_none_or(|e| KINDS.iter().any(|kind| e == *kind))
            && path.file_name().is_some_and(|n| !n.to_string_lossy().starts_with('.'))
            && !path.components().any(|c| c.as_os_str() == ".fingerprint")
        {
            found.insert(path, meta.modified().unwrap());
        }
    }
}

#[test]
fn a_second_build_writes_and_compiles_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let build = |more: &[&str]| {
        let mut args = vec!["build", "apps/hello", "--build-dir", dir.path().to_str().unwrap()];
        args.extend(more);
        // With libraries that no other image shares.
        let mut command = Command::new(OXK);
        command.args(&args).env("OXK_CACHE", dir.path().join("cache")).current_dir(root());
        outcome(&mut command).expect(0, &["Built"]);
        let mut found = BTreeMap::new();
        outputs(dir.path(), &mut found);
        found
    };
    let changed = |old: &BTreeMap<PathBuf, SystemTime>, new: &BTreeMap<PathBuf, SystemTime>| {
        let list = new.iter().filter(|(path, time)| old.get(*path) != Some(time));
        list.map(|(path, _)| path.clone()).collect::<Vec<PathBuf>>()
    };
    let first = build(&[]);
    assert!(first.len() > 10, "{first:?}");
    let second = build(&[]);
    assert_eq!(changed(&first, &second), Vec::<PathBuf>::new(), "the second build did something");

    // A changed option does not compile libraries again.
    let rebuilt = changed(&second, &build(&["--set", "linuxu.memory=32M"]));
    assert!(rebuilt.iter().any(|path| path.ends_with("src/main.rs")), "{rebuilt:?}");
    let is_library = |path: &&PathBuf| path.extension().is_some_and(|e| e == "rlib");
    assert_eq!(rebuilt.iter().filter(is_library).count(), 0, "{rebuilt:?}");
}

#[test]
fn hello_is_small() {
    for (platform, limit) in [("linuxu", 64 << 10), ("hvt", 64 << 10), ("kvm", 96 << 10)] {
        let said = call(OXK, &["build", "apps/hello", "--plat", platform, "--json"]);
        let said: serde_json::Value = serde_json::from_str(&said.expect(0, &[]).out).unwrap();
        let bytes = said["bytes"].as_u64().unwrap();
        assert!(bytes <= limit, "hello for {platform} has {bytes} bytes, promised are {limit}");
        let image = std::fs::metadata(said["image"].as_str().unwrap()).unwrap();
        assert_eq!((image.len(), said["platform"].as_str()), (bytes, Some(platform)));
    }
}
