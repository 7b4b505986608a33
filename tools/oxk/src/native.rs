//! Programs in C: their objects, the C library and the system become one image.
//!
//! The system comes as a static library. It is linked into one relocatable object first, in which
//! only the names that C code means stay visible, so that no other name of either side can meet
//! one of the other.

pub mod compile;
pub mod compiler;
pub mod libc;
pub mod needs;
pub mod program;
mod record;
pub mod sources;

use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use indicatif::ProgressBar;

use crate::diagnostic::{Context, Diagnostic, Result};
use crate::manifest::{Kind, LIBC};
use crate::project::Loaded;
use crate::resolve::Resolution;
use crate::syscalls::Numbers;
use compiler::Language;
use libc::{Libc, Recipe};

/// What the system's object shows of itself: the entry point, the system calls, what the compiler
/// calls by itself, and the heap. A `*` stands for anything.
const VISIBLE: [&str; 2] = ["_start", "uk_*"];

/// What it shows besides, under a name of C, which a program may define itself: a weak name. The
/// system's own calls mean the function under the name with [`OWN`] before it.
const REPLACEABLE: [&str; 14] = [
    "memcpy",
    "memmove",
    "memset",
    "memcmp",
    "bcmp",
    "strlen",
    "malloc",
    "calloc",
    "realloc",
    "free",
    "memalign",
    "aligned_alloc",
    "posix_memalign",
    "malloc_usable_size",
];

/// Further names of such functions: musl calls the heap by these for what it allocates itself, even when a
/// program brings another one.
const ALIASES: [(&str, &str); 4] = [
    ("__libc_malloc", "malloc"),
    ("__libc_calloc", "calloc"),
    ("__libc_realloc", "realloc"),
    ("__libc_free", "free"),
];

/// Before the name of a [`REPLACEABLE`] function of the system.
const OWN: &str = "uk_own_";

/// The linker's list of what it put where.
const MAP: &str = "linked.map";

/// What the linker took from C: address, size in bytes, and whose it is. Empty for images without.
pub fn parts(build_dir: &Path, resolution: &Resolution<'_>) -> Vec<(u64, u64, String)> {
    let map = build_dir.join("native").join(resolution.image_name()).join(MAP);
    let (Kind::C, Ok(text)) = (resolution.manifest.kind, std::fs::read_to_string(map)) else {
        return Vec::new();
    };
    let libc = resolution.provider(LIBC).map_or("", |library| &library.name);
    text.lines().filter_map(|line| part(line, libc, &resolution.manifest.name)).collect()
}

/// A line of the map: address, the same again, size, alignment, and file with section.
fn part(line: &str, libc: &str, app: &str) -> Option<(u64, u64, String)> {
    let mut rest = line;
    let mut word = || {
        let (word, after) = rest.trim_start().split_once(' ')?;
        rest = after;
        Some(word)
    };
    let mut number = || u64::from_str_radix(word()?, 16).ok();
    let (address, _, size) = (number()?, number()?, number()?);
    word()?;
    // The path may have blanks.
    let file = rest.trim_start();
    if !file.contains(":(") {
        return None;
    }
    let owner = if file.contains("/libc.a(") {
        libc.to_owned()
    } else if file.contains("/libgcc.a(") {
        "libgcc".to_owned()
    } else if file.contains("/system.o:") || file.starts_with('<') {
        return None;
    } else {
        format!("{app} (application)")
    };
    (size > 0).then_some((address, size, owner))
}

/// How images are linked.
#[derive(Debug)]
pub struct Linking<'a> {
    /// Flags of the linker, with the platform's script.
    pub flags: &'a [String],
    /// Where intermediate files go.
    pub dir: &'a Path,
}

/// The C library of the image, built if it is not there yet.
pub fn libc_of(loaded: &Loaded, resolution: &Resolution<'_>, bar: &ProgressBar) -> Result<Libc> {
    let library = resolution.provider(LIBC);
    let recipe = library.and_then(|library| Some((library, library.libc.as_ref()?)));
    let Some((library, recipe)) = recipe else {
        return Err(Diagnostic::new("the image has no C library with a recipe")
            .help("choose one in the manifest: libc = \"musl\""));
    };
    let recipe = Recipe::read(&library.dir.join(recipe))?;
    let numbers = Numbers::read(&loaded.project.root, &resolution.arch)?;
    recipe.build(&loaded.cache()?, &numbers.header(), &resolution.arch, bar)
}

/// Links the system's static library with the program: returns the linked file.
pub fn link(
    loaded: &Loaded,
    resolution: &Resolution<'_>,
    system: &Path,
    linking: &Linking<'_>,
    bar: &ProgressBar,
) -> Result<PathBuf> {
    std::fs::create_dir_all(linking.dir)
        .context(format!("cannot create {}", linking.dir.display()))?;
    let libc = libc_of(loaded, resolution, bar)?;
    let objects = program::build(loaded, resolution, &libc, bar)?;
    bar.set_message(format!("{}, linking", resolution.image_name()));
    let system = one_object(system, linking.dir)?;
    let out = linking.dir.join("linked");
    let mut linker = linker()?;
    linker.arg(format!("--Map={}", linking.dir.join(MAP).display()));
    linker.args(linking.flags).arg("-o").arg(&out).arg(&system).args(&objects.files);
    linker.arg("--start-group").arg(&libc.archive);
    // Helper functions for what the processor has no instruction for.
    linker.args(compiler::file_of_compiler("-print-libgcc-file-name")).arg("--end-group");
    let output = linker.output().context("cannot start the linker")?;
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        return Err(Diagnostic::new(format!("cannot link {}", resolution.image_name()))
            .help("what the linker says stands above"));
    }
    Ok(out)
}

/// The static library of the system as one object in which only [`VISIBLE`] and [`REPLACEABLE`]
/// names are global.
fn one_object(system: &Path, dir: &Path) -> Result<PathBuf> {
    let (all, visible) = (dir.join("system-all.o"), dir.join("system.o"));
    let output = linker()?
        .args(["-r", "-u", "_start", "-o"])
        .arg(&all)
        .arg(system)
        .output()
        .context("cannot start the linker")?;
    if !output.status.success() {
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        return Err(Diagnostic::new("cannot link the system into one object"));
    }
    let mut objcopy = tool("rust-objcopy")?;
    objcopy.args(["--remove-section=.llvmbc", "--remove-section=.llvmcmd", "--wildcard"]);
    objcopy.args(VISIBLE.map(|name| format!("--keep-global-symbol={name}")));
    objcopy.args(replaceable(&all)?);
    let output = objcopy.arg(&all).arg(&visible).output().context("cannot start rust-objcopy")?;
    if !output.status.success() {
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        return Err(Diagnostic::new("cannot hide the names of the system's object"));
    }
    Ok(visible)
}

/// Words for `objcopy` that give each [`REPLACEABLE`] function of an object a second name.
fn replaceable(object: &Path) -> Result<Vec<String>> {
    use object::{Object, ObjectSection, ObjectSymbol};
    let cause = "cannot read the system's object";
    let bytes = std::fs::read(object).context(cause)?;
    let file = object::File::parse(&*bytes).context(cause)?;
    let mut words = Vec::new();
    for symbol in file.symbols().filter(|symbol| symbol.is_global() && symbol.is_definition()) {
        let name = symbol.name().context(cause)?;
        let Some(section) = symbol.section_index().filter(|_| REPLACEABLE.contains(&name)) else {
            continue;
        };
        let section = file.section_by_index(section).context(cause)?;
        let (section, offset) = (section.name().context(cause)?, symbol.address());
        words.push(format!("--redefine-sym={name}={OWN}{name}"));
        let aliases = ALIASES.iter().filter(|(_, of)| *of == name).map(|&(alias, _)| alias);
        for name in [name].into_iter().chain(aliases) {
            words.push(format!("--add-symbol={name}={section}:{offset:#x},weak,function"));
        }
    }
    Ok(words)
}

/// Makes an object that has the names of [`REPLACEABLE`] functions as the system's has them, and nothing
/// else: for links without the system. It is for the machine that the program's objects are for: the same
/// compiler makes it.
fn stand_in(object: &Path) -> Result<()> {
    let names = REPLACEABLE.into_iter().chain(ALIASES.map(|(alias, _)| alias));
    let text: String =
        names.map(|name| format!(".weak {name}\n.type {name}, %function\n{name}:\n")).collect();
    let mut source = tempfile::tempfile().context("cannot make a file")?;
    source.write_all(text.as_bytes()).context("cannot write a source")?;
    source.rewind().context("cannot write a source")?;
    let mut assembler = Language::C.command();
    assembler.args(["-c", "-x", "assembler", "-", "-o"]).arg(object).stdin(source);
    let output = assembler.output().map_err(|e| Language::C.not_started(&e))?;
    if !output.status.success() {
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        return Err(Diagnostic::new("cannot make an object of names"));
    }
    Ok(())
}

/// The linker that comes with the Rust toolchain.
fn linker() -> Result<Command> {
    let mut linker = tool("rust-lld")?;
    linker.args(["-flavor", "gnu"]);
    Ok(linker)
}

/// A tool of the Rust toolchain.
fn tool(name: &str) -> Result<Command> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).args(["--print=sysroot", "--print=host-tuple"]).output();
    let output = output.context("cannot start rustc")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let mut lines = said.lines();
    let sysroot = PathBuf::from(lines.next().unwrap_or_default());
    let host = lines.next().unwrap_or_default();
    let path = sysroot.join("lib/rustlib").join(host).join("bin").join(name);
    if !path.is_file() {
        return Err(Diagnostic::new(format!("the Rust toolchain has no {name}"))
            .help("install the toolchain with rustup, whose toolchains have it"));
    }
    let mut command = Command::new(path);
    // It finds the toolchain's libraries only there.
    command.env("LD_LIBRARY_PATH", sysroot.join("lib"));
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the architecture that a program is compiled for, and weak: the program's own come first.
    #[test]
    fn stand_ins_fit_to_the_objects_of_a_program() {
        use object::{Object, ObjectSymbol, SymbolKind};

        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("empty.c");
        std::fs::write(&source, "").unwrap();
        let unit = compile::Unit { source, flags: Vec::new() };
        let compiled = compile::compile(&[unit], dir.path(), dir.path(), &|| ()).unwrap();
        let names = dir.path().join("names.o");
        stand_in(&names).unwrap();
        let read = |path: &Path| std::fs::read(path).unwrap();
        let (compiled, names) = (read(&compiled[0]), read(&names));
        let compiled = object::File::parse(&*compiled).unwrap();
        let names = object::File::parse(&*names).unwrap();
        let machine = |file: &object::File<'_>| (file.format(), file.architecture(), file.is_64());
        assert_eq!(machine(&names), machine(&compiled));
        let of_functions = names.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text);
        let weak: Vec<&str> =
            of_functions.filter(|s| s.is_weak()).map(|s| s.name().unwrap()).collect();
        assert_eq!(weak.len(), REPLACEABLE.len() + ALIASES.len());
        assert!(weak.contains(&"malloc") && weak.contains(&"__libc_free"), "{weak:?}");
    }

    #[test]
    fn lines_of_the_map() {
        let part = |line| part(line, "musl", "app");
        let libc = "  407ca0   407ca0       1c     1         /x/lib/libc.a(exit.o):(.text.exit)";
        assert_eq!(part(libc), Some((0x407ca0, 0x1c, "musl".into())));
        let app = "  407ca0   407ca0       1c     1         /my x/objects/a-0.o:(.text.main)";
        assert_eq!(part(app), Some((0x407ca0, 0x1c, "app (application)".into())));
        for other in [
            "  407ca0   407ca0       1c     1         /x/system.o:(.text._start)",
            "  407ca0   407ca0       1c     1 .text",
            "  407ca0   407ca0        0     1         /x/objects/a-0.o:(.text)",
            "     VMA      LMA     Size Align Out     In      Symbol",
        ] {
            assert_eq!(part(other), None, "{other}");
        }
    }
}
