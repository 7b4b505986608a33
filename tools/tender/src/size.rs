//! Sizes as people write them; the same as in manifests and on the tool's command line.

/// Parses a number of bytes: digits, then perhaps K, M, G or T, alone or as in `KB` and `KiB`.
pub fn parse(text: &str) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let shift = match unit {
        "" | "B" => 0,
        _ => {
            let mut chars = unit.chars();
            let first = chars.next()?.to_ascii_uppercase();
            if !matches!(chars.as_str(), "" | "B" | "iB") {
                return None;
            }
            10 * (1 + "KMGT".find(first)? as u32)
        }
    };
    number.checked_mul(1 << shift)
}

/// A size in the largest unit that gives a whole number.
pub fn format(bytes: u64) -> String {
    for (shift, unit) in [(40, "T"), (30, "G"), (20, "M"), (10, "K")] {
        if bytes >= 1 << shift && bytes.is_multiple_of(1 << shift) {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    format!("{bytes} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_the_platform_reads_them() {
        let examples = include_str!("../../../core/ukplat/src/size_examples.txt");
        for line in examples.lines().filter(|l| !l.starts_with('#')) {
            let (text, bytes) = line.rsplit_once(' ').unwrap();
            let text = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap();
            assert_eq!(parse(text), bytes.parse().ok(), "{line}");
        }
        assert_eq!([format(64 << 20), format(1536), format(5)], ["64M", "1536 bytes", "5 bytes"]);
    }
}
