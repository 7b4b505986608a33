//! Network cards of every machine: frames that the test exchanges with the image over a socket, and a
//! tap device in a network of the test's own.

use std::io::{Read as _, Write as _};
use std::net::UdpSocket;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use image_tests::{MACHINES, Machine, Outcome, call, cpu_ticks, hvt, machines, root, run, start};

const OXK: &str = env!("CARGO_BIN_EXE_oxk-under-test");

const OWN: [u8; 6] = [2, 0, 0, 0, 0, 1];
const GUEST: [u8; 6] = [2, 0, 0, 0, 0, 2];
const MAC: &str = "mac=02:00:00:00:00:02";
const BROADCAST: [u8; 6] = [0xff; 6];
const LOCAL: [u8; 2] = [0x88, 0xb5];
/// Longer than any machine takes to start, on a loaded host.
const PATIENCE: Duration = Duration::from_secs(100);

/// The other end of an image's network card: frames behind their lengths.
struct Wire(UnixStream);

impl Wire {
    fn send(&mut self, frame: &[u8]) {
        let mut bytes = (frame.len() as u32).to_be_bytes().to_vec();
        bytes.extend_from_slice(frame);
        self.0.write_all(&bytes).expect("the image takes it");
    }

    fn receive(&mut self) -> Vec<u8> {
        let mut len = [0; 4];
        self.0.read_exact(&mut len).expect("the image sends a frame");
        let mut frame = vec![0; u32::from_be_bytes(len) as usize];
        self.0.read_exact(&mut frame).expect("all of it");
        frame
    }
}

/// A stream socket that an image connects its network card to.
struct Plug {
    dir: tempfile::TempDir,
    listener: UnixListener,
}

impl Plug {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("net")).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self { dir, listener }
    }

    /// The value of `--net`.
    fn option(&self) -> String {
        format!("socket={},{MAC}", self.dir.path().join("net").display())
    }

    /// The other end, unless the image ended before it connected.
    fn wire(&self, mut has_ended: impl FnMut() -> bool) -> Option<Wire> {
        let end = Instant::now() + PATIENCE;
        let stream = loop {
            match self.listener.accept() {
                Ok((stream, _)) => break stream,
                Err(_) if has_ended() || Instant::now() > end => return None,
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Some(Wire(stream))
    }
}

/// Runs an image with a network card whose other end the test has.
fn with_wire(machine: Machine, args: &[&str], talk: impl FnOnce(Wire)) -> Outcome {
    let plug = Plug::new();
    let net = plug.option();
    std::thread::scope(|scope| {
        let all = [&["--net", net.as_str()][..], args].concat();
        let image = scope.spawn(move || run(OXK, "apps/nettest", machine, &all));
        if let Some(wire) = plug.wire(|| image.is_finished()) {
            talk(wire);
        }
        image.join().unwrap()
    })
}

fn frame(to: [u8; 6], carries: [u8; 2], content: &[u8]) -> Vec<u8> {
    [&to[..], &OWN, &carries, content].concat()
}

/// The start of a request (1) or reply (2) of ARP, with the type of its frame.
fn arp(operation: u8, mac: [u8; 6], address: [u8; 4]) -> Vec<u8> {
    [&[8, 6, 0, 1, 8, 0, 6, 4, 0, operation][..], &mac, &address].concat()
}

/// Who has 10.0.0.2?
fn question() -> Vec<u8> {
    let start = arp(1, OWN, [10, 0, 0, 1]);
    let rest = [start[2..].to_vec(), vec![0, 0, 0, 0, 0, 0, 10, 0, 0, 2]].concat();
    frame(BROADCAST, [8, 6], &rest)
}

/// Bytes that look random and depend on a number.
fn noise(number: usize, len: usize) -> Vec<u8> {
    let mut state = number as u32 ^ 0x9e37_79b9;
    let step = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(step).take(len).collect()
}

/// Frames of all lengths come back as they were; those that are none do no harm.
fn exchange(mut wire: Wire) {
    // It says that it is there: from here on nothing is lost.
    let announced = wire.receive();
    assert_eq!(announced[..12], [&BROADCAST[..], &GUEST].concat());
    assert_eq!(announced[12..32], *arp(1, GUEST, [10, 0, 0, 2]));
    wire.send(&question());
    let answer = wire.receive();
    assert_eq!(answer[..12], [&OWN[..], &GUEST].concat());
    assert_eq!(answer[12..32], *arp(2, GUEST, [10, 0, 0, 2]));
    assert_eq!(answer[32..42], [&OWN[..], &[10, 0, 0, 1]].concat());
    // Too short for a frame, and too long for a buffer: dropped, the second perhaps by the machine.
    wire.send(&[1; 10]);
    wire.send(&frame(GUEST, LOCAL, &[1; 2100]));
    let mut waiting = std::collections::VecDeque::new();
    for number in 0..600 {
        let len = 46 + number * 37 % 1455;
        let content = noise(number, len);
        wire.send(&frame(GUEST, LOCAL, &content));
        waiting.push_back(content);
        // Several under way, and sometimes none: it sleeps in between.
        let most = if number % 50 == 49 { 0 } else { 24 };
        while waiting.len() > most {
            let came = wire.receive();
            let content = waiting.pop_front().unwrap_or_default();
            assert_eq!(came[..14], [&OWN[..], &GUEST, &LOCAL].concat());
            assert_eq!(came[14..], content[..]);
        }
    }
    wire.send(&frame(GUEST, LOCAL, b"stop"));
}

#[test]
fn frames_come_and_go_on_every_machine() {
    for machine in machines() {
        let said = with_wire(machine, &["--", "serve", "10.0.0.2"], exchange);
        said.expect(0, &["net0: 02:00:00:00:00:02 answers at 10.0.0.2", "received 6", "starved 0"]);
    }
}

#[test]
fn a_card_without_traffic_uses_no_cpu_time() {
    for machine in machines() {
        let plug = Plug::new();
        let args = ["--net", &plug.option(), "--", "serve", "10.0.0.2"];
        let mut image = start(OXK, "apps/nettest", machine, &args);
        let ended = |image: &mut Child| image.try_wait().unwrap().is_some();
        let mut wire = plug.wire(|| ended(&mut image)).expect("the image connects");
        wire.receive();
        wire.send(&question());
        wire.receive();
        let before = cpu_ticks(image.id());
        std::thread::sleep(Duration::from_millis(1500));
        let ticks = cpu_ticks(image.id()) - before;
        // As frames still come, the image only had nothing to do.
        wire.send(&question());
        wire.receive();
        wire.send(&frame(GUEST, LOCAL, b"stop"));
        let end = Instant::now() + PATIENCE;
        while !ended(&mut image) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = image.kill();
        image.wait().unwrap();
        // Two percent of a CPU of the host, and the end of the boot.
        assert!(ticks <= 5, "{}: an idle network card took {ticks} clock ticks", machine.name);
    }
}

#[test]
fn network_cards_of_images_with_threads_and_cpus() {
    for (name, more) in
        [("preempt", &["--provider", "sched=ukschedpreempt"][..]), ("cpus", &["--cpus", "2"])]
    {
        let build = format!("build/nettest-{name}");
        let args = [&["--build-dir", &build], more, &["--", "serve", "10.0.0.2"]].concat();
        for machine in [Some(MACHINES[1]), hvt()].into_iter().flatten() {
            with_wire(machine, &args, exchange).expect(0, &["starved 0"]);
        }
    }
}

#[test]
fn interfaces_are_listed() {
    for machine in machines() {
        let plug = Plug::new();
        let args = ["--net", &plug.option(), "--", "list"];
        let said = run(OXK, "apps/nettest", machine, &args);
        said.expect(0, &["net0: 02:00:00:00:00:02, 1500 bytes, up", "1 interfaces"]);
        run(OXK, "apps/nettest", machine, &["--", "list"]).expect(0, &["0 interfaces"]);
    }
}

/// A script in a network of its own, with a tap device; `None` where that cannot be had.
fn in_own_network(script: &str) -> Option<Outcome> {
    let tap = "ip tuntap add oxk0 mode tap && ip addr add 10.9.0.1/24 dev oxk0 && \
               ip link set oxk0 up";
    let sh = |script: &str| {
        let output = Command::new("unshare")
            .args(["--user", "--map-root-user", "--net", "sh", "-c", script])
            .current_dir(root())
            .stdin(Stdio::null())
            .output();
        output.ok().map(|output| Outcome {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    };
    if sh(tap).is_none_or(|outcome| outcome.code != 0) {
        let text = "\nNOT RUN: tests with tap devices, for which a network namespace is needed.\n";
        let _ = std::io::stderr().write_all(text.as_bytes());
        return None;
    }
    sh(&format!("{tap} && {script}"))
}

#[test]
fn the_host_answers_pings_over_a_tap_device() {
    for machine in machines() {
        call(OXK, &[&["build", "apps/nettest"], &machine.args[..2]].concat()).expect(0, &[]);
        let script = format!(
            "'{OXK}' run apps/nettest --timeout 120 {} --net tap=oxk0,{MAC} \
             -- ping 10.9.0.2 10.9.0.1 30",
            machine.args.join(" ")
        );
        let Some(said) = in_own_network(&script) else { return };
        said.expect(0, &["the peer is ", "30 echoes"]);
    }
}

/// Whether a program is installed; when not, says that a test is not run.
fn is_there(program: &str) -> bool {
    let is_there = oxk::install::in_path(program).is_some();
    if !is_there {
        let text = format!("\nNOT RUN: tests with {program}, which is not installed here.\n");
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
    is_there
}

#[test]
fn a_port_of_the_host_leads_to_the_image() {
    let by_passt = |machine: Option<Machine>| machine.filter(|_| is_there("passt"));
    let others = [by_passt(Some(MACHINES[0])), by_passt(hvt())];
    for machine in [MACHINES[1], MACHINES[2]].into_iter().chain(others.into_iter().flatten()) {
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let net = format!("user,udp={port}:7,{MAC}");
        std::thread::scope(|scope| {
            let args = ["--net", net.as_str(), "--", "serve", "10.0.2.15"];
            let image = scope.spawn(move || run(OXK, "apps/nettest", machine, &args));
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
            let end = Instant::now() + PATIENCE;
            let mut bytes = [0; 64];
            let came = loop {
                // Until somebody listens, the port is closed.
                let _ = socket.send_to(b"hello", ("127.0.0.1", port));
                match socket.recv(&mut bytes) {
                    Ok(len) => break bytes[..len].to_vec(),
                    Err(_) if image.is_finished() || Instant::now() > end => break Vec::new(),
                    Err(_) => {}
                }
            };
            while !image.is_finished() {
                let _ = socket.send_to(b"stop", ("127.0.0.1", port));
                std::thread::sleep(Duration::from_millis(50));
            }
            image.join().unwrap().expect(0, &["sent "]);
            assert_eq!(came, b"hello", "{}", machine.name);
        });
    }
}

#[test]
fn what_cannot_be_a_network_is_refused_before_anything_starts() {
    let missing = Path::new("/nowhere/net");
    let net = format!("socket={}", missing.display());
    call(OXK, &["run", "apps/nettest", "--net", &net])
        .expect(125, &["error: cannot use the socket /nowhere/net", "help: start first"]);
    call(OXK, &["run", "apps/nettest", "--net", "wifi"])
        .expect(2, &["is none of user[,tcp=8080:80], tap=NAME, socket=PATH"]);
    let many = ["--net", "user"].repeat(5);
    call(OXK, &[&["run", "apps/nettest", "--plat", "linuxu"], &many[..]].concat())
        .expect(125, &["error: 5 network cards are more than", "help: run it with --plat hvt"]);
}
