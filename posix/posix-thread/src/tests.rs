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
    let mut mask = [0u8; 16];
    assert_eq!(
        call!(nr::sched_getaffinity, 0, 16usize, mask.as_mut_ptr() as usize),
        Errno::EFAULT.to_raw()
    );
    assert_eq!(call!(nr::sched_getaffinity, 0, &mut mask[..]), 8);
    assert_eq!(mask[0] & 1, 1);
    assert_eq!(call!(nr::sched_getaffinity, 0, &mut mask[..9]), Errno::EINVAL.to_raw());
    assert_eq!(call!(nr::sched_getaffinity, 77, &mut mask[..]), Errno::ESRCH.to_raw());
}
