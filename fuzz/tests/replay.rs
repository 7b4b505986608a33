//! Every target on its seeds, on seeds with some bytes changed, and on random bytes: a fuzzer that
//! needs nothing but stable Rust, for a start and to repeat what a real one found.

use std::path::Path;

use oxikraft_fuzz::TARGETS;

/// Runs of each target with random bytes.
const RUNS: usize = 2000;

/// Random numbers by xorshift (Marsaglia 2003), always the same ones.
struct Random(u64);

impl Random {
    fn next(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize
    }
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    let mut files: Vec<_> = dir.read_dir().unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

#[test]
fn no_promise_is_broken() {
    for (name, target) in TARGETS {
        let seeds = seeds(name);
        assert!(!seeds.is_empty(), "seeds/{name} is empty");
        seeds.iter().for_each(|seed| target(seed));
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for run in 0..RUNS {
            let mut bytes = if run % 4 == 0 {
                vec![0; random.next() % 400]
            } else {
                seeds[random.next() % seeds.len()].clone()
            };
            let changes = if run % 4 == 0 { bytes.len() } else { random.next() % 8 };
            for _ in 0..changes.min(bytes.len()) {
                let (at, how) = (random.next() % bytes.len(), random.next());
                match how % 4 {
                    0 => drop(bytes.drain(at..(at + how / 4 % 9).min(bytes.len()))),
                    1 => bytes.insert(at, (how >> 8) as u8),
                    _ => bytes[at] = (how >> 8) as u8,
                }
                if bytes.is_empty() {
                    break;
                }
            }
            target(&bytes);
        }
    }
}
