//! `oxk stop`: ending guests.

use std::time::Duration;

use super::{Guest, Store, keep};
use crate::diagnostic::{Diagnostic, Result};
use crate::run::asking::Asking;
use crate::run::{GRACE, seconds};

/// Stops guests that run in the background, and forgets those that have ended
///
/// A guest is asked to shut down in order; one that does not in time is ended.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:\n  oxk stop httpd\n  oxk stop --all --grace 0.5")]
pub struct StopArgs {
    /// The guests
    #[arg(required_unless_present = "all")]
    pub names: Vec<String>,
    /// All of them
    #[arg(long, conflicts_with = "names")]
    pub all: bool,
    /// Seconds a guest has to shut down
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value_t = GRACE.as_secs_f64())]
    pub grace: f64,
}

/// The verb.
pub fn run(args: &StopArgs) -> Result<u8> {
    let grace = Duration::try_from_secs_f64(args.grace)
        .map_err(|e| Diagnostic::new(format!("`--grace {}`: {e}", args.grace)))?;
    let guests = {
        let store = Store::open()?;
        if args.all {
            store.guests()?
        } else {
            args.names.iter().map(|name| store.find(name)).collect::<Result<_>>()?
        }
    };
    // All are asked before any is waited for.
    let asked: Vec<_> = guests
        .iter()
        .map(|(guest, process)| {
            let ask = |process| Asking::to_end(process, guest.monitor.as_deref());
            (guest, process.as_ref().map(ask))
        })
        .collect();
    for (guest, asked) in asked {
        let end = match asked {
            None => "had ended",
            Some(mut asked) => {
                if asked.ends_within(grace) {
                    "stopped"
                } else {
                    asked.kill();
                    // The kernel does not take long, but longer than no time.
                    asked.ends_within(GRACE);
                    "did not stop in time and was ended"
                }
            }
        };
        let code = keep::read(&guest.end).map(|end| format!(", exit code {}", end.code));
        println!("{} {end}{}", guest.name, code.unwrap_or_default());
        forget(guest)?;
    }
    Ok(0)
}

/// Forgets the guest, unless another has its name by now.
pub(super) fn forget(guest: &Guest) -> Result<()> {
    let store = Store::open()?;
    if store.guests()?.iter().any(|(other, _)| other == guest) {
        store.forget(guest);
    }
    Ok(())
}
