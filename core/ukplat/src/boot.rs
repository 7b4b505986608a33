//! What the platform's entry code tells the rest of the system.

use core::fmt;
use core::ops::Range;

use crate::StaticRef;
use crate::device::Device;
use crate::memory::MemoryRegion;

/// Facts known when the platform's entry code has run. They live until the image ends.
#[derive(Debug)]
pub struct BootInfo {
    /// Words of the command line. The first is the name of the image; then come
    /// `library.option=value` words up to `--`, then the application's arguments.
    /// Without `--` all words belong to the application.
    pub words: &'static [&'static str],
    /// Physical memory, sorted, without overlaps.
    pub memory: &'static [MemoryRegion],
    /// The initial ram disk, when there is one.
    pub initrd: Option<&'static [u8]>,
    /// Devices, or where they are listed. Empty in images without drivers.
    pub devices: &'static [Device],
    /// [`crate::ticks`] at the image's first instruction.
    pub entry_ticks: u64,
    /// Writable data of the image: addresses of its statics, initialised or not.
    pub data: Range<usize>,
    /// The stack that the boot sequence and `main` run on, as far down as it may grow.
    pub stack: Range<usize>,
    /// Bytes below it that are kept inaccessible; 0 when there is no guard.
    pub stack_guard: usize,
}

static BOOT_INFO: StaticRef<BootInfo> = StaticRef::new();

impl BootInfo {
    /// Of a machine with nothing; for tests, as the base of what they need.
    pub const EMPTY: Self = Self {
        words: &[],
        memory: &[],
        initrd: None,
        devices: &[],
        entry_ticks: 0,
        data: 0..0,
        stack: 0..0,
        stack_guard: 0,
    };

    /// Publishes the facts for [`BootInfo::get`]; the boot sequence calls it once.
    pub fn publish(info: &'static BootInfo) {
        BOOT_INFO.set(info);
    }

    /// The `library.option=value` words: those between the image's name and `--`.
    pub fn parameters(&self) -> &'static [&'static str] {
        match self.words.iter().position(|w| *w == "--") {
            Some(end) => &self.words[1.min(end)..end],
            None => &[],
        }
    }

    /// The application's arguments: the words after `--`, or all when there is none.
    pub fn arguments(&self) -> &'static [&'static str] {
        let start = match self.words.iter().position(|w| *w == "--") {
            Some(end) => end + 1,
            None => 1.min(self.words.len()),
        };
        &self.words[start..]
    }

    /// The boot information, once published.
    pub fn get() -> Option<&'static BootInfo> {
        BOOT_INFO.get()
    }

    /// Total size in bytes of the memory that is free for allocators.
    pub fn free_memory(&self) -> usize {
        self.memory.iter().filter(|r| r.is_free()).map(|r| r.len).sum()
    }
}

/// Value of the last `name=value` among the parameters of a command line. For platforms, which
/// need some parameters before the library that checks them all runs.
pub fn early_parameter<'a>(words: &[&'a str], name: &str) -> Option<&'a str> {
    let end = words.iter().position(|w| *w == "--")?;
    let values = words[..end].iter().skip(1).filter_map(|w| w.split_once('='));
    values.filter(|(key, _)| *key == name).map(|(_, value)| value).next_back()
}

/// Parses a number of bytes: decimal digits, then perhaps a unit, without a space between.
///
/// Units are `K`, `M`, `G`, `T` (powers of 1024), large or small, alone or as in `KB` and `KiB`;
/// `B` by itself is a byte. So `65536`, `65536B`, `64K`, `64k`, `64KB` and `64KiB` are the same.
/// The tool reads sizes in manifests and on its command line in the same way.
pub fn parse_size(text: &str) -> Option<usize> {
    let mut rest = text.as_bytes();
    let mut number = None;
    while let [digit @ b'0'..=b'9', after @ ..] = rest {
        let tens = number.unwrap_or(0usize).checked_mul(10)?;
        number = Some(tens.checked_add(usize::from(digit - b'0'))?);
        rest = after;
    }
    let shift = match rest {
        [] | [b'B'] => 0,
        [unit] | [unit, b'B'] | [unit, b'i', b'B'] => match unit.to_ascii_uppercase() {
            b'K' => 10,
            b'M' => 20,
            b'G' => 30,
            b'T' => 40,
            _ => return None,
        },
        _ => return None,
    };
    number?.checked_mul(1usize.checked_shl(shift)?)
}

/// Why a boot phase failed. The text is the one-line cause that the user sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitError {
    cause: &'static str,
    detail: Option<(&'static str, &'static str)>,
}

impl InitError {
    /// An error with a fixed text.
    pub const fn new(cause: &'static str) -> Self {
        Self { cause, detail: None }
    }

    /// An error about one word of the command line, with what would have been right.
    pub const fn about(cause: &'static str, subject: &'static str, expected: &'static str) -> Self {
        Self { cause, detail: Some((subject, expected)) }
    }
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.detail {
            None => f.write_str(self.cause),
            Some((subject, expected)) => write!(f, "{} `{subject}`: {expected}", self.cause),
        }
    }
}

impl core::error::Error for InitError {}

#[cfg(test)]
mod tests {
    use super::*;

    const fn boot(words: &'static [&'static str]) -> BootInfo {
        BootInfo { words, ..BootInfo::EMPTY }
    }

    #[test]
    fn words_are_divided_at_the_dashes() {
        let info = boot(&["img", "a.b=1", "--", "x", "--", "y"]);
        assert_eq!(info.parameters(), ["a.b=1"]);
        assert_eq!(info.arguments(), ["x", "--", "y"]);
        let info = boot(&["img", "x", "y"]);
        assert_eq!(info.parameters(), [""; 0]);
        assert_eq!(info.arguments(), ["x", "y"]);
        assert_eq!(boot(&[]).arguments(), [""; 0]);
        assert_eq!(boot(&["--", "x"]).arguments(), ["x"]);
        assert_eq!(boot(&["--", "x"]).parameters(), [""; 0]);
    }

    #[test]
    fn early_parameters() {
        assert_eq!(early_parameter(&["i", "a=1", "a=2", "--", "a=3"], "a"), Some("2"));
        assert_eq!(early_parameter(&["i", "a=1"], "a"), None);
    }

    #[test]
    fn sizes() {
        let lines = include_str!("size_examples.txt").lines().filter(|l| !l.starts_with('#'));
        for line in lines {
            let (text, bytes) = line.rsplit_once(' ').unwrap();
            let text = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap();
            assert_eq!(parse_size(text), bytes.parse().ok(), "{line}");
        }
    }
}
