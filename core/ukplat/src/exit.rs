//! How an image ends, and the code the outside sees.

/// How the image ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// `main` returned, or the application asked for this code.
    Code(u8),
    /// A Rust panic.
    Panic,
    /// The CPU reported a fault: a wild pointer, an invalid instruction …
    Fault,
    /// A boot phase failed: `main` was never called.
    Boot,
}

impl Exit {
    /// The exit code: the application's own, or 101 (panic), 102 (fault), 103 (boot failure).
    pub const fn code(self) -> u8 {
        match self {
            Exit::Code(code) => code,
            Exit::Panic => 101,
            Exit::Fault => 102,
            Exit::Boot => 103,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Exit;

    #[test]
    fn abnormal_ends_are_distinct_and_not_zero() {
        let codes = [Exit::Panic, Exit::Fault, Exit::Boot].map(Exit::code);
        assert_eq!(codes, [101, 102, 103]);
        assert_eq!(Exit::Code(7).code(), 7);
    }
}
