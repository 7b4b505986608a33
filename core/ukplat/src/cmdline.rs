//! Splitting a command-line text into words.
//!
//! Words are separated by white space. A word, or the part of it after its first `=`, may stand
//! in double or single quotes and then contains everything up to the closing quote; there are no
//! escapes. So every word is a piece of the text and nothing has to be copied.
//!
//! ```
//! let mut words = ukplat::cmdline::Words::new("uklog.level=debug -- say 'hello world'");
//! assert_eq!(words.next(), Some(Ok(("uklog.level=debug", None))));
//! assert_eq!(words.next(), Some(Ok(("--", None))));
//! assert_eq!(words.next(), Some(Ok(("say", None))));
//! assert_eq!(words.next(), Some(Ok(("hello world", None))));
//! assert_eq!(words.next(), None);
//! ```

/// A quote that is never closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnclosedQuote;

/// Iterator over the words of a text.
///
/// An item is `(word, None)`, or `(key, Some(value))` for `key="quoted value"`, where the quotes
/// are not part of the value.
#[derive(Clone, Debug)]
pub struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    /// The words of `text`.
    pub const fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    fn quoted(&mut self, quote: char) -> Result<&'a str, UnclosedQuote> {
        // `rest` starts with the quote, which is one byte long.
        let inner = &self.rest[1..];
        let end = inner.find(quote).ok_or_else(|| {
            self.rest = "";
            UnclosedQuote
        })?;
        self.rest = &inner[end + 1..];
        Ok(&inner[..end])
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = Result<(&'a str, Option<&'a str>), UnclosedQuote>;

    fn next(&mut self) -> Option<Self::Item> {
        self.rest = self.rest.trim_start_matches(|c: char| c.is_ascii_whitespace());
        let first = self.rest.chars().next()?;
        if matches!(first, '"' | '\'') {
            return Some(self.quoted(first).map(|word| (word, None)));
        }
        let bytes = self.rest.as_bytes();
        let mut end = 0;
        while end < bytes.len() && !bytes[end].is_ascii_whitespace() {
            if bytes[end] == b'='
                && let Some(&quote @ (b'"' | b'\'')) = bytes.get(end + 1)
            {
                let key = &self.rest[..end];
                self.rest = &self.rest[end + 1..];
                return Some(self.quoted(quote as char).map(|value| (key, Some(value))));
            }
            end += 1;
        }
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(Ok((word, None)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(text: &str) -> Vec<Result<(&str, Option<&str>), UnclosedQuote>> {
        Words::new(text).collect()
    }

    #[test]
    fn quotes() {
        assert_eq!(all("a=\"b c\" d"), [Ok(("a", Some("b c"))), Ok(("d", None))]);
        assert_eq!(all("'it is \"so\"'"), [Ok(("it is \"so\"", None))]);
        assert_eq!(all("''"), [Ok(("", None))]);
        assert_eq!(all("a 'b"), [Ok(("a", None)), Err(UnclosedQuote)]);
        assert_eq!(all("  \t\n"), []);
        assert_eq!(all("k=ä ö"), [Ok(("k=ä", None)), Ok(("ö", None))]);
    }

    proptest! {
        #[test]
        fn never_panics_and_always_ends(text in ".{0,200}") {
            prop_assert!(all(&text).len() <= text.len());
        }

        #[test]
        fn plain_words_come_back(words in prop::collection::vec("[a-z.=0-9-]{1,12}", 0..20)) {
            let text = words.join(" ");
            let got: Vec<_> = all(&text).into_iter().map(|w| w.unwrap().0.to_owned()).collect();
            prop_assert_eq!(got, words);
        }
    }
}
