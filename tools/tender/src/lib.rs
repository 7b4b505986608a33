//! The tender: our own virtual machine monitor for images of platform `hvt`, on `/dev/kvm`.
//!
//! It loads an image, builds page tables in which code cannot be written, data not run, and the
//! tables themselves not be reached, enters the image in 64-bit user mode, and does what the guest
//! asks for ([`hvt_abi::Call`]). There is no firmware, no interrupt controller and no emulated hardware; [devices] are
//! virtio's.
//! Whatever the guest writes is taken as hostile; before the guest runs, the tender gives up all
//! rights that it does not need.
//!
//! ```
//! use tender::elf::Image;
//!
//! // Anything may be called an image; what is none is refused.
//! let error = Image::read(&&b"#!/bin/sh"[..]).unwrap_err();
//! assert_eq!(error.to_string(), "it is not a 64-bit ELF file");
//! ```
//!
//! Unsafe code: the system calls that nobody wraps, signal handlers, and the constant bytes of the
//! kernel-mode stub.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

pub mod args;
mod calls;
mod confine;
mod console;
mod cpu;
mod debug;
pub mod devices;
pub mod elf;
pub mod error;
pub mod exercise;
mod guest;
mod kick;
pub mod layout;
mod machine;
pub mod memory;
pub mod paging;
mod report;
pub mod size;
mod start;
mod stats;
mod stub;
mod times;

use std::process::ExitCode;

use args::{Args, Command};

/// Exit code when the guest was not started.
pub const NOT_STARTED: u8 = 125;

/// The program.
pub fn main() -> ExitCode {
    let error = match Args::parse(std::env::args_os().skip(1)) {
        Ok(Command::Help) => {
            print!("{}", args::HELP);
            return ExitCode::SUCCESS;
        }
        Ok(Command::Run(args)) => match start::run(&args) {
            Err(error) => error,
            Ok(never) => match never {},
        },
        Err(error) => error,
    };
    eprintln!("tender: {error}");
    NOT_STARTED.into()
}
