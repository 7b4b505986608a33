//! Checks of parking, waking, deadlines and idling.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use core::time::Duration;

use ukplat::println;
use uksched::{Wakeup, current, park, sleep_until, spawn, yield_now};
use uktest::{Check, ensure};
use uktime::Instant;

pub const CHECKS: [Check; 6] = [
    ("a token that comes first is kept", early_token),
    ("two threads wake each other", ping_pong),
    ("deadlines end waiting, not too early", deadlines),
    ("sleepers wake in the order of their deadlines", sleepers),
    ("sleep keeps tokens", sleeping_keeps_tokens),
    ("timeouts and wake-ups at the same time lose nothing", races),
];

fn after(duration: Duration) -> u64 {
    ukplat::monotonic_ns() + duration.as_nanos() as u64
}

fn early_token() -> Result<(), &'static str> {
    current().unpark();
    current().unpark();
    ensure(park(None) == Wakeup::Token, "there was no token")?;
    let again = park(Some(after(Duration::from_millis(1))));
    ensure(again == Wakeup::TimedOut, "two tokens were kept")
}

fn ping_pong() -> Result<(), &'static str> {
    const ROUNDS: u32 = 20_000;
    let turn = Arc::new(AtomicU32::new(0));
    let (main, shared) = (current(), turn.clone());
    let other = spawn("pong", move || {
        for _ in 0..ROUNDS {
            while shared.load(SeqCst) % 2 == 0 {
                park(None);
            }
            shared.fetch_add(1, SeqCst);
            main.unpark();
        }
    })
    .map_err(|_| "no thread")?;
    let start = Instant::now();
    for _ in 0..ROUNDS {
        turn.fetch_add(1, SeqCst);
        other.thread().unpark();
        while turn.load(SeqCst) % 2 == 1 {
            park(None);
        }
    }
    println!("        woken and back in {} ns", start.elapsed().as_nanos() / u128::from(ROUNDS));
    other.join().map_err(|_| "it ended early")?;
    ensure(turn.load(SeqCst) == 2 * ROUNDS, "a turn is missing")
}

fn deadlines() -> Result<(), &'static str> {
    for ms in [0, 1, 3, 10] {
        let start = Instant::now();
        let wanted = Duration::from_millis(ms);
        let deadline = after(wanted);
        while park(Some(deadline)) == Wakeup::Token {}
        ensure(start.elapsed() >= wanted, "it woke too early")?;
        ensure(start.elapsed() < wanted + Duration::from_secs(2), "it woke far too late")?;
    }
    ensure(park(Some(1)) == Wakeup::TimedOut, "a deadline in the past")
}

fn sleepers() -> Result<(), &'static str> {
    const SLEEPERS: u64 = 200;
    let order = Arc::new(AtomicU64::new(0));
    let base = after(Duration::from_millis(50));
    let handles: Vec<_> = (0..SLEEPERS)
        .map(|i| {
            let order = order.clone();
            // Made in another order than that of the deadlines.
            let place = i * 77 % SLEEPERS;
            spawn("sleeper", move || {
                let began = ukplat::monotonic_ns();
                sleep_until(base + place * 200_000);
                let early = ukplat::monotonic_ns() < base + place * 200_000;
                (place, order.fetch_add(1, SeqCst), early, began >= base)
            })
        })
        .collect::<Result<_, _>>()
        .map_err(|_| "no thread")?;
    let (mut misplaced, mut too_late) = (0, false);
    for handle in handles {
        let (place, woken, early, late) = handle.join().map_err(|_| "it ended early")?;
        ensure(!early, "one woke too early")?;
        misplaced += u64::from(place != woken);
        too_late |= late;
    }
    if too_late {
        // The machine was busy with something else: they did not all sleep at the same time.
        return Ok(());
    }
    // Several CPUs have clocks and queues of their own.
    ensure(misplaced == 0 || uksched::cpus() > 1 || uksched::is_preemptive(), "the order is wrong")
}

fn sleeping_keeps_tokens() -> Result<(), &'static str> {
    let main = current();
    let waker = spawn("waker", move || main.unpark()).map_err(|_| "no thread")?;
    let (start, wanted) = (Instant::now(), Duration::from_millis(5));
    sleep_until(after(wanted));
    ensure(start.elapsed() >= wanted, "a token ended the sleep")?;
    ensure(park(Some(after(Duration::from_secs(5)))) == Wakeup::Token, "the token is lost")?;
    waker.join().map_err(|_| "it ended early")
}

fn races() -> Result<(), &'static str> {
    let counter = Arc::new(AtomicU32::new(0));
    let shared = counter.clone();
    let waiter = spawn("waiter", move || {
        let (mut tokens, mut timeouts) = (0u32, 0u32);
        while shared.load(SeqCst) < 400 {
            match park(Some(after(Duration::from_micros(50)))) {
                Wakeup::Token => tokens += 1,
                Wakeup::TimedOut => timeouts += 1,
            }
        }
        (tokens, timeouts)
    })
    .map_err(|_| "no thread")?;
    for i in 0..400u64 {
        counter.fetch_add(1, SeqCst);
        waiter.thread().unpark();
        sleep_until(after(Duration::from_nanos(20_000 + i * 150)));
    }
    let (tokens, timeouts) = waiter.join().map_err(|_| "it ended early")?;
    ensure(tokens > 0, "no token came")?;
    ensure(timeouts > 0 || tokens >= 300, "neither tokens nor timeouts")?;
    yield_now();
    Ok(())
}

/// Many threads wait for `time`; nothing else happens.
pub fn idle(time: Duration) -> u8 {
    let until = after(time);
    for _ in 0..20 {
        if spawn("idler", move || sleep_until(until)).is_err() {
            return 1;
        }
    }
    sleep_until(until + 1_000_000);
    0
}
