//! Debugging a guest of the tender: by the remote protocol itself, and with gdb where it is installed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use image_tests::{call, hvt, root};
use object::{Object, ObjectSymbol};
use rustix::process::{Pid, Signal, kill_process};

const OXK: &str = env!("CARGO_BIN_EXE_oxk-under-test");
/// Longer than any answer takes, also on a busy machine.
const LONG: Duration = Duration::from_secs(120);

/// A guest that waits for a debugger.
struct Debuggee {
    child: Child,
    port: u16,
}

impl Debuggee {
    /// Runs the self-test.
    fn start(args: &[&str]) -> Self {
        Self::start_app("apps/selftest", args)
    }

    fn start_app(app: &str, args: &[&str]) -> Self {
        let mut child = Command::new(OXK)
            .args(["run", app, "--plat", "hvt", "--gdb=0"])
            .args(args)
            .current_dir(root())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        let port = loop {
            line.clear();
            assert!(errors.read_line(&mut line).unwrap() > 0, "it does not wait for gdb");
            if let Some((_, port)) = line.split_once("target remote :") {
                break port.trim().parse().unwrap();
            }
        };
        // What it says from here on is not read, but must have somewhere to go.
        std::thread::spawn(move || std::io::copy(&mut errors, &mut std::io::sink()));
        Self { child, port }
    }

    fn code(mut self) -> i32 {
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Debuggee {
    fn drop(&mut self) {
        // Only if the test failed does it still run. The tool passes this on to the guest.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
            let _ = self.child.wait();
        }
    }
}

/// gdb's side of the protocol (gdb's manual, appendix "Remote Protocol").
struct Client(TcpStream);

impl Client {
    fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        let mut client = Self(stream);
        let said = client.ask("qSupported:swbreak+;hwbreak+;vContSupported+");
        assert!(said.contains("PacketSize="), "{said}");
        assert_eq!(client.ask("QStartNoAckMode"), "OK");
        assert!(client.ask("?").starts_with('S') || client.ask("?").starts_with('T'));
        client
    }

    fn send(&mut self, text: &str) {
        let sum = text.bytes().fold(0u8, u8::wrapping_add);
        self.0.write_all(format!("${text}#{sum:02x}").as_bytes()).unwrap();
    }

    fn byte(&mut self) -> u8 {
        let mut byte = [0];
        self.0.read_exact(&mut byte).unwrap();
        byte[0]
    }

    /// The next packet, with runs written out.
    fn receive(&mut self) -> String {
        while self.byte() != b'$' {}
        let mut out = Vec::new();
        loop {
            match self.byte() {
                b'#' => break,
                b'*' => {
                    let count = self.byte() - 29;
                    let last = *out.last().unwrap();
                    out.extend(std::iter::repeat_n(last, count.into()));
                }
                byte => out.push(byte),
            }
        }
        // The sum, which nothing on this machine damages.
        let _ = [self.byte(), self.byte()];
        String::from_utf8(out).unwrap()
    }

    /// Numbers of all threads, which are CPUs.
    fn threads(&mut self) -> Vec<u64> {
        let mut all = Vec::new();
        let mut said = self.ask("qfThreadInfo");
        while let Some(some) = said.strip_prefix('m') {
            all.extend(some.split(',').map(|id| u64::from_str_radix(id, 16).unwrap()));
            said = self.ask("qsThreadInfo");
        }
        assert_eq!(said, "l");
        all
    }

    fn ask(&mut self, text: &str) -> String {
        self.send(text);
        self.receive()
    }

    fn registers(&mut self) -> Vec<u8> {
        assert_eq!(self.ask("Hg1"), "OK");
        bytes(&self.ask("g"))
    }

    /// A register by its number in `g`: 7 is the stack pointer, 16 the instruction pointer.
    fn register(&mut self, number: usize) -> u64 {
        let all = self.registers();
        u64::from_le_bytes(all[8 * number..8 * number + 8].try_into().unwrap())
    }
}

/// Says so past the test harness, which hides what passing tests print.
fn not_run(what: &str) {
    let _ = std::io::stderr().write_all(format!("\nNOT RUN: {what}\n").as_bytes());
}

fn bytes(hex: &str) -> Vec<u8> {
    let pair = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(pair).collect()
}

fn dbg() -> PathBuf {
    root().join("build/selftest_hvt-x86_64.dbg")
}

/// Address of a function of the self-test, as in the debug information.
fn function(name: &str) -> u64 {
    let file = std::fs::read(dbg()).unwrap();
    let file = object::File::parse(&*file).unwrap();
    let end = format!("8selftest{}{name}", name.len());
    let found = file.symbols().find(|s| s.name().is_ok_and(|n| n.ends_with(&end)));
    found.unwrap_or_else(|| panic!("no function {name}")).address()
}

const RIP: usize = 16;
const RSP: usize = 7;

#[test]
fn breakpoints_steps_registers_and_memory() {
    if hvt().is_none() {
        return;
    }
    let guest = Debuggee::start(&["--", "panic"]);
    let outer = function("outer");
    let mut gdb = Client::connect(guest.port);
    assert_eq!(gdb.threads(), [1]);

    // A breakpoint in code that the guest itself cannot write to.
    let before = gdb.ask(&format!("m{outer:x},4"));
    assert_eq!(gdb.ask(&format!("Z0,{outer:x},1")), "OK");
    assert!(gdb.ask(&format!("m{outer:x},1")).starts_with("cc"));
    let stop = gdb.ask("vCont;c");
    assert!(stop.starts_with("T05") && stop.contains("swbreak"), "{stop}");
    assert_eq!(gdb.register(RIP), outer);
    assert_eq!(gdb.ask(&format!("z0,{outer:x},1")), "OK");
    assert_eq!(gdb.ask(&format!("m{outer:x},4")), before);

    // Steps move by one instruction, of at most 15 bytes unless it jumps.
    for _ in 0..3 {
        let from = gdb.register(RIP);
        let stop = gdb.ask("vCont;s:1");
        assert!(stop.starts_with("T05"), "{stop}");
        let to = gdb.register(RIP);
        assert!(to != from && to.abs_diff(from) < 1 << 20, "{from:#x} to {to:#x}");
    }

    // Registers and memory can be changed, the trap flag of the step not be seen.
    let stack = gdb.register(RSP);
    assert_eq!(gdb.ask(&format!("M{:x},4:0badf00d", stack - 64)), "OK");
    assert_eq!(gdb.ask(&format!("m{:x},4", stack - 64)), "0badf00d");
    let mut registers = gdb.registers();
    assert_eq!(registers[8 * 17 + 1] & 1, 0, "trap flag");
    registers[8 * 14..8 * 15].copy_from_slice(&0x1122_3344_5566_7788u64.to_le_bytes());
    let hex: String = registers.iter().map(|byte| format!("{byte:02x}")).collect();
    let r14 = gdb.register(14);
    assert_eq!(gdb.ask(&format!("G{hex}")), "OK");
    assert_eq!(gdb.register(14), 0x1122_3344_5566_7788);
    registers[8 * 14..8 * 15].copy_from_slice(&r14.to_le_bytes());
    let hex: String = registers.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(gdb.ask(&format!("G{hex}")), "OK");

    // What is not mapped cannot be read.
    assert!(gdb.ask("m0,8").starts_with('E'));
    assert!(gdb.ask("mffff800000000000,8").starts_with('E'));

    // It panics, and its exit code comes through on both ways.
    assert_eq!(gdb.ask("vCont;c"), "W65");
    assert_eq!(guest.code(), 101);
}

/// Whether this machine is itself virtual: its KVM may be one that does without debug registers.
fn is_virtual() -> bool {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    text.split_whitespace().any(|word| word == "hypervisor")
}

#[test]
fn breakpoints_and_watchpoints_of_the_processor() {
    if hvt().is_none() {
        return;
    }
    let guest = Debuggee::start(&["--", "panic"]);
    let (outer, inner) = (function("outer"), function("inner"));
    let mut gdb = Client::connect(guest.port);
    assert_eq!(gdb.ask(&format!("Z0,{outer:x},1")), "OK");
    let stop = gdb.ask("vCont;c");
    assert!(stop.contains("swbreak"), "{stop}");
    assert_eq!(gdb.ask(&format!("z0,{outer:x},1")), "OK");

    // The function begins with `push rbp`.
    let place = gdb.register(RSP) - 8;
    assert_eq!(gdb.ask(&format!("Z2,{place:x},8")), "OK");
    let stop = gdb.ask("vCont;c");
    if stop == "W65" && is_virtual() {
        not_run("breakpoints of the processor: this KVM does not heed debug registers");
        return;
    }
    assert!(stop.starts_with("T05") && stop.contains("watch:"), "{stop}");
    assert_eq!(gdb.register(RSP), place);
    assert_eq!(gdb.ask(&format!("z2,{place:x},8")), "OK");

    // They change no memory.
    assert_eq!(gdb.ask(&format!("Z1,{inner:x},1")), "OK");
    let code = gdb.ask(&format!("m{inner:x},1"));
    let stop = gdb.ask("vCont;c");
    assert!(stop.starts_with("T05") && stop.contains("hwbreak"), "{stop}");
    assert_eq!(gdb.register(RIP), inner);
    assert_eq!(gdb.ask(&format!("m{inner:x},1")), code);
    assert_eq!(gdb.ask(&format!("z1,{inner:x},1")), "OK");
    assert_eq!(gdb.ask("vCont;c"), "W65");
    assert_eq!(guest.code(), 101);
}

#[test]
fn faults_and_interruptions() {
    if hvt().is_none() {
        return;
    }
    // A fault stops before the guest reports it.
    let guest = Debuggee::start(&["--", "crash", "null-read"]);
    let mut gdb = Client::connect(guest.port);
    let stop = gdb.ask("vCont;c");
    assert!(stop.starts_with("T0b"), "{stop}");
    assert_eq!(gdb.ask("vCont;c"), "W66");
    assert_eq!(guest.code(), 102);

    // Ctrl-C stops a guest that waits, and it goes on when the debugger goes.
    let guest = Debuggee::start(&["--", "sleep", "2000"]);
    let mut gdb = Client::connect(guest.port);
    gdb.send("vCont;c");
    std::thread::sleep(Duration::from_millis(200));
    gdb.0.write_all(&[3]).unwrap();
    let stop = gdb.receive();
    assert!(stop.starts_with("S02") || stop.starts_with("T02"), "{stop}");
    assert_eq!(gdb.ask("D"), "OK");
    drop(gdb);
    assert_eq!(guest.code(), 0);
}

#[test]
fn a_guest_with_several_cpus_and_one_that_is_killed() {
    if hvt().is_none() {
        return;
    }
    // Another application: its image must not replace the one that other tests look names up in.
    let guest = Debuggee::start_app("apps/cpus", &["--cpus", "2", "--", "idle", "600000"]);
    let mut gdb = Client::connect(guest.port);
    gdb.send("vCont;c");
    gdb.0.write_all(&[3]).unwrap();
    assert!(gdb.receive().contains("02"));
    assert_eq!(gdb.threads(), [1, 2]);
    gdb.send("k");
    assert_eq!(guest.code(), 137);
}

#[test]
fn gdb_knows_the_names() {
    let found = Command::new("gdb").arg("--version").output().is_ok_and(|o| o.status.success());
    if hvt().is_none() || !found {
        not_run("gdb itself, which is not installed here");
        return;
    }
    let guest = Debuggee::start(&["--", "panic"]);
    let target = format!("target remote :{}", guest.port);
    let output = Command::new("gdb")
        .args(["--nx", "--batch", "-ex", "set confirm off", "-ex", &target])
        .args(["-ex", "break selftest::inner", "-ex", "continue", "-ex", "backtrace"])
        .args(["-ex", "info registers rip", "-ex", "stepi", "-ex", "delete", "-ex", "continue"])
        .arg(dbg())
        .current_dir(root())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = said + &String::from_utf8_lossy(&output.stderr);
    for text in ["Breakpoint 1, ", "selftest::inner", "selftest::outer", "exited with code 0145"] {
        assert!(said.contains(text), "{text}:\n{said}");
    }
    assert_eq!(guest.code(), 101);
}

#[test]
fn a_process_is_debugged_as_processes_are() {
    // Without gdbserver in the path the way out is printed.
    let output = Command::new(OXK)
        .args(["run", "apps/hello", "--plat", "linuxu", "--gdb", "--dry-run"])
        .current_dir(root())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let with_server = out.contains("gdbserver --once 127.0.0.1:1234 ");
    assert!(with_server || said.contains("help: start it in gdb instead: gdb -s "), "{out}{said}");
    call(OXK, &["run", "apps/hello", "--plat", "kvm", "--gdb=4321", "--dry-run"])
        .expect(0, &["-gdb tcp:127.0.0.1:4321 -S"]);
}
