//! Building an image: resolve, generate, compile and link with cargo, strip.

use std::io::{BufRead, BufReader, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use object::read::elf::{ElfFile64, FileHeader as _, ProgramHeader as _};

use crate::diagnostic::{Context, Diagnostic, Result, relative_to_cwd};
use crate::generate;
use crate::lock::Lock;
use crate::manifest::Kind;
use crate::native::{self, Linking};
use crate::option::format_size;
use crate::project::{Loaded, Target};
use crate::resolve::Resolution;
use crate::rustc;

/// Builds an application into one bootable image
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example: oxk build apps/hello --plat kvm")]
pub struct BuildArgs {
    /// The application and what it is built for
    #[command(flatten)]
    pub target: Target,
    /// Folder for the image instead of `build`
    #[arg(long, value_name = "DIR")]
    pub build_dir: Option<PathBuf>,
    /// Print the result as JSON: image, dbg, bytes, platform, arch, libraries, seconds
    #[arg(long)]
    pub json: bool,
}

/// A built image.
#[derive(Debug, Clone)]
pub struct Image {
    /// The stripped, bootable file.
    pub path: PathBuf,
    /// The same with symbols and debug information.
    pub dbg: PathBuf,
    /// Size of the stripped file in bytes.
    pub bytes: u64,
    /// How long the build took.
    pub time: Duration,
}

/// How much is told while building.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// A line for the result and a bar while it takes long.
    Shown,
    /// Only errors.
    Quiet,
}

/// The verb.
pub fn run(args: &BuildArgs) -> Result<u8> {
    let loaded = args.target.load()?;
    let resolution = loaded.resolve()?;
    let progress = if args.json { Progress::Quiet } else { Progress::Shown };
    let image = build(&loaded, &resolution, args.build_dir.as_deref(), progress)?;
    if args.json {
        let libraries: Vec<&str> = resolution.libraries.iter().map(|l| l.name.as_str()).collect();
        println!(
            "{}",
            serde_json::json!({
                "image": image.path,
                "dbg": image.dbg,
                "bytes": image.bytes,
                "platform": resolution.platform_name(),
                "arch": resolution.arch,
                "libraries": libraries,
                "seconds": image.time.as_secs_f64(),
            })
        );
    }
    Ok(0)
}

/// Builds the image of a resolved application.
pub fn build(
    loaded: &Loaded,
    resolution: &Resolution<'_>,
    build_dir: Option<&Path>,
    progress: Progress,
) -> Result<Image> {
    build_to_run(loaded, resolution, build_dir, progress).map(|(image, _)| image)
}

/// The same for an image that is started next: while the lock is there, nobody else puts an image with
/// other options in its place.
pub fn build_to_run(
    loaded: &Loaded,
    resolution: &Resolution<'_>,
    build_dir: Option<&Path>,
    progress: Progress,
) -> Result<(Image, Lock)> {
    let start = Instant::now();
    let build_dir = build_dir.map_or_else(|| loaded.build_dir(), Path::to_path_buf);
    std::fs::create_dir_all(&build_dir)
        .context(format!("cannot create {}", build_dir.display()))?;
    let build_dir =
        build_dir.canonicalize().context(format!("cannot find {}", build_dir.display()))?;
    let name = resolution.image_name();
    let gen_dir = build_dir.join("gen").join(&name);
    // What is generated depends on the libraries of the image, and its name does not.
    let lock = Lock::take(&gen_dir.with_extension("lock"), &format!("built {name}"))?;
    let manifest = generate::write(resolution, &loaded.project.root, &gen_dir)?;
    let script = linker_script(resolution, &gen_dir)?;
    let mut built = cargo(loaded, resolution, &build_dir, &manifest, &script, progress)?;
    if resolution.manifest.kind == Kind::C {
        let dir = build_dir.join("native").join(&name);
        let flags = link_flags(resolution, &gen_dir.join(script));
        let linking = Linking { flags: &flags, dir: &dir };
        let bar = bar(progress, &name, 0);
        built = native::link(loaded, resolution, &built, &linking, &bar)?;
        bar.finish_and_clear();
    }

    let linked = std::fs::read(&built).context(format!("cannot read {}", built.display()))?;
    let stripped = strip(&linked)?;
    let image = Image {
        path: build_dir.join(&name),
        dbg: build_dir.join(format!("{name}.dbg")),
        bytes: stripped.len() as u64,
        time: start.elapsed(),
    };
    write_executable(&image.path, &stripped)?;
    write_executable(&image.dbg, &linked)?;
    if progress == Progress::Shown {
        eprintln!(
            "{:>12} {} ({:.1} KiB, {} micro-libraries) in {:.1} s",
            "Built",
            relative_to_cwd(&image.path).display(),
            image.bytes as f64 / 1024.0,
            resolution.libraries.len(),
            image.time.as_secs_f64(),
        );
    }
    Ok((image, lock))
}

/// Writes an executable file by renaming, so that a running image is not disturbed.
fn write_executable(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    if std::fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let doing = format!("cannot write {}", path.display());
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    std::fs::write(&temporary, bytes).context(&doing)?;
    std::fs::set_permissions(&temporary, std::fs::Permissions::from_mode(0o755)).context(&doing)?;
    std::fs::rename(&temporary, path).context(&doing)
}

fn cargo(
    loaded: &Loaded,
    resolution: &Resolution<'_>,
    build_dir: &Path,
    manifest: &Path,
    script: &Path,
    progress: Progress,
) -> Result<PathBuf> {
    let name = resolution.image_name();
    let crates = loaded.cache()?.join("crates");
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command
        .args(["rustc", "--release", "--message-format", "json-render-diagnostics", "--quiet"])
        .args(["--target", &format!("{}-unknown-linux-gnu", resolution.arch)])
        .arg("--manifest-path")
        .arg(manifest)
        .arg("--target-dir")
        .arg(build_dir.join("target").join(&name))
        .arg("--")
        .args(root_crate_flags(resolution, script))
        .current_dir(manifest.parent().unwrap_or(Path::new(".")))
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    // What the shell or an outer cargo says about other builds must not reach this one.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let about_builds = ["CARGO_PROFILE_", "CARGO_BUILD_", "CARGO_PKG_"];
        if (about_builds.iter().any(|start| text.starts_with(start)) && text != "CARGO_BUILD_JOBS")
            || ["RUSTFLAGS", "CARGO_TARGET_DIR", "CARGO_INCREMENTAL"].contains(&&*text)
        {
            command.env_remove(&name);
        }
    }
    // Flags of all crates are the same for all images of a platform, and cargo tells apart what else
    // differs: what one image compiled is there for the next.
    command
        .env("CARGO_BUILD_BUILD_DIR", crates)
        .env("CARGO_ENCODED_RUSTFLAGS", rustc_flags(loaded)?.join("\x1f"));
    rustc::wrap(&mut command);
    let mut child = command.spawn().context("cannot start cargo")?;
    // Libraries, application, root crate; third-party crates come on top.
    let bar = bar(progress, &name, resolution.libraries.len() as u64 + 2);
    let mut built = None;
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            let line = line.context("cannot read what cargo says")?;
            let Ok(message) = serde_json::from_str::<serde_json::Value>(&line) else { continue };
            if message["reason"] == "compiler-artifact" {
                bar.inc(1);
                let library = (message["target"]["kind"][0] == "staticlib")
                    .then(|| message["filenames"][0].as_str());
                if let Some(path) = message["executable"].as_str().or(library.flatten()) {
                    built = Some(PathBuf::from(path));
                }
            }
        }
    }
    let status = child.wait().context("cannot wait for cargo")?;
    bar.finish_and_clear();
    match built {
        Some(path) if status.success() => Ok(path),
        _ => Err(Diagnostic::new(format!("cannot build {name}: cargo reported errors"))
            .help("they are printed above; `oxk libs` and the book show what libraries offer")),
    }
}

/// A bar for the steps of a build, where there is somebody to see it.
pub fn bar(progress: Progress, name: &str, steps: u64) -> ProgressBar {
    if progress == Progress::Quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(steps);
    if let Ok(style) = ProgressStyle::with_template("{prefix:>12} [{bar:27}] {pos}/{len} {msg}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_prefix("Building");
    bar.set_message(name.to_owned());
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// Copies the platform's linker script into the generated crate and returns its name there. Cargo
/// does not watch the script: the hash in its name makes a changed one relink.
fn linker_script(resolution: &Resolution<'_>, gen_dir: &Path) -> Result<PathBuf> {
    let platform = resolution.platform;
    let script = platform.platform.as_ref().map_or("", |p| &p.linker_script);
    let script = platform.dir.join(script);
    let text = std::fs::read_to_string(&script)
        .context(format!("cannot read the linker script {}", script.display()))?;
    let name = format!("{}-{:016x}.ld", platform.name, fnv1a(text.as_bytes()));
    generate::write_if_changed(&gen_dir.join(&name), &text)?;
    Ok(name.into())
}

/// Flags of the linker for an image: those of all platforms, then the platform's own.
fn link_flags(resolution: &Resolution<'_>, script: &Path) -> Vec<String> {
    let mut flags: Vec<String> = [
        "-static",
        "--gc-sections",
        // Tables that the linker puts together stay as a whole when something reads them.
        "-znostart-stop-gc",
        "-znorelro",
        // Functions with the same code become one, unless somebody compares their addresses.
        "--icf=safe",
        "--build-id=none",
        // Constants of the precompiled core with the same text become one.
        "-O2",
    ]
    .map(str::to_owned)
    .to_vec();
    let platform = resolution.platform.platform.as_ref();
    flags.extend(platform.iter().flat_map(|p| p.linker_args.iter().cloned()));
    flags.push(format!("-T{}", script.display()));
    flags
}

/// Compiler flags for the root crate alone. The script's path is relative to its folder, in which
/// cargo starts the compiler. Images with a program in C are linked later.
fn root_crate_flags(resolution: &Resolution<'_>, script: &Path) -> Vec<String> {
    let platform = resolution.platform.platform.as_ref();
    let model = platform.map_or("static", |p| &p.relocation_model);
    let mut flags = vec![format!("-Crelocation-model={model}")];
    if resolution.manifest.kind == Kind::Rust {
        let link = link_flags(resolution, script);
        flags.extend(link.iter().map(|flag| format!("-Clink-arg={flag}")));
    }
    flags
}

/// Compiler flags for everything in the image. They do not depend on the application: see
/// [`rustc`] for what does.
fn rustc_flags(loaded: &Loaded) -> Result<Vec<String>> {
    let root = loaded.project.root.canonicalize().context("cannot find the repository")?;
    let mut flags: Vec<String> =
        ["-Clinker=rust-lld", "-Cforce-frame-pointers=yes", "-Csymbol-mangling-version=v0"]
            .map(str::to_owned)
            .to_vec();
    // The image must not depend on where things lie on this machine. The last match wins.
    flags.push(format!("--remap-path-prefix={}=registry", cargo_home().display()));
    flags.push(format!("--remap-path-prefix={}=", root.display()));
    Ok(flags)
}

/// Where cargo keeps the sources of third-party crates.
pub fn cargo_home() -> PathBuf {
    std::env::var_os("CARGO_HOME").map(PathBuf::from).unwrap_or_else(|| {
        PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cargo")
    })
}

/// FNV-1a, 64 bits.
pub fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The loadable part of an ELF file: headers and segments, without sections, symbols and debug
/// information.
pub fn strip(elf: &[u8]) -> Result<Vec<u8>> {
    let wrong = |what: &str| {
        Diagnostic::new(format!("the linker made a file that is {what}"))
            .help("this is a defect of the platform's linker script")
    };
    let file = ElfFile64::<object::Endianness>::parse(elf).map_err(|_| wrong("not an ELF file"))?;
    let endian = file.endian();
    let header = file.elf_header();
    let mut end = header.e_phoff(endian)
        + u64::from(header.e_phentsize(endian)) * u64::from(header.e_phnum(endian));
    for segment in file.elf_program_headers() {
        end = end.max(segment.p_offset(endian).saturating_add(segment.p_filesz(endian)));
    }
    let mut stripped = elf
        .get(..usize::try_from(end).unwrap_or(usize::MAX))
        .ok_or_else(|| wrong("cut short"))?
        .to_vec();
    // ELF-64 header: e_shoff at 40, e_shentsize, e_shnum and e_shstrndx from 58.
    stripped[40..48].fill(0);
    stripped[58..64].fill(0);
    Ok(stripped)
}

/// A human-readable size for messages.
pub fn human_size(bytes: u64) -> String {
    if bytes >= 1 << 20 && bytes.is_multiple_of(1 << 10) {
        return format_size(bytes);
    }
    format!("{:.1} KiB", bytes as f64 / 1024.0)
}
