//! What memory can be used for: the tender changes it when asked.

use core::ops::Range;
use core::sync::atomic::Ordering::Relaxed;

use hvt_abi::{Call, CallError, Rights as Allowed};
use ukplat::Platform;
use ukplat::memory::PAGE_SIZE;
use ukplat::rights::{Rights, RightsError};
use ukplat::vm::VmError;

use crate::start::PLACES;
use crate::{Hvt, call};

/// Bytes that one call changes at most.
const MOST: usize = Call::MAX_MEMORY as usize;

fn vm_error(error: CallError) -> VmError {
    match error {
        CallError::NoMemory => VmError::OutOfMemory,
        CallError::NoSuchCall => VmError::Unsupported,
        CallError::BadAddress | CallError::BadArgument | CallError::Busy => VmError::BadRange,
    }
}

/// Makes a page inaccessible, or accessible again; see [`ukplat::stack::guard`].
pub fn guard(page: usize, on: bool) -> bool {
    let rights = if on { Allowed::None } else { Allowed::Write };
    call::memory(Call::Protect, [page as u64, PAGE_SIZE as u64, rights as u64, 0]).is_ok()
}

/// See [`ukplat::rights::set`].
///
/// # Errors
/// [`RightsError::Denied`] for running code: the tender lets no memory become code; and for memory that
/// is no heap, whose rights stay as they are.
/// [`RightsError::Unsupported`] with several CPUs, which could remember what was allowed.
pub fn set_rights(at: usize, len: usize, rights: Rights) -> Result<(), RightsError> {
    if Hvt::cpu_count() > 1 {
        return Err(RightsError::Unsupported);
    }
    let allowed = match rights {
        Rights::None => Allowed::None,
        Rights::Read => Allowed::Read,
        Rights::Write => Allowed::Write,
        Rights::Execute | Rights::WriteExecute => return Err(RightsError::Denied),
    };
    let end = at.checked_add(len).ok_or(RightsError::Denied)?;
    for start in (at..end).step_by(MOST) {
        let arguments = [start as u64, MOST.min(end - start) as u64, allowed as u64, 0];
        call::memory(Call::Protect, arguments).map_err(rights_error)?;
    }
    Ok(())
}

/// Never [`RightsError::Unsupported`] for a range that the tender refuses: whoever asks for less rights
/// would take that for memory that cannot have less.
fn rights_error(error: CallError) -> RightsError {
    match error {
        CallError::NoMemory => RightsError::OutOfMemory,
        CallError::NoSuchCall => RightsError::Unsupported,
        CallError::BadAddress | CallError::BadArgument | CallError::Busy => RightsError::Denied,
    }
}

/// See [`ukplat::vm::window`].
pub fn window() -> Range<usize> {
    PLACES.window.0.load(Relaxed)..PLACES.window.1.load(Relaxed)
}

/// See [`ukplat::vm::prepare`]. All memory can be mapped a second time as it is; but it must be at
/// its first address, not itself an alias.
///
/// # Errors
/// [`VmError::Unsupported`] with several CPUs, which could remember what was revoked;
/// [`VmError::BadRange`].
pub fn prepare(base: usize, len: usize) -> Result<(), VmError> {
    if Hvt::cpu_count() > 1 {
        return Err(VmError::Unsupported);
    }
    let end = base.checked_add(len).ok_or(VmError::BadRange)?;
    let window = window();
    let outside = end <= window.start || base >= window.end;
    if (base | len) & (PAGE_SIZE - 1) == 0 && outside { Ok(()) } else { Err(VmError::BadRange) }
}

/// See [`ukplat::vm::alias`].
pub fn alias(at: usize, memory: usize, len: usize) -> Result<(), VmError> {
    let arguments = [at, memory, len, 0].map(|word| word as u64);
    call::memory(Call::Alias, arguments).map_err(vm_error)
}

/// See [`ukplat::vm::revoke`].
pub fn revoke(at: usize, len: usize) -> Result<(), VmError> {
    call::memory(Call::Revoke, [at as u64, len as u64, 0, 0]).map_err(vm_error)
}
