//! Wrong input of every kind: a one-line cause, the way out, and an exit code that is not zero.

use std::path::Path;

use image_tests::{MACHINES, call, call_in, hvt, machines, run};

const OXK: &str = env!("CARGO_BIN_EXE_oxk-under-test");

/// A copy of hello with another manifest.
fn hello_with(manifest: &str) -> tempfile::TempDir {
    let dir = tempfile::Builder::new().prefix("hello").tempdir_in(build_dir()).unwrap();
    let hello = image_tests::root().join("apps/hello");
    std::fs::create_dir(dir.path().join("src")).unwrap();
    std::fs::copy(hello.join("src/lib.rs"), dir.path().join("src/lib.rs")).unwrap();
    std::fs::write(
        dir.path().join("Cargo.toml"),
        "[package]\nname = \"hello\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n\
         [dependencies]\nukplat = { path = \"../../core/ukplat\" }\n\
         ukboot = { path = \"../../core/ukboot\" }\n",
    )
    .unwrap();
    std::fs::write(dir.path().join("oxk.toml"), manifest).unwrap();
    dir
}

fn build_dir() -> std::path::PathBuf {
    let dir = image_tests::root().join("build");
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

#[track_caller]
fn refused(manifest: &str, texts: &[&str]) {
    let dir = hello_with(manifest);
    let said = call_in(OXK, dir.path(), &["build"]);
    said.expect(1, texts);
    let lines: Vec<&str> = said.err.lines().filter(|l| l.starts_with("error: ")).collect();
    assert_eq!(lines.len(), 1, "one line of cause:\n{}", said.err);
}

#[test]
fn malformed_manifests() {
    refused("name = \"hello", &["oxk.toml:1:", "help: "]);
    refused("", &["an application needs a name", "oxk.toml:1:1"]);
    refused("name = \"a b\"", &["an application needs a name", "oxk.toml:1:8"]);
    refused(
        "name = \"hello\"\nplatfrom = \"kvm\"",
        &["unknown key `platfrom`", "oxk.toml:2:1", "did you mean `platform`?"],
    );
    refused("name = \"hello\"\nkind = \"elf\"", &["`kind` cannot be `elf`", "oxk.toml:2:8"]);
    refused("name = \"hello\"\nkind = \"c\"", &["has no table [c]", "oxk.toml", "help: add it"]);
    let c = "name = \"hello\"\nkind = \"c\"\n[c]\n";
    refused(c, &["neither sources nor objects", "oxk.toml:3:1"]);
    refused(&format!("{c}make = [\"make\"]\nsources = [\"*.c\"]"), &["belong together"]);
    refused(&format!("{c}sources = \"*.c\""), &["must be a list of texts", "oxk.toml:4:11"]);
    refused(
        &format!("{c}sorces = [\"*.c\"]"),
        &["unknown key `sorces`", "did you mean `sources`?"],
    );
    // What is wrong is found before anything is compiled, which these could not be.
    let none = format!("{c}sources = [\"none.c\"]\n");
    refused(&format!("{none}[options.ukboot]\ntrace = 7"), &["7 is not a value for ukboot.trace"]);
    refused(&format!("{none}[options.ukbot]\ntrace = true"), &["unknown library `ukbot`"]);
    refused(&format!("{none}[heaps.own]\nlibraries = [\"mulst\"]"), &["unknown library `mulst`"]);
    refused(&format!("{none}[files]\n\"/a\" = \"nowhere\""), &["no file or folder `nowhere`"]);
    let hash = "0".repeat(64);
    let fetch = |lines: &str| format!("{c}sources = [\"a:a.c\"]\n[c.fetch.a]\n{lines}\n");
    refused(&fetch("url = \"x/a.c\""), &["[c.fetch.a] has no `sha256`"]);
    refused(
        &fetch("url = \"x/a.c\"\nsha256 = \"12\""),
        &["`sha256` must be 64 hexadecimal digits", "oxk.toml:7:10"],
    );
    let all = format!("url = \"x/a.c\"\nsha256 = \"{hash}\"\nmember = \"a.c\"");
    refused(&fetch(&all), &["`member` must come with `debian`"]);
    let all = format!("{all}\ndebian = \"d\"");
    refused(&fetch(&all.replace("\"a.c\"", "\"../a.c\"")), &["`member` must be a path in"]);
    refused(&fetch(&all.replace("x/a.c", "x/")), &["`url` must end with the name of a file"]);
    refused("name = \"hello\"\n[c]\nsources = [\"*.c\"]", &["[c] belongs to", "help: write kind"]);
    refused(
        &format!("libc = \"mulst\"\n{c}sources = [\"*.c\"]"),
        &["mulst", "oxk.toml:1:8", "help: "],
    );
    refused("name = \"hello\"\nmemory = \"lots\"", &["`memory` must be a size", "oxk.toml:2:10"]);
    refused(
        "name = \"hello\"\nlibraries = \"uklog\"",
        &["must be a list of texts", "oxk.toml:2:13"],
    );
}

#[test]
fn unknown_names_and_values() {
    refused(
        "name = \"hello\"\nplatform = \"vax\"",
        &["unknown platform `vax`", "oxk.toml:2:12", "hvt, kvm, linuxu"],
    );
    refused(
        "name = \"hello\"\narchitecture = \"z80\"",
        &["unknown architecture `z80`", "oxk.toml:2:16"],
    );
    refused(
        "name = \"hello\"\nlibraries = [\"uklgo\"]",
        &["unknown library `uklgo`", "oxk.toml:2:14", "did you mean `uklog`?"],
    );
    refused(
        "name = \"hello\"\nrequires = [\"teleport\"]",
        &["unknown interface `teleport`", "oxk.toml:2:13"],
    );
    refused(
        "name = \"hello\"\n[options.ukboot]\ntrace = 7",
        &["7 is not a value for ukboot.trace", "oxk.toml:3:9", "true or false"],
    );
    refused(
        "name = \"hello\"\n[options.uklog]\nlevel = \"info\"",
        &["`uklog` is not part of this image", "oxk.toml:2:10"],
    );
    refused(
        "name = \"hello\"\n[heaps.a]\n[heaps.b]",
        &["only one can take what is left", "oxk.toml:3:8"],
    );
}

#[test]
fn schedulers_that_cannot_be() {
    let with = |lines: &str| format!("name = \"hello\"\ncpus = 2\n[[schedulers]]\n{lines}");
    refused(&with("cpus = [0]"), &["`provider` is missing", "oxk.toml:3:1"]);
    refused(
        &with("provider = \"ukschedcoop\"\ncpus = [0, 2]"),
        &["the image has 2 CPUs, and a scheduler is to have CPU 2", "oxk.toml:5:8"],
    );
    refused(
        &with("provider = \"ukschedcoop\"\ncpus = [0]"),
        &["no scheduler has CPU 1", "[providers]"],
    );
    refused(
        &with("provider = \"ukschedcop\"\ncpus = [0, 1]"),
        &["unknown library `ukschedcop`", "oxk.toml:4:12", "did you mean `ukschedcoop`?"],
    );
    refused(
        &with("provider = \"none\"\ncpus = \"0-1\""),
        &["CPU 0, which boots and runs `main`, needs a scheduler", "oxk.toml:5:8"],
    );
    refused(
        &with("provider = \"ukschedpreempt\"\ncpus = \"0-1\"\noptions = { slice-us = 1 }"),
        &["1 is not a value for ukschedpreempt.slice-us", "oxk.toml:6:"],
    );
}

#[test]
fn command_lines_of_the_tool() {
    call(OXK, &["run", "apps/nothing"])
        .expect(125, &["there is no folder apps/nothing", "oxk new"]);
    call(OXK, &["build", "core"]).expect(1, &["there is no oxk.toml in core"]);
    call(OXK, &["build", "apps/hello", "--plat", "vax"]).expect(1, &["unknown platform `vax`"]);
    call(OXK, &["build", "apps/hello", "--set", "x"])
        .expect(1, &["`--set x` is not library.option=value"]);
    call(OXK, &["build", "apps/hello", "--set", "linuxu.memory=1K"])
        .expect(1, &["1K is not a value for linuxu.memory", "at least 64K"]);
    call(OXK, &["run", "apps/hello", "--memory", "big"])
        .expect(125, &["`--memory big` is not a size"]);
    call(OXK, &["run", "apps/hello", "--param", "x"]).expect(125, &["`--param x` is not"]);
    call(OXK, &["run", "apps/hello", "--plat", "linuxu", "--initrd", "x"])
        .expect(125, &["cannot read the initial ram disk x"]);
    call(OXK, &["run", "apps/hello", "--plat", "linuxu", "-p", "linuxu.initrd=/dev/null"])
        .expect(103, &["cannot read the initial ram disk: linuxu.initrd must name a file"]);
    call(OXK, &["dance"]).expect(2, &["unrecognized subcommand 'dance'"]);
}

#[test]
fn a_missing_qemu() {
    let output = std::process::Command::new(OXK)
        .args(["run", "apps/hello", "--plat", "kvm"])
        .env("OXIKRAFT_QEMU", "/nowhere/qemu")
        .current_dir(image_tests::root())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(125), "{said}");
    assert!(said.contains("cannot find /nowhere/qemu"), "{said}");
    assert!(said.contains("help: install it: "), "{said}");
}

#[test]
fn memory_that_is_too_small() {
    for machine in &MACHINES[1..] {
        run(OXK, "apps/hello", *machine, &["--memory", "1M"])
            .expect(125, &["of memory are too small", "--memory"]);
    }
    if let Some(hvt) = hvt() {
        run(OXK, "apps/hello", hvt, &["--memory", "64K"])
            .expect(125, &["64K of memory are too small: ", " need ", "--memory"]);
        run(OXK, "apps/hello", hvt, &["--memory", "8000000G"])
            .expect(125, &["is not a size up to"]);
        // Enough for the image, not for its heaps.
        run(OXK, "apps/selftest", hvt, &["--memory", "440K"])
            .expect(103, &["boot failed in phase heap", "memory"]);
    }
    // Enough for QEMU, not for the image's own needs.
    run(OXK, "apps/selftest", MACHINES[1], &["--param", "kvm.memory=64K"])
        .expect(103, &["boot failed in phase heap", "memory"]);
    run(OXK, "apps/selftest", MACHINES[0], &["--memory", "0"])
        .expect(103, &["wrong value for parameter `linuxu.memory=0`: a size of at least 64K"]);
    run(OXK, "apps/selftest", MACHINES[0], &["--memory", "8000000G"])
        .expect(103, &["cannot get that much memory from the host", "linuxu.memory"]);
    run(OXK, "apps/selftest", MACHINES[0], &["--memory", "64K"])
        .expect(103, &["boot failed in phase heap", "memory"]);
}

#[test]
fn an_initial_ram_disk_that_does_not_fit_or_exist() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("big");
    std::fs::File::create(&file).unwrap().set_len(80 << 20).unwrap();
    for machine in machines().skip(1) {
        run(OXK, "apps/hello", machine, &["--initrd", file.to_str().unwrap()])
            .expect(125, &["the image and its ram disk need", "--memory"]);
        run(OXK, "apps/hello", machine, &["--initrd", "/nowhere"])
            .expect(125, &["cannot read the initial ram disk /nowhere"]);
    }
}

#[test]
fn a_command_line_of_64_kib() {
    let long = "x".repeat(64 << 10);
    // A process takes it, and so does our own monitor.
    for machine in hvt().into_iter().chain([MACHINES[0]]) {
        run(OXK, "apps/selftest", machine, &["--", "echo", &long])
            .expect(0, &[&format!("[{long}]")]);
    }
    for machine in &MACHINES[1..] {
        run(OXK, "apps/selftest", *machine, &["--", "echo", &long])
            .expect(125, &["the command line has", "initial ram disk"]);
        // What is just short enough arrives whole.
        let fits = "y".repeat(4000);
        run(OXK, "apps/selftest", *machine, &["--", "echo", &fits])
            .expect(0, &[&format!("[{fits}]")]);
    }
}

#[test]
fn an_unclosed_quote_for_the_guest() {
    // `oxk run` quotes arguments; whoever starts QEMU by hand may not.
    let said =
        call(OXK, &["run", "apps/hello", "--plat", "kvm", "--qemu-arg=-append", "--qemu-arg=a 'b"]);
    said.expect(103, &["boot failed: the command line ends inside quotes"]);
}

#[test]
fn corrupt_images() {
    let dir = tempfile::tempdir().unwrap();
    let build = dir.path().join("build");
    let build_arg = build.to_str().unwrap();
    call(OXK, &["build", "apps/hello", "--plat", "kvm", "--build-dir", build_arg]).expect(0, &[]);
    let image = build.join("hello_kvm-x86_64");
    let whole = std::fs::read(&image).unwrap();
    for (name, bytes) in [("empty", &[][..]), ("text", b"not an image"), ("short", &whole[..100])] {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        assert_corrupt(&path);
    }
}

/// The launcher refuses an image that is not one, before QEMU sees it.
fn assert_corrupt(image: &Path) {
    let files = oxk::qemu::Files::new().unwrap();
    let spec = oxk::qemu::Spec {
        image,
        model: oxk::qemu::Model::Q35,
        accel: oxk::qemu::Accel::Tcg,
        cpus: 1,
        memory: oxk::qemu::DEFAULT_MEMORY,
        words: &[],
        initrd: None,
        disks: &[],
        nets: &[],
        shared: &[],
        files: &files,
    };
    let error = spec.arguments().unwrap_err().to_string();
    assert!(error.contains("is not a bootable image\n  help: build it again"), "{error}");
}
