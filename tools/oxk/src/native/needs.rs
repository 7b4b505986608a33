//! The system calls that a program in C can reach, which decide what libraries its image gets.

use object::{Object, ObjectSymbol};

use super::{libc_of, linker, program, stand_in};
use crate::build::{Progress, bar};
use crate::diagnostic::{Context, Diagnostic, Result};
use crate::project::Loaded;

/// How the C library calls handlers.
const PREFIX: &str = "uk_sys_";

/// Names of the calls, sorted. The program is linked with the C library alone, and the linker drops what
/// cannot be reached. Calls by a number in a variable are not seen.
pub fn calls(loaded: &Loaded) -> Result<Vec<String>> {
    // What goes into the image is not known yet, and so not whether what is told belongs to it: that is
    // looked at later. The C library and the flags do not depend on it.
    loaded.check_values()?;
    let mut manifest = loaded.manifest.clone();
    manifest.settings.clear();
    manifest.heaps.iter_mut().for_each(|heap| heap.libraries.clear());
    let resolution = loaded.resolve_as(&manifest)?;
    let bar = bar(Progress::Shown, &loaded.manifest.name, 0);
    let libc = libc_of(loaded, &resolution, &bar)?;
    let objects = program::build(loaded, &resolution, &libc, &bar)?;
    bar.finish_and_clear();
    let out = tempfile::NamedTempFile::new().context("cannot make a file")?;
    let mut linker = linker()?;
    linker.args(["--gc-sections", "--unresolved-symbols=ignore-all", "--no-warn-mismatch"]);
    linker.args(["-static", "-e", "__libc_start_main", "-u", "main"]);
    // The system has these, and not those of the C library.
    let names = tempfile::NamedTempFile::new().context("cannot make a file")?;
    stand_in(names.path())?;
    linker.arg("-o").arg(out.path()).args(&objects.files).arg(names.path()).arg(&libc.archive);
    let output = linker.output().context("cannot start the linker")?;
    if !output.status.success() {
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        return Err(Diagnostic::new(format!("cannot link {}", loaded.manifest.name))
            .help("what the linker says stands above"));
    }
    let bytes = std::fs::read(out.path()).context("cannot read what was linked")?;
    let file = object::File::parse(&*bytes).context("cannot read what was linked")?;
    let mut calls: Vec<String> = file
        .symbols()
        .filter_map(|symbol| symbol.name().ok()?.strip_prefix(PREFIX).map(str::to_owned))
        .collect();
    calls.sort();
    calls.dedup();
    Ok(calls)
}
