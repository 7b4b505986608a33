//! Sizes of blocks: multiples of 16 up to 256, then eight steps for each power of two, so that less
//! than an eighth of a block above 128 bytes is lost.

use ukalloc::MIN_ALIGN;

use crate::run::SLICE;

/// Sizes up to this one find their bin in a table.
pub const SMALL_MAX: usize = 1024;
/// The largest size that gets a block in a page; larger ones get runs of slices of their own.
/// From here on rounding up to slices loses less than an eighth.
pub const BLOCK_MAX: usize = 64 << 10;
/// Number of bins, one for each size of blocks.
pub const BINS: usize = 80;

const LINEAR_MAX: usize = 256;
const LINEAR_BINS: usize = LINEAR_MAX / MIN_ALIGN;

/// The bin for blocks of `size` bytes, which is at most [`BLOCK_MAX`].
#[inline]
pub const fn bin_of(size: usize) -> usize {
    if size <= LINEAR_MAX {
        return size.saturating_sub(1) / MIN_ALIGN;
    }
    let last = size - 1;
    let log = last.ilog2() as usize;
    LINEAR_BINS + (log - 8) * 8 + ((last >> (log - 3)) & 7)
}

const fn size_of_bin(bin: usize) -> usize {
    if bin < LINEAR_BINS {
        return (bin + 1) * MIN_ALIGN;
    }
    let (log, step) = ((bin - LINEAR_BINS) / 8 + 8, (bin - LINEAR_BINS) % 8);
    (8 + step + 1) << (log - 3)
}

/// Bytes of the blocks of each bin.
pub static BLOCK_SIZES: [u32; BINS] = {
    let mut sizes = [0; BINS];
    let mut bin = 0;
    while bin < BINS {
        sizes[bin] = size_of_bin(bin) as u32;
        bin += 1;
    }
    sizes
};

/// The bin of a size up to [`SMALL_MAX`], by the size in units of 16 bytes, rounded up.
pub static SMALL_BINS: [u8; SMALL_MAX / MIN_ALIGN + 1] = {
    let mut bins = [0; SMALL_MAX / MIN_ALIGN + 1];
    let mut unit = 0;
    while unit < bins.len() {
        bins[unit] = bin_of(unit * MIN_ALIGN) as u8;
        unit += 1;
    }
    bins
};

/// Slices of the first page of each bin: the fewest of which no more than an eighth is lost.
pub static FIRST_SLICES: [u8; BINS] = {
    let mut slices = [1; BINS];
    let mut bin = 0;
    while bin < BINS {
        let size = size_of_bin(bin);
        let mut count = size.div_ceil(SLICE);
        while count * SLICE % size * 8 > count * SLICE {
            count += 1;
        }
        slices[bin] = count as u8;
        bin += 1;
    }
    slices
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_size_gets_the_least_block_that_holds_it() {
        for size in 0..=BLOCK_MAX {
            let bin = bin_of(size);
            let block = BLOCK_SIZES[bin] as usize;
            assert!(block >= size && block.is_multiple_of(MIN_ALIGN), "{size}");
            assert!(bin == 0 || (BLOCK_SIZES[bin - 1] as usize) < size, "{size}");
            assert!(size <= 128 || (block - size) * 8 <= block, "{size} wastes too much");
            if size <= SMALL_MAX {
                assert_eq!(usize::from(SMALL_BINS[size.div_ceil(MIN_ALIGN)]), bin);
            }
        }
        assert_eq!(bin_of(BLOCK_MAX), BINS - 1);
    }

    #[test]
    fn a_multiple_of_an_alignment_gets_blocks_that_are_multiples_too() {
        for align in (4..=SLICE.ilog2()).map(|log| 1usize << log) {
            for size in (align..=BLOCK_MAX).step_by(align) {
                assert!((BLOCK_SIZES[bin_of(size)] as usize).is_multiple_of(align));
            }
        }
    }

    /// What `largest_free` promises: a free run can always be had as one block.
    #[test]
    fn a_block_needs_no_more_slices_than_its_size() {
        for size in 1..=BLOCK_MAX {
            let block = BLOCK_SIZES[bin_of(size)] as usize;
            assert_eq!(block.div_ceil(SLICE), size.div_ceil(SLICE), "{size}");
        }
    }

    #[test]
    fn first_pages_are_small_and_full() {
        for (slices, size) in FIRST_SLICES.iter().zip(BLOCK_SIZES) {
            let bytes = usize::from(*slices) * SLICE;
            assert!(bytes <= 2 * BLOCK_MAX && bytes % size as usize * 8 <= bytes);
        }
    }
}
