//! The console: a 16550-compatible serial port, COM1.

use ukarch_x86_64::regs::{inb, outb};

const COM1: u16 = 0x3f8;
const LINE_CONTROL: u16 = COM1 + 3;
const LINE_STATUS: u16 = COM1 + 5;
const FIFO_CONTROL: u16 = COM1 + 2;

const DATA_READY: u8 = 1;
const TRANSMITTER_EMPTY: u8 = 1 << 5;
/// Bytes that the transmitter takes once it is empty.
const FIFO_LEN: usize = 16;
/// A machine without the port reads as all ones; one whose port never gets ready must not hang
/// the image.
const MAX_WAIT: u32 = 100_000;

/// 8 data bits, no parity, one stop bit, FIFOs on. The speed is the machine's own.
pub fn init() {
    // SAFETY: the serial port does nothing to memory.
    unsafe {
        outb(LINE_CONTROL, 0x03);
        outb(FIFO_CONTROL, 0x07);
    }
}

pub fn write(bytes: &[u8]) {
    for chunk in bytes.chunks(FIFO_LEN) {
        let mut wait = 0;
        // SAFETY: as in `init`, here and below.
        while unsafe { inb(LINE_STATUS) } & TRANSMITTER_EMPTY == 0 && wait < MAX_WAIT {
            wait += 1;
            core::hint::spin_loop();
        }
        for &byte in chunk {
            // SAFETY: as above.
            unsafe { outb(COM1, byte) };
        }
    }
}

pub fn read(buf: &mut [u8]) -> usize {
    let mut len = 0;
    while let Some(slot) = buf.get_mut(len) {
        // SAFETY: as in `init`.
        let status = unsafe { inb(LINE_STATUS) };
        if status & DATA_READY == 0 || status == 0xff {
            break;
        }
        // SAFETY: as in `init`.
        *slot = unsafe { inb(COM1) };
        len += 1;
    }
    len
}
