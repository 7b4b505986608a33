//! Runs checks inside an image and counts those that fail.
//!
//! ```
//! fn arithmetic() -> Result<(), &'static str> {
//!     if 1 + 1 == 2 { Ok(()) } else { Err("the machine cannot count") }
//! }
//! assert_eq!(uktest::run(&[&[("sums are right", arithmetic)]]), 0);
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

use ukplat::println;

/// One check: what it says, and the function that finds out; an error is the reason why not.
pub type Check = (&'static str, fn() -> Result<(), &'static str>);

/// Runs groups of checks in order, prints a line for each and a last one with their number.
/// Returns how many failed, 255 at most: an exit code for `main`.
pub fn run(groups: &[&[Check]]) -> u8 {
    let mut failures = 0u8;
    let mut count = 0;
    for (what, check) in groups.iter().copied().flatten() {
        count += 1;
        match check() {
            Ok(()) => println!("ok      {}", what),
            Err(reason) => {
                failures = failures.saturating_add(1);
                println!("FAILED  {}: {}", what, reason);
            }
        }
    }
    println!("{} checks, {} failed", count, failures);
    failures
}

/// An error unless something holds.
///
/// # Errors
/// The reason.
pub fn ensure(holds: bool, reason: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(reason) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn failures_are_counted() {
        fn good() -> Result<(), &'static str> {
            super::ensure(true, "")
        }
        fn bad() -> Result<(), &'static str> {
            super::ensure(false, "on purpose")
        }
        assert_eq!(super::run(&[&[("a", good), ("b", bad)], &[("c", bad)]]), 2);
    }
}
