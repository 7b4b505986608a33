//! What gdb can do with the guest: each CPU is a thread, numbered from 1.

use std::convert::Infallible;
use std::num::NonZeroUsize;

use gdbstub::common::{Signal, Tid};
use gdbstub::target::ext::base::BaseOps;
use gdbstub::target::ext::base::multithread::{
    MultiThreadBase, MultiThreadResume, MultiThreadResumeOps, MultiThreadSchedulerLocking,
    MultiThreadSchedulerLockingOps, MultiThreadSingleStep, MultiThreadSingleStepOps,
};
use gdbstub::target::ext::breakpoints::{
    Breakpoints, BreakpointsOps, HwBreakpoint, HwBreakpointOps, HwWatchpoint, HwWatchpointOps,
    SwBreakpoint, SwBreakpointOps, WatchKind as GdbWatchKind,
};
use gdbstub::target::ext::thread_extra_info::{ThreadExtraInfo, ThreadExtraInfoOps};
use gdbstub::target::{Target, TargetError, TargetResult};
use gdbstub_arch::x86::X86_64_SSE;
use gdbstub_arch::x86::reg::X86_64CoreRegs;

use super::{CpuState, Debugger, Watch, WatchKind, registers};
use crate::guest::Guest;

/// The instruction `int3`.
const BREAKPOINT: u8 = 0xcc;

/// The guest, as gdb sees it.
#[derive(Debug)]
pub struct GuestTarget {
    pub guest: &'static Guest,
    pub debugger: &'static Debugger,
    /// By CPU whether it makes one step; those that are not there go on, unless others must not.
    steps: Vec<Option<bool>>,
    only_these: bool,
}

/// The thread of a CPU.
pub fn thread(cpu: usize) -> Tid {
    NonZeroUsize::MIN.saturating_add(cpu)
}

fn cpu(thread: Tid) -> usize {
    thread.get() - 1
}

impl GuestTarget {
    pub fn new(guest: &'static Guest, debugger: &'static Debugger) -> Self {
        Self { guest, debugger, steps: vec![None; guest.cpus()], only_these: false }
    }

    fn set_action(&mut self, thread: Tid, step: bool) {
        if let Some(action) = self.steps.get_mut(cpu(thread)) {
            *action = Some(step);
        }
    }

    /// Changes a byte of code, or of anything else that the guest can read.
    fn replace(&self, address: u64, byte: u8) -> Option<u8> {
        let mut old = [0];
        (self.guest.debug_read(address, &mut old) == 1).then_some(())?;
        (self.guest.debug_write(address, &[byte]) == 1).then_some(old[0])
    }

    fn watch(&self, watch: Watch) -> bool {
        let mut state = self.debugger.state();
        let free = state.watches.iter_mut().find(|place| place.is_none());
        match free {
            Some(place) if watch.is_possible() => {
                *place = Some(watch);
                true
            }
            _ => false,
        }
    }

    fn unwatch(&self, watch: Watch) -> bool {
        let mut state = self.debugger.state();
        match state.watches.iter_mut().find(|place| **place == Some(watch)) {
            Some(place) => {
                *place = None;
                true
            }
            None => false,
        }
    }

    /// Removes what the debugger put into code.
    pub fn remove_breakpoints(&mut self) {
        let breakpoints = std::mem::take(&mut self.debugger.state().breakpoints);
        for (address, byte) in breakpoints {
            self.replace(address, byte);
        }
    }
}

impl Target for GuestTarget {
    type Arch = X86_64_SSE;
    type Error = Infallible;

    fn base_ops(&mut self) -> BaseOps<'_, Self::Arch, Self::Error> {
        BaseOps::MultiThread(self)
    }
    fn guard_rail_implicit_sw_breakpoints(&self) -> bool {
        true
    }
    fn support_breakpoints(&mut self) -> Option<BreakpointsOps<'_, Self>> {
        Some(self)
    }
}

impl MultiThreadBase for GuestTarget {
    fn read_registers(&mut self, regs: &mut X86_64CoreRegs, tid: Tid) -> TargetResult<(), Self> {
        match self.debugger.state().cpus.get(cpu(tid)) {
            Some(CpuState::Stopped(stopped, _)) => *regs = registers::to_gdb(stopped),
            _ => return Err(TargetError::NonFatal),
        }
        Ok(())
    }

    fn write_registers(&mut self, regs: &X86_64CoreRegs, tid: Tid) -> TargetResult<(), Self> {
        match self.debugger.state().cpus.get_mut(cpu(tid)) {
            Some(CpuState::Stopped(stopped, _)) => registers::from_gdb(stopped, regs),
            _ => return Err(TargetError::NonFatal),
        }
        Ok(())
    }

    fn read_addrs(&mut self, start: u64, data: &mut [u8], _tid: Tid) -> TargetResult<usize, Self> {
        match self.guest.debug_read(start, data) {
            0 if !data.is_empty() => Err(TargetError::NonFatal),
            len => Ok(len),
        }
    }

    fn write_addrs(&mut self, start: u64, data: &[u8], _tid: Tid) -> TargetResult<(), Self> {
        let all = self.guest.debug_write(start, data) == data.len();
        if all { Ok(()) } else { Err(TargetError::NonFatal) }
    }

    fn list_active_threads(&mut self, visit: &mut dyn FnMut(Tid)) -> Result<(), Infallible> {
        for (index, cpu) in self.debugger.state().cpus.iter().enumerate() {
            if !matches!(cpu, CpuState::Absent) {
                visit(thread(index));
            }
        }
        Ok(())
    }

    fn support_resume(&mut self) -> Option<MultiThreadResumeOps<'_, Self>> {
        Some(self)
    }
    fn support_thread_extra_info(&mut self) -> Option<ThreadExtraInfoOps<'_, Self>> {
        Some(self)
    }
}

impl ThreadExtraInfo for GuestTarget {
    fn thread_extra_info(&self, tid: Tid, buf: &mut [u8]) -> Result<usize, Infallible> {
        let text = format!("CPU {}", cpu(tid));
        let len = text.len().min(buf.len());
        buf[..len].copy_from_slice(&text.as_bytes()[..len]);
        Ok(len)
    }
}

impl MultiThreadResume for GuestTarget {
    fn resume(&mut self) -> Result<(), Infallible> {
        let (steps, only_these) = (&self.steps, self.only_these);
        let other = (!only_these).then_some(false);
        self.debugger.resume(|cpu| steps.get(cpu).copied().flatten().or(other));
        Ok(())
    }
    fn clear_resume_actions(&mut self) -> Result<(), Infallible> {
        self.steps.fill(None);
        self.only_these = false;
        Ok(())
    }
    // Signals for the guest are not passed on: it has none of the processor's.
    fn set_resume_action_continue(
        &mut self,
        tid: Tid,
        _signal: Option<Signal>,
    ) -> Result<(), Infallible> {
        self.set_action(tid, false);
        Ok(())
    }
    fn support_single_step(&mut self) -> Option<MultiThreadSingleStepOps<'_, Self>> {
        Some(self)
    }
    fn support_scheduler_locking(&mut self) -> Option<MultiThreadSchedulerLockingOps<'_, Self>> {
        Some(self)
    }
}

impl MultiThreadSingleStep for GuestTarget {
    fn set_resume_action_step(
        &mut self,
        tid: Tid,
        _signal: Option<Signal>,
    ) -> Result<(), Infallible> {
        self.set_action(tid, true);
        Ok(())
    }
}

impl MultiThreadSchedulerLocking for GuestTarget {
    fn set_resume_action_scheduler_lock(&mut self) -> Result<(), Infallible> {
        self.only_these = true;
        Ok(())
    }
}

impl Breakpoints for GuestTarget {
    fn support_sw_breakpoint(&mut self) -> Option<SwBreakpointOps<'_, Self>> {
        Some(self)
    }
    fn support_hw_breakpoint(&mut self) -> Option<HwBreakpointOps<'_, Self>> {
        Some(self)
    }
    fn support_hw_watchpoint(&mut self) -> Option<HwWatchpointOps<'_, Self>> {
        Some(self)
    }
}

impl SwBreakpoint for GuestTarget {
    fn add_sw_breakpoint(&mut self, address: u64, _kind: usize) -> TargetResult<bool, Self> {
        if self.debugger.has_breakpoint(address) {
            return Ok(true);
        }
        let Some(byte) = self.replace(address, BREAKPOINT) else { return Ok(false) };
        self.debugger.state().breakpoints.insert(address, byte);
        Ok(true)
    }
    fn remove_sw_breakpoint(&mut self, address: u64, _kind: usize) -> TargetResult<bool, Self> {
        let Some(byte) = self.debugger.state().breakpoints.remove(&address) else {
            return Ok(false);
        };
        Ok(self.replace(address, byte).is_some())
    }
}

impl HwBreakpoint for GuestTarget {
    fn add_hw_breakpoint(&mut self, address: u64, _kind: usize) -> TargetResult<bool, Self> {
        Ok(self.watch(Watch { address, len: 1, kind: WatchKind::Execute }))
    }
    fn remove_hw_breakpoint(&mut self, address: u64, _kind: usize) -> TargetResult<bool, Self> {
        Ok(self.unwatch(Watch { address, len: 1, kind: WatchKind::Execute }))
    }
}

/// Reads alone cannot be watched: what reads or writes stops then, as on every x86 target of gdb.
fn kind(kind: GdbWatchKind) -> WatchKind {
    match kind {
        GdbWatchKind::Write => WatchKind::Write,
        GdbWatchKind::Read | GdbWatchKind::ReadWrite => WatchKind::Access,
    }
}

impl HwWatchpoint for GuestTarget {
    fn add_hw_watchpoint(
        &mut self,
        address: u64,
        len: u64,
        gdb: GdbWatchKind,
    ) -> TargetResult<bool, Self> {
        Ok(self.watch(Watch { address, len, kind: kind(gdb) }))
    }
    fn remove_hw_watchpoint(
        &mut self,
        address: u64,
        len: u64,
        gdb: GdbWatchKind,
    ) -> TargetResult<bool, Self> {
        Ok(self.unwatch(Watch { address, len, kind: kind(gdb) }))
    }
}
