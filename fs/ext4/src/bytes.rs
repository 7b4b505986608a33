//! Numbers in structures of the disk, and the checksum over these.

/// A number of 16 bits, the low byte first.
pub fn le16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// A number of 32 bits, the low byte first.
pub fn le32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// A number of 16 bits, the high byte first, as the journal has it.
pub fn be16(bytes: &[u8], at: usize) -> u16 {
    le16(bytes, at).swap_bytes()
}

/// A number of 32 bits, the high byte first.
pub fn be32(bytes: &[u8], at: usize) -> u32 {
    le32(bytes, at).swap_bytes()
}

/// Writes a number of 16 bits, the low byte first.
pub fn put16(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
}

/// Writes a number of 32 bits, the low byte first.
pub fn put32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

/// Writes a number of 16 bits, the high byte first.
pub fn put_be16(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

/// Writes a number of 32 bits, the high byte first.
pub fn put_be32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

/// A number whose halves lie apart.
pub fn wide(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// Remainders of all bytes for the polynomial of Castagnoli, bits reversed.
static TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut rest = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            rest = rest >> 1 ^ if rest & 1 != 0 { 0x82f6_3b78 } else { 0 };
            bit += 1;
        }
        table[byte] = rest;
        byte += 1;
    }
    table
};

/// CRC-32C going on from `seed`, without the inversions at both ends: as ext4 and jbd2 use it.
pub fn crc32c(seed: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(seed, |crc, byte| crc >> 8 ^ TABLE[usize::from(crc as u8 ^ byte)])
}

/// The same over `bytes` with zeros in place of the `length` bytes at `hole`.
pub fn crc32c_without(seed: u32, bytes: &[u8], hole: usize, length: usize) -> u32 {
    let seed = crc32c(seed, &bytes[..hole]);
    let seed = crc32c(seed, &[0; 4][..length]);
    crc32c(seed, &bytes[hole + length..])
}

/// CRC-16 with the polynomial 0x8005, bits reversed: of group descriptors without
/// `metadata_csum`.
pub fn crc16(seed: u16, bytes: &[u8]) -> u16 {
    bytes.iter().fold(seed, |crc, byte| {
        (0..8)
            .fold(crc ^ u16::from(*byte), |crc, _| crc >> 1 ^ if crc & 1 != 0 { 0xa001 } else { 0 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_of_the_standard_example() {
        // RFC 3720, B.4, and the check value of the catalogue of parametrised CRC algorithms.
        assert_eq!(!crc32c(!0, b"123456789"), 0xe306_9283);
        assert_eq!(!crc32c(!0, &[0; 32]), 0x8a91_36aa);
        // CRC-16/ARC of the same catalogue.
        assert_eq!(crc16(0, b"123456789"), 0xbb3d);
        assert_eq!(crc32c_without(7, b"abXXc", 2, 2), crc32c(7, b"ab\0\0c"));
    }

    #[test]
    fn numbers() {
        let bytes = [1, 2, 3, 4, 5];
        assert_eq!((le16(&bytes, 1), be16(&bytes, 1)), (0x302, 0x203));
        assert_eq!((le32(&bytes, 1), be32(&bytes, 1)), (0x504_0302, 0x203_0405));
        assert_eq!(wide(1, 2), 0x1_0000_0002);
    }
}
