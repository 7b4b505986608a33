//! `oxk ps`: which guests run.

use std::fmt::Write as _;

use serde_json::Value;

use super::process::{Process, resident_bytes};
use super::{Guest, Store, keep, now};
use crate::build::human_size;
use crate::diagnostic::{Result, relative_to_cwd};

/// Lists the guests that run in the background
///
/// JSON: a list of {"name", "platform", "image", "dbg", "pid", "start_ticks", "boot", "since",
/// "log", "end", "code_file", "monitor", "running", "resident_bytes", "exit_code", "ended"}; the last
/// two are null while it runs, and where nobody noted them.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:\n  oxk run apps/httpd --detach\n  oxk ps")]
pub struct PsArgs {
    /// Those too that have ended, for a day, with their exit codes
    #[arg(long, short)]
    pub all: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// The verb.
pub fn run(args: &PsArgs) -> Result<u8> {
    let guests = Store::open()?.guests()?;
    let guests: Vec<_> = guests.into_iter().filter(|(_, p)| args.all || p.is_some()).collect();
    if args.json {
        println!("{}", Value::from(guests.iter().map(json).collect::<Vec<_>>()));
    } else if guests.is_empty() {
        println!("no guest is running");
    } else {
        print!("{}", table(&guests));
    }
    Ok(0)
}

fn json((guest, process): &(Guest, Option<Process>)) -> Value {
    let mut value = guest.to_json();
    let running = process.is_some();
    let end = if running { None } else { keep::read(&guest.end) };
    value["exit_code"] = end.map(|end| end.code).into();
    value["ended"] = end.map(|end| end.at).into();
    value["running"] = running.into();
    value["resident_bytes"] = running.then(|| resident_bytes(guest.identity.pid)).flatten().into();
    value
}

fn table(guests: &[(Guest, Option<Process>)]) -> String {
    let width = guests.iter().map(|(guest, _)| guest.name.len()).max().unwrap_or(0).max(4);
    let mut out = format!(
        "{:<width$}  {:<8} {:>8} {:>10} {:>12}  {}\n",
        "name", "platform", "process", "runs for", "memory", "image"
    );
    for (guest, process) in guests {
        let (time, memory) = match process {
            Some(_) => (
                duration(now().saturating_sub(guest.since)),
                resident_bytes(guest.identity.pid).map_or_else(|| "-".into(), human_size),
            ),
            None => {
                let code = keep::read(&guest.end).map(|end| format!("ended, {}", end.code));
                (code.unwrap_or_else(|| "ended".to_owned()), "-".to_owned())
            }
        };
        let image = relative_to_cwd(&guest.image);
        let _ = writeln!(
            out,
            "{:<width$}  {:<8} {:>8} {time:>10} {memory:>12}  {}",
            guest.name,
            guest.platform,
            guest.identity.pid,
            image.display()
        );
    }
    out
}

/// The largest unit that fits.
pub(super) fn duration(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}
