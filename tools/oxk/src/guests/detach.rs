//! `oxk run --detach`: starting a guest that goes on when this program ends.

use std::fs::File;
use std::time::Duration;

use super::process::{Identity, Process};
use super::{Guest, Store, now};
use crate::build::Image;
use crate::diagnostic::{Context, Result};
use crate::resolve::Resolution;
use crate::run::{Launch, RunArgs};
use crate::symbolize::ReportFilter;

/// A guest that ends sooner than this did not run in the background at all.
const EARLY: Duration = Duration::from_millis(100);

/// Starts a guest and says what it is called; returns its exit code if it ended at once.
pub fn run(
    args: &RunArgs,
    resolution: &Resolution<'_>,
    image: &Image,
    launch: Launch,
) -> Result<u8> {
    let store = Store::open()?;
    let name = store.name(args.name.as_deref(), &resolution.manifest.name)?;
    let log = store.log_path(&name);
    let file = File::create(&log).context(format!("cannot create {}", log.display()))?;
    let mut detached = launch.detach(file)?;
    let process = Process::of_child(&detached.child)?;
    let pid = detached.child.id();
    let ended_early = match Identity::of(pid) {
        Some(identity) => {
            store.add(&Guest {
                name: name.clone(),
                platform: resolution.platform_name().to_owned(),
                image: image.path.clone(),
                dbg: image.dbg.clone(),
                identity,
                since: now(),
                log: log.clone(),
                code_file: detached.code_file.clone(),
            })?;
            // Others may use the records while this waits.
            drop(store);
            process.ends_within(EARLY)
        }
        None => true,
    };
    if !ended_early {
        println!("{name}");
        return Ok(0);
    }
    let said = File::open(&log).context(format!("cannot read {}", log.display()))?;
    let mut out = ReportFilter::new(Box::new(std::io::stderr()), &image.dbg);
    std::io::copy(&mut &said, &mut out).context("cannot write")?;
    drop(out);
    let code = detached.code()?;
    eprintln!("oxk: {name} ended at once, with exit code {code}");
    Ok(code)
}
