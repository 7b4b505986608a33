//! Guests in the background, and ending guests in the foreground.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use image_tests::{MACHINES, Machine, Outcome, hvt, machines, root};
use rustix::process::{Pid, Signal, kill_process};

const OXK: &str = env!("CARGO_BIN_EXE_oxk-under-test");
/// Far longer than anything here takes, also on a busy machine.
const LONG: Duration = Duration::from_secs(120);

/// Where guests run that know when they are asked to stop.
fn asked() -> impl Iterator<Item = Machine> {
    [MACHINES[0]].into_iter().chain(hvt())
}

fn tool(state: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(OXK);
    command.args(args).current_dir(root()).env("OXIKRAFT_STATE", state);
    command
}

fn call(state: &Path, args: &[&str]) -> Outcome {
    let output = tool(state, args).stdin(Stdio::null()).output().unwrap();
    Outcome {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < LONG, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Stops what a failing test leaves.
struct State(tempfile::TempDir);

impl State {
    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for State {
    fn drop(&mut self) {
        call(self.path(), &["stop", "--all", "--grace", "0.1"]);
    }
}

fn state() -> State {
    State(tempfile::Builder::new().permissions(permissions()).tempdir().unwrap())
}

fn permissions() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o700)
}

#[test]
fn guests_in_the_background_are_listed_read_and_stopped() {
    for machine in machines() {
        let state = state();
        let path = state.path();
        let mut start = vec!["run", "apps/echo", "--detach"];
        start.extend(machine.args);
        call(path, &start).expect(0, &["echo\n"]);
        call(path, &start).expect(0, &["echo-2\n"]);
        start.extend(["--name", "third"]);
        call(path, &start).expect(0, &["third\n"]);
        call(path, &start).expect(125, &["a guest `third` is running already", "oxk stop third"]);

        let listed = call(path, &["ps", "--json"]);
        let list: serde_json::Value = serde_json::from_str(&listed.out).unwrap();
        let names: Vec<&str> =
            list.as_array().unwrap().iter().map(|g| g["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["echo", "echo-2", "third"], "{}", machine.name);
        assert!(list[0]["resident_bytes"].as_u64().unwrap() > 0, "{list}");
        call(path, &["ps"]).expect(0, &["echo-2  ", list[0]["platform"].as_str().unwrap()]);
        wait_for("it says that it is ready", || {
            call(path, &["logs", "echo"]).all().contains("ready on ")
        });

        // What is followed ends with the guest.
        let follower = tool(path, &["logs", "-f", "echo"]).stdout(Stdio::piped()).spawn().unwrap();
        // The code is that of a shutdown in order.
        let stopped = call(path, &["stop", "echo", "third"]);
        stopped.expect(0, &["echo stopped, exit code 143\n", "third stopped, exit code 143\n"]);
        let followed = follower.wait_with_output().unwrap();
        assert!(String::from_utf8_lossy(&followed.stdout).contains("ready on "));
        let left = call(path, &["ps"]);
        left.expect(0, &["echo-2 "]);
        assert!(!left.out.contains("third"), "{}", left.out);
        call(path, &["logs", "third"]).expect(1, &["there is no guest `third`"]);
        call(path, &["stop", "--all"]).expect(0, &["echo-2 stopped, exit code 143\n"]);
        call(path, &["ps"]).expect(0, &["no guest is running\n"]);
    }
}

#[test]
fn a_guest_that_has_ended_can_still_be_read() {
    let state = state();
    let path = state.path();
    let start = ["run", "apps/selftest", "--plat", "linuxu", "-d", "--", "sleep", "3000"];
    call(path, &start).expect(0, &["selftest\n"]);
    wait_for("it ends", || call(path, &["ps"]).out == "no guest is running\n");
    call(path, &["ps", "--all"]).expect(0, &["selftest", "ended, 0"]);
    let listed = call(path, &["ps", "--all", "--json"]);
    let list: serde_json::Value = serde_json::from_str(&listed.out).unwrap();
    assert_eq!((&list[0]["exit_code"], &list[0]["running"]), (&0.into(), &false.into()), "{list}");
    let said = call(path, &["logs", "-f", "selftest"]);
    said.expect(0, &["oxk: selftest ended with exit code 0\n"]);
    call(path, &["stop", "selftest"]).expect(0, &["selftest had ended, exit code 0\n"]);
    assert!(!call(path, &["ps", "--all"]).out.contains("selftest"));
    // One that ends at once says why; in time or not, its crash report has names.
    let crash = ["run", "apps/selftest", "--plat", "linuxu", "-d", "--", "crash", "null-read"];
    let said = call(path, &crash);
    if said.code != 0 {
        said.expect(102, &["fault: ", "(debug/ukcrash/src/", "ended at once"]);
        return;
    }
    wait_for("it ends", || call(path, &["ps"]).out == "no guest is running\n");
    call(path, &["logs", "selftest"]).expect(0, &["fault: ", "(debug/ukcrash/src/"]);
}

/// A guest in the foreground of this test.
struct Foreground {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Foreground {
    fn start(state: &State, machine: Machine) -> Self {
        let mut args = vec!["run", "apps/echo"];
        args.extend(machine.args);
        let mut child = tool(state.path(), &args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut this = Self { child, output };
        assert!(this.line().starts_with("ready on "), "{}", machine.name);
        assert_eq!(this.ask("are you there?"), "are you there?");
        this
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn ask(&mut self, text: &str) -> String {
        writeln!(self.child.stdin.as_mut().unwrap(), "{text}").unwrap();
        self.line()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Exit code, and how long it took.
    fn end(mut self) -> (i32, Duration) {
        let start = Instant::now();
        wait_for("it ends", || self.child.try_wait().unwrap().is_some());
        (self.child.wait().unwrap().code().unwrap_or(-1), start.elapsed())
    }
}

#[test]
fn ctrl_c_and_sigterm_end_a_guest_in_the_foreground() {
    for machine in [MACHINES[0], MACHINES[1]].into_iter().chain(hvt()) {
        for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
            let guest = Foreground::start(&state(), machine);
            guest.signal(signal);
            assert_eq!(guest.end().0, code, "{}", machine.name);
        }
    }
}

#[test]
fn a_guest_that_waits_shuts_down_and_a_busy_one_is_ended() {
    for machine in asked() {
        // Without the tool in between, its own exit code is seen: that of a shutdown in order.
        let mut args = vec!["run", "apps/echo", "--dry-run"];
        args.extend(machine.args);
        let state = state();
        let line = call(state.path(), &args).expect(0, &[]).out.trim().to_owned();
        let mut child = Command::new("sh")
            .args(["-c", &format!("exec {line}")])
            .current_dir(root())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut input = child.stdin.take().unwrap();
        let mut said = String::new();
        output.read_line(&mut said).unwrap();
        writeln!(input, "hello").unwrap();
        output.read_line(&mut said).unwrap();
        assert!(said.ends_with("hello\n"), "{said}");
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        wait_for("it shuts down", || child.try_wait().unwrap().is_some());
        assert_eq!(child.wait().unwrap().code(), Some(143), "{}", machine.name);

        let mut guest = Foreground::start(&state, machine);
        assert_eq!(guest.ask("stay busy"), "stay busy");
        guest.signal(Signal::TERM);
        let (code, time) = guest.end();
        assert_eq!(code, 143, "{}", machine.name);
        assert!(time > Duration::from_secs(4), "it had time to shut down: {time:?}");
    }
}

/// The lines `NAME VALUE` of a file in /proc.
fn values<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| line.strip_prefix(name)).map(str::trim)
}

/// KiB of a kind that a process has of a file.
fn kib_of(process: u64, file: &str, kind: &str) -> u64 {
    let maps = std::fs::read_to_string(format!("/proc/{process}/smaps")).unwrap();
    let mut inside = false;
    let mut sum = 0;
    for line in maps.lines() {
        let first = line.split_whitespace().next().unwrap_or_default();
        if !first.ends_with(':') {
            inside = line.ends_with(file);
        } else if inside && first == kind {
            sum += line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap();
        }
    }
    sum
}

#[test]
fn guests_in_the_background_share_their_image_and_have_no_rights() {
    let Some(machine) = hvt() else { return };
    let state = state();
    let path = state.path();
    let mut start = vec!["run", "apps/echo", "--detach"];
    start.extend(machine.args);
    for name in ["echo", "echo-2"] {
        call(path, &start).expect(0, &[&format!("{name}\n")]);
        wait_for("it says that it is ready", || {
            call(path, &["logs", name]).all().contains("ready on ")
        });
    }
    let listed = call(path, &["ps", "--json"]);
    let list: serde_json::Value = serde_json::from_str(&listed.out).unwrap();
    let root = rustix::process::geteuid().is_root();
    for guest in list.as_array().unwrap() {
        let process = guest["pid"].as_u64().unwrap();
        let mut threads = 0;
        for task in std::fs::read_dir(format!("/proc/{process}/task")).unwrap() {
            let text = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
            let value = |name| values(&text, name).next().unwrap_or_default();
            for name in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
                assert_eq!(value(name), "0000000000000000", "{name}: {text}");
            }
            assert_eq!((value("NoNewPrivs:"), value("Seccomp:")), ("1", "2"), "{text}");
            if root {
                let nobody = "65534\t65534\t65534\t65534";
                let ids = (value("Uid:"), value("Gid:"), value("Groups:"));
                assert_eq!(ids, (nobody, nobody, ""), "{text}");
            }
            threads += 1;
        }
        assert!(threads > 0, "{listed:?}");
        // The process has given up being looked into, by all but root.
        if root {
            let image = guest["image"].as_str().unwrap();
            // Pages of an image that has just been built are not on the disk yet: dirty, and shared.
            let kib = |kind| kib_of(process, image, kind);
            let shared = kib("Shared_Clean:") + kib("Shared_Dirty:");
            let copied = kib("Private_Dirty:");
            assert!(shared > copied, "{shared} KiB shared, {copied} KiB copied of {image}");
        }
    }
}

#[test]
fn addresses_differ_at_every_start_unless_they_are_fixed() {
    let Some(machine) = hvt() else { return };
    let state = state();
    let places = |options: &[&str]| {
        let mut args = vec!["run", "apps/selftest"];
        args.extend(machine.args);
        args.extend(options);
        args.extend(["--", "touch"]);
        let said = call(state.path(), &args).expect(0, &["touched "]).all();
        said.lines().find(|line| line.starts_with("touched ")).unwrap().to_owned()
    };
    assert_ne!(places(&[]), places(&[]));
    assert_eq!(places(&["--fixed-addresses"]), places(&["--fixed-addresses"]));
}

#[test]
fn the_monitor_is_small() {
    if hvt().is_none() {
        return;
    }
    let line = call(state().path(), &["run", "apps/hello", "--plat", "hvt", "--dry-run"]);
    let program = line.expect(0, &[]).out.split_whitespace().next().unwrap().to_owned();
    let len = root().join(program).metadata().unwrap().len();
    assert!(len <= 3 << 20, "{len} bytes");
}
