//! Programs in C on every platform: linked natively, with just the handlers that they reach.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

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
    let files =
        ["oxk.toml", "Makefile", "main.c", "headers.c", "made.cpp", "containers.cpp", "part.c"];
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
                "own 3 1, aligned 0\n",
                "headers 1\n",
                "a name that is no short one 9, 4 2 none\n",
                "shared by 2, threads\n",
                "characters 29\n",
                "from prog -1, 7 characters, release 2\n",
                "calls 1 [\n",
                "device 17, trim 0\n",
                "poll 0, last g\n",
                "fcntl 2\n",
                "contexts 21 7\n",
                "prog: error 1: No such file or directory\n",
                "all of it: progabc\n",
                "end of a thread\nbye\n",
                "destructor, 1 living\n",
            ],
        );
    }
    // What is checked stops a program before it writes behind what it knows the size of.
    let said = run(OXK, dir, MACHINES[0], &["--", "abcdefgh"]);
    assert!(said.all().contains("poll 0, last g\n") && said.code != 0, "{}", said.all());
    assert!(said.all().contains("*** buffer overflow detected ***: terminated"), "{}", said.all());
    assert!(!said.all().contains("all of it"), "{}", said.all());
    // What templates would throw ends the program.
    run(OXK, dir, MACHINES[0], &["--", "a", "b"])
        .expect(134, &["std::out_of_range: vector::_M_range_check: __n (which is 20) >= this->size() (which is 20)\n"]);
    let (handled, _) = handlers(&root().join("build/prog_linuxu-x86_64.dbg"));
    assert!(handled.len() > 30, "a call by number keeps all handlers: {handled:?}");
    // What the C library allocates itself is on the image's heap.
    let names = symbols(&root().join("build/prog_linuxu-x86_64.dbg"));
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    assert!(has("__libc_malloc") && !has("__simple_malloc") && !has("__libc_malloc_impl"));
    names_of_the_headers_of_glibc(&root().join("build/native/prog_linuxu-x86_64/linked.map"));
}

/// Names that glibc's headers give to calls and that nobody has here.
const NOT_THERE: [(&str, &str); 5] = [
    ("__obstack_printf_chk", "musl has no obstack.h"),
    ("__obstack_vprintf_chk", "musl has no obstack.h"),
    ("crypt_gensalt_rn", "of libcrypt, which is not glibc's"),
    ("ntp_gettimex", "there is no daemon that would set the clock"),
    ("scandirat64", "musl has no scandirat"),
];

/// Each name that this machine's headers of glibc give to a call of another name is in the C library
/// that the image of this map was linked with.
fn names_of_the_headers_of_glibc(map: &std::path::Path) {
    let map = std::fs::read_to_string(map).unwrap();
    let end = "/lib/libc.a";
    let line = map.lines().find_map(|line| line.split_once(&format!("{end}(")));
    let (before, _) = line.expect("a line of libc.a");
    let folder = &before[before.find('/').unwrap()..];
    let archive = format!("{folder}{end}");
    let nm = Command::new("nm").args(["-g", "--defined-only", &archive]).output().unwrap();
    let defined = String::from_utf8(nm.stdout).unwrap();
    let there: BTreeSet<&str> =
        defined.lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
    assert!(there.contains("printf") && there.len() > 1500, "{}", there.len());

    // All headers that both libraries have, and those of glibc with functions that we have.
    let include = PathBuf::from(folder).join("include");
    let more = ["error.h", "execinfo.h", "gnu/libc-version.h", "obstack.h", "printf.h"];
    let mut source = String::new();
    for header in headers_below(&include).iter().map(String::as_str).chain(more) {
        source += &format!("#if __has_include(<{header}>)\n#include <{header}>\n#endif\n");
    }
    let mut wanted = BTreeSet::new();
    for standard in
        ["-D_GNU_SOURCE -D_FILE_OFFSET_BITS=64", "-D_POSIX_C_SOURCE=200809L", "-std=c2x"]
    {
        let mut cc = Command::new("cc");
        cc.args(["-E", "-P", "-O2", "-D_FORTIFY_SOURCE=2", "-x", "c", "-"]);
        cc.args(standard.split(' ')).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut cc = cc.spawn().unwrap();
        let mut input = cc.stdin.take().unwrap();
        let text = source.clone();
        let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
        let output = cc.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        assert!(output.status.success(), "the headers of this machine cannot be read");
        let text = String::from_utf8_lossy(&output.stdout);
        wanted.extend(names_of_calls(&text));
    }
    for name in ["fcntl64", "__memcpy_chk", "__swprintf_chk", "__open_2", "__isoc99_sscanf"] {
        assert!(wanted.contains(name), "{name} is not found in the headers: {wanted:?}");
    }
    let missing: Vec<&String> = wanted
        .iter()
        .filter(|name| !there.contains(name.as_str()))
        .filter(|name| NOT_THERE.iter().all(|(other, _)| other != name))
        .collect();
    assert!(
        missing.is_empty(),
        "glibc's headers give names that the C library has not: {missing:?}"
    );
}

/// Headers with their names relative to a folder, without the inner ones of the library.
fn headers_below(folder: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    for below in ["", "arpa", "net", "netinet", "netpacket", "scsi", "sys"] {
        for entry in std::fs::read_dir(folder.join(below)).unwrap().flatten() {
            let path = PathBuf::from(below).join(entry.file_name());
            if path.extension().is_some_and(|extension| extension == "h") {
                found.push(path.display().to_string());
            }
        }
    }
    found.sort();
    found
}

/// Names that declarations give to calls, and those of checked calls: `__NAME_chk`, or `__NAME_2` without a mode.
fn names_of_calls(text: &str) -> BTreeSet<String> {
    let given = text.split("__asm__").skip(1).filter_map(|rest| {
        // `("" "name")`
        let rest = rest.trim_start().strip_prefix("(\"\"")?.trim_start().strip_prefix('"')?;
        Some(rest.split_once('"')?.0)
    });
    let is_name = |c: char| c == '_' || c.is_ascii_alphanumeric();
    // Compilers check some by themselves: `__builtin___memcpy_chk` becomes `__memcpy_chk`.
    let words = text.split(|c| !is_name(c));
    let checked =
        words.map(|word| word.strip_prefix("__builtin_").unwrap_or(word)).filter(|word| {
            let is_checked =
                word.ends_with("_chk") || word.contains("open") && word.ends_with("_2");
            word.starts_with("__") && is_checked
        });
    given.chain(checked).map(str::to_owned).collect()
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
        "byedestructor, 100 functions before\n",
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
    // Its own allocator and functions of memory: the C library calls them, the system has its own.
    let main = r#"
        #include <stdio.h>
        #include <string.h>
        #include <sys/utsname.h>
        static _Alignas(16) char heap[1 << 16];
        static size_t used;
        static volatile int copies;
        void *malloc(size_t n) {
            void *block = heap + used;
            used += (n + 15) & -16;
            return used <= sizeof heap ? block : 0;
        }
        void free(void *block) {}
        void *memcpy(void *restrict to, const void *restrict from, size_t n) {
            copies++;
            for (size_t i = 0; i < n; i++) ((volatile char *)to)[i] = ((volatile char *)from)[i];
            return to;
        }
        size_t strlen(const char *text) {
            size_t n = 0;
            while (((volatile const char *)text)[n]) n++;
            return n;
        }
        int part(void);
        int main(void) {
            struct utsname name;
            int before = copies;
            uname(&name);
            int of_the_system = copies - before;
            char *volatile text = "text", *copy = strdup(text);
            int here = copy >= heap && copy < heap + sizeof heap && !strcmp(copy, "text");
            free(copy);
            printf("own functions %d %d %d, system %s\n", here, copies > before, !of_the_system,
                   name.sysname);
            return part();
        }
    "#;
    let manifest = "name = \"made\"\nkind = \"c\"\n[c]\nsources = [\"main.c\", \"m*.c\"]\n\
                    make = [\"make\"]\nobjects = [\"part.a\"]\n";
    let files =
        [("oxk.toml", manifest), ("Makefile", makefile), ("part.c", part), ("main.c", main)];
    let dir = folder("made", &files);
    let run = || call_in(OXK, &dir, &["run", "--timeout", "120"]);
    run().expect(5, &["own functions 1 1 1, system Linux\n"]);
    // A change is seen.
    std::fs::write(dir.join("main.c"), main.replace("return part()", "return part() + 1")).unwrap();
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
