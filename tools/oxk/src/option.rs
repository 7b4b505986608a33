//! Typed options of micro-libraries: kinds, values, parsing and checking.

use std::fmt;

/// What values an option takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OptionKind {
    /// `true` or `false`.
    Bool,
    /// A whole number within a range, both ends included.
    Int {
        /// Smallest value.
        min: i64,
        /// Largest value.
        max: i64,
    },
    /// A number of bytes, written as [`parse_size`] reads it; both ends included.
    Size {
        /// Smallest value in bytes.
        min: u64,
        /// Largest value in bytes.
        max: u64,
    },
    /// Any text.
    Text,
    /// One of some words.
    Choice(Vec<String>),
}

impl fmt::Display for OptionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OptionKind::Bool => f.write_str("true or false"),
            OptionKind::Int { min: i64::MIN, max: i64::MAX } => f.write_str("a whole number"),
            OptionKind::Int { min, max: i64::MAX } => write!(f, "a whole number from {min}"),
            OptionKind::Int { min, max } => write!(f, "a whole number from {min} to {max}"),
            OptionKind::Size { min: 0, max: u64::MAX } => f.write_str("a size in bytes"),
            OptionKind::Size { min, max: u64::MAX } => {
                write!(f, "a size of at least {}", format_size(*min))
            }
            OptionKind::Size { min, max } => {
                write!(f, "a size from {} to {}", format_size(*min), format_size(*max))
            }
            OptionKind::Text => f.write_str("a text"),
            OptionKind::Choice(values) => write!(f, "one of {}", values.join(", ")),
        }
    }
}

/// A value of an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Value of a [`OptionKind::Bool`].
    Bool(bool),
    /// Value of a [`OptionKind::Int`].
    Int(i64),
    /// Value of a [`OptionKind::Size`], in bytes.
    Size(u64),
    /// Value of a [`OptionKind::Text`].
    Text(String),
    /// Value of a [`OptionKind::Choice`].
    Choice(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Bool(v) => v.fmt(f),
            Value::Int(v) => v.fmt(f),
            Value::Size(v) => f.write_str(&format_size(*v)),
            Value::Text(v) | Value::Choice(v) => f.write_str(v),
        }
    }
}

impl OptionKind {
    /// Reads a value written as text, as in `--set lib.option=value`. `None` when it does not fit.
    pub fn parse(&self, text: &str) -> Option<Value> {
        let value = match self {
            OptionKind::Bool => match text {
                "true" | "yes" | "on" | "1" => Value::Bool(true),
                "false" | "no" | "off" | "0" => Value::Bool(false),
                _ => return None,
            },
            OptionKind::Int { .. } => Value::Int(text.parse().ok()?),
            OptionKind::Size { .. } => Value::Size(parse_size(text)?),
            OptionKind::Text => Value::Text(text.to_owned()),
            OptionKind::Choice(_) => Value::Choice(text.to_owned()),
        };
        self.allows(&value).then_some(value)
    }

    /// Whether `value` is of this kind and within its range.
    pub fn allows(&self, value: &Value) -> bool {
        match (self, value) {
            (OptionKind::Bool, Value::Bool(_)) | (OptionKind::Text, Value::Text(_)) => true,
            (OptionKind::Int { min, max }, Value::Int(v)) => (min..=max).contains(&v),
            (OptionKind::Size { min, max }, Value::Size(v)) => (min..=max).contains(&v),
            (OptionKind::Choice(values), Value::Choice(v)) => values.contains(v),
            _ => false,
        }
    }

    /// Reads a value from a TOML item. `None` when it has the wrong type or is out of range.
    pub fn from_toml(&self, item: &toml_edit::Value) -> Option<Value> {
        let value = match (self, item) {
            (OptionKind::Bool, toml_edit::Value::Boolean(v)) => Value::Bool(*v.value()),
            (OptionKind::Int { .. }, toml_edit::Value::Integer(v)) => Value::Int(*v.value()),
            (OptionKind::Size { .. }, toml_edit::Value::Integer(v)) => {
                Value::Size((*v.value()).try_into().ok()?)
            }
            (
                OptionKind::Size { .. } | OptionKind::Text | OptionKind::Choice(_),
                toml_edit::Value::String(v),
            ) => return self.parse(v.value()),
            _ => return None,
        };
        self.allows(&value).then_some(value)
    }
}

impl Value {
    /// The value as it is written in a manifest.
    pub fn to_toml(&self) -> toml_edit::Value {
        match self {
            Value::Bool(v) => (*v).into(),
            Value::Int(v) => (*v).into(),
            Value::Size(v) => format_size(*v).into(),
            Value::Text(v) | Value::Choice(v) => v.as_str().into(),
        }
    }
}

/// One option of a micro-library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionSpec {
    /// Name within its library.
    pub name: String,
    /// What values it takes.
    pub kind: OptionKind,
    /// Value when nobody says anything.
    pub default: Value,
    /// What it does, for `oxk menu` and `oxk libs`.
    pub help: String,
    /// Cargo feature of the library that a boolean option switches.
    pub feature: Option<String>,
    /// Whether the command line of the booted image may set it, as `library.option=value`.
    pub runtime: bool,
    /// Rust type of a compile-time choice: an enum of the library, variants in camel case.
    pub rust_type: Option<String>,
}

/// Parses a size as images do; `ukplat::parse_size` says how they are written.
pub fn parse_size(text: &str) -> Option<u64> {
    let (digits, unit) = text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
    let number: u64 = digits.parse().ok()?;
    let letter = unit.strip_suffix("iB").filter(|letter| !letter.is_empty());
    let shift = match letter.or(unit.strip_suffix('B')).unwrap_or(unit) {
        "" => 0,
        "K" | "k" => 10,
        "M" | "m" => 20,
        "G" | "g" => 30,
        "T" | "t" => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

/// The shortest exact way to write a size that [`parse_size`] reads.
pub fn format_size(bytes: u64) -> String {
    for (shift, unit) in [(40, "T"), (30, "G"), (20, "M"), (10, "K")] {
        if bytes != 0 && bytes.trailing_zeros() >= shift {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    bytes.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_are_read_as_images_read_them() {
        let examples = include_str!("../../../core/ukplat/src/size_examples.txt");
        for line in examples.lines().filter(|l| !l.starts_with('#')) {
            let (text, bytes) = line.rsplit_once(' ').unwrap();
            let text = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap();
            assert_eq!(parse_size(text), bytes.parse().ok(), "{line}");
        }
        assert_eq!(format_size(0), "0");
    }

    #[test]
    fn ranges_hold() {
        let kind = OptionKind::Int { min: 1, max: 9 };
        assert_eq!(kind.parse("9"), Some(Value::Int(9)));
        assert_eq!(kind.parse("10"), None);
        assert_eq!(kind.to_string(), "a whole number from 1 to 9");
        let kind = OptionKind::Choice(vec!["a".into(), "b".into()]);
        assert_eq!(kind.parse("c"), None);
    }

    proptest! {
        #[test]
        fn a_written_size_reads_back(bytes: u64) {
            prop_assert_eq!(parse_size(&format_size(bytes)), Some(bytes));
        }

        #[test]
        fn parsing_never_panics(text in ".{0,30}") {
            for kind in [OptionKind::Bool, OptionKind::Int { min: 0, max: 5 },
                         OptionKind::Size { min: 0, max: u64::MAX }, OptionKind::Text] {
                let _ = kind.parse(&text);
            }
        }
    }
}
