//! The queue, and the call by number where nobody has to wait for somebody else. Threads that do
//! are tested in images.

use syscall_shim::{Errno, call, nr};

use crate::queue::Queue;

const WAIT: i32 = 0;
const WAKE: i32 = 1;
const WAKE_OP: i32 = 5;
const LOCK_PI: i32 = 6;
const UNLOCK_PI: i32 = 7;
const TRYLOCK_PI: i32 = 8;
const WAIT_BITSET: i32 = 9;

/// Takes at most `count` waiters.
fn take(queue: &mut Queue<char>, address: usize, count: usize, bits: u32) -> Vec<char> {
    let mut some = vec![None; count];
    let taken = queue.take(address, bits, queue.end(), &mut some);
    assert!(some[..taken].iter().all(Option::is_some) && some[taken..].iter().all(Option::is_none));
    some.into_iter().flatten().collect()
}

#[test]
fn waiters_are_woken_in_order_and_by_their_bits() {
    let mut queue = Queue::new();
    let tickets: Vec<u64> = [(8, 1, 'a'), (4, 1, 'x'), (8, 2, 'b'), (8, 3, 'c')]
        .map(|(at, bits, who)| queue.add(at, bits, who).unwrap())
        .into();
    assert_eq!(take(&mut queue, 8, 1, 2), ['b']);
    assert!(!queue.waits(tickets[2]) && queue.waits(tickets[3]));
    assert_eq!(queue.requeue(8, 8, 5), 2, "to where they are");
    assert_eq!(queue.requeue(8, 4, 1), 1);
    assert_eq!(take(&mut queue, 8, 9, u32::MAX), ['c']);
    assert_eq!(queue.take(4, u32::MAX, tickets[1], &mut [None; 9]), 1, "those before a ticket");
    assert_eq!(take(&mut queue, 4, 9, u32::MAX), ['x']);
    let last = queue.add(8, 1, 'z').unwrap();
    assert!(queue.remove(last) && !queue.remove(last));
    assert!(take(&mut queue, 8, 9, u32::MAX).is_empty());
}

#[test]
fn the_greatest_waiter_is_the_first_of_equals() {
    let mut queue = Queue::new();
    for (address, who) in [(8, (1, 'a')), (8, (5, 'b')), (8, (5, 'c')), (4, (9, 'd'))] {
        assert!(queue.add(address, 1, who).is_ok());
    }
    assert_eq!(queue.count(8), 3);
    let (ticket, first) = queue.greatest(8, |(urgency, _)| *urgency).unwrap();
    assert_eq!(first, (5, 'b'));
    queue.remove(ticket);
    assert_eq!(queue.greatest(8, |(urgency, _)| *urgency).unwrap().1, (5, 'c'));
    assert_eq!(queue.greatest(7, |(urgency, _)| *urgency), None);
    assert_eq!(queue.all().count(), 3);
}

#[test]
fn locks_whose_word_names_the_owner() {
    let mut word = 0u32;
    let time = [0i64, 1];
    assert_eq!(call!(nr::futex, &word, LOCK_PI, 0, 0, 0, 0), Errno::ENOSYS.to_raw());
    // The caller is 7, and 9 is there too.
    static THREADS: crate::Threads =
        crate::Threads { current: || 7, exists: |number| [7, 9].contains(&number) };
    crate::set_threads(&THREADS);
    for operation in [LOCK_PI, TRYLOCK_PI] {
        word = 0;
        assert_eq!(call!(nr::futex, &mut word, operation, 0, 0, 0, 0), 0);
        assert_eq!(word, 7);
        assert_eq!(call!(nr::futex, &mut word, operation, 0, 0, 0, 0), Errno::EDEADLK.to_raw());
        assert_eq!(call!(nr::futex, &mut word, UNLOCK_PI, 0, 0, 0, 0), 0);
        assert_eq!(word, 0);
        // The owner ended.
        word = 1 << 30;
        assert_eq!(call!(nr::futex, &mut word, operation, 0, 0, 0, 0), 0);
        assert_eq!(word, 7 | 1 << 30);
        // No thread of this number.
        word = 8;
        assert_eq!(call!(nr::futex, &mut word, operation, 0, 0, 0, 0), Errno::ESRCH.to_raw());
    }
    word = 9;
    assert_eq!(call!(nr::futex, &mut word, UNLOCK_PI, 0, 0, 0, 0), Errno::EPERM.to_raw());
    assert_eq!(call!(nr::futex, &mut word, TRYLOCK_PI, 0, 0, 0, 0), Errno::EAGAIN.to_raw());
    assert_eq!(word, 9);
    assert_eq!(call!(nr::futex, &mut word, LOCK_PI, 0, &time, 0, 0), Errno::ETIMEDOUT.to_raw());
    assert_eq!(word, 9 | 1 << 31);
    let odd = &raw const word as usize + 1;
    assert_eq!(call!(nr::futex, odd, LOCK_PI, 0, 0, 0, 0), Errno::EINVAL.to_raw());
    assert_eq!(call!(nr::futex, &word, LOCK_PI, 0, &[0i64, -1], 0, 0), Errno::EINVAL.to_raw());
}

#[test]
fn waiting_ends_at_the_deadline() {
    let word = 3u32;
    let start = ukplat::monotonic_ns();
    let time = [0i64, 4_000_000];
    assert_eq!(call!(nr::futex, &word, WAIT, 3u32, &time, 0, 0), Errno::ETIMEDOUT.to_raw());
    assert!(ukplat::monotonic_ns() >= start + 4_000_000);
    assert_eq!(call!(nr::futex, &word, WAIT, 4u32, &time, 0, 0), Errno::EAGAIN.to_raw());
    // An absolute time that is over.
    assert_eq!(
        call!(nr::futex, &word, WAIT_BITSET, 3u32, &[0i64, 1], 0, 1u32),
        Errno::ETIMEDOUT.to_raw()
    );
    assert_eq!(call!(nr::futex, &word, WAIT_BITSET, 3u32, 0, 0, 0), Errno::EINVAL.to_raw());
    assert_eq!(call!(nr::futex, &word, WAIT, 3u32, &[0i64, -1], 0, 0), Errno::EINVAL.to_raw());
}

#[test]
fn wrong_arguments() {
    let words = [0u32; 2];
    let odd = words.as_ptr() as usize + 1;
    for operation in [WAIT, WAKE] {
        assert_eq!(call!(nr::futex, odd, operation, 0, 0, 0, 0), Errno::EINVAL.to_raw());
        assert_eq!(call!(nr::futex, 0, operation, 0, 0, 0, 0), Errno::EFAULT.to_raw());
    }
    assert_eq!(call!(nr::futex, &words[0], WAKE, -1, 0, 0, 0), 0);
    for operation in [11, 12, 99, WAKE | 256] {
        assert_eq!(call!(nr::futex, &words[0], operation, 0, 0, 0, 0), Errno::ENOSYS.to_raw());
    }
}

#[test]
fn the_second_word_of_wake_op() {
    let (first, mut second) = (0u32, 10u32);
    let code = |operation: u32, comparison: u32, argument: u32, against: u32| {
        operation << 28 | comparison << 24 | (argument & 0xfff) << 12 | (against & 0xfff)
    };
    for (operation, argument, expected) in
        [(0, 7, 7), (1, 5, 12), (1, 0xfff, 11), (2, 4, 15), (3, 8, 7), (4, 1, 6), (2 | 8, 4, 22)]
    {
        let code = code(operation, 0, argument, 0);
        assert_eq!(call!(nr::futex, &first, WAKE_OP, 1, 1usize, &mut second, code), 0);
        assert_eq!(second, expected, "operation {operation}");
    }
    assert_eq!(
        call!(nr::futex, &first, WAKE_OP, 1, 1usize, &mut second, code(5, 0, 0, 0)),
        Errno::ENOSYS.to_raw()
    );
    assert_eq!(
        call!(nr::futex, &first, WAKE_OP, 1, 1usize, &mut second, code(0, 9, 0, 0)),
        Errno::ENOSYS.to_raw()
    );
}
