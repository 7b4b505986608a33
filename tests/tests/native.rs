//! Programs in C on every platform: linked natively, with just the handlers that they reach.

use std::path::PathBuf;

use image_tests::{MACHINES, Machine, call, call_in, machines, one_per_platform, root, run};

const OXK: &str = env!("CARGO_BIN_EXE_oxk-under-test");

/// Names of the system calls in an image, by the symbols of its debug file; those that nobody
/// handles apart.
fn handlers(dbg: &std::path::Path) -> (Vec<String>, Vec<String>) {
    use object::{Object, ObjectSymbol};
    let bytes = std::fs::read(dbg).unwrap();
    let file = object::File::parse(&*bytes).unwrap();
    let (mut handled, mut missing) = (Vec::new(), Vec::new());
    for symbol in file.symbols() {
        if let Some(name) = symbol.name().ok().and_then(|name| name.strip_prefix("uk_sys_")) {
            let list = if symbol.is_weak() { &mut missing } else { &mut handled };
            list.push(name.to_owned());
        }
    }
    handled.sort();
    missing.sort();
    (handled, missing)
}

#[test]
fn c_hello_prints_and_allocates() {
    for machine in machines() {
        run(OXK, "apps/c-hello", machine, &["--", "a", "b c"])
            .expect(0, &["Hello, world! This is C, and 1 plus 2 is 3.\n", "arguments: a b c\n"]);
    }
}

#[test]
fn only_what_the_program_calls_is_in_the_image() {
    call(OXK, &["build", "apps/c-hello"]).expect(0, &["Built build/c-hello_linuxu-x86_64"]);
    let dbg = root().join("build/c-hello_linuxu-x86_64.dbg");
    let (handled, missing) = handlers(&dbg);
    for name in ["writev", "exit_group", "arch_prctl", "set_tid_address"] {
        assert!(handled.iter().any(|h| h == name), "{name} is not in {handled:?}");
    }
    // Registered, but not called by the program.
    for name in ["getpid", "uname", "readv", "prctl", "setuid", "open", "poll"] {
        assert!(!handled.iter().chain(&missing).any(|h| h == name), "{name} in {handled:?}");
    }
    // No way in for instructions.
    let names = symbols(&dbg);
    assert!(names.iter().any(|name| name == "main"));
    for part in ["syscall_trap", "ukarch_x86_647syscall"] {
        assert!(!names.iter().any(|name| name.contains(part)), "{part} in {names:?}");
    }
    // So no library for files is there either.
    call(OXK, &["graph", "apps/c-hello", "--plat", "linuxu"])
        .expect(0, &["posix-stdio provides files"]);
    let said = call(OXK, &["size", "apps/c-hello", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let text = |name: &str| {
        let parts = report["parts"].as_array().unwrap();
        let part = parts.iter().find(|part| part["name"] == name);
        part.unwrap_or_else(|| panic!("no {name} in {report}"))["text"].as_u64().unwrap()
    };
    assert!(text("musl") > 5_000 && text("musl") < 30_000, "{report}");
    assert!((100..1000).contains(&text("c-hello (application)")), "{report}");
    assert!(report["file_bytes"].as_u64().unwrap() < 80 << 10, "{report}");
}

/// Names of all that is in an image.
fn symbols(dbg: &std::path::Path) -> Vec<String> {
    use object::{Object, ObjectSymbol};
    let bytes = std::fs::read(dbg).unwrap();
    let file = object::File::parse(&*bytes).unwrap();
    file.symbols().filter_map(|symbol| Some(symbol.name().ok()?.to_owned())).collect()
}

/// A folder for a program whose build writes beside its sources. It is the same in each run: what
/// did not change is not built again.
fn folder(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let dir = root().join("build/programs").join(name);
    std::fs::create_dir_all(&dir).unwrap();
    for (file, text) in files {
        if !std::fs::read_to_string(dir.join(file)).is_ok_and(|old| old == *text) {
            std::fs::write(dir.join(file), text).unwrap();
        }
    }
    dir
}

/// One image that tests many things: what the C library finds when it starts, constructors, C++,
/// variables of threads, calls by number, names that only glibc has.
#[test]
fn what_a_program_finds_when_it_starts() {
    let files = ["oxk.toml", "Makefile", "main.c", "made.cpp", "part.c"];
    let sources = root().join("tests/programs/at-start");
    let texts = files.map(|file| std::fs::read_to_string(sources.join(file)).unwrap());
    let files: Vec<(&str, &str)> =
        files.into_iter().zip(texts.iter().map(String::as_str)).collect();
    let dir = folder("at-start", &files);
    let dir = dir.to_str().unwrap();
    for machine in one_per_platform() {
        run(OXK, dir, machine, &["--", "abc"]).expect(
            40,
            &[
                // 4², 1², 3², 1, and 100 for each of seven objects; one of them is left at the end.
                "constructors 1 727\n",
                "local 7 aligned 0\n",
                "environment 1 none\n",
                "auxv 4096 1\n",
                "tls 1\n",
                "by number 1 1\n",
                "missing -1 Function not implemented\n",
                "too much 1 Out of memory\n",
                "from prog -1, 7 characters, release 2\n",
                "calls 1 [\n",
                "device 17, trim 0\n",
                "poll 0, last g\n",
                "all of it: progabc\n",
                "bye\n",
                "destructor, 1 living\n",
            ],
        );
    }
    // What is checked stops a program before it writes behind what it knows the size of.
    let said = run(OXK, dir, MACHINES[0], &["--", "abcdefgh"]);
    assert!(said.all().contains("poll 0, last g\n") && said.code != 0, "{}", said.all());
    assert!(said.all().contains("*** buffer overflow detected ***: terminated"), "{}", said.all());
    assert!(!said.all().contains("all of it"), "{}", said.all());
    let (handled, _) = handlers(&root().join("build/prog_linuxu-x86_64.dbg"));
    assert!(handled.len() > 30, "a call by number keeps all handlers: {handled:?}");
}

/// The small C library: the program checks its functions, and does the same with musl.
#[test]
fn programs_with_nolibc() {
    const APP: &str = "tests/programs/with-nolibc";
    let run = |machine: Machine, libc: &str, words: &[&str]| {
        let (provider, environment) = (format!("libc={libc}"), format!("{libc}.env=A=1"));
        let own = ["--provider", &provider, "--set", &environment, "--"];
        run(OXK, APP, machine, &[&own[..], words].concat())
    };
    let texts = [
        "arguments 2 x, environment 1 1\n",
        "+7  3.14 ab  | c 0xff 1e-07\n",
        "/other: No such file or directory\n",
        "constructors 6\n",
        "byedestructor\n",
    ];
    for machine in one_per_platform() {
        run(machine, "nolibc", &["x"]).expect(7, &texts);
    }
    run(MACHINES[0], "nolibc", &["x", "y"])
        .expect(134, &["Assertion failed: argc < 3 (small/main.c: main: ", "Aborted\n"]);
    // What it is for.
    let code = |libc: &str| {
        let provider = format!("libc={libc}");
        let said = call(OXK, &["size", APP, "--plat", "linuxu", "--provider", &provider, "--json"]);
        let report: serde_json::Value = serde_json::from_str(&said.expect(0, &[]).out).unwrap();
        let part = report["parts"].as_array().unwrap().iter().find(|p| p["name"] == libc);
        part.unwrap_or_else(|| panic!("no {libc} in {report}"))["text"].as_u64().unwrap()
    };
    let small = code("nolibc");
    run(MACHINES[0], "musl", &["x"]).expect(7, &texts);
    let large = code("musl");
    assert!(small * 3 < large * 2, "{small} and {large} bytes of code");
}

#[test]
fn build_systems_of_programs() {
    let makefile = "part.a: part.o\n\t$(AR) rcs part.a part.o\n\
                    part.o: part.c\n\t$(CC) -DN=5 -c part.c -o part.o\n";
    let part = "#ifndef M\n#define M 0\n#endif\nint part(void) { return N + M; }\n";
    let main = "int part(void);\nint main(void) { return part(); }\n";
    let manifest = "name = \"made\"\nkind = \"c\"\n[c]\nsources = [\"main.c\", \"m*.c\"]\n\
                    make = [\"make\"]\nobjects = [\"part.a\"]\n";
    let files =
        [("oxk.toml", manifest), ("Makefile", makefile), ("part.c", part), ("main.c", main)];
    let dir = folder("made", &files);
    let run = || call_in(OXK, &dir, &["run", "--timeout", "120"]);
    run().expect(5, &[]);
    // A change is seen.
    std::fs::write(dir.join("main.c"), main.replace("part()", "part() + 1")).unwrap();
    run().expect(6, &[]);
    // So are other flags, of which `make` knows nothing.
    let with_flag = format!("{manifest}flags = [\"-DM=30 \"]\n");
    std::fs::write(dir.join("oxk.toml"), &with_flag).unwrap();
    run().expect(36, &[]);
    std::fs::write(dir.join("oxk.toml"), manifest.replace("m*.c", "Make*")).unwrap();
    run().expect(125, &["Makefile is no source in C or C++", "oxk.toml:4:"]);
    std::fs::write(dir.join("oxk.toml"), format!("{manifest}exclude = [\"mian.c\"]\n")).unwrap();
    run().expect(125, &["there is no file `mian.c`"]);
    std::fs::write(dir.join("oxk.toml"), manifest).unwrap();
    std::fs::write(dir.join("main.c"), "int main(void) { return undefined(); }\n").unwrap();
    run().expect(125, &["undefined symbol", "cannot link made", "help: "]);
    std::fs::write(dir.join("main.c"), "int main(void) { return 1 }\n").unwrap();
    run().expect(125, &["main.c:1:", "cannot compile ", "help: "]);
}
