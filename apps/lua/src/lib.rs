//! Lua, from the sources that the crate `lua-src` carries, with a command line of its own,
//! `lua.c`. Cargo knows the folder by this crate, which is empty.
#![no_std]
#![forbid(unsafe_code)]
