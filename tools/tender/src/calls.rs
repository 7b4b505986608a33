//! What the guest asks for. Nothing of a call is believed: numbers, addresses and lengths are read
//! once and checked.

use hvt_abi::cpu_page::{ARGUMENT_COUNT, ARGUMENTS, CALL, PENDING, PENDING_CPU, RESULT, STATUS};
use hvt_abi::{Call, CallError, NEVER, PAGE, Range, Rights, Stream};

use crate::console::Input;
use crate::guest::{Guest, Start};
use crate::kick;
use crate::layout::{self, LARGE_PAGE, Part, WINDOW};
use crate::memory::Tables;
use crate::paging::{AddressSpace, Bits, Changes, USER_LIMIT};

/// Bytes of one call at most: the guest asks again for the rest.
const MAX_CONSOLE: u64 = 16 << 10;

/// How a call comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Through the doorbell.
    Doorbell,
    /// Through the gate.
    Gate,
}

fn word(guest: &Guest, cpu: usize, index: usize) -> u64 {
    guest.ram.word(guest.cpu_page(cpu) + 8 * index as u64)
}

fn set_word(guest: &Guest, cpu: usize, index: usize, value: u64) {
    guest.ram.set_word(guest.cpu_page(cpu) + 8 * index as u64, value);
}

/// Carries out what a CPU's page asks for; returns the changes of page tables that the CPU must
/// repeat. Does not return when that is the end.
pub fn handle(guest: &Guest, cpu: usize, way: Way) -> Changes {
    let number = word(guest, cpu, CALL);
    let arguments: [u64; ARGUMENT_COUNT] = std::array::from_fn(|i| word(guest, cpu, ARGUMENTS + i));
    let call = Call::from_number(number).filter(|c| c.is_memory() == (way == Way::Gate));
    let mut changes = Changes::default();
    let result = match call {
        Some(call) if call.is_memory() => {
            let mut space = guest.space();
            let result = change_memory(guest, &mut space, call, arguments);
            changes = space.take_changes();
            result
        }
        Some(call) => carry_out(guest, cpu, call, arguments),
        None => Err(CallError::NoSuchCall),
    };
    let (status, value) = match result {
        Ok(value) => (0, value),
        Err(error) => (error as u64, 0),
    };
    set_word(guest, cpu, RESULT, value);
    set_word(guest, cpu, STATUS, status);
    changes
}

fn carry_out(
    guest: &Guest,
    cpu: usize,
    call: Call,
    [a, b, c, d]: [u64; ARGUMENT_COUNT],
) -> Result<u64, CallError> {
    let limit = |ns: u64| (ns != NEVER).then_some(ns.min(i64::MAX as u64));
    match call {
        Call::Exit => guest.end(a as u8),
        Call::ConsoleWrite => {
            let stream = match a {
                0 => Stream::Out,
                1 => Stream::Err,
                _ => return Err(CallError::BadArgument),
            };
            let mut bytes = vec![0; c.min(MAX_CONSOLE) as usize];
            guest.read(b, &mut bytes)?;
            guest.console.write(stream, &bytes);
            Ok(bytes.len() as u64)
        }
        Call::ConsoleRead => {
            // Not taken from the console unless the guest can have it.
            let mut bytes = vec![0; b.min(MAX_CONSOLE) as usize];
            guest.write(a, &bytes)?;
            let input = guest.console.read(&mut bytes);
            guest.kicks[cpu].await_input(input == Input::None);
            match input {
                Input::Bytes(len) => {
                    guest.write(a, &bytes[..len])?;
                    Ok(len as u64)
                }
                Input::None => Ok(0),
                Input::Ended => Ok(Call::INPUT_ENDED),
            }
        }
        Call::Wait => {
            // One may have come after the guest looked and before it called.
            if word(guest, cpu, PENDING) == 0 {
                guest.kicks[cpu].wait(limit(a));
            }
            Ok(0)
        }
        Call::Timer => {
            kick::set_timer(limit(a));
            Ok(0)
        }
        Call::Random => {
            if b > Call::MAX_RANDOM {
                return Err(CallError::BadArgument);
            }
            let mut bytes = vec![0; b as usize];
            random(&mut bytes);
            guest.write(a, &bytes)?;
            Ok(b)
        }
        Call::WallClock => Ok(wall_ns()),
        Call::CpuStart => {
            let other = usize::try_from(a).ok().and_then(|cpu| guest.starts.get(cpu));
            let other = other.ok_or(CallError::BadArgument)?;
            if b >= USER_LIMIT || c >= USER_LIMIT {
                return Err(CallError::BadAddress);
            }
            let start = Start { rip: b, rsp: c, argument: d };
            if other.call(start) { Ok(0) } else { Err(CallError::Busy) }
        }
        Call::CpuInterrupt => {
            let other = usize::try_from(a).ok().and_then(|cpu| guest.kicks.get(cpu));
            other.ok_or(CallError::BadArgument)?.interrupt(PENDING_CPU);
            Ok(0)
        }
        Call::Protect | Call::Alias | Call::Revoke => Err(CallError::NoSuchCall),
    }
}

fn change_memory(
    guest: &Guest,
    space: &mut AddressSpace<Tables>,
    call: Call,
    [a, b, c, _]: [u64; ARGUMENT_COUNT],
) -> Result<u64, CallError> {
    match call {
        Call::Protect => protect(guest, space, a, b, Rights::from_number(c)),
        Call::Alias => alias(guest, space, a, b, c),
        Call::Revoke => revoke(guest, space, a, b),
        _ => Err(CallError::NoSuchCall),
    }
}

fn whole_pages(address: u64, len: u64) -> Result<(), CallError> {
    let good = len > 0 && len <= Call::MAX_MEMORY && (address | len).is_multiple_of(PAGE);
    if good { Ok(()) } else { Err(CallError::BadArgument) }
}

fn protect(
    guest: &Guest,
    space: &mut AddressSpace<Tables>,
    address: u64,
    len: u64,
    rights: Option<Rights>,
) -> Result<u64, CallError> {
    whole_pages(address, len)?;
    let rights = rights.ok_or(CallError::BadArgument)?;
    // Everything is looked at before anything is done.
    let parts = layout::changeable(|| guest.layout.pieces(), address, len);
    for Part { address, physical, len } in parts.ok_or(CallError::BadAddress)? {
        let done = match rights {
            Rights::None => space.unmap(address, len),
            Rights::Read => space.map(address, physical, len, Bits::READ),
            Rights::Write => space.map(address, physical, len, Bits::WRITE),
        };
        done.map_err(|_| CallError::NoMemory)?;
    }
    Ok(0)
}

fn in_window(at: u64, len: u64) -> Result<(), CallError> {
    whole_pages(at, len)?;
    if WINDOW.contains(at, len) { Ok(()) } else { Err(CallError::BadAddress) }
}

/// With one CPU only: others could still use tables that are taken back.
fn alias(
    guest: &Guest,
    space: &mut AddressSpace<Tables>,
    at: u64,
    memory: u64,
    len: u64,
) -> Result<u64, CallError> {
    in_window(at, len)?;
    if guest.cpus() > 1 {
        return Err(CallError::NoSuchCall);
    }
    let memory_of =
        |address: u64| guest.layout.heap.iter().find_map(|piece| piece.changeable(address, PAGE));
    let pages = || (0..len).step_by(PAGE as usize);
    for offset in pages() {
        if memory_of(memory.wrapping_add(offset)).is_none() || !memory.is_multiple_of(PAGE) {
            return Err(CallError::BadAddress);
        }
        if space.translate(at + offset, false).is_some() {
            return Err(CallError::Busy);
        }
    }
    for offset in pages() {
        let physical = memory_of(memory.wrapping_add(offset)).unwrap_or_default();
        if space.map(at + offset, physical, PAGE, Bits::WRITE).is_err() {
            // What was mapped before needs no table to be unmapped.
            let _ = space.unmap(at, offset);
            tidy(space, at, offset);
            return Err(CallError::NoMemory);
        }
    }
    Ok(0)
}

fn revoke(
    guest: &Guest,
    space: &mut AddressSpace<Tables>,
    at: u64,
    len: u64,
) -> Result<u64, CallError> {
    in_window(at, len)?;
    if guest.cpus() > 1 {
        return Err(CallError::NoSuchCall);
    }
    if (0..len).step_by(PAGE as usize).any(|o| space.translate(at + o, false).is_none()) {
        return Err(CallError::BadAddress);
    }
    space.unmap(at, len).map_err(|_| CallError::NoMemory)?;
    tidy(space, at, len);
    Ok(0)
}

/// Takes back tables in which nothing is left.
fn tidy(space: &mut AddressSpace<Tables>, at: u64, len: u64) {
    let end = Range { start: at, len }.end();
    for address in (at & !(LARGE_PAGE - 1)..end).step_by(LARGE_PAGE as usize) {
        space.tidy(address);
    }
}

/// Fills a buffer with random bytes of the host.
pub fn random(bytes: &mut [u8]) {
    let mut done = 0;
    while done < bytes.len() {
        let rest = &mut bytes[done..];
        // SAFETY: the kernel writes at most `len` bytes into a live slice.
        let got = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
        done += usize::try_from(got).unwrap_or(0);
    }
}

/// Wall-clock time in nanoseconds.
pub fn wall_ns() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| now.as_nanos() as u64)
}
