//! Changing the text of a manifest, and nothing else in it.

use toml_edit::{Array, DocumentMut, Item, Table, Value};

use crate::diagnostic::{Diagnostic, Result};

/// Sets the value at a path of keys, or removes it (`None`) with the tables that become empty.
/// Comments, order and formatting of everything else stay.
pub fn set(text: &str, path: &[&str], value: Option<Value>) -> Result<String> {
    let mut document = parse(text)?;
    match (value, path) {
        (Some(value), [tables @ .., key]) => {
            let mut table: &mut dyn toml_edit::TableLike = document.as_table_mut();
            for name in tables {
                let item = table.entry(name).or_insert_with(|| {
                    let mut table = Table::new();
                    table.set_implicit(true);
                    Item::Table(table)
                });
                table = item
                    .as_table_like_mut()
                    .ok_or_else(|| Diagnostic::new(format!("`{name}` is not a table")))?;
            }
            match table.get_mut(key).and_then(Item::as_value_mut) {
                Some(old) => {
                    // The comment behind the old value stays behind the new one.
                    let decor = old.decor().clone();
                    *old = value;
                    *old.decor_mut() = decor;
                }
                None => {
                    table.insert(key, Item::Value(value));
                }
            }
        }
        (None, path) => remove(document.as_table_mut(), path),
        (Some(_), []) => {}
    }
    Ok(document.to_string())
}

/// Adds a word to a list at the top level, or removes it; an emptied list goes away.
pub fn set_in_list(text: &str, key: &str, word: &str, present: bool) -> Result<String> {
    let mut document = parse(text)?;
    let item = document.entry(key).or_insert_with(|| Item::Value(Array::new().into()));
    let list =
        item.as_array_mut().ok_or_else(|| Diagnostic::new(format!("`{key}` is not a list")))?;
    let index = list.iter().position(|v| v.as_str() == Some(word));
    match (index, present) {
        (None, true) => list.push(word),
        (Some(index), false) => {
            list.remove(index);
        }
        _ => {}
    }
    if list.is_empty() {
        document.remove(key);
    }
    Ok(document.to_string())
}

fn parse(text: &str) -> Result<DocumentMut> {
    text.parse().map_err(|e| Diagnostic::new(format!("the manifest is not valid TOML: {e}")))
}

fn remove(table: &mut dyn toml_edit::TableLike, path: &[&str]) {
    match path {
        [] => {}
        [key] => {
            table.remove(key);
        }
        [name, rest @ ..] => {
            if let Some(inner) = table.get_mut(name).and_then(Item::as_table_like_mut) {
                remove(inner, rest);
                if inner.is_empty() {
                    table.remove(name);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# The name.\nname = \"a\" # short\n\n[options.uklog]\n# Loud.\nlevel = \"info\" # for now\ntime = true\n";

    #[test]
    fn a_value_changes_and_comments_stay() {
        let new = set(TEXT, &["options", "uklog", "level"], Some("debug".into())).unwrap();
        assert_eq!(new, TEXT.replace("\"info\"", "\"debug\""));
        assert_eq!(set(TEXT, &["options", "uklog", "level"], Some("info".into())).unwrap(), TEXT);
    }

    #[test]
    fn tables_appear_and_disappear() {
        let with = set(TEXT, &["options", "kvm", "stack"], Some("1M".into())).unwrap();
        assert_eq!(with, format!("{TEXT}\n[options.kvm]\nstack = \"1M\"\n"));
        assert_eq!(set(&with, &["options", "kvm", "stack"], None).unwrap(), TEXT);
        let small = set("name = \"a\"\n", &["providers", "alloc"], Some("x".into())).unwrap();
        assert_eq!(small, "name = \"a\"\n\n[providers]\nalloc = \"x\"\n");
        assert_eq!(set(&small, &["providers", "alloc"], None).unwrap(), "name = \"a\"\n");
        assert_eq!(set(TEXT, &["nothing", "here"], None).unwrap(), TEXT);
    }

    #[test]
    fn lists_grow_and_shrink() {
        let with = set_in_list("name = \"a\"\n", "libraries", "uklog", true).unwrap();
        assert_eq!(with, "name = \"a\"\nlibraries = [\"uklog\"]\n");
        assert_eq!(set_in_list(&with, "libraries", "uklog", true).unwrap(), with);
        assert_eq!(set_in_list(&with, "libraries", "uklog", false).unwrap(), "name = \"a\"\n");
    }
}
