//! `oxk size`: bytes of an image by micro-library and section.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use object::{Object, ObjectSection, ObjectSymbol, SectionKind};

use crate::build::{self, Progress};
use crate::diagnostic::{Context, Diagnostic, Result};
use crate::pool::Pool;
use crate::project::Target;
use crate::resolve::Resolution;
use crate::symbolize::Symbolizer;

/// Shows how many bytes each micro-library takes in the image
///
/// Code belongs to the library whose source it was compiled from, inlined or not; data to the
/// library that its symbol names. The sum of the parts is the size of the sections.
///
/// JSON: {"image", "file_bytes", "sections": {name: bytes}, "parts": [{"name", "text", "rodata",
/// "data", "bss"}]}, and with --diff the same object twice, as "old" and "new".
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Examples:\n  oxk size apps/hello --plat kvm\n  cp build/hello_linuxu-x86_64.dbg /tmp/old.dbg; …; oxk size apps/hello --diff /tmp/old.dbg"
)]
pub struct SizeArgs {
    /// The application and what it is built for
    #[command(flatten)]
    pub target: Target,
    /// Show the difference to another image (its .dbg file, or the image beside one)
    #[arg(long, value_name = "FILE")]
    pub diff: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Sections that are counted.
pub const SECTIONS: [&str; 4] = ["text", "rodata", "data", "bss"];

/// Bytes of one library in [`SECTIONS`].
pub type Bytes = [u64; 4];

/// Sizes of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Size of the stripped file, where it is known.
    pub file_bytes: Option<u64>,
    /// Bytes of the sections.
    pub sections: Bytes,
    /// Bytes by library.
    pub parts: BTreeMap<String, Bytes>,
}

/// The verb.
pub fn run(args: &SizeArgs) -> Result<u8> {
    let loaded = args.target.load()?;
    let resolution = loaded.resolve()?;
    let image = build::build(&loaded, &resolution, None, Progress::Quiet)?;
    let owners = Owners::new(&resolution, &loaded.pool, &loaded.project.root);
    // Where C code lies only the linker knows, and only of this image.
    let parts = crate::native::parts(&loaded.build_dir(), &resolution);
    let own = Owners { parts, ..owners.clone() };
    let new = Report { file_bytes: Some(image.bytes), ..measure(&image.dbg, &own)? };
    let Some(other) = &args.diff else {
        if args.json {
            println!("{}", json(&resolution.image_name(), &new));
        } else {
            print!("{}", table(&new));
        }
        return Ok(0);
    };
    let old = measure_other(other, &owners)?;
    if args.json {
        let (old, new) = (json("old", &old), json(&resolution.image_name(), &new));
        println!("{}", serde_json::json!({ "old": old, "new": new }));
    } else {
        print!("{}", diff_table(&old, &new));
    }
    Ok(0)
}

/// Measures an image given by its path or that of its debug file.
fn measure_other(path: &Path, owners: &Owners) -> Result<Report> {
    let is_dbg = path.extension().is_some_and(|e| e == "dbg");
    let beside = PathBuf::from(format!("{}.dbg", path.display()));
    let dbg = if is_dbg || !beside.is_file() { path.to_owned() } else { beside };
    let stripped = if is_dbg { path.with_extension("") } else { path.to_owned() };
    let file_bytes =
        (stripped != dbg).then(|| std::fs::metadata(stripped).ok().map(|m| m.len())).flatten();
    Ok(Report { file_bytes, ..measure(&dbg, owners)? })
}

/// Whom source files and symbols belong to.
#[derive(Debug, Clone, Default)]
pub struct Owners {
    /// Path prefixes with the names of libraries.
    dirs: Vec<(String, String)>,
    /// Crate names, as symbols have them, with the names of libraries.
    crates: BTreeMap<String, String>,
    /// Address ranges, as start and length, with names.
    parts: Vec<(u64, u64, String)>,
}

impl Owners {
    /// The owners in an image.
    pub fn new(resolution: &Resolution<'_>, pool: &Pool, root: &Path) -> Self {
        let mut owners = Self::default();
        // All there are: another image, to compare with, has other ones.
        for library in pool.libraries() {
            let dir = library.dir.strip_prefix(root).unwrap_or(&library.dir);
            owners.dirs.push((format!("{}/", dir.display()), library.name.clone()));
            owners.crates.insert(library.rust_name(), library.name.clone());
        }
        let app = &resolution.manifest.name;
        let dir = &resolution.manifest.dir;
        let dir = dir.canonicalize().unwrap_or_else(|_| dir.clone());
        let inside = dir.strip_prefix(root.canonicalize().unwrap_or_else(|_| root.to_owned()));
        let dir = inside.map_or_else(|_| app.clone(), |d| d.display().to_string());
        let label = format!("{app} (application)");
        owners.dirs.push((format!("{dir}/"), label.clone()));
        owners.dirs.push((format!("{}/", resolution.manifest.package), label.clone()));
        owners.crates.insert(resolution.manifest.package.replace('-', "_"), label);
        let image = resolution.image_name().replace('-', "_");
        owners.crates.insert(image, GENERATED.to_owned());
        owners
    }

    fn of_file(&self, file: &str) -> Option<String> {
        if let Some((_, name)) = self.dirs.iter().find(|(dir, _)| file.starts_with(dir)) {
            return Some(name.clone());
        }
        if let Some(rest) = file.strip_prefix("library/") {
            return Some(format!("rust {}", rest.split('/').next().unwrap_or_default()));
        }
        if file == "src/main.rs" || file == "src/lib.rs" {
            return Some(GENERATED.to_owned());
        }
        // Cargo's folder, then registry/src/INDEX/NAME-VERSION/…
        let package = file.split_once("registry/src/")?.1.split('/').nth(1)?;
        let (name, _) = package.rsplit_once('-')?;
        Some(format!("{name} (crate)"))
    }

    fn of_symbol(&self, mangled: &str) -> String {
        let Ok(name) = rustc_demangle::try_demangle(mangled) else {
            return ASSEMBLY.to_owned();
        };
        let name = format!("{name:#}");
        // `<ukplat::Stream as core::fmt::Write>::write_str` belongs to its first crate.
        let start = name.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(0);
        let end = name[start..]
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .map_or(name.len(), |e| start + e);
        let word = &name[start..end];
        match self.crates.get(word) {
            Some(library) => library.clone(),
            None if ["core", "alloc", "compiler_builtins"].contains(&word) => {
                format!("rust {}", word.replace('_', "-"))
            }
            None => OTHER.to_owned(),
        }
    }
}

const GENERATED: &str = "(generated root)";
const ASSEMBLY: &str = "(assembly)";
const CONSTANTS: &str = "(constants)";
const OTHER: &str = "(other)";

/// Measures the image with this debug file.
pub fn measure(dbg: &Path, owners: &Owners) -> Result<Report> {
    let bytes = std::fs::read(dbg).context(format!("cannot read {}", dbg.display()))?;
    let wrong = || {
        Diagnostic::new(format!("{} is not an image with debug information", dbg.display()))
            .help("give the .dbg file that `oxk build` leaves beside the image")
    };
    let file = object::File::parse(&*bytes).map_err(|_| wrong())?;
    if file.sections().next().is_none() {
        return Err(wrong());
    }
    let symbolizer = Symbolizer::open(dbg)?;
    let mut report = Report::default();
    for section in file.sections() {
        let column = match section.kind() {
            SectionKind::Text => 0,
            SectionKind::ReadOnlyData | SectionKind::ReadOnlyString | SectionKind::Note => 1,
            SectionKind::Data => 2,
            SectionKind::UninitializedData => 3,
            _ => continue,
        };
        let (start, len) = (section.address(), section.size());
        // A damaged file may claim any size; a real section lies in the file or is zeroed memory.
        let in_file = section.file_range().map_or(0, |(_, size)| size);
        let fits = start.checked_add(len).is_some() && len <= 1 << 32;
        if start == 0 || (column != 3 && in_file != len) || !fits {
            continue;
        }
        report.sections[column] += len;
        for (name, count) in owners_of_range(&file, &symbolizer, owners, start, len, column == 0) {
            report.parts.entry(name).or_default()[column] += count;
        }
    }
    Ok(report)
}

/// Bytes of `[start, start + len)` by owner: first by symbol, then, in code, by source line.
fn owners_of_range(
    file: &object::File<'_>,
    symbolizer: &Symbolizer,
    owners: &Owners,
    start: u64,
    len: u64,
    is_code: bool,
) -> BTreeMap<String, u64> {
    let mut spans: Vec<(u64, u64, String)> = Vec::new();
    for symbol in file.symbols().filter(|s| s.size() > 0) {
        let owner = match symbol.name() {
            Ok(name) if name.contains(".Lanon") || name.starts_with("anon.") => {
                CONSTANTS.to_owned()
            }
            Ok(name) => owners.of_symbol(name),
            Err(_) => OTHER.to_owned(),
        };
        spans.push((symbol.address(), symbol.address().saturating_add(symbol.size()), owner));
    }
    if is_code {
        for (from, count, path) in symbolizer.files(start, start + len) {
            if let Some(owner) = path.and_then(|p| owners.of_file(&p)) {
                spans.push((from, from.saturating_add(count), owner));
            }
        }
    }
    for (from, count, owner) in &owners.parts {
        spans.push((*from, from.saturating_add(*count), owner.clone()));
    }
    // Later spans win; what nobody claims is constants or padding.
    let mut cuts: BTreeMap<u64, Option<usize>> = BTreeMap::from([(start, None)]);
    let end = start + len;
    for (index, (from, to, _)) in spans.iter().enumerate() {
        let (from, to) = ((*from).clamp(start, end), (*to).clamp(start, end));
        if from >= to {
            continue;
        }
        let after = cuts.range(..=to).next_back().and_then(|(_, owner)| *owner);
        cuts.entry(to).or_insert(after);
        cuts.retain(|at, _| *at < from || *at >= to);
        cuts.insert(from, Some(index));
    }
    let mut counts = BTreeMap::new();
    let bounds: Vec<(u64, Option<usize>)> = cuts.into_iter().collect();
    for (position, (at, owner)) in bounds.iter().enumerate() {
        let next = bounds.get(position + 1).map_or(end, |(next, _)| *next);
        let name = match owner {
            Some(index) => spans[*index].2.clone(),
            None if is_code => OTHER.to_owned(),
            None => CONSTANTS.to_owned(),
        };
        if next > *at {
            *counts.entry(name).or_default() += next - at;
        }
    }
    counts
}

fn sorted(report: &Report) -> Vec<(&String, &Bytes)> {
    let mut rows: Vec<_> = report.parts.iter().collect();
    rows.sort_by_key(|(name, bytes)| (std::cmp::Reverse(bytes.iter().sum::<u64>()), *name));
    rows
}

/// The report as a table, the largest part first.
pub fn table(report: &Report) -> String {
    let mut out = format!(
        "{:<28} {:>9} {:>9} {:>9} {:>9} {:>9}\n",
        "", "text", "rodata", "data", "bss", "total"
    );
    let mut row = |name: &str, bytes: &Bytes| {
        let total: u64 = bytes.iter().sum();
        let [text, rodata, data, bss] = bytes;
        out += &format!("{name:<28} {text:>9} {rodata:>9} {data:>9} {bss:>9} {total:>9}\n");
    };
    for (name, bytes) in sorted(report) {
        row(name, bytes);
    }
    row("sections", &report.sections);
    if let Some(bytes) = report.file_bytes {
        out += &format!("{:<28} {bytes:>49} ({:.1} KiB)\n", "image file", bytes as f64 / 1024.0);
    }
    out
}

/// What changed from one image to another.
pub fn diff_table(old: &Report, new: &Report) -> String {
    let names: std::collections::BTreeSet<&String> =
        old.parts.keys().chain(new.parts.keys()).collect();
    let mut out = format!(
        "{:<28} {:>9} {:>9} {:>9} {:>9} {:>9}\n",
        "", "text", "rodata", "data", "bss", "total"
    );
    let mut row = |name: &str, old: &Bytes, new: &Bytes, always: bool| {
        let change: Vec<i64> = old.iter().zip(new).map(|(o, n)| *n as i64 - *o as i64).collect();
        if always || change.iter().any(|c| *c != 0) {
            let total: i64 = change.iter().sum();
            let cells: Vec<String> =
                change.iter().chain([&total]).map(|c| format!("{c:>+9}")).collect();
            out += &format!("{name:<28} {}\n", cells.join(" "));
        }
    };
    let none = Bytes::default();
    for name in names {
        row(
            name,
            old.parts.get(name).unwrap_or(&none),
            new.parts.get(name).unwrap_or(&none),
            false,
        );
    }
    row("sections", &old.sections, &new.sections, true);
    if let (Some(old), Some(new)) = (old.file_bytes, new.file_bytes) {
        out += &format!("{:<28} {:>+49}\n", "image file", new as i64 - old as i64);
    }
    out
}

fn json(image: &str, report: &Report) -> serde_json::Value {
    let sections = |bytes: &Bytes| -> serde_json::Map<String, serde_json::Value> {
        SECTIONS.iter().zip(bytes).map(|(name, b)| ((*name).to_owned(), (*b).into())).collect()
    };
    let parts: Vec<serde_json::Value> = sorted(report)
        .into_iter()
        .map(|(name, bytes)| {
            let mut row = sections(bytes);
            row.insert("name".into(), name.as_str().into());
            row.into()
        })
        .collect();
    serde_json::json!({
        "image": image,
        "file_bytes": report.file_bytes,
        "sections": sections(&report.sections),
        "parts": parts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    /// A small program with debug information, made by the compiler at hand.
    fn program(dir: &Path) -> PathBuf {
        let source = dir.join("p.rs");
        std::fs::write(
            &source,
            "#![no_std]\n#![no_main]\n#[panic_handler]\nfn p(_: &core::panic::PanicInfo) -> ! { loop {} }\n\
             static TABLE: [u64; 32] = [7; 32];\nstatic mut ROOM: [u8; 1000] = [0; 1000];\n\
             #[unsafe(no_mangle)]\npub extern \"C\" fn _start(i: usize) -> u64 {\n\
             unsafe { (&raw mut ROOM).cast::<u8>().add(i).write_volatile(1) };\n\
             unsafe { (&raw const TABLE).cast::<u64>().add(i % 32).read_volatile() }\n}\n",
        )
        .unwrap();
        let out = dir.join("p.dbg");
        let status = Command::new("rustc")
            .args([
                "--edition",
                "2024",
                "-O",
                "-g",
                "-Cpanic=abort",
                "-Csymbol-mangling-version=v0",
            ])
            .args(["-Clinker=rust-lld", "-Crelocation-model=static", "-Clink-arg=-e_start"])
            .arg("-o")
            .arg(&out)
            .arg(&source)
            .status()
            .unwrap();
        assert!(status.success());
        out
    }

    #[test]
    fn parts_add_up_to_the_sections() {
        let dir = tempfile::tempdir().unwrap();
        let report = measure(&program(dir.path()), &Owners::default()).unwrap();
        let mut sum = Bytes::default();
        for bytes in report.parts.values() {
            for (total, b) in sum.iter_mut().zip(bytes) {
                *total += b;
            }
        }
        assert_eq!(sum, report.sections);
        assert!(report.sections[1] >= 256 && report.sections[3] >= 1000, "{report:?}");
        assert!(table(&report).contains("sections"));
        let unchanged = diff_table(&report, &report);
        assert_eq!(unchanged.lines().count(), 2, "{unchanged}");
    }

    #[test]
    fn source_files_have_owners() {
        let owners =
            Owners { dirs: vec![("core/ukplat/".into(), "ukplat".into())], ..Owners::default() };
        for (file, owner) in [
            ("core/ukplat/src/lib.rs", Some("ukplat")),
            ("library/core/src/fmt/mod.rs", Some("rust core")),
            ("registry/registry/src/index-0123/log-0.4.1/src/lib.rs", Some("log (crate)")),
            ("src/main.rs", Some(GENERATED)),
            ("elsewhere.rs", None),
        ] {
            assert_eq!(owners.of_file(file).as_deref(), owner, "{file}");
        }
    }

    #[test]
    fn damaged_files_are_refused_or_measured_but_never_panic() {
        let dir = tempfile::tempdir().unwrap();
        let good = std::fs::read(program(dir.path())).unwrap();
        let path = dir.path().join("damaged.dbg");
        let mut runner = proptest::test_runner::TestRunner::default();
        let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20);
        runner
            .run(&(changes, any::<prop::sample::Index>()), |(changes, end)| {
                let mut bytes = good.clone();
                for (at, byte) in changes {
                    // Headers are the most interesting part.
                    let at = at.index(bytes.len());
                    bytes[if byte % 2 == 0 { at % 512 } else { at }] = byte;
                }
                bytes.truncate(good.len() - end.index(good.len()) / 2);
                std::fs::write(&path, &bytes).unwrap();
                let _ = measure(&path, &Owners::default());
                if let Ok(symbolizer) = Symbolizer::open(&path) {
                    let _ = (symbolizer.frames(0), symbolizer.frames(u64::MAX));
                    let _ = symbolizer.files(0, u64::MAX);
                }
                Ok(())
            })
            .unwrap();
        std::fs::write(&path, "text").unwrap();
        let error = measure(&path, &Owners::default()).unwrap_err().to_string();
        assert!(error.contains("is not an image with debug information\n  help: "), "{error}");
    }
}
