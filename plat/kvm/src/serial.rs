//! The console: a 16550-compatible serial port, COM1.

use core::sync::atomic::{AtomicU16, Ordering::Relaxed};

use ukarch_x86_64::regs::{inb, outb};

const COM1: u16 = 0x3f8;
const LINE_CONTROL: u16 = COM1 + 3;
const LINE_STATUS: u16 = COM1 + 5;
const FIFO_CONTROL: u16 = COM1 + 2;
const MODEM_CONTROL: u16 = COM1 + 4;

/// FIFOs are on, and empty.
const FIFOS_ON: u8 = 0x07;
/// What is sent is received, and nothing comes from outside.
const LOOP: u8 = 1 << 4;
/// Data terminal ready, request to send.
const READY: u8 = 0x03;

const DATA_READY: u8 = 1;
const TRANSMITTER_EMPTY: u8 = 1 << 5;
/// Bytes that the transmitter takes once it is empty.
const FIFO_LEN: usize = 16;
/// A machine without the port reads as all ones; one whose port never gets ready must not hang
/// the image.
const MAX_WAIT: u32 = 100_000;

/// Bytes that [`init`] has read, in their order, each with [`IS_THERE`].
static EARLY: [AtomicU16; 2] = [const { AtomicU16::new(0) }; 2];
const IS_THERE: u16 = 1 << 8;

fn set(register: u16, value: u8) {
    // SAFETY: the serial port does nothing to memory.
    unsafe { outb(register, value) }
}

fn get(register: u16) -> u8 {
    // SAFETY: as in `set`.
    unsafe { inb(register) }
}

/// 8 data bits, no parity, one stop bit, FIFOs on. The speed is the machine's own.
///
/// Switching FIFOs on empties the receiver. As long as they are off it has one byte, and further ones wait
/// outside until that is read. QEMU lets none in while transmitter and receiver are connected to each other, not
/// even when the one is read (`serial_ioport_read` in hw/char/serial.c): so nothing comes between the look
/// for that byte and the switch.
pub fn init() {
    set(LINE_CONTROL, 0x03);
    set(MODEM_CONTROL, LOOP);
    if is_readable() {
        keep(0, get(COM1));
    }
    set(FIFO_CONTROL, FIFOS_ON);
    set(MODEM_CONTROL, READY);
    // Reading is what lets the next one in. Nothing reads as 0.
    if !is_readable() {
        let byte = get(COM1);
        if byte != 0 {
            keep(1, byte);
        }
    }
}

fn keep(place: usize, byte: u8) {
    EARLY[place].store(IS_THERE | u16::from(byte), Relaxed);
}

/// Whether a byte has arrived.
fn is_readable() -> bool {
    let status = get(LINE_STATUS);
    status & DATA_READY != 0 && status != 0xff
}

/// The next byte that has arrived.
fn receive() -> Option<u8> {
    let early = EARLY.iter().map(|early| early.swap(0, Relaxed)).find(|early| *early != 0);
    early.map(|early| early as u8).or_else(|| is_readable().then(|| get(COM1)))
}

pub fn write(bytes: &[u8]) {
    for chunk in bytes.chunks(FIFO_LEN) {
        let mut wait = 0;
        while get(LINE_STATUS) & TRANSMITTER_EMPTY == 0 && wait < MAX_WAIT {
            wait += 1;
            core::hint::spin_loop();
        }
        for &byte in chunk {
            set(COM1, byte);
        }
    }
}

pub fn read(buf: &mut [u8]) -> usize {
    let mut len = 0;
    while let Some(slot) = buf.get_mut(len) {
        let Some(byte) = receive() else { break };
        *slot = byte;
        len += 1;
    }
    len
}
