//! Call chains by frame pointers; code is compiled with `-C force-frame-pointers`.

use core::ops::Range;

/// The frame pointer of the caller.
#[inline(always)]
pub fn frame_pointer() -> usize {
    let frame: usize;
    // SAFETY: copies a register.
    unsafe { core::arch::asm!("mov {}, rbp", out(reg) frame, options(nomem, nostack)) };
    frame
}

/// Visits the return addresses of the frames that start at `frame`, innermost first.
///
/// A frame is the saved frame pointer of the caller and, above it, the return address (x86-64
/// psABI section 3.2.2). The walk ends at a frame pointer that is not aligned, not inside `stack`
/// or not above the one before, so damaged stacks end it and never make it run in a circle.
///
/// # Safety
/// All of `stack` must be readable.
pub unsafe fn walk(mut frame: usize, stack: Range<usize>, visit: &mut dyn FnMut(usize)) {
    let mut lowest = stack.start;
    while frame.is_multiple_of(8) && frame >= lowest && frame.saturating_add(16) <= stack.end {
        // SAFETY: both words lie inside `stack`, which is readable; 8-byte alignment was checked.
        let [caller, return_address] = unsafe { *(frame as *const [usize; 2]) };
        if return_address == 0 {
            return;
        }
        visit(return_address);
        lowest = frame + 16;
        frame = caller;
    }
}

/// The registers that a call chain starts from.
#[derive(Clone, Copy, Debug)]
pub struct Registers {
    /// `rip`.
    pub instruction_pointer: usize,
    /// `rbp`.
    pub frame_pointer: usize,
    /// `rsp`.
    pub stack_pointer: usize,
}

/// Visits the code addresses of the call chain that ended in a fault: the instruction, then the
/// return addresses as by [`walk`].
///
/// When the instruction itself could not be fetched (`bad_fetch`), the code came there by a call
/// and has not made a frame yet: its return address is the word at the stack pointer.
///
/// # Safety
/// All of `stack` must be readable.
pub unsafe fn walk_fault(
    at: Registers,
    bad_fetch: bool,
    stack: Range<usize>,
    visit: &mut dyn FnMut(usize),
) {
    visit(at.instruction_pointer);
    let top = at.stack_pointer;
    let readable = top.is_multiple_of(8) && top >= stack.start && top < stack.end;
    if bad_fetch && readable {
        // SAFETY: the aligned word lies inside `stack`, which is readable.
        visit(unsafe { *(top as *const usize) });
    }
    // SAFETY: as above.
    unsafe { walk(at.frame_pointer, stack, visit) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_into_nowhere_shows_the_caller() {
        let mut words = [0usize; 12];
        let at = |i: usize, words: &[usize; 12]| words.as_ptr() as usize + i * 8;
        (words[1], words[4], words[5]) = (0x11, 0, 0x22);
        let registers = Registers {
            instruction_pointer: 0x10,
            frame_pointer: at(4, &words),
            stack_pointer: at(1, &words),
        };
        let stack = at(0, &words)..at(0, &words) + size_of_val(&words);
        let trace = |bad_fetch, stack_pointer| {
            let mut seen = Vec::new();
            let registers = Registers { stack_pointer, ..registers };
            // SAFETY: the range is the array itself.
            unsafe { walk_fault(registers, bad_fetch, stack.clone(), &mut |a| seen.push(a)) };
            seen
        };
        assert_eq!(trace(true, at(1, &words)), [0x10, 0x11, 0x22]);
        assert_eq!(trace(false, at(1, &words)), [0x10, 0x22]); // a data access
        assert_eq!(trace(true, at(1, &words) + 1), [0x10, 0x22]); // damaged stack pointers
        assert_eq!(trace(true, stack.end), [0x10, 0x22]);
        assert_eq!(trace(true, stack.start - 8), [0x10, 0x22]);
    }

    fn trace(words: &[usize], frame: usize) -> Vec<usize> {
        let start = words.as_ptr() as usize;
        let mut seen = Vec::new();
        // SAFETY: the range is the slice itself.
        unsafe { walk(frame, start..start + size_of_val(words), &mut |a| seen.push(a)) };
        seen
    }

    #[test]
    fn follows_frames_and_stops_at_damage() {
        let mut words = [0usize; 12];
        let at = |i: usize, words: &[usize; 12]| words.as_ptr() as usize + i * 8;
        (words[0], words[1]) = (at(4, &words), 0x11);
        (words[4], words[5]) = (at(8, &words), 0x22);
        (words[8], words[9]) = (0, 0x33);
        let start = at(0, &words);
        assert_eq!(trace(&words, start), [0x11, 0x22, 0x33]);
        words[4] = start; // a circle
        assert_eq!(trace(&words, start), [0x11, 0x22]);
        words[4] = start + 33; // not aligned
        assert_eq!(trace(&words, start), [0x11, 0x22]);
        words[4] = usize::MAX - 7; // outside
        assert_eq!(trace(&words, start), [0x11, 0x22]);
        assert_eq!(trace(&words, 0), []);
    }
}
