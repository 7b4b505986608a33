//! The manifest of an application, `oxk.toml`: what it is and what differs from the defaults.

mod mounts;
mod schedulers;

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml_edit::{Document, Item};

use crate::diagnostic::{Diagnostic, Result, Source};
use crate::native::sources::{self, Release};
use crate::option::parse_size;
use crate::pool::{Reader, dependency_names, toml_error};

pub use mounts::{MountSource, MountSpec, SHARE, check_path, escape};
pub use schedulers::{SchedulerSpec, cpus_as_text};

/// Name of the manifest file.
pub const FILE_NAME: &str = "oxk.toml";

/// The interface of C libraries, which programs in C require.
pub const LIBC: &str = "libc";
/// The interface of the tree of files that an image begins with, which files in it require.
pub const ROOT: &str = "root";

/// CPUs of an image at most.
pub const MAX_CPUS: u32 = 64;

/// What stands for a provider when there is to be none.
pub const NONE: &str = "none";

/// A piece of the manifest with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Byte range in the file.
    pub span: Option<Range<usize>>,
}

impl<T> Spanned<T> {
    /// A value that stands nowhere in the file.
    pub fn implied(value: T) -> Self {
        Self { value, span: None }
    }
}

/// How the application is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A `no_std` Rust library crate with a `main` function.
    Rust,
    /// A C or C++ program, linked with the C library of the image.
    C,
}

/// What a program in C is made of, table `[c]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CProgram {
    /// Patterns of source files, relative to the application's folder; those of a source crate
    /// begin with its name and a colon.
    pub sources: Vec<Spanned<String>>,
    /// Patterns of files that are no sources although they fit.
    pub exclude: Vec<Spanned<String>>,
    /// Folders with headers, written like sources.
    pub include: Vec<Spanned<String>>,
    /// Flags for the compiler.
    pub flags: Vec<String>,
    /// A command of the program's own build system, as words.
    pub make: Vec<String>,
    /// Patterns of the objects and archives that it leaves.
    pub objects: Vec<Spanned<String>>,
    /// Sources of others, `[c.fetch.NAME]`: patterns begin with a name and a colon.
    pub fetch: Vec<(String, Release)>,
}

/// What the compiler optimises for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Optimize {
    /// Fastest code.
    #[default]
    Speed,
    /// Smallest image.
    Size,
}

/// An extra heap, `[heaps.NAME]`.
#[derive(Debug, Clone)]
pub struct HeapSpec {
    /// Name of the heap.
    pub name: Spanned<String>,
    /// The allocator library; the provider of `alloc` when absent.
    pub backend: Option<Spanned<String>>,
    /// Bytes taken from memory; `None` for the heap that gets the rest.
    pub size: Option<u64>,
    /// Libraries that allocate from it.
    pub libraries: Vec<Spanned<String>>,
    /// Options of the allocator for this heap.
    pub options: Vec<(Spanned<String>, SettingValue)>,
}

/// A value for an option.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Library name.
    pub library: Spanned<String>,
    /// Option name.
    pub option: Spanned<String>,
    /// The value, not yet checked against the option.
    pub value: SettingValue,
}

/// Where a setting's value comes from.
#[derive(Debug, Clone)]
pub enum SettingValue {
    /// From the manifest.
    Toml(toml_edit::Value),
    /// From `--set`.
    Text(String),
}

/// A checked manifest. References to libraries are resolved later.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The file, for diagnostics.
    pub source: Source,
    /// Folder of the application.
    pub dir: PathBuf,
    /// Name of the application; part of the image's file name.
    pub name: String,
    /// How it is built.
    pub kind: Kind,
    /// What it consists of, for kind [`Kind::C`].
    pub c: CProgram,
    /// Package name of its crate; empty for programs in C without one.
    pub package: String,
    /// Normal dependencies of its crate, by package name.
    pub dependencies: Vec<String>,
    /// Platform when the command line does not say.
    pub platform: Spanned<String>,
    /// Architecture when the command line does not say.
    pub architecture: Spanned<String>,
    /// Optimisation goal.
    pub optimize: Optimize,
    /// Libraries wanted beside those that are needed.
    pub libraries: Vec<Spanned<String>>,
    /// Interfaces the image must have.
    pub requires: Vec<Spanned<String>>,
    /// Chosen providers: interface and library.
    pub providers: Vec<(Spanned<String>, Spanned<String>)>,
    /// Several schedulers.
    pub schedulers: Vec<SchedulerSpec>,
    /// File systems that are mounted before `main`.
    pub mounts: Vec<MountSpec>,
    /// Option values.
    pub settings: Vec<Setting>,
    /// Extra heaps.
    pub heaps: Vec<HeapSpec>,
    /// Further folders with micro-libraries.
    pub pools: Vec<PathBuf>,
    /// Default arguments of the application.
    pub args: Vec<String>,
    /// Files that are in the image from the start: the place in it, and the file or folder here.
    pub files: Vec<(Spanned<String>, Spanned<String>)>,
    /// System calls that the program can reach, sorted; known for programs in C once they are
    /// compiled.
    pub calls: Vec<String>,
    /// CPUs the image uses at most.
    pub cpus: u32,
    /// Memory of the machine in bytes, when `oxk run` is not told otherwise.
    pub memory: Option<u64>,
}

/// Package name and dependencies of the application's crate.
fn crate_of(dir: &Path) -> Result<(String, Vec<String>)> {
    let source = Source::read(&dir.join("Cargo.toml")).map_err(|e| {
        e.help(
            "an application of kind \"rust\" is a crate: it needs a Cargo.toml beside its oxk.toml",
        )
    })?;
    let document = Document::parse(source.text.clone()).map_err(|e| toml_error(&source, &e))?;
    let name = document.get("package").and_then(|p| p.get("name")).and_then(Item::as_str);
    let name =
        name.ok_or_else(|| Diagnostic::new("the crate has no package name").at(&source, None))?;
    Ok((name.to_owned(), dependency_names(document.as_table())))
}

impl Reader<'_> {
    /// The table `[c]`, which belongs to programs in C alone.
    fn c_program(&self, root: &toml_edit::Table, kind: Kind) -> Result<CProgram> {
        let Some(item) = root.get("c") else {
            return match kind {
                Kind::Rust => Ok(CProgram::default()),
                Kind::C => Err(Diagnostic::new("a program in C has no table [c]")
                    .in_file(self.source)
                    .help("add it, with a line such as: sources = [\"*.c\"]")),
            };
        };
        let table = self.table(item, "c")?;
        if kind != Kind::C {
            return Err(Diagnostic::new("[c] belongs to applications of kind \"c\"")
                .at(self.source, item.span())
                .help("write kind = \"c\""));
        }
        let keys = ["sources", "exclude", "include", "flags", "make", "objects", "fetch"];
        self.known_keys(table, &keys)?;
        let mut fetch = Vec::new();
        for (name, item) in self.entries(table, "fetch")? {
            let what = format!("c.fetch.{name}");
            let table = self.table(item, &what)?;
            self.known_keys(table, &sources::KEYS)?;
            fetch.push((name.to_owned(), Release::read(self, table, &format!("[{what}]"))?));
        }
        let list = |key: &str| -> Result<Vec<Spanned<String>>> {
            let list = self.spanned_list(table, key)?;
            Ok(list.into_iter().map(|(value, span)| Spanned { value, span }).collect())
        };
        let c = CProgram {
            sources: list("sources")?,
            exclude: list("exclude")?,
            include: list("include")?,
            flags: self.list(table, "flags")?,
            make: self.list(table, "make")?,
            objects: list("objects")?,
            fetch,
        };
        if c.sources.is_empty() && c.objects.is_empty() {
            return Err(Diagnostic::new("the program has neither sources nor objects")
                .at(self.source, item.span())
                .help("write sources = [\"*.c\"], or make = [\"make\"] and objects = [\"*.o\"]"));
        }
        if c.objects.is_empty() != c.make.is_empty() {
            return Err(Diagnostic::new("`make` and `objects` belong together")
                .at(self.source, item.span())
                .help("`make` is the command that leaves what `objects` names"));
        }
        Ok(c)
    }
}

/// The values in a table of options.
fn option_values(
    read: &Reader<'_>,
    item: &Item,
    what: &str,
) -> Result<Vec<(Spanned<String>, SettingValue)>> {
    let table = read.table(item, what)?;
    table
        .iter()
        .map(|(option, item)| {
            let Some(value) = item.as_value() else {
                return Err(Diagnostic::new(format!("option `{option}` needs a value"))
                    .at(read.source, item.span()));
            };
            let span = table.key(option).and_then(toml_edit::Key::span);
            let name = Spanned { value: option.to_owned(), span };
            Ok((name, SettingValue::Toml(value.clone())))
        })
        .collect()
}

/// Heap names become names in code, where `-` is `_` and all letters are large.
fn check_heap_name(name: &str, others: &[HeapSpec]) -> Result<()> {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || !name.chars().all(valid) {
        return Err(Diagnostic::new(format!("`{name}` cannot be the name of a heap"))
            .help("use letters, digits, - and _"));
    }
    let plain = |name: &str| name.to_ascii_uppercase().replace('-', "_");
    match others.iter().find(|o| plain(&o.name.value) == plain(name)) {
        None => Ok(()),
        Some(other) => {
            let cause = format!("heaps `{}` and `{name}` have the same name", other.name.value);
            Err(Diagnostic::new(cause).help("small and large letters, - and _ count as equal"))
        }
    }
}

impl Manifest {
    /// Reads and checks the manifest in `dir`.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE_NAME);
        if !dir.is_dir() {
            return Err(Diagnostic::new(format!("there is no folder {}", dir.display()))
                .help("give the folder of an application, or make one with `oxk new NAME`"));
        }
        if !path.is_file() {
            return Err(Diagnostic::new(format!("there is no {FILE_NAME} in {}", dir.display()))
                .help("give the folder of an application, or make one with `oxk new NAME`"));
        }
        Self::parse(Source::read(&path)?, dir)
    }

    /// Checks the text of a manifest; reads the application's `Cargo.toml` beside it.
    pub fn parse(source: Source, dir: &Path) -> Result<Self> {
        let document = Document::parse(source.text.clone()).map_err(|e| toml_error(&source, &e))?;
        let root = document.as_table();
        let read = Reader { source: &source };
        read.known_keys(
            root,
            &[
                "name",
                "kind",
                "platform",
                "architecture",
                "optimize",
                "libraries",
                "requires",
                "providers",
                "schedulers",
                "mounts",
                "options",
                "heaps",
                "pools",
                "args",
                "memory",
                "cpus",
                "libc",
                "c",
                "files",
            ],
        )?;
        let spanned = |key: &str, default: &str| -> Result<Spanned<String>> {
            Ok(match read.text(root, key)? {
                Some(value) => Spanned { value, span: root.get(key).and_then(Item::span) },
                None => Spanned::implied(default.to_owned()),
            })
        };
        let list = |key: &str| -> Result<Vec<Spanned<String>>> {
            let list = read.spanned_list(root, key)?;
            Ok(list.into_iter().map(|(value, span)| Spanned { value, span }).collect())
        };
        let one_of = |key: &str, value: &Spanned<String>, allowed: &str| {
            Err(Diagnostic::new(format!("`{key}` cannot be `{}`", value.value))
                .at(&source, value.span.clone())
                .help(allowed.to_owned()))
        };

        let name = spanned("name", "")?;
        let valid = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.value.is_empty() || !name.value.chars().all(valid) {
            return Err(Diagnostic::new("an application needs a name of letters, digits, - and _")
                .at(&source, name.span)
                .help("add a line such as: name = \"hello\""));
        }
        let kind = spanned("kind", "rust")?;
        let kind = match kind.value.as_str() {
            "rust" => Kind::Rust,
            "c" => Kind::C,
            "rust-std" | "elf" => {
                let help = "this version builds \"rust\" and \"c\"; rust-std and elf are coming";
                return one_of("kind", &kind, help);
            }
            _ => return one_of("kind", &kind, "kinds are: rust, c"),
        };
        let c = read.c_program(root, kind)?;
        let optimize = spanned("optimize", "speed")?;
        let optimize = match optimize.value.as_str() {
            "speed" => Optimize::Speed,
            "size" => Optimize::Size,
            _ => return one_of("optimize", &optimize, "write \"speed\" or \"size\""),
        };

        let cpus = match root.get("cpus") {
            None => 1,
            Some(item) => item
                .as_integer()
                .and_then(|n| u32::try_from(n).ok())
                .filter(|n| (1..=MAX_CPUS).contains(n))
                .ok_or_else(|| {
                    Diagnostic::new(format!("`cpus` must be a number from 1 to {MAX_CPUS}"))
                        .at(&source, item.span())
                })?,
        };
        let mut providers = Vec::new();
        if let Some(item) = root.get("providers") {
            let table = read.table(item, "providers")?;
            for (key, item) in table.iter() {
                let library = read.text(table, key)?.unwrap_or_default();
                let key_span = table.key(key).and_then(toml_edit::Key::span);
                providers.push((
                    Spanned { value: key.to_owned(), span: key_span },
                    Spanned { value: library, span: item.span() },
                ));
            }
        }
        let mut files = Vec::new();
        if let Some(item) = root.get("files") {
            let table = read.table(item, "files")?;
            for (key, item) in table.iter() {
                let source = read.text(table, key)?.unwrap_or_default();
                let key_span = table.key(key).and_then(toml_edit::Key::span);
                files.push((
                    Spanned { value: key.to_owned(), span: key_span },
                    Spanned { value: source, span: item.span() },
                ));
            }
        }
        let mut settings = Vec::new();
        if let Some(item) = root.get("options") {
            let table = read.table(item, "options")?;
            for (library, item) in table.iter() {
                let library = Spanned {
                    value: library.to_owned(),
                    span: table.key(library).and_then(toml_edit::Key::span),
                };
                settings.extend(
                    option_values(&read, item, &library.value)?
                        .into_iter()
                        .map(|(option, value)| Setting { library: library.clone(), option, value }),
                );
            }
        }
        let size = |table: &dyn toml_edit::TableLike, key: &str| -> Result<Option<u64>> {
            let Some(item) = table.get(key) else { return Ok(None) };
            let bytes = match item.as_str() {
                Some(text) => parse_size(text),
                None => item.as_integer().and_then(|v| v.try_into().ok()),
            };
            bytes.map(Some).ok_or_else(|| {
                Diagnostic::new(format!("`{key}` must be a size"))
                    .at(&source, item.span())
                    .help("write it as \"64K\", \"16M\" or a number of bytes")
            })
        };
        let mut heaps = Vec::new();
        if let Some(item) = root.get("heaps") {
            let table = read.table(item, "heaps")?;
            for (key, item) in table.iter() {
                let heap = read.table(item, key)?;
                check_heap_name(key, &heaps)
                    .map_err(|e| e.at(&source, table.key(key).and_then(toml_edit::Key::span)))?;
                read.known_keys(heap, &["backend", "size", "libraries", "options"])?;
                let libraries = read.spanned_list(heap, "libraries")?;
                let options = heap.get("options").map(|item| option_values(&read, item, "options"));
                heaps.push(HeapSpec {
                    name: Spanned {
                        value: key.to_owned(),
                        span: table.key(key).and_then(toml_edit::Key::span),
                    },
                    backend: read.text(heap, "backend")?.map(|value| Spanned {
                        value,
                        span: heap.get("backend").and_then(Item::span),
                    }),
                    size: size(heap, "size")?,
                    libraries: libraries
                        .into_iter()
                        .map(|(value, span)| Spanned { value, span })
                        .collect(),
                    options: options.transpose()?.unwrap_or_default(),
                });
            }
        }

        if let Some(libc) = read.text(root, "libc")? {
            let span = root.get("libc").and_then(Item::span);
            providers.push((Spanned::implied(LIBC.to_owned()), Spanned { value: libc, span }));
        }
        let (package, dependencies) = match kind {
            Kind::Rust => crate_of(dir)?,
            Kind::C => (String::new(), Vec::new()),
        };
        let mut requires = list("requires")?;
        if kind == Kind::C {
            requires.push(Spanned::implied(LIBC.to_owned()));
        }
        if !files.is_empty() {
            requires.push(Spanned::implied(ROOT.to_owned()));
        }

        let mut manifest = Self {
            dir: dir.to_owned(),
            name: name.value,
            kind,
            c,
            package,
            dependencies,
            platform: spanned("platform", "linuxu")?,
            architecture: spanned("architecture", std::env::consts::ARCH)?,
            optimize,
            libraries: list("libraries")?,
            requires,
            providers,
            schedulers: schedulers::read(&read, root)?,
            mounts: mounts::read(&read, root, dir)?,
            settings,
            heaps,
            pools: read.list(root, "pools")?.into_iter().map(|p| dir.join(p)).collect(),
            args: read.list(root, "args")?,
            files,
            calls: Vec::new(),
            memory: size(root, "memory")?,
            cpus,
            source: source.clone(),
        };
        manifest.require_mounts();
        Ok(manifest)
    }

    /// Adds settings of the form `library.option=value`, as `--set` takes them.
    pub fn set(&mut self, assignments: &[String]) -> Result<()> {
        for text in assignments {
            let parsed = text
                .split_once('=')
                .and_then(|(path, value)| path.split_once('.').map(|(l, o)| (l, o, value)));
            let Some((library, option, value)) = parsed else {
                return Err(Diagnostic::new(format!("`--set {text}` is not library.option=value"))
                    .help("for example: --set uklog.level=debug"));
            };
            self.settings.push(Setting {
                library: Spanned::implied(library.to_owned()),
                option: Spanned::implied(option.to_owned()),
                value: SettingValue::Text(value.to_owned()),
            });
        }
        Ok(())
    }

    /// Chooses providers of the form `interface=library`, as `--provider` takes them, instead of
    /// those in the file.
    pub fn choose_providers(&mut self, choices: &[String]) -> Result<()> {
        for text in choices {
            let Some((interface, library)) = text.split_once('=') else {
                return Err(Diagnostic::new(format!(
                    "`--provider {text}` is not interface=library"
                ))
                .help("for example: --provider alloc=ukalloctlsf"));
            };
            self.providers.retain(|(i, _)| i.value != interface);
            self.providers.push((
                Spanned::implied(interface.to_owned()),
                Spanned::implied(library.to_owned()),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
