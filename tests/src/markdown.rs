//! The parts of Markdown pages that can be checked: code blocks, console sessions, links.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A fenced code block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// What stands behind the opening fence: `rust`, `console`, `console,norun` …
    pub info: String,
    /// Line of the opening fence, from 1.
    pub line: usize,
    /// The lines between the fences.
    pub text: String,
}

/// A command of a console session and the output shown below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Without the prompt.
    pub command: String,
    /// Lines that the output must contain, in this order.
    pub shown: Vec<String>,
}

/// Files of the repository that are tracked, or new and not ignored, relative to its top folder.
pub fn repository_files(root: &Path) -> Vec<PathBuf> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .expect("git can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut files: Vec<PathBuf> = String::from_utf8_lossy(&output.stdout)
        .split_terminator('\0')
        .map(PathBuf::from)
        .filter(|file| root.join(file).is_file())
        .collect();
    files.sort();
    files
}

/// All code blocks of a page.
pub fn blocks(page: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in page.lines().enumerate() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(info), None) => {
                open = Some(Block { info: info.into(), line: index + 1, text: String::new() });
            }
            (Some(_), Some(block)) => found.push(block),
            (None, Some(mut block)) => {
                block.text.push_str(line);
                block.text.push('\n');
                open = Some(block);
            }
            (None, None) => {}
        }
    }
    found
}

/// The commands of a console block: lines that start with `$ `, each with the lines below it.
pub fn steps(session: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in session.lines().filter(|l| !l.trim().is_empty()) {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { command: command.into(), shown: Vec::new() });
        } else {
            steps.last_mut().expect("a session starts with a command").shown.push(line.into());
        }
    }
    steps
}

/// Targets of the links and images of a page; code is left out.
pub fn links(page: &str) -> Vec<String> {
    let mut prose = String::new();
    let mut in_block = false;
    for line in page.lines() {
        if line.starts_with("```") {
            in_block = !in_block;
        } else if !in_block {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    // Inline code may hold brackets; the text of a link may be inline code.
    let prose: String = prose.split('`').step_by(2).collect();
    let targets = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    targets.map(|(target, _)| target.to_owned()).collect()
}

/// A text as it is compared: numbers are `#`, white space is one space. Times, addresses and sizes
/// vary; exit codes (`exit code N` at the start of a line) do not, and stay.
pub fn comparable(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let line = line.trim();
        let line =
            if line.starts_with("exit code ") { line.to_owned() } else { without_numbers(line) };
        for word in line.split_whitespace() {
            out.push_str(word);
            out.push(' ');
        }
    }
    out
}

fn without_numbers(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let (digits, skip): (fn(&char) -> bool, usize) = match rest.strip_prefix("0x") {
            Some(hex) if hex.starts_with(|c: char| c.is_ascii_hexdigit()) => {
                (char::is_ascii_hexdigit, 2)
            }
            _ => (char::is_ascii_digit, 0),
        };
        if skip == 0 && !first.is_ascii_digit() {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        out.push('#');
        rest = rest[skip..].trim_start_matches(|c| digits(&c));
    }
    out
}

/// The first of `shown` that is not in `output` after those before it.
pub fn first_missing<'a>(output: &str, shown: &'a [String]) -> Option<&'a str> {
    let output = comparable(output);
    let mut rest = output.as_str();
    shown.iter().map(String::as_str).find(|line| {
        let wanted = comparable(line);
        match rest.find(wanted.trim_end()) {
            Some(at) => {
                rest = &rest[at + wanted.trim_end().len()..];
                false
            }
            None => true,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_divided_into_commands() {
        let page = "text\n```console\n$ a 'b'\nx\n\ny\n$ c\n```\n```toml\nk = 1\n```\n";
        let blocks = blocks(page);
        assert_eq!((blocks[0].info.as_str(), blocks[0].line), ("console", 2));
        assert_eq!(blocks[1].text, "k = 1\n");
        let steps = steps(&blocks[0].text);
        assert_eq!(steps[0], Step { command: "a 'b'".into(), shown: vec!["x".into(), "y".into()] });
        assert!(steps[1].shown.is_empty());
    }

    #[test]
    fn numbers_and_white_space_do_not_count() {
        assert_eq!(comparable("at  0x1f, 12.5 us\nx86_64"), "at #, #.# us x#_# ");
        assert_eq!(comparable("exit code 42"), "exit code 42 ");
        let shown = ["a 1".to_owned(), "b".to_owned()];
        assert_eq!(first_missing("a  77\nlong b\n", &shown), None);
        assert_eq!(first_missing("b\na 1\n", &shown), Some("b"));
    }

    #[test]
    fn links_outside_of_code() {
        let page = "[`a`](b.md) ![p](c.svg#x)\n```\n[no](d)\n```\n`[no](e)`";
        assert_eq!(links(page), ["b.md", "c.svg#x"]);
    }
}
