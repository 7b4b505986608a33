//! Runs the tool as a user does and keeps what it says.
#![forbid(unsafe_code)]

pub mod book;
pub mod markdown;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::time::Duration;

/// Platforms and machine models that images are booted on everywhere; see [`machines`].
pub const MACHINES: [Machine; 3] = [
    Machine { name: "linuxu", args: &["--plat", "linuxu"] },
    Machine { name: "kvm on q35", args: &["--plat", "kvm"] },
    Machine { name: "kvm on microvm", args: &["--plat", "kvm", "--vmm-machine", "microvm"] },
];

/// Virtual machines of our own monitor, which need /dev/kvm.
pub const HVT: Machine = Machine { name: "hvt", args: &["--plat", "hvt"] };

/// [`HVT`] where it works. Where not, says so past the test harness, which hides what passing tests
/// print.
pub fn hvt() -> Option<Machine> {
    static TOLD: Once = Once::new();
    if oxk::tender::kvm_opens() {
        return Some(HVT);
    }
    TOLD.call_once(|| {
        let text = "\nNOT RUN on hvt: /dev/kvm does not open here. Everything else is run.\n";
        let _ = std::io::stderr().write_all(text.as_bytes());
    });
    None
}

/// All machines that there are here.
pub fn machines() -> impl Iterator<Item = Machine> {
    MACHINES.into_iter().chain(hvt())
}

/// A machine for each platform that there is here.
pub fn one_per_platform() -> impl Iterator<Item = Machine> {
    MACHINES.into_iter().take(2).chain(hvt())
}

/// Something that runs images.
#[derive(Debug, Clone, Copy)]
pub struct Machine {
    /// For messages.
    pub name: &'static str,
    /// Arguments of `oxk run`.
    pub args: &'static [&'static str],
}

/// What one call of the tool did.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Outcome {
    /// Output and error stream together, without carriage returns.
    pub fn all(&self) -> String {
        format!("{}{}", self.out, self.err).replace('\r', "")
    }

    /// Fails the test unless all of `texts` were written and the exit code is `code`.
    #[track_caller]
    pub fn expect(&self, code: i32, texts: &[&str]) -> &Self {
        let all = self.all();
        for text in texts {
            assert!(all.contains(text), "missing {text:?} in exit {}:\n{all}", self.code);
        }
        assert_eq!(self.code, code, "wrong exit code:\n{all}");
        self
    }
}

/// The top folder of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("/")).to_owned()
}

/// Calls the tool, given as path, in the top folder of the repository.
pub fn call(tool: &str, args: &[&str]) -> Outcome {
    call_in(tool, &root(), args)
}

/// Calls the tool in a folder.
pub fn call_in(tool: &str, dir: &Path, args: &[&str]) -> Outcome {
    outcome(Command::new(tool).args(args).current_dir(dir))
}

/// Runs a command to its end, without input.
pub fn outcome(command: &mut Command) -> Outcome {
    let output = command.stdin(Stdio::null()).output().expect("the command can be started");
    Outcome {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Builds an image and starts it, without the tool in between.
pub fn start(tool: &str, app: &str, machine: Machine, args: &[&str]) -> Child {
    let mut all = vec!["run", app, "--dry-run"];
    all.extend(machine.args);
    all.extend(args);
    let line = call(tool, &all).expect(0, &[]).out.trim().to_owned();
    Command::new("sh")
        .args(["-c", &format!("exec {line}")])
        .current_dir(root())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("a shell can be started")
}

/// Clock ticks of CPU time (a hundredth of a second each) that an image uses in `time`, with
/// arguments that make it idle for two seconds longer: booting takes time of its own. The image is
/// run without the tool in between.
pub fn idle_ticks(tool: &str, app: &str, machine: Machine, args: &[&str], time: Duration) -> u64 {
    let mut child = start(tool, app, machine, args);
    std::thread::sleep(Duration::from_millis(1500));
    let before = cpu_ticks(child.id());
    std::thread::sleep(time);
    let used = cpu_ticks(child.id()) - before;
    child.wait().expect("it ends");
    used
}

/// Builds and runs an application on a machine, with further arguments of `oxk run`.
pub fn run(tool: &str, app: &str, machine: Machine, args: &[&str]) -> Outcome {
    let mut all = vec!["run", app, "--timeout", "120"];
    all.extend(machine.args);
    all.extend(args);
    call(tool, &all)
}

/// CPU time that a process and its threads have used: user and system time in clock ticks, fields
/// 14 and 15 of /proc/PID/stat (proc(5)).
pub fn cpu_ticks(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("it runs");
    // The name, in parentheses, may contain anything.
    let (_, fields) = stat.rsplit_once(')').expect("the name has a parenthesis");
    let field = |number: usize| {
        fields.split_whitespace().nth(number - 3).and_then(|field| field.parse::<u64>().ok())
    };
    field(14).expect("user time") + field(15).expect("system time")
}
