//! The x86-64 architecture: registers, traps, system calls by instruction, page tables, contexts, memory functions, call chains.
//!
//! ```
//! // Call chains follow frame pointers; this crate's memory functions and trap entries are
//! // assembly that the root crate of an image pulls in.
//! assert_ne!(ukarch_x86_64::backtrace::frame_pointer(), 0);
//! ```
#![cfg_attr(not(test), no_std)]

pub mod backtrace;
pub mod context;
pub mod fault;
pub mod lapic;
pub mod local;
pub mod mem;
pub mod page_table;
pub mod random;
pub mod regs;
pub mod segment;
pub mod syscall;
pub mod trap;
pub mod vector;
