//! `oxk syscalls`: which system calls there are, who handles them, what a program needs.

use std::fmt::Write as _;
use std::path::Path;

use crate::diagnostic::{Context, Diagnostic, Result};

/// Names of system calls with their numbers, as an architecture has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbers(Vec<(u16, String)>);

impl Numbers {
    /// Reads the table of `syscall-shim`.
    pub fn read(root: &Path, arch: &str) -> Result<Self> {
        let path = root.join(format!("posix/syscall-shim/src/numbers_{arch}.rs"));
        let text = std::fs::read_to_string(&path).map_err(|_| {
            Diagnostic::new(format!("there is no table of system calls for {arch}"))
                .help(format!("add {}", path.display()))
        })?;
        Self::parse(&text).context(format!("cannot read {}", path.display()))
    }

    /// Lines `NUMBER NAME,` between those with other things.
    fn parse(text: &str) -> std::result::Result<Self, String> {
        let mut numbers = Vec::new();
        for line in text.lines().map(str::trim) {
            let Some((number, name)) = line.strip_suffix(',').and_then(|l| l.split_once(' '))
            else {
                continue;
            };
            let number = number.parse().map_err(|_| format!("`{number}` is no number"))?;
            numbers.push((number, name.to_owned()));
        }
        Ok(Self(numbers))
    }

    /// The header `uk_syscalls.h`, with a line for each call.
    pub fn header(&self) -> String {
        let mut text = String::new();
        for (number, name) in &self.0 {
            let _ = writeln!(text, "UK({number}, {name})");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_this_architecture() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let numbers = Numbers::read(root, "x86_64").unwrap();
        let header = numbers.header();
        assert!(header.starts_with("UK(0, read)\nUK(1, write)\n") && numbers.0.len() > 350);
        assert!(Numbers::read(root, "pdp11").unwrap_err().cause.contains("pdp11"));
    }
}
