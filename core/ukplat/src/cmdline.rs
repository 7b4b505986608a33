//! Splitting a command-line text into words, in place.
//!
//! Words are separated by white space. Quoting follows the POSIX shell (XCU section 2.2): a
//! backslash takes the next character as it is, single quotes take everything up to the next
//! single quote, double quotes everything but backslash escapes. A quoted piece may stand anywhere
//! in a word.
//!
//! ```
//! let mut text = *b"uklog.level=debug -- say 'hello world' it\\'s";
//! let compact = ukplat::cmdline::compact(&mut text)?;
//! let words: Vec<&[u8]> = compact.split(|&b| b == 0).collect();
//! assert_eq!(words, [&b"uklog.level=debug"[..], b"--", b"say", b"hello world", b"it's"]);
//! # Ok::<(), ukplat::cmdline::Unfinished>(())
//! ```

/// The text ends inside quotes or after a backslash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfinished;

impl core::fmt::Display for Unfinished {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the command line ends inside quotes or after a backslash")
    }
}

impl core::error::Error for Unfinished {}

/// Removes quoting and separates the words by single zero bytes, without a final one. Zero bytes
/// in the text count as white space. Returns the part of the text that holds the result; it is
/// empty when there is no word. Only ASCII bytes are removed, so UTF-8 stays valid.
///
/// # Errors
/// [`Unfinished`] when a quote is not closed.
pub fn compact(text: &mut [u8]) -> Result<&mut [u8], Unfinished> {
    let (mut read, mut write) = (0, 0);
    let (mut in_word, mut any_word) = (false, false);
    // `write` never passes `read`: a word's first byte was preceded by a separator or is at 0.
    while let Some(&byte) = text.get(read) {
        read += 1;
        if byte.is_ascii_whitespace() || byte == 0 {
            in_word = false;
            continue;
        }
        if !in_word {
            if any_word {
                text[write] = 0;
                write += 1;
            }
            (in_word, any_word) = (true, true);
        }
        match byte {
            b'\\' => {
                text[write] = *text.get(read).ok_or(Unfinished)?;
                (read, write) = (read + 1, write + 1);
            }
            b'\'' | b'"' => loop {
                let mut next = *text.get(read).ok_or(Unfinished)?;
                read += 1;
                if next == byte {
                    break;
                }
                if next == b'\\' && byte == b'"' {
                    next = *text.get(read).ok_or(Unfinished)?;
                    read += 1;
                }
                text[write] = next;
                write += 1;
            },
            _ => {
                text[write] = byte;
                write += 1;
            }
        }
    }
    Ok(&mut text[..write])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(text: &str) -> Result<Vec<String>, Unfinished> {
        let mut bytes = text.as_bytes().to_vec();
        let compact = compact(&mut bytes)?;
        let text = std::str::from_utf8(compact).expect("only ASCII is removed");
        if text.is_empty() {
            return Ok(Vec::new());
        }
        Ok(text.split('\0').map(str::to_owned).collect())
    }

    #[test]
    fn quotes_and_escapes() {
        assert_eq!(words("a=\"b c\" d").unwrap(), ["a=b c", "d"]);
        assert_eq!(words("'it is \"so\"'").unwrap(), ["it is \"so\""]);
        assert_eq!(words(r#""a\"b" c\ d"#).unwrap(), ["a\"b", "c d"]);
        assert_eq!(words("  \t\n").unwrap(), [""; 0]);
        assert_eq!(words("a '' b").unwrap(), ["a", "", "b"]);
        assert_eq!(words("'' b").unwrap(), ["", "b"]);
        assert_eq!(words("k=ä ö").unwrap(), ["k=ä", "ö"]);
        assert_eq!(words("a 'b"), Err(Unfinished));
        assert_eq!(words("a \\"), Err(Unfinished));
    }

    proptest! {
        #[test]
        fn never_panics(text in "(.|['\"\\\\ ]){0,200}") {
            let _ = words(&text);
        }

        #[test]
        fn any_bytes_will_do(mut bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let len = bytes.len();
            if let Ok(compact) = compact(&mut bytes) {
                prop_assert!(compact.len() <= len);
            }
        }

        #[test]
        fn quoted_words_come_back(list in prop::collection::vec("[^\0]{1,12}", 0..20)) {
            let text: Vec<String> =
                list.iter().map(|w| format!("'{}'", w.replace('\'', r"'\''"))).collect();
            prop_assert_eq!(words(&text.join(" ")).unwrap(), list);
        }
    }
}
