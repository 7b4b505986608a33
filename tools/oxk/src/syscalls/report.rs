//! What the verb prints.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use object::{Object, ObjectSymbol};
use serde_json::json;

use super::{Handler, Numbers};
use crate::diagnostic::{Context, Diagnostic, Result};

/// Handlers are called by this and their names.
const SYMBOL: &str = "uk_sys_";
/// What calls by number go through, and those of instructions; they keep all handlers.
const BY_NUMBER: [&str; 2] = ["uk_syscall", "uk_syscall_trapped"];

/// A call of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub number: Option<u16>,
    pub name: String,
    /// Who handles it; nobody when it fails with ENOSYS.
    pub library: Option<String>,
}

/// The calls of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Calls {
    /// Whether the program makes calls by numbers that only it knows.
    pub by_number: bool,
    pub list: Vec<Call>,
}

/// Reads the calls from an image's debug file: what the linker kept, because the program needs it.
pub fn of_image(dbg: &Path, handlers: &[Handler], numbers: &Numbers) -> Result<Calls> {
    let bytes = std::fs::read(dbg).context(format!("cannot read {}", dbg.display()))?;
    let file = object::File::parse(&*bytes)
        .map_err(|_| Diagnostic::new(format!("{} is not an image with symbols", dbg.display())))?;
    let mut calls = Calls::default();
    let mut names = BTreeSet::new();
    for symbol in file.symbols() {
        let Ok(name) = symbol.name() else { continue };
        calls.by_number |= BY_NUMBER.contains(&name);
        if let Some(call) = name.strip_prefix(SYMBOL) {
            names.insert((call.to_owned(), symbol.is_weak()));
        }
    }
    for (name, missing) in names {
        let handler = handlers.iter().find(|handler| handler.name == name);
        let library = handler.filter(|_| !missing).map(|handler| handler.library.clone());
        let number = handler.map(|handler| handler.number).or_else(|| numbers.number(&name));
        calls.list.push(Call { number, name, library });
    }
    calls.list.sort_by_key(|call| (call.library.is_none(), call.number));
    Ok(calls)
}

/// Calls that exist, each once, and their number.
fn count(handlers: &[Handler]) -> usize {
    handlers.iter().map(|handler| handler.number).collect::<BTreeSet<_>>().len()
}

pub fn table(handlers: &[Handler]) -> String {
    let mut out = String::new();
    let width = handlers.iter().map(|h| h.name.len()).max().unwrap_or(0);
    let library = handlers.iter().map(|h| h.library.len()).max().unwrap_or(0);
    for Handler { number, name, library: by, help } in handlers {
        let _ = writeln!(out, "{number:>3}  {name:<width$}  {by:<library$}  {help}");
    }
    let _ = writeln!(out, "{} system calls", count(handlers));
    out
}

/// The page of the book.
pub fn markdown(handlers: &[Handler]) -> String {
    let mut out = format!(
        "# System calls\n\n\
         {} system calls have handlers. This page is what `oxk syscalls --markdown` prints;\n\
         [that verb](verbs/syscalls.md) also tells which of them an image has, and which a program needs.\n\
         All others fail with `ENOSYS` and are counted.\n",
        count(handlers)
    );
    let libraries: BTreeSet<&str> = handlers.iter().map(|h| h.library.as_str()).collect();
    for library in libraries {
        let _ = write!(out, "\n## {library}\n\n| number | call | |\n|---|---|---|\n");
        for handler in handlers.iter().filter(|h| h.library == library) {
            let help = handler.help.replace('|', "\\|");
            // Links of the source lead nowhere here.
            let help = help.replace("[`", "`").replace("`]", "`");
            let _ = writeln!(out, "| {} | `{}` | {help} |", handler.number, handler.name);
        }
    }
    out
}

pub fn json(handler: &Handler) -> serde_json::Value {
    let Handler { number, name, library, help } = handler;
    json!({ "number": number, "name": name, "library": library, "help": help })
}

pub fn image_table(image: &str, calls: &Calls) -> String {
    let mut out = String::new();
    let width = calls.list.iter().map(|call| call.name.len()).max().unwrap_or(0);
    for Call { number, name, library } in &calls.list {
        let number = number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        let library = library.as_deref().unwrap_or("nobody: fails with ENOSYS");
        let _ = writeln!(out, "{number:>3}  {name:<width$}  {library}");
    }
    let missing = calls.list.iter().filter(|call| call.library.is_none()).count();
    let _ = writeln!(
        out,
        "{image}: {} system calls, {missing} that the program may make without a handler",
        calls.list.len() - missing
    );
    if calls.by_number {
        out.push_str("the program calls by number: all handlers of its libraries are there\n");
    }
    out
}

pub fn image_json(image: &str, calls: &Calls) -> serde_json::Value {
    let list: Vec<_> = calls
        .list
        .iter()
        .map(|call| {
            let Call { number, name, library } = call;
            json!({ "number": number, "name": name, "library": library, "handled": library.is_some() })
        })
        .collect();
    json!({ "image": image, "by_number": calls.by_number, "calls": list })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables() {
        let handler = |number, name: &str, library: &str| Handler {
            number,
            name: name.into(),
            library: library.into(),
            help: "Does a | b.".into(),
        };
        let all = [handler(1, "write", "a"), handler(1, "write", "b"), handler(24, "yield", "a")];
        let text = table(&all);
        assert!(
            text.contains(" 24  yield  a  Does a | b.\n") && text.ends_with("2 system calls\n")
        );
        let page = markdown(&all);
        assert!(page.contains("## b\n") && page.contains("| 24 | `yield` | Does a \\| b. |\n"));
        let calls = Calls {
            by_number: true,
            list: vec![
                Call { number: Some(1), name: "write".into(), library: Some("a".into()) },
                Call { number: Some(57), name: "fork".into(), library: None },
            ],
        };
        let text = image_table("x", &calls);
        assert!(text.contains(" 57  fork   nobody") && text.contains("x: 1 system calls, 1 that"));
        assert_eq!(image_json("x", &calls)["calls"][1]["handled"], false);
    }
}
