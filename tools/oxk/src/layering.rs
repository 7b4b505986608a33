//! The layering of the workspace: which pool may use which, where unsafe code may be, and where
//! architectures may be named.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml_edit::{Document, Item};

use crate::diagnostic::{Context, Result, Source};
use crate::pool::{POOLS, crates_in, toml_error};

/// Pools with the pools that their crates may depend on, beside their own. Lower pools define
/// traits; upper ones implement and register.
const LAYERS: [(&str, &[&str]); 16] = [
    ("arch", &[]),
    ("core", &[]),
    ("alloc", &["core"]),
    ("sched", &["core"]),
    ("drivers", &["core", "arch", "plat", "block", "net"]),
    ("plat", &["core", "arch"]),
    ("block", &["core"]),
    ("net", &["core"]),
    ("fs", &["core", "block"]),
    ("posix", &["core", "block", "net", "fs"]),
    ("libc", &["core", "posix"]),
    ("debug", &["core", "sched"]),
    ("apps", &["core", "alloc", "sched", "block", "net", "fs", "posix", "libc", "debug"]),
    ("bench", &["core", "alloc"]),
    ("tools", &["core", "plat", "fs", "bench"]),
    ("tests", &["tools"]),
];

/// Crates and pools that may contain unsafe code; all others forbid it.
const UNSAFE_ALLOWED: [&str; 21] = [
    "arch/",
    "plat/",
    "alloc/",
    "core/ukplat",
    "core/ukdma",
    "core/ukalloc",
    "core/uklock",
    "core/uksched",
    "fs/hostfs",
    "sched/ukasync",
    "posix/syscall-shim/",
    "posix/syscall-trap/",
    "posix/posix-mmap/",
    "posix/posix-signal/",
    "posix/posix-thread/",
    "libc/",
    "debug/ukcrash",
    "debug/ukplatcheck",
    "debug/limited-memory",
    "tools/tender",
    "bench/",
];

/// Folders in which source code may name an architecture. Numbers of system calls differ, and what
/// `/proc/cpuinfo` says; checks of registers know their names.
const ARCH_ALLOWED: [&str; 9] = [
    "arch/",
    "plat/",
    "fs/hostfs/",
    "posix/syscall-shim/",
    "posix/posix-proc/",
    "debug/ukplatcheck/",
    "bench/",
    "tools/",
    "tests/",
];
const ARCH_NAMES: [&str; 5] = ["x86", "x86_64", "aarch64", "riscv64", "arm64"];

/// One rule broken in one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// File and line, from 1; line 0 for the whole file.
    pub place: (PathBuf, usize),
    /// What is wrong and why.
    pub what: String,
    /// What to do instead.
    pub way_out: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  --> {}", self.what, self.place.0.display())?;
        if self.place.1 > 0 {
            write!(f, ":{}", self.place.1)?;
        }
        write!(f, "\n  help: {}", self.way_out)
    }
}

/// What was checked and what was found.
#[derive(Debug, Clone, Default)]
pub struct Checked {
    /// Number of crates.
    pub crates: usize,
    /// Number of dependencies between them.
    pub edges: usize,
    /// Rules broken.
    pub violations: Vec<Violation>,
}

struct Crate {
    name: String,
    /// Folder relative to the repository, with `/` at the end.
    dir: String,
    pool: String,
    /// Names of normal dependencies with their lines.
    dependencies: Vec<(String, usize)>,
}

/// Checks the repository at `root`.
pub fn check(root: &Path) -> Result<Checked> {
    let crates = crates(root)?;
    let by_name: BTreeMap<&str, &Crate> = crates.iter().map(|c| (c.name.as_str(), c)).collect();
    let mut checked = Checked { crates: crates.len(), ..Checked::default() };
    for one in &crates {
        let manifest = PathBuf::from(format!("{}Cargo.toml", one.dir));
        for (dependency, line) in &one.dependencies {
            let Some(target) = by_name.get(dependency.as_str()) else { continue };
            checked.edges += 1;
            if !may_use(&one.pool, &target.pool) {
                checked.violations.push(Violation {
                    place: (manifest.clone(), *line),
                    what: format!(
                        "`{}` in {}/ depends on `{}` in {}/",
                        one.name, one.pool, target.name, target.pool
                    ),
                    way_out: format!(
                        "{}/ may use {}; define a trait below and register from above",
                        one.pool,
                        allowed(&one.pool).join(", ")
                    ),
                });
            }
        }
        if one.pool != "tests" || !one.dir.is_empty() {
            check_sources(root, one, &mut checked)?;
        }
    }
    Ok(checked)
}

fn allowed(pool: &str) -> Vec<&str> {
    let below = LAYERS.iter().find(|(name, _)| *name == pool).map_or(&[][..], |(_, below)| below);
    std::iter::once(pool).chain(below.iter().copied()).collect()
}

fn may_use(pool: &str, target: &str) -> bool {
    // Applications are alone; everywhere else crates of one pool may use each other.
    allowed(pool).contains(&target) && (pool != "apps" || target != "apps")
}

fn crates(root: &Path) -> Result<Vec<Crate>> {
    let mut found = Vec::new();
    let pools = POOLS.iter().copied().chain(["apps", "bench", "tools"]);
    for pool in pools {
        for dir in crates_in(&root.join(pool))? {
            let relative = dir.strip_prefix(root).unwrap_or(&dir);
            found.push((pool.to_owned(), format!("{}/", relative.display())));
        }
    }
    found.push(("tests".to_owned(), "tests/".to_owned()));
    found.sort();
    let mut crates = Vec::new();
    for (pool, dir) in found {
        let path = root.join(&dir).join("Cargo.toml");
        if !path.is_file() {
            continue;
        }
        let source = Source::read(&path)?;
        let document = Document::parse(source.text.clone()).map_err(|e| toml_error(&source, &e))?;
        let name = document.get("package").and_then(|p| p.get("name")).and_then(Item::as_str);
        let mut dependencies = Vec::new();
        if let Some(table) = document.get("dependencies").and_then(Item::as_table_like) {
            for (key, item) in table.iter() {
                let name = item.get("package").and_then(Item::as_str).unwrap_or(key);
                let span = table.key(key).and_then(toml_edit::Key::span);
                let line = span.map_or(0, |s| source.line_column(s.start).0);
                dependencies.push((name.to_owned(), line));
            }
        }
        crates.push(Crate { name: name.unwrap_or_default().to_owned(), dir, pool, dependencies });
    }
    Ok(crates)
}

fn check_sources(root: &Path, one: &Crate, checked: &mut Checked) -> Result<()> {
    let src = root.join(&one.dir).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    let relative = |file: &Path| file.strip_prefix(root).unwrap_or(file).to_owned();
    if !UNSAFE_ALLOWED.iter().any(|a| one.dir.starts_with(a)) {
        for file in files.iter().filter(|f| is_crate_root(&src, f)) {
            let text = std::fs::read_to_string(file).context("cannot read a source file")?;
            if !text.contains("#![forbid(unsafe_code)]") {
                checked.violations.push(Violation {
                    place: (relative(file), 0),
                    what: format!("`{}` does not forbid unsafe code", one.name),
                    way_out: "add #![forbid(unsafe_code)]; what needs unsafe code goes to arch/, \
                              plat/, alloc/ or a crate of its own"
                        .into(),
                });
            }
        }
    }
    if ARCH_ALLOWED.iter().any(|a| one.dir.starts_with(a)) {
        return Ok(());
    }
    for file in files {
        let text = std::fs::read_to_string(&file).context("cannot read a source file")?;
        for (index, line) in text.lines().enumerate() {
            if let Some(name) = names_architecture(line) {
                checked.violations.push(Violation {
                    place: (relative(&file), index + 1),
                    what: format!("`{}` names the architecture {name}", one.name),
                    way_out: "ask the platform through ukplat instead".into(),
                });
            }
        }
    }
    Ok(())
}

fn is_crate_root(src: &Path, file: &Path) -> bool {
    file == src.join("lib.rs")
        || file == src.join("main.rs")
        || file.parent() == Some(&src.join("bin"))
}

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// The architecture that a line of code names, comments left aside.
fn names_architecture(line: &str) -> Option<&'static str> {
    let code = line.split("//").next().unwrap_or_default();
    code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .find_map(|word| ARCH_NAMES.into_iter().find(|name| *name == word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        dir
    }

    fn messages(files: &[(&str, &str)]) -> Vec<String> {
        let dir = tree(files);
        check(dir.path()).unwrap().violations.iter().map(Violation::to_string).collect()
    }

    const SAFE: &str = "#![forbid(unsafe_code)]\n";

    #[test]
    fn upward_dependencies_are_found() {
        let found = messages(&[
            (
                "core/a/Cargo.toml",
                "[package]\nname = \"a\"\n[dependencies]\nb.path = \"../../alloc/b\"\n",
            ),
            ("core/a/src/lib.rs", SAFE),
            ("alloc/b/Cargo.toml", "[package]\nname = \"b\"\n[dev-dependencies]\na.path = \"x\"\n"),
            ("alloc/b/src/lib.rs", ""),
        ]);
        assert_eq!(found.len(), 1);
        assert!(
            found[0]
                .starts_with("`a` in core/ depends on `b` in alloc/\n  --> core/a/Cargo.toml:4"),
            "{}",
            found[0]
        );
    }

    #[test]
    fn unsafe_and_architectures_stay_where_they_belong() {
        let found = messages(&[
            ("core/a/Cargo.toml", "[package]\nname = \"a\"\n"),
            ("core/a/src/lib.rs", "// x86_64 in a comment\nuse core::arch::x86_64::_rdtsc;\n"),
            ("plat/p/Cargo.toml", "[package]\nname = \"p\"\n"),
            ("plat/p/src/lib.rs", "use core::arch::x86_64::_rdtsc;\n"),
        ]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("`a` does not forbid unsafe code"), "{}", found[0]);
        assert!(
            found[1].contains("names the architecture x86_64\n  --> core/a/src/lib.rs:2"),
            "{}",
            found[1]
        );
    }

    #[test]
    fn this_repository_keeps_its_layers() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let checked = check(root).unwrap();
        let found: Vec<String> = checked.violations.iter().map(Violation::to_string).collect();
        assert!(found.is_empty(), "{}", found.join("\n"));
        assert!(checked.crates > 10 && checked.edges > 20);
    }
}
