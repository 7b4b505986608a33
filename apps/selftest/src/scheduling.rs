//! Checks of what schedulers need from the platform.

use crate::Check;

pub const CHECKS: [Check; 4] = [
    ("contexts take turns, each with its thread pointer", ukplatcheck::contexts),
    ("a page is a guard, and memory again", ukplatcheck::guard_pages),
    ("guards put preemption off", ukplatcheck::guards),
    ("spinning flows are preempted and stay intact", ukplatcheck::preemption),
];
