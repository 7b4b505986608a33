//! Rules of `make` in which compilers and cargo list what a file was made of.

use std::path::PathBuf;

/// The files behind the colon of the first rule. A name has a space or `#` behind a backslash, and
/// two dollars for one.
pub fn prerequisites(text: &str) -> Vec<PathBuf> {
    let text = text.replace("\\\r\n", " ").replace("\\\n", " ");
    let line = text.lines().next().unwrap_or_default();
    let (_, files) = line.split_once(": ").unwrap_or_default();
    let (mut names, mut name) = (Vec::new(), String::new());
    let mut letters = files.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, letters.peek()) {
            ('\\', Some(&next @ (' ' | '#'))) | ('$', Some(&next @ '$')) => {
                name.push(next);
                letters.next();
            }
            (' ' | '\t', _) => names.extend(take(&mut name)),
            _ => name.push(letter),
        }
    }
    names.extend(take(&mut name));
    names
}

fn take(name: &mut String) -> Option<PathBuf> {
    let name = std::mem::take(name);
    (!name.is_empty()).then(|| name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_cargo_and_of_compilers() {
        let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        let both = paths(&["/a/x.rs", "/b/y.rs"]);
        assert_eq!(prerequisites("/t/tender: /a/x.rs /b/y.rs\n"), both);
        assert_eq!(prerequisites("x.o: /a/x.rs \\\n  /b/y.rs\n\n/b/y.rs:\n"), both);
        assert_eq!(prerequisites(r"/my\ t/x: /my\ a/\#1$$"), paths(&["/my a/#1$"]));
        for nothing in ["", "\n", "/t/tender:", "/t/tender: "] {
            assert_eq!(prerequisites(nothing), paths(&[]));
        }
    }
}
