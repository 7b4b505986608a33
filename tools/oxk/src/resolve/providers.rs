//! The members of an image: what is needed, who provides it, and what can be left out again.

use std::collections::BTreeMap;

use super::{MANIFEST, Reason, Resolver, SCHED, error};
use crate::diagnostic::Result;
use crate::manifest::NONE;
use crate::pool::Library;

impl<'a> Resolver<'a> {
    /// The seeds and everything they need, picking providers as interfaces turn out to be needed.
    pub(super) fn close(&self) -> Result<BTreeMap<String, Reason>> {
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
            let several = interface == SCHED && !self.manifest.schedulers.is_empty();
            let satisfied = match self.chosen.get(interface) {
                Some(none) if several && none == NONE => true,
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
    pub(super) fn pick(&self, interface: &str, required_by: &str) -> Result<&'a Library> {
        if let Some(library) = self.chosen.get(interface).and_then(|c| self.pool.get(c)) {
            return Ok(library);
        }
        if self.chosen.get(interface).is_some_and(|chosen| chosen == NONE) {
            let cause = format!("{required_by} requires `{interface}`, and there is to be none");
            let named = self.manifest.providers.iter().find(|(i, _)| i.value == interface);
            let span = named.and_then(|(_, library)| library.span.clone());
            return Err(error(self.manifest, cause, &span)
                .help("name a provider instead of `none`, or leave out what requires it"));
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
    pub(super) fn prune(&self, members: &mut BTreeMap<String, Reason>) {
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

    /// Refuses what works with one CPU only.
    fn check_cpus(&self, members: &BTreeMap<String, Reason>) -> Result<()> {
        let refuse = |library: &Library, cause: String| {
            let cause = format!("{cause}, and the image has {}", self.manifest.cpus);
            let places = self.manifest.libraries.iter();
            let mut places = places.chain(self.manifest.providers.iter().map(|(_, l)| l));
            let span = places.find(|l| l.value == library.name).and_then(|l| l.span.clone());
            Err(error(self.manifest, cause, &span).help("set cpus = 1, or choose another library"))
        };
        let members: Vec<_> = members
            .iter()
            .filter_map(|(name, reason)| Some((self.pool.get(name)?, reason)))
            .collect();
        for (library, reason) in &members {
            let name = &library.name;
            if library.single_cpu {
                return refuse(library, format!("`{name}` ({reason}) works with one CPU"));
            }
            for interface in &library.requires {
                let lost = |(provider, _): &&(&Library, &Reason)| {
                    provider.single_cpu_provides.contains(interface)
                };
                if let Some((provider, _)) = members.iter().find(lost) {
                    let cause = format!(
                        "`{name}` ({reason}) needs `{interface}`, which {} provides with one CPU",
                        provider.name
                    );
                    return refuse(library, cause);
                }
            }
        }
        Ok(())
    }

    /// Whether the manifest lists schedulers, this one among them, or for the rest of the CPUs.
    fn is_named_scheduler(&self, name: &str) -> bool {
        let manifest = self.manifest;
        let rest = manifest.providers.iter().filter(|(interface, _)| interface.value == SCHED);
        let mut named = manifest.schedulers.iter().map(|s| &s.provider).chain(rest.map(|(_, l)| l));
        !manifest.schedulers.is_empty() && named.any(|l| l.value == name)
    }

    pub(super) fn check(&self, members: &BTreeMap<String, Reason>) -> Result<()> {
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
        if self.manifest.cpus > 1 {
            self.check_cpus(members)?;
        }
        for (interface, spec) in self.pool.interfaces() {
            let providers: Vec<&Library> = self
                .providers(interface)
                .into_iter()
                .filter(|l| members.contains_key(&l.name))
                .collect();
            // All that the manifest gave CPUs.
            let named = |l: &&Library| self.is_named_scheduler(&l.name);
            let several = interface == SCHED && providers.iter().all(named);
            if providers.len() > 1 && !spec.many && !several {
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
}

fn any_or(names: &[String]) -> String {
    if names.is_empty() { "all".to_owned() } else { names.join(", ") }
}
