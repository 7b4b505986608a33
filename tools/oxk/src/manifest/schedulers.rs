//! `[[schedulers]]`: several schedulers in one image, each with CPUs of its own.

use std::ops::Range;

use toml_edit::{Item, TableLike};

use super::{MAX_CPUS, NONE, Setting, SettingValue, Spanned};
use crate::diagnostic::{Diagnostic, Result};
use crate::pool::Reader;

/// One of several schedulers.
#[derive(Debug, Clone)]
pub struct SchedulerSpec {
    /// The library, or [`NONE`].
    pub provider: Spanned<String>,
    /// Its CPUs, sorted.
    pub cpus: Spanned<Vec<u32>>,
    /// The application's function that each of its CPUs runs; with [`NONE`] only.
    pub run: Option<Spanned<String>>,
    /// Options of the library, for this scheduler alone.
    pub settings: Vec<Setting>,
}

/// Reads all of them.
pub fn read(read: &Reader<'_>, root: &dyn TableLike) -> Result<Vec<SchedulerSpec>> {
    let mut list: Vec<SchedulerSpec> = Vec::new();
    for item in &read.tables(root, "schedulers")? {
        let spec = one(read, item)?;
        let taken = |cpu: &&u32| list.iter().any(|other| other.cpus.value.contains(cpu));
        if let Some(cpu) = spec.cpus.value.iter().find(taken) {
            return Err(Diagnostic::new(format!("CPU {cpu} belongs to two schedulers"))
                .at(read.source, spec.cpus.span)
                .help("name each CPU once"));
        }
        list.push(spec);
    }
    Ok(list)
}

fn one(read: &Reader<'_>, item: &Item) -> Result<SchedulerSpec> {
    let table = read.table(item, "schedulers")?;
    read.known_keys(table, &["provider", "cpus", "run", "options"])?;
    let span = |key: &str| table.get(key).and_then(Item::span);
    let provider =
        Spanned { value: read.required_text(table, "provider", item)?, span: span("provider") };
    let Some(cpus) = table.get("cpus") else {
        return Err(Diagnostic::new("a scheduler needs `cpus`")
            .at(read.source, provider.span)
            .help("for example: cpus = [0, 1] or cpus = \"0-1\""));
    };
    let numbers = cpu_list(cpus).map_err(|e| e.at(read.source, cpus.span()))?;
    let cpus = Spanned { value: numbers, span: cpus.span() };
    let run = read.text(table, "run")?.map(|value| Spanned { value, span: span("run") });
    if let Some(run) = &run {
        if !is_path(&run.value) {
            return Err(Diagnostic::new(format!("`{}` is not the path of a function", run.value))
                .at(read.source, run.span.clone())
                .help(
                    "as seen from the application's crate, for example: run = \"packets::poll\"",
                ));
        }
        if provider.value != NONE {
            return Err(Diagnostic::new("`run` is for CPUs without a scheduler")
                .at(read.source, run.span.clone())
                .help("write provider = \"none\", or spawn a thread from `main`"));
        }
    }
    let mut settings = Vec::new();
    for (option, item) in read.entries(table, "options")? {
        let options = table.get("options").and_then(Item::as_table_like);
        let span = options.and_then(|t| t.key(option)).and_then(toml_edit::Key::span);
        let Some(value) = item.as_value() else {
            return Err(Diagnostic::new(format!("option `{option}` needs a value"))
                .at(read.source, item.span()));
        };
        settings.push(Setting {
            library: provider.clone(),
            option: Spanned { value: option.to_owned(), span },
            value: SettingValue::Toml(value.clone()),
        });
    }
    Ok(SchedulerSpec { provider, cpus, run, settings })
}

fn is_path(text: &str) -> bool {
    text.split("::").all(|word| {
        let mut letters = word.chars();
        letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && letters.all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

/// Numbers of CPUs: a list of numbers, or a text such as `"0-2,5"`.
fn cpu_list(item: &Item) -> Result<Vec<u32>> {
    let ranges: Option<Vec<Range<i64>>> = match (item.as_array(), item.as_str()) {
        (Some(list), _) => list.iter().map(|v| v.as_integer().and_then(single)).collect(),
        (_, Some(text)) => text.split(',').map(|part| range(part.trim())).collect(),
        _ => None,
    };
    let numbers = |ranges: Vec<Range<i64>>| -> Option<Vec<u32>> {
        let mut cpus: Vec<u32> =
            ranges.into_iter().flatten().map(|n| u32::try_from(n).ok()).collect::<Option<_>>()?;
        cpus.sort_unstable();
        cpus.dedup();
        (cpus.iter().all(|cpu| *cpu < MAX_CPUS) && !cpus.is_empty()).then_some(cpus)
    };
    ranges.and_then(numbers).ok_or_else(|| {
        Diagnostic::new(format!("`cpus` must be numbers of CPUs from 0 to {}", MAX_CPUS - 1))
            .help("for example: cpus = [0, 1] or cpus = \"0-1\"")
    })
}

fn single(number: i64) -> Option<Range<i64>> {
    Some(number..number.checked_add(1)?)
}

fn range(text: &str) -> Option<Range<i64>> {
    let number = |text: &str| text.parse::<u32>().ok().filter(|n| *n < MAX_CPUS).map(i64::from);
    match text.split_once('-') {
        None => single(number(text)?),
        Some((first, last)) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then(|| first..last + 1)
        }
    }
}

/// Numbers of CPUs as people write them: `0-2,5`.
pub fn cpus_as_text(cpus: &[u32]) -> String {
    let mut parts: Vec<(u32, u32)> = Vec::new();
    for cpu in cpus {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == *cpu => *last = *cpu,
            _ => parts.push((*cpu, *cpu)),
        }
    }
    let part = |(first, last): &(u32, u32)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    parts.iter().map(part).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(text: &str) -> Option<Vec<u32>> {
        let document: toml_edit::DocumentMut = format!("x = {text}").parse().unwrap();
        cpu_list(&document["x"]).ok()
    }

    #[test]
    fn cpus_are_numbers_or_ranges() {
        assert_eq!(list("[3, 1, 1]"), Some(vec![1, 3]));
        assert_eq!(list("\"0-2, 5\""), Some(vec![0, 1, 2, 5]));
        for wrong in ["[]", "[64]", "[-1]", "[\"1\"]", "\"\"", "\"2-1\"", "\"0-64\"", "1", "\"-\""]
        {
            assert_eq!(list(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_can_be_read(cpus in prop::collection::btree_set(0..MAX_CPUS, 1..20)) {
            let cpus: Vec<u32> = cpus.into_iter().collect();
            prop_assert_eq!(list(&format!("\"{}\"", cpus_as_text(&cpus))), Some(cpus));
        }
    }
}
