//! `oxk logs`: what guests said.

use std::fs::File;
use std::io::{Read, Write};
use std::time::Duration;

use super::{Store, keep};
use crate::diagnostic::{Context, Result};
use crate::symbolize::ReportFilter;

/// How often a file is looked at that is followed.
const PAUSE: Duration = Duration::from_millis(100);

/// Prints what a guest in the background said
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example: oxk logs httpd -f")]
pub struct LogsArgs {
    /// The guest
    pub name: String,
    /// Go on until it ends
    #[arg(long, short)]
    pub follow: bool,
}

/// The verb.
pub fn run(args: &LogsArgs) -> Result<u8> {
    // Others may use the records meanwhile.
    let (guest, process) = Store::open()?.find(&args.name)?;
    let doing = format!("cannot read {}", guest.log.display());
    let mut file = File::open(&guest.log).context(&doing)?;
    let mut out = ReportFilter::new(Box::new(std::io::stdout()), &guest.dbg);
    let mut buffer = [0; 16 << 10];
    let mut ended = false;
    loop {
        match file.read(&mut buffer).context(&doing)? {
            0 => {
                let follow = args.follow && !ended;
                out.flush().context("cannot write")?;
                match &process {
                    Some(process) if follow => ended = process.ends_within(PAUSE),
                    _ => break,
                }
            }
            len => out.write_all(&buffer[..len]).context("cannot write")?,
        }
    }
    if (process.is_none() || ended)
        && let Some(end) = keep::read(&guest.end)
    {
        eprintln!("oxk: {} ended with exit code {}", guest.name, end.code);
    }
    Ok(0)
}
