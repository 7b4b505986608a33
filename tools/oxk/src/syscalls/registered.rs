//! The handlers in the pool, with their numbers.

use super::Numbers;
use crate::diagnostic::{Diagnostic, Result};
use crate::handlers;
use crate::pool::{Pool, SHIM};

/// A registered handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handler {
    /// Number of the call.
    pub number: u16,
    /// Its name.
    pub name: String,
    /// The library with the handler.
    pub library: String,
    /// The first paragraph of its documentation.
    pub help: String,
}

/// All handlers of the pool, by number; calls that several libraries handle are there several times.
pub fn registered(pool: &Pool, numbers: &Numbers) -> Result<Vec<Handler>> {
    let mut handlers = Vec::new();
    for library in pool.libraries().filter(|l| l.dependencies.iter().any(|d| d == SHIM)) {
        for found in handlers::of(&library.dir)? {
            let number = found.number.or_else(|| numbers.number(&found.name));
            let number = number.ok_or_else(|| {
                Diagnostic::new(format!("there is no number for the call {}", found.name))
                    .help(format!("it is registered in {}", found.file.display()))
            })?;
            handlers.push(Handler {
                number,
                name: found.name,
                library: library.name.clone(),
                help: found.help,
            });
        }
    }
    handlers.sort_by(|a, b| (a.number, &a.library).cmp(&(b.number, &b.library)));
    Ok(handlers)
}
