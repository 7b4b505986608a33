//! Random bytes of the host, from drivers that have them.
//!
//! They are meant for seeds: asking takes as long as the host does. Who needs many random numbers
//! makes them from a seed.
//!
//! ```
//! struct Sevens;
//! impl ukentropy::Source for Sevens {
//!     fn fill(&self, bytes: &mut [u8]) -> usize {
//!         bytes.fill(7);
//!         bytes.len()
//!     }
//! }
//!
//! let mut seed = [0; 4];
//! assert_eq!(ukentropy::fill(&mut seed), 0, "nobody has any");
//! ukentropy::register(&Sevens); // a driver does, for each device that works
//! assert_eq!((ukentropy::fill(&mut seed), seed), (4, [7; 4]));
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

use uklock::Mutex;

/// Where random bytes come from.
pub trait Source: Sync {
    /// Fills `bytes` from the start; returns how many. Fewer than asked for, perhaps none, when it
    /// fails or takes too long.
    fn fill(&self, bytes: &mut [u8]) -> usize;
}

/// Sources that are used at most; one would do.
const MAX: usize = 4;

static SOURCES: Mutex<[Option<&'static dyn Source>; MAX]> = Mutex::new([None; MAX]);

/// Makes a source known. Further ones than are used are left out.
pub fn register(source: &'static dyn Source) {
    if let Some(slot) = SOURCES.lock().iter_mut().find(|slot| slot.is_none()) {
        *slot = Some(source);
    }
}

/// Fills `bytes` with random bytes, from the start, asking one source after the other; returns how
/// many. 0 when there is none.
pub fn fill(bytes: &mut [u8]) -> usize {
    let sources = *SOURCES.lock();
    let mut done = 0;
    for source in sources.into_iter().flatten() {
        let rest = &mut bytes[done..];
        if rest.is_empty() {
            break;
        }
        done += source.fill(rest).min(rest.len());
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Gives(u8, usize);

    impl Source for Gives {
        fn fill(&self, bytes: &mut [u8]) -> usize {
            let len = self.1.min(bytes.len());
            bytes[..len].fill(self.0);
            self.1 // perhaps more than there was room for
        }
    }

    #[test]
    fn one_source_after_the_other_is_asked() {
        for source in [&Gives(1, 3), &Gives(2, 0), &Gives(3, 1000), &Gives(4, 9), &Gives(5, 9)] {
            register(source);
        }
        let mut bytes = [0; 8];
        assert_eq!((fill(&mut bytes), bytes), (8, [1, 1, 1, 3, 3, 3, 3, 3]));
        assert_eq!(fill(&mut []), 0);
    }
}
