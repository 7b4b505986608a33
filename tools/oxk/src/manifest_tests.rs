use super::*;
use proptest::prelude::*;

fn in_crate<T>(check: impl FnOnce(&Path) -> T) -> T {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("Cargo.toml"), "[package]\nname = \"app\"\n").unwrap();
    check(dir.path())
}

fn parse(text: &str, dir: &Path) -> Result<Manifest> {
    Manifest::parse(Source { path: "oxk.toml".into(), text: text.to_owned() }, dir)
}

#[test]
fn names_of_heaps_must_be_distinct_names_in_code() {
    in_crate(|dir| {
        for (text, cause) in [
            ("[heaps.\"a b\"]", "`a b` cannot be the name of a heap\n  --> oxk.toml:2:8"),
            ("[heaps.\"\"]", "`` cannot be the name of a heap"),
            (
                "[heaps.a-b]\n[heaps.A_B]",
                "heaps `a-b` and `A_B` have the same name\n  --> oxk.toml:3:8",
            ),
        ] {
            let message = parse(&format!("name = \"a\"\n{text}"), dir).unwrap_err().to_string();
            assert!(message.starts_with(cause), "{message}");
        }
    });
}

#[test]
fn a_crate_is_needed() {
    let dir = tempfile::tempdir().unwrap();
    let message = parse("name = \"a\"", dir.path()).unwrap_err().to_string();
    assert!(message.contains("it needs a Cargo.toml beside its oxk.toml"), "{message}");
    std::fs::write(dir.path().join("Cargo.toml"), "[workspace]\n").unwrap();
    let message = parse("name = \"a\"", dir.path()).unwrap_err().to_string();
    assert!(message.starts_with("the crate has no package name"), "{message}");
    std::fs::write(dir.path().join("Cargo.toml"), "[package\n").unwrap();
    assert!(parse("name = \"a\"", dir.path()).is_err());
}

/// Lines of manifests, right and wrong ones, in any order.
fn lines() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        "name",
        "kind",
        "libc",
        "c",
        "platform",
        "optimize",
        "libraries",
        "requires",
        "providers",
        "options",
        "heaps",
        "schedulers",
        "mounts",
        "path",
        "type",
        "source",
        "provider",
        "cpus",
        "run",
        "pools",
        "args",
        "memory",
        "backend",
        "size",
        "alloc",
        "\"\"",
    ]);
    let value = prop::sample::select(vec![
        "3",
        "-1",
        "true",
        "\"64K\"",
        "\"a\"",
        "\"rust\"",
        "\"ü\"",
        "[]",
        "[\"a\", 1]",
        "{}",
        "{ a = { b = 1 } }",
        "[{ name = \"x\" }]",
        "1.5",
        "\"",
        "9223372036854775807",
        "\"9T\"",
    ]);
    let table = prop::sample::select(vec![
        "[heaps.x]",
        "[options.x]",
        "[options]",
        "[providers]",
        "[[schedulers]]",
        "[schedulers]",
        "[schedulers.options]",
        "[[heaps]]",
        "[heaps.x.y]",
    ]);
    let line = prop_oneof![
        3 => (key, value).prop_map(|(k, v)| format!("{k} = {v}")),
        1 => table.prop_map(str::to_owned),
    ];
    prop::collection::vec(line, 0..10)
        .prop_map(|lines| format!("name = \"a\"\n{}", lines.join("\n")))
}

#[test]
fn any_text_is_read_or_refused() {
    in_crate(|dir| {
        let mut runner = proptest::test_runner::TestRunner::default();
        let texts = prop_oneof![lines(), ".{0,80}"];
        runner
            .run(&texts, |text| {
                if let Ok(mut manifest) = parse(&text, dir) {
                    let _ = manifest.set(std::slice::from_ref(&text));
                }
                Ok(())
            })
            .unwrap();
    });
}

#[test]
fn schedulers_have_cpus_of_their_own() {
    const LIST: &str = "oxk.toml:2:1";
    in_crate(|dir| {
        let read = |text: &str| parse(&format!("name = \"a\"\n{text}"), dir);
        let good = read(
            "[[schedulers]]\nprovider = \"p\"\ncpus = [1, 0]\noptions = { slice-us = 1 }\n\
             [[schedulers]]\nprovider = \"none\"\ncpus = \"2-3\"\nrun = \"data::plane\"",
        )
        .unwrap();
        let cpus: Vec<_> = good.schedulers.iter().map(|s| s.cpus.value.clone()).collect();
        assert_eq!(cpus, [[0, 1], [2, 3]]);
        assert_eq!(good.schedulers[0].settings.len(), 1);
        assert_eq!(good.schedulers[1].run.as_ref().map(|r| r.value.as_str()), Some("data::plane"));
        for (text, cause, place) in [
            ("schedulers = 1", "`schedulers` must be tables", "oxk.toml:2:14"),
            ("[[schedulers]]\ncpus = [0]", "`provider` is missing", LIST),
            ("[[schedulers]]\nprovider = \"p\"", "a scheduler needs `cpus`", "oxk.toml:3:12"),
            (
                "[[schedulers]]\nprovider = \"p\"\ncpus = [64]",
                "`cpus` must be numbers of CPUs from 0 to 63",
                "oxk.toml:4:8",
            ),
            (
                "[[schedulers]]\nprovider = \"p\"\ncpus = [0]\n\
                 [[schedulers]]\nprovider = \"q\"\ncpus = \"0-1\"",
                "CPU 0 belongs to two schedulers",
                "oxk.toml:7:8",
            ),
            (
                "[[schedulers]]\nprovider = \"p\"\ncpus = [0]\nrun = \"main\"",
                "`run` is for CPUs without a scheduler",
                "oxk.toml:5:7",
            ),
            (
                "[[schedulers]]\nprovider = \"none\"\ncpus = [0]\nrun = \"a b\"",
                "`a b` is not the path of a function",
                "oxk.toml:5:7",
            ),
            ("[[schedulers]]\nprovider = \"none\"\ncpu = [0]", "unknown key `cpu`", "oxk.toml:4:1"),
        ] {
            let message = read(text).unwrap_err().to_string();
            assert!(message.starts_with(cause) && message.contains(place), "{message}");
        }
    });
}

#[test]
fn mounts_say_what_they_need() {
    in_crate(|dir| {
        let read = |text: &str| parse(&format!("name = \"a\"\n{text}"), dir);
        for (text, cause) in [
            ("[[mounts]]\nsource = \"d\"", "`path` is missing\n  --> oxk.toml:2"),
            ("[[mounts]]\npath = \"d\"\nsource = \"d\"", "the path `d` does not begin with /"),
            ("[[mounts]]\npath = \"/a/../b\"\nsource = \"d\"", "the path `/a/../b` has `..` in it"),
            ("[[mounts]]\npath = \"//\"\nsource = \"d\"", "nothing can be mounted in place of"),
            ("[[mounts]]\npath = \"/d\"", "a shared directory needs `source`\n  --> oxk.toml:2"),
            (
                "[[mounts]]\npath = \"/d\"\ntype = \"ramfs\"\noptions = \"a b\"",
                "the options `a b` have a space or a `;` in them\n  --> oxk.toml:5:11",
            ),
            (
                "[[mounts]]\npath = \"/d\"\nsource = \"a\"\n[[mounts]]\npath = \"/d\"\nsource = \"b\"",
                "two file systems are mounted at /d\n  --> oxk.toml:6:8",
            ),
            ("[[mounts]]\npath = \"/d\"\nfrom = \"a\"", "unknown key `from`"),
            ("mounts = \"/d\"", "`mounts` must be tables"),
        ] {
            let message = read(text).unwrap_err().to_string();
            assert!(message.starts_with(cause), "{message}");
        }
        let text = "[[mounts]]\npath = \"/d\"\nsource = \"data\"\n\
                    [[mounts]]\npath = \"/t\"\ntype = \"ramfs\"\noptions = \"size=1M\"\n";
        let mut manifest = read(text).unwrap();
        assert_eq!(manifest.mounts[0].source, MountSource::Share(dir.join("data")));
        let required: Vec<&str> = manifest.requires.iter().map(|r| r.value.as_str()).collect();
        assert_eq!(required, ["share", "mounts"]);
        assert_eq!(manifest.libraries[0].value, "ramfs");
        let SettingValue::Text(table) = &manifest.settings[0].value else { panic!("a text") };
        assert_eq!(table, "none /t ramfs size=1M");
        // The command line replaces what is at the same path, and adds the rest.
        let shares = ["/x:/t,ro", "/y:/z"].map(|share| share.parse().unwrap());
        manifest.add_shares(&shares);
        let paths: Vec<&str> = manifest.mounts.iter().map(|m| m.path.as_str()).collect();
        assert_eq!(paths, ["/d", "/t", "/z"]);
        assert!(manifest.mounts[1].is_read_only());
        let disks = ["a", "b,ro,mount=/z", "c,mount=/e"].map(|disk| disk.parse().unwrap());
        manifest.add_disks(&disks);
        let entries: Vec<String> = manifest.mounts.iter().filter_map(|m| m.own_entry()).collect();
        assert_eq!(entries, ["blk1 /z ext4 ro", "blk2 /e ext4 defaults"]);
        assert_eq!(manifest.libraries.last().unwrap().value, "ext4");
        assert!(manifest.settings.iter().all(|setting| setting.option.value != "write"));
        // What is only read needs no code for writing.
        let mut manifest = read("").unwrap();
        manifest.add_disks(&["b,ro,mount=/z".parse().unwrap()]);
        let Setting { library, option, value } = &manifest.settings[0];
        assert_eq!((&*library.value, &*option.value), ("ext4", "write"));
        assert!(matches!(value, SettingValue::Text(text) if text == "false"));
    });
}
