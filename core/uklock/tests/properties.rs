//! Any sequence of operations that do not wait, compared with the simplest thing that is right.
#![cfg(not(feature = "model"))]

use proptest::prelude::*;
use uklock::{Mutex, ReentrantMutex, RwLock, Semaphore, SeqLock};

proptest! {
    #[test]
    fn rwlock_as_counted(ops in proptest::collection::vec(0..5u8, 0..60)) {
        let lock = RwLock::new(());
        let (mut readers, mut writer) = (Vec::new(), None);
        for op in ops {
            match op {
                0 => {
                    let got = lock.try_read();
                    prop_assert_eq!(got.is_some(), writer.is_none());
                    readers.extend(got);
                }
                1 => {
                    let got = lock.try_write();
                    prop_assert_eq!(got.is_some(), writer.is_none() && readers.is_empty());
                    writer = writer.or(got);
                }
                2 => drop(readers.pop()),
                3 => writer = None,
                _ => readers.extend(writer.take().map(|w: uklock::RwLockWriteGuard<'_, _>| w.downgrade())),
            }
        }
    }

    #[test]
    fn mutexes_as_flags(ops in proptest::collection::vec(any::<bool>(), 0..60)) {
        let (plain, recursive) = (Mutex::new(()), ReentrantMutex::new(()));
        let (mut held, mut depth) = (None, Vec::new());
        for lock in ops {
            if lock {
                let got = plain.try_lock();
                prop_assert_eq!(got.is_some(), held.is_none());
                held = held.or(got);
                depth.push(recursive.try_lock().expect("own"));
            } else {
                held = None;
                depth.pop();
            }
        }
    }

    #[test]
    fn semaphore_as_number(start in 0..4usize, ops in proptest::collection::vec(any::<bool>(), 0..60)) {
        let (semaphore, mut permits) = (Semaphore::new(start), start);
        for release in ops {
            if release {
                semaphore.release();
                permits += 1;
            } else {
                prop_assert_eq!(semaphore.try_acquire(), permits > 0);
                permits = permits.saturating_sub(1);
            }
            prop_assert_eq!(semaphore.permits(), permits);
        }
    }

    #[test]
    fn seqlock_of_any_size(a in any::<[u8; 29]>(), b in any::<[u16; 3]>(), c in any::<(u64, u8)>()) {
        prop_assert_eq!(SeqLock::new(a).read(), a);
        let small = SeqLock::new([0; 3]);
        small.write(b);
        prop_assert_eq!(small.read(), b);
        let word = SeqLock::new(c.0);
        word.update(|word| *word = word.rotate_left(u32::from(c.1)));
        prop_assert_eq!(word.read(), c.0.rotate_left(u32::from(c.1)));
    }
}
