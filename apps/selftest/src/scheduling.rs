//! Checks of what schedulers need from the platform.

use crate::Check;

pub const CHECKS: [Check; 3] = [
    ("contexts take turns, each with its thread pointer", ukplatcheck::contexts),
    ("guards put preemption off", ukplatcheck::guards),
    ("spinning flows are preempted and stay intact", ukplatcheck::preemption),
];
