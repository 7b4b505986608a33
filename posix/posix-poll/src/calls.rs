//! The calls.

use alloc::sync::Arc;
use core::fmt::{self, Write};

use fdtab::TABLE;
use syscall_shim::{
    As, EpollEvents, EpollFlags, EpollOperation, Meaning, Plain, PollEvents, Raw, Returned,
    SignalSet, Traced, UserPtr, UserSliceMut, UserWord, syscall, with_mask,
};
use ukerrno::Errno;
use ukfile::fallible::with_list;
use ukfile::{Description, Events, OpenFlags};

use crate::epoll::{Edge, Epoll, Interest};
use crate::poll::{FEW, Wanted, poll as wait_for};
use crate::select::{DescriptorSet, select as wait_for_sets};

const SECOND: u64 = 1_000_000_000;

/// `struct pollfd`
#[derive(Clone, Copy, Debug, Plain)]
#[repr(C)]
struct PollFd {
    fd: i32,
    #[trace(PollEvents)]
    events: u16,
    #[trace(PollEvents)]
    found: u16,
}

fn after(nanoseconds: u64) -> u64 {
    ukplat::monotonic_ns().saturating_add(nanoseconds)
}

/// A time of milliseconds; negative is for ever.
fn milliseconds(timeout: i32) -> Option<u64> {
    u64::try_from(timeout).ok().map(|ms| after(ms * 1_000_000))
}

/// A time in seconds and parts of `SECOND / unit`; none is for ever.
fn parts(time: Option<UserPtr<[i64; 2]>>, unit: u64) -> Result<Option<u64>, Errno> {
    let Some([seconds, parts]) = time.map(UserPtr::read) else { return Ok(None) };
    let (Ok(seconds), Ok(parts)) = (u64::try_from(seconds), u64::try_from(parts)) else {
        return Err(Errno::EINVAL);
    };
    if unit == 1 && parts >= SECOND {
        return Err(Errno::EINVAL);
    }
    let nanoseconds = seconds.saturating_mul(SECOND).saturating_add(parts.saturating_mul(unit));
    Ok(Some(after(nanoseconds)))
}

fn poll_until(mut fds: UserSliceMut<'_, PollFd>, deadline: Option<u64>) -> Result<usize, Errno> {
    if fds.len() > TABLE.limit() {
        return Err(Errno::EINVAL);
    }
    with_list::<_, FEW, _>(fds.len(), Wanted::nothing, |list| {
        // Negative descriptors do not count; the others keep their order.
        let mut used = 0;
        for (one, place) in fds.iter().filter(|one| one.fd >= 0).zip(&mut *list) {
            let interest = Events::from_bits_truncate(one.events.into());
            *place = Wanted::new(TABLE.get(one.fd).ok(), interest);
            used += 1;
        }
        let list = &mut list[..used];
        let count = wait_for(list, deadline)?;
        let mut found = list.iter();
        for index in 0..fds.len() {
            let Some(one) = fds.get(index) else { break };
            let found = if one.fd < 0 { None } else { found.next() };
            let found = found.map_or(0, |one| one.found.bits() as u16);
            fds.set(index, PollFd { found, ..one });
        }
        Ok(count)
    })
}

/// Waits for files (poll(2)).
#[syscall]
fn poll(fds: UserSliceMut<'_, PollFd>, timeout: i32) -> Result<usize, Errno> {
    poll_until(fds, milliseconds(timeout))
}

/// The set of signals that a call blocks while it waits, if it has one.
fn mask(set: UserWord<'_>, size: usize) -> Result<Option<u64>, Errno> {
    match set.value() {
        0 => Ok(None),
        _ if size != size_of::<u64>() => Err(Errno::EINVAL),
        _ => Ok(Some(set.pointer::<u64>()?.read())),
    }
}

/// Waits for files, with other signals blocked (ppoll(2)).
#[syscall]
fn ppoll(
    fds: UserSliceMut<'_, PollFd>,
    timeout: Option<UserPtr<[i64; 2]>>,
    #[trace(Option<UserPtr<SignalSet>>)] set: UserWord<'_>,
    size: usize,
) -> Result<usize, Errno> {
    let deadline = parts(timeout, 1)?;
    with_mask(mask(set, size)?, || poll_until(fds, deadline))
}

/// Waits for files in sets (select(2)).
#[syscall]
fn select(
    count: i32,
    #[trace(As<DescriptorSet>)] read: UserWord<'_>,
    #[trace(As<DescriptorSet>)] write: UserWord<'_>,
    #[trace(As<DescriptorSet>)] except: UserWord<'_>,
    timeout: Option<UserPtr<[i64; 2]>>,
) -> Result<usize, Errno> {
    let deadline = parts(timeout, 1000)?;
    wait_for_sets(count, [read, write, except], deadline)
}

/// A set of signals and its size, as one argument: six words are all a call has.
#[derive(Clone, Copy, Debug, Plain)]
#[repr(C)]
struct SetWithSize {
    set: Raw<u64>,
    size: usize,
}

/// Waits for files in sets, with other signals blocked (pselect(2)).
#[syscall]
fn pselect6(
    count: i32,
    #[trace(As<DescriptorSet>)] read: UserWord<'_>,
    #[trace(As<DescriptorSet>)] write: UserWord<'_>,
    #[trace(As<DescriptorSet>)] except: UserWord<'_>,
    timeout: Option<UserPtr<[i64; 2]>>,
    signals: Option<UserPtr<SetWithSize>>,
) -> Result<usize, Errno> {
    let deadline = parts(timeout, 1)?;
    let mask = match signals.map(|signals| (signals.scope(), signals.read())) {
        Some((_, SetWithSize { set, .. })) if set.address() == 0 => None,
        Some((_, SetWithSize { size, .. })) if size != size_of::<u64>() => {
            return Err(Errno::EINVAL);
        }
        Some((scope, SetWithSize { set, .. })) => Some(set.pointer(scope)?.read()),
        None => None,
    };
    with_mask(mask, || wait_for_sets(count, [read, write, except], deadline))
}

const EXCLUSIVE: u32 = Events::EXCLUSIVE.bits();
const WAKE_UP: u32 = 1 << 29;
const ONE_SHOT: u32 = 1 << 30;
const EDGE: u32 = 1 << 31;
/// What may be asked for together with [`EXCLUSIVE`] (epoll_ctl(2)).
const WITH_EXCLUSIVE: u32 = Events::IN.bits()
    | Events::OUT.bits()
    | Events::ERROR.bits()
    | Events::HANG_UP.bits()
    | WAKE_UP
    | EDGE;

/// `struct epoll_event`: events, and data in two halves. It is packed, as on x86.
#[derive(Clone, Copy, Debug, Plain)]
#[repr(C)]
struct Event {
    #[trace(EpollEvents)]
    events: u32,
    data: [u32; 2],
}

/// What is watched; nothing when it is no longer.
enum OneEvent {}

impl Meaning for OneEvent {
    fn trace(word: UserWord<'_>, call: &Traced<'_>, out: &mut dyn Write) -> fmt::Result {
        match call.word(1) as i32 {
            REMOVE => word.trace_address(out),
            _ => word.trace_target::<Event>(out),
        }
    }
}

// Operations of `epoll_ctl`.
const ADD: i32 = 1;
const REMOVE: i32 = 2;
const MODIFY: i32 = 3;

/// Makes an instance (epoll_create1(2)).
#[syscall]
fn epoll_create1(#[trace(EpollFlags)] flags: u32) -> Result<i32, Errno> {
    let close_on_exec = match OpenFlags::from_bits_retain(flags) {
        OpenFlags::CLOSE_ON_EXEC => true,
        flags if flags.is_empty() => false,
        _ => return Err(Errno::EINVAL),
    };
    TABLE.insert(Description::new(Epoll::new()?, OpenFlags::READ_WRITE)?, close_on_exec)
}

/// Makes an instance (epoll_create(2)).
#[syscall]
fn epoll_create(size: i32) -> Result<i32, Errno> {
    if size <= 0 { Err(Errno::EINVAL) } else { epoll_create1(0) }
}

/// Watches a file, differently, or no longer (epoll_ctl(2)).
#[syscall]
fn epoll_ctl(
    epoll: i32,
    #[trace(EpollOperation)] operation: i32,
    fd: i32,
    #[trace(As<OneEvent>)] event: Option<UserPtr<Event>>,
) -> Result<(), Errno> {
    let (instance, file) = (TABLE.get(epoll)?, TABLE.get(fd)?);
    let same = Arc::ptr_eq(&instance, &file);
    let instance: &Epoll = instance.downcast().filter(|_| !same).ok_or(Errno::EINVAL)?;
    if operation == REMOVE {
        return instance.remove(fd, &file);
    }
    let Event { events: flags, data: [low, high] } = event.ok_or(Errno::EFAULT)?.read();
    let edge = match (flags & ONE_SHOT != 0, flags & EDGE != 0) {
        (true, _) => Edge::Once,
        (false, true) => Edge::Edge,
        (false, false) => Edge::Level,
    };
    let exclusive = flags & EXCLUSIVE != 0;
    if exclusive && (operation != ADD || flags & !(EXCLUSIVE | WITH_EXCLUSIVE) != 0) {
        return Err(Errno::EINVAL);
    }
    let events = Events::from_bits_truncate(flags & !(WAKE_UP | ONE_SHOT | EDGE));
    let data = u64::from(high) << 32 | u64::from(low);
    let interest = Interest { events, edge, data };
    match operation {
        ADD => instance.add(fd, &file, interest),
        MODIFY => instance.modify(fd, &file, interest),
        _ => Err(Errno::EINVAL),
    }
}

fn epoll_until(
    epoll: i32,
    events: UserWord<'_>,
    room: i32,
    deadline: Option<u64>,
) -> Result<usize, Errno> {
    let instance = TABLE.get(epoll)?;
    let instance: &Epoll = instance.downcast().ok_or(Errno::EINVAL)?;
    let room = usize::try_from(room).ok().filter(|&room| room > 0).ok_or(Errno::EINVAL)?;
    let mut memory: UserSliceMut<'_, Event> = events.slice_mut(room)?;
    let mut index = 0;
    instance.wait(room, deadline, |ready| {
        let data = [ready.data as u32, (ready.data >> 32) as u32];
        memory.set(index, Event { events: ready.events.bits(), data });
        index += 1;
    })
}

/// Waits for events (epoll_wait(2)).
#[syscall]
fn epoll_wait(
    epoll: i32,
    #[trace(As<Returned<Event>>)] events: UserWord<'_>,
    room: i32,
    timeout: i32,
) -> Result<usize, Errno> {
    epoll_until(epoll, events, room, milliseconds(timeout))
}

/// Waits for events, with other signals blocked (epoll_pwait(2)).
#[syscall]
fn epoll_pwait(
    epoll: i32,
    #[trace(As<Returned<Event>>)] events: UserWord<'_>,
    room: i32,
    timeout: i32,
    #[trace(Option<UserPtr<SignalSet>>)] set: UserWord<'_>,
    size: usize,
) -> Result<usize, Errno> {
    let deadline = milliseconds(timeout);
    with_mask(mask(set, size)?, || epoll_until(epoll, events, room, deadline))
}

/// Waits for events, with a time in nanoseconds (epoll_pwait2(2)).
#[syscall]
fn epoll_pwait2(
    epoll: i32,
    #[trace(As<Returned<Event>>)] events: UserWord<'_>,
    room: i32,
    timeout: Option<UserPtr<[i64; 2]>>,
    #[trace(Option<UserPtr<SignalSet>>)] set: UserWord<'_>,
    size: usize,
) -> Result<usize, Errno> {
    let deadline = parts(timeout, 1)?;
    with_mask(mask(set, size)?, || epoll_until(epoll, events, room, deadline))
}
