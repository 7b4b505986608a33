//! The tool between cargo and rustc, so that an image does not depend on where sources lie.
//!
//! Cargo tells rustc a hash of each package's folder (`-C metadata`), from which come the names of
//! symbols, and from these the order of code in the image. While building an image cargo calls this
//! tool as its `RUSTC_WRAPPER`, which puts a hash in its place of what really makes one crate
//! differ from another: name, version, features, kind, and whether it comes from a registry.
//!
//! It also adds where crates of neither the repository nor a registry lie: as one of cargo's own flags
//! that would be one of all crates, which images could then not share.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Command, ExitCode};

/// Set for cargo: the wrapper that the user had set, or nothing.
const INNER_WRAPPER: &str = "OXK_INNER_RUSTC_WRAPPER";

/// Makes a cargo command call this program in front of rustc.
pub fn wrap(cargo: &mut Command) {
    // Without a path of its own the program cannot be called; then the image depends on its place.
    if let Ok(this) = std::env::current_exe() {
        let inner = std::env::var_os("RUSTC_WRAPPER").unwrap_or_default();
        cargo.env("RUSTC_WRAPPER", this).env(INNER_WRAPPER, inner);
    }
}

/// When cargo called this program: runs rustc in its place and returns how that ended.
pub fn as_wrapper() -> Option<ExitCode> {
    let inner = std::env::var_os(INNER_WRAPPER)?;
    let mut words: Vec<OsString> = std::env::args_os().skip(1).collect();
    if !inner.is_empty() {
        words.insert(0, inner);
    }
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let manifest_dir = variable("CARGO_MANIFEST_DIR");
    let is_registry = Path::new(&manifest_dir).starts_with(crate::build::cargo_home());
    let version = variable("CARGO_PKG_VERSION");
    let is_root_crate = std::env::var_os("CARGO_PRIMARY_PACKAGE").is_some();
    let package = if is_root_crate { String::new() } else { variable("CARGO_PKG_NAME") };
    let words = with_own_metadata(words, &version, is_registry);
    let words = with_own_folder(words, &manifest_dir, &package);
    let (program, arguments) = words.split_first()?;
    let mut command = Command::new(program);
    // Programs that rustc starts are not called by cargo.
    command.args(arguments).env_remove(INNER_WRAPPER);
    use std::os::unix::process::CommandExt;
    let error = command.exec();
    eprintln!("error: cannot start {}: {error}", program.display());
    Some(ExitCode::FAILURE)
}

/// The words of a rustc call with another value for `-C metadata`, where it has one.
fn with_own_metadata(mut words: Vec<OsString>, version: &str, is_registry: bool) -> Vec<OsString> {
    const METADATA: &str = "metadata=";
    let after = |flag: &'static str| {
        words.windows(2).filter(move |w| w[0] == flag).filter_map(|w| w[1].to_str())
    };
    let mut identity = vec![format!("{version} {is_registry}")];
    identity.extend(after("--crate-name").chain(after("--crate-type")).map(str::to_owned));
    identity.extend(after("--cfg").filter(|c| c.starts_with("feature=")).map(str::to_owned));
    identity.push(after("--target").next().unwrap_or("host").to_owned());
    let hash = crate::build::fnv1a(identity.join("\n").as_bytes());
    for index in 1..words.len() {
        let is_metadata = words[index].to_str().is_some_and(|w| w.starts_with(METADATA));
        if is_metadata && words[index - 1] == OsStr::new("-C") {
            words[index] = format!("{METADATA}{hash:016x}").into();
        }
    }
    words
}

/// The words of a call for a package in `folder` with `name` in place of the folder's path, unless
/// they have something for its path already. The generated root crate, which has no name of its own,
/// lies in the repository or elsewhere, and that must not show.
fn with_own_folder(mut words: Vec<OsString>, folder: &str, name: &str) -> Vec<OsString> {
    const REMAP: &str = "--remap-path-prefix=";
    let mut mapped = words.iter().filter_map(|w| w.to_str()?.strip_prefix(REMAP)?.rsplit_once('='));
    let is_mapped = !name.is_empty() && mapped.any(|(from, _)| Path::new(folder).starts_with(from));
    // Questions about the compiler are not about a package.
    if !folder.is_empty() && !is_mapped {
        words.push(format!("{REMAP}{folder}={name}").into());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(line: &str, version: &str, is_registry: bool) -> String {
        let words = line.split(' ').map(OsString::from).collect();
        let words = with_own_metadata(words, version, is_registry);
        words.iter().map(|w| w.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    const LINE: &str = "rustc --crate-name a --crate-type lib -C opt-level=3 --cfg feature=\"x\" \
                        -C metadata=0123 -C extra-filename=-4567 --out-dir /here";

    #[test]
    fn only_the_metadata_changes_and_not_with_the_folder() {
        let here = call(LINE, "1.0.0", false);
        let there = call(&LINE.replace("0123", "89ab").replace("/here", "/there"), "1.0.0", false);
        assert_eq!(here.replace("/here", "/there"), there);
        let start = LINE.split_once("metadata=").unwrap().0;
        assert!(here.starts_with(start) && here.contains(" -C extra-filename=-4567 "), "{here}");
    }

    #[test]
    fn different_crates_stay_different() {
        let mut all = vec![
            call(LINE, "1.0.0", false),
            call(LINE, "1.0.1", false),
            call(LINE, "1.0.0", true),
            call(&format!("{LINE} --target t"), "1.0.0", false),
            call(&LINE.replace("name a", "name b"), "1.0.0", false),
            call(&LINE.replace("feature=\"x\"", "feature=\"y\""), "1.0.0", false),
        ];
        for line in &mut all {
            *line = line.split_once("metadata=").unwrap().1[..16].to_owned();
        }
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 6);
    }

    #[test]
    fn questions_pass_unchanged() {
        assert_eq!(call("rustc -vV", "", false), "rustc -vV");
        assert_eq!(call("rustc - --print cfg", "", false), "rustc - --print cfg");
    }

    #[test]
    fn the_folder_of_a_package_is_its_name() {
        let line = "rustc --remap-path-prefix=/home/cargo=registry --remap-path-prefix=/root/here=";
        let call = |folder: &str, name: &str| {
            let words =
                with_own_folder(line.split(' ').map(OsString::from).collect(), folder, name);
            words[3..].iter().map(|w| w.to_string_lossy().into_owned()).collect::<Vec<_>>().concat()
        };
        assert_eq!(call("/root/here/core/a", "a"), "");
        assert_eq!(call("/home/cargo/registry/src/a", "a"), "");
        assert_eq!(call("/root/here2/a", "app"), "--remap-path-prefix=/root/here2/a=app");
        assert_eq!(
            call("/root/here/build/gen/a", ""),
            "--remap-path-prefix=/root/here/build/gen/a="
        );
        assert_eq!(call("", ""), "");
    }
}
