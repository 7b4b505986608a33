//! The heaps of an image and their allocators.

use std::collections::BTreeMap;

use super::{ALLOC, Heap, MAIN_HEAP, Reason, Resolver, error};
use crate::diagnostic::Result;

/// As many `ukalloc` places at boot; the root crate compares the two.
pub const MAX_FIXED_HEAPS: usize = 8;

impl Resolver<'_> {
    /// Whether some heap takes the provider of `alloc` instead of a back end of its own.
    pub(super) fn needs_default_backend(&self) -> bool {
        let heaps = &self.manifest.heaps;
        heaps.iter().any(|h| h.backend.is_none()) || heaps.iter().all(|h| h.size.is_some())
    }

    /// The heaps, the one that gets the rest last; none when nothing requires `alloc`.
    pub(super) fn heaps(&self, members: &BTreeMap<String, Reason>) -> Result<Vec<Heap>> {
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
                    let general = library.provides.iter().any(|p| p == ALLOC);
                    if spec.size.is_none() && !general {
                        // It would serve everybody who asks for memory of any size.
                        let cause = format!(
                            "`{}` is no general allocator: its heap `{}` cannot take what is left",
                            name.value, spec.name.value
                        );
                        return Err(error(self.manifest, cause, &name.span)
                            .help("give the heap a size, as in size = \"1M\""));
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
            let options = match self.pool.get(&backend) {
                Some(library) => self.heap_options(spec, library)?,
                None => BTreeMap::new(),
            };
            let (name, size) = (spec.name.value.clone(), spec.size);
            heaps.push(Heap { name, backend, size, libraries, options });
        }
        let sized = self.manifest.heaps.iter().filter(|h| h.size.is_some());
        if let Some(surplus) = sized.clone().nth(MAX_FIXED_HEAPS) {
            let cause = format!(
                "an image has {MAX_FIXED_HEAPS} heaps with a size at most, not {}",
                sized.count()
            );
            return Err(
                error(self.manifest, cause, &surplus.name.span).help("let libraries share a heap")
            );
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
            heaps.push(Heap { name: MAIN_HEAP.into(), backend, ..Heap::default() });
        }
        heaps.sort_by_key(|h| h.size.is_none());
        Ok(heaps)
    }
}
