//! What is left of the primitives: read from the instructions.
//!
//! The compiler is called directly, as the features differ from those of this test.
#![cfg(all(target_arch = "x86_64", not(feature = "model")))]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

struct Build {
    dir: PathBuf,
}

impl Build {
    fn new(name: &str) -> Self {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&dir).unwrap();
        Self { dir }
    }

    /// Compiles a crate, optimised, to a library and an object file.
    fn compile(&self, name: &str, source: &str, uses: &[&str], flags: &[&str]) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let rustc = std::env::var_os("RUSTC").unwrap_or("rustc".into());
        let mut command = Command::new(rustc);
        command.args(["--edition=2024", "--crate-type=rlib", "-Copt-level=3", "-Cpanic=abort"]);
        command.args(["-Ccodegen-units=1", "--cap-lints=allow", "--emit=link,obj"]);
        command.args(["--crate-name", name]).args(flags);
        for library in uses {
            let path = self.dir.join(format!("lib{library}.rlib"));
            command.arg("--extern").arg(format!("{library}={}", path.display()));
        }
        command.arg("-L").arg(&self.dir).arg("--out-dir").arg(&self.dir).arg(root.join(source));
        let output = command.output().expect("rustc starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Instructions of all functions of a crate, by symbol.
    fn functions(&self, name: &str) -> BTreeMap<String, Vec<String>> {
        let object = self.dir.join(format!("{name}.o"));
        let output = Command::new("objdump")
            .args(["--disassemble", "--no-show-raw-insn", "-C"])
            .arg(object)
            .output()
            .expect("objdump starts");
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        let mut functions: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut current = None;
        for line in text.lines() {
            if let Some(symbol) = line.strip_suffix(">:") {
                let symbol = symbol.split_once('<').unwrap().1.to_owned();
                current = Some(functions.entry(symbol).or_default());
            } else if let (Some(function), Some((_, instruction))) =
                (current.as_mut(), line.split_once(":\t"))
            {
                function.push(instruction.trim().to_owned());
            }
        }
        functions
    }

    fn all(&self, flags: &[&str], scheduler: &[&str]) -> BTreeMap<String, Vec<String>> {
        // The same for all; compiled once.
        static PLATFORM: OnceLock<Build> = OnceLock::new();
        let platform = PLATFORM.get_or_init(|| {
            let build = Self::new("platform");
            build.compile("ukplat", "../ukplat/src/lib.rs", &[], &[]);
            build
        });
        std::fs::copy(platform.dir.join("libukplat.rlib"), self.dir.join("libukplat.rlib"))
            .unwrap();
        let mut uses = vec!["ukplat"];
        if flags.iter().any(|flag| flag.contains("threads")) {
            self.compile("uksched", "tests/disassembly/uksched.rs", &[], scheduler);
            uses.push("uksched");
        }
        self.compile("uklock", "src/lib.rs", &uses, flags);
        uses.push("uklock");
        self.compile("calls", "tests/disassembly/calls.rs", &uses, &[]);
        let mut functions = self.functions("calls");
        assert!(functions.len() >= 17, "{:?}", functions.keys());
        functions.extend(self.functions("uklock"));
        functions
    }
}

/// Atomic read-modify-write: a lock prefix, or an exchange with memory, which implies it.
fn atomic(instruction: &str) -> bool {
    let mut words = instruction.split_whitespace();
    let name = words.next().unwrap_or_default();
    name == "lock" || (name.starts_with("xchg") && instruction.contains('('))
}

const THREADS: &str = "--cfg=feature=\"threads\"";
const SMP: &str = "--cfg=feature=\"smp\"";

#[test]
fn alone_raw_primitives_are_nothing() {
    let functions = Build::new("alone").all(&[], &[]);
    let names = [
        "raw_mutex_lock_unlock",
        "raw_mutex_try_lock_unlock",
        "raw_recursive_lock_unlock",
        "raw_rwlock_read_unlock",
        "raw_rwlock_write_unlock",
        "raw_condvar_notify",
        "raw_spin_lock_unlock",
        "raw_rcu_read_synchronize",
        "wait_queue_wake",
    ];
    for name in names {
        let body = &functions[name];
        // All but the first return a number, so that they are not one function.
        let numbered = name != names[0] && body[0].starts_with("mov    $");
        assert_eq!(body[usize::from(numbered)], "ret", "{name}: {body:#?}");
    }
    for (name, body) in &functions {
        assert!(!body.iter().any(|i| atomic(i)), "{name}: {body:#?}");
    }
}

#[test]
fn threads_on_one_cpu_need_no_atomic_read_modify_write() {
    for (dir, scheduler) in [("coop", &[][..]), ("preempt", &["--cfg=preemptive"])] {
        let functions = Build::new(dir).all(&[THREADS], scheduler);
        assert!(functions.keys().any(|name| name.contains("unlock_slow")), "{functions:?}");
        for (name, body) in &functions {
            assert!(!body.iter().any(|i| atomic(i)), "{name}: {body:#?}");
        }
        if scheduler.is_empty() {
            let calls = &functions["raw_mutex_lock_unlock"];
            let end = calls.iter().position(|i| i == "ret").unwrap();
            assert!(end < 24, "the fast path is long: {calls:#?}");
        }
    }
}

#[test]
fn several_cpus_lock_with_one_instruction() {
    let functions = Build::new("smp").all(&[THREADS, SMP], &[]);
    let count = |name: &str| functions[name].iter().filter(|i| atomic(i)).count();
    // One to take it, one to release it: the check sees what it looks for.
    assert_eq!(count("raw_mutex_lock_unlock"), 2, "{:#?}", functions["raw_mutex_lock_unlock"]);
    assert_eq!(count("raw_spin_lock_unlock"), 1, "{:#?}", functions["raw_spin_lock_unlock"]);
}
