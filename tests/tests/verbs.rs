//! Every verb of the tool once, as a user types it. What `run` does is tested in `boot`.

use std::process::Command;

use image_tests::{MACHINES, call, call_in, machines, one_per_platform, root};
use serde_json::Value;

const OXK: &str = env!("CARGO_BIN_EXE_oxk-under-test");

fn json(args: &[&str]) -> Value {
    let said = call(OXK, args);
    said.expect(0, &[]);
    serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{args:?}: {e}\n{}", said.out))
}

#[test]
fn every_verb_has_help_with_an_example() {
    for verb in [
        "new", "build", "run", "ps", "logs", "stop", "menu", "libs", "graph", "size", "test",
        "bench",
    ] {
        let said = call(OXK, &[verb, "--help"]);
        said.expect(0, &["Example", &format!("  oxk {verb}")[1..], "Usage: oxk"]);
    }
    call(OXK, &["--version"]).expect(0, &["oxk "]);
}

#[test]
fn a_new_application_runs_outside_and_inside_of_the_repository() {
    let platform = if oxk::tender::kvm_opens() { "hvt" } else { "linuxu" };
    let outside = tempfile::tempdir().unwrap();
    let inside = tempfile::Builder::new().prefix("new").tempdir_in(root().join("build")).unwrap();
    for dir in [outside.path(), inside.path()] {
        call_in(OXK, dir, &["new", "greeter"]).expect(0, &["Created greeter", "oxk run greeter"]);
        call_in(OXK, dir, &["run", "greeter", "--", "Ada", "Lovelace"])
            .expect(0, &[&format!("Hello, Ada Lovelace! This is greeter on {platform}")]);
        // Again, from within the application's folder.
        call_in(OXK, &dir.join("greeter"), &["run", "--quiet"])
            .expect(0, &[&format!("Hello, world! This is greeter on {platform}")]);
        call_in(OXK, dir, &["new", "greeter"]).expect(1, &["greeter exists already", "help: "]);
    }
    let image = format!("greeter/build/greeter_{platform}-x86_64");
    assert!(outside.path().join(image).is_file());
}

/// Both ways that the manifest of the template shows: a list of sources, and a build system.
#[test]
fn a_new_program_in_c_runs_from_sources_and_with_make() {
    let dir = tempfile::tempdir().unwrap();
    let app = dir.path().join("greeter");
    call_in(OXK, dir.path(), &["new", "greeter", "--template", "c"])
        .expect(0, &["Created greeter", "oxk run greeter"]);
    for machine in one_per_platform() {
        let all = [&["run"], machine.args, &["--", "Ada"]].concat();
        call_in(OXK, &app, &all).expect(0, &["Hello, Ada! This is greeter.\n"]);
    }
    // A second source, which only the Makefile knows, with a flag of the manifest.
    let manifest = app.join("oxk.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let made = text.replace("\nsources = ", "\n# sources = ");
    let made = made.replace("# make = ", "make = ").replace("# objects = ", "objects = ");
    let made = made.replace("# flags = [\"-Wall\"]", "flags = [\"-DGREETED=\\\"Grace\\\"\"]");
    std::fs::write(&manifest, &made).unwrap();
    let files = [
        ("Makefile", "objects: main.o greeted.o\n%.o: src/%.c\n\t$(CC) -c -o $@ $<\n"),
        ("src/greeted.c", "const char *greeted(void) { return GREETED; }\n"),
        (
            "src/main.c",
            "#include <stdio.h>\nconst char *greeted(void);\n\
             int main(void) { printf(\"Made for %s.\\n\", greeted()); return 3; }\n",
        ),
    ];
    for (file, text) in files {
        std::fs::write(app.join(file), text).unwrap();
    }
    for machine in one_per_platform() {
        call_in(OXK, &app, &[&["run"], machine.args].concat()).expect(3, &["Made for Grace.\n"]);
    }
    assert!(app.join("greeted.o").is_file());
}

#[test]
fn new_refuses_what_it_cannot_make() {
    let dir = tempfile::tempdir().unwrap();
    for (name, cause) in [
        ("Big", "`Big` cannot be the name of an application"),
        ("core", "`core` is a reserved name"),
        ("uklog", "`uklog` is the name of a micro-library"),
        ("/", "cannot be the name"),
    ] {
        call_in(OXK, dir.path(), &["new", name]).expect(1, &[cause, "help: "]);
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "something was left");
}

/// What is generated for an image stays as it is until that image is built, whatever else is built of the
/// same application.
#[test]
fn a_second_build_of_an_image_waits_for_the_first() {
    use std::io::{BufRead as _, BufReader, Read as _};
    use std::process::Stdio;

    let dir = tempfile::tempdir().unwrap();
    let generated = dir.path().join("gen/hello_linuxu-x86_64");
    let lock = oxk::lock::Lock::take(&generated.with_extension("lock"), "built it").unwrap();
    let mut second = Command::new(OXK)
        .args(["build", "apps/hello", "--build-dir", dir.path().to_str().unwrap()])
        // What it waits for comes before cargo, which would take long.
        .env("CARGO", "false")
        .current_dir(root())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(second.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    let id = std::process::id();
    assert_eq!(line.trim(), format!("Waiting until process {id} has built hello_linuxu-x86_64"));
    assert!(second.try_wait().unwrap().is_none() && !generated.exists());
    drop(lock);
    said.read_to_string(&mut line).unwrap();
    assert_eq!(second.wait().unwrap().code(), Some(1), "{line}");
    assert!(line.contains("cannot build hello_linuxu-x86_64: cargo reported errors"), "{line}");
    assert!(generated.join("Cargo.toml").is_file());
}

#[test]
fn size_counts_by_section_and_library() {
    call(OXK, &["size", "apps/hello"]).expect(0, &["text", "ukplat", "sections", "image file"]);
    let small = json(&["size", "apps/hello", "--json"]);
    let sum = |section: &str| -> u64 {
        small["parts"].as_array().unwrap().iter().map(|p| p[section].as_u64().unwrap()).sum()
    };
    for section in ["text", "rodata", "data", "bss"] {
        assert_eq!(small["sections"][section].as_u64(), Some(sum(section)), "{section}");
    }

    let dir = tempfile::tempdir().unwrap();
    let build_dir = dir.path().to_str().unwrap();
    call(OXK, &["build", "apps/selftest", "--build-dir", build_dir]).expect(0, &[]);
    let other = dir.path().join("selftest_linuxu-x86_64");
    let other = other.to_str().unwrap();
    let table = call(OXK, &["size", "apps/hello", "--diff", other]);
    table.expect(0, &["ukcrash", "-"]);
    let same = call(OXK, &["size", "apps/hello", "--diff", "build/hello_linuxu-x86_64"]);
    same.expect(0, &["sections", "+0"]);
    assert!(!same.out.contains("ukplat"), "unchanged libraries are not shown:\n{}", same.out);
    let both = json(&["size", "apps/hello", "--json", "--diff", &format!("{other}.dbg")]);
    assert!(both["old"]["file_bytes"].as_u64() > both["new"]["file_bytes"].as_u64(), "{both}");
    call(OXK, &["size", "apps/hello", "--diff", "README.md"])
        .expect(1, &["README.md is not an image with debug information"]);
    call(OXK, &["size", "apps/hello", "--diff", "/nowhere"]).expect(1, &["cannot read /nowhere"]);
}

#[test]
fn graphs_come_in_every_form() {
    call(OXK, &["graph", "apps/hello"]).expect(0, &["hello_linuxu-x86_64\n", "└── ", "ukboot"]);
    call(OXK, &["graph", "apps/hello", "--format", "dot"]).expect(0, &["digraph image {", "->"]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hello.svg");
    let args = ["graph", "apps/hello", "--format", "svg", "-o", file.to_str().unwrap()];
    assert_eq!(call(OXK, &args).expect(0, &[]).all(), "");
    let svg = std::fs::read_to_string(&file).unwrap();
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{svg}");
    call(OXK, &["graph", "apps/hello", "-o", "/nowhere/x"]).expect(1, &["cannot write /nowhere/x"]);
    call(OXK, &["graph", "--check"]).expect(0, &["layering holds: "]);
    let graph = json(&["graph", "apps/hello", "--json"]);
    assert_eq!(graph["image"], "hello_linuxu-x86_64");
    assert!(graph["phases"].as_array().unwrap().iter().all(|p| p["ns"].is_null()));
}

#[test]
fn the_boot_order_is_shown_with_and_without_running() {
    let still = call(OXK, &["graph", "apps/hello", "--boot", "--no-run"]);
    still.expect(0, &["boot order of hello_linuxu-x86_64", "entry", "after param", "heaps"]);
    assert!(!still.out.contains(" us "), "no times without a run:\n{}", still.out);
    for machine in machines().filter(|m| m.name != MACHINES[2].name) {
        let mut args = vec!["graph", "apps/hello", "--boot", "--json"];
        args.extend(machine.args);
        let graph = json(&args);
        let phases = graph["phases"].as_array().unwrap();
        assert!(phases.len() > 3 && phases.iter().all(|p| p["ns"].is_u64()), "{graph}");
    }
    call(OXK, &["graph", "apps/hello", "--no-run"]).expect(2, &["--boot"]);
}

#[test]
fn libs_lists_and_explains() {
    let list = call(OXK, &["libs"]);
    list.expect(0, &["core/\n", "  ukalloc ", "provides alloc", "on kvm"]);
    call(OXK, &["libs", "uklog"]).expect(0, &["uklog.level = warn", "one of off, error"]);
    call(OXK, &["libs", "uklgo"]).expect(1, &["unknown library `uklgo`", "did you mean `uklog`?"]);
    call(OXK, &["libs", "--plat", "vax"]).expect(1, &["unknown platform `vax`"]);
    call(OXK, &["libs", "--pool", "cellar"]).expect(1, &["unknown pool `cellar`"]);
    let kvm = call(OXK, &["libs", "--plat", "kvm"]);
    assert!(kvm.out.contains("  kvm ") && !kvm.out.contains("  linuxu "), "{}", kvm.out);
    let all = json(&["libs", "--json"]);
    assert_eq!(
        all.as_array().unwrap().len(),
        list.out.lines().filter(|l| l.starts_with(' ')).count()
    );
    assert_eq!(json(&["libs", "uklog", "--json"])[0]["options"][0]["name"], "level");
}

#[test]
fn the_menu_needs_a_terminal_its_lists_do_not() {
    call(OXK, &["menu", "apps/hello"])
        .expect(1, &["the menu needs a terminal", "help: use --list"]);
    call(OXK, &["menu", "apps/hello", "--list"]).expect(0, &["ukboot.trace"]);
    let entries = json(&["menu", "apps/hello", "--json"]);
    assert!(entries.as_array().unwrap().iter().any(|e| e["section"] == "ukalloc"));
}

#[test]
fn bench_prints_what_a_script_can_read() {
    let rows = json(&["bench", "hello", "--runs", "1", "--json"]);
    let rows = rows.as_array().unwrap();
    let machines = machines().count();
    assert_eq!(rows.len(), machines + 1, "{rows:?}");
    for row in &rows[..machines] {
        assert!(row["boot_ns"][1].is_u64() && row["run_ns"][1].is_u64(), "{row}");
        // SPEC.md: image and heap of hello.
        assert!(row["memory_bytes"].as_u64().unwrap() <= 1 << 20, "{row}");
    }
    call(OXK, &["bench", "hello", "--runs", "0"]).expect(2, &["1..=10000"]);
}

#[test]
fn a_dry_run_prints_a_command_that_works() {
    let said = call(OXK, &["run", "apps/hello", "--quiet", "--dry-run", "--", "Ada's friend"]);
    said.expect(0, &[]);
    assert_eq!(said.out.lines().count(), 1);
    let output = Command::new("sh").args(["-c", &said.out]).current_dir(root()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("Hello, Ada's friend!"), "{text}");
    let args = ["run", "apps/hello", "--plat", "kvm", "--dry-run", "--quiet", "--memory", "32M"];
    call(OXK, &args).expect(0, &["qemu-system-x86_64", "-m 32768K", "-kernel"]);
}

#[test]
fn a_timeout_ends_the_image() {
    for machine in machines().filter(|m| m.name != MACHINES[2].name) {
        let mut args = vec!["run", "apps/selftest", "--timeout", "0.5"];
        args.extend(machine.args);
        args.extend(["--", "sleep", "60000"]);
        call(OXK, &args).expect(124, &["stopped after 0.5 s"]);
    }
    for wrong in ["--timeout=nan", "--timeout=-1", "--timeout=soon"] {
        call(OXK, &["run", "apps/hello", wrong]).expect(2, &["a number of seconds"]);
    }
}

#[test]
fn acceleration_that_is_not_there_and_wrong_arguments_for_qemu() {
    for more in [&["--qemu-arg=-nonsense"][..], &["--memory", "1000000G"]] {
        let mut args = vec!["run", "apps/hello", "--plat", "kvm"];
        args.extend(more);
        call(OXK, &args).expect(125, &["qemu-system-x86_64: ", "did not start the machine"]);
    }
    // `auto` must work with and without /dev/kvm, whatever machine this is.
    call(OXK, &["run", "apps/hello", "--plat", "kvm", "--accel", "auto"])
        .expect(0, &["Hello, world!"]);
}

#[test]
fn a_closed_output_does_not_end_the_image() {
    let image = json(&["build", "apps/selftest", "--json"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = Command::new(image["image"].as_str().unwrap())
        .args(["exit", "7"])
        .stdout(writer.try_clone().unwrap())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(7));
    let status = Command::new(image["image"].as_str().unwrap())
        .args(["echo", "nobody", "listens"])
        .stdout(writer)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0), "{status}");
}
