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
    // No way in for instructions.
    let bytes = std::fs::read(&dbg).unwrap();
    for name in ["syscall_trap", "uk_syscall_trapped", "ukarch_x86_647syscall"] {
        let is_there = bytes.windows(name.len()).any(|part| part == name.as_bytes());
        assert!(!is_there, "{name} in the image");
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
/// variables of threads, calls by number, names that only glibc has.
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
        // Takes no place in the image's memory, only in that of each thread.
        static _Thread_local char large[20000];
        __attribute__((constructor)) static void first(void) { order++; }
        extern int made(void);
        extern void part(int, char **);
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
            char *volatile end = large + sizeof large - 1;
            *end += 1;
            printf("local %d aligned %d\n", local, (int)((unsigned long)place % 64));
            printf("environment %s %s\n", getenv("A"), getenv("B") ? getenv("B") : "none");
            printf("auxv %ld %d\n", getauxval(AT_PAGESZ), getauxval(AT_RANDOM) != 0);
            printf("tls %d\n", dl_iterate_phdr(headers, 0) >= 20068 && *end == 1);
            printf("by number %ld %ld\n", syscall(SYS_getpid), syscall(SYS_gettid));
            errno = 0;
            long r = syscall(SYS_io_uring_setup, 1, 0);
            printf("missing %ld %s\n", r, strerror(errno));
            char *big = malloc((size_t)1 << 60);
            printf("too much %d %s\n", big == 0, strerror(errno));
            part(argc, argv);
            atexit(bye);
            return argc == 2 ? 40 : 41;
        }
    "#;
    let cpp = r#"
        #include <stdio.h>
        template <typename T> struct Counted {
            static int living;
            Counted() { living++; }
            ~Counted() { living--; }
        };
        template <typename T> int Counted<T>::living;
        struct Shape : Counted<Shape> { virtual ~Shape() {} virtual int area() const = 0; };
        struct Square : Shape {
            int side;
            Square(int side = 1) : side(side) {}
            int area() const override { return side * side; }
        };
        static Square global(3);
        struct Last { ~Last() { printf("destructor, %d living\n", Shape::living); } };
        static Last last;
        extern "C" int made(void) {
            Shape *one = new Square(4);
            Square *many = new Square[5];
            auto sum = [&](int n) { return one->area() + many[4].area() + global.area() + n; };
            static int calls;
            int all = sum(++calls) + 100 * Shape::living;
            delete one;
            delete[] many;
            return all;
        }
    "#;
    // Compiled by the machine's compiler with the headers of glibc, and linked as it is: `_FORTIFY_SOURCE` and
    // files of 64 bits give calls other names.
    let makefile = "part.o: part.c\n\tcc -O2 -D_FORTIFY_SOURCE=2 -fno-omit-frame-pointer -fpie -c part.c -o part.o\n";
    let part = r#"
        #define _GNU_SOURCE
        #define _FILE_OFFSET_BITS 64
        #include <execinfo.h>
        #include <fcntl.h>
        #include <gnu/libc-version.h>
        #include <malloc.h>
        #include <poll.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        #include <sys/sysmacros.h>
        #include <unistd.h>
        #ifndef __GLIBC__
        #error "this machine has no headers of glibc"
        #endif
        void part(int argc, char **argv) {
            char text[8], line[32];
            strcpy(text, argv[0]);
            int n = snprintf(line, argc + 20, "%s %d", text, open(argv[0], O_RDONLY));
            printf("from %s, %d characters, release %c\n", line, n, *gnu_get_libc_version());
            void *calls[16];
            int depth = backtrace(calls, 16);
            char **names = backtrace_symbols(calls, depth);
            fprintf(stderr, "calls %d %c\n", depth > 2, names[depth - 1][0]);
            free(names);
            printf("device %u, trim %d\n", minor(makedev(8, 17)), malloc_trim(0));
            struct pollfd fds[2] = {{.fd = 1}};
            printf("poll %d, last %c\n", poll(fds, argc, 0),
                   *(char *)rawmemchr(argv[0], 'g'));
            fflush(stdout);
            strcat(text, argc > 1 ? argv[1] : "");
            printf("all of it: %s\n", text);
        }
    "#;
    let manifest = "[c]\nsources = [\"main.c\", \"made.cpp\"]\nmake = [\"make\"]\n\
                    objects = [\"part.o\"]\n[options.musl]\nenv = \"A=1 C=3\"\n";
    let files = [("main.c", main), ("made.cpp", cpp), ("part.c", part), ("Makefile", makefile)];
    let dir = program(manifest, &files);
    for platform in ["linuxu", "kvm"].into_iter().chain(hvt().map(|_| "hvt")) {
        call_in(OXK, dir.path(), &["run", "--plat", platform, "--", "abc"]).expect(
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
    let said = call_in(OXK, dir.path(), &["run", "--plat", "linuxu", "--", "abcdefgh"]);
    assert!(said.all().contains("poll 0, last g\n") && said.code != 0, "{}", said.all());
    assert!(said.all().contains("*** buffer overflow detected ***: terminated"), "{}", said.all());
    assert!(!said.all().contains("all of it"), "{}", said.all());
    let (handled, _) = handlers(&dir.path().join("build/prog_linuxu-x86_64.dbg"));
    assert!(handled.len() > 30, "a call by number keeps all handlers: {handled:?}");
}

/// The small C library: the program checks its functions, and does the same with musl.
#[test]
fn programs_with_nolibc() {
    let main = r#"
        #define _GNU_SOURCE
        #include <assert.h>
        #include <ctype.h>
        #include <errno.h>
        #include <fcntl.h>
        #include <inttypes.h>
        #include <limits.h>
        #include <stdbool.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        #include <time.h>
        #include <unistd.h>
        int made(void);
        static int compare(const void *a, const void *b) {
            return *(const int *)a < *(const int *)b ? -1 : *(const int *)a > *(const int *)b;
        }
        static void bye(void) { fputs("bye", stdout); }
        /* A program's own function has precedence over one of the library. */
        void *memrchr(const void *memory, int c, size_t n) { return "own"; }
        static void strings(void) {
            char text[32] = "one,two;;three";
            char *rest, *words[3];
            for (int i = 0; i < 3; i++) words[i] = strtok_r(i ? NULL : text, ",;", &rest);
            assert(!strcmp(words[0], "one") && !strcmp(words[1], "two") && !strcmp(words[2], "three"));
            assert(!strtok_r(NULL, ",;", &rest));
            assert(strcmp("a", "b") < 0 && strcmp("b", "a") > 0 && strcmp("\xff", "a") > 0);
            assert(!strncmp("abc", "abd", 2) && !strcasecmp("AbC", "aBc") && strncasecmp("AX", "ay", 2) < 0);
            assert(strstr("needle in hay", "in") && !strstr("hay", "needle") && *strstr("x", "") == 'x');
            assert(!strcmp(strchr("path/file", '/'), "/file") && !strcmp(strrchr("a/b/c", '/'), "/c"));
            assert(!*strchr("abc", 0) && !strchr("abc", 'd') && !*strchrnul("abc", 'd'));
            assert(strspn("aab", "a") == 2 && strcspn("aab", "b") == 2 && *strpbrk("abc", "cb") == 'b');
            char to[8];
            assert(strlcpy(to, "too long a text", sizeof to) == 15 && !strcmp(to, "too lon"));
            assert(strlcat(to, "x", sizeof to) == 8 && strnlen(to, 3) == 3);
            memset(to, 'x', sizeof to);
            assert(strncpy(to, "ab", 4) == to && to[2] == 0 && to[3] == 0 && to[4] == 'x');
            assert(stpcpy(to, "abc") == to + 3 && !strcmp(strncat(to, "defg", 2), "abcde"));
            assert(memchr("abc", 'c', 3) && !memchr("abc", 'c', 2) && memmem("abcd", 4, "cd", 2));
            assert(!strcmp(memrchr("x", 'x', 1), "own"));
            char *copy = strdup("copy"), *part = strndup("part of it", 4);
            assert(!strcmp(copy, "copy") && !strcmp(part, "part"));
            free(copy); free(part);
            assert(isalpha('x') && !isalpha('1') && isspace('\v') && !isprint(EOF) && toupper('q') == 'Q');
        }
        static void numbers(void) {
            char *end;
            assert(strtol(" -0x1fz", &end, 0) == -31 && *end == 'z' && atoi("12a") == 12);
            errno = 0;
            assert(strtol("99999999999999999999", NULL, 10) == LONG_MAX && errno == ERANGE);
            assert(strtoul("-1", NULL, 10) == ULONG_MAX && strtod("2.5e3x", &end) == 2500 && *end == 'x');
            assert(div(-7, 2).quot == -3 && ldiv(-7, 2).rem == -1 && lldiv(1ll << 40, 2).quot == 1ll << 39);
            int list[100];
            srand(7);
            for (int i = 0; i < 100; i++) list[i] = rand() % 50;
            qsort(list, 100, sizeof *list, compare);
            for (int i = 1; i < 100; i++) assert(list[i - 1] <= list[i]);
            assert(*(int *)bsearch(&list[42], list, 100, sizeof *list, compare) == list[42]);
            char text[64], *made;
            assert(snprintf(text, 5, "%s", "too long") == 8 && !strcmp(text, "too "));
            /* More arguments than there are registers of each kind. */
            sprintf(text, "%d%d%d%d%d%d|%.1f%.1f%.1f%.1f%.1f%.1f%.1f%.1f%.1f|%" PRIx64, 1, 2, 3, 4, 5, 6,
                    .1, .2, .3, .4, .5, .6, .7, .8, .9, UINT64_MAX);
            assert(!strcmp(text, "123456|0.10.20.30.40.50.60.70.80.9|ffffffffffffffff"));
            assert(asprintf(&made, "%+d %5.2f %-4s| %c %#x %g", 7, 3.14159, "ab", 'c', 255, 1e-7) > 0);
            puts(made);
            free(made);
        }
        static void system_calls(void) {
            struct timespec before, after, wait = {0, 2000000};
            clock_gettime(CLOCK_MONOTONIC, &before);
            assert(nanosleep(&wait, NULL) == 0);
            clock_gettime(CLOCK_MONOTONIC, &after);
            assert((after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec >= 2000000);
            assert(time(NULL) > 1600000000 && getpid() == 1);
            int fd = open("/new", O_RDWR | O_CREAT | O_EXCL, 0600);
            assert(fd > 2 && write(fd, "content", 7) == 7 && lseek(fd, 3, SEEK_SET) == 3);
            char text[8] = "";
            assert(read(fd, text, 7) == 4 && !strcmp(text, "tent") && close(fd) == 0);
            assert(rename("/new", "/other") == 0 && unlink("/other") == 0);
            assert(open("/other", O_RDONLY) == -1 && errno == ENOENT);
            perror("/other");
            errno = 0;
            assert(!malloc((size_t)1 << 60) && errno == ENOMEM);
            char *block = calloc(10, 10);
            for (int i = 0; i < 100; i++) assert(!block[i]);
            assert((block = realloc(block, 10000)) && !reallocarray(block, SIZE_MAX / 2, 3));
            free(block);
        }
        int main(int argc, char **argv) {
            printf("arguments %d %s, environment %s %d\n", argc, argv[argc - 1], getenv("A"), !getenv("B"));
            strings();
            numbers();
            system_calls();
            printf("constructors %d\n", made());
            if (atexit(bye)) return 1;
            assert(argc < 3);
            return 7;
        }
    "#;
    let cpp = r#"
        #include <stdio.h>
        struct Base { virtual ~Base() {} virtual int get() const = 0; };
        struct Made : Base { int n; Made(int n) : n(n) {} int get() const override { return n; } };
        static Made global(5);
        struct Last { ~Last() { printf("destructor\n"); } };
        static Last last;
        extern "C" int made(void) {
            Base *base = new Made(global.get() + 1);
            int *list = new int[4]();
            int n = base->get() + list[3];
            delete base;
            delete[] list;
            return n;
        }
    "#;
    let manifest = "libc = \"nolibc\"\noptimize = \"size\"\n[c]\nsources = [\"*.c\", \"*.cpp\"]\n";
    let dir = program(manifest, &[("main.c", main), ("made.cpp", cpp)]);
    let run = |platform: &str, libc: &str, words: &[&str]| {
        let (provider, environment) = (format!("libc={libc}"), format!("{libc}.env=A=1"));
        let own = ["run", "--plat", platform, "--provider", &provider, "--set", &environment, "--"];
        call_in(OXK, dir.path(), &[&own[..], words].concat())
    };
    let texts = [
        "arguments 2 x, environment 1 1\n",
        "+7  3.14 ab  | c 0xff 1e-07\n",
        "/other: No such file or directory\n",
        "constructors 6\n",
        "byedestructor\n",
    ];
    for platform in ["linuxu", "kvm"].into_iter().chain(hvt().map(|_| "hvt")) {
        run(platform, "nolibc", &["x"]).expect(7, &texts);
    }
    run("linuxu", "nolibc", &["x", "y"])
        .expect(134, &["Assertion failed: argc < 3 (prog/main.c: main: ", "Aborted\n"]);
    // What it is for.
    let code = |libc: &str| {
        let provider = format!("libc={libc}");
        let args = ["size", "--plat", "linuxu", "--provider", &provider, "--json"];
        let said = call_in(OXK, dir.path(), &args);
        let report: serde_json::Value = serde_json::from_str(&said.expect(0, &[]).out).unwrap();
        let part = report["parts"].as_array().unwrap().iter().find(|p| p["name"] == libc);
        part.unwrap_or_else(|| panic!("no {libc} in {report}"))["text"].as_u64().unwrap()
    };
    let small = code("nolibc");
    run("linuxu", "musl", &["x"]).expect(7, &texts);
    let large = code("musl");
    assert!(small * 3 < large * 2, "{small} and {large} bytes of code");
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
