//! From sizes to lists.

/// Powers of two are divided into this many steps, as a power of two.
const SECOND_BITS: u32 = 5;
/// Lists of one first level.
pub const SECOND_LEVELS: usize = 1 << SECOND_BITS;
/// Sizes below `2^SMALL_BITS` share the first level 0, in steps of 16 bytes.
const SMALL_BITS: u32 = SECOND_BITS + 4;
/// Blocks from `2^LARGE_BITS` bytes are often cut with what is left in the same class.
const LARGE_BITS: u32 = 14;
/// Payloads are below `2^MAX_BITS`.
const MAX_BITS: u32 = 40;
/// Number of first levels.
pub const FIRST_LEVELS: usize = (MAX_BITS - SMALL_BITS + 1) as usize;
/// Largest payload in bytes.
pub const MAX_PAYLOAD: usize = (1 << MAX_BITS) - 64;

/// Largest payload for which a class can be looked up: rounding up stays below `2^MAX_BITS`.
pub const MAX_REQUEST: usize = (1 << MAX_BITS) - (1 << (MAX_BITS - 1 - SECOND_BITS));
/// Number of lists.
pub const LISTS: usize = FIRST_LEVELS * SECOND_LEVELS;

/// The place of a list in the tables: first level times [`SECOND_LEVELS`] plus second level.
///
/// All payloads are 8 more than a multiple of 16. Each class below 1 KiB is one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SizeClass(u32);

/// Zeros before the leading bit of a payload; below `2^SMALL_BITS` as there, because steps are the
/// same in the first two rows.
#[inline]
const fn zeros(payload: usize) -> u32 {
    (payload | 1 << SMALL_BITS).leading_zeros()
}

/// The leading bit of a payload with `zeros` before it and the `SECOND_BITS` bits after it.
#[inline]
const fn leading_bits(payload: usize, zeros: u32) -> u32 {
    (payload << zeros >> (usize::BITS - 1 - SECOND_BITS)) as u32
}

impl SizeClass {
    /// A class by its two levels.
    #[inline]
    pub const fn new(first: u32, second: u32) -> Self {
        Self(first << SECOND_BITS | second)
    }

    /// The class that a free block with this payload belongs to. The payload is at most
    /// [`MAX_PAYLOAD`].
    #[inline]
    pub const fn of(payload: usize) -> Self {
        let zeros = zeros(payload);
        // Rows above the first; the leading bit adds one more.
        let row = usize::BITS - 1 - SMALL_BITS - zeros;
        Self((row << SECOND_BITS) + leading_bits(payload, zeros))
    }

    /// Whether two payloads are large and of the same class. To look is worth while where it is
    /// likely: with a large block, of which many small ones are cut.
    #[inline]
    pub const fn is_same_large(larger: usize, smaller: usize) -> bool {
        larger >= 1 << LARGE_BITS && leading_bits(larger ^ smaller, zeros(larger)) == 0
    }

    /// The lowest class whose blocks all have at least `payload` bytes, which are at most
    /// [`MAX_REQUEST`].
    #[inline]
    pub const fn for_request(payload: usize) -> Self {
        if Self::is_one_size(payload) {
            return Self((payload >> 4) as u32);
        }
        // The least payload of a class is 8 more than its lower bound: the class after that of
        // what is less by 9, and no other in between.
        Self(Self::of(payload - 9).0 + 1)
    }

    /// Whether all payloads of this one's class are equal to it.
    #[inline]
    pub const fn is_one_size(payload: usize) -> bool {
        payload < 2 << SMALL_BITS
    }

    /// Largest payload whose [`Self::for_request`] is not above the class of `payload`.
    pub const fn largest_request(payload: usize) -> usize {
        (payload & !(Self::step(payload) - 1)) + 8
    }

    /// Difference between neighbouring classes around a payload.
    #[inline]
    const fn step(payload: usize) -> usize {
        1 << (usize::BITS - 1 - SECOND_BITS - zeros(payload))
    }

    /// The first level.
    #[inline]
    pub const fn first(self) -> u32 {
        self.0 >> SECOND_BITS
    }

    /// The second level.
    #[inline]
    pub const fn second(self) -> u32 {
        self.0 % SECOND_LEVELS as u32
    }

    /// The class's element of a table. Classes are always inside; the mask tells the compiler.
    #[inline]
    pub const fn in_table<T>(self, table: &mut [T; LISTS]) -> &mut T {
        const { assert!(LISTS.is_power_of_two()) };
        &mut table[self.0 as usize % LISTS]
    }

    /// The class's element of a table, to read.
    #[inline]
    pub const fn of_table<T: Copy>(self, table: &[T; LISTS]) -> T {
        table[self.0 as usize % LISTS]
    }

    /// The element of a table with one entry for each first level.
    #[inline]
    pub const fn in_row<T>(self, table: &mut [T; FIRST_LEVELS]) -> &mut T {
        const { assert!(FIRST_LEVELS.is_power_of_two()) };
        &mut table[self.first() as usize % FIRST_LEVELS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_ends() {
        assert_eq!(SizeClass::of(24), SizeClass::new(0, 1));
        assert_eq!(SizeClass::of(504), SizeClass::new(0, 31));
        assert_eq!(SizeClass::of(520), SizeClass::new(1, 0));
        assert_eq!(SizeClass::for_request(520), SizeClass::of(520), "one size, no rounding");
        assert_eq!(SizeClass::for_request(1048), SizeClass::of(1064));
        let last = SizeClass::new(FIRST_LEVELS as u32 - 1, SECOND_LEVELS as u32 - 1);
        assert_eq!(SizeClass::of(MAX_PAYLOAD), last);
        assert_eq!(SizeClass::for_request(((MAX_REQUEST - 8) & !15) + 8), last);
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
            if SizeClass::of(have) >= SizeClass::for_request(want) {
                prop_assert!(have >= want);
            }
        }

        #[test]
        fn classes_grow_with_sizes(a in payload(), b in payload()) {
            prop_assert!(SizeClass::of(a.min(b)) <= SizeClass::of(a.max(b)));
            let same = SizeClass::of(a) == SizeClass::of(b) && a.max(b) >= 1 << LARGE_BITS;
            prop_assert_eq!(SizeClass::is_same_large(a.max(b), a.min(b)), same);
        }

        #[test]
        fn neighbours_are_told_apart(size in payload(), more in 0usize..64) {
            let larger = size + more * 16;
            let same = SizeClass::of(size) == SizeClass::of(larger) && larger >= 1 << LARGE_BITS;
            prop_assert_eq!(SizeClass::is_same_large(larger, size), same);
        }

        #[test]
        fn the_largest_request_is_served_by_its_class(size in payload()) {
            let request = SizeClass::for_request(SizeClass::largest_request(size));
            prop_assert!(request <= SizeClass::of(size));
            prop_assert!(size - SizeClass::largest_request(size) <= size / 32 + 16);
        }
    }
}
