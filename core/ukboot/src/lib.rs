//! The boot sequence: phases in the order of their dependencies, `main`, shutdown in reverse.
//!
//! The platform's entry code calls [`run`] with what it knows of the machine; the generated root
//! crate supplies the [`Image`]. The order of the phases is computed by `oxk` from the libraries'
//! metadata (`oxk graph --boot` prints it).
//!
//! ```no_run
//! static IMAGE: ukboot::Image = ukboot::Image {
//!     name: "example",
//!     libraries: &[],
//!     phases: &[],
//!     default_arguments: &[],
//!     main: |arguments| ukboot::Termination::exit_code(println(arguments)),
//! };
//! fn println(arguments: &[&str]) {
//!     ukplat::println!("{} arguments", arguments.len());
//! }
//! # static BOOT: ukplat::BootInfo =
//! #     ukplat::BootInfo::EMPTY;
//! ukboot::run(&BOOT, &IMAGE)
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod panic;
mod termination;
mod trace;

use core::fmt;

use ukplat::{BootInfo, Exit, InitError, StaticRef};

pub use panic::panic;
pub use termination::Termination;
pub use trace::boot_ns;

/// Parameter `ukboot.trace`.
pub static TRACE: ukparam::Bool = ukparam::Bool::new();

/// A micro-library of the image.
#[derive(Debug)]
pub struct Library {
    /// Name of the crate.
    pub name: &'static str,
    /// Version of the crate.
    pub version: &'static str,
}

/// A step of the boot sequence.
#[derive(Debug)]
pub struct Phase {
    /// Name, unique in the image.
    pub name: &'static str,
    /// The library it belongs to.
    pub library: &'static str,
    /// Runs it.
    pub init: fn(&'static BootInfo) -> Result<(), InitError>,
    /// Undoes it at shutdown.
    pub fini: Option<fn()>,
}

/// What the image is made of; written by the generated root crate.
pub struct Image {
    /// Name of the application.
    pub name: &'static str,
    /// The micro-libraries inside, each after those it depends on.
    pub libraries: &'static [Library],
    /// Boot phases in order.
    pub phases: &'static [Phase],
    /// Arguments of `main` when the command line has none.
    pub default_arguments: &'static [&'static str],
    /// The application; returns the exit code.
    pub main: fn(&'static [&'static str]) -> u8,
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image").field("name", &self.name).finish_non_exhaustive()
    }
}

static RUNNING: StaticRef<Image> = StaticRef::new();

/// The image that is running; `None` before [`run`].
pub fn image() -> Option<&'static Image> {
    RUNNING.get()
}

/// Boots: runs the phases, `main`, then what phases want undone, and ends with the exit code.
///
/// A phase that fails ends the image with [`Exit::Boot`] after undoing the phases before it.
pub fn run(boot: &'static BootInfo, image: &'static Image) -> ! {
    BootInfo::publish(boot);
    RUNNING.set(image);
    trace::record(0);
    for (index, phase) in image.phases.iter().enumerate() {
        if let Err(error) = (phase.init)(boot) {
            ukplat::eprintln!(
                "boot failed in phase {} of {}: {}",
                phase.name,
                phase.library,
                error
            );
            shut_down(&image.phases[..index]);
            ukplat::terminate(Exit::Boot);
        }
        trace::record(index + 1);
    }
    ukplat::stop::on_request(|| exit(ukplat::stop::EXIT_CODE));
    trace::record_main(boot);
    if TRACE.get() {
        trace::print(boot, image);
    }
    let arguments = match boot.arguments() {
        [] => image.default_arguments,
        arguments => arguments,
    };
    exit((image.main)(arguments))
}

/// Boot phase `irq`: from here on interrupts are handled.
///
/// # Errors
/// None.
pub fn init_irq(_boot: &'static BootInfo) -> Result<(), InitError> {
    ukplat::irq::enable();
    Ok(())
}

/// Ends the image from anywhere: shuts down in order and passes `code` to the outside.
pub fn exit(code: u8) -> ! {
    shut_down(image().map_or(&[], |image| image.phases));
    ukplat::terminate(Exit::Code(code))
}

fn shut_down(phases: &[Phase]) {
    for fini in phases.iter().rev().filter_map(|p| p.fini) {
        fini();
    }
}
