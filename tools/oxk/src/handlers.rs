//! Which system calls a library handles, read from its sources: what the attribute `#[syscall]`
//! registers.

use std::path::{Path, PathBuf};

use crate::diagnostic::{Context, Result};

/// A registration in a source file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Name of the call.
    pub name: String,
    /// A number of its own (`nr = …`), as calls of tests have.
    pub number: Option<u16>,
    /// The first paragraph of its documentation.
    pub help: String,
    /// The file it is in.
    pub file: PathBuf,
}

/// The registrations in the sources of a crate, without those of its tests.
pub fn of(dir: &Path) -> Result<Vec<Registration>> {
    let mut found = Vec::new();
    for file in sources(&dir.join("src")) {
        let text =
            std::fs::read_to_string(&file).context(format!("cannot read {}", file.display()))?;
        scan(&text, &file, &mut found);
    }
    Ok(found)
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

/// The functions under the attribute, with the documentation above it.
fn scan(text: &str, file: &Path, found: &mut Vec<Registration>) {
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
            let (help, file) = (paragraph.join(" "), file.to_owned());
            found.push(Registration { name, number, help, file });
        }
        help.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registrations_are_found_with_their_documentation() {
        let text = "
            //! #[syscall]
            /// Not this one.
            fn other() {}

            /// Does it (do(2)),
            /// well.
            ///
            /// Details.
            #[syscall]
            #[inline]
            pub fn r#do(a: u32) -> Result<(), Errno> {}

            /// Own.
            #[syscall(nr = 500)]
            fn own(
                a: u32,
            ) {}
            use syscall_shim::syscall;
        ";
        let mut found = Vec::new();
        scan(text, Path::new("a.rs"), &mut found);
        let found: Vec<_> =
            found.iter().map(|r| (r.name.as_str(), r.number, r.help.as_str())).collect();
        assert_eq!(found, [("do", None, "Does it (do(2)), well."), ("own", Some(500), "Own.")]);
    }

    #[test]
    fn those_of_libraries() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let stdio = of(&root.join("posix/posix-stdio")).unwrap();
        let mut names: Vec<&str> = stdio.iter().map(|r| r.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["close", "ioctl", "lseek", "read", "readv", "write", "writev"]);
        assert!(of(&root.join("core/ukalloc")).unwrap().is_empty());
    }
}
