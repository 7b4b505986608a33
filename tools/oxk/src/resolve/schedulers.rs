//! The schedulers of an image and their CPUs.

use std::collections::BTreeMap;

use super::{Reason, Resolver, SCHED, error};
use crate::diagnostic::Result;
use crate::manifest::{NONE, SchedulerSpec, Spanned, cpus_as_text};
use crate::option::Value;

/// A scheduler of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheduler {
    /// The library; `None` for CPUs that run to completion.
    pub library: Option<String>,
    /// Its CPUs, sorted.
    pub cpus: Vec<u32>,
    /// The application's function that each of its CPUs runs.
    pub run: Option<String>,
    /// Options of the library that are other than the image's.
    pub values: BTreeMap<String, Value>,
}

impl Scheduler {
    /// As in manifests.
    pub fn name(&self) -> &str {
        self.library.as_deref().unwrap_or(NONE)
    }
}

impl std::fmt::Display for Scheduler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} on CPU {}", self.name(), cpus_as_text(&self.cpus))?;
        self.run.iter().try_for_each(|function| write!(f, " runs {function}"))
    }
}

impl Resolver<'_> {
    /// Checks the manifest's schedulers; before it is known what is in the image.
    pub(super) fn seed_schedulers(&mut self) -> Result<()> {
        let manifest = self.manifest;
        for spec in &manifest.schedulers {
            if let Some(cpu) = spec.cpus.value.iter().find(|cpu| **cpu >= manifest.cpus) {
                let cause = format!(
                    "the image has {}, and a scheduler is to have CPU {cpu}",
                    if manifest.cpus == 1 {
                        "1 CPU".into()
                    } else {
                        format!("{} CPUs", manifest.cpus)
                    }
                );
                return Err(error(manifest, cause, &spec.cpus.span)
                    .help("CPUs are counted from 0; set `cpus` at the top of the manifest"));
            }
            if spec.provider.value == NONE {
                if spec.cpus.value.contains(&0) {
                    let cause = "CPU 0, which boots and runs `main`, needs a scheduler";
                    return Err(error(manifest, cause, &spec.cpus.span).help(
                        "give it one of its own, or leave out all [[schedulers]] for an image without threads",
                    ));
                }
                continue;
            }
            self.check_provider(SCHED, &spec.provider)?;
            self.seeds.insert(spec.provider.value.clone(), Reason::Manifest);
        }
        if !manifest.schedulers.is_empty() {
            self.require(Spanned::implied(SCHED.to_owned()));
        }
        Ok(())
    }

    /// The schedulers in the order of their first CPUs; none in an image without threads.
    pub(super) fn schedulers(&self, members: &BTreeMap<String, Reason>) -> Result<Vec<Scheduler>> {
        let manifest = self.manifest;
        let mut list = Vec::new();
        for spec in &manifest.schedulers {
            list.push(self.scheduler(spec)?);
        }
        let taken = |cpu: &u32| list.iter().any(|s| s.cpus.contains(cpu));
        let rest: Vec<u32> = (0..manifest.cpus).filter(|cpu| !taken(cpu)).collect();
        let named = manifest.providers.iter().find(|(interface, _)| interface.value == SCHED);
        let library = match named {
            _ if manifest.schedulers.is_empty() => {
                let provider = members
                    .keys()
                    .filter_map(|m| self.pool.get(m))
                    .find(|l| l.provides.iter().any(|p| p == SCHED));
                let Some(provider) = provider else { return Ok(Vec::new()) };
                Some(provider.name.clone())
            }
            Some((_, named)) if rest.is_empty() => {
                let cause = format!("no CPU is left for `{}`", named.value);
                return Err(error(manifest, cause, &named.span)
                    .help("[[schedulers]] have all of them: leave this line out"));
            }
            Some((_, named)) => (named.value != NONE).then(|| named.value.clone()),
            None if rest.is_empty() => None,
            None => {
                let cause = format!("no scheduler has CPU {}", cpus_as_text(&rest));
                let last = manifest.schedulers.last().and_then(|s| s.cpus.span.clone());
                return Err(error(manifest, cause, &last)
                    .help("name one for the rest:\n\n  [providers]\n  sched = \"ukschedcoop\""));
            }
        };
        if library.is_none() && rest.contains(&0) {
            let cause = "CPU 0, which boots and runs `main`, needs a scheduler";
            return Err(error(manifest, cause, &named.and_then(|(_, l)| l.span.clone()))
                .help("name it in [[schedulers]]"));
        }
        if !rest.is_empty() {
            list.push(Scheduler { library, cpus: rest, run: None, values: BTreeMap::new() });
        }
        list.sort_by_key(|s| s.cpus[0]);
        Ok(list)
    }

    fn scheduler(&self, spec: &SchedulerSpec) -> Result<Scheduler> {
        let mut values = BTreeMap::new();
        for setting in &spec.settings {
            if spec.provider.value == NONE {
                return Err(error(self.manifest, "`none` has no options", &setting.option.span)
                    .help("remove it"));
            }
            let (option, value) = self.option_value(setting)?;
            if option.runtime || option.feature.is_some() {
                let cause = format!("`{}` is the same for the whole image", option.name);
                return Err(error(self.manifest, cause, &setting.option.span)
                    .help(format!("set it in [options.{}]", spec.provider.value)));
            }
            values.insert(option.name.clone(), value);
        }
        Ok(Scheduler {
            library: (spec.provider.value != NONE).then(|| spec.provider.value.clone()),
            cpus: spec.cpus.value.clone(),
            run: spec.run.as_ref().map(|run| run.value.clone()),
            values,
        })
    }
}
