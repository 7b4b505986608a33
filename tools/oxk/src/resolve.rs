//! Resolution: from a manifest and the pool to the exact set of libraries of one image.
//!
//! The result is closed (everything a member depends on or requires is in it), minimal (no member
//! can be left out) and depends on nothing but the manifest, the pool and the target.

mod order;

use std::collections::BTreeMap;

use crate::diagnostic::{Diagnostic, Result, did_you_mean};
use crate::manifest::{Manifest, SettingValue, Spanned};
use crate::option::Value;
use crate::pool::{Library, Phase, Pool, SMP};

/// The interface that general-purpose heaps implement.
pub const ALLOC: &str = "alloc";
/// The interface that schedulers implement.
pub const SCHED: &str = "sched";
/// The library that runs the boot sequence; part of every image.
pub const BOOT: &str = "ukboot";
/// Who requires what the manifest itself requires.
const MANIFEST: &str = "the manifest";
/// Name of the heap that is made when the manifest names none without a size.
const MAIN_HEAP: &str = "main";

/// Why a library is in an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Every image has it.
    Always,
    /// It is the platform.
    Platform,
    /// The application's `Cargo.toml` depends on it.
    Application,
    /// The manifest names it.
    Manifest,
    /// A member's `Cargo.toml` depends on it.
    DependencyOf(String),
    /// It provides an interface that a member (or the manifest) requires.
    Provides {
        /// The interface.
        interface: String,
        /// Who requires it.
        required_by: String,
    },
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Reason::Always => f.write_str("every image boots with it"),
            Reason::Platform => f.write_str("the platform"),
            Reason::Application => f.write_str("used by the application"),
            Reason::Manifest => f.write_str("named in the manifest"),
            Reason::DependencyOf(lib) => write!(f, "used by {lib}"),
            Reason::Provides { interface, required_by } => {
                write!(f, "provides `{interface}` for {required_by}")
            }
        }
    }
}

/// A heap of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heap {
    /// Its name.
    pub name: String,
    /// The allocator library.
    pub backend: String,
    /// Bytes it takes; `None` for the one that gets the rest.
    pub size: Option<u64>,
    /// Libraries that allocate from it.
    pub libraries: Vec<String>,
}

/// A boot phase with its library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootPhase {
    /// The library.
    pub library: String,
    /// The phase.
    pub phase: Phase,
}

/// What goes into one image.
#[derive(Debug, Clone)]
pub struct Resolution<'a> {
    /// The application.
    pub manifest: &'a Manifest,
    /// The platform library.
    pub platform: &'a Library,
    /// Architecture name.
    pub arch: String,
    /// Members, each after those it depends on.
    pub libraries: Vec<&'a Library>,
    /// Why each member is there.
    pub reasons: BTreeMap<String, Reason>,
    /// Values of all options of all members, by library and option.
    pub values: BTreeMap<(String, String), Value>,
    /// Heaps, the one that gets the rest last; empty when nothing requires `alloc`.
    pub heaps: Vec<Heap>,
    /// Boot phases in order.
    pub phases: Vec<BootPhase>,
}

impl Resolution<'_> {
    /// Name of the platform as in manifests.
    pub fn platform_name(&self) -> &str {
        self.platform.platform.as_ref().map_or("", |p| &p.name)
    }

    /// File name of the image: `<app>_<plat>-<arch>`.
    pub fn image_name(&self) -> String {
        format!("{}_{}-{}", self.manifest.name, self.platform_name(), self.arch)
    }

    /// The member of that name.
    pub fn library(&self, name: &str) -> Option<&Library> {
        self.libraries.iter().copied().find(|l| l.name == name)
    }

    /// Whether the image uses more than one CPU.
    pub fn smp(&self) -> bool {
        self.manifest.cpus > 1
    }

    /// The member that provides an interface.
    pub fn provider(&self, interface: &str) -> Option<&Library> {
        self.libraries.iter().copied().find(|l| l.provides.iter().any(|p| p == interface))
    }

    /// Features of a member that follow from what else is in the image.
    pub fn auto_features<'l>(&self, library: &'l Library) -> impl Iterator<Item = &'l str> {
        library.auto_features.iter().filter_map(|(feature, interface)| {
            let on = if interface == SMP { self.smp() } else { self.provider(interface).is_some() };
            on.then_some(feature.as_str())
        })
    }

    /// The value of an option.
    pub fn value(&self, library: &str, option: &str) -> Option<&Value> {
        self.values.get(&(library.to_owned(), option.to_owned()))
    }
}

/// Resolves an application for a platform and architecture; the manifest's where `None`.
pub fn resolve<'a>(
    manifest: &'a Manifest,
    pool: &'a Pool,
    platform: Option<&str>,
    arch: Option<&str>,
) -> Result<Resolution<'a>> {
    Resolver::new(manifest, pool, platform, arch)?.run()
}

struct Resolver<'a> {
    manifest: &'a Manifest,
    pool: &'a Pool,
    platform: &'a Library,
    platform_name: String,
    arch: String,
    /// Members that must be there whatever happens, with the reason.
    seeds: BTreeMap<String, Reason>,
    /// Interfaces that must be there whatever happens.
    required: Vec<Spanned<String>>,
    /// Providers chosen by the manifest.
    chosen: BTreeMap<String, String>,
}

impl<'a> Resolver<'a> {
    fn new(
        manifest: &'a Manifest,
        pool: &'a Pool,
        platform: Option<&str>,
        arch: Option<&str>,
    ) -> Result<Self> {
        let target = |given: Option<&str>, manifest: &Spanned<String>| {
            given.map_or_else(|| manifest.clone(), |g| Spanned::implied(g.to_owned()))
        };
        let platform_name = target(platform, &manifest.platform);
        let arch_name = target(arch, &manifest.architecture);
        let unknown = |what: &str, name: &Spanned<String>, known: Vec<&str>| {
            let near = did_you_mean(&name.value, known.iter().copied());
            let help = near.map_or_else(
                || format!("known: {}", known.join(", ")),
                |near| format!("did you mean `{near}`? known: {}", known.join(", ")),
            );
            error(manifest, format!("unknown {what} `{}`", name.value), &name.span).help(help)
        };
        if !pool.platform_names().contains(&platform_name.value.as_str()) {
            return Err(unknown("platform", &platform_name, pool.platform_names()));
        }
        if !pool.arch_names().contains(&arch_name.value.as_str()) {
            return Err(unknown("architecture", &arch_name, pool.arch_names()));
        }
        let library = pool.platform(&platform_name.value, &arch_name.value).ok_or_else(|| {
            let cause =
                format!("platform `{}` has no {} version", platform_name.value, arch_name.value);
            error(manifest, cause, &arch_name.span).help("`oxk libs` lists what each one supports")
        })?;
        let mut this = Self {
            manifest,
            pool,
            platform: library,
            platform_name: platform_name.value,
            arch: arch_name.value,
            seeds: BTreeMap::new(),
            required: manifest.requires.clone(),
            chosen: BTreeMap::new(),
        };
        this.seed()?;
        Ok(this)
    }

    fn seed(&mut self) -> Result<()> {
        let manifest = self.manifest;
        for name in manifest.dependencies.iter().filter(|d| self.pool.get(d).is_some()) {
            self.seeds.insert(name.clone(), Reason::Application);
        }
        for name in &manifest.libraries {
            let library = self.known_library(name)?;
            self.seeds.insert(library.name.clone(), Reason::Manifest);
        }
        for (interface, library) in &manifest.providers {
            self.known_interface(interface)?;
            let provider = self.known_library(library)?;
            if !provider.provides.contains(&interface.value) {
                let cause = format!("`{}` does not provide `{}`", library.value, interface.value);
                return Err(error(manifest, cause, &library.span).help(format!(
                    "providers: {}",
                    self.names(&self.providers(&interface.value))
                )));
            }
            self.chosen.insert(interface.value.clone(), library.value.clone());
        }
        for interface in &self.required {
            self.known_interface(interface)?;
        }
        self.seeds.insert(self.platform.name.clone(), Reason::Platform);
        if self.pool.get(BOOT).is_some() {
            self.seeds.insert(BOOT.to_owned(), Reason::Always);
        }
        if !manifest.heaps.is_empty() {
            for heap in &manifest.heaps {
                if let Some(backend) = &heap.backend {
                    self.known_library(backend)?;
                    self.seeds.insert(backend.value.clone(), Reason::Manifest);
                }
            }
            if !self.required.iter().any(|r| r.value == ALLOC) {
                self.required.push(Spanned::implied(ALLOC.to_owned()));
            }
            if self.needs_default_backend() {
                let provider = self.pick(ALLOC, "the manifest's heaps")?;
                self.seeds.insert(provider.name.clone(), Reason::Manifest);
            }
        }
        Ok(())
    }

    /// Whether some heap takes the provider of `alloc` instead of a back end of its own.
    fn needs_default_backend(&self) -> bool {
        let heaps = &self.manifest.heaps;
        heaps.iter().any(|h| h.backend.is_none()) || heaps.iter().all(|h| h.size.is_some())
    }

    fn run(self) -> Result<Resolution<'a>> {
        let mut reasons = self.close()?;
        self.prune(&mut reasons);
        self.check(&reasons)?;
        let libraries = self.sort(&reasons)?;
        let values = self.values(&reasons)?;
        let heaps = self.heaps(&reasons)?;
        let phases = self.boot_order(&libraries, &reasons)?;
        Ok(Resolution {
            manifest: self.manifest,
            platform: self.platform,
            arch: self.arch,
            libraries,
            reasons,
            values,
            heaps,
            phases,
        })
    }

    /// The seeds and everything they need, picking providers as interfaces turn out to be needed.
    fn close(&self) -> Result<BTreeMap<String, Reason>> {
        let mut members = BTreeMap::new();
        for (name, reason) in &self.seeds {
            self.add(&mut members, name, reason.clone());
        }
        while let Some((interface, required_by)) = self.missing(&members) {
            let provider = self.pick(&interface, &required_by)?;
            let reason = Reason::Provides { interface, required_by };
            self.add(&mut members, &provider.name, reason);
        }
        Ok(members)
    }

    fn add(&self, members: &mut BTreeMap<String, Reason>, name: &str, reason: Reason) {
        let mut queue = vec![(name.to_owned(), reason)];
        while let Some((name, reason)) = queue.pop() {
            let Some(library) = self.pool.get(&name) else { continue };
            if members.contains_key(&name) {
                continue;
            }
            // A seed keeps its own reason even when a dependency reaches it first.
            let reason = self.seeds.get(&name).cloned().unwrap_or(reason);
            for dependency in library.dependencies.iter().rev() {
                queue.push((dependency.clone(), Reason::DependencyOf(name.clone())));
            }
            members.insert(name, reason);
        }
    }

    /// The first interface that a member requires and none provides (or not the chosen one).
    fn missing(&self, members: &BTreeMap<String, Reason>) -> Option<(String, String)> {
        let mut wanted: BTreeMap<&str, &str> = BTreeMap::new();
        for interface in &self.required {
            wanted.entry(&interface.value).or_insert(MANIFEST);
        }
        for library in members.keys().filter_map(|m| self.pool.get(m)) {
            for interface in &library.requires {
                wanted.entry(interface).or_insert(&library.name);
            }
        }
        wanted.into_iter().find_map(|(interface, by)| {
            let satisfied = match self.chosen.get(interface) {
                Some(chosen) => members.contains_key(chosen),
                None => members
                    .keys()
                    .filter_map(|m| self.pool.get(m))
                    .any(|l| l.provides.iter().any(|p| p == interface)),
            };
            (!satisfied).then(|| (interface.to_owned(), by.to_owned()))
        })
    }

    /// The provider for an interface: the chosen one, the only one, or the default one.
    fn pick(&self, interface: &str, required_by: &str) -> Result<&'a Library> {
        if let Some(library) = self.chosen.get(interface).and_then(|c| self.pool.get(c)) {
            return Ok(library);
        }
        let all = self.providers(interface);
        let fitting: Vec<&Library> =
            all.iter().copied().filter(|l| l.supports(&self.platform_name, &self.arch)).collect();
        let defaults: Vec<&Library> = fitting
            .iter()
            .copied()
            .filter(|l| l.default_for.iter().any(|d| d == interface))
            .collect();
        let span = self.required.iter().find(|r| r.value == interface).and_then(|r| r.span.clone());
        match (fitting.as_slice(), defaults.as_slice()) {
            ([only], _) | (_, [only]) => Ok(only),
            ([], _) => {
                let cause = format!("nothing provides `{interface}`, which {required_by} requires");
                let help = if all.is_empty() {
                    "no library of the pool implements it; add one, or drop what requires it".into()
                } else {
                    format!(
                        "{} exist, but not for {} on {}",
                        self.names(&all),
                        self.platform_name,
                        self.arch
                    )
                };
                Err(error(self.manifest, cause, &span).help(help))
            }
            (several, _) => {
                let cause = format!(
                    "several libraries provide `{interface}`, which {required_by} requires: {}",
                    self.names(several)
                );
                let help = format!(
                    "choose one:\n\n  [providers]\n  {interface} = \"{}\"",
                    several[0].name
                );
                Err(error(self.manifest, cause, &span).help(help))
            }
        }
    }

    /// Leaves out members that nothing needs any more, as when a provider picked early turned out
    /// to be superseded by one that came in later.
    fn prune(&self, members: &mut BTreeMap<String, Reason>) {
        let candidates: Vec<String> =
            members.keys().filter(|m| !self.seeds.contains_key(*m)).cloned().collect();
        for name in candidates {
            if let Some(smaller) = self.without(members, &name) {
                *members = smaller;
            }
        }
    }

    /// The members needed when `left_out` is not there, if they are enough.
    fn without(
        &self,
        members: &BTreeMap<String, Reason>,
        left_out: &str,
    ) -> Option<BTreeMap<String, Reason>> {
        let mut kept = BTreeMap::new();
        for (name, reason) in &self.seeds {
            self.add(&mut kept, name, reason.clone());
        }
        loop {
            if kept.contains_key(left_out) || !kept.keys().all(|k| members.contains_key(k)) {
                return None;
            }
            let Some((interface, required_by)) = self.missing(&kept) else { return Some(kept) };
            let chosen = self.chosen.get(&interface);
            let provider = members
                .keys()
                .filter(|m| *m != left_out && chosen.is_none_or(|c| c == *m))
                .filter_map(|m| self.pool.get(m))
                .find(|l| l.provides.contains(&interface))?;
            let reason = Reason::Provides { interface, required_by };
            self.add(&mut kept, &provider.name, reason);
        }
    }

    fn check(&self, members: &BTreeMap<String, Reason>) -> Result<()> {
        for (name, reason) in members {
            let Some(library) = self.pool.get(name) else { continue };
            if !library.supports(&self.platform_name, &self.arch) {
                let cause = format!(
                    "`{name}` ({reason}) does not work on {} with {}",
                    self.platform_name, self.arch
                );
                let place = self.manifest.libraries.iter().find(|l| l.value == *name);
                let works = format!(
                    "it works on platforms: {}; architectures: {}",
                    any_or(&library.platforms),
                    any_or(&library.arches)
                );
                return Err(
                    error(self.manifest, cause, &place.and_then(|p| p.span.clone())).help(works)
                );
            }
        }
        if self.manifest.cpus > 1
            && let Some((name, reason)) =
                members.iter().find(|(name, _)| self.pool.get(name).is_some_and(|l| l.single_cpu))
        {
            let cause = format!(
                "`{name}` ({reason}) works with one CPU, and the image has {}",
                self.manifest.cpus
            );
            let places = self.manifest.libraries.iter();
            let mut places = places.chain(self.manifest.providers.iter().map(|(_, l)| l));
            let span = places.find(|l| l.value == *name).and_then(|l| l.span.clone());
            return Err(
                error(self.manifest, cause, &span).help("set cpus = 1, or choose another library")
            );
        }
        for (interface, spec) in self.pool.interfaces() {
            let providers: Vec<&Library> = self
                .providers(interface)
                .into_iter()
                .filter(|l| members.contains_key(&l.name))
                .collect();
            if providers.len() > 1 && !spec.many {
                let why: Vec<String> = providers
                    .iter()
                    .map(|l| format!("{} ({})", l.name, members[&l.name]))
                    .collect();
                let cause = format!("two libraries provide `{interface}`: {}", why.join(" and "));
                let span = self
                    .manifest
                    .providers
                    .iter()
                    .map(|(_, l)| l)
                    .chain(&self.manifest.libraries)
                    .find(|l| providers.iter().any(|p| p.name == l.value))
                    .and_then(|l| l.span.clone());
                return Err(error(self.manifest, cause, &span)
                    .help(format!("an image can have one `{interface}`; leave one of them out")));
            }
        }
        Ok(())
    }

    fn values(
        &self,
        members: &BTreeMap<String, Reason>,
    ) -> Result<BTreeMap<(String, String), Value>> {
        let mut values = BTreeMap::new();
        for library in members.keys().filter_map(|m| self.pool.get(m)) {
            for option in &library.options {
                values.insert((library.name.clone(), option.name.clone()), option.default.clone());
            }
        }
        for setting in &self.manifest.settings {
            let library = self.known_library(&setting.library)?;
            if !members.contains_key(&library.name) {
                let cause = format!("`{}` is not part of this image", library.name);
                return Err(error(self.manifest, cause, &setting.library.span).help(format!(
                    "remove the option, or add libraries = [\"{}\"]",
                    library.name
                )));
            }
            let Some(option) = library.option(&setting.option.value) else {
                let known: Vec<&str> = library.options.iter().map(|o| o.name.as_str()).collect();
                let help = match did_you_mean(&setting.option.value, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if known.is_empty() => format!("`{}` has no options", library.name),
                    None => format!("its options: {}", known.join(", ")),
                };
                let cause = format!("`{}` has no option `{}`", library.name, setting.option.value);
                return Err(error(self.manifest, cause, &setting.option.span).help(help));
            };
            let value = match &setting.value {
                SettingValue::Toml(value) => option.kind.from_toml(value),
                SettingValue::Text(text) => option.kind.parse(text),
            };
            let Some(value) = value else {
                let (given, span) = match &setting.value {
                    SettingValue::Toml(v) => (v.to_string().trim().to_owned(), v.span()),
                    SettingValue::Text(text) => (text.clone(), None),
                };
                let cause =
                    format!("{given} is not a value for {}.{}", library.name, setting.option.value);
                return Err(error(self.manifest, cause, &span)
                    .help(format!("it takes {} (default {})", option.kind, option.default)));
            };
            values.insert((library.name.clone(), option.name.clone()), value);
        }
        Ok(values)
    }

    fn heaps(&self, members: &BTreeMap<String, Reason>) -> Result<Vec<Heap>> {
        let wanted = self.required.iter().any(|r| r.value == ALLOC)
            || members
                .keys()
                .filter_map(|m| self.pool.get(m))
                .any(|l| l.requires.iter().any(|r| r == ALLOC));
        if !wanted {
            return Ok(Vec::new());
        }
        let default_backend = || -> Result<String> {
            if let Some(chosen) = self.chosen.get(ALLOC) {
                return Ok(chosen.clone());
            }
            let provider = members
                .keys()
                .filter_map(|m| self.pool.get(m))
                .find(|l| l.provides.iter().any(|p| p == ALLOC));
            if !self.manifest.heaps.is_empty() || provider.is_none() {
                return Ok(self.pick(ALLOC, "the heaps")?.name.clone());
            }
            Ok(provider.map(|l| l.name.clone()).unwrap_or_default())
        };
        let mut heaps = Vec::new();
        for spec in &self.manifest.heaps {
            let backend = match &spec.backend {
                Some(name) => {
                    let library = self.known_library(name)?;
                    if library.allocator.is_none() {
                        let cause = format!("`{}` is not an allocator", name.value);
                        return Err(error(self.manifest, cause, &name.span)
                            .help(format!("allocators: {}", self.names(&self.providers(ALLOC)))));
                    }
                    library.name.clone()
                }
                None => default_backend()?,
            };
            let mut libraries = Vec::new();
            for name in &spec.libraries {
                let library = self.known_library(name)?;
                if !members.contains_key(&library.name) {
                    let cause = format!("`{}` is not part of this image", name.value);
                    return Err(error(self.manifest, cause, &name.span)
                        .help("a heap serves libraries of the image"));
                }
                libraries.push(library.name.clone());
            }
            heaps.push(Heap { name: spec.name.value.clone(), backend, size: spec.size, libraries });
        }
        let open: Vec<_> = self.manifest.heaps.iter().filter(|h| h.size.is_none()).collect();
        if let [first, second, ..] = open.as_slice() {
            let cause = format!(
                "heaps `{}` and `{}` both have no size: only one can take what is left",
                first.name.value, second.name.value
            );
            return Err(error(self.manifest, cause, &second.name.span)
                .help("give one of them a size, as in size = \"1M\""));
        }
        if open.is_empty() {
            let backend = default_backend()?;
            heaps.push(Heap { name: MAIN_HEAP.into(), backend, size: None, libraries: Vec::new() });
        }
        heaps.sort_by_key(|h| h.size.is_none());
        Ok(heaps)
    }

    fn providers(&self, interface: &str) -> Vec<&'a Library> {
        self.pool.libraries().filter(|l| l.provides.iter().any(|p| p == interface)).collect()
    }

    fn names(&self, libraries: &[&Library]) -> String {
        libraries.iter().map(|l| l.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    fn known_library(&self, name: &Spanned<String>) -> Result<&'a Library> {
        self.pool.get(&name.value).ok_or_else(|| {
            let near = did_you_mean(&name.value, self.pool.libraries().map(|l| l.name.as_str()));
            let help = near.map_or_else(
                || "`oxk libs` lists all".to_owned(),
                |near| format!("did you mean `{near}`? `oxk libs` lists all"),
            );
            error(self.manifest, format!("unknown library `{}`", name.value), &name.span).help(help)
        })
    }

    fn known_interface(&self, name: &Spanned<String>) -> Result<()> {
        if self.pool.interface(&name.value).is_some() {
            return Ok(());
        }
        let interfaces = self.pool.interfaces();
        let known: Vec<&str> = interfaces.keys().copied().collect();
        let help = did_you_mean(&name.value, known.iter().copied()).map_or_else(
            || format!("interfaces: {}", known.join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        Err(error(self.manifest, format!("unknown interface `{}`", name.value), &name.span)
            .help(help))
    }
}

fn any_or(names: &[String]) -> String {
    if names.is_empty() { "all".to_owned() } else { names.join(", ") }
}

fn error(
    manifest: &Manifest,
    cause: impl Into<String>,
    span: &Option<std::ops::Range<usize>>,
) -> Diagnostic {
    let diagnostic = Diagnostic::new(cause);
    match span {
        Some(span) => diagnostic.at(&manifest.source, Some(span.clone())),
        None => diagnostic.in_file(&manifest.source),
    }
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
