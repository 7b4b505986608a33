//! The handlers in the pool, as the attribute `#[syscall]` in their sources registers them.

use std::path::{Path, PathBuf};

use super::Numbers;
use crate::diagnostic::{Context, Diagnostic, Result};
use crate::pool::Pool;

/// A registered handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handler {
    /// Number of the call.
    pub number: u16,
    /// Its name.
    pub name: String,
    /// The library with the handler.
    pub library: String,
    /// The first paragraph of its documentation.
    pub help: String,
}

/// All handlers of the pool, by number; calls that several libraries handle are there several times.
pub fn registered(pool: &Pool, numbers: &Numbers) -> Result<Vec<Handler>> {
    let mut handlers = Vec::new();
    for library in pool.libraries().filter(|l| l.dependencies.iter().any(|d| d == "syscall-shim")) {
        for file in sources(&library.dir.join("src")) {
            let text = std::fs::read_to_string(&file)
                .context(format!("cannot read {}", file.display()))?;
            for found in scan(&text) {
                let number = found.number.or_else(|| numbers.number(&found.name));
                let number = number.ok_or_else(|| {
                    Diagnostic::new(format!("there is no number for the call {}", found.name))
                        .help(format!("it is registered in {}", file.display()))
                })?;
                handlers.push(Handler {
                    number,
                    name: found.name,
                    library: library.name.clone(),
                    help: found.help,
                });
            }
        }
    }
    handlers.sort_by(|a, b| (a.number, &a.library).cmp(&(b.number, &b.library)));
    Ok(handlers)
}

/// Source files of a folder, without those of tests.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()) {
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// A registration in a source file.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    name: String,
    number: Option<u16>,
    help: String,
}

/// The functions under the attribute, with the documentation above it.
fn scan(text: &str) -> Vec<Found> {
    let mut found = Vec::new();
    let mut help: Vec<&str> = Vec::new();
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        if let Some(doc) = line.strip_prefix("///") {
            help.push(doc.trim());
            continue;
        }
        let number = match line.strip_prefix("#[syscall") {
            Some("]") => None,
            Some(rest) => {
                let number = rest.strip_prefix("(nr = ").and_then(|r| r.strip_suffix(")]"));
                match number.and_then(|n| n.parse().ok()) {
                    Some(number) => Some(number),
                    None => continue,
                }
            }
            None => {
                help.clear();
                continue;
            }
        };
        let function = lines.by_ref().find_map(|line| {
            let (_, name) = line.split_once("fn ")?;
            let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '#')?;
            Some(name[..end].trim_start_matches("r#").to_owned())
        });
        if let Some(name) = function {
            let paragraph: Vec<&str> =
                help.iter().copied().take_while(|line| !line.is_empty()).collect();
            found.push(Found { name, number, help: paragraph.join(" ") });
        }
        help.clear();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registrations_are_found_with_their_documentation() {
        let text = "
            /// Not this one.
            fn other() {}

            /// Does it (do(2)),
            /// well.
            ///
            /// Details.
            #[syscall]
            pub fn r#do(a: u32) -> Result<(), Errno> {}

            /// Own.
            #[syscall(nr = 500)]
            fn own(
                a: u32,
            ) {}
            use syscall_shim::syscall;
        ";
        let found = scan(text);
        assert_eq!(found.len(), 2);
        assert_eq!(
            found[0],
            Found { name: "do".into(), number: None, help: "Does it (do(2)), well.".into() }
        );
        assert_eq!((found[1].name.as_str(), found[1].number), ("own", Some(500)));
    }
}
