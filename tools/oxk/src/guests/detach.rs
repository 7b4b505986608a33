//! `oxk run --detach`: starting a guest that goes on when this program ends.

use std::fs::File;
use std::time::Duration;

use super::process::Identity;
use super::{Guest, Store, keep, now, stop};
use crate::build::Image;
use crate::diagnostic::{Context, Result};
use crate::resolve::Resolution;
use crate::run::{EXIT_UNKNOWN, Launch, RunArgs};
use crate::symbolize::ReportFilter;

/// A guest that ends sooner than this did not run in the background at all.
const EARLY: Duration = Duration::from_millis(100);

/// Starts a guest and says what it is called; returns its exit code if it ended at once.
pub fn run(
    args: &RunArgs,
    resolution: &Resolution<'_>,
    image: &Image,
    mut launch: Launch,
) -> Result<u8> {
    let store = Store::open()?;
    let name = store.name(args.name.as_deref(), &resolution.manifest.name)?;
    let (log, end) = (store.log_path(&name), store.end_path(&name));
    for file in [&log, &end] {
        File::create(file).context(format!("cannot create {}", file.display()))?;
    }
    // What QEMU leaves there is wanted as long as the guest is known.
    let (code_file, monitor) = launch.keep_files()?.unzip();
    let helpers = launch.start_helpers()?;
    let pid = keep::spawn(&log, &end, code_file.as_deref(), launch.command())?;
    helpers.leave();
    let identity = pid.and_then(Identity::of);
    let guest = identity.map(|identity| Guest {
        name: name.clone(),
        platform: resolution.platform_name().to_owned(),
        image: image.path.clone(),
        dbg: image.dbg.clone(),
        identity,
        since: now(),
        log: log.clone(),
        end: end.clone(),
        code_file: code_file.clone(),
        monitor: monitor.clone().flatten(),
    });
    if let Some(guest) = &guest {
        store.add(guest)?;
    }
    // Others may use the records while this waits.
    drop(store);
    if guest.as_ref().and_then(Guest::process).is_some_and(|process| !process.ends_within(EARLY)) {
        println!("{name}");
        return Ok(0);
    }
    let how = keep::read(&end);
    let said = File::open(&log).context(format!("cannot read {}", log.display()))?;
    let mut out = ReportFilter::new(Box::new(std::io::stderr()), &image.dbg);
    std::io::copy(&mut &said, &mut out).context("cannot write")?;
    drop(out);
    let code = how.map_or(EXIT_UNKNOWN, |end| end.code);
    eprintln!("oxk: {name} ended at once, with exit code {code}");
    // All that it said has been said.
    match &guest {
        Some(guest) => stop::forget(guest)?,
        None => {
            let files = [Some(log), Some(end), code_file, monitor.flatten()];
            files.into_iter().flatten().for_each(|file| drop(std::fs::remove_file(file)));
        }
    }
    Ok(code)
}
