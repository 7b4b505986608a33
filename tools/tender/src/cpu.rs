//! Running a CPU of the guest, and what it stops for.

use hvt_abi::PAGE;
use hvt_abi::cpu_page::{
    ENABLED, FAULT_ADDRESS, FAULT_ERROR, FAULT_REGISTERS, FAULT_RFLAGS, FAULT_RIP, FAULT_RSP,
    FAULT_VECTOR, PENDING, PENDING_TIMER,
};
use kvm_bindings::{kvm_debugregs, kvm_regs};
use kvm_ioctls::{VcpuExit, VcpuFd};

use crate::calls::{self, Way};
use crate::debug::{Debugger, Registers, TRAP_FLAG, Why};
use crate::guest::{Guest, Start};
use crate::layout::{DEVICE_REGISTERS, DOORBELL};
use crate::machine::{self, RFLAGS};
use crate::paging::USER_LIMIT;
use crate::report::{self, Fault, registers_of};
use crate::stub::{self, Frame, Halt, INVALID_INSTRUCTION, KERNEL, PAGE_FAULT, Pending};
use crate::{console, kick};

/// Code may use this many bytes below its stack pointer (x86-64 psABI section 3.2.2).
const RED_ZONE: u64 = 128;
/// When a CPU is in kernel mode, it is interrupted again after this time.
const RETRY_NS: u64 = 50_000;
/// What is left of a fault stack must be at least this for another report.
const FAULT_ROOM: u64 = 2048;
/// Exceptions that a debugger causes: a single step or a debug register, and `int3` where user mode
/// may not use its entry of the interrupt table, with that error code (SDM volume 3, chapter 7.13).
const DEBUG: u64 = 1;
const TRAP: u64 = 3;
const PROTECTION: u64 = 13;
const BREAKPOINT_ERROR: u64 = 3 << 3 | 2;
/// Exit code of a guest that crashed.
const CRASHED: u8 = 102;

/// A CPU and what it shares.
#[derive(Debug)]
pub struct Cpu {
    guest: &'static Guest,
    fd: VcpuFd,
    index: usize,
    /// Changes of page tables that it has yet to repeat.
    pending: Option<Pending>,
    debugging: Debugging,
}

/// What a CPU remembers for a debugger.
#[derive(Debug, Default)]
struct Debugging {
    /// It runs for one instruction.
    stepping: bool,
    /// It is to stop when it has left kernel mode.
    leaving_kernel: bool,
    /// What is in its debug registers.
    registers: kvm_debugregs,
}

impl Cpu {
    /// For the CPU of that number.
    pub fn new(guest: &'static Guest, fd: VcpuFd, index: usize) -> Self {
        Self { guest, fd, index, pending: None, debugging: Debugging::default() }
    }

    /// Runs it from `start` on, on the calling thread, until the guest ends.
    pub fn run(mut self, start: Start) -> ! {
        let flag = &raw mut self.fd.get_kvm_run().immediate_exit;
        self.guest.kicks[self.index].adopt(flag);
        let registers = machine::registers(start);
        self.set_registers(&registers);
        if let Some(debugger) = &self.guest.debugger {
            debugger.started(self.index);
            // The first one waits before its first instruction.
            if debugger.wants_stop() {
                self.park(registers, Why::Asked);
            }
        }
        loop {
            self.step();
        }
    }

    /// Runs it until it stops, and does what it stops for.
    fn step(&mut self) {
        enum Stop {
            Doorbell,
            Device(u64, [u8; 8], usize),
            Halt,
            Kick,
            Nothing,
            Failure(String),
        }
        if self.wants_stop() && !self.debugging.leaving_kernel {
            self.guest.kicks[self.index].hold();
        }
        let stop = match self.fd.run() {
            Ok(VcpuExit::MmioWrite(address, _)) if in_doorbell(address) => Stop::Doorbell,
            Ok(VcpuExit::MmioWrite(address, data)) if address >= DEVICE_REGISTERS => {
                // A copy: the device's turn comes when nothing of the CPU is borrowed.
                let mut copy = [0; 8];
                let len = data.len().min(copy.len());
                copy[..len].copy_from_slice(&data[..len]);
                Stop::Device(address, copy, len)
            }
            Ok(VcpuExit::MmioWrite(..)) => Stop::Nothing,
            Ok(VcpuExit::MmioRead(_, data)) => {
                data.fill(0);
                Stop::Nothing
            }
            Ok(VcpuExit::Hlt) => Stop::Halt,
            Ok(VcpuExit::Intr) => Stop::Kick,
            Ok(VcpuExit::Shutdown) => Stop::Failure("it gave up (triple fault)".into()),
            Ok(other) => Stop::Failure(format!("it stopped for an unknown reason, {other:?}")),
            Err(error) => match error.errno() {
                libc::EINTR | libc::EAGAIN => Stop::Kick,
                libc::EFAULT => Stop::Failure(
                    "the host has no memory for it, or the image's file was changed".into(),
                ),
                _ => Stop::Failure(format!("KVM cannot run it: {error}")),
            },
        };
        match stop {
            Stop::Doorbell => {
                self.guest.times.first_exit();
                let _ = calls::handle(self.guest, self.index, Way::Doorbell);
                self.take_quietly();
            }
            Stop::Device(address, data, len) => {
                self.guest.devices.write(address, &data[..len]);
                self.take_quietly();
            }
            Stop::Halt => self.halted(),
            Stop::Kick => self.kicked(),
            Stop::Nothing => {}
            Stop::Failure(why) => self.give_up(&why),
        }
    }

    fn word(&self, index: usize) -> u64 {
        self.guest.ram.word(self.guest.cpu_page(self.index) + 8 * index as u64)
    }

    fn set_word(&self, index: usize, value: u64) {
        self.guest.ram.set_word(self.guest.cpu_page(self.index) + 8 * index as u64, value);
    }

    fn registers(&self) -> kvm_regs {
        self.fd.get_regs().unwrap_or_default()
    }

    fn set_registers(&self, registers: &kvm_regs) {
        if let Err(error) = self.fd.set_regs(registers) {
            self.give_up(&format!("KVM cannot set its registers: {error}"));
        }
    }

    /// Ends a guest whose CPU can do no more.
    fn give_up(&self, why: &str) -> ! {
        console::say(&format!("\ntender: CPU {} stopped: {why}\n", self.index));
        console::say(&report::register_lines(&registers_of(&self.registers())));
        self.guest.end(CRASHED)
    }

    /// Tells the guest which interrupts came; whoever waited or looks finds them.
    fn note_interrupts(&self) -> u64 {
        let bits = self.guest.kicks[self.index].take();
        if bits != 0 {
            // Devices may set theirs at the same time.
            self.guest.ram.set_bits(self.guest.cpu_page(self.index) + 8 * PENDING as u64, bits);
        }
        bits
    }

    /// Tells a guest that takes no interrupts which ones came; others get them when KVM has finished
    /// the instruction that stopped the CPU.
    fn take_quietly(&self) {
        if self.word(ENABLED) == 0 {
            self.note_interrupts();
        }
    }

    /// A signal stopped the CPU: interrupts its code, unless that wants none.
    fn kicked(&mut self) {
        self.note_interrupts();
        let stop = self.wants_stop();
        let interrupted = self.word(PENDING) != 0 && self.word(ENABLED) != 0;
        // A single step is one of the code that gdb sees, not of a handler.
        if !stop && (!interrupted || self.debugging.stepping) {
            return;
        }
        let mut registers = self.registers();
        self.debugging.leaving_kernel = registers.rip >= KERNEL;
        if registers.rip >= KERNEL {
            // Between two instructions of the stub: later.
            self.guest.kicks[self.index].put_back(PENDING_TIMER);
            kick::set_timer(Some(RETRY_NS));
            return;
        }
        if stop {
            return self.park(registers, Why::Asked);
        }
        // Flags and, above them, the instruction pointer: what the handler needs to return by
        // `popfq` and `ret`.
        let stack = registers.rsp.wrapping_sub(RED_ZONE + 16);
        let mut frame = [0; 16];
        frame[..8].copy_from_slice(&registers.rflags.to_le_bytes());
        frame[8..].copy_from_slice(&registers.rip.to_le_bytes());
        if self.guest.write(stack, &frame).is_err() {
            // The stack ends here: as if the code had pushed the frame itself.
            let frame = Frame { error: 6, ..frame_of(&registers) };
            self.fault(Fault { vector: PAGE_FAULT, frame, address: stack, registers });
            return;
        }
        self.set_word(ENABLED, 0);
        registers.rsp = stack;
        registers.rip = self.guest.note.interrupt;
        registers.rflags = RFLAGS;
        self.set_registers(&registers);
    }

    /// The CPU halted, which it does in the stub alone: user mode cannot.
    fn halted(&mut self) {
        let registers = self.registers();
        match stub::halt(registers.rip) {
            Some(Halt::Exception(vector)) => {
                let frame = stub::frame(&self.guest.ram, self.index, vector);
                if vector == INVALID_INSTRUCTION && frame.rip == self.guest.note.gate {
                    let changes = calls::handle(self.guest, self.index, Way::Gate);
                    stub::skip_gate(&self.guest.ram, self.index, &frame);
                    let mut pending = Pending::new(changes);
                    pending.fill(&self.guest.ram, self.index);
                    self.pending = Some(pending);
                    return;
                }
                let address = self.fd.get_sregs().map_or(0, |sregs| sregs.cr2);
                let fault = Fault { vector, frame, address, registers };
                if !self.debugger_takes(&fault) {
                    self.fault(fault);
                }
            }
            Some(Halt::List) => match &mut self.pending {
                Some(pending) => pending.fill(&self.guest.ram, self.index),
                None => self.give_up("it is lost in kernel mode"),
            },
            None => self.give_up("it halted"),
        }
    }

    fn wants_stop(&self) -> bool {
        self.guest.debugger.as_ref().is_some_and(Debugger::wants_stop)
    }

    /// Stops the CPU, which is in user mode or just left it, until a debugger lets it go on.
    fn park(&mut self, mut general: kvm_regs, why: Why) {
        let Some(debugger) = &self.guest.debugger else { return };
        general.rflags &= !TRAP_FLAG;
        let fpu = self.fd.get_fpu().unwrap_or_default();
        let resume = debugger.stopped(self.index, Registers { general, fpu }, why);
        let Registers { mut general, fpu } = resume.registers;
        // Neither fails with values that the kernel gave or user mode can have.
        let _ = self.fd.set_fpu(&fpu);
        if (resume.debug.db, resume.debug.dr7)
            != (self.debugging.registers.db, self.debugging.registers.dr7)
        {
            let _ = self.fd.set_debug_regs(&resume.debug);
            self.debugging.registers = resume.debug;
        }
        self.debugging.stepping = resume.step;
        self.debugging.leaving_kernel = false;
        if resume.step {
            general.rflags |= TRAP_FLAG;
        }
        self.enter_user_mode();
        self.set_registers(&general);
        if self.word(PENDING) != 0 {
            // What came meanwhile interrupts it now.
            self.guest.kicks[self.index].hold();
        }
    }

    /// Whether an exception is for a debugger, and the guest does not learn of it. Then the CPU was
    /// stopped and may go on.
    fn debugger_takes(&mut self, fault: &Fault) -> bool {
        let Some(debugger) = self.guest.debugger.as_ref().filter(|d| d.is_attached()) else {
            return false;
        };
        let Fault { vector, frame, registers, .. } = fault;
        if frame.cs & 3 == 0 {
            return false;
        }
        let mut code =
            kvm_regs { rip: frame.rip, rsp: frame.rsp, rflags: frame.rflags, ..*registers };
        let why = match *vector {
            DEBUG => {
                let dr6 = self.fd.get_debug_regs().map_or(0, |registers| registers.dr6);
                let hit = debugger.hit(dr6);
                // The processor never clears its reasons.
                let _ = self.fd.set_debug_regs(&self.debugging.registers);
                match hit {
                    Some(number) => Why::Hardware(number),
                    None if self.debugging.stepping => Why::Step,
                    None => return false,
                }
            }
            // User mode may not use this entry of the table, so it is a fault at the instruction.
            PROTECTION if frame.error == BREAKPOINT_ERROR && debugger.has_breakpoint(frame.rip) => {
                Why::Breakpoint
            }
            // Machines that interpret may not look; then it is behind the instruction.
            TRAP if debugger.has_breakpoint(frame.rip.wrapping_sub(1)) => {
                code.rip = frame.rip - 1;
                Why::Breakpoint
            }
            vector => {
                self.park(code, Why::Exception(vector));
                // Where gdb moved the CPU elsewhere, the exception is none any more.
                return self.registers().rip != frame.rip;
            }
        };
        self.park(code, why);
        true
    }

    fn enter_user_mode(&self) {
        let mut sregs = match self.fd.get_sregs() {
            Ok(sregs) => sregs,
            Err(error) => self.give_up(&format!("KVM cannot read its registers: {error}")),
        };
        machine::enter_user_mode(&mut sregs);
        if let Err(error) = self.fd.set_sregs(&sregs) {
            self.give_up(&format!("KVM cannot set its registers: {error}"));
        }
    }

    /// Makes the image's fault handler report an exception. Where that is not possible, the tender
    /// reports it.
    fn fault(&mut self, fault: Fault) {
        let Some(stack) = self.guest.layout.fault_stacks.get(self.index) else { return };
        // A fault in the handler is reported on what is left of the same stack.
        let (start, end) = (stack.address, stack.address + stack.len);
        let inside = (start..end).contains(&fault.frame.rsp);
        let top = if inside { (fault.frame.rsp - RED_ZONE) & !15 } else { end };
        let is_kernel = fault.frame.cs & 3 == 0;
        if is_kernel || top < start + FAULT_ROOM {
            report::print(self.guest, self.index, &fault);
            self.guest.end(CRASHED);
        }
        for (index, value) in [
            (FAULT_VECTOR, fault.vector),
            (FAULT_ERROR, fault.frame.error),
            (FAULT_ADDRESS, fault.address),
            (FAULT_RIP, fault.frame.rip),
            (FAULT_RFLAGS, fault.frame.rflags),
            (FAULT_RSP, fault.frame.rsp),
        ] {
            self.set_word(index, value);
        }
        for (index, value) in (FAULT_REGISTERS..).zip(registers_of(&fault.registers)) {
            self.set_word(index, value);
        }
        self.set_word(ENABLED, 0);
        self.enter_user_mode();
        self.set_registers(&machine::registers(Start {
            rip: self.guest.note.fault,
            // As if it had been called.
            rsp: top - 8,
            argument: self.guest.layout.cpu_pages.address + self.index as u64 * PAGE,
        }));
    }
}

fn in_doorbell(address: u64) -> bool {
    (DOORBELL..DOORBELL + PAGE).contains(&address)
}

/// The frame that an exception of the running code would have.
fn frame_of(registers: &kvm_regs) -> Frame {
    Frame {
        error: 0,
        rip: registers.rip,
        cs: stub::USER_CODE.into(),
        rflags: registers.rflags,
        rsp: registers.rsp,
    }
}

// What the CPU's registers can hold in user mode.
const _: () = assert!(USER_LIMIT <= KERNEL);
