//! Compiling C, C++ and assembly: in parallel, and only what has changed.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use super::compiler::Language;
use super::record;
use crate::build::fnv1a;
use crate::diagnostic::{Context, Diagnostic, Result};
use crate::rule::prerequisites;

/// One source file to compile.
#[derive(Debug, Clone)]
pub struct Unit {
    /// The source.
    pub source: PathBuf,
    /// Flags of this file.
    pub flags: Vec<String>,
}

/// Compiles the units from the folder `from` into objects in `into`, which are named after source,
/// flags and compiler; those whose sources and headers are as they were stay. Calls `done` for each.
///
/// # Errors
/// A compiler does not start, or reports errors, which it has printed.
pub fn compile(
    units: &[Unit],
    from: &Path,
    into: &Path,
    done: &(dyn Fn() + Sync),
) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(into).context(format!("cannot create {}", into.display()))?;
    let objects = units.iter().map(|unit| object(unit, into)).collect::<Result<Vec<PathBuf>>>()?;
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(None);
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(unit) = units.get(index) else { break };
                    if !record::is_current(&objects[index], from)
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

fn language(source: &Path) -> Language {
    Language::of(source).unwrap_or(Language::C)
}

fn object(unit: &Unit, into: &Path) -> Result<PathBuf> {
    let compiler = language(&unit.source).identity()?;
    let key = format!("{}\0{}\0{compiler}", unit.source.display(), unit.flags.join("\0"));
    let stem = unit.source.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(into.join(format!("{stem}-{:016x}.o", fnv1a(key.as_bytes()))))
}

fn compile_one(unit: &Unit, from: &Path, object: &Path) -> Result<()> {
    // Several builds of the same program may run at once.
    let id = std::process::id();
    let partial = Partial(object.with_extension(format!("o.{id}.tmp")));
    let rule = Partial(object.with_extension(format!("d.{id}.tmp")));
    let language = language(&unit.source);
    let started = SystemTime::now();
    let output = language
        .command()
        .current_dir(from)
        .args(&unit.flags)
        .args(["-MD", "-MF"])
        .arg(&rule.0)
        .arg("-c")
        .arg(&unit.source)
        .arg("-o")
        .arg(&partial.0)
        .output()
        .map_err(|e| language.not_started(&e))?;
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        let cause = format!("cannot compile {}", unit.source.display());
        return Err(Diagnostic::new(cause).help("what the compiler says stands above"));
    }
    // The compiler makes no rule for assembly that it does not preprocess.
    let files = match std::fs::read_to_string(&rule.0) {
        Ok(text) => prerequisites(&text),
        Err(_) => vec![unit.source.clone()],
    };
    // The record comes last: an object without its own one is made again.
    std::fs::rename(&partial.0, object).context(format!("cannot write {}", object.display()))?;
    record::write(object, from, &files, started)
}

/// A file that goes, however its making ends.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn only_what_changed_is_compiled() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join("a folder").join(name);
        std::fs::create_dir(path("")).unwrap();
        std::fs::write(path("a.h"), "#define N 1\n").unwrap();
        std::fs::write(path("a.c"), "#include \"a.h\"\nint a(void) { return N; }\n").unwrap();
        std::fs::write(path("b.cpp"), "extern \"C\" int b() { return 2; }\n").unwrap();
        std::fs::write(path("c.s"), ".globl c\nc: ret\n").unwrap();
        std::thread::sleep(Duration::from_millis(60));
        let unit = |name: &str| Unit { source: path(name), flags: vec!["-O1".into()] };
        let units = [unit("a.c"), unit("b.cpp"), unit("c.s")];
        let build = || {
            let objects = compile(&units, dir.path(), &path("out"), &|| ()).unwrap();
            objects
                .iter()
                .map(|o| std::fs::metadata(o).unwrap().modified().unwrap())
                .collect::<Vec<_>>()
        };
        let first = build();
        assert_eq!(build(), first);
        std::thread::sleep(Duration::from_millis(60));
        std::fs::write(path("a.h"), "#define N 3\n").unwrap();
        let second = build();
        assert!(second[0] > first[0] && second[1..] == first[1..]);

        // An older file in the place of another one is another file.
        std::thread::sleep(Duration::from_millis(60));
        let third = build();
        let old = std::fs::File::create(path("older.h")).unwrap();
        old.set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
        std::fs::rename(path("older.h"), path("a.h")).unwrap();
        std::fs::write(path("a.c"), "int a(void) { return 4; }\n").unwrap();
        assert!(build()[0] > third[0]);
    }

    #[test]
    fn errors_name_the_file_and_leave_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("wrong.c");
        std::fs::write(&source, "int f(void) { return }\n").unwrap();
        let unit = Unit { source, flags: vec![] };
        let out = dir.path().join("out");
        let error = compile(&[unit], dir.path(), &out, &|| ()).unwrap_err();
        assert!(error.cause.starts_with("cannot compile ") && error.cause.ends_with("wrong.c"));
        assert_eq!(std::fs::read_dir(out).unwrap().count(), 0);
    }
}
