//! What a process can say about itself.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicI32, Ordering::Relaxed};

use syscall_shim::{
    As, Errno, Meaning, Plain, PrctlOperation, Signal, Traced, UserPtr, UserWord, syscall,
};

// Operations, from `linux/prctl.h`.
const SET_PDEATHSIG: i32 = 1;
const GET_PDEATHSIG: i32 = 2;
const GET_DUMPABLE: i32 = 3;
const SET_DUMPABLE: i32 = 4;
const SET_NAME: i32 = 15;
const GET_NAME: i32 = 16;
const SET_NO_NEW_PRIVS: i32 = 38;
const GET_NO_NEW_PRIVS: i32 = 39;

/// Signals that can be named, from 0 for none.
const SIGNALS: usize = 65;
/// Bytes of a name with its zero byte.
const NAME_LEN: usize = 16;

static DEATH_SIGNAL: AtomicI32 = AtomicI32::new(0);
static DUMPABLE: AtomicI32 = AtomicI32::new(1);
static NO_NEW_PRIVILEGES: AtomicI32 = AtomicI32::new(0);

/// See prctl(2): the operations that are about the process or the calling thread alone. Others fail with `EINVAL`, as
/// those of other systems do.
#[syscall]
fn prctl(
    #[trace(PrctlOperation)] operation: i32,
    #[trace(As<PrctlArgument>)] argument: UserWord,
    #[trace(As<Further>)] b: usize,
    #[trace(As<Further>)] c: usize,
    #[trace(As<Further>)] d: usize,
) -> Result<i32, Errno> {
    let value = argument.value();
    match operation {
        SET_PDEATHSIG if value < SIGNALS => DEATH_SIGNAL.store(value as i32, Relaxed),
        GET_PDEATHSIG => argument.pointer()?.write(DEATH_SIGNAL.load(Relaxed)),
        GET_DUMPABLE => return Ok(DUMPABLE.load(Relaxed)),
        SET_DUMPABLE if value < 2 => DUMPABLE.store(value as i32, Relaxed),
        SET_NAME => set_name(argument)?,
        GET_NAME => {
            let place: UserPtr<'_, [u8; NAME_LEN]> = argument.pointer()?;
            place.write(posix_thread::name_of(0)?);
        }
        SET_NO_NEW_PRIVS if [value, b, c, d] == [1, 0, 0, 0] => {
            NO_NEW_PRIVILEGES.store(1, Relaxed);
        }
        GET_NO_NEW_PRIVS if [value, b, c, d] == [0; 4] => {
            return Ok(NO_NEW_PRIVILEGES.load(Relaxed));
        }
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

/// What an operation is about.
enum PrctlArgument {}

impl Meaning for PrctlArgument {
    fn trace(word: UserWord<'_>, call: &Traced<'_>, out: &mut dyn Write) -> fmt::Result {
        match call.before() as i32 {
            SET_NAME => match text(word) {
                Ok(name) => name.trace(out),
                Err(_) => word.trace_address(out),
            },
            GET_NAME if call.has_succeeded() => word.trace_target::<[u8; NAME_LEN]>(out),
            GET_PDEATHSIG if call.has_succeeded() => word.trace_target::<Signal>(out),
            GET_NAME | GET_PDEATHSIG => word.trace_address(out),
            SET_PDEATHSIG => Signal(word.value() as i32).trace(out),
            GET_DUMPABLE => Ok(()),
            _ => write!(out, "{}", word.value()),
        }
    }
}

/// The other arguments, of operations that have them.
enum Further {}

impl Meaning for Further {
    fn trace(word: UserWord<'_>, call: &Traced<'_>, out: &mut dyn Write) -> fmt::Result {
        match call.word(0) as i32 {
            SET_PDEATHSIG..=SET_DUMPABLE | SET_NAME | GET_NAME => Ok(()),
            _ => write!(out, "{}", word.value()),
        }
    }
}

/// Gives the calling thread a name.
fn set_name(name: UserWord<'_>) -> Result<(), Errno> {
    posix_thread::set_name_of(0, &text(name)?)
}

/// A name up to its zero byte, as far as there is room.
fn text(name: UserWord<'_>) -> Result<[u8; NAME_LEN], Errno> {
    let mut kept = [0; NAME_LEN];
    for (index, place) in kept[..NAME_LEN - 1].iter_mut().enumerate() {
        // Byte by byte: the text may end where memory does.
        let byte = name.slice::<u8>(index + 1)?.get(index).unwrap_or(0);
        if byte == 0 {
            break;
        }
        *place = byte;
    }
    Ok(kept)
}
