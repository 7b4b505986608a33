//! The tool of Oxikraft: composes an application and the micro-libraries it needs into one image.
//!
//! The steps, each a module: [`manifest`] (what the user wants), [`mod@pool`] (what there is),
//! [`resolve`] (what goes in).
#![forbid(unsafe_code)]

pub mod diagnostic;
pub mod manifest;
pub mod option;
pub mod pool;
pub mod project;
pub mod resolve;
