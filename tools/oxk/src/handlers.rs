//! Which system calls a library handles, read from its sources.

use std::path::Path;

/// Names of the calls that the sources below `dir` register by the attribute `#[syscall]`, sorted.
/// Calls with a number of their own (`nr = …`) are those of tests.
pub fn of(dir: &Path) -> Vec<String> {
    let mut names = Vec::new();
    let mut folders = vec![dir.join("src")];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                names.extend(parse(&std::fs::read_to_string(path).unwrap_or_default()));
            }
        }
    }
    names.sort();
    names.dedup();
    names
}

/// Names of the functions after each line `#[syscall]`.
fn parse(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut lines = text.lines().map(str::trim);
    while lines.any(|line| line == "#[syscall]") {
        let name = lines.find_map(|line| line.split_once("fn ")?.1.split('(').next());
        names.extend(name.map(|name| name.trim_start_matches("r#").to_owned()));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registrations_are_found() {
        let text = "#[syscall]\nfn open(path: CStrPtr) {}\n//! #[syscall]\n/// fn no() {}\n\
                    #[syscall(nr = 500)]\nfn own() {}\n  #[syscall]\n  #[inline]\n  pub fn r#dup(\n";
        assert_eq!(parse(text), ["open", "dup"]);
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let stdio = of(&root.join("posix/posix-stdio"));
        assert_eq!(stdio, ["close", "ioctl", "lseek", "read", "readv", "write", "writev"]);
        assert!(of(&root.join("core/ukalloc")).is_empty());
    }
}
