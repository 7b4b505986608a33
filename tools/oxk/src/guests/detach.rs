//! `oxk run --detach`: starting a guest that goes on when this program ends.

use std::fs::File;
use std::time::Duration;

use super::process::{Identity, Process};
use super::{Guest, Store, now, stop};
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
    let guest = Identity::of(pid).map(|identity| Guest {
        name: name.clone(),
        platform: resolution.platform_name().to_owned(),
        image: image.path.clone(),
        dbg: image.dbg.clone(),
        identity,
        since: now(),
        log: log.clone(),
        code_file: detached.code_file.clone(),
    });
    if let Some(guest) = &guest {
        store.add(guest)?;
    }
    // Others may use the records while this waits.
    drop(store);
    if guest.is_some() && !process.ends_within(EARLY) {
        println!("{name}");
        return Ok(0);
    }
    let said = File::open(&log).context(format!("cannot read {}", log.display()))?;
    let mut out = ReportFilter::new(Box::new(std::io::stderr()), &image.dbg);
    std::io::copy(&mut &said, &mut out).context("cannot write")?;
    drop(out);
    let code = detached.code()?;
    eprintln!("oxk: {name} ended at once, with exit code {code}");
    // All that it said has been said.
    match &guest {
        Some(guest) => stop::forget(guest)?,
        None => std::fs::remove_file(&log).context(format!("cannot remove {}", log.display()))?,
    }
    Ok(code)
}
