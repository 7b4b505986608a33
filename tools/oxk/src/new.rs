//! `oxk new`: a folder to start an application from.

use std::path::{Path, PathBuf};

use crate::diagnostic::{Context, Diagnostic, Result, relative_to_cwd};
use crate::project::Project;

/// Makes a folder with a new application
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example: oxk new apps/greeter && oxk run apps/greeter")]
pub struct NewArgs {
    /// Folder to make; its last part is the name of the application
    pub path: PathBuf,
    /// What kind of application
    #[arg(long, value_enum, default_value_t)]
    pub template: Template,
}

/// Kinds of applications to start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Template {
    /// A `no_std` Rust crate
    #[default]
    Rust,
    /// A program in C, linked with a C library
    C,
}

/// Words that cannot be names of crates.
const RESERVED: [&str; 12] = [
    "core",
    "alloc",
    "std",
    "test",
    "app",
    "image",
    "crate",
    "self",
    "super",
    "build",
    "main",
    "proc_macro",
];

/// The verb.
pub fn run(args: &NewArgs) -> Result<u8> {
    let project = Project::find()?;
    let name = args.path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    check_name(&name)?;
    if project.pool(None)?.get(&name).is_some() {
        return Err(Diagnostic::new(format!("`{name}` is the name of a micro-library"))
            .help("choose another name"));
    }
    if args.path.exists() {
        return Err(Diagnostic::new(format!("{} exists already", args.path.display()))
            .help("choose another name, or remove it"));
    }
    std::fs::create_dir_all(args.path.join("src"))
        .context(format!("cannot create {}", args.path.display()))?;
    let dir = args.path.canonicalize().context("cannot find the new folder")?;
    let root = project.root.canonicalize().context("cannot find the repository")?;
    let files = match args.template {
        Template::Rust => files(&name, &dir, &root),
        Template::C => c_files(&name, &dir, &root),
    };
    for (file, text) in files {
        std::fs::write(dir.join(file), text).context(format!("cannot write {file}"))?;
    }
    let shown = relative_to_cwd(&dir);
    eprintln!("{:>12} {}", "Created", shown.display());
    // Cargo names itself to what it runs: then the tool was called by the repository's alias.
    let alias = if std::env::var_os("CARGO").is_some() { "cargo " } else { "" };
    eprintln!("{:>12} {alias}oxk run {}", "Next", shown.display());
    Ok(0)
}

fn check_name(name: &str) -> Result<()> {
    let first = name.chars().next();
    let valid = first.is_some_and(|c| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_');
    if !valid {
        return Err(Diagnostic::new(format!("`{name}` cannot be the name of an application"))
            .help("use lower-case letters, digits, - and _, a letter first"));
    }
    if RESERVED.contains(&name) {
        return Err(
            Diagnostic::new(format!("`{name}` is a reserved name")).help("choose another name")
        );
    }
    Ok(())
}

/// Files of a new application with their content.
fn files(name: &str, dir: &Path, root: &Path) -> Vec<(&'static str, String)> {
    let pool = match dir.strip_prefix(root) {
        Ok(below) => "../".repeat(below.components().count()).trim_end_matches('/').to_owned(),
        Err(_) => root.display().to_string(),
    };
    let workspace = if !is_member(dir, root) {
        "\n# This crate is a workspace of its own, wherever it lies.\n[workspace]\n"
    } else {
        ""
    };
    let cargo = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
         [dependencies]\n\
         # Naming a micro-library here puts it into the image; `oxk libs` lists them.\n\
         ukplat = {{ path = \"{pool}/core/ukplat\" }}\n\
         ukboot = {{ path = \"{pool}/core/ukboot\" }}\n\
         ukalloc = {{ path = \"{pool}/core/ukalloc\" }}\n{workspace}"
    );
    vec![
        ("Cargo.toml", cargo),
        ("oxk.toml", include_str!("templates/rust/oxk.toml").replace("NAME", name)),
        ("src/lib.rs", include_str!("templates/rust/lib.rs.txt").replace("NAME", name)),
        ("README.md", include_str!("templates/rust/README.md").replace("NAME", name)),
        (".gitignore", "/build\n/target\n".to_owned()),
    ]
}

/// Whether cargo takes the folder for a member of the repository's own workspace.
fn is_member(dir: &Path, root: &Path) -> bool {
    dir.strip_prefix(root).is_ok_and(|below| below.parent() == Some(Path::new("apps")))
}

/// Files of a new program in C with their content.
fn c_files(name: &str, dir: &Path, root: &Path) -> Vec<(&'static str, String)> {
    let mut files = vec![
        ("oxk.toml", include_str!("templates/c/oxk.toml").replace("NAME", name)),
        ("src/main.c", include_str!("templates/c/main.c.txt").replace("NAME", name)),
        ("README.md", include_str!("templates/rust/README.md").replace("NAME", name)),
        (".gitignore", "/build\n".to_owned()),
    ];
    if is_member(dir, root) {
        let cargo = format!(
            "[package]\nname = \"{name}\"\ndescription = \"A program in C\"\n\
             version.workspace = true\nedition.workspace = true\nrust-version.workspace = true\n\
             license.workspace = true\npublish.workspace = true\n\n[lints]\nworkspace = true\n"
        );
        let library = format!(
            "//! The program {name}, in C. Cargo knows the folder by this crate, which is empty.\n\
             #![no_std]\n#![forbid(unsafe_code)]\n"
        );
        files.extend([("Cargo.toml", cargo), ("src/lib.rs", library)]);
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Manifest;

    #[test]
    fn names_are_checked() {
        for bad in ["", "1a", "A", "a b", "core", "ä", "-a"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
        assert!(check_name("my-app_2").is_ok());
    }

    #[test]
    fn the_files_make_a_manifest() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("src")).unwrap();
        for (file, text) in files("greeter", dir.path(), Path::new("/pool")) {
            std::fs::write(dir.path().join(file), text).unwrap();
        }
        let manifest = Manifest::read(dir.path()).unwrap();
        assert_eq!((manifest.name.as_str(), manifest.package.as_str()), ("greeter", "greeter"));
        assert!(manifest.dependencies.contains(&"ukplat".to_owned()));
        let cargo = std::fs::read_to_string(dir.path().join("Cargo.toml")).unwrap();
        assert!(cargo.contains("/pool/core/ukplat") && cargo.contains("[workspace]"));
    }

    #[test]
    fn programs_in_c_have_a_manifest_too() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("src")).unwrap();
        for (file, text) in c_files("greeter", dir.path(), Path::new("/pool")) {
            std::fs::write(dir.path().join(file), text).unwrap();
        }
        let manifest = Manifest::read(dir.path()).unwrap();
        assert_eq!((manifest.name.as_str(), manifest.kind), ("greeter", crate::manifest::Kind::C));
        assert_eq!(manifest.c.sources[0].value, "src/*.c");
        // In the repository's own folder of applications cargo wants a crate.
        let inside = c_files("a", Path::new("/pool/apps/a"), Path::new("/pool"));
        assert!(inside.iter().any(|(file, _)| *file == "Cargo.toml"));
    }

    #[test]
    fn inside_the_repository_paths_are_relative() {
        let files = files("a", Path::new("/pool/apps/a"), Path::new("/pool"));
        let cargo = &files[0].1;
        assert!(
            cargo.contains("\"../../core/ukplat\"") && !cargo.contains("[workspace]"),
            "{cargo}"
        );
    }
}
