//! Checks of further CPUs.
