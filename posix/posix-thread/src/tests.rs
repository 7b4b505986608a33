//! The calls by number, as a program makes them.

use syscall_shim::{Errno, call, nr};

#[test]
fn identity_of_the_first_thread() {
    assert_eq!(call!(nr::gettid), 1);
    let mut place = 5i32;
    assert_eq!(call!(nr::set_tid_address, &mut place), 1);
    assert_eq!(place, 5);
    assert_eq!(call!(nr::set_robust_list, 0, 24usize), 0);
    assert_eq!(call!(nr::set_robust_list, 0, 23usize), Errno::EINVAL.to_raw());
    assert_eq!(call!(nr::sched_yield), 0);
    let (mut head, mut len) = (5usize, 5usize);
    assert_eq!(call!(nr::get_robust_list, 0, &mut head, &mut len), 0);
    assert_eq!((head, len), (0, 24));
    assert_eq!(call!(nr::get_robust_list, 9, &mut head, &mut len), Errno::ESRCH.to_raw());
    // Global, private, and registration.
    assert_eq!(call!(nr::membarrier, 0, 0), 25);
    for command in [1, 8, 16] {
        assert_eq!(call!(nr::membarrier, command, 0), 0);
    }
    assert_eq!(call!(nr::membarrier, 2, 0), Errno::EINVAL.to_raw());
    assert_eq!(call!(nr::membarrier, 1, 1), Errno::EINVAL.to_raw());
}

#[test]
fn the_thread_pointer_can_be_asked_for() {
    let mut pointer = 0usize;
    assert_eq!(call!(nr::arch_prctl, 0x1003, &mut pointer), 0);
    assert_eq!(pointer, ukplat::thread_pointer());
    assert_eq!(call!(nr::arch_prctl, 0x1003, 0), Errno::EFAULT.to_raw());
    assert_eq!(call!(nr::arch_prctl, 0x1001, 0x10000usize), Errno::EPERM.to_raw());
    assert_eq!(call!(nr::arch_prctl, 7, 0), Errno::EINVAL.to_raw());
}

#[test]
fn affinity_is_a_mask_of_whole_words() {
    let mut mask = [0u64; 2];
    assert_eq!(call!(nr::sched_getaffinity, 0, 16usize, 0), Errno::EFAULT.to_raw());
    assert_eq!(call!(nr::sched_getaffinity, 0, 16usize, &mut mask), 8);
    assert_eq!(mask[0] & 1, 1);
    let einval = Errno::EINVAL.to_raw();
    assert_eq!(call!(nr::sched_getaffinity, 0, 9usize, &mut mask), einval);
    assert_eq!(call!(nr::sched_getaffinity, 77, 8usize, &mut mask), Errno::ESRCH.to_raw());
    assert_eq!(call!(nr::sched_setaffinity, 0, 16usize, &mask), 0);
    assert_eq!(call!(nr::sched_setaffinity, 0, 1usize, &mask), 0);
    let none = [0u64; 2];
    assert_eq!(call!(nr::sched_setaffinity, 0, 16usize, &none), einval);
    assert_eq!(call!(nr::sched_setaffinity, 77, 8usize, &mask), Errno::ESRCH.to_raw());
}

#[test]
fn policies_and_their_priorities() {
    let einval = Errno::EINVAL.to_raw();
    let (mut priority, five, hundred, zero) = (9i32, 5i32, 100i32, 0i32);
    assert_eq!(call!(nr::sched_getparam, 0, &mut priority), 0);
    assert_eq!((priority, call!(nr::sched_getscheduler, 0)), (0, 0));
    assert_eq!(call!(nr::sched_setscheduler, 1, 1, &five), 0);
    assert_eq!(call!(nr::sched_setparam, 0, &hundred), einval);
    assert_eq!(call!(nr::sched_getparam, 1, &mut priority), 0);
    assert_eq!((priority, call!(nr::sched_getscheduler, 0)), (5, 1));
    assert_eq!(call!(nr::sched_setscheduler, 1, 0, &five), einval);
    assert_eq!(call!(nr::sched_setscheduler, 1, 77, &five), einval);
    assert_eq!(call!(nr::sched_setscheduler, 1, 0, &zero), 0);
    assert_eq!(call!(nr::sched_setparam, 7, &zero), Errno::ESRCH.to_raw());
    for call in [nr::sched_getscheduler, nr::sched_get_priority_max, nr::sched_get_priority_min] {
        assert_eq!(call!(call, -1), einval);
    }
    let range = |policy| {
        (call!(nr::sched_get_priority_min, policy), call!(nr::sched_get_priority_max, policy))
    };
    assert_eq!([0, 1, 2, 3, 5].map(range), [(0, 0), (1, 99), (1, 99), (0, 0), (0, 0)]);
    let mut interval = [1i64; 2];
    assert_eq!(call!(nr::sched_rr_get_interval, 0, &mut interval), 0);
    assert_eq!(interval, [0; 2]);
}

#[test]
fn names_are_cut_and_kept() {
    assert_eq!(crate::set_name_of(0, b"a-name-that-is-too-long"), Ok(()));
    assert_eq!(crate::name_of(1), Ok(*b"a-name-that-is-\0"));
    assert_eq!(crate::set_name_of(1, b"x\0y"), Ok(()));
    assert_eq!(crate::name_of(0).unwrap()[..2], *b"x\0");
    assert_eq!(crate::name_of(5), Err(Errno::ESRCH));
    assert!(crate::exists(1) && !crate::exists(0) && !crate::exists(-1) && !crate::exists(2));
}

/// Without a scheduler there is one thread.
#[test]
fn threads_need_a_scheduler() {
    let (thread, process) = ([0x3d_0f00u64, 0x10000, 0, 0, 0], [0u64; 5]);
    let enosys = Errno::ENOSYS.to_raw();
    assert_eq!(call!(510, 0x1000usize, 0, &thread), enosys);
    assert_eq!(call!(510, 0x1000usize, 0, &process), enosys);
    assert_eq!(call!(510, 0, 0, &thread), Errno::EINVAL.to_raw());
    assert_eq!((crate::find_number(|_| true), crate::count()), (Some(1), 1));
}
