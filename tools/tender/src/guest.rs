//! What the CPUs of a guest share.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use hvt_abi::{CallError, ImageNote, PAGE};

use crate::console::Console;
use crate::debug::Debugger;
use crate::devices::{DeviceMemory, Slots};
use crate::kick::Kick;
use crate::layout::Layout;
use crate::memory::{GuestRam, Tables};
use crate::paging::AddressSpace;
use crate::times::Times;

/// Where a CPU that the guest starts begins.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// Instruction pointer.
    pub rip: u64,
    /// Stack pointer.
    pub rsp: u64,
    /// Value of the first argument's register.
    pub argument: u64,
}

/// Whether a CPU was started.
#[derive(Debug, Default)]
pub struct StartLine {
    start: Mutex<Option<Start>>,
    called: Condvar,
}

impl StartLine {
    /// Starts the CPU; `false` if it was started before.
    pub fn call(&self, start: Start) -> bool {
        let mut place = self.start.lock().unwrap_or_else(PoisonError::into_inner);
        if place.is_some() {
            return false;
        }
        *place = Some(start);
        self.called.notify_all();
        true
    }

    /// Waits for the start.
    pub fn wait(&self) -> Start {
        let mut place = self.start.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(start) = *place {
                return start;
            }
            place = self.called.wait(place).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A guest.
#[derive(Debug)]
pub struct Guest {
    /// Its memory.
    pub ram: Arc<GuestRam>,
    /// Its memory and address space, as devices use them.
    pub memory: &'static DeviceMemory,
    /// Its devices.
    pub devices: &'static Slots,
    /// Where everything lies.
    pub layout: Layout,
    /// What its image says; addresses are the guest's.
    pub note: ImageNote,
    /// By CPU.
    pub kicks: &'static [Kick],
    /// By CPU; the first one is always started.
    pub starts: Vec<StartLine>,
    /// Its console.
    pub console: Console,
    /// When it reached what.
    pub times: Times,
    /// The debugger, if there is one.
    pub debugger: Option<Debugger>,
}

impl Guest {
    /// The address space, for as long as the result lives.
    pub fn space(&self) -> MutexGuard<'_, AddressSpace<Tables>> {
        self.memory.space.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of CPUs.
    pub fn cpus(&self) -> usize {
        self.kicks.len()
    }

    /// Physical address of a CPU's page.
    pub fn cpu_page(&self, cpu: usize) -> u64 {
        self.layout.cpu_pages.physical + cpu as u64 * PAGE
    }

    /// Visits the pieces of physical memory behind addresses of user mode.
    fn pieces(
        &self,
        address: u64,
        len: u64,
        write: bool,
        mut visit: impl FnMut(u64, usize, usize),
    ) -> Result<(), CallError> {
        let end = address.checked_add(len).ok_or(CallError::BadAddress)?;
        let space = self.space();
        // Everything is looked at before anything is done.
        for act in [false, true] {
            let mut at = address;
            while at < end {
                let (physical, room) = space.translate(at, write).ok_or(CallError::BadAddress)?;
                let piece = room.min(end - at);
                if act {
                    visit(physical, (at - address) as usize, piece as usize);
                }
                at += piece;
            }
        }
        Ok(())
    }

    /// Copies from the guest's memory.
    ///
    /// # Errors
    /// [`CallError::BadAddress`] when the guest itself could not read all of it.
    pub fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), CallError> {
        self.pieces(address, bytes.len() as u64, false, |physical, at, len| {
            self.ram.read(physical, &mut bytes[at..at + len]);
        })
    }

    /// Copies to the guest's memory.
    ///
    /// # Errors
    /// [`CallError::BadAddress`] when the guest itself could not write all of it.
    pub fn write(&self, address: u64, bytes: &[u8]) -> Result<(), CallError> {
        self.pieces(address, bytes.len() as u64, true, |physical, at, len| {
            self.ram.write(physical, &bytes[at..at + len]);
        })
    }

    /// Copies from the guest's memory what a debugger wants; returns how many bytes there are.
    pub fn debug_read(&self, address: u64, bytes: &mut [u8]) -> usize {
        let mut done = 0;
        while let Some((physical, len)) = self.readable(address, done, bytes.len()) {
            self.ram.read(physical, &mut bytes[done..done + len]);
            done += len;
        }
        done
    }

    /// Writes for a debugger, to code and constants as well; returns how many bytes there are.
    pub fn debug_write(&self, address: u64, bytes: &[u8]) -> usize {
        let mut done = 0;
        while let Some((physical, len)) = self.readable(address, done, bytes.len()) {
            self.ram.write(physical, &bytes[done..done + len]);
            done += len;
        }
        done
    }

    /// Where memory is from `address + done` on, and how much of `len - done` bytes lies together.
    fn readable(&self, address: u64, done: usize, len: usize) -> Option<(u64, usize)> {
        let left = len.checked_sub(done).filter(|left| *left > 0)?;
        let at = address.checked_add(done as u64)?;
        let (physical, room) = self.space().translate(at, false)?;
        Some((physical, left.min(usize::try_from(room).unwrap_or(left))))
    }

    /// Reads a word of the guest's memory.
    pub fn read_word(&self, address: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        self.read(address, &mut bytes).ok()?;
        Some(u64::from_le_bytes(bytes))
    }

    /// Ends guest and tender; a debugger is told before.
    pub fn end(&self, code: u8) -> ! {
        if let Some(debugger) = &self.debugger {
            debugger.end(code);
        }
        self.end_now(code)
    }

    /// Ends guest and tender.
    pub fn end_now(&self, code: u8) -> ! {
        self.times.point("end");
        self.times.print();
        // SAFETY: ends the process; nothing is buffered.
        unsafe { libc::_exit(code.into()) }
    }
}
