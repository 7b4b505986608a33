//! The pool: all micro-libraries that can go into an image, discovered from their `Cargo.toml`.
//!
//! A crate in a pool folder with a `[package.metadata.oxk]` table is a micro-library; there is no
//! other registry. The format is described in the book, chapter "Writing a micro-library".

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml_edit::{Document, Item, Table, TableLike};

use crate::diagnostic::{Context, Diagnostic, Result, Source, did_you_mean};
use crate::handlers;
use crate::option::{OptionKind, OptionSpec, Value, parse_size};

/// The folders of the repository that hold micro-libraries, lowest layer first.
pub const POOLS: [&str; 12] = [
    "arch", "core", "alloc", "sched", "drivers", "plat", "net", "block", "fs", "posix", "libc",
    "debug",
];

/// What automatic features name instead of an interface: the image uses more than one CPU.
pub const SMP: &str = "smp";

/// The library by which system calls are registered.
pub const SHIM: &str = "syscall-shim";

/// The option of an allocator in two stages that says how much memory the early one gets.
pub const EARLY_SIZE: &str = "early-size";

/// An interface that libraries provide and require.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// One line of explanation.
    pub help: String,
    /// Whether several providers may be in one image.
    pub many: bool,
    /// The library that declares it.
    pub declared_by: String,
}

/// A step of the boot sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phase {
    /// Name, unique in an image.
    pub name: String,
    /// The library's function that runs it.
    pub init: String,
    /// The library's function that undoes it at shutdown.
    pub fini: Option<String>,
    /// Phases that must have run before, where they are in the image.
    pub after: Vec<String>,
    /// Phases that must run later, where they are in the image.
    pub before: Vec<String>,
}

/// What a platform crate says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformSpec {
    /// Name in manifests.
    pub name: String,
    /// The Rust type that implements `ukplat::Platform`.
    pub rust_type: String,
    /// Linker script, relative to the crate.
    pub linker_script: String,
    /// Further arguments for the linker.
    pub linker_args: Vec<String>,
    /// What code is compiled to run at: `static`, a fixed address, or `pie`, any.
    pub relocation_model: String,
    /// What starts its images.
    pub machine: Machine,
}

/// What starts an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// The image is a Linux executable.
    Process,
    /// QEMU with `-kernel`.
    Qemu,
    /// The tender, our own monitor.
    Tender,
}

/// One micro-library.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Library {
    /// Crate name.
    pub name: String,
    /// Pool folder it lies in, or `external`.
    pub pool: String,
    /// Folder of the crate.
    pub dir: PathBuf,
    /// First line of help: the crate's description.
    pub description: String,
    /// Version of the crate; empty in [`parse_library`] when it is inherited.
    pub version: String,
    /// Crates of the pool that its `Cargo.toml` depends on, sorted.
    pub dependencies: Vec<String>,
    /// Interfaces it implements.
    pub provides: Vec<String>,
    /// Interfaces for which it is taken when nothing else is said.
    pub default_for: Vec<String>,
    /// Interfaces that an image with it must have.
    pub requires: Vec<String>,
    /// Platforms it works on; empty for all.
    pub platforms: Vec<String>,
    /// Architectures it works on; empty for all.
    pub arches: Vec<String>,
    /// Interfaces it declares.
    pub interfaces: BTreeMap<String, Interface>,
    /// Its options, in the order of the file.
    pub options: Vec<OptionSpec>,
    /// Its boot phases.
    pub phases: Vec<Phase>,
    /// Set for platform crates.
    pub platform: Option<PlatformSpec>,
    /// Cargo features that follow from what else is in the image: feature and interface, or
    /// [`SMP`].
    pub auto_features: Vec<(String, String)>,
    /// For schedulers: the Rust type that implements `uksched::Policy`, with a `const fn new`.
    pub scheduler: Option<String>,
    /// For allocators: how a heap is made of it.
    pub allocator: Option<AllocatorType>,
    /// For allocators in two stages: the library that serves until this one's boot phase switches.
    pub early: Option<String>,
    /// For C libraries: the recipe by which they are built, relative to the crate.
    pub libc: Option<String>,
    /// Whether it cannot be in an image with more than one CPU.
    pub single_cpu: bool,
    /// Interfaces that it does not provide in an image with more than one CPU.
    pub single_cpu_provides: Vec<String>,
    /// System calls that it handles, sorted.
    pub handles: Vec<String>,
    /// Collections that it gets, each as a field of its `Config`.
    pub collects: Vec<String>,
    /// What it adds to collections: the collection, and a static of the library.
    pub registers: Vec<(String, String)>,
}

/// The Rust type that makes a library an allocator. Both have a `const fn new`, which takes the
/// library's `Config` as last argument when it has constant options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllocatorType {
    /// `backend = "T"`: `T` implements `ukalloc::Backend`; `ukalloc::Heap` adds lock and statistics.
    Backend(String),
    /// `allocator = "T"`: `T<L>` implements `ukalloc::Alloc` itself, with `L` keeping flows of
    /// control apart; `new` takes the `L`.
    Whole(String),
}

impl Library {
    /// Whether it can go into an image for this platform and architecture.
    pub fn supports(&self, platform: &str, arch: &str) -> bool {
        (self.platforms.is_empty() || self.platforms.iter().any(|p| p == platform))
            && (self.arches.is_empty() || self.arches.iter().any(|a| a == arch))
    }

    /// The option of that name.
    pub fn option(&self, name: &str) -> Option<&OptionSpec> {
        self.options.iter().find(|o| o.name == name)
    }

    /// Name of the crate in Rust paths.
    pub fn rust_name(&self) -> String {
        self.name.replace('-', "_")
    }
}

/// All micro-libraries, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pool {
    libraries: BTreeMap<String, Library>,
}

impl Pool {
    /// Finds the libraries in the pool folders of `root` and in the `extra` folders.
    pub fn discover(root: &Path, extra: &[PathBuf]) -> Result<Self> {
        let mut folders: Vec<(String, PathBuf)> =
            POOLS.iter().map(|p| ((*p).to_owned(), root.join(p))).collect();
        folders.extend(extra.iter().map(|dir| ("external".to_owned(), dir.clone())));
        let mut manifests = Vec::new();
        for (pool, folder) in folders {
            manifests.extend(crates_in(&folder)?.into_iter().map(|dir| (pool.clone(), dir)));
        }
        manifests.sort();
        let inherited = workspace_version(root);
        let mut libraries = Vec::new();
        for (pool, dir) in manifests {
            let source = Source::read(&dir.join("Cargo.toml"))?;
            let Some(mut library) = parse_library(&source, &pool, &dir)? else { continue };
            if library.dependencies.iter().any(|d| d == SHIM) {
                // Calls with a number of their own are those of tests.
                let calls = handlers::of(&dir)?.into_iter().filter(|call| call.number.is_none());
                library.handles = calls.map(|call| call.name).collect();
                library.handles.sort();
                library.handles.dedup();
            }
            if library.version.is_empty() {
                library.version.clone_from(&inherited);
            }
            libraries.push(library);
        }
        Self::from_libraries(libraries)
    }

    /// A pool of given libraries; checks that names and references are right.
    pub fn from_libraries(list: Vec<Library>) -> Result<Self> {
        let mut libraries: BTreeMap<String, Library> = BTreeMap::new();
        for library in list {
            if let Some(other) = libraries.get(&library.name) {
                return Err(Diagnostic::new(format!(
                    "two micro-libraries are called `{}`: {} and {}",
                    library.name,
                    other.dir.display(),
                    library.dir.display()
                )));
            }
            libraries.insert(library.name.clone(), library);
        }
        let mut pool = Self { libraries };
        pool.check()?;
        let names: Vec<String> = pool.libraries.keys().cloned().collect();
        for library in pool.libraries.values_mut() {
            library.dependencies.retain(|d| names.binary_search(d).is_ok());
            library.dependencies.sort();
            library.dependencies.dedup();
        }
        Ok(pool)
    }

    fn check(&self) -> Result<()> {
        let phases: Vec<&str> =
            self.libraries().flat_map(|l| &l.phases).map(|p| p.name.as_str()).collect();
        for library in self.libraries() {
            let wrong = |what: String| {
                Err(Diagnostic::new(format!("micro-library `{}`: {what}", library.name))
                    .help(format!("see {}", library.dir.join("Cargo.toml").display())))
            };
            for (name, interface) in &library.interfaces {
                let declared = self.interface(name).map_or("", |i| &i.declared_by);
                if declared != interface.declared_by {
                    return wrong(format!("`{declared}` declares the interface `{name}` too"));
                }
            }
            let auto = library.auto_features.iter().map(|(_, i)| i).filter(|i| *i != SMP);
            for name in library.provides.iter().chain(&library.requires).chain(auto) {
                if self.interface(name).is_none() {
                    return wrong(format!("no library declares the interface `{name}`"));
                }
            }
            for name in &library.default_for {
                if !library.provides.contains(name) {
                    return wrong(format!("is default for `{name}` but does not provide it"));
                }
            }
            if let Some(early) = &library.early {
                if library.allocator.is_none() {
                    return wrong("has an `early` stage but is no allocator".into());
                }
                if !library.dependencies.contains(early) {
                    return wrong(format!("its early stage `{early}` is not a dependency"));
                }
                let stage = self.get(early);
                if stage.is_none_or(|l| l.allocator.is_none() || l.early.is_some()) {
                    return wrong(format!("`{early}` cannot be an early stage"));
                }
                let size = library.option(EARLY_SIZE).map(|o| &o.kind);
                if !matches!(size, Some(OptionKind::Size { .. })) {
                    return wrong(format!("has an `early` stage but no size `{EARLY_SIZE}`"));
                }
            }
            for collection in &library.collects {
                if self.libraries().filter(|l| l.collects.contains(collection)).count() > 1 {
                    return wrong(format!("another library collects `{collection}` too"));
                }
            }
            for (collection, _) in &library.registers {
                if !self.libraries().any(|l| l.collects.contains(collection)) {
                    return wrong(format!("no library collects `{collection}`"));
                }
            }
            for phase in &library.phases {
                for other in phase.after.iter().chain(&phase.before) {
                    if !phases.contains(&other.as_str()) {
                        return wrong(format!(
                            "boot phase `{}` refers to an unknown phase `{other}`",
                            phase.name
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    /// All libraries, by name.
    pub fn libraries(&self) -> impl Iterator<Item = &Library> {
        self.libraries.values()
    }

    /// The library of that name.
    pub fn get(&self, name: &str) -> Option<&Library> {
        self.libraries.get(name)
    }

    /// The interface of that name.
    pub fn interface(&self, name: &str) -> Option<&Interface> {
        self.libraries().find_map(|l| l.interfaces.get(name))
    }

    /// All interfaces by name.
    pub fn interfaces(&self) -> BTreeMap<&str, &Interface> {
        self.libraries().flat_map(|l| &l.interfaces).map(|(n, i)| (n.as_str(), i)).collect()
    }

    /// The platform crate for a platform and architecture.
    pub fn platform(&self, name: &str, arch: &str) -> Option<&Library> {
        self.libraries()
            .find(|l| l.platform.as_ref().is_some_and(|p| p.name == name) && l.supports(name, arch))
    }

    /// Names of all platforms, sorted.
    pub fn platform_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> =
            self.libraries().filter_map(|l| l.platform.as_ref()).map(|p| p.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Names of all architectures that some platform supports, sorted.
    pub fn arch_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .libraries()
            .filter(|l| l.platform.is_some())
            .flat_map(|l| l.arches.iter().map(String::as_str))
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// The crates in a pool folder, sorted. A folder in it that is no crate may hold crates that belong
/// together, as `drivers/virtio` does.
pub fn crates_in(pool: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for dir in folders_in(pool)? {
        if dir.join("Cargo.toml").is_file() {
            found.push(dir);
        } else {
            found.extend(folders_in(&dir)?.into_iter().filter(|d| d.join("Cargo.toml").is_file()));
        }
    }
    found.sort();
    Ok(found)
}

/// The folders in a folder; none when it cannot be read, as when there is no such pool.
fn folders_in(dir: &Path) -> Result<Vec<PathBuf>> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.context(format!("cannot list {}", dir.display()))?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    Ok(found)
}

/// The version that crates of the workspace inherit.
fn workspace_version(root: &Path) -> String {
    let text = std::fs::read_to_string(root.join("Cargo.toml")).unwrap_or_default();
    let document = Document::parse(text).ok();
    let version = document
        .as_ref()
        .and_then(|d| d.get("workspace")?.get("package")?.get("version")?.as_str());
    version.unwrap_or("0.0.0").to_owned()
}

/// Reads a crate's `Cargo.toml`; `None` when it has no `[package.metadata.oxk]`.
pub fn parse_library(source: &Source, pool: &str, dir: &Path) -> Result<Option<Library>> {
    let document = Document::parse(source.text.clone()).map_err(|e| toml_error(source, &e))?;
    let root = document.as_table();
    let package = root.get("package").and_then(Item::as_table_like);
    let metadata = package.and_then(|p| p.get("metadata")).and_then(|m| m.get("oxk"));
    let Some(metadata) = metadata else { return Ok(None) };
    let text =
        |key: &str| package.and_then(|p| p.get(key)).and_then(Item::as_str).map(str::to_owned);
    let read = Reader { source };
    let metadata = read.table(metadata, "oxk")?;
    read.known_keys(
        metadata,
        &[
            "provides",
            "default-for",
            "requires",
            "platforms",
            "arches",
            "interfaces",
            "options",
            "phases",
            "platform",
            "backend",
            "allocator",
            "early",
            "single-cpu",
            "single-cpu-provides",
            "scheduler",
            "libc",
            "auto-features",
            "collects",
            "registers",
        ],
    )?;
    let name = text("name")
        .ok_or_else(|| Diagnostic::new("the crate has no package name").at(source, None))?;
    let mut interfaces = BTreeMap::new();
    for (key, item) in read.entries(metadata, "interfaces")? {
        let spec = read.table(item, key)?;
        read.known_keys(spec, &["help", "many"])?;
        interfaces.insert(
            key.to_owned(),
            Interface {
                help: read.required_text(spec, "help", item)?,
                many: read.flag(spec, "many")?,
                declared_by: name.clone(),
            },
        );
    }
    let mut options = Vec::new();
    for (key, item) in read.entries(metadata, "options")? {
        options.push(read.option(key, item)?);
    }
    let mut phases = Vec::new();
    for item in &read.tables(metadata, "phases")? {
        let spec = read.table(item, "phases")?;
        read.known_keys(spec, &["name", "init", "fini", "after", "before"])?;
        phases.push(Phase {
            name: read.required_text(spec, "name", item)?,
            init: read.required_text(spec, "init", item)?,
            fini: read.text(spec, "fini")?,
            after: read.list(spec, "after")?,
            before: read.list(spec, "before")?,
        });
    }
    let platform = match metadata.get("platform") {
        None => None,
        Some(item) => {
            let spec = read.table(item, "platform")?;
            read.known_keys(
                spec,
                &["name", "type", "linker-script", "linker-args", "relocation-model", "machine"],
            )?;
            Some(PlatformSpec {
                name: read.required_text(spec, "name", item)?,
                rust_type: read.required_text(spec, "type", item)?,
                linker_script: read.required_text(spec, "linker-script", item)?,
                linker_args: read.list(spec, "linker-args")?,
                relocation_model: read
                    .text(spec, "relocation-model")?
                    .unwrap_or_else(|| "static".into()),
                machine: match read.required_text(spec, "machine", item)?.as_str() {
                    "process" => Machine::Process,
                    "qemu" => Machine::Qemu,
                    "tender" => Machine::Tender,
                    other => {
                        return Err(Diagnostic::new(format!("unknown machine `{other}`"))
                            .at(source, item.span())
                            .help("write \"process\", \"qemu\" or \"tender\""));
                    }
                },
            })
        }
    };
    Ok(Some(Library {
        pool: pool.to_owned(),
        dir: dir.to_owned(),
        description: text("description").unwrap_or_default(),
        version: text("version").unwrap_or_default(),
        handles: Vec::new(),
        dependencies: dependency_names(root),
        provides: read.list(metadata, "provides")?,
        default_for: read.list(metadata, "default-for")?,
        requires: read.list(metadata, "requires")?,
        platforms: read.list(metadata, "platforms")?,
        arches: read.list(metadata, "arches")?,
        interfaces,
        options,
        phases,
        platform,
        auto_features: read.pairs(metadata, "auto-features", "an interface")?,
        collects: read.list(metadata, "collects")?,
        registers: read.pairs(metadata, "registers", "a static of the library")?,
        scheduler: read.text(metadata, "scheduler")?,
        allocator: match (read.text(metadata, "backend")?, read.text(metadata, "allocator")?) {
            (Some(_), Some(_)) => {
                let span = metadata.get("allocator").and_then(Item::span);
                return Err(Diagnostic::new("`backend` and `allocator` exclude each other")
                    .at(source, span)
                    .help(
                        "an allocator is either a back end for ukalloc's Heap or whole by itself",
                    ));
            }
            (backend, whole) => {
                backend.map(AllocatorType::Backend).or(whole.map(AllocatorType::Whole))
            }
        },
        early: read.text(metadata, "early")?,
        libc: read.text(metadata, "libc")?,
        single_cpu: read.flag(metadata, "single-cpu")?,
        single_cpu_provides: read.list(metadata, "single-cpu-provides")?,
        name,
    }))
}

/// Package names of the normal dependencies in a `Cargo.toml`; optional ones are left out, because
/// what switches them on brings the library by itself.
pub fn dependency_names(root: &Table) -> Vec<String> {
    table(root.get("dependencies"))
        .filter(|(_, item)| item.get("optional").and_then(Item::as_bool) != Some(true))
        .map(|(key, item)| {
            let renamed = item.get("package").and_then(Item::as_str);
            renamed.unwrap_or(key).to_owned()
        })
        .collect()
}

/// A syntax error of a TOML file, with its place.
pub fn toml_error(source: &Source, error: &toml_edit::TomlError) -> Diagnostic {
    let first_line = error.message().lines().next().unwrap_or("not valid TOML").to_owned();
    Diagnostic::new(first_line)
        .at(source, error.span())
        .help("the file must be valid TOML, see the book, chapter \"Manifest\"")
}

fn table(item: Option<&Item>) -> impl Iterator<Item = (&str, &Item)> {
    item.and_then(Item::as_table_like).into_iter().flat_map(TableLike::iter)
}

/// Reads values out of a file, with errors that point into it.
pub struct Reader<'a> {
    /// The file.
    pub source: &'a Source,
}

impl Reader<'_> {
    /// Fails on a key that is not in `known`.
    pub fn known_keys(&self, table: &dyn TableLike, known: &[&str]) -> Result<()> {
        for (key, item) in table.iter() {
            if !known.contains(&key) {
                let span = table.key(key).and_then(toml_edit::Key::span).or(item.span());
                let help = match did_you_mean(key, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known keys: {}", known.join(", ")),
                };
                return Err(Diagnostic::new(format!("unknown key `{key}`"))
                    .at(self.source, span)
                    .help(help));
            }
        }
        Ok(())
    }

    /// The item as a table.
    pub fn table<'t>(&self, item: &'t Item, key: &str) -> Result<&'t dyn TableLike> {
        item.as_table_like().ok_or_else(|| {
            Diagnostic::new(format!("`{key}` must be a table")).at(self.source, item.span())
        })
    }

    /// What is in a table that may be there.
    pub fn entries<'t>(
        &self,
        table: &'t dyn TableLike,
        key: &str,
    ) -> Result<Vec<(&'t str, &'t Item)>> {
        match table.get(key) {
            None => Ok(Vec::new()),
            Some(item) => Ok(self.table(item, key)?.iter().collect()),
        }
    }

    /// A table of texts; empty when absent. `what` says what they name.
    pub fn pairs(
        &self,
        table: &dyn TableLike,
        key: &str,
        what: &str,
    ) -> Result<Vec<(String, String)>> {
        let entries = self.entries(table, key)?.into_iter();
        let pair =
            |(key, item): (&str, &Item)| match item.as_str() {
                Some(text) => Ok((key.to_owned(), text.to_owned())),
                None => Err(Diagnostic::new(format!("`{key}` must name {what}"))
                    .at(self.source, item.span())),
            };
        entries.map(pair).collect()
    }

    /// A list of tables, written `[[key]]` or `key = [{ … }]`; empty when absent.
    pub fn tables(&self, table: &dyn TableLike, key: &str) -> Result<Vec<Item>> {
        let list: Option<Vec<Item>> = match table.get(key) {
            None => Some(Vec::new()),
            Some(Item::ArrayOfTables(list)) => {
                Some(list.iter().cloned().map(Item::Table).collect())
            }
            Some(item) => item
                .as_array()
                .filter(|list| list.iter().all(toml_edit::Value::is_inline_table))
                .map(|list| list.iter().cloned().map(Item::Value).collect()),
        };
        list.ok_or_else(|| {
            Diagnostic::new(format!("`{key}` must be tables, as in [[package.metadata.oxk.{key}]]"))
                .at(self.source, table.get(key).and_then(Item::span))
        })
    }

    /// A text that must be there.
    pub fn required_text(&self, table: &dyn TableLike, key: &str, owner: &Item) -> Result<String> {
        match table.get(key) {
            None => {
                Err(Diagnostic::new(format!("`{key}` is missing")).at(self.source, owner.span()))
            }
            Some(_) => Ok(self.text(table, key)?.unwrap_or_default()),
        }
    }

    /// A text that may be there.
    pub fn text(&self, table: &dyn TableLike, key: &str) -> Result<Option<String>> {
        let Some(item) = table.get(key) else { return Ok(None) };
        match item.as_str() {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(Diagnostic::new(format!("`{key}` must be a text in quotes"))
                .at(self.source, item.span())),
        }
    }

    /// A truth value; false when absent.
    pub fn flag(&self, table: &dyn TableLike, key: &str) -> Result<bool> {
        let Some(item) = table.get(key) else { return Ok(false) };
        item.as_bool().ok_or_else(|| {
            Diagnostic::new(format!("`{key}` must be true or false")).at(self.source, item.span())
        })
    }

    /// A list of texts; empty when absent.
    pub fn list(&self, table: &dyn TableLike, key: &str) -> Result<Vec<String>> {
        Ok(self.spanned_list(table, key)?.into_iter().map(|(text, _)| text).collect())
    }

    /// A list of texts with their places.
    pub fn spanned_list(
        &self,
        table: &dyn TableLike,
        key: &str,
    ) -> Result<Vec<(String, Option<std::ops::Range<usize>>)>> {
        let Some(item) = table.get(key) else { return Ok(Vec::new()) };
        let wrong = |span| {
            Diagnostic::new(format!("`{key}` must be a list of texts, as in [\"a\", \"b\"]"))
                .at(self.source, span)
        };
        let array = item.as_array().ok_or_else(|| wrong(item.span()))?;
        array
            .iter()
            .map(|v| match v.as_str() {
                Some(text) => Ok((text.to_owned(), v.span())),
                None => Err(wrong(v.span())),
            })
            .collect()
    }

    fn option(&self, name: &str, item: &Item) -> Result<OptionSpec> {
        let spec = self.table(item, name)?;
        self.known_keys(
            spec,
            &["type", "default", "min", "max", "values", "help", "feature", "runtime", "rust"],
        )?;
        let bound_of = |key: &str, kind: &str| {
            Diagnostic::new(format!("`{key}` of option `{name}` must be {kind}"))
                .at(self.source, spec.get(key).and_then(Item::span))
        };
        let int = |key: &str, default: i64| match spec.get(key) {
            None => Ok(default),
            Some(item) => item.as_integer().ok_or_else(|| bound_of(key, "a whole number")),
        };
        let size = |key: &str, default: u64| match spec.get(key) {
            None => Ok(default),
            Some(item) => match item.as_str() {
                Some(text) => parse_size(text),
                None => item.as_integer().and_then(|v| v.try_into().ok()),
            }
            .ok_or_else(|| bound_of(key, "a size")),
        };
        let wrong = |what: String| Diagnostic::new(what).at(self.source, item.span());
        let kind = match self.required_text(spec, "type", item)?.as_str() {
            "bool" => OptionKind::Bool,
            "int" => OptionKind::Int { min: int("min", i64::MIN)?, max: int("max", i64::MAX)? },
            "size" => OptionKind::Size { min: size("min", 0)?, max: size("max", u64::MAX)? },
            "text" => OptionKind::Text,
            "choice" => OptionKind::Choice(self.list(spec, "values")?),
            other => {
                return Err(wrong(format!("unknown type `{other}` of option `{name}`"))
                    .help("types are bool, int, size, text, choice"));
            }
        };
        let is_number = matches!(kind, OptionKind::Int { .. } | OptionKind::Size { .. });
        let is_choice = matches!(kind, OptionKind::Choice(_));
        for (key, fits, types) in [
            ("min", is_number, "int and size"),
            ("max", is_number, "int and size"),
            ("values", is_choice, "choice"),
            ("rust", is_choice, "choice"),
            ("feature", kind == OptionKind::Bool, "bool"),
        ] {
            if let Some(item) = spec.get(key).filter(|_| !fits) {
                let cause = format!("option `{name}` cannot have `{key}`");
                return Err(Diagnostic::new(cause)
                    .at(self.source, item.span())
                    .help(format!("it is for options of type {types}")));
            }
        }
        let default: Value = spec
            .get("default")
            .and_then(Item::as_value)
            .and_then(|v| kind.from_toml(v))
            .ok_or_else(|| wrong(format!("the default of option `{name}` must be {kind}")))?;
        Ok(OptionSpec {
            name: name.to_owned(),
            default,
            help: self.required_text(spec, "help", item)?,
            feature: self.text(spec, "feature")?,
            runtime: self.flag(spec, "runtime")?,
            rust_type: self.text(spec, "rust")?,
            kind,
        })
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
