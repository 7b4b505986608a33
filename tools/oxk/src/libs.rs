//! `oxk libs`: what micro-libraries there are.

use std::fmt::Write as _;

use crate::diagnostic::{Diagnostic, Result, did_you_mean};
use crate::option::OptionSpec;
use crate::pool::{Library, POOLS, Pool};
use crate::project::Project;

/// Lists the micro-libraries, or shows everything about one
///
/// JSON: a list of {"name", "pool", "version", "description", "dir", "provides", "requires",
/// "dependencies", "platforms", "arches", "options": [{"name", "kind", "default", "help",
/// "runtime"}], "phases"}.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:\n  oxk libs\n  oxk libs --plat kvm\n  oxk libs uklog")]
pub struct LibsArgs {
    /// Show this one
    pub name: Option<String>,
    /// Only those that work on a platform
    #[arg(long, value_name = "NAME")]
    pub plat: Option<String>,
    /// Only those of a pool
    #[arg(long, value_name = "NAME")]
    pub pool: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// The verb.
pub fn run(args: &LibsArgs) -> Result<u8> {
    let pool = Project::find()?.pool(None)?;
    let chosen = select(&pool, args)?;
    if args.json {
        let list: Vec<serde_json::Value> = chosen.iter().map(|l| json(l)).collect();
        println!("{}", serde_json::Value::from(list));
    } else if args.name.is_some() {
        print!("{}", chosen.iter().map(|l| details(&pool, l)).collect::<String>());
    } else {
        print!("{}", table(&chosen));
    }
    Ok(0)
}

fn select<'p>(pool: &'p Pool, args: &LibsArgs) -> Result<Vec<&'p Library>> {
    if let Some(platform) = &args.plat
        && !pool.platform_names().contains(&platform.as_str())
    {
        return Err(Diagnostic::new(format!("unknown platform `{platform}`"))
            .help(format!("known: {}", pool.platform_names().join(", "))));
    }
    if let Some(name) = &args.pool
        && !POOLS.contains(&name.as_str())
    {
        return Err(Diagnostic::new(format!("unknown pool `{name}`"))
            .help(format!("pools: {}", POOLS.join(", "))));
    }
    if let Some(name) = &args.name {
        let library = pool.get(name).ok_or_else(|| {
            let near = did_you_mean(name, pool.libraries().map(|l| l.name.as_str()));
            let help = near.map_or_else(
                || "`oxk libs` lists all".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            Diagnostic::new(format!("unknown library `{name}`")).help(help)
        })?;
        return Ok(vec![library]);
    }
    Ok(pool
        .libraries()
        .filter(|l| {
            args.plat.as_ref().is_none_or(|p| l.platforms.is_empty() || l.platforms.contains(p))
        })
        .filter(|l| args.pool.as_ref().is_none_or(|p| l.pool == *p))
        .collect())
}

fn table(libraries: &[&Library]) -> String {
    let mut out = String::new();
    let width = libraries.iter().map(|l| l.name.len()).max().unwrap_or(0);
    let pools = POOLS.iter().copied().chain(["external"]);
    for pool in pools {
        let members: Vec<_> = libraries.iter().filter(|l| l.pool == pool).collect();
        if members.is_empty() {
            continue;
        }
        let _ = writeln!(out, "{pool}/");
        for library in members {
            let mut notes = Vec::new();
            if !library.provides.is_empty() {
                notes.push(format!("provides {}", library.provides.join(", ")));
            }
            if !library.platforms.is_empty() {
                notes.push(format!("on {}", library.platforms.join(", ")));
            }
            let notes =
                if notes.is_empty() { String::new() } else { format!(" [{}]", notes.join("; ")) };
            let _ = writeln!(out, "  {:<width$}  {}{notes}", library.name, library.description);
        }
    }
    out
}

fn details(pool: &Pool, library: &Library) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{} {}: {}", library.name, library.version, library.description);
    let all_or = |names: &[String]| {
        if names.is_empty() { "all".to_owned() } else { names.join(", ") }
    };
    let _ = writeln!(out, "  folder         {}", library.dir.display());
    let _ = writeln!(out, "  platforms      {}", all_or(&library.platforms));
    let _ = writeln!(out, "  architectures  {}", all_or(&library.arches));
    if !library.dependencies.is_empty() {
        let _ = writeln!(out, "  uses           {}", library.dependencies.join(", "));
    }
    for (what, names) in [("provides", &library.provides), ("requires", &library.requires)] {
        for name in names {
            let help = pool.interface(name).map_or("", |i| &i.help);
            let _ = writeln!(out, "  {what:<14} {name}: {help}");
        }
    }
    if let Some(early) = &library.early {
        let _ = writeln!(out, "  early stage    {early}");
    }
    for collection in &library.collects {
        let _ = writeln!(out, "  collects       {collection}");
    }
    for (collection, item) in &library.registers {
        let _ = writeln!(out, "  registers      {item} in {collection}");
    }
    for phase in &library.phases {
        let mut order = Vec::new();
        if !phase.after.is_empty() {
            order.push(format!("after {}", phase.after.join(", ")));
        }
        if !phase.before.is_empty() {
            order.push(format!("before {}", phase.before.join(", ")));
        }
        let _ = writeln!(out, "  boot phase     {} {}", phase.name, order.join("; "));
    }
    for option in &library.options {
        let _ = writeln!(out, "\n  {}.{} = {}", library.name, option.name, option.default);
        let _ = writeln!(out, "      {}", option.help);
        let _ = writeln!(out, "      {}; {}", option.kind, when(option));
    }
    out
}

fn when(option: &OptionSpec) -> &'static str {
    if option.runtime {
        "in the manifest, or on the image's command line"
    } else {
        "in the manifest, fixed when the image is built"
    }
}

fn json(library: &Library) -> serde_json::Value {
    let options: Vec<serde_json::Value> = library
        .options
        .iter()
        .map(|o| {
            serde_json::json!({
                "name": o.name,
                "kind": o.kind.to_string(),
                "default": o.default.to_string(),
                "help": o.help,
                "runtime": o.runtime,
            })
        })
        .collect();
    let phases: Vec<&str> = library.phases.iter().map(|p| p.name.as_str()).collect();
    serde_json::json!({
        "name": library.name,
        "pool": library.pool,
        "version": library.version,
        "description": library.description,
        "dir": library.dir,
        "provides": library.provides,
        "requires": library.requires,
        "dependencies": library.dependencies,
        "platforms": library.platforms,
        "arches": library.arches,
        "options": options,
        "phases": phases,
    })
}
