use syscall_shim::{Errno, syscall};

use super::*;

#[syscall(nr = 500)]
fn difference(a: usize, b: usize) -> usize {
    a - b
}

#[test]
fn calls_are_calls_by_number() {
    assert_eq!(difference(5, 2), 3);
    assert_eq!(uk_syscall_trapped(&[500, 9, 2, 0, 0, 0, 0]), 7);
    let missing = |number| syscall_shim::missing().find(|(n, _)| *n == number);
    for number in [499, usize::MAX] {
        assert_eq!(uk_syscall_trapped(&[number, 0, 0, 0, 0, 0, 0]), Errno::ENOSYS.to_raw());
    }
    assert_eq!(missing(499), Some((499, 1)));
}

#[test]
fn a_platform_without_a_way_is_refused() {
    let refused = init(&BootInfo::EMPTY).unwrap_err();
    assert!(refused.to_string().contains("leave out syscall-trap"), "{refused}");
}
