//! The machine's power button. Who runs the machine presses it to ask the image to stop.

use core::cell::UnsafeCell;

use ukarch_x86_64::page_table::PAGE;
use ukarch_x86_64::regs::{inw, outb, outw};
use ukplat::device::InterruptHandler;
use ukplat::stop;

use crate::acpi::PowerButton;
use crate::interrupts;

/// The button in fixed registers (ACPI specification 6.5, table 4.11).
const FIXED_BUTTON: u16 = 1 << 8;
/// The button among QEMU's events.
const EVENT_BUTTON: u32 = 1 << 1;

struct Button(UnsafeCell<Option<PowerButton>>);
// SAFETY: written once, by `found` on the only CPU, before anything else runs.
unsafe impl Sync for Button {}

static BUTTON: Button = Button(UnsafeCell::new(None));

/// Notes where the button is; on the only CPU, before anything else runs. Registers that are
/// [returned](registers) must be mapped at their address before [`listen`].
pub fn found(button: Option<PowerButton>) {
    let is_usable = |button: &PowerButton| match button {
        PowerButton::Event { selector, .. } => *selector != 0 && selector % 4 == 0,
        PowerButton::Fixed { .. } => true,
    };
    let button = button.filter(is_usable);
    // SAFETY: nobody else runs, and no reference is kept.
    unsafe { *BUTTON.0.get() = button };
}

fn button() -> Option<PowerButton> {
    // SAFETY: not written any more when anything else runs.
    unsafe { *BUTTON.0.get() }
}

/// The page of the button's registers, if it has some in memory.
pub fn registers() -> Option<u64> {
    match button()? {
        PowerButton::Event { selector, .. } => Some(selector & !(PAGE - 1)),
        PowerButton::Fixed { .. } => None,
    }
}

/// From here on the button asks the image to stop.
pub fn listen() {
    match button() {
        None => {}
        Some(PowerButton::Event { line, .. }) => {
            interrupts::line(line, &BUTTON);
        }
        Some(PowerButton::Fixed { status, enable, line, takeover }) => {
            if !interrupts::line(line, &BUTTON) {
                return;
            }
            // SAFETY: the registers of power management do nothing to memory.
            unsafe {
                if let Some((port, value)) = takeover {
                    outb(port, value);
                }
                outw(status, FIXED_BUTTON);
                outw(enable, FIXED_BUTTON);
            }
        }
    }
}

impl Button {
    /// Whether the button was pressed since the last call.
    fn was_pressed(&self) -> bool {
        match button() {
            None => false,
            // SAFETY: as in `listen`; the bit is cleared so that the line falls and can rise again.
            Some(PowerButton::Fixed { status, .. }) => unsafe {
                let pressed = inw(status) & FIXED_BUTTON != 0;
                outw(status, FIXED_BUTTON);
                pressed
            },
            Some(PowerButton::Event { selector, .. }) => {
                // SAFETY: `start` mapped the register, and reading it does nothing to memory.
                let events = unsafe { (selector as *const u32).read_volatile() };
                events & EVENT_BUTTON != 0
            }
        }
    }
}

impl InterruptHandler for Button {
    fn interrupt(&self) {
        if self.was_pressed() {
            stop::request();
        }
    }
}
