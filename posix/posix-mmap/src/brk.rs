//! The end of the data segment, in an area of its own.

use syscall_shim::{Address, syscall};
use uklock::Mutex;

use crate::calls::SPACE;
use crate::{PAGE, memory};

/// Pages of the area, taken when it is first asked for.
const PAGES: usize = 64;

/// Start of the area, 0 before there is one, and the end of what is used.
static AREA: Mutex<(usize, usize)> = Mutex::new((0, 0));

/// Sets the end of the data segment, or tells it when the address is none in the area (brk(2)).
/// For programs with a heap of their own; that of the C library does not need it.
#[syscall]
fn brk(#[trace(Address)] address: usize) -> usize {
    let mut area = AREA.lock();
    if area.0 == 0 {
        let Some(start) = memory::take(PAGES) else { return 0 };
        // Its protection can be changed as that of any mapping.
        if SPACE.lock().insert(start, PAGES, memory::READ_WRITE).is_err() {
            // SAFETY: it was just taken, and nobody knows it.
            unsafe { memory::give_back(start, PAGES) };
            return 0;
        }
        *area = (start, start);
    }
    let (start, end) = *area;
    if (start..=start + PAGES * PAGE).contains(&address) {
        if address < end {
            // SAFETY: the area is ours; the program gives this part back.
            unsafe { memory::clear(address, end) };
        }
        area.1 = address;
    }
    area.1
}
