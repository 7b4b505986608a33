//! Order of the members and of their boot phases, and circles that allow none.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::{BootPhase, MANIFEST, Reason, Resolver, error};
use crate::diagnostic::Result;
use crate::pool::{Library, Phase};

impl<'a> Resolver<'a> {
    /// Members such that each comes after its dependencies; names decide where that leaves a choice.
    pub(super) fn sort(&self, members: &BTreeMap<String, Reason>) -> Result<Vec<&'a Library>> {
        let mut done: BTreeSet<&str> = BTreeSet::new();
        let mut order = Vec::new();
        let all: Vec<&Library> = members.keys().filter_map(|m| self.pool.get(m)).collect();
        while order.len() < all.len() {
            let next = all.iter().find(|l| {
                !done.contains(l.name.as_str())
                    && l.dependencies.iter().all(|d| done.contains(d.as_str()))
            });
            match next {
                Some(library) => {
                    done.insert(&library.name);
                    order.push(*library);
                }
                None => {
                    let rest: BTreeMap<&str, Vec<&str>> = all
                        .iter()
                        .filter(|l| !done.contains(l.name.as_str()))
                        .map(|l| {
                            (l.name.as_str(), l.dependencies.iter().map(String::as_str).collect())
                        })
                        .collect();
                    let circle = circle(&rest);
                    return Err(error(
                        self.manifest,
                        format!(
                            "libraries depend on each other in a circle: {}",
                            circle.join(" -> ")
                        ),
                        &circle.first().and_then(|name| self.origin(members, name)),
                    )
                    .help("move what both need into a library below them"));
                }
            }
        }
        Ok(order)
    }

    /// Boot phases in an order that `after` and `before` allow; libraries decide where that leaves a
    /// choice.
    pub(super) fn boot_order(
        &self,
        libraries: &[&Library],
        members: &BTreeMap<String, Reason>,
    ) -> Result<Vec<BootPhase>> {
        let all: Vec<BootPhase> = libraries
            .iter()
            .flat_map(|l| {
                l.phases.iter().map(|p| BootPhase { library: l.name.clone(), phase: p.clone() })
            })
            .collect();
        for (i, one) in all.iter().enumerate() {
            if let Some(other) = all[..i].iter().find(|o| o.phase.name == one.phase.name) {
                let cause = format!(
                    "`{}` and `{}` both have a boot phase `{}`",
                    other.library, one.library, one.phase.name
                );
                let place = self.origin(members, &one.library);
                let place = place.or_else(|| self.origin(members, &other.library));
                return Err(error(self.manifest, cause, &place)
                    .help("leave one of them out, or rename the phase in its metadata"));
            }
        }
        let precedes = |first: &Phase, second: &Phase| {
            second.after.contains(&first.name) || first.before.contains(&second.name)
        };
        let mut order: Vec<BootPhase> = Vec::new();
        let mut left = all;
        while !left.is_empty() {
            let ready = left
                .iter()
                .position(|p| !left.iter().any(|other| precedes(&other.phase, &p.phase)));
            match ready {
                Some(index) => order.push(left.remove(index)),
                None => {
                    let graph: BTreeMap<&str, Vec<&str>> = left
                        .iter()
                        .map(|p| {
                            let needs = left
                                .iter()
                                .filter(|o| precedes(&o.phase, &p.phase))
                                .map(|o| o.phase.name.as_str());
                            (p.phase.name.as_str(), needs.collect())
                        })
                        .collect();
                    let circle = circle(&graph);
                    let libraries = left.iter().filter(|p| circle.contains(&p.phase.name.as_str()));
                    let places = libraries.filter_map(|p| self.origin(members, &p.library));
                    return Err(error(
                        self.manifest,
                        format!(
                            "boot phases wait for each other in a circle: {}",
                            circle.join(" -> ")
                        ),
                        &places.into_iter().next(),
                    )
                    .help("change `after` or `before` in the metadata of one of the libraries"));
                }
            }
        }
        Ok(order)
    }

    /// The place in the manifest that brought a member into the image, directly or through others;
    /// `None` when nothing in it did.
    fn origin(&self, members: &BTreeMap<String, Reason>, name: &str) -> Option<Range<usize>> {
        let mut name = name;
        // Reasons lead to a seed; members bound the way there.
        for _ in members {
            match members.get(name)? {
                Reason::Always | Reason::Platform | Reason::Application | Reason::Handles(_) => {
                    return None;
                }
                Reason::Manifest => {
                    let heaps = self.manifest.heaps.iter().filter_map(|h| h.backend.as_ref());
                    let mut named = self.manifest.libraries.iter().chain(heaps);
                    return named.find(|l| l.value == name)?.span.clone();
                }
                Reason::Provides { interface, required_by } if required_by == MANIFEST => {
                    let required = self.required.iter().find(|r| r.value == *interface);
                    return required?.span.clone();
                }
                Reason::Provides { required_by: by, .. } | Reason::DependencyOf(by) => name = by,
            }
        }
        None
    }
}

/// A circle of a graph in which every node has a successor, its first node again at the end.
fn circle<'n>(graph: &BTreeMap<&'n str, Vec<&'n str>>) -> Vec<&'n str> {
    let Some(mut node) = graph.keys().next().copied() else { return Vec::new() };
    let mut path = vec![node];
    loop {
        let next = graph.get(node).and_then(|n| n.iter().find(|n| graph.contains_key(*n)));
        let Some(&next) = next else { return path };
        let start = path.iter().position(|p| *p == next);
        path.push(next);
        if let Some(start) = start {
            return path.split_off(start);
        }
        node = next;
    }
}
