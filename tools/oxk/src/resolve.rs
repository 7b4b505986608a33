//! Resolution: from a manifest and the pool to the exact set of libraries of one image.
//!
//! The result is closed (everything a member depends on or requires is in it), minimal (no member
//! can be left out) and depends on nothing but the manifest, the pool and the target.

mod heaps;
mod mounts;
mod order;
mod providers;
mod schedulers;
mod values;

use std::collections::BTreeMap;

use crate::diagnostic::{Diagnostic, Result, did_you_mean};
use crate::manifest::{Manifest, NONE, Spanned};
use crate::option::Value;
use crate::pool::{Library, Phase, Pool, SMP};

pub use heaps::MAX_FIXED_HEAPS;
pub use schedulers::Scheduler;

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
    /// It handles a system call that the program can reach.
    Handles(String),
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
            Reason::Handles(call) => write!(f, "handles `{call}` for the program"),
            Reason::DependencyOf(lib) => write!(f, "used by {lib}"),
            Reason::Provides { interface, required_by } => {
                write!(f, "provides `{interface}` for {required_by}")
            }
        }
    }
}

/// A heap of the image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heap {
    /// Its name.
    pub name: String,
    /// The allocator library.
    pub backend: String,
    /// Bytes it takes; `None` for the one that gets the rest.
    pub size: Option<u64>,
    /// Libraries that allocate from it.
    pub libraries: Vec<String>,
    /// Options of the allocator that are not those of its other heaps.
    pub options: BTreeMap<String, Value>,
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
    /// Schedulers in the order of their first CPUs; empty in an image without threads.
    pub schedulers: Vec<Scheduler>,
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

/// Looks at the names of libraries in options and heaps, and at values of options, for images of which
/// it is not known yet what is in them.
pub fn check_values(
    manifest: &Manifest,
    pool: &Pool,
    platform: Option<&str>,
    arch: Option<&str>,
) -> Result<()> {
    let resolver = Resolver::new(manifest, pool, platform, arch)?;
    for setting in &manifest.settings {
        resolver.option_value(setting)?;
    }
    for library in manifest.heaps.iter().flat_map(|heap| &heap.libraries) {
        resolver.known_library(library)?;
    }
    Ok(())
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
        self.check_mounts()?;
        for name in &manifest.libraries {
            let library = self.known_library(name)?;
            self.seeds.insert(library.name.clone(), Reason::Manifest);
        }
        for (interface, library) in &manifest.providers {
            self.known_interface(interface)?;
            self.chosen.insert(interface.value.clone(), library.value.clone());
            if library.value == NONE {
                continue;
            }
            self.check_provider(&interface.value, library)?;
            // Who names a scheduler wants threads.
            self.require(interface.clone());
        }
        self.seed_schedulers()?;
        self.seed_handlers();
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
            self.require(Spanned::implied(ALLOC.to_owned()));
            if self.needs_default_backend() {
                let provider = self.pick(ALLOC, "the manifest's heaps")?;
                self.seeds.insert(provider.name.clone(), Reason::Manifest);
            }
        }
        Ok(())
    }

    /// The libraries that alone handle what the program calls, unless the manifest chose another
    /// provider of what they provide.
    fn seed_handlers(&mut self) {
        for call in &self.manifest.calls {
            let mut handling = self.pool.libraries().filter(|l| {
                l.handles.binary_search(call).is_ok() && l.supports(&self.platform_name, &self.arch)
            });
            let (Some(library), None) = (handling.next(), handling.next()) else { continue };
            let other = |interface| self.chosen.get(interface).is_some_and(|c| *c != library.name);
            if !library.provides.iter().any(other) {
                let reason = Reason::Handles(call.clone());
                self.seeds.entry(library.name.clone()).or_insert(reason);
            }
        }
    }

    fn require(&mut self, interface: Spanned<String>) {
        if !self.required.iter().any(|r| r.value == interface.value) {
            self.required.push(interface);
        }
    }

    fn check_provider(&self, interface: &str, library: &Spanned<String>) -> Result<()> {
        let provider = self.known_library(library)?;
        if provider.provides.iter().any(|p| p == interface) {
            return Ok(());
        }
        let cause = format!("`{}` does not provide `{interface}`", library.value);
        let others = self.names(&self.providers(interface));
        Err(error(self.manifest, cause, &library.span).help(format!("providers: {others}")))
    }

    fn run(self) -> Result<Resolution<'a>> {
        let mut reasons = self.close()?;
        self.prune(&mut reasons);
        self.check(&reasons)?;
        let libraries = self.sort(&reasons)?;
        let values = self.values(&reasons)?;
        let heaps = self.heaps(&reasons)?;
        let schedulers = self.schedulers(&reasons)?;
        let phases = self.boot_order(&libraries, &reasons)?;
        Ok(Resolution {
            manifest: self.manifest,
            platform: self.platform,
            arch: self.arch,
            libraries,
            reasons,
            values,
            heaps,
            schedulers,
            phases,
        })
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
