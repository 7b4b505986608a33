//! From sizes to lists.

/// Powers of two are divided into this many steps, as a power of two.
const SECOND_BITS: u32 = 5;
/// Lists of one first level.
pub const SECOND_LEVELS: usize = 1 << SECOND_BITS;
/// Sizes below `2^SMALL_BITS` share the first level 0, in steps of 16 bytes.
const SMALL_BITS: u32 = SECOND_BITS + 4;
/// Payloads are below `2^MAX_BITS`.
const MAX_BITS: u32 = 40;
/// Number of first levels.
pub const FIRST_LEVELS: usize = (MAX_BITS - SMALL_BITS + 1) as usize;
/// Largest payload in bytes.
pub const MAX_PAYLOAD: usize = (1 << MAX_BITS) - 64;

/// The place of a list in the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeClass {
    pub first: u32,
    pub second: u32,
}

impl SizeClass {
    /// The class that a free block with this payload belongs to. The payload is at most
    /// [`MAX_PAYLOAD`].
    #[inline]
    pub const fn of(payload: usize) -> Self {
        if payload < 1 << SMALL_BITS {
            return Self { first: 0, second: (payload >> 4) as u32 };
        }
        let log = payload.ilog2();
        Self {
            first: log - SMALL_BITS + 1,
            second: (payload >> (log - SECOND_BITS)) as u32 & (SECOND_LEVELS as u32 - 1),
        }
    }

    /// The lowest class whose blocks all have at least `payload` bytes.
    #[inline]
    pub const fn for_request(payload: usize) -> Option<Self> {
        if payload < 1 << SMALL_BITS {
            // Payloads are 8 more than a multiple of 16: one size for each list.
            return Some(Self::of(payload));
        }
        let rounded = payload + Self::step(payload) - 1;
        if rounded > MAX_PAYLOAD { None } else { Some(Self::of(rounded)) }
    }

    /// Largest payload whose [`Self::for_request`] is not above the class of `payload`.
    pub const fn largest_request(payload: usize) -> usize {
        if payload < 1 << SMALL_BITS {
            return payload;
        }
        // The least payload of the class, in the form that payloads have.
        (payload & !(Self::step(payload) - 1)).saturating_sub(8)
    }

    /// Difference between neighbouring classes around a payload.
    const fn step(payload: usize) -> usize {
        1 << (payload.ilog2() - SECOND_BITS)
    }

    /// The class's element of a table. Classes are always inside; the mask tells the compiler.
    #[inline]
    pub fn in_table<T>(self, table: &mut [[T; SECOND_LEVELS]; FIRST_LEVELS]) -> &mut T {
        &mut self.in_row(table)[self.second as usize % SECOND_LEVELS]
    }

    /// The element of a table with one entry for each first level.
    #[inline]
    pub fn in_row<T>(self, table: &mut [T; FIRST_LEVELS]) -> &mut T {
        const { assert!(FIRST_LEVELS.is_power_of_two()) };
        &mut table[self.first as usize % FIRST_LEVELS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_ends() {
        assert_eq!(SizeClass::of(24), SizeClass { first: 0, second: 1 });
        assert_eq!(SizeClass::of(504), SizeClass { first: 0, second: 31 });
        assert_eq!(SizeClass::of(520), SizeClass { first: 1, second: 0 });
        let last = SizeClass::of(MAX_PAYLOAD);
        assert_eq!(
            (last.first as usize, last.second as usize),
            (FIRST_LEVELS - 1, SECOND_LEVELS - 1)
        );
        assert_eq!(SizeClass::for_request(MAX_PAYLOAD), None);
    }

    fn payload() -> impl Strategy<Value = usize> {
        (5u32..39, any::<usize>()).prop_map(|(log, x)| {
            let size = (1usize << log) + x % (1usize << log);
            (size & !15) + 8
        })
    }

    proptest! {
        #[test]
        fn a_request_finds_only_blocks_that_are_large_enough(want in payload(), have in payload()) {
            let (request, class) = (SizeClass::for_request(want).unwrap(), SizeClass::of(have));
            if (class.first, class.second) >= (request.first, request.second) {
                prop_assert!(have >= want);
            }
        }

        #[test]
        fn classes_grow_with_sizes(a in payload(), b in payload()) {
            let (x, y) = (SizeClass::of(a.min(b)), SizeClass::of(a.max(b)));
            prop_assert!((x.first, x.second) <= (y.first, y.second));
        }

        #[test]
        fn the_largest_request_is_served_by_its_class(size in payload()) {
            let (request, class) = (SizeClass::for_request(SizeClass::largest_request(size)).unwrap(), SizeClass::of(size));
            prop_assert!((request.first, request.second) <= (class.first, class.second));
            prop_assert!(size - SizeClass::largest_request(size) <= size / 32 + 16);
        }
    }
}
