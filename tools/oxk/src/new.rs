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
    /// A C program (comes with the libc pool, not in this version)
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
    if args.template == Template::C {
        return Err(Diagnostic::new("C applications are not in this version")
            .help("they come with the libc pool; --template rust works today"));
    }
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
    for (file, text) in files(&name, &dir, &root) {
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
fn files(name: &str, dir: &Path, root: &Path) -> [(&'static str, String); 5] {
    let inside = dir.strip_prefix(root).ok();
    let (pool, workspace) = match inside {
        // A member of the repository's own workspace when it lies in apps/.
        Some(below) => {
            let up = "../".repeat(below.components().count());
            let member = below.parent() == Some(Path::new("apps"));
            (up.trim_end_matches('/').to_owned(), !member)
        }
        None => (root.display().to_string(), true),
    };
    let workspace = if workspace {
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
    [
        ("Cargo.toml", cargo),
        ("oxk.toml", include_str!("templates/rust/oxk.toml").replace("NAME", name)),
        ("src/lib.rs", include_str!("templates/rust/lib.rs.txt").replace("NAME", name)),
        ("README.md", include_str!("templates/rust/README.md").replace("NAME", name)),
        (".gitignore", "/build\n/target\n".to_owned()),
    ]
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
    fn inside_the_repository_paths_are_relative() {
        let [(_, cargo), ..] = files("a", Path::new("/pool/apps/a"), Path::new("/pool"));
        assert!(
            cargo.contains("\"../../core/ukplat\"") && !cargo.contains("[workspace]"),
            "{cargo}"
        );
    }
}
