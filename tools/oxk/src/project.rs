//! Where things are: the repository with the pools, the application, the build folder.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::diagnostic::{Context as _, Diagnostic, Result};
use crate::disk::Disk;
use crate::manifest::{Kind, MAX_CPUS, Manifest};
use crate::native;
use crate::pool::Pool;
use crate::resolve::{Resolution, resolve};
use crate::share::Share;
use crate::tender;

/// The repository that holds the pools.
#[derive(Debug, Clone)]
pub struct Project {
    /// Its top folder.
    pub root: PathBuf,
}

impl Project {
    /// Finds the repository: `OXIKRAFT_ROOT`, or the nearest folder above the current one with
    /// `core/ukplat` in it, or the one this program was built from.
    pub fn find() -> Result<Self> {
        let is_root = |dir: &Path| dir.join("core/ukplat/Cargo.toml").is_file();
        if let Some(dir) = std::env::var_os("OXIKRAFT_ROOT").map(PathBuf::from) {
            if !is_root(&dir) {
                let cause = format!("OXIKRAFT_ROOT is {}, which has no core/ukplat", dir.display());
                return Err(Diagnostic::new(cause).help("set it to a clone of the repository"));
            }
            return Ok(Self { root: dir });
        }
        let cwd = std::env::current_dir().context("cannot tell the current folder")?;
        let built_from = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
        cwd.ancestors()
            .chain(built_from)
            .find(|dir| is_root(dir))
            .map(|dir| Self { root: dir.to_owned() })
            .ok_or_else(|| {
                Diagnostic::new("cannot find the Oxikraft repository with the micro-libraries")
                    .help("run inside a clone of it, or set OXIKRAFT_ROOT to one")
            })
    }

    /// The micro-libraries of the repository and of the manifest's own folders.
    pub fn pool(&self, manifest: Option<&Manifest>) -> Result<Pool> {
        Pool::discover(&self.root, manifest.map_or(&[], |m| &m.pools))
    }

    /// Where images of an application go: `build` in the repository for its own applications,
    /// else `build` in the application's folder.
    pub fn build_dir(&self, app: &Path) -> PathBuf {
        let inside = app
            .canonicalize()
            .ok()
            .zip(self.root.canonicalize().ok())
            .is_some_and(|(app, root)| app.starts_with(root));
        if inside { self.root.join("build") } else { app.join("build") }
    }
}

/// The application and what it is built for; arguments that most verbs share.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Target {
    /// Folder of the application (with its oxk.toml)
    #[arg(default_value = ".")]
    pub app: PathBuf,
    /// What is chosen for this call.
    #[command(flatten)]
    pub choices: Choices,
}

/// What takes the place of the manifest's words for one call.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct Choices {
    /// Platform to build for, instead of the manifest's
    #[arg(long, value_name = "NAME")]
    pub plat: Option<String>,
    /// Architecture to build for, instead of the manifest's
    #[arg(long, value_name = "NAME")]
    pub arch: Option<String>,
    /// Take this library as provider of an interface for this call
    #[arg(long, value_name = "INTERFACE=LIBRARY")]
    pub provider: Vec<String>,
    /// Number of CPUs the image uses at most, instead of the manifest's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_CPUS)))]
    pub cpus: Option<u32>,
    /// Set an option of a library for this call
    #[arg(long, value_name = "LIB.OPTION=VALUE")]
    pub set: Vec<String>,
}

/// A target with everything read.
#[derive(Debug)]
pub struct Loaded {
    /// The repository.
    pub project: Project,
    /// The application's manifest with `--set` and `--provider` applied.
    pub manifest: Manifest,
    /// All libraries.
    pub pool: Pool,
    target: Target,
    /// Whether the platform is the one that images run on when nobody says.
    chosen: Option<Chosen>,
    metadata: OnceLock<serde_json::Value>,
}

/// How the platform to run on was chosen when nobody said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chosen {
    /// /dev/kvm opens.
    Kvm,
    /// It does not.
    NoKvm,
    /// It does, but the image cannot be made for hvt.
    NotForHvt,
}

impl Target {
    /// The image of `app` for `platform`, else as its manifest says.
    pub fn new(app: &Path, platform: &str) -> Self {
        let choices = Choices { plat: Some(platform.to_owned()), ..Choices::default() };
        Self { app: app.to_owned(), choices }
    }

    /// Reads the manifest and the pool, and compiles a program in C to see what it calls.
    pub fn load(&self) -> Result<Loaded> {
        let project = Project::find()?;
        let mut manifest = Manifest::read(&self.app)?;
        manifest.choose_providers(&self.choices.provider)?;
        manifest.cpus = self.choices.cpus.unwrap_or(manifest.cpus);
        let pool = project.pool(Some(&manifest))?;
        let assignments = self.choices.set.iter().map(|text| with_library(&pool, text));
        manifest.set(&assignments.collect::<Result<Vec<_>>>()?)?;
        let (target, metadata) = (self.clone(), OnceLock::new());
        let mut loaded = Loaded { project, manifest, pool, target, chosen: None, metadata };
        if loaded.manifest.kind == Kind::C {
            loaded.manifest.calls = native::needs::calls(&loaded)?;
        }
        Ok(loaded)
    }

    /// The same for an image that is to be run, with directories and disks that it is to have: where neither the manifest nor the command line says
    /// on which platform, it is hvt if /dev/kvm opens.
    pub fn load_to_run(&self, shares: &[Share], disks: &[Disk]) -> Result<Loaded> {
        let mut loaded = self.load()?;
        loaded.manifest.add_shares(shares);
        loaded.manifest.add_disks(disks);
        let has_hvt = loaded.pool.platform_names().contains(&tender::PLATFORM);
        if self.choices.plat.is_some() || loaded.manifest.platform.span.is_some() || !has_hvt {
            return Ok(loaded);
        }
        loaded.chosen = Some(Chosen::NoKvm);
        if tender::kvm_opens() {
            loaded.target.choices.plat = Some(tender::PLATFORM.to_owned());
            loaded.chosen = Some(Chosen::Kvm);
            if loaded.resolve().is_err() {
                loaded.target.choices.plat = None;
                loaded.chosen = Some(Chosen::NotForHvt);
            }
        }
        Ok(loaded)
    }
}

/// `option=value` with the library in front, if one library alone has an option of that name.
fn with_library(pool: &Pool, text: &str) -> Result<String> {
    let Some((option, _)) = text.split_once('=').filter(|(path, _)| !path.contains('.')) else {
        return Ok(text.to_owned());
    };
    let having: Vec<&str> = pool
        .libraries()
        .filter(|library| library.option(option).is_some())
        .map(|library| library.name.as_str())
        .collect();
    match having[..] {
        // What is wrong with it is said later.
        [] => Ok(text.to_owned()),
        [library] => Ok(format!("{library}.{text}")),
        _ => Err(Diagnostic::new(format!("several libraries have an option `{option}`"))
            .help(format!("name one: {}.{text}; they are {}", having[0], having.join(", ")))),
    }
}

impl Loaded {
    /// What goes into the image.
    pub fn resolve(&self) -> Result<Resolution<'_>> {
        self.resolve_as(&self.manifest)
    }

    /// What would go into the image by another manifest.
    pub fn resolve_as<'a>(&'a self, manifest: &'a Manifest) -> Result<Resolution<'a>> {
        let Choices { plat, arch, .. } = &self.target.choices;
        resolve(manifest, &self.pool, plat.as_deref(), arch.as_deref())
    }

    /// For people: why an image runs on this platform, when nobody said on which.
    pub fn why_this_platform(&self) -> &'static str {
        match self.chosen {
            None => "",
            Some(Chosen::Kvm) => ", because /dev/kvm opens",
            Some(Chosen::NoKvm) => ", because /dev/kvm does not open",
            Some(Chosen::NotForHvt) => ", because it cannot be made for hvt",
        }
    }

    /// Where its images go.
    pub fn build_dir(&self) -> PathBuf {
        self.project.build_dir(&self.manifest.dir)
    }

    /// Where what images share stays: the folder that `OXK_CACHE` names, else one of the repository.
    pub fn cache(&self) -> Result<PathBuf> {
        let cache = std::env::var_os("OXK_CACHE")
            .map_or_else(|| self.project.root.join("target/oxk"), PathBuf::from);
        std::fs::create_dir_all(&cache).context(format!("cannot create {}", cache.display()))?;
        cache.canonicalize().context("cannot find the cache")
    }

    /// What cargo says of the application's package and what it depends on. Cargo is asked once:
    /// it takes half a second.
    pub fn cargo_metadata(&self, manifest: &Path) -> Result<&serde_json::Value> {
        if let Some(known) = self.metadata.get() {
            return Ok(known);
        }
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["metadata", "--format-version", "1", "--manifest-path"])
            .arg(manifest)
            .output()
            .context("cannot start cargo")?;
        if !output.status.success() {
            eprint!("{}", String::from_utf8_lossy(&output.stderr));
            return Err(Diagnostic::new("cargo cannot read the application's Cargo.toml"));
        }
        let said = serde_json::from_slice(&output.stdout).context("cannot read what cargo says")?;
        Ok(self.metadata.get_or_init(|| said))
    }
}
