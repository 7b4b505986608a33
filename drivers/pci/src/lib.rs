//! PCI Express functions: finding them, their capabilities, registers (BARs) and interrupts (MSI-X).
//!
//! Firmware and virtual machines have placed all registers before an image starts; this crate reads
//! where, and moves nothing. What it reads is not trusted: chains of capabilities end, registers
//! that would lie in memory are not mapped.
//!
//! ```
//! use std::sync::atomic::AtomicU64;
//! use ukpci::{Function, Place};
//! use ukplat::device::Registers;
//!
//! // Plain memory stands for a function's configuration space.
//! let memory: &'static [AtomicU64] = Box::leak((0..512).map(|_| AtomicU64::new(0)).collect());
//! let config = Registers::over(memory);
//! config.write32(0, 0x1042_1af4);
//! let function = Function::new(config, Place { bus: 0, device: 3, function: 0 }).expect("it is there");
//! assert_eq!((function.vendor(), function.device()), (0x1af4, 0x1042));
//! assert_eq!(function.place().to_string(), "00:03.0");
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod bus;
mod function;
mod msix;

pub use bus::functions;
pub use function::{Capability, Function, Place};
pub use msix::Msix;

#[cfg(test)]
mod tests;
