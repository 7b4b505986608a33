use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use oxk::diagnostic::{Diagnostic, Source};
use oxk::manifest::Manifest;
use oxk::pool::{Pool, parse_library};

static ROOT: LazyLock<PathBuf> =
    LazyLock::new(|| Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned());
static POOL: LazyLock<Pool> = LazyLock::new(|| Pool::discover(&ROOT, &[]).expect("the own pool"));

/// An error must be one line, and name a place in the text.
fn look_at(error: &Diagnostic, source: &Source) {
    assert!(!error.cause.is_empty());
    let (_, line, _) = error.place.as_ref().unwrap_or_else(|| panic!("without a place: {error}"));
    assert!(*line <= source.text.lines().count() + 1, "{error}");
    let _ = error.to_string();
}

/// The text of a manifest: read, and resolved against the libraries of this repository.
pub fn manifest(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let source = Source { path: "oxk.toml".into(), text: text.to_owned() };
    let mut manifest = match Manifest::parse(source.clone(), &ROOT.join("apps/hello")) {
        Ok(manifest) => manifest,
        Err(error) => return look_at(&error, &source),
    };
    match oxk::resolve::resolve(&manifest, &POOL, None, None) {
        Ok(resolution) => {
            let names: Vec<&str> = resolution.libraries.iter().map(|l| l.name.as_str()).collect();
            for library in &resolution.libraries {
                assert!(library.dependencies.iter().all(|d| names.contains(&d.as_str())));
                assert!(library.requires.iter().all(|i| resolution.provider(i).is_some()));
            }
        }
        Err(error) => look_at(&error, &source),
    }
    // The same text as words of a command line.
    let words: Vec<String> = text.lines().map(str::to_owned).collect();
    let (_, _) = (manifest.set(&words), manifest.choose_providers(&words));
    let _ = oxk::resolve::resolve(&manifest, &POOL, None, None).map_err(|e| e.to_string());
}

/// The text of a crate's `Cargo.toml`: read, and put among the libraries of this repository.
pub fn pool(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let source = Source { path: "Cargo.toml".into(), text: text.to_owned() };
    match parse_library(&source, "external", &ROOT.join("alloc/none")) {
        Ok(None) => {}
        Ok(Some(library)) => {
            let libraries = POOL.libraries().cloned().chain([library]).collect();
            let _ = Pool::from_libraries(libraries).map_err(|e| e.to_string());
        }
        Err(error) => look_at(&error, &source),
    }
}
