//! The tool of Oxikraft: composes an application and the micro-libraries it needs into one image.
//!
//! The steps, each a module: [`manifest`] (what the user wants), [`mod@pool`] (what there is),
//! [`resolve`] (what goes in), [`generate`] (the root crate that wires it), [`build`] (compile,
//! link, strip), [`run`] (as a process or under [`qemu`]). Beside them stand the verbs that look
//! at the result: [`graph`], [`size`], [`bench`].
#![forbid(unsafe_code)]

pub mod archive;
pub mod bench;
pub mod build;
pub mod cli;
pub mod diagnostic;
pub mod disk;
pub mod generate;
pub mod graph;
pub mod guests;
pub mod handlers;
pub mod install;
pub mod layering;
pub mod libs;
pub mod lock;
pub mod manifest;
pub mod menu;
pub mod native;
pub mod net;
pub mod new;
pub mod option;
pub mod pool;
pub mod project;
pub mod qemu;
pub mod resolve;
pub mod rule;
pub mod run;
pub mod rustc;
pub mod share;
pub mod size;
pub mod symbolize;
pub mod syscalls;
pub mod tender;
pub mod test;
