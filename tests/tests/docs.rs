//! The documentation holds: examples run, links lead somewhere, every crate is named.
//!
//! Rust examples are documentation tests of this package (`src/book.rs`).

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use image_tests::book::RUST_PAGES;
use image_tests::markdown::{Block, Step, blocks, first_missing, links, repository_files, steps};
use image_tests::{call, root};
use oxk::diagnostic::Source;
use oxk::manifest::Manifest;
use oxk::pool::{Pool, parse_library};

const OXK: &str = env!("CARGO_BIN_EXE_oxk-under-test");

/// Paths and texts of all Markdown files; templates are not pages yet.
fn pages() -> Vec<(PathBuf, String)> {
    let root = root();
    repository_files(&root)
        .into_iter()
        .filter(|f| f.extension().is_some_and(|e| e == "md"))
        .filter(|f| !f.components().any(|c| c.as_os_str() == "templates"))
        .map(|f| (f.clone(), std::fs::read_to_string(root.join(&f)).unwrap()))
        .collect()
}

/// The README and the pages of the book.
fn book() -> Vec<(PathBuf, String)> {
    let mut book = pages();
    book.retain(|(path, _)| path == Path::new("README.md") || path.starts_with("docs/src"));
    book
}

fn page(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

#[track_caller]
fn nothing_wrong(wrong: &str) {
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn console_sessions_show_what_happens() {
    let root = root();
    let files = repository_files(&root);
    // Kept from run to run for what cargo built in it; everything else is made as it should be.
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("docs");
    let mut wrong = String::new();
    for (path, text) in book() {
        let blocks = blocks(&text);
        let sessions: Vec<&Block> = blocks.iter().filter(|b| b.info == "console").collect();
        if sessions.is_empty() {
            continue;
        }
        restore(&copy, &root, &files);
        for block in sessions {
            for step in steps(&block.text) {
                let (code, output) = shell(&copy, &step.command);
                let shown = shown_here(&step);
                let missing = first_missing(&output, &shown);
                if code == 0 && missing.is_none() {
                    continue;
                }
                let _ = writeln!(wrong, "{}:{}: {}", path.display(), block.line, step.command);
                if let Some(line) = missing {
                    let _ = writeln!(wrong, "missing: {line}");
                }
                let _ = writeln!(wrong, "exit code {code}, output:\n{output}");
            }
        }
    }
    nothing_wrong(&wrong);
}

/// What a session shows, on this machine. The pages are written on one where /dev/kvm opens; elsewhere
/// images run as processes when nobody says where.
fn shown_here(step: &Step) -> Vec<String> {
    let elsewhere = !oxk::tender::kvm_opens() && !step.command.contains("--plat");
    let here = |line: &String| if elsewhere { line.replace("hvt", "linuxu") } else { line.clone() };
    step.shown.iter().map(here).collect()
}

/// Runs a command line; output and error stream come together, as on a terminal.
fn shell(dir: &Path, command: &str) -> (i32, String) {
    let command = command.replace("cargo oxk", OXK);
    let output = Command::new("sh")
        .args(["-c", &format!("exec 2>&1; {command}")])
        .current_dir(dir)
        // What is built once for all images need not be built again for this copy.
        .env("OXK_CACHE", root().join("target/oxk"))
        // As cargo does for what its aliases start.
        .env("CARGO", std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .stdin(Stdio::null())
        .output()
        .expect("sh can be started");
    let text = String::from_utf8_lossy(&output.stdout).replace('\r', "");
    (output.status.code().unwrap_or(-1), text)
}

/// Makes `copy` hold the `files` of `root` and nothing else but its folder `build`.
fn restore(copy: &Path, root: &Path, files: &[PathBuf]) {
    std::fs::create_dir_all(copy).unwrap();
    remove_strangers(copy, Path::new(""), &files.iter().map(PathBuf::as_path).collect());
    for file in files {
        let (from, to) = (root.join(file), copy.join(file));
        // Files that are right keep their time stamps, so that cargo compiles nothing again.
        let content = std::fs::read(&from).unwrap();
        if std::fs::read(&to).is_ok_and(|old| old == content) {
            continue;
        }
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(&from, &to).unwrap();
    }
}

fn remove_strangers(copy: &Path, below: &Path, files: &BTreeSet<&Path>) {
    for entry in std::fs::read_dir(copy.join(below)).unwrap() {
        let relative = below.join(entry.unwrap().file_name());
        if relative == Path::new("build") {
            continue;
        }
        let path = copy.join(&relative);
        if path.is_dir() {
            if files.range(relative.as_path()..).next().is_some_and(|f| f.starts_with(&relative)) {
                remove_strangers(copy, &relative, files);
            } else {
                std::fs::remove_dir_all(path).unwrap();
            }
        } else if !files.contains(relative.as_path()) {
            std::fs::remove_file(path).unwrap();
        }
    }
}

/// The words of a call of the tool up to the end of the command, as a shell divides them.
fn tool_words(command: &str) -> Option<Vec<String>> {
    let rest = command.strip_prefix("cargo oxk")?;
    let rest = rest.split_once(" #").map_or(rest, |(command, _comment)| command);
    let mut text = rest.as_bytes()[..end_of_command(rest)].to_vec();
    let compact = ukplat::cmdline::compact(&mut text).expect("quotes are closed");
    let words = compact.split(|b| *b == 0).filter(|w| !w.is_empty());
    let words = words.map(|w| String::from_utf8_lossy(w).into_owned());
    Some(std::iter::once("oxk".to_owned()).chain(words).collect())
}

/// Where a shell's command ends: at a sign that is not in quotes.
fn end_of_command(text: &str) -> usize {
    let mut quote = None;
    let end = text.char_indices().find(|&(_, c)| {
        match quote {
            Some(open) if c == open => quote = None,
            None if c == '"' || c == '\'' => quote = Some(c),
            _ => {}
        }
        quote.is_none() && matches!(c, '|' | ';' | '&' | '>')
    });
    end.map_or(text.len(), |(at, _)| at)
}

#[test]
fn commands_are_those_of_the_tool() {
    let mut wrong = String::new();
    let mut check = |place: String, command: &str| {
        if let Some(Err(said)) = tool_words(command).map(|words| oxk::cli::accepts(&words)) {
            let _ = writeln!(wrong, "{place}: {command}\n{said}");
        }
    };
    for (path, text) in pages() {
        for block in blocks(&text) {
            for line in block.text.lines() {
                let command = line.strip_prefix("$ ").unwrap_or(line);
                check(format!("{}:{}", path.display(), block.line), command);
            }
        }
    }
    let spec = page("SPEC.md");
    let rows: Vec<&str> = spec.lines().filter(|l| l.starts_with('|')).skip(2).collect();
    assert!(rows.len() > 5, "the table of SPEC.md");
    for row in rows {
        let cell = row.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
        let code = cell.split('`').skip(1).step_by(2);
        let commands: Vec<&str> = code.filter(|c| c.starts_with("cargo oxk")).collect();
        assert!(!commands.is_empty(), "no command prints this promise: {row}");
        for command in commands {
            check("SPEC.md".into(), command);
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn rust_examples_are_documentation_tests() {
    let mut wrong = String::new();
    for (path, text) in pages() {
        let has_rust = blocks(&text).iter().any(|b| b.info.is_empty() || b.info == "rust");
        if has_rust && !RUST_PAGES.iter().any(|p| path == Path::new(p)) {
            let _ = writeln!(wrong, "{}: add the page to tests/src/book.rs", path.display());
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn links_lead_to_files_and_the_summary_is_complete() {
    let root = root();
    let mut wrong = String::new();
    for (path, text) in pages() {
        let dir = root.join(path.parent().unwrap_or(Path::new("")));
        for link in links(&text) {
            let file = link.split('#').next().unwrap_or_default();
            if link.contains("://") || file.is_empty() || dir.join(file).exists() {
                continue;
            }
            let _ = writeln!(wrong, "{}: there is no {file}", path.display());
        }
    }
    let summary = links(&page("docs/src/SUMMARY.md"));
    for (path, _) in book() {
        let Ok(inside) = path.strip_prefix("docs/src") else { continue };
        if inside != Path::new("SUMMARY.md") && !summary.iter().any(|l| inside == Path::new(l)) {
            let _ = writeln!(wrong, "{} is not in SUMMARY.md", path.display());
        }
    }
    nothing_wrong(&wrong);
}

/// In the blocks that are of a crate's `Cargo.toml` and not of a manifest.
const METADATA: &str = "[package.metadata.oxk";

#[test]
fn manifests_on_the_pages_resolve() {
    let root = root();
    let pool = Pool::discover(&root, &[]).unwrap();
    let mut seen = 0;
    for path in [
        "README.md",
        "alloc/README.md",
        "sched/README.md",
        "docs/src/manifest.md",
        "docs/src/api/ukalloc.md",
        "docs/src/api/uksched.md",
    ] {
        let blocks = blocks(&page(path));
        for block in blocks.iter().filter(|b| b.info == "toml" && !b.text.contains(METADATA)) {
            let dir = tempfile::tempdir().unwrap();
            let cargo = "[package]\nname = \"example\"\n[dependencies]\nukalloc = \"0\"\n";
            std::fs::write(dir.path().join("Cargo.toml"), cargo).unwrap();
            // A page may show only the lines that it is about.
            let named = block.text.lines().any(|l| l.starts_with("name ="));
            let name = if named { "" } else { "name = \"example\"\n" };
            std::fs::write(dir.path().join("oxk.toml"), format!("{name}{}", block.text)).unwrap();
            let manifest = Manifest::read(dir.path())
                .unwrap_or_else(|error| panic!("{path}:{}: {error}", block.line));
            oxk::resolve::resolve(&manifest, &pool, None, None)
                .unwrap_or_else(|error| panic!("{path}:{}: {error}", block.line));
            seen += 1;
        }
    }
    assert!(seen >= 3);
}

#[test]
fn metadata_on_the_pages_is_understood() {
    let root = root();
    let mut libraries: Vec<_> = Pool::discover(&root, &[]).unwrap().libraries().cloned().collect();
    let known = libraries.len();
    for path in ["docs/src/micro-library.md", "docs/src/allocator.md", "docs/src/api/ukalloc.md"] {
        let blocks = blocks(&page(path));
        for block in blocks.iter().filter(|b| b.info == "toml" && b.text.contains(METADATA)) {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("Cargo.toml");
            let named = block.text.contains("[package]");
            let name = if named { "" } else { "[package]\nname = \"example\"\n" };
            std::fs::write(&file, format!("{name}{}", block.text)).unwrap();
            let source = Source::read(&file).unwrap();
            let library = parse_library(&source, "external", dir.path())
                .unwrap_or_else(|error| panic!("{path}:{}: {error}", block.line));
            let mut library = library.unwrap_or_else(|| panic!("{path}:{}: none", block.line));
            library.name = format!("{}{}", library.name, libraries.len());
            libraries.push(library);
        }
    }
    assert!(libraries.len() > known);
    // Interfaces and phases that the examples name are there.
    Pool::from_libraries(libraries).unwrap();
}

#[test]
fn every_crate_is_named_in_the_readme_of_its_pool() {
    let root = root();
    let mut wrong = String::new();
    for manifest in repository_files(&root) {
        let parts: Vec<_> = manifest.iter().map(|p| p.to_string_lossy()).collect();
        let (pool, folder) = match parts.as_slice() {
            [pool, folder, file] if file == "Cargo.toml" => (pool, folder.to_string()),
            // Crates that belong together.
            [pool, group, folder, file] if file == "Cargo.toml" && pool == "drivers" => {
                (pool, format!("{group}/{folder}"))
            }
            _ => continue,
        };
        let readme = std::fs::read_to_string(root.join(&**pool).join("README.md"));
        let link = format!("]({folder})");
        if !readme.is_ok_and(|text| text.lines().any(|l| l.starts_with('|') && l.contains(&link))) {
            let _ = writeln!(wrong, "{pool}/README.md: no row with a link to {folder}");
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn the_picture_of_the_selftest_is_up_to_date() {
    let drawn = call(OXK, &["graph", "apps/selftest", "--format", "svg"]);
    let same = drawn.expect(0, &["</svg>"]).out == page("docs/src/images/selftest.svg");
    assert!(
        same,
        "call: cargo oxk graph apps/selftest --format svg -o docs/src/images/selftest.svg"
    );
}
