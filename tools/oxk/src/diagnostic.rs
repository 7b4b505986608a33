//! Errors as the user sees them: a one-line cause, where it stands, and the way out.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Result with a user-facing error.
pub type Result<T> = std::result::Result<T, Diagnostic>;

/// One error for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The cause, one line without a full stop.
    pub cause: String,
    /// File, line and column (both from 1, or 0 for the whole file) in the user's input.
    pub place: Option<(PathBuf, usize, usize)>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error with only a cause.
    pub fn new(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), place: None, help: None }
    }

    /// Adds the way out.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Names the file that the error is about, without a place in it.
    #[must_use]
    pub fn in_file(mut self, source: &Source) -> Self {
        self.place = Some((source.path.clone(), 0, 0));
        self
    }

    /// Adds the place in a source text.
    #[must_use]
    pub fn at(mut self, source: &Source, span: Option<Range<usize>>) -> Self {
        let (line, column) = span.map_or((1, 1), |s| source.line_column(s.start));
        self.place = Some((source.path.clone(), line, column));
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)?;
        if let Some((path, line, column)) = &self.place {
            write!(f, "\n  --> {}", path.display())?;
            if *line > 0 {
                write!(f, ":{line}:{column}")?;
            }
        }
        if let Some(help) = &self.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostic {}

/// Adds what was being done to an I/O error.
pub trait Context<T> {
    /// Turns the error into a diagnostic "`doing`: error".
    fn context(self, doing: impl fmt::Display) -> Result<T>;
}

impl<T, E: fmt::Display> Context<T> for std::result::Result<T, E> {
    fn context(self, doing: impl fmt::Display) -> Result<T> {
        self.map_err(|e| Diagnostic::new(format!("{doing}: {e}")))
    }
}

/// A text file that diagnostics can point into.
#[derive(Debug, Clone)]
pub struct Source {
    /// Path as the user would name it.
    pub path: PathBuf,
    /// The content.
    pub text: String,
}

impl Source {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self> {
        let text =
            std::fs::read_to_string(path).context(format!("cannot read {}", path.display()))?;
        Ok(Self { path: relative_to_cwd(path), text })
    }

    /// Line and column, both from 1, of a byte offset.
    pub fn line_column(&self, offset: usize) -> (usize, usize) {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        let line = before.iter().filter(|&&b| b == b'\n').count() + 1;
        let start = before.iter().rposition(|&b| b == b'\n').map_or(0, |p| p + 1);
        (line, before.len() - start + 1)
    }
}

/// The path as seen from the current directory when it lies below it.
pub fn relative_to_cwd(path: &Path) -> PathBuf {
    std::env::current_dir()
        .ok()
        .and_then(|cwd| path.strip_prefix(cwd).ok().map(Path::to_path_buf))
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or_else(|| path.to_path_buf())
}

/// The candidate most like `word`, if any is alike enough to be what was meant.
pub fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|c| (edit_distance(word, c), c))
        .filter(|&(d, c)| d <= 1 + c.len().max(word.len()) / 4)
        .min()
        .map(|(_, c)| c)
}

/// Damerau-Levenshtein distance with adjacent transpositions (optimal string alignment).
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestions() {
        assert_eq!(did_you_mean("uklgo", ["uklog", "ukalloc"]), Some("uklog"));
        assert_eq!(did_you_mean("banana", ["uklog", "ukalloc"]), None);
    }

    #[test]
    fn places_count_from_one() {
        let source = Source { path: "a".into(), text: "ab\ncd\n".into() };
        assert_eq!(source.line_column(0), (1, 1));
        assert_eq!(source.line_column(4), (2, 2));
        assert_eq!(source.line_column(99), (3, 1));
    }
}
