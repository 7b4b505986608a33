//! Debugging a guest with gdb, by its remote serial protocol.
//!
//! Breakpoints and single steps need nothing of KVM: `int3` and the trap flag end in the stub, as
//! every exception does, and so at the tender. Each CPU waits here, on its own thread, while it is
//! stopped; a thread of the debugger looks at its registers and at memory meanwhile.

mod registers;
mod server;
mod target;

use std::collections::BTreeMap;
use std::ffi::c_long;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use kvm_bindings::{kvm_debugregs, kvm_fpu, kvm_regs};

use crate::confine::Call;
use crate::error::Error;
use crate::kick::Kick;

pub use registers::TRAP_FLAG;
pub use server::spawn;

/// Hardware breakpoints and watchpoints of a CPU.
const DEBUG_REGISTERS: usize = 4;

/// Registers of a stopped CPU that a debugger can read and change.
#[derive(Clone, Debug, Default)]
pub struct Registers {
    /// General ones.
    pub general: kvm_regs,
    /// Of floating point and vectors.
    pub fpu: kvm_fpu,
}

/// Why a CPU stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It was told to, or starts.
    Asked,
    /// At a breakpoint in code.
    Breakpoint,
    /// At one of the debug registers, of that number.
    Hardware(usize),
    /// After one instruction.
    Step,
    /// An exception of the guest, of that number.
    Exception(u64),
}

/// How a CPU goes on.
#[derive(Clone, Debug)]
pub struct Resume {
    /// With these registers.
    pub registers: Registers,
    /// For one instruction only.
    pub step: bool,
    /// With these debug registers.
    pub debug: kvm_debugregs,
}

/// What a CPU does.
#[derive(Debug)]
enum CpuState {
    /// The guest did not start it.
    Absent,
    Running,
    Stopped(Registers, Why),
    /// It may go on, and has not noticed yet.
    Resuming(Resume),
}

/// A watched place, for the debug registers (Intel SDM volume 3, chapter 18.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Its address.
    pub address: u64,
    /// Its length in bytes: 1, 2, 4 or 8.
    pub len: u64,
    /// What is watched for.
    pub kind: WatchKind,
}

/// Kinds of watching, as the processor has them: there is none for reads alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchKind {
    /// Running the instruction there.
    Execute = 0,
    /// Writing.
    Write = 1,
    /// Reading and writing.
    Access = 3,
}

impl Watch {
    /// The processor can watch naturally aligned powers of two up to 8 bytes.
    fn is_possible(&self) -> bool {
        let length = match self.kind {
            WatchKind::Execute => self.len == 1,
            _ => matches!(self.len, 1 | 2 | 4 | 8),
        };
        length && self.address.is_multiple_of(self.len)
    }
}

#[derive(Debug)]
struct State {
    cpus: Vec<CpuState>,
    /// Original bytes of code that breakpoints are in.
    breakpoints: BTreeMap<u64, u8>,
    watches: [Option<Watch>; DEBUG_REGISTERS],
    /// Exit code of the guest that wants to end.
    ended: Option<u8>,
}

/// What CPUs and the debugger's thread share.
#[derive(Debug)]
pub struct Debugger {
    state: Mutex<State>,
    /// A CPU stopped, or may go on.
    changed: Condvar,
    /// All CPUs are to stop.
    stop: AtomicBool,
    /// A debugger is there.
    attached: AtomicBool,
    /// A byte here wakes the debugger's thread.
    bell: UnixStream,
    kicks: &'static [Kick],
}

/// The debugger's end of everything: its connection, and what it is woken by.
#[derive(Debug)]
pub struct Connection {
    /// As long as the process lives: closing them would be one more system call to allow.
    stream: &'static TcpStream,
    bell: &'static UnixStream,
    /// What its thread and those of CPUs use.
    descriptors: [RawFd; 3],
}

impl Connection {
    /// System calls that its thread and those of CPUs make.
    pub fn calls(&self) -> Vec<Call> {
        const CALLS: [c_long; 4] =
            [libc::SYS_read, libc::SYS_write, libc::SYS_recvfrom, libc::SYS_sendto];
        let of = |fd| CALLS.map(|call| (call, fd));
        self.descriptors.into_iter().flat_map(of).collect()
    }
}

impl Debugger {
    /// Waits for gdb on a port of this machine alone; 0 is any that is free.
    ///
    /// # Errors
    /// [`Error::System`].
    pub fn accept(port: u16, kicks: &'static [Kick]) -> Result<(Self, Connection), Error> {
        let failed = |error| Error::System("wait for gdb", error);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        crate::console::say(&format!("tender: waiting for gdb: target remote :{port}\n"));
        let (stream, _) = listener.accept().map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let (bell, rung) = UnixStream::pair().map_err(failed)?;
        // Ringing never waits: a byte that is there already does as well.
        bell.set_nonblocking(true).map_err(failed)?;
        rung.set_nonblocking(true).map_err(failed)?;
        let descriptors = [stream.as_raw_fd(), bell.as_raw_fd(), rung.as_raw_fd()];
        let state = State {
            cpus: kicks.iter().map(|_| CpuState::Absent).collect(),
            breakpoints: BTreeMap::new(),
            watches: [None; DEBUG_REGISTERS],
            ended: None,
        };
        let debugger = Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
            stop: AtomicBool::new(true),
            attached: AtomicBool::new(true),
            bell,
            kicks,
        };
        let (stream, bell) = (Box::leak(Box::new(stream)), Box::leak(Box::new(rung)));
        Ok((debugger, Connection { stream, bell, descriptors }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) {
        let _ = (&self.bell).write(&[1]);
    }

    /// Whether a debugger is there.
    pub fn is_attached(&self) -> bool {
        self.attached.load(Relaxed)
    }

    /// Whether CPUs are to stop.
    pub fn wants_stop(&self) -> bool {
        self.stop.load(Relaxed)
    }

    /// Whether the debugger has a breakpoint in the code there.
    pub fn has_breakpoint(&self, address: u64) -> bool {
        self.state().breakpoints.contains_key(&address)
    }

    /// The debug register that an exception was for, by the processor's status of debugging.
    pub fn hit(&self, dr6: u64) -> Option<usize> {
        let state = self.state();
        (0..DEBUG_REGISTERS).find(|n| dr6 >> n & 1 != 0 && state.watches[*n].is_some())
    }

    /// The guest started a CPU.
    pub fn started(&self, cpu: usize) {
        self.state().cpus[cpu] = CpuState::Running;
    }

    /// Waits for the stop of the first CPU, before its first instruction.
    fn wait_for_start(&self) {
        let mut state = self.state();
        while !matches!(state.cpus.first(), Some(CpuState::Stopped(..))) {
            state = self.wait(state);
        }
    }

    /// A CPU is stopped, for that reason; waits until it may go on.
    pub fn stopped(&self, cpu: usize, registers: Registers, why: Why) -> Resume {
        let mut state = self.state();
        if !self.is_attached() {
            return Resume { registers, step: false, debug: kvm_debugregs::default() };
        }
        state.cpus[cpu] = CpuState::Stopped(registers, why);
        self.changed.notify_all();
        if why != Why::Asked {
            self.ring();
        }
        loop {
            if let CpuState::Resuming(resume) = &state.cpus[cpu] {
                let resume = resume.clone();
                state.cpus[cpu] = CpuState::Running;
                return resume;
            }
            state = self.wait(state);
        }
    }

    /// The guest wants to end: the debugger is told first, and ends the process. Returns when there
    /// is none.
    pub fn end(&self, code: u8) {
        let mut state = self.state();
        if !self.is_attached() {
            return;
        }
        state.ended.get_or_insert(code);
        self.ring();
        while self.is_attached() {
            state = self.wait(state);
        }
    }

    /// Stops all CPUs; returns when none runs. One that ends the guest counts as stopped.
    fn stop_all(&self) {
        let mut state = self.state();
        self.stop.store(true, Relaxed);
        loop {
            let mut running = false;
            for (cpu, kick) in state.cpus.iter().zip(self.kicks) {
                if matches!(cpu, CpuState::Running | CpuState::Resuming(_)) {
                    running = true;
                    kick.call();
                }
            }
            if !running || state.ended.is_some() {
                return;
            }
            state = self.wait(state);
        }
    }

    /// Lets CPUs go on: those for which `how` says whether for one instruction only.
    fn resume(&self, how: impl Fn(usize) -> Option<bool>) {
        let mut state = self.state();
        self.stop.store(false, Relaxed);
        let debug = debug_registers(&state.watches);
        for (index, cpu) in state.cpus.iter_mut().enumerate() {
            // One with a reason that gdb does not know yet stays, and is told about next.
            let (CpuState::Stopped(registers, Why::Asked), Some(step)) = (&*cpu, how(index)) else {
                continue;
            };
            let registers = registers.clone();
            *cpu = CpuState::Resuming(Resume { registers, step, debug });
        }
        self.changed.notify_all();
    }

    /// The debugger goes; the guest goes on without.
    fn detach(&self) {
        let mut state = self.state();
        state.watches = [None; DEBUG_REGISTERS];
        for cpu in &mut state.cpus {
            if let CpuState::Stopped(_, why) = cpu {
                *why = Why::Asked;
            }
        }
        drop(state);
        self.resume(|_| Some(false));
        let _state = self.state();
        self.attached.store(false, Relaxed);
        self.changed.notify_all();
    }
}

/// The debug registers for these places.
fn debug_registers(watches: &[Option<Watch>; DEBUG_REGISTERS]) -> kvm_debugregs {
    // Bit 10 is always set.
    let mut registers = kvm_debugregs { dr7: 1 << 10, ..kvm_debugregs::default() };
    for (index, watch) in watches.iter().enumerate() {
        let Some(watch) = watch else { continue };
        registers.db[index] = watch.address;
        // Lengths 1, 2, 4, 8 are 0, 1, 3, 2.
        let len = [0, 0, 1, 0, 3, 0, 0, 0, 2][watch.len as usize & 15];
        let bits = watch.kind as u64 | len << 2;
        // Also "exact", which old processors want.
        registers.dr7 |= 1 << (2 * index) | 1 << 8 | bits << (16 + 4 * index);
    }
    registers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_registers_as_the_processor_wants_them() {
        let watch = |address, len, kind| Watch { address, len, kind };
        let none = debug_registers(&[None; 4]);
        assert_eq!((none.db, none.dr7), ([0; 4], 0x400));
        let some = debug_registers(&[
            Some(watch(0x1000, 1, WatchKind::Execute)),
            None,
            Some(watch(0x2008, 8, WatchKind::Write)),
            Some(watch(0x3004, 4, WatchKind::Access)),
        ]);
        assert_eq!(some.db, [0x1000, 0, 0x2008, 0x3004]);
        assert_eq!(some.dr7, 0x400 | 0x100 | 0b0101_0001 | 0b1001 << 24 | 0b1111 << 28);
    }

    #[test]
    fn only_aligned_powers_of_two_can_be_watched() {
        let possible = |address, len, kind| Watch { address, len, kind }.is_possible();
        assert!(possible(8, 8, WatchKind::Write) && possible(3, 1, WatchKind::Access));
        assert!(possible(3, 1, WatchKind::Execute) && !possible(4, 2, WatchKind::Execute));
        assert!(!possible(4, 8, WatchKind::Write) && !possible(0, 3, WatchKind::Write));
        assert!(!possible(0, 0, WatchKind::Write) && !possible(0, 16, WatchKind::Write));
    }
}
