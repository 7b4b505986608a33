//! `oxk graph`: what an image is made of and how it boots.

mod boot;
mod svg;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use crate::build::{self, Progress};
use crate::diagnostic::{Context, Diagnostic, Result};
use crate::layering;
use crate::project::{Project, Target};
use crate::resolve::{Heap, Resolution};
use crate::run;

pub use boot::{PhaseTime, parse_times};

/// Shows the micro-libraries of an image and why they are there, or its boot order
///
/// JSON: {"image", "libraries": [{"name", "pool", "reason"}], "edges": [{"from", "to",
/// "interface"}], "phases": [{"name", "library", "after", "ns"}], "heaps": [{"name", "backend",
/// "bytes", "libraries"}], "schedulers": [{"name", "cpus", "run"}]}; "ns" only with --boot.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Examples:\n  oxk graph apps/hello\n  oxk graph apps/hello --format svg -o hello.svg\n  oxk graph apps/hello --boot\n  oxk graph --check"
)]
pub struct GraphArgs {
    /// The application and what it is built for
    #[command(flatten)]
    pub target: Target,
    /// How to write the graph
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Show the boot order with the time of each phase, measured by running the image, and the heaps
    #[arg(long)]
    pub boot: bool,
    /// With --boot: only the order, without running the image
    #[arg(long, requires = "boot")]
    pub no_run: bool,
    /// Check the layering of the whole workspace instead
    #[arg(long)]
    pub check: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Write to a file
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Formats of graphs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// A tree
    #[default]
    Text,
    /// Graphviz
    Dot,
    /// A drawing
    Svg,
}

/// The verb.
pub fn run(args: &GraphArgs) -> Result<u8> {
    if args.check {
        return check();
    }
    let loaded = args.target.load()?;
    let resolution = loaded.resolve()?;
    let times = if args.boot && !args.no_run {
        let image = build::build(&loaded, &resolution, None, Progress::Quiet)?;
        Some(measure(args, &loaded.project, &resolution, &image)?)
    } else {
        None
    };
    let text = match (args.json, args.boot, args.format) {
        (true, ..) => format!("{:#}\n", json(&resolution, times.as_deref())),
        (_, true, Format::Svg) => boot::drawing(&resolution, times.as_deref()),
        (_, true, Format::Text) => boot::text(&resolution, times.as_deref()),
        (_, true, Format::Dot) => boot::dot(&resolution),
        (_, false, Format::Text) => tree(&resolution),
        (_, false, Format::Dot) => dot(&resolution),
        (_, false, Format::Svg) => svg::dependencies(&resolution),
    };
    match &args.output {
        None => print!("{text}"),
        Some(path) => {
            std::fs::write(path, text).context(format!("cannot write {}", path.display()))?;
        }
    }
    Ok(0)
}

fn check() -> Result<u8> {
    let checked = layering::check(&Project::find()?.root)?;
    for violation in &checked.violations {
        eprintln!("error: {violation}");
    }
    if !checked.violations.is_empty() {
        return Ok(1);
    }
    println!(
        "layering holds: {} crates, {} dependencies, all downwards; unsafe code and names of \
         architectures only where they belong",
        checked.crates, checked.edges
    );
    Ok(0)
}

/// Runs the image with `ukboot.trace` and reads the times.
fn measure(
    args: &GraphArgs,
    project: &Project,
    resolution: &Resolution<'_>,
    image: &build::Image,
) -> Result<Vec<PhaseTime>> {
    let mut call = run::default_args(&args.target.app);
    call.param.push("ukboot.trace=yes".into());
    let said = run::run_captured(&call, project, resolution, image)?;
    let times = parse_times(&said.text);
    if times.is_empty() {
        return Err(Diagnostic::new(format!(
            "the image ended with code {} and told no boot times",
            said.code
        ))
        .help("run it by hand with --param ukboot.trace=yes, or use --no-run"));
    }
    Ok(times)
}

/// An edge of the graph: who needs whom, and through which interface, if any.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// Who needs; the application's name for itself.
    pub from: String,
    /// Who is needed.
    pub to: String,
    /// The interface, for providers.
    pub interface: Option<String>,
}

/// All edges between members, sorted.
pub fn edges(resolution: &Resolution<'_>) -> Vec<Edge> {
    let mut edges = BTreeSet::new();
    let app = resolution.manifest.name.clone();
    let member = |name: &str| resolution.library(name).is_some();
    for name in resolution.manifest.dependencies.iter().filter(|d| member(d)) {
        edges.insert(Edge { from: app.clone(), to: name.clone(), interface: None });
    }
    let named = resolution.manifest.libraries.iter().map(|l| &l.value);
    for name in named.filter(|n| member(n)) {
        edges.insert(Edge { from: app.clone(), to: name.clone(), interface: None });
    }
    let providers = |interface: &str| -> Vec<String> {
        let all = resolution.libraries.iter();
        all.filter(|l| l.provides.iter().any(|p| p == interface)).map(|l| l.name.clone()).collect()
    };
    for interface in resolution.manifest.requires.iter().map(|r| &r.value) {
        for to in providers(interface) {
            edges.insert(Edge { from: app.clone(), to, interface: Some(interface.clone()) });
        }
    }
    for library in &resolution.libraries {
        for to in &library.dependencies {
            edges.insert(Edge { from: library.name.clone(), to: to.clone(), interface: None });
        }
        for interface in &library.requires {
            for to in providers(interface) {
                let interface = Some(interface.clone());
                edges.insert(Edge { from: library.name.clone(), to, interface });
            }
        }
    }
    edges.into_iter().collect()
}

/// The graph as a tree from the application; what was shown before is not unfolded again.
pub fn tree(resolution: &Resolution<'_>) -> String {
    let edges = edges(resolution);
    let mut below: BTreeMap<&str, Vec<&Edge>> = BTreeMap::new();
    for edge in &edges {
        below.entry(&edge.from).or_default().push(edge);
    }
    let app = resolution.manifest.name.as_str();
    let mut out = format!("{}\n", resolution.image_name());
    let mut shown = BTreeSet::from([app]);
    branch(app, "", &below, &mut shown, &mut out);
    // Members that no edge from the application reaches: boot code and the platform.
    for library in &resolution.libraries {
        if shown.insert(&library.name) {
            let reason = &resolution.reasons[&library.name];
            let _ = writeln!(out, "{} ({reason})", library.name);
            branch(&library.name, "", &below, &mut shown, &mut out);
        }
    }
    // One for all CPUs is in the tree already.
    if let several @ [_, _, ..] = &*resolution.schedulers {
        out.push_str("schedulers\n");
        for scheduler in several {
            let _ = writeln!(out, "    {scheduler}");
        }
    }
    out
}

fn branch<'a>(
    node: &str,
    indent: &str,
    below: &BTreeMap<&str, Vec<&'a Edge>>,
    shown: &mut BTreeSet<&'a str>,
    out: &mut String,
) {
    let Some(edges) = below.get(node) else { return };
    for (index, edge) in edges.iter().enumerate() {
        let last = index + 1 == edges.len();
        let how = edge.interface.as_ref().map_or(String::new(), |i| format!(" provides {i}"));
        let first_time = shown.insert(&edge.to);
        let unfolds = below.contains_key(edge.to.as_str());
        let again = if first_time || !unfolds { "" } else { " …" };
        let corner = if last { "└── " } else { "├── " };
        let _ = writeln!(out, "{indent}{corner}{}{how}{again}", edge.to);
        if first_time {
            let deeper = format!("{indent}{}", if last { "    " } else { "│   " });
            branch(&edge.to, &deeper, below, shown, out);
        }
    }
}

/// The graph for Graphviz, a cluster for each pool.
pub fn dot(resolution: &Resolution<'_>) -> String {
    let mut out =
        String::from("digraph image {\n  rankdir=TB; node [shape=box, fontname=\"sans-serif\"];\n");
    let _ = writeln!(out, "  {:?} [style=bold];", resolution.manifest.name);
    let mut pools: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for library in &resolution.libraries {
        pools.entry(&library.pool).or_default().push(&library.name);
    }
    for (pool, members) in pools {
        let _ = writeln!(out, "  subgraph \"cluster_{pool}\" {{\n    label={pool:?};");
        for member in members {
            let _ = writeln!(out, "    {member:?};");
        }
        out.push_str("  }\n");
    }
    if let several @ [_, _, ..] = &*resolution.schedulers {
        let lines: Vec<String> = several.iter().map(ToString::to_string).collect();
        let _ = writeln!(out, "  labelloc=b; label={:?};", lines.join("\n"));
    }
    for edge in edges(resolution) {
        let style = match &edge.interface {
            Some(interface) => format!(" [style=dashed, label={interface:?}]"),
            None => String::new(),
        };
        let _ = writeln!(out, "  {:?} -> {:?}{style};", edge.from, edge.to);
    }
    out.push_str("}\n");
    out
}

fn json(resolution: &Resolution<'_>, times: Option<&[PhaseTime]>) -> serde_json::Value {
    let libraries: Vec<serde_json::Value> = resolution
        .libraries
        .iter()
        .map(|l| {
            let reason = resolution.reasons.get(&l.name).map(ToString::to_string);
            serde_json::json!({ "name": l.name, "pool": l.pool, "reason": reason })
        })
        .collect();
    let edges: Vec<serde_json::Value> = edges(resolution)
        .iter()
        .map(|e| serde_json::json!({ "from": e.from, "to": e.to, "interface": e.interface }))
        .collect();
    let heaps: Vec<serde_json::Value> = resolution
        .heaps
        .iter()
        .map(|h| {
            serde_json::json!({
                "name": h.name, "backend": h.backend, "bytes": h.size, "libraries": h.libraries,
                "options": options_of(h),
            })
        })
        .collect();
    let schedulers: Vec<serde_json::Value> = resolution
        .schedulers
        .iter()
        .map(|s| serde_json::json!({ "name": s.name(), "cpus": s.cpus, "run": s.run }))
        .collect();
    serde_json::json!({
        "image": resolution.image_name(),
        "libraries": libraries,
        "edges": edges,
        "phases": boot::json(resolution, times),
        "heaps": heaps,
        "schedulers": schedulers,
    })
}

fn options_of(heap: &Heap) -> BTreeMap<&str, String> {
    heap.options.iter().map(|(name, value)| (name.as_str(), value.to_string())).collect()
}

#[cfg(test)]
#[path = "graph/tests.rs"]
mod tests;
