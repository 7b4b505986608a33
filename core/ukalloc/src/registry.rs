//! The heaps of the image: which memory each gets, and which libraries use it.

use core::fmt;

use ukplat::{BootInfo, InitError, MemoryRegion, StaticRef};

use crate::{AddMemoryError, Alloc, LibraryAlloc, Stats};

/// Where a heap's memory comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemorySource {
    /// That many bytes, in one piece.
    Fixed(usize),
    /// Everything that is left.
    Rest,
}

/// One heap of the image; written by the generated root crate.
pub struct HeapEntry {
    /// Name in the manifest.
    pub name: &'static str,
    /// The library with its back end.
    pub backend: &'static str,
    /// The allocator.
    pub alloc: &'static dyn Alloc,
    /// Its memory.
    pub source: MemorySource,
    /// Libraries that allocate from it.
    pub libraries: &'static [&'static str],
}

impl fmt::Debug for HeapEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeapEntry").field("name", &self.name).finish_non_exhaustive()
    }
}

/// All heaps; the one with [`MemorySource::Rest`] is the default.
pub struct Config {
    /// The heaps.
    pub heaps: &'static [HeapEntry],
    /// The libraries whose memory is counted apart.
    pub accounts: &'static [&'static dyn LibraryAlloc],
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("heaps", &self.heaps).finish_non_exhaustive()
    }
}

static CURRENT: StaticRef<Config> = StaticRef::new();

/// Boot phase `heap`: gives the free memory to the heaps.
///
/// # Errors
/// A heap whose size does not fit into the free memory; no memory for the default heap; a second
/// call.
pub fn init(boot: &'static BootInfo, config: &'static Config) -> Result<(), InitError> {
    if CURRENT.get().is_some() {
        return Err(InitError::new("the heaps were set up twice"));
    }
    distribute(boot.memory, config.heaps)?;
    CURRENT.set(config);
    Ok(())
}

/// Cuts the free regions up: first the heaps with a fixed size, each from the first region where
/// it fits, then the rest.
fn distribute(memory: &[MemoryRegion], heaps: &[HeapEntry]) -> Result<(), InitError> {
    let fixed = |entry: &HeapEntry| match entry.source {
        // No region is as large as all addresses.
        MemorySource::Fixed(len) => {
            Some(len.checked_next_multiple_of(crate::PAGE_SIZE).unwrap_or(usize::MAX))
        }
        MemorySource::Rest => None,
    };
    // A region's fixed heaps are placed one after the other from its start. To know where one
    // goes, the placement of those before it is repeated: there are few of both.
    let place = |wanted: usize| {
        let mut placed = [0usize; MAX_FIXED_HEAPS];
        for (index, len) in heaps.iter().filter_map(fixed).enumerate() {
            let region = memory.iter().position(|r| {
                let used: usize = heaps
                    .iter()
                    .filter_map(fixed)
                    .zip(&placed[..index])
                    .filter(|(_, at)| r.is_free() && (r.base..r.end()).contains(at))
                    .map(|(len, _)| len)
                    .sum();
                if !r.is_free() || r.len - used < len {
                    return false;
                }
                placed[index] = r.base + used;
                true
            });
            region?;
            if index == wanted {
                return Some(placed[index]);
            }
        }
        None
    };
    if heaps.iter().filter_map(fixed).count() > MAX_FIXED_HEAPS {
        return Err(InitError::new("too many heaps with a fixed size"));
    }
    let mut starts = [0usize; MAX_FIXED_HEAPS];
    for (index, (entry, len)) in
        heaps.iter().filter_map(|h| fixed(h).map(|len| (h, len))).enumerate()
    {
        let Some(base) = place(index) else {
            return Err(InitError::about(
                "not enough memory for the heap",
                entry.name,
                "give the image more memory, or the heap a smaller size in the manifest",
            ));
        };
        starts[index] = base;
        // SAFETY: free memory of the platform, handed out here only, and here only once.
        unsafe { entry.alloc.add_memory(base as *mut u8, len) }.map_err(|error| match error {
            AddMemoryError::Unsupported => unsupported(entry),
            _ => InitError::about(
                "the heap's size does not suit its allocator",
                entry.name,
                "give it more",
            ),
        })?;
    }
    let Some(rest) = heaps.iter().find(|h| h.source == MemorySource::Rest) else { return Ok(()) };
    let mut given = false;
    for region in memory.iter().filter(|r| r.is_free()) {
        let used: usize = heaps
            .iter()
            .filter_map(fixed)
            .zip(starts)
            .filter(|(_, at)| (region.base..region.end()).contains(at))
            .map(|(len, _)| len)
            .sum();
        let base = region.base + used;
        // SAFETY: as above. A piece that is too small is left unused.
        match unsafe { rest.alloc.add_memory(base as *mut u8, region.end() - base) } {
            Ok(()) => given = true,
            Err(AddMemoryError::Unsupported) => return Err(unsupported(rest)),
            Err(_) => {}
        }
    }
    if given {
        return Ok(());
    }
    Err(InitError::about("not enough memory for the heap", rest.name, "give the image more memory"))
}

fn unsupported(heap: &HeapEntry) -> InitError {
    InitError::about(
        "the platform lacks what the allocator needs, of the heap",
        heap.name,
        "choose another allocator in the manifest",
    )
}

/// Heaps with a fixed size at most. `oxk` refuses more before anything is built.
pub const MAX_FIXED_HEAPS: usize = 8;

/// All heaps of the image; empty before the phase `heap`.
pub fn heaps() -> &'static [HeapEntry] {
    CURRENT.get().map_or(&[], |config| config.heaps)
}

/// The heap of that name.
pub fn heap(name: &str) -> Option<&'static HeapEntry> {
    heaps().iter().find(|h| h.name == name)
}

/// The heap that got the rest of memory.
pub fn default_heap() -> Option<&'static HeapEntry> {
    heaps().iter().find(|h| h.source == MemorySource::Rest)
}

/// The allocator that the manifest gives to a library; the default one when it says nothing.
/// To be asked once, not for every allocation.
///
/// # Panics
/// Before the phase `heap`.
pub fn for_library(library: &str) -> &'static dyn Alloc {
    if let Some(account) = account(library) {
        return account;
    }
    let own = heaps().iter().find(|h| h.libraries.contains(&library));
    own.or_else(default_heap).expect("heaps are set up by the boot phase `heap`").alloc
}

/// The libraries whose memory is counted apart; none when the option `stats` is off.
pub fn accounts() -> &'static [&'static dyn LibraryAlloc] {
    CURRENT.get().map_or(&[], |config| config.accounts)
}

fn account(library: &str) -> Option<&'static dyn LibraryAlloc> {
    accounts().iter().copied().find(|a| a.library() == library)
}

/// Writes a table of the heaps and their statistics, and one of the libraries that are counted
/// apart.
///
/// # Errors
/// Those of `out`.
pub fn report(out: &mut dyn fmt::Write) -> fmt::Result {
    const TITLES: [&str; 5] = ["in use", "peak", "blocks", "total", "failures"];
    fn counts(out: &mut dyn fmt::Write, stats: &Stats) -> fmt::Result {
        let blocks = [stats.current_blocks(), stats.allocations, stats.failures];
        write!(out, " {:>12} {:>12}", stats.current_bytes, stats.peak_bytes)?;
        blocks.iter().try_for_each(|n| write!(out, " {n:>10}"))
    }
    fn titles(out: &mut dyn fmt::Write) -> fmt::Result {
        let [bytes @ .., blocks, total, failures] = TITLES;
        bytes.iter().try_for_each(|t| write!(out, " {t:>12}"))?;
        [blocks, total, failures].iter().try_for_each(|t| write!(out, " {t:>10}"))
    }
    write!(out, "{:<10} {:<14} {:>12}", "heap", "allocator", "memory")?;
    titles(out)?;
    writeln!(out, "  libraries")?;
    for heap in heaps() {
        let stats = heap.alloc.stats();
        write!(out, "{:<10} {:<14} {:>12}", heap.name, heap.backend, stats.total_memory)?;
        counts(out, &stats)?;
        write!(out, " ")?;
        for library in heap.libraries {
            write!(out, " {library}")?;
        }
        if heap.source == MemorySource::Rest {
            write!(out, " (all others)")?;
        }
        writeln!(out)?;
    }
    if accounts().is_empty() {
        return Ok(());
    }
    write!(out, "{:<38}", "library")?;
    titles(out)?;
    writeln!(out)?;
    for account in accounts() {
        write!(out, "{:<38}", account.library())?;
        counts(out, &account.stats())?;
        writeln!(out)?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
