//! The platform interface: the only thing a platform must give to the libraries above it.
//!
//! A platform crate implements [`Platform`]; the generated root crate of an image binds that one
//! type with [`bind!`]. Everybody else calls the free functions here. The binding is one constant
//! table, so that link-time optimisation turns each call into a direct, inlinable one.
//!
//! ```
//! // Under test the `host` platform is bound.
//! ukplat::println!("{} on {}", ukplat::name(), ukplat::arch());
//! let start = ukplat::monotonic_ns();
//! assert!(ukplat::monotonic_ns() >= start);
//! ```
//!
//! What schedulers are built on is here too: [`context`]s and switching between them,
//! [`preempt`]ion, [`stack`]s that crash reports know, several CPUs ([`cpu`]), and the
//! [`thread_pointer`].
//!
//! Unsafe code in this crate: the binding (one extern static), the cells that are filled
//! during boot, the functions whose callers promise something, accesses to registers of
//! [`device`]s, and what [`vm`] passes on.
#![cfg_attr(not(feature = "host"), no_std)]

pub mod boot;
#[cfg(feature = "cpu-time")]
pub mod busy;
mod cells;
pub mod clock;
pub mod cmdline;
pub mod console;
pub mod context;
pub mod cpu;
pub mod device;
pub mod exit;
pub mod fault;
#[cfg(feature = "host")]
pub mod host;
pub mod irq;
mod local;
pub mod memory;
mod platform;
pub mod preempt;
pub mod report;
pub mod rights;
pub mod stack;
pub mod stop;
pub mod syscall;
pub mod vm;
mod wall;

pub use boot::{BootInfo, InitError, parse_size};
pub use cells::{StaticRef, StrCell};
pub use console::Stream;
pub use context::Context;
pub use cpu::{
    CpuError, PerCpu, cpu_count, cpu_id, cpu_interrupt, cpu_start, cpu_started, on_cpu_interrupt,
    tlb_flush_others,
};
pub use exit::Exit;
pub use local::{WORDS, Word};
pub use memory::{MemoryKind, MemoryMap, MemoryRegion};
pub use platform::{
    Platform, PlatformTable, arch, backtrace, console_ended, console_read, console_write, entropy,
    idle_until, monotonic_ns, name, relax, set_thread_pointer, terminate, thread_pointer, ticks,
    ticks_to_ns, timer_arm, timer_on_expiry,
};
pub use wall::{WallSet, on_wall_set, set_wall_ns, wall_ns};
