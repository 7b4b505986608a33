//! The debugger's thread: it talks with gdb, stops CPUs and lets them go on.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;

use gdbstub::common::Signal;
use gdbstub::stub::state_machine::GdbStubStateMachine;
use gdbstub::stub::{DisconnectReason, GdbStub, MultiThreadStopReason};
use gdbstub::target::ext::breakpoints::WatchKind as GdbWatchKind;

use super::target::{GuestTarget, thread};
use super::{Connection, CpuState, Debugger, WatchKind, Why};
use crate::confine::{Confinement, Role};
use crate::console;
use crate::error::Error;
use crate::guest::Guest;

/// Exit code of a guest that the debugger killed: that of a process that was.
const KILLED: u8 = 128 + 9;

/// gdb's end, as the protocol's crate writes to it. What it sends in pieces goes out as a whole.
struct Output {
    stream: &'static TcpStream,
    buffer: Vec<u8>,
}

impl gdbstub::conn::Connection for Output {
    type Error = io::Error;

    fn write(&mut self, byte: u8) -> io::Result<()> {
        self.buffer.push(byte);
        Ok(())
    }
    fn flush(&mut self) -> io::Result<()> {
        let result = self.stream.write_all(&self.buffer);
        self.buffer.clear();
        result
    }
}

type Machine = GdbStubStateMachine<'static, GuestTarget, Output>;

/// Starts the thread.
///
/// # Errors
/// [`Error::System`].
pub fn spawn(
    guest: &'static Guest,
    debugger: &'static Debugger,
    connection: Connection,
    confinement: Confinement,
) -> Result<(), Error> {
    let run = move || {
        confinement.enter_or_end(Role::Debugger, &connection.calls());
        debugger.wait_for_start();
        let mut target = GuestTarget::new(guest, debugger);
        let reason = serve(&mut target, connection);
        if let Some(code) = debugger.state().ended {
            guest.end_now(code);
        }
        match reason {
            Ok(DisconnectReason::Kill) => guest.end_now(KILLED),
            Ok(_) => console::say("tender: gdb is gone, the guest goes on\n"),
            Err(why) => {
                console::say(&format!("tender: gdb is gone ({why}), the guest goes on\n"));
            }
        }
        debugger.stop_all();
        target.remove_breakpoints();
        debugger.detach();
        // It may have wanted to end meanwhile.
        if let Some(code) = debugger.state().ended {
            guest.end_now(code);
        }
        // The end of a thread takes system calls that nothing else needs.
        loop {
            std::thread::park();
        }
    };
    let builder = std::thread::Builder::new().name("gdb".into());
    let started = builder.spawn(run).map(|_| ());
    started.map_err(|e| Error::System("start a thread for gdb", e))
}

/// Serves gdb until it goes, or the guest ends.
fn serve(target: &mut GuestTarget, connection: Connection) -> Result<DisconnectReason, String> {
    let failed = |error: &dyn std::fmt::Display| error.to_string();
    let Connection { stream, bell, .. } = connection;
    let stub = GdbStub::new(Output { stream, buffer: Vec::new() });
    let mut machine = stub.run_state_machine(target).map_err(|e| failed(&e))?;
    loop {
        machine = match machine {
            Machine::Idle(idle) => {
                let byte = read(stream)?;
                idle.incoming_data(target, byte).map_err(|e| failed(&e))?
            }
            Machine::Running(running) => match wait(target.debugger, stream, bell)? {
                Event::Input(byte) => {
                    running.incoming_data(target, byte).map_err(|e| failed(&e))?
                }
                Event::Stop => {
                    target.debugger.stop_all();
                    match stop_reason(target.debugger) {
                        Some(reason) => {
                            running.report_stop(target, reason).map_err(|e| failed(&e))?
                        }
                        None => running.into(),
                    }
                }
            },
            Machine::CtrlCInterrupt(interrupt) => {
                target.debugger.stop_all();
                let reason = stop_reason(target.debugger)
                    .unwrap_or(MultiThreadStopReason::Signal(Signal::SIGINT));
                interrupt.interrupt_handled(target, Some(reason)).map_err(|e| failed(&e))?
            }
            Machine::Disconnected(end) => return Ok(end.get_reason()),
        };
    }
}

fn read(mut input: &TcpStream) -> Result<u8, String> {
    let mut byte = [0];
    match input.read_exact(&mut byte) {
        Ok(()) => Ok(byte[0]),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err("the connection was closed".into())
        }
        Err(error) => Err(error.to_string()),
    }
}

enum Event {
    Input(u8),
    Stop,
}

/// Waits until gdb says something, or a CPU stops by itself.
fn wait(debugger: &Debugger, input: &TcpStream, mut bell: &UnixStream) -> Result<Event, String> {
    loop {
        let state = debugger.state();
        let stopped =
            |cpu: &CpuState| matches!(cpu, CpuState::Stopped(_, why) if *why != Why::Asked);
        if state.ended.is_some() || state.cpus.iter().any(stopped) {
            return Ok(Event::Stop);
        }
        drop(state);
        let entry = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let mut entries = [entry(input.as_raw_fd()), entry(bell.as_raw_fd())];
        // SAFETY: two entries, alive during the call.
        let ready = unsafe { libc::poll(entries.as_mut_ptr(), 2, -1) };
        if ready > 0 && entries[1].revents != 0 {
            // Whatever rang it is in the state.
            let _ = bell.read(&mut [0; 64]);
        } else if ready > 0 {
            return read(input).map(Event::Input);
        }
    }
}

/// What to tell gdb: one CPU's reason, which is not told again.
fn stop_reason(debugger: &Debugger) -> Option<MultiThreadStopReason<u64>> {
    let mut state = debugger.state();
    if let Some(code) = state.ended {
        return Some(MultiThreadStopReason::Exited(code));
    }
    let watches = state.watches;
    state.cpus.iter_mut().enumerate().find_map(|(index, cpu)| {
        let CpuState::Stopped(_, why) = cpu else { return None };
        let tid = thread(index);
        let signal = |signal| MultiThreadStopReason::SignalWithThread { tid, signal };
        let reason = match *why {
            Why::Asked => return None,
            Why::Breakpoint => MultiThreadStopReason::SwBreak(tid),
            Why::Step => signal(Signal::SIGTRAP),
            Why::Exception(vector) => signal(signal_of(vector)),
            Why::Hardware(number) => match watches.get(number).copied().flatten() {
                Some(watch) if watch.kind == WatchKind::Execute => {
                    MultiThreadStopReason::HwBreak(tid)
                }
                Some(watch) => MultiThreadStopReason::Watch {
                    tid,
                    kind: match watch.kind {
                        WatchKind::Access => GdbWatchKind::ReadWrite,
                        _ => GdbWatchKind::Write,
                    },
                    addr: watch.address,
                },
                None => signal(Signal::SIGTRAP),
            },
        };
        *why = Why::Asked;
        Some(reason)
    })
}

/// The signal that a process on Linux would get for an exception.
fn signal_of(vector: u64) -> Signal {
    match vector {
        0 | 16 | 19 => Signal::SIGFPE,
        1 | 3 => Signal::SIGTRAP,
        6 => Signal::SIGILL,
        17 => Signal::SIGBUS,
        _ => Signal::SIGSEGV,
    }
}
