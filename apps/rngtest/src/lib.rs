//! Tests entropy devices from the inside.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

use ukplat::println;
use uktest::{Check, ensure};

const CHECKS: [Check; 2] =
    [("random bytes come and differ", differ), ("many of them, all values", many)];

/// Runs the checks; `rngtest none` expects that there is no device.
pub fn main(args: &[&str]) -> u8 {
    match args {
        [] => uktest::run(&[&CHECKS]),
        ["none"] if ukentropy::fill(&mut [0; 8]) == 0 => {
            println!("there is no device");
            0
        }
        _ => 1,
    }
}

fn differ() -> Result<(), &'static str> {
    let mut words = [[0; 16]; 4];
    for word in &mut words {
        ensure(ukentropy::fill(word) == word.len(), "too few bytes")?;
    }
    for (index, word) in words.iter().enumerate() {
        ensure(!words[..index].contains(word), "twice the same 16 bytes")?;
    }
    Ok(())
}

fn many() -> Result<(), &'static str> {
    let mut bytes = [0; 8192];
    ensure(ukentropy::fill(&mut bytes) == bytes.len(), "too few bytes")?;
    let mut seen = [false; 256];
    bytes.iter().for_each(|byte| seen[usize::from(*byte)] = true);
    // That one is missing has a chance of 256 (255/256)^8192, about 3 in 10^12.
    ensure(seen.iter().all(|seen| *seen), "a value is missing in 8192 bytes")
}
