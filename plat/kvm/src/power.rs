//! Ending the machine and telling the outside the exit code.

use ukarch_x86_64::regs::{halt, outb, outl, outw};
use ukplat::Exit;

/// `oxk run` puts a byte sink here (QEMU isa-debugcon): it receives the exit code.
const CODE_PORT: u16 = 0x500;
/// … and a device that ends QEMU (isa-debug-exit).
const EXIT_PORT: u16 = 0xf4;
/// Power-off register of QEMU q35 as its firmware sets it up (ACPI PM1a control).
const Q35_PM1A_CONTROL: u16 = 0x604;
const SLEEP_S5: u16 = 1 << 13;
/// Keyboard controller: the reset command, by which Firecracker ends.
const KEYBOARD_COMMAND: u16 = 0x64;
const KEYBOARD_RESET: u8 = 0xfe;

/// Reports the exit code and ends the machine, by the first way that it knows.
pub fn off(exit: Exit) -> ! {
    // SAFETY: nothing runs after this; each write ends the machine or goes nowhere.
    unsafe {
        outb(CODE_PORT, exit.code());
        outl(EXIT_PORT, 0);
        outw(Q35_PM1A_CONTROL, SLEEP_S5);
        outb(KEYBOARD_COMMAND, KEYBOARD_RESET);
    }
    halt()
}
