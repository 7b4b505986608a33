//! Compiling C, C++ and assembly: in parallel, and only what has changed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use crate::build::fnv1a;
use crate::diagnostic::{Context, Diagnostic, Result};

/// One source file to compile.
#[derive(Debug, Clone)]
pub struct Unit {
    /// The source.
    pub source: PathBuf,
    /// Flags of this file.
    pub flags: Vec<String>,
}

/// The compiler for C and assembly: `CC`, or `cc`.
pub fn cc() -> OsString {
    std::env::var_os("CC").unwrap_or_else(|| "cc".into())
}

/// The compiler for C++: `CXX`, or `c++`.
fn cxx() -> OsString {
    std::env::var_os("CXX").unwrap_or_else(|| "c++".into())
}

/// The flag for the smallest code: `-Oz`, or `-Os` of compilers that have no other (gcc before 12).
pub fn smallest() -> &'static str {
    static FLAG: OnceLock<&str> = OnceLock::new();
    FLAG.get_or_init(|| {
        let mut probe = Command::new(cc());
        probe.args(["-Oz", "-E", "-x", "c", "-"]).stdin(Stdio::null());
        if probe.output().is_ok_and(|output| output.status.success()) { "-Oz" } else { "-Os" }
    })
}

/// Whether a file is C++, by the names compilers know.
pub fn is_cxx(file: &Path) -> bool {
    file.extension().is_some_and(|e| ["cc", "cpp", "cxx", "C"].iter().any(|c| e == *c))
}

/// Compiles the units from the folder `from` into objects in `into`, which are named after source
/// and flags; those that are newer than all they were made of stay. Calls `done` for each.
pub fn compile(
    units: &[Unit],
    from: &Path,
    into: &Path,
    done: &(dyn Fn() + Sync),
) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(into).context(format!("cannot create {}", into.display()))?;
    let objects: Vec<PathBuf> = units.iter().map(|unit| object(unit, into)).collect();
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(None);
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(unit) = units.get(index) else { break };
                    if !is_current(&objects[index], from)
                        && let Err(error) = compile_one(unit, from, &objects[index])
                    {
                        next.store(units.len(), Ordering::Relaxed);
                        failed.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(error);
                    }
                    done();
                }
            });
        }
    });
    match failed.into_inner().unwrap_or_else(|e| e.into_inner()) {
        Some(error) => Err(error),
        None => Ok(objects),
    }
}

fn object(unit: &Unit, into: &Path) -> PathBuf {
    let key = format!("{}\0{}", unit.source.display(), unit.flags.join("\0"));
    let stem = unit.source.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    into.join(format!("{stem}-{:016x}.o", fnv1a(key.as_bytes())))
}

fn compile_one(unit: &Unit, from: &Path, object: &Path) -> Result<()> {
    let compiler = if is_cxx(&unit.source) { cxx() } else { cc() };
    // Several builds of the same program may run at once.
    let id = format!("{}.tmp", std::process::id());
    let (partial, rule) = (object.with_extension(format!("o.{id}")), object.with_extension(&id));
    let output = Command::new(&compiler)
        .current_dir(from)
        .args(&unit.flags)
        .args(["-MMD", "-MF"])
        .arg(&rule)
        .arg("-c")
        .arg(&unit.source)
        .arg("-o")
        .arg(&partial)
        .output()
        .map_err(|e| {
            Diagnostic::new(format!("cannot start the compiler {}: {e}", compiler.display())).help(
                "applications in C need a C compiler: install gcc or clang, or name one in CC",
            )
        })?;
    if !output.status.success() {
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        let cause = format!("cannot compile {}", unit.source.display());
        return Err(Diagnostic::new(cause).help("what the compiler says stands above"));
    }
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    // The compiler makes no rule for assembly that it does not preprocess.
    if rule.exists() {
        let place = object.with_extension("d");
        std::fs::rename(&rule, &place).context(format!("cannot write {}", place.display()))?;
    }
    std::fs::rename(&partial, object).context(format!("cannot write {}", object.display()))
}

/// Whether an object is newer than all files that it was made of, as seen from the folder `from`.
fn is_current(object: &Path, from: &Path) -> bool {
    let modified = |path: &Path| std::fs::metadata(path).and_then(|m| m.modified()).ok();
    let Some(built) = modified(object) else { return false };
    let Ok(rule) = std::fs::read_to_string(object.with_extension("d")) else { return false };
    let files = rule.split_once(": ").map_or("", |(_, files)| files).replace("\\\n", " ");
    let newer = |file: &str| modified(&from.join(file)).is_none_or(|time| time > built);
    !files.split_whitespace().any(newer)
}

/// Where the compiler has a file of its own: a library or a folder of headers.
pub fn file_of_compiler(question: &str) -> Option<PathBuf> {
    let output = Command::new(cc()).arg(question).output().ok()?;
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    path.is_absolute().then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_is_compiled() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("a.h"), "#define N 1\n").unwrap();
        std::fs::write(path("a.c"), "#include \"a.h\"\nint a(void) { return N; }\n").unwrap();
        std::fs::write(path("b.cpp"), "extern \"C\" int b() { return 2; }\n").unwrap();
        let unit = |name: &str| Unit { source: path(name), flags: vec!["-O1".into()] };
        let units = [unit("a.c"), unit("b.cpp")];
        let build = || {
            let objects = compile(&units, dir.path(), &path("out"), &|| ()).unwrap();
            objects
                .iter()
                .map(|o| std::fs::metadata(o).unwrap().modified().unwrap())
                .collect::<Vec<_>>()
        };
        let first = build();
        assert_eq!(build(), first);
        std::thread::sleep(std::time::Duration::from_millis(20));
        std::fs::write(path("a.h"), "#define N 3\n").unwrap();
        let second = build();
        assert!(second[0] > first[0] && second[1] == first[1]);
    }

    #[test]
    fn errors_name_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("wrong.c");
        std::fs::write(&source, "int f(void) { return }\n").unwrap();
        let unit = Unit { source, flags: vec![] };
        let error = compile(&[unit], dir.path(), &dir.path().join("out"), &|| ()).unwrap_err();
        assert!(error.cause.starts_with("cannot compile ") && error.cause.ends_with("wrong.c"));
    }
}
