//! The tool of Oxikraft: composes an application and the micro-libraries it needs into one image.
//!
//! The steps, each a module: [`manifest`] (what the user wants), [`mod@pool`] (what there is),
//! [`resolve`] (what goes in), [`generate`] (the root crate that wires it), [`build`] (compile,
//! link, strip), [`run`] (as a process or under [`qemu`]).
#![forbid(unsafe_code)]

pub mod build;
pub mod cli;
pub mod diagnostic;
pub mod generate;
pub mod layering;
pub mod manifest;
pub mod option;
pub mod pool;
pub mod project;
pub mod qemu;
pub mod resolve;
pub mod run;
pub mod symbolize;
