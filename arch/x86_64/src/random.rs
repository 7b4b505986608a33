//! Random numbers of the CPU (Intel SDM volume 1, section 7.3.17; volume 2, RDRAND and RDSEED).

use core::arch::x86_64::{_rdrand64_step, _rdseed64_step};

use crate::regs::cpuid;

/// A seed may not be there yet; asked that often.
const SEED_TRIES: usize = 64;
/// The manual's number: with ten failures in a row the generator is broken.
const RANDOM_TRIES: usize = 10;

/// A random word: from RDSEED, or else RDRAND; `None` on CPUs that have neither, or whose generator
/// fails.
pub fn word() -> Option<u64> {
    let has_seed = cpuid(0).eax >= 7 && core::arch::x86_64::__cpuid_count(7, 0).ebx & 1 << 18 != 0;
    let has_random = cpuid(1).ecx & 1 << 30 != 0;
    let mut word = None;
    if has_seed {
        // SAFETY: CPUID says that the instruction is there.
        word = attempt(SEED_TRIES, |word| unsafe { seed_step(word) });
    }
    if word.is_none() && has_random {
        // SAFETY: as above.
        word = attempt(RANDOM_TRIES, |word| unsafe { random_step(word) });
    }
    word.filter(|word| plausible(*word))
}

/// What broken generators of known CPUs return for ever (erratum 1179 of AMD families 15h and 16h).
fn plausible(word: u64) -> bool {
    word != 0 && word != u64::MAX
}

fn attempt(tries: usize, step: impl Fn(&mut u64) -> bool) -> Option<u64> {
    let mut word = 0;
    for _ in 0..tries {
        if step(&mut word) {
            return Some(word);
        }
        core::hint::spin_loop();
    }
    None
}

#[target_feature(enable = "rdseed")]
fn seed_step(word: &mut u64) -> bool {
    _rdseed64_step(word) == 1
}

#[target_feature(enable = "rdrand")]
fn random_step(word: &mut u64) -> bool {
    _rdrand64_step(word) == 1
}

/// Fills whole words of `bytes`; returns how many bytes.
pub fn fill(bytes: &mut [u8]) -> usize {
    let mut filled = 0;
    for chunk in bytes.chunks_mut(size_of::<u64>()) {
        let Some(word) = word() else { break };
        chunk.copy_from_slice(&word.to_ne_bytes()[..chunk.len()]);
        filled += chunk.len();
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::fill;

    #[test]
    fn words_differ() {
        let mut bytes = [0; 40];
        let filled = fill(&mut bytes);
        // A CPU without the instructions gives nothing.
        assert!(filled == 0 || filled == 40);
        assert!(filled == 0 || bytes[..8] != bytes[8..16]);
    }
}
