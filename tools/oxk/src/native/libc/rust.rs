//! A C library of this repository, in Rust.

use std::path::Path;
use std::process::Command;

use crate::diagnostic::{Context, Diagnostic, Result};
use crate::native::tool;

/// The compiler: `RUSTC`, or `rustc`.
fn rustc() -> Command {
    Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
}

/// What the compiler says it is, so that another one builds anew.
pub fn compiler_version() -> Result<String> {
    let output = rustc().arg("-vV").output().context("cannot start rustc")?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Compiles the crate `name` with the root file `root`, which depends on nothing but `core`, into
/// an archive with the functions that it has under their C names: those that the feature `archive` is for.
/// The headers are in `include` beside the sources.
pub fn build(dir: &Path, root: &str, name: &str, arch: &str, out: &Path) -> Result<()> {
    let dir = dir.canonicalize().context(format!("cannot find {}", dir.display()))?;
    let archive = out.join("lib/libc.a");
    let output = rustc()
        .current_dir(&dir)
        .args(["--edition", "2024", "--crate-type", "staticlib", "--crate-name"])
        .arg(name.replace('-', "_"))
        .args(["--cfg", "feature=\"archive\"", "--target"])
        .arg(format!("{arch}-unknown-linux-gnu"))
        // As the system is compiled; the linker drops what a program does not call.
        .args(["-Cpanic=abort", "-Copt-level=s", "-Clto=fat", "-Ccodegen-units=1"])
        .args(["-Crelocation-model=pie", "-Cforce-frame-pointers=yes", "-Cdebuginfo=full"])
        .args(["-Csymbol-mangling-version=v0", "--cap-lints=allow"])
        .arg(format!("--remap-path-prefix={}=libc/{name}", dir.display()))
        .arg("-o")
        .arg(&archive)
        .arg(root)
        .output()
        .context("cannot start rustc")?;
    if !output.status.success() {
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        return Err(Diagnostic::new(format!("cannot compile the C library {name}"))
            .help("what the compiler says stands above"));
    }
    // A program may have a function of its own with the name of one of these. The archive has one object, so
    // that the linker could not leave out ours.
    let mut objcopy = tool("rust-objcopy")?;
    let output =
        objcopy.arg("--weaken").arg(&archive).output().context("cannot start rust-objcopy")?;
    if !output.status.success() {
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        return Err(Diagnostic::new(format!("cannot change the symbols of {name}")));
    }
    copy(&dir.join("include"), &out.join("include"))
}

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let doing = format!("cannot copy {}", from.display());
    std::fs::create_dir_all(to).context(&doing)?;
    for (name, path) in super::files_below(from) {
        let place = to.join(name);
        std::fs::create_dir_all(place.parent().unwrap_or(to)).context(&doing)?;
        std::fs::copy(path, place).context(&doing)?;
    }
    Ok(())
}
