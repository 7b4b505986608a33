//! Random numbers: a ChaCha20 generator that cannot be run backwards.
//!
//! ```
//! let (mut key, mut other) = ([0; 32], [0; 32]);
//! ukrandom::fill(&mut key);
//! ukrandom::fill(&mut other);
//! assert_ne!(key, other);
//! ```
//!
//! The generator is ChaCha20 (RFC 8439) with fast key erasure (D. J. Bernstein, "Fast-key-erasure
//! random-number generators", 2017): each block of output begins with the key of the next one, and
//! what was given out is erased, so that nobody who sees the memory later learns earlier numbers.
//! The first key comes from the platform ([`ukplat::entropy`]: the CPU's generator, the host's), and
//! further bytes from there are mixed in from time to time; drivers of devices that have some add theirs
//! ([`seed`]). Where nobody has any, the clocks have to do, and [`is_seeded`] says so.
//!
//! With several CPUs each has a generator of its own, so that they do not wait for each other.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod generator;

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use generator::{Generator, KEY};
use uklock::Mutex;

/// Generators, a power of two: CPUs beyond that share.
const GENERATORS: usize = if cfg!(feature = "smp") { 8 } else { 1 };

static ALL: [Mutex<Generator>; GENERATORS] = [const { Mutex::new(Generator::new()) }; GENERATORS];
/// The platform gave a whole key.
static SEEDED: AtomicBool = AtomicBool::new(false);

/// Looks at the clocks for a key without other sources: the low bits of how long reading them takes.
const LOOKS: usize = 1024;

/// Fills `bytes` with random ones.
pub fn fill(bytes: &mut [u8]) {
    with(|generator| generator.fill(bytes));
}

/// A random word.
pub fn word() -> u64 {
    let mut bytes = [0; 8];
    fill(&mut bytes);
    u64::from_ne_bytes(bytes)
}

/// Whether nobody can predict the numbers: `false` where neither CPU nor host has a source.
pub fn is_seeded() -> bool {
    with(|_| ());
    SEEDED.load(Relaxed)
}

/// Mixes bytes into all generators. They need not be unpredictable: what was so stays so.
pub fn mix(bytes: &[u8]) {
    for generator in &ALL {
        let mut generator = generator.lock();
        seed_if_due(&mut generator);
        generator.mix(bytes);
    }
}

/// Bytes of a [`seed`].
pub const SEED: usize = KEY;

/// Mixes in bytes that nobody can predict, from a source beside the platform, as a device: from here on
/// the numbers are unpredictable ([`is_seeded`]), whatever the platform's own source is worth.
pub fn seed(seed: &[u8; SEED]) {
    mix(seed);
    SEEDED.store(true, Relaxed);
}

fn with<R>(f: impl FnOnce(&mut Generator) -> R) -> R {
    // Another CPU may run the thread from here on: then it waits a little, at worst.
    let mut generator = ALL[ukplat::cpu_id() & (GENERATORS - 1)].lock();
    seed_if_due(&mut generator);
    f(&mut generator)
}

fn seed_if_due(generator: &mut Generator) {
    if !generator.is_seed_due() {
        return;
    }
    let mut seed = [0; KEY];
    let given = ukplat::entropy(&mut seed);
    if given == KEY {
        SEEDED.store(true, Relaxed);
    } else {
        generator.mix(&ukplat::wall_ns().to_ne_bytes());
        for _ in 0..LOOKS {
            generator.mix(&ukplat::ticks().to_ne_bytes());
        }
    }
    generator.seed(&seed);
    seed.fill(0);
    core::hint::black_box(&seed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_seeded_and_does_not_repeat() {
        assert!(is_seeded());
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..10_000 {
            assert!(seen.insert(word()));
        }
        mix(b"whatever");
        seed(&[1; SEED]);
        assert!(seen.insert(word()));
    }

    /// A grossly wrong generator would be found: each bit is set half of the time.
    #[test]
    fn bits_are_balanced() {
        let mut bytes = vec![0; 100_000];
        fill(&mut bytes);
        for bit in 0..8 {
            let ones = bytes.iter().filter(|byte| *byte >> bit & 1 != 0).count();
            assert!((49_000..51_000).contains(&ones), "bit {bit}: {ones}");
        }
        let ones: u32 = bytes.iter().map(|byte| byte.count_ones()).sum();
        assert!((398_000..402_000).contains(&ones), "{ones}");
    }
}
