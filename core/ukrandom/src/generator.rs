//! The generator: pure, and the same everywhere for the same seeds.

use chacha20::cipher::{Block, KeyIvInit, StreamCipherCore};
use chacha20::variants::Ietf;
use chacha20::{ChaChaCore, R20};

type ChaCha20 = ChaChaCore<R20, Ietf>;

/// Bytes of a key.
pub const KEY: usize = 32;
/// Bytes that are made at once, the next key included.
const BLOCK: usize = 512;
/// Blocks until the platform is asked again: after half a megabyte of small requests.
const RESEED_BLOCKS: u32 = 1024;

/// Fast key erasure over ChaCha20.
pub struct Generator {
    key: [u8; KEY],
    /// Output that was not given out yet is at the end.
    block: [u8; BLOCK],
    left: usize,
    /// Blocks until a seed is due; 0 before the first.
    until_seed: u32,
}

impl Generator {
    /// Without a seed.
    pub const fn new() -> Self {
        Self { key: [0; KEY], block: [0; BLOCK], left: 0, until_seed: 0 }
    }

    pub fn is_seed_due(&self) -> bool {
        self.until_seed == 0
    }

    /// Takes a key that nobody knows.
    pub fn seed(&mut self, seed: &[u8; KEY]) {
        self.mix(seed);
        self.until_seed = RESEED_BLOCKS;
    }

    /// Makes the key depend on these bytes as well. What is left of the block is forgotten.
    pub fn mix(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(KEY) {
            for (key, byte) in self.key.iter_mut().zip(chunk) {
                *key ^= byte;
            }
            self.refill();
        }
        self.block.fill(0);
        self.left = 0;
    }

    /// The key stream of a key. A key is used once, so that the nonce can be the same.
    fn stream(key: &[u8; KEY], out: &mut [u8]) {
        let mut cipher = ChaCha20::new(&(*key).into(), &[0; 12].into());
        let (blocks, rest) = Block::<ChaCha20>::slice_as_chunks_mut(out);
        cipher.write_keystream_blocks(blocks);
        if !rest.is_empty() {
            let mut last = [Block::<ChaCha20>::default()];
            cipher.write_keystream_blocks(&mut last);
            rest.copy_from_slice(&last[0][..rest.len()]);
            erase(&mut last[0]);
        }
    }

    /// Makes a block; its beginning replaces the key that made it.
    fn refill(&mut self) {
        Self::stream(&self.key, &mut self.block);
        let (key, _) = self.block.split_at_mut(KEY);
        self.key.copy_from_slice(key);
        key.fill(0);
        self.left = BLOCK - KEY;
        self.until_seed = self.until_seed.saturating_sub(1);
    }

    /// Gives out bytes, and forgets them.
    pub fn fill(&mut self, out: &mut [u8]) {
        // Long output has a key of its own, and is made where it is wanted.
        if out.len() > BLOCK {
            let mut key = [0; KEY];
            self.fill(&mut key);
            // A key makes 256 GiB.
            Self::stream(&key, out);
            erase(&mut key);
            return;
        }
        let mut rest = out;
        while !rest.is_empty() {
            if self.left == 0 {
                self.refill();
            }
            let count = rest.len().min(self.left);
            let (now, later) = rest.split_at_mut(count);
            let from = BLOCK - self.left;
            let given = &mut self.block[from..from + count];
            now.copy_from_slice(given);
            given.fill(0);
            self.left -= count;
            rest = later;
        }
    }
}

/// Overwrites what nobody reads again, and must not be found later either.
fn erase(bytes: &mut [u8]) {
    bytes.fill(0);
    core::hint::black_box(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seeded() -> Generator {
        let mut generator = Generator::new();
        generator.seed(&[7; KEY]);
        generator
    }

    /// RFC 8439, appendix A.1, test vector 1: key, nonce and counter of zeros.
    #[test]
    fn the_stream_is_that_of_the_standard() {
        let mut out = [1; 16];
        Generator::stream(&[0; KEY], &mut out);
        assert_eq!(
            out,
            [
                0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90, 0x40, 0x5d, 0x6a, 0xe5, 0x53, 0x86,
                0xbd, 0x28
            ]
        );
    }

    #[test]
    fn a_stream_of_any_length_begins_as_a_longer_one() {
        let mut whole = [0; 1024];
        Generator::stream(&[7; KEY], &mut whole);
        for len in (0..200).chain([511, 512, 513, 1000]) {
            let mut out = vec![1; len];
            Generator::stream(&[7; KEY], &mut out);
            assert_eq!(out, whole[..len], "{len} bytes");
        }
    }

    #[test]
    fn what_was_given_out_is_erased() {
        let mut generator = seeded();
        let mut out = [0; 100];
        generator.fill(&mut out);
        let found = generator.block.windows(8).any(|w| w == &out[..8]);
        assert!(!found && generator.key != [7; KEY]);
        let before = generator.key;
        generator.refill();
        assert!(!generator.block.windows(8).any(|w| w == &before[..8]));
        assert!(!generator.block.windows(8).any(|w| w == &generator.key[..8]));
    }

    #[test]
    fn pieces_of_any_length_are_one_stream() {
        let (mut whole, mut parts) = ([0; 400], [0; 400]);
        seeded().fill(&mut whole);
        let mut generator = seeded();
        let mut rest = &mut parts[..];
        for len in [1, 7, 0, 64, 200, 128] {
            let (now, later) = rest.split_at_mut(len);
            generator.fill(now);
            rest = later;
        }
        assert_eq!(whole, parts);
        let mut long = vec![0; 5000];
        generator.fill(&mut long);
        assert!(long.windows(16).all(|w| w.iter().any(|b| *b != 0)));
    }

    #[test]
    fn seeds_are_due_before_the_first_and_from_time_to_time() {
        let mut generator = Generator::new();
        assert!(generator.is_seed_due());
        generator.seed(&[1; KEY]);
        let mut count = 0;
        while !generator.is_seed_due() {
            generator.fill(&mut [0; BLOCK]);
            count += 1;
        }
        assert!((500..=1024).contains(&count), "{count}");
        // Each byte that is mixed in changes what comes.
        let outputs: Vec<[u8; 8]> = (0..32)
            .map(|at| {
                let mut generator = seeded();
                let mut bytes = [0; KEY];
                bytes[at] = 1;
                generator.mix(&bytes);
                let mut out = [0; 8];
                generator.fill(&mut out);
                out
            })
            .collect();
        assert!((1..32).all(|i| !outputs[..i].contains(&outputs[i])));
    }
}
