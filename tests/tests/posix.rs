//! Programs in C that use threads, signals and timers, with each scheduler and without.

use std::collections::BTreeSet;

use image_tests::{MACHINES, Machine, Outcome, call, hvt, root, run};

// What registers handlers.
use posix_eventfd as _;
use posix_files as _;
use posix_futex as _;
use posix_mmap as _;
use posix_poll as _;
use posix_process as _;
use posix_random as _;
use posix_signal as _;
use posix_thread as _;
use posix_time as _;

const OXK: &str = env!("CARGO_BIN_EXE_oxk-under-test");

/// A program in parts, of which arguments choose one.
const POSIX: &str = "tests/programs/posix";

/// Runs it with a scheduler. Images of different content have folders of their own.
fn posix(scheduler: &str, kind: &str, machine: Machine, args: &[&str]) -> Outcome {
    let (provider, dir) = (format!("sched={scheduler}"), format!("build/posix-{kind}"));
    let own = ["--provider", &provider, "--build-dir", &dir];
    run(OXK, POSIX, machine, &[&own[..], args].concat())
}

/// What each part of the program says when everything was as it should be.
const NOTHING_WRONG: [&str; 14] = [
    "threads: 0 failures\n",
    "cancellation: 0 failures\n",
    "signals: 0 failures\n",
    "timers: 0 failures\n",
    "system: 0 failures\n",
    "through /dev/console\n",
    "through /dev/stdout\n",
    "through /dev/fd/1\n",
    "files: 0 failures\n",
    "descriptors: 0 failures\n",
    "mappings: 0 failures\n",
    "exhaustion: 0 failures\n",
    "rights of memory are enforced\n",
    "faults: 0 failures\n",
];

/// Makes instructions for system calls arrive; everything else is as without.
const TRAP: &str = "trap=syscall-trap";

/// What the part of the program says that has such instructions.
const TRAPS: [&str; 2] = ["by instruction\n", "traps: 0 failures\n"];

#[test]
fn threads_and_signals_with_a_preemptive_scheduler() {
    let posix = |kind, machine, args: &[&str]| posix("ukschedpreempt", kind, machine, args);
    let trap = ["--provider", TRAP];
    for machine in [MACHINES[0], MACHINES[1]] {
        posix("trap", machine, &trap).expect(0, &NOTHING_WRONG);
        posix("trap", machine, &[&trap[..], &["--", "traps"]].concat()).expect(0, &TRAPS);
    }
    // Faults and memory are the tender's business there.
    if let Some(hvt) = hvt() {
        for part in ["faults", "mappings"] {
            let nothing_wrong = format!("{part}: 0 failures\n");
            posix("preempt", hvt, &["--", part]).expect(0, &[&nothing_wrong]);
        }
    }
    // The same on several CPUs.
    let cpus = [&trap[..], &["--cpus", "2"]].concat();
    let two = posix("cpus", MACHINES[0], &cpus);
    two.expect(0, &NOTHING_WRONG);
    two.expect(0, &["the vector unit complains\n"]);
    posix("cpus", MACHINES[0], &[&cpus[..], &["--", "traps"]].concat()).expect(0, &TRAPS);
    // Guests of the tender have no way in.
    call(OXK, &["build", POSIX, "--plat", "hvt", "--provider", TRAP])
        .expect(1, &["`syscall-trap`", "does not work on hvt", "platforms: linuxu, kvm"]);
}

#[test]
fn threads_and_signals_with_a_cooperative_scheduler() {
    let measured = ["--set", "uksched.cpu-time=true"];
    let coop = posix("ukschedcoop", "coop", MACHINES[0], &measured);
    coop.expect(0, &NOTHING_WRONG);
    coop.expect(0, &["threads have clocks of their own\n"]);
}

/// What is checked of descriptors, of files as memory, of faults, and of system calls by instruction is
/// what the host does.
#[test]
fn the_host_finds_the_same() {
    let (dir, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let program = dir.path().join("program");
    let sources = root().join(POSIX);
    let sources = std::fs::read_dir(sources).unwrap().map(|entry| entry.unwrap().path());
    let compiler = std::process::Command::new("cc")
        .args(["-D_GNU_SOURCE", "-w", "-o"])
        .arg(&program)
        .args(sources.filter(|path| path.extension().is_some_and(|e| e == "c")))
        .args(["-lpthread", "-lm"])
        .status();
    assert!(compiler.unwrap().success());
    for part in ["descriptors", "mappings", "faults", "traps"] {
        let run = std::process::Command::new(&program).arg(part).arg(folder.path()).output();
        let said = String::from_utf8(run.unwrap().stdout).unwrap();
        assert!(said.contains(&format!("{part}: 0 failures\n")), "{said}");
    }
}

/// A shared mapping of a file of the host comes to the file.
#[test]
fn mappings_of_files_of_the_host() {
    for machine in [MACHINES[0], MACHINES[1]] {
        let shared = tempfile::tempdir().unwrap();
        let share = format!("{}:/mnt/shared", shared.path().display());
        let args = ["--share", &share, "--", "mappings", "/mnt/shared"];
        posix("ukschedpreempt", "share", machine, &args).expect(0, &["mappings: 0 failures\n"]);
        let kept = std::fs::read(shared.path().join("shared")).unwrap();
        assert_eq!((kept.len(), kept[0], kept[9]), (4096, b's', b'9'));
    }
}

/// The list in the book is what is registered: the tool reads it from the sources, the programs of the
/// development machine from what the compiler made of them.
#[test]
fn the_list_of_system_calls_is_what_is_registered() {
    let page = std::fs::read_to_string(root().join("docs/src/syscalls.md")).unwrap();
    let printed = call(OXK, &["syscalls", "--markdown"]);
    printed.expect(0, &[]);
    assert!(
        page == printed.out,
        "docs/src/syscalls.md is old: cargo oxk syscalls --markdown > docs/src/syscalls.md"
    );
    let said = call(OXK, &["syscalls", "--json"]);
    let list: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let registered: BTreeSet<(u64, String, String)> = syscall_shim::registered()
        .iter()
        .map(|call| (call.number.into(), call.name.to_owned(), call.library.to_owned()))
        .collect();
    let libraries: BTreeSet<&str> = registered.iter().map(|call| call.2.as_str()).collect();
    let listed: BTreeSet<(u64, String, String)> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (c["number"].as_u64().unwrap(), text(&c["name"]), text(&c["library"])))
        // Two libraries with handlers of the same calls cannot be in one program.
        .filter(|(_, _, library)| libraries.contains(library.as_str()))
        .collect();
    assert_eq!(listed, registered);
    assert!(libraries.len() == 10 && listed.len() > 200, "{} of {libraries:?}", listed.len());
}

/// What the C library makes of the end of a program and of threads: the calls, and what the programs
/// of these tests do that makes them.
const BY_THE_LIBRARY: [(&str, &str); 4] = [
    ("clone_thread", "pthread_create("),
    ("exit", "pthread_exit("),
    ("exit_and_unmap", "PTHREAD_CREATE_DETACHED"),
    ("exit_group", "return failures ? 1 : 0;"),
];

/// The text of a file, or of all files of a folder and its folders; of what is not there, none.
fn texts(path: &std::path::Path) -> String {
    match std::fs::read_dir(path) {
        Ok(entries) => entries.map(|entry| texts(&entry.unwrap().path())).collect(),
        Err(_) if path.is_file() => std::fs::read_to_string(path).unwrap(),
        Err(_) => String::new(),
    }
}

/// Each call that is registered is made by a test: by number, or in a program in C.
#[test]
fn every_system_call_has_a_test() {
    let no_word = |c: char| !c.is_alphanumeric() && c != '_';
    let mut made = BTreeSet::new();
    for library in std::fs::read_dir(root().join("posix")).unwrap() {
        let library = library.unwrap().path();
        for path in [library.join("tests"), library.join("src/tests.rs")] {
            let text = texts(&path);
            let names = text.split("nr::").skip(1).filter_map(|rest| rest.split(no_word).next());
            made.extend(names.map(str::to_owned));
        }
    }
    let programs = texts(&root().join(POSIX));
    let functions = programs.split('(').filter_map(|before| before.rsplit(no_word).next());
    made.extend(functions.map(str::to_owned));
    let by_the_library = BY_THE_LIBRARY.iter().filter(|(_, by)| programs.contains(by));
    made.extend(by_the_library.map(|(call, _)| (*call).to_owned()));
    let registered = syscall_shim::registered().iter().map(|call| call.name);
    let untested: Vec<&str> = registered.filter(|name| !made.contains(*name)).collect();
    assert!(untested.is_empty(), "no test makes these calls: {untested:?}");
}

#[test]
fn the_calls_of_an_image() {
    let said = call(OXK, &["syscalls", "apps/c-hello", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let calls = report["calls"].as_array().unwrap();
    let of = |name: &str| calls.iter().find(|call| call["name"] == name);
    assert_eq!(of("exit_group").unwrap()["library"], "posix-thread");
    assert!(of("getpid").is_none() && report["by_number"] == false, "{report}");
    call(OXK, &["syscalls", "apps/hello"]).expect(1, &["hello is no program in C"]);
    call(OXK, &["syscalls", "--set", "strace=true"]).expect(1, &["not of which"]);
    call(OXK, &["syscalls", "apps/c-hello", "--set", "no.option=1"])
        .expect(1, &["unknown library `no`"]);
    call(OXK, &["syscalls", "--library", "nothing"]).expect(1, &["unknown library `nothing`"]);
}

/// The default action of a signal, and of threads without a scheduler.
#[test]
fn how_programs_end() {
    const ENDS: &str = "tests/programs/ends";
    for (how, code, texts) in [
        ("term", 143, &["create 1\n", "ended by signal 15 (SIGTERM)"][..]),
        ("abort", 134, &["ended by signal 6 (SIGABRT)"]),
        ("alarm", 142, &["alarmed\n", "pause -1\n", "ended by signal 14 (SIGALRM)"]),
        ("nothing", 9, &["create 1\n"]),
        ("stack", 9, &["on its stack 1\n"]),
    ] {
        run(OXK, ENDS, MACHINES[0], &["--", how]).expect(code, texts);
    }
    run(OXK, ENDS, MACHINES[1], &["--", "alarm"])
        .expect(142, &["alarmed\n", "ended by signal 14 (SIGALRM)"]);
    // A thread that waits for the console keeps neither others nor signals from running.
    let coop = ["--build-dir", "build/ends-coop", "--provider", "sched=ukschedcoop"];
    run(OXK, ENDS, MACHINES[1], &[&coop[..], &["--", "input"]].concat())
        .expect(9, &["create 0\n", "alarmed\n", "read -1 1, meanwhile 1\n"]);
    // The short form of an option's name.
    let strace = ["--build-dir", "build/ends-strace", "--set", "strace=true", "--", "term"];
    run(OXK, ENDS, MACHINES[0], &strace).expect(143, &["tkill(thread 1, signal SIGTERM) = 0 <"]);
}

/// Lines of the option `strace`: numbers by name, texts in lists of buffers, and of what a call only
/// writes the address alone when it has failed.
#[test]
fn calls_are_told_by_name() {
    let traced = |part| {
        let args = ["--set", "strace=true", "--", part];
        posix("ukschedpreempt", "strace", MACHINES[0], &args)
    };
    let files = [
        r#"writev(fd 1, buffers [{"files: 0", 8}, {" failures\n", 10}], 2) = 18 <"#,
        r#"preadv2(fd 3, buffers [{"abcd", 4}, {"efghi", 5}], 2, offset 10, high 0, flags 0) = 9 <"#,
        "fcntl(fd 4, command F_GETFD) = 1 <",
        "flags RENAME_NOREPLACE) = -1 EEXIST (File exists)",
        r#"statx(directory AT_FDCWD, path "/tmp/none", flags 0, mask STATX_BASIC_STATS|STATX_BTIME, result 0x"#,
        "mode=S_IFREG|0600, ",
    ];
    let said = traced("files");
    let said = said.expect(0, &files).all();
    let failed = said.lines().find(|line| line.contains("path \"/tmp/none\", flags 0")).unwrap();
    assert!(failed.contains(") = -1 ENOENT (No such file or directory) <"), "{failed}");
    traced("signals").expect(
        0,
        &[
            "rt_sigprocmask(how SIG_UNBLOCK, new [SIGRT_1 SIGRT_2], old NULL, size 8) = 0 <",
            "rt_sigaction(signal SIGUSR1, new {handler=0x",
            "flags=SA_SIGINFO|SA_RESTORER",
            "tgkill(pid 1, thread 1, signal SIGUSR1) = 0 <",
            "info {signal=SIGRT_3, errno=0, code=SI_QUEUE}, timeout NULL, size 8) = 35 <",
        ],
    );
}
