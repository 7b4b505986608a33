//! What there is to choose, and the state of the interface. The text of the manifest is the only
//! truth: every change edits it, reads it again and resolves it; what does not resolve is undone.

use std::path::{Path, PathBuf};

use super::edit;
use crate::diagnostic::{Context, Diagnostic, Result, Source};
use crate::manifest::{Manifest, Optimize};
use crate::option::OptionKind;
use crate::pool::Pool;
use crate::resolve::{Reason, resolve};

/// What the keys do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Move and choose.
    Browse,
    /// Type a search word.
    Search,
    /// Type a value.
    Edit,
    /// Read about the keys.
    Help,
    /// Answer whether to save.
    Leave,
}

/// What an entry changes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Platform,
    Optimize,
    Provider(String),
    Schedulers,
    Library(String),
    Option(String, String),
}

/// One line of the menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    what: What,
    /// Heading it stands under.
    pub section: String,
    /// Its name.
    pub name: String,
    /// Current value.
    pub value: String,
    /// Value when the manifest does not say.
    pub default: String,
    /// What it takes.
    pub kind: OptionKind,
    /// What it does.
    pub help: String,
    /// Why it is there, and what else it touches.
    pub hint: String,
}

impl Entry {
    /// Its name everywhere else: options as `--set` takes them, the rest by its key in the manifest.
    pub fn path(&self) -> String {
        match &self.what {
            What::Platform => "platform".into(),
            What::Optimize => "optimize".into(),
            What::Provider(interface) => format!("providers.{interface}"),
            What::Schedulers => "schedulers".into(),
            What::Library(library) => format!("libraries.{library}"),
            What::Option(library, option) => format!("{library}.{option}"),
        }
    }

    /// Whether the manifest says something else than the default.
    pub fn is_changed(&self) -> bool {
        self.value != self.default
    }
}

/// State of the interface.
#[derive(Debug)]
pub struct Model<'p> {
    pool: &'p Pool,
    path: PathBuf,
    dir: PathBuf,
    /// Platform given on the command line, which then is not the manifest's to choose.
    platform: Option<String>,
    saved: String,
    source: Source,
    title: String,
    entries: Vec<Entry>,
    cursor: usize,
    mode: Mode,
    search: String,
    input: String,
    message: String,
}

impl<'p> Model<'p> {
    /// The menu for a manifest.
    pub fn new(
        source: Source,
        dir: &Path,
        pool: &'p Pool,
        platform: Option<String>,
    ) -> Result<Self> {
        let mut model = Self {
            pool,
            path: dir.join(crate::manifest::FILE_NAME),
            dir: dir.to_owned(),
            platform,
            saved: source.text.clone(),
            title: String::new(),
            entries: Vec::new(),
            cursor: 0,
            mode: Mode::Browse,
            search: String::new(),
            input: String::new(),
            message: String::new(),
            source,
        };
        model.read()?;
        Ok(model)
    }

    /// Makes the entries from the text.
    fn read(&mut self) -> Result<()> {
        let manifest = Manifest::parse(self.source.clone(), &self.dir)?;
        let resolution = resolve(&manifest, self.pool, self.platform.as_deref(), None)?;
        let mut entries = Vec::new();
        let image =
            |what, name: &str, value: String, default: &str, kind, help: &str, hint: String| {
                Entry {
                    what,
                    section: "image".into(),
                    name: name.into(),
                    value,
                    default: default.into(),
                    kind,
                    help: help.into(),
                    hint,
                }
            };
        let platforms = self.pool.platform_names().iter().map(|p| (*p).to_owned()).collect();
        entries.push(image(
            What::Platform,
            "platform",
            resolution.platform_name().to_owned(),
            "linuxu",
            OptionKind::Choice(platforms),
            "Where the image runs when the command line does not say",
            resolution.platform.description.clone(),
        ));
        let goal = if manifest.optimize == Optimize::Size { "size" } else { "speed" };
        entries.push(image(
            What::Optimize,
            "optimize",
            goal.into(),
            "speed",
            OptionKind::Choice(vec!["speed".into(), "size".into()]),
            "What the compiler aims at: the fastest code or the smallest image",
            String::new(),
        ));
        for (interface, spec) in self.pool.interfaces() {
            let fits: Vec<_> = self
                .pool
                .libraries()
                .filter(|l| l.provides.iter().any(|p| p == interface) && l.platform.is_none())
                .filter(|l| l.supports(resolution.platform_name(), &resolution.arch))
                .collect();
            let needed =
                resolution.libraries.iter().any(|l| l.requires.iter().any(|r| r == interface))
                    || manifest.requires.iter().any(|r| r.value == interface);
            let chosen = manifest.providers.iter().find(|(i, _)| i.value == interface);
            if fits.len() < 2 || !(needed || chosen.is_some()) {
                continue;
            }
            // What is needed only because a provider is named is not there by default.
            let default = fits
                .iter()
                .find(|l| needed && l.default_for.iter().any(|d| d == interface))
                .map_or(String::new(), |l| l.name.clone());
            let value = chosen.map_or_else(|| default.clone(), |(_, l)| l.value.clone());
            let about = self.pool.get(&value).map_or("", |l| &l.description);
            entries.push(image(
                What::Provider(interface.to_owned()),
                &format!("provider of {interface}"),
                value.clone(),
                &default,
                OptionKind::Choice(fits.iter().map(|l| l.name.clone()).collect()),
                &spec.help,
                format!("{value}: {about}"),
            ));
        }
        if !manifest.schedulers.is_empty() {
            let list: Vec<String> = resolution.schedulers.iter().map(ToString::to_string).collect();
            entries.push(image(
                What::Schedulers,
                "schedulers",
                list.join("; "),
                "",
                OptionKind::Text,
                "Which scheduler has which CPUs",
                "changed in the manifest, at [[schedulers]]".into(),
            ));
        }
        for library in &resolution.libraries {
            for option in &library.options {
                let value = resolution.value(&library.name, &option.name);
                let reason = &resolution.reasons[&library.name];
                let when = if option.runtime {
                    "can also be set on the image's command line"
                } else {
                    "fixed when the image is built"
                };
                entries.push(Entry {
                    what: What::Option(library.name.clone(), option.name.clone()),
                    section: library.name.clone(),
                    name: option.name.clone(),
                    value: value.map_or(String::new(), ToString::to_string),
                    default: option.default.to_string(),
                    kind: option.kind.clone(),
                    help: option.help.clone(),
                    hint: format!("{} is in the image: {reason}; {when}", library.name),
                });
            }
        }
        for library in self.pool.libraries().filter(|l| l.platform.is_none()) {
            let wanted = manifest.libraries.iter().any(|l| l.value == library.name);
            if !library.supports(resolution.platform_name(), &resolution.arch)
                || (resolution.library(&library.name).is_some() && !wanted)
            {
                continue;
            }
            let brings: Vec<&str> = library
                .dependencies
                .iter()
                .map(String::as_str)
                .filter(|d| resolution.library(d).is_none())
                .collect();
            let mut hint =
                if wanted { Reason::Manifest.to_string() } else { "not in the image".into() };
            if !brings.is_empty() {
                hint += &format!("; brings {}", brings.join(", "));
            }
            if !library.requires.is_empty() {
                hint += &format!("; needs {}", library.requires.join(", "));
            }
            entries.push(Entry {
                what: What::Library(library.name.clone()),
                section: "further libraries".into(),
                name: library.name.clone(),
                value: wanted.to_string(),
                default: "false".into(),
                kind: OptionKind::Bool,
                help: library.description.clone(),
                hint,
            });
        }
        self.title = format!("{} on {}", manifest.name, resolution.platform_name());
        self.entries = entries;
        Ok(())
    }

    /// Puts a new text in place if it resolves; otherwise says why not.
    fn try_text(&mut self, text: String) {
        let old = std::mem::replace(&mut self.source.text, text);
        self.message.clear();
        if let Err(error) = self.read() {
            self.message = error.cause;
            self.source.text = old;
            // The old text resolved before.
            let _ = self.read();
        }
        let count = self.visible().len();
        self.cursor = self.cursor.min(count.saturating_sub(1));
    }

    fn assign(&mut self, entry: &Entry, value: &str) {
        let new = if value == entry.default {
            None
        } else if let Some(parsed) = entry.kind.parse(value) {
            (parsed.to_string() != entry.default).then(|| parsed.to_toml())
        } else {
            self.message = format!("{} takes {}", entry.name, entry.kind);
            return;
        };
        let text = &self.source.text;
        let changed = match &entry.what {
            What::Platform => edit::set(text, &["platform"], new),
            What::Optimize => edit::set(text, &["optimize"], new),
            What::Provider(interface) => edit::set(text, &["providers", interface], new),
            What::Option(library, option) => edit::set(text, &["options", library, option], new),
            What::Library(name) => edit::set_in_list(text, "libraries", name, new.is_some()),
            What::Schedulers => Err(Diagnostic::new(entry.hint.clone())),
        };
        match changed {
            Ok(text) => self.try_text(text),
            Err(error) => self.message = error.cause,
        }
    }

    /// Entries that the search shows, with their index.
    pub fn visible(&self) -> Vec<(usize, &Entry)> {
        let word = self.search.to_lowercase();
        let hit = |e: &Entry| {
            [&e.section, &e.name, &e.help].iter().any(|text| text.to_lowercase().contains(&word))
        };
        self.entries.iter().enumerate().filter(|(_, e)| hit(e)).collect()
    }

    /// The entry under the cursor.
    pub fn selected(&self) -> Option<&Entry> {
        self.visible().get(self.cursor).map(|(_, e)| *e)
    }

    /// Position of the cursor among the visible entries.
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// Moves the cursor.
    pub fn step(&mut self, by: isize) {
        let last = self.visible().len().saturating_sub(1);
        self.cursor = self.cursor.saturating_add_signed(by).min(last);
        self.message.clear();
    }

    /// Toggles, goes to the next choice, or starts typing.
    pub fn activate(&mut self) {
        let Some(entry) = self.selected().cloned() else { return };
        if entry.what == What::Schedulers {
            self.message = entry.hint;
            return;
        }
        match &entry.kind {
            OptionKind::Bool => {
                let flipped = if entry.value == "true" { "false" } else { "true" };
                self.assign(&entry, flipped);
            }
            OptionKind::Choice(values) => {
                let at = values.iter().position(|v| *v == entry.value);
                let next = at.map_or(0, |at| (at + 1) % values.len().max(1));
                if let Some(next) = values.get(next).cloned() {
                    self.assign(&entry, &next);
                }
            }
            _ => {
                self.input = entry.value;
                self.message.clear();
                self.mode = Mode::Edit;
            }
        }
    }

    /// Back to the default.
    pub fn reset(&mut self) {
        if let Some(entry) = self.selected().cloned() {
            let default = entry.default.clone();
            self.assign(&entry, &default);
        }
    }

    /// Takes the typed value, if it fits.
    pub fn finish_edit(&mut self) {
        if let Some(entry) = self.selected().cloned() {
            let input = self.input.clone();
            if entry.kind.parse(&input).is_none() {
                self.message = format!("{} takes {}", entry.name, entry.kind);
                return;
            }
            self.mode = Mode::Browse;
            self.assign(&entry, &input);
        }
    }

    /// Forgets the typed value.
    pub fn cancel_edit(&mut self) {
        self.message.clear();
        self.mode = Mode::Browse;
    }

    /// Types into the value.
    pub fn edit_type(&mut self, c: char) {
        self.input.push(c);
    }

    /// Erases the last character of the value.
    pub fn edit_erase(&mut self) {
        self.input.pop();
    }

    /// Types into the search word.
    pub fn search_type(&mut self, c: char) {
        self.search.push(c);
        self.cursor = 0;
    }

    /// Erases the last character of the search word.
    pub fn search_erase(&mut self) {
        self.search.pop();
        self.cursor = 0;
    }

    /// Keeps what was found.
    pub fn end_search(&mut self) {
        self.mode = Mode::Browse;
    }

    /// Shows everything again.
    pub fn cancel_search(&mut self) {
        self.search.clear();
        self.cursor = 0;
        self.mode = Mode::Browse;
    }

    /// What the keys do now.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Changes what the keys do.
    pub fn set_mode(&mut self, mode: Mode) {
        self.mode = mode;
    }

    /// Whether there is something to save.
    pub fn is_changed(&self) -> bool {
        self.source.text != self.saved
    }

    /// Writes the manifest.
    pub fn save(&mut self) -> Result<()> {
        std::fs::write(&self.path, &self.source.text)
            .context(format!("cannot write {}", self.path.display()))?;
        self.saved.clone_from(&self.source.text);
        self.message = format!("saved {}", self.source.path.display());
        self.mode = Mode::Browse;
        Ok(())
    }

    /// The application and its platform.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// What just happened.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The search word.
    pub fn search(&self) -> &str {
        &self.search
    }

    /// The value being typed.
    pub fn input(&self) -> &str {
        &self.input
    }

    /// The text as it would be saved.
    #[cfg(test)]
    pub fn text(&self) -> &str {
        &self.source.text
    }

    /// All entries as text.
    pub fn list(&self) -> String {
        let width = self.entries.iter().map(|e| e.path().chars().count()).max().unwrap_or(0);
        self.entries
            .iter()
            .map(|e| {
                let changed = if e.is_changed() { "*" } else { " " };
                format!("{changed} {:<width$} = {:<12} {}\n", e.path(), e.value, e.help)
            })
            .collect()
    }

    /// All entries as JSON.
    pub fn json(&self) -> serde_json::Value {
        self.entries
            .iter()
            .map(|e| {
                serde_json::json!({
                    "section": e.section,
                    "name": e.name,
                    "value": e.value,
                    "default": e.default,
                    "takes": e.kind.to_string(),
                    "help": e.help,
                })
            })
            .collect()
    }
}
