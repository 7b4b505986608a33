use super::*;
use proptest::prelude::*;

fn parse(metadata: &str) -> Result<Option<Library>> {
    let text = format!("[package]\nname = \"lib\"\n{metadata}");
    parse_library(&Source { path: "Cargo.toml".into(), text }, "core", Path::new("/pool/lib"))
}

#[test]
fn everything_is_read() {
    let text = r#"description = "A library"
[dependencies]
ukplat.workspace = true
renamed = { package = "other", version = "1" }
[package.metadata.oxk]
provides = ["disk"]
requires = ["plat"]
platforms = ["kvm"]
backend = "B"
early = "ukplat"
single-cpu = true
single-cpu-provides = ["disk"]
collects = ["disks"]
[package.metadata.oxk.registers]
drivers = "DRIVER"
[package.metadata.oxk.interfaces.disk]
help = "Blocks"
many = true
[package.metadata.oxk.options.depth]
type = "int"
min = 1
max = 9
default = 4
runtime = true
help = "Requests"
[[package.metadata.oxk.phases]]
name = "disk"
init = "init"
fini = "fini"
after = ["irq"]
"#;
    let library = parse(text).unwrap().unwrap();
    assert_eq!(library.dependencies, ["ukplat", "other"]);
    assert_eq!((library.name.as_str(), library.description.as_str()), ("lib", "A library"));
    assert!(library.interfaces["disk"].many);
    assert_eq!(library.options[0].kind, OptionKind::Int { min: 1, max: 9 });
    assert!(library.options[0].runtime);
    assert_eq!((library.early.as_deref(), library.single_cpu), (Some("ukplat"), true));
    assert_eq!(library.single_cpu_provides, ["disk"]);
    assert_eq!(library.phases[0].fini.as_deref(), Some("fini"));
    assert_eq!(library.collects, ["disks"]);
    assert_eq!(library.registers, [("drivers".into(), "DRIVER".into())]);
    assert_eq!(parse("").unwrap(), None, "an ordinary crate");
}

#[test]
fn phases_may_be_written_in_one_line_each() {
    let text = "[package.metadata.oxk]\nphases = [{ name = \"a\", init = \"f\", after = [\"b\"] },\n\
                { name = \"c\", init = \"g\" }]";
    let phases = parse(text).unwrap().unwrap().phases;
    assert_eq!(phases.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(phases[0].after, ["b"]);
}

#[test]
fn mistakes_in_metadata_are_told_with_their_place() {
    let option = "[package.metadata.oxk.options.x]\nhelp = \"\"\n";
    for (text, cause) in [
        ("[package.metadata]\noxk = 3".into(), "`oxk` must be a table"),
        ("[package.metadata.oxk]\nprovide = []".into(), "unknown key `provide`"),
        ("[package.metadata.oxk]\nprovides = \"a\"".into(), "`provides` must be a list of texts"),
        ("[package.metadata.oxk]\nphases = 3".into(), "`phases` must be tables"),
        (
            "[package.metadata.oxk]\nphases = [{ name = \"a\" }, 3]".into(),
            "`phases` must be tables",
        ),
        ("[package.metadata.oxk]\nphases = [{ name = \"a\" }]".into(), "`init` is missing"),
        ("[package.metadata.oxk]\ninterfaces = [\"a\"]".into(), "`interfaces` must be a table"),
        ("[package.metadata.oxk]\noptions = true".into(), "`options` must be a table"),
        ("[package.metadata.oxk]\nauto-features = []".into(), "`auto-features` must be a table"),
        (
            "[package.metadata.oxk.auto-features]\nlocks = true".into(),
            "`locks` must name an interface",
        ),
        ("[package.metadata.oxk]\nbackend = 3".into(), "`backend` must be a text"),
        ("[package.metadata.oxk.interfaces.x]".into(), "`help` is missing"),
        (
            "[package.metadata.oxk.interfaces.x]\nhelp = \"\"\nmany = \"no\"".into(),
            "`many` must be true or false",
        ),
        (format!("{option}type = \"float\"\ndefault = 1"), "unknown type `float`"),
        (format!("{option}type = \"int\"\nmax = 3\ndefault = 4"), "must be a whole number"),
        (format!("{option}type = \"int\"\nmin = \"a\"\ndefault = 4"), "`min` of option `x`"),
        (format!("{option}type = \"size\"\nmax = \"big\"\ndefault = 4"), "`max` of option `x`"),
        (
            format!("{option}type = \"bool\"\ndefault = true\nruntime = 1"),
            "`runtime` must be true or false",
        ),
        (
            format!("{option}type = \"int\"\ndefault = 1\nfeature = \"x\""),
            "option `x` cannot have `feature`",
        ),
        (format!("{option}type = \"bool\"\ndefault = true\nmin = 0"), "cannot have `min`"),
        (format!("{option}type = \"text\"\ndefault = \"\"\nmax = 9"), "cannot have `max`"),
        (format!("{option}type = \"int\"\ndefault = 1\nvalues = []"), "cannot have `values`"),
        (format!("{option}type = \"size\"\ndefault = 1\nrust = \"T\""), "cannot have `rust`"),
        (
            format!("{option}type = \"bool\"\ndefault = true\nfeature = 1"),
            "`feature` must be a text",
        ),
    ] {
        let message = parse(&text).unwrap_err().to_string();
        assert!(message.contains(cause) && message.contains("  --> Cargo.toml:"), "{message}");
    }
}

#[test]
fn libraries_must_fit_together() {
    let library = |name: &str, text: &str| {
        let mut library = parse(&format!("[package.metadata.oxk]\n{text}")).unwrap().unwrap();
        library.name = name.into();
        for interface in library.interfaces.values_mut() {
            interface.declared_by = name.into();
        }
        library
    };
    let staged = |name: &str, options: &str| {
        let mut library = library(name, &format!("backend = \"A\"\nearly = \"b\"\n{options}"));
        library.dependencies.push("b".into());
        library
    };
    let size = "[package.metadata.oxk.options.early-size]\n\
                type = \"size\"\ndefault = \"64K\"\nhelp = \"\"";
    let early = library("b", "backend = \"B\"");
    Pool::from_libraries(vec![staged("a", size), early]).unwrap();
    let declares = "[package.metadata.oxk.interfaces.x]\nhelp = \"\"";
    for (list, cause) in [
        (vec![library("a", ""), library("a", "")], "two micro-libraries are called `a`"),
        (vec![library("a", "provides = [\"y\"]")], "no library declares the interface `y`"),
        (vec![library("a", declares), library("b", declares)], "declares the interface `x` too"),
        (
            vec![library("a", &format!("default-for = [\"x\"]\n{declares}"))],
            "is default for `x` but does not provide it",
        ),
        (vec![library("a", "early = \"b\"")], "has an `early` stage but is no allocator"),
        (
            vec![library("a", "backend = \"A\"\nearly = \"b\""), library("b", "")],
            "its early stage `b` is not a dependency",
        ),
        (vec![staged("a", ""), library("b", "")], "`b` cannot be an early stage"),
        (
            vec![staged("a", ""), library("b", "backend = \"B\"")],
            "has an `early` stage but no size `early-size`",
        ),
        (
            vec![library(
                "a",
                "[[package.metadata.oxk.phases]]\nname = \"p\"\ninit = \"i\"\nafter = [\"q\"]",
            )],
            "boot phase `p` refers to an unknown phase `q`",
        ),
        (
            vec![library("a", "collects = [\"c\"]"), library("b", "collects = [\"c\"]")],
            "another library collects `c` too",
        ),
        (vec![library("a", "registers = { c = \"X\" }")], "no library collects `c`"),
    ] {
        let message = Pool::from_libraries(list).unwrap_err().to_string();
        assert!(message.contains(cause), "{message}");
    }
}

#[test]
fn crates_that_belong_together_share_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["b", "group/a", "group/c", "group/deep/er", "empty"] {
        std::fs::create_dir_all(dir.path().join(folder)).unwrap();
    }
    for folder in ["b", "group/a", "group/c", "group/deep/er"] {
        std::fs::write(dir.path().join(folder).join("Cargo.toml"), "").unwrap();
    }
    let found = crates_in(dir.path()).unwrap();
    let wanted = ["b", "group/a", "group/c"].map(|f| dir.path().join(f));
    assert_eq!(found, wanted);
    assert_eq!(crates_in(&dir.path().join("none")).unwrap(), [] as [PathBuf; 0]);
}

/// Lines of metadata, right and wrong ones, in any order.
fn lines() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        "provides",
        "requires",
        "backend",
        "phases",
        "options",
        "interfaces",
        "platform",
        "type",
        "default",
        "min",
        "max",
        "values",
        "help",
        "name",
        "init",
        "machine",
    ]);
    let value = prop::sample::select(vec![
        "3",
        "-1",
        "true",
        "\"64K\"",
        "\"int\"",
        "\"choice\"",
        "\"size\"",
        "[]",
        "[\"a\", 1]",
        "{}",
        "{ a = 1 }",
        "[{ name = \"x\" }]",
        "1.5",
        "1979-05-27",
        "\"",
        "9999999999999999999",
    ]);
    let table = prop::sample::select(vec![
        "[package.metadata.oxk]",
        "[package.metadata.oxk.options.x]",
        "[dependencies]",
        "[package.metadata.oxk.interfaces.i]",
        "[[package.metadata.oxk.phases]]",
        "[package.metadata.oxk.platform]",
        "[[package.metadata.oxk.options]]",
    ]);
    let line = prop_oneof![
        3 => (key, value).prop_map(|(k, v)| format!("{k} = {v}")),
        1 => table.prop_map(str::to_owned),
    ];
    prop::collection::vec(line, 0..12).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #[test]
    fn any_metadata_is_read_or_refused(text in prop_oneof![lines(), ".{0,60}"]) {
        let _ = parse(&text);
    }
}
