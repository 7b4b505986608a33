//! Parameters of libraries on the command line of an image: `lib.option=value … -- arguments`.
//!
//! A library declares an option with `runtime = true` in its metadata and a cell of the same name
//! in capitals at its crate root. The generated root crate lists the cells with names, ranges and
//! defaults; [`init`] fills them before any other phase reads them.
//!
//! ```
//! use ukparam::{Kind, Param};
//!
//! static TRACE: ukparam::Bool = ukparam::Bool::new();
//! static PARAMS: [Param; 1] = [Param {
//!     name: "lib.trace",
//!     expected: "true or false",
//!     kind: Kind::Bool { cell: &TRACE, default: false },
//! }];
//! ukparam::apply(&PARAMS, &["lib.trace=yes"])?;
//! assert!(TRACE.get());
//! # Ok::<(), ukplat::InitError>(())
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use ukplat::{BootInfo, InitError, StrCell};

macro_rules! cell {
    ($(#[$doc:meta])* $name:ident: $value:ty = $atomic:ty, $zero:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name($atomic);

        impl $name {
            /// A cell that waits for its value.
            #[expect(clippy::new_without_default, reason = "cells are statics")]
            pub const fn new() -> Self {
                Self(<$atomic>::new($zero))
            }

            /// The current value.
            #[inline]
            pub fn get(&self) -> $value {
                self.0.load(Ordering::Relaxed)
            }

            /// Changes the value.
            #[inline]
            pub fn set(&self, value: $value) {
                self.0.store(value, Ordering::Relaxed)
            }
        }
    };
}

cell!(
    /// Cell of a `bool` option.
    Bool: bool = AtomicBool, false
);
cell!(
    /// Cell of an `int` option.
    Int: i64 = AtomicI64, 0
);
cell!(
    /// Cell of a `size` option, in bytes.
    Size: usize = AtomicUsize, 0
);
cell!(
    /// Cell of a `choice` option: the index of the value in the option's list.
    Choice: usize = AtomicUsize, 0
);

/// Cell of a `text` option; set once.
pub type Text = StrCell;

/// What a parameter's values are and where they go.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields of all variants: cell, range, default")]
pub enum Kind {
    /// `true`, `yes`, `on`, `1` or `false`, `no`, `off`, `0`.
    Bool { cell: &'static Bool, default: bool },
    /// A whole number from `min` to `max`.
    Int { cell: &'static Int, min: i64, max: i64, default: i64 },
    /// A number of bytes from `min` to `max`, as [`ukplat::parse_size`] reads it.
    Size { cell: &'static Size, min: usize, max: usize, default: usize },
    /// One of `values`.
    Choice { cell: &'static Choice, values: &'static [&'static str], default: usize },
    /// Any text.
    Text { cell: &'static Text, default: &'static str },
}

/// One parameter of the image.
#[derive(Debug)]
pub struct Param {
    /// `library.option`.
    pub name: &'static str,
    /// What is accepted, in words, for error messages.
    pub expected: &'static str,
    /// Values and cell.
    pub kind: Kind,
}

/// Parameters of the image; written by the generated root crate.
#[derive(Debug)]
pub struct Config {
    /// All of them.
    pub params: &'static [Param],
}

/// Boot phase `param`: sets every cell to its default, then to what the command line says.
///
/// # Errors
/// A word that is not `library.option=value`, an unknown parameter, a value that does not fit.
pub fn init(boot: &'static BootInfo, config: &'static Config) -> Result<(), InitError> {
    apply(config.params, boot.parameters())
}

/// Sets the cells of `params` from `words` over the defaults. Of several words for one parameter
/// the last wins; the others must fit too.
///
/// # Errors
/// As [`init`].
pub fn apply(params: &'static [Param], words: &[&'static str]) -> Result<(), InitError> {
    for param in params {
        param.set_default();
    }
    for &word in words {
        let Some((name, value)) = word.split_once('=') else {
            return Err(InitError::about(
                "wrong parameter",
                word,
                "parameters are library.option=value; the application's arguments follow after --",
            ));
        };
        let Some(param) = params.iter().find(|p| p.name == name) else {
            return Err(InitError::about(
                "unknown parameter",
                name,
                "no library of this image has it (`oxk libs NAME` shows a library's parameters)",
            ));
        };
        if !param.set(value) {
            return Err(InitError::about("wrong value for parameter", word, param.expected));
        }
    }
    for param in params {
        // Text cells are set once, so the last word is looked for first.
        if let Kind::Text { cell, default } = param.kind {
            let mut values = words.iter().rev().filter_map(|word| word.split_once('='));
            let last = values.find(|(name, _)| *name == param.name);
            cell.set(last.map_or(default, |(_, value)| value));
        }
    }
    Ok(())
}

impl Param {
    fn set_default(&self) {
        match self.kind {
            Kind::Bool { cell, default } => cell.set(default),
            Kind::Int { cell, default, .. } => cell.set(default),
            Kind::Size { cell, default, .. } => cell.set(default),
            Kind::Choice { cell, default, .. } => cell.set(default),
            Kind::Text { .. } => {}
        }
    }

    /// Returns whether the value fits.
    fn set(&self, text: &'static str) -> bool {
        match self.kind {
            Kind::Bool { cell, .. } => match text {
                "true" | "yes" | "on" | "1" => cell.set(true),
                "false" | "no" | "off" | "0" => cell.set(false),
                _ => return false,
            },
            Kind::Int { cell, min, max, .. } => match text.parse() {
                Ok(value) if (min..=max).contains(&value) => cell.set(value),
                _ => return false,
            },
            Kind::Size { cell, min, max, .. } => match ukplat::parse_size(text) {
                Some(value) if (min..=max).contains(&value) => cell.set(value),
                _ => return false,
            },
            Kind::Choice { cell, values, .. } => match values.iter().position(|v| *v == text) {
                Some(index) => cell.set(index),
                None => return false,
            },
            // Every text fits; `apply` sets it.
            Kind::Text { .. } => {}
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    static BOOL: Bool = Bool::new();
    static INT: Int = Int::new();
    static SIZE: Size = Size::new();
    static CHOICE: Choice = Choice::new();
    static TEXT: Text = Text::new();
    static UNSET: Text = Text::new();
    static PARAMS: [Param; 6] = [
        Param { name: "a.bool", expected: "b", kind: Kind::Bool { cell: &BOOL, default: true } },
        Param {
            name: "a.int",
            expected: "a whole number from -5 to 5",
            kind: Kind::Int { cell: &INT, min: -5, max: 5, default: 2 },
        },
        Param {
            name: "a.size",
            expected: "s",
            kind: Kind::Size { cell: &SIZE, min: 1, max: 1 << 20, default: 4096 },
        },
        Param {
            name: "a.choice",
            expected: "c",
            kind: Kind::Choice { cell: &CHOICE, values: &["x", "y"], default: 1 },
        },
        Param { name: "a.text", expected: "t", kind: Kind::Text { cell: &TEXT, default: "d" } },
        Param { name: "a.unset", expected: "t", kind: Kind::Text { cell: &UNSET, default: "d" } },
    ];

    // One test, because the cells are shared.
    #[test]
    fn values_and_defaults() {
        let twice = [
            "a.int=-5",
            "a.int=4",
            "a.bool=off",
            "a.bool=on",
            "a.choice=y",
            "a.choice=x",
            "a.text=first",
            "a.text=k=v",
            "a.size=1K",
            "a.size=64KiB",
        ];
        apply(&PARAMS, &twice).unwrap();
        assert_eq!((BOOL.get(), INT.get(), SIZE.get(), CHOICE.get()), (true, 4, 65536, 0));
        assert_eq!((TEXT.get(), UNSET.get()), (Some("k=v"), Some("d")));
        apply(&PARAMS, &[]).unwrap();
        assert_eq!((INT.get(), CHOICE.get()), (2, 1));
        assert!(apply(&PARAMS, &["a.int=6", "a.int=5"]).is_err(), "a wrong word that loses");
        for wrong in ["a.int=6", "a.int=", "a.bool=2", "a.size=2M", "a.choice=z"] {
            assert!(apply(&PARAMS, &[wrong]).is_err(), "{wrong}");
        }
        let message = apply(&PARAMS, &["a.int=x"]).unwrap_err().to_string();
        assert_eq!(message, "wrong value for parameter `a.int=x`: a whole number from -5 to 5");
        let message = apply(&PARAMS, &["b.int=1"]).unwrap_err().to_string();
        assert!(message.starts_with("unknown parameter `b.int`"), "{message}");
        assert!(apply(&PARAMS, &["word"]).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(text in "a\\.(int|bool|size|choice)=.{0,20}") {
            let text: &'static str = Box::leak(text.into_boxed_str());
            static OWN: Int = Int::new();
            static LIST: [Param; 1] = [Param {
                name: "a.int",
                expected: "",
                kind: Kind::Int { cell: &OWN, min: 0, max: 1, default: 0 },
            }];
            let _ = apply(&LIST, &[text]);
        }
    }
}
