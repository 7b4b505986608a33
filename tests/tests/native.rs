//! Programs in C on every platform: linked natively, with just the handlers that they reach.

use image_tests::{call, call_in, hvt, machines, root, run};

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

/// A program in a folder of its own, with its files.
fn program(manifest: &str, files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let manifest = format!("name = \"prog\"\nkind = \"c\"\n{manifest}");
    for (file, text) in files.iter().chain(&[("oxk.toml", manifest.as_str())]) {
        std::fs::write(dir.path().join(file), text).unwrap();
    }
    dir
}

/// One image that tests many things: what the C library finds when it starts, constructors, C++,
/// variables of threads, calls by number.
#[test]
fn what_a_program_finds_when_it_starts() {
    let main = r#"
        #define _GNU_SOURCE
        #include <errno.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        #include <sys/auxv.h>
        #include <sys/syscall.h>
        #include <unistd.h>
        #include <link.h>
        static int order;
        _Thread_local int local = 7;
        static _Thread_local _Alignas(64) char aligned[64];
        __attribute__((constructor)) static void first(void) { order++; }
        extern int made(void);
        static int headers(struct dl_phdr_info *info, size_t size, void *data) {
            for (int i = 0; i < info->dlpi_phnum; i++)
                if (info->dlpi_phdr[i].p_type == PT_TLS) return (int)info->dlpi_phdr[i].p_memsz;
            return -1;
        }
        static void bye(void) { puts("bye"); }
        int main(int argc, char **argv) {
            printf("constructors %d %d\n", order, made());
            char *volatile place = aligned;
            place[63] = 1;
            printf("local %d aligned %d\n", local, (int)((unsigned long)place % 64));
            printf("environment %s %s\n", getenv("A"), getenv("B") ? getenv("B") : "none");
            printf("auxv %ld %d\n", getauxval(AT_PAGESZ), getauxval(AT_RANDOM) != 0);
            printf("tls %d\n", dl_iterate_phdr(headers, 0) >= 68);
            printf("by number %ld %ld\n", syscall(SYS_getpid), syscall(SYS_gettid));
            errno = 0;
            long r = syscall(SYS_io_uring_setup, 1, 0);
            printf("missing %ld %s\n", r, strerror(errno));
            char *big = malloc((size_t)1 << 60);
            printf("too much %d %s\n", big == 0, strerror(errno));
            atexit(bye);
            return argc == 1 ? 40 : 41;
        }
    "#;
    let cpp = r#"
        struct Made { int n; Made() : n(5) {} virtual ~Made() {} virtual int get() { return n; } };
        struct More : Made { int get() override { return n * 2; } };
        static More more;
        extern "C" int made(void) { Made *m = &more; return m->get(); }
        void *operator new(unsigned long);
        void operator delete(void *, unsigned long) noexcept {}
        extern "C" void __cxa_pure_virtual() {}
    "#;
    let manifest = "[c]\nsources = [\"*.c\", \"*.cpp\"]\n[options.musl]\nenv = \"A=1 C=3\"\n";
    let dir = program(manifest, &[("main.c", main), ("made.cpp", cpp)]);
    for platform in ["linuxu", "kvm"].into_iter().chain(hvt().map(|_| "hvt")) {
        call_in(OXK, dir.path(), &["run", "--plat", platform]).expect(
            40,
            &[
                "constructors 1 10\n",
                "local 7 aligned 0\n",
                "environment 1 none\n",
                "auxv 4096 1\n",
                "tls 1\n",
                "by number 1 1\n",
                "missing -1 Function not implemented\n",
                "too much 1 Out of memory\n",
                "bye\n",
            ],
        );
    }
    let (handled, _) = handlers(&dir.path().join("build/prog_linuxu-x86_64.dbg"));
    assert!(handled.len() > 30, "a call by number keeps all handlers: {handled:?}");
}

#[test]
fn build_systems_of_programs() {
    let makefile = "part.o: part.c\n\t$(CC) -DN=5 -c part.c -o part.o\n";
    let part = "int part(void) { return N; }\n";
    let main = "int part(void);\nint main(void) { return part(); }\n";
    let manifest = "[c]\nsources = [\"main.c\"]\nmake = [\"make\"]\nobjects = [\"part.o\"]\n";
    let files = [("Makefile", makefile), ("part.c", part), ("main.c", main)];
    let dir = program(manifest, &files);
    call_in(OXK, dir.path(), &["run"]).expect(5, &[]);
    // A change is seen.
    std::fs::write(dir.path().join("main.c"), main.replace("part()", "part() + 1")).unwrap();
    call_in(OXK, dir.path(), &["run"]).expect(6, &[]);
    std::fs::write(dir.path().join("main.c"), "int main(void) { return undefined(); }\n").unwrap();
    call_in(OXK, dir.path(), &["run"])
        .expect(125, &["undefined symbol", "cannot link prog", "help: "]);
    std::fs::write(dir.path().join("main.c"), "int main(void) { return 1 }\n").unwrap();
    call_in(OXK, dir.path(), &["run"]).expect(125, &["main.c:1:", "cannot compile ", "help: "]);
}
