//! Calls of the tender.
//!
//! Interrupts are disabled from the first word of a call to its result: a handler would use the same
//! page.

use core::arch::asm;
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use core::sync::atomic::{AtomicBool, compiler_fence};

use hvt_abi::cpu_page::{ARGUMENTS, CALL, RESULT, STATUS};
use hvt_abi::{Call, CallError};
use ukplat::Stream;

use crate::local::page;
use crate::{start, timer};

fn without_interrupts<R>(work: impl FnOnce() -> R) -> R {
    let was_enabled = timer::irq_disable();
    let result = work();
    if was_enabled {
        timer::irq_enable();
    }
    result
}

fn call(what: Call, arguments: [u64; 4]) -> Result<u64, CallError> {
    without_interrupts(|| {
        let page = page();
        page[CALL].store(what as u64, Relaxed);
        for (word, argument) in page[ARGUMENTS..].iter().zip(arguments) {
            word.store(argument, Relaxed);
        }
        compiler_fence(SeqCst);
        if what.is_memory() {
            // SAFETY: the gate changes no register; the tender changes what memory can be used for
            // as the caller wants it. Not `nomem`: accesses stay on their side of the call.
            unsafe { asm!("call hvt_gate") };
        } else {
            // SAFETY: the doorbell is no memory; writing to it makes the tender read the page and
            // carry out the call. Not `nomem`: it reads and writes memory.
            unsafe { asm!("mov dword ptr [{}], 0", in(reg) start::doorbell(), options(nostack)) };
        }
        compiler_fence(SeqCst);
        match page[STATUS].load(Relaxed) {
            0 => Ok(page[RESULT].load(Relaxed)),
            error => Err(CallError::from_number(error)),
        }
    })
}

/// Ends the guest.
pub fn exit(code: u8) -> ! {
    loop {
        let _ = call(Call::Exit, [code.into(), 0, 0, 0]);
    }
}

/// Writes all of `bytes` to the console.
pub fn console_write(stream: Stream, mut bytes: &[u8]) {
    let stream = match stream {
        Stream::Out => hvt_abi::Stream::Out,
        Stream::Err => hvt_abi::Stream::Err,
    };
    while !bytes.is_empty() {
        let arguments = [stream as u64, bytes.as_ptr() as u64, bytes.len() as u64, 0];
        match call(Call::ConsoleWrite, arguments) {
            Ok(len @ 1..) => bytes = bytes.get(len as usize..).unwrap_or_default(),
            _ => return,
        }
    }
}

/// Nothing will arrive on the console any more.
static INPUT_ENDED: AtomicBool = AtomicBool::new(false);

/// Takes what has arrived on the console.
pub fn console_read(buf: &mut [u8]) -> usize {
    let arguments = [buf.as_mut_ptr() as u64, buf.len() as u64, 0, 0];
    match call(Call::ConsoleRead, arguments) {
        Ok(Call::INPUT_ENDED) => {
            INPUT_ENDED.store(true, Relaxed);
            0
        }
        Ok(len) => (len as usize).min(buf.len()),
        Err(_) => 0,
    }
}

/// Whether a read found that nothing will arrive on the console any more.
pub fn console_ended() -> bool {
    INPUT_ENDED.load(Relaxed)
}

/// Waits for an interrupt, at most so many nanoseconds. Interrupts must be disabled.
pub fn wait(limit_ns: u64) {
    let _ = call(Call::Wait, [limit_ns, 0, 0, 0]);
}

/// Sets the current CPU's timer: nanoseconds from now, or [`hvt_abi::NEVER`].
pub fn set_timer(after_ns: u64) {
    let _ = call(Call::Timer, [after_ns, 0, 0, 0]);
}

/// A call about memory.
pub fn memory(what: Call, arguments: [u64; 4]) -> Result<(), CallError> {
    call(what, arguments).map(|_| ())
}

/// Starts another CPU.
#[cfg(feature = "smp")]
pub fn start_cpu(cpu: usize, rip: usize, rsp: usize, argument: usize) -> Result<(), CallError> {
    call(Call::CpuStart, [cpu, rip, rsp, argument].map(|w| w as u64)).map(|_| ())
}

/// Interrupts another CPU.
#[cfg(feature = "smp")]
pub fn interrupt_cpu(cpu: usize) {
    let _ = call(Call::CpuInterrupt, [cpu as u64, 0, 0, 0]);
}
