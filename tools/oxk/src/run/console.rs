//! Where the console of an image is: the same on every platform, as all of them have it on standard
//! streams.

use std::fs::File;
use std::path::PathBuf;
use std::process::Stdio;

use super::quote;
use crate::diagnostic::{Context, Result};

/// Where input comes from, and output goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Console {
    /// Our own streams.
    #[default]
    Stdio,
    /// Nowhere: there is no input, and output is lost.
    None,
    /// To a file, which is made anew; there is no input.
    File(PathBuf),
}

/// Reads what was given; a file with the name of another choice is named with a folder, `./none`.
pub fn parse(text: &str) -> std::result::Result<Console, String> {
    match text {
        "" => Err("stdio, none or a file is needed".to_owned()),
        "stdio" => Ok(Console::Stdio),
        "none" => Ok(Console::None),
        file => Ok(Console::File(file.into())),
    }
}

/// What output goes to, when that is not our own.
#[derive(Debug)]
pub enum Sink {
    /// Nothing.
    Null,
    /// A file.
    File(File),
}

impl Console {
    /// What output goes to; `None` for our own.
    pub fn open(&self) -> Result<Option<Sink>> {
        match self {
            Self::Stdio => Ok(None),
            Self::None => Ok(Some(Sink::Null)),
            Self::File(path) => {
                let file = File::create(path);
                let file = file.context(format!("cannot write the console to {}", path.display()));
                Ok(Some(Sink::File(file?)))
            }
        }
    }

    /// The same for a shell.
    pub fn redirection(&self) -> String {
        match self {
            Self::Stdio => String::new(),
            Self::None => " </dev/null >/dev/null".to_owned(),
            Self::File(path) => format!(" </dev/null >{}", quote(&path.to_string_lossy())),
        }
    }
}

impl Sink {
    /// The file, once more: all write behind each other.
    pub fn file(&self) -> Result<Option<File>> {
        match self {
            Self::Null => Ok(None),
            Self::File(file) => Ok(Some(file.try_clone().context("cannot write the console")?)),
        }
    }

    /// For a process.
    pub fn stdio(&self) -> Result<Stdio> {
        Ok(self.file()?.map_or_else(Stdio::null, Stdio::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_files_are_told_apart() {
        assert_eq!(parse("stdio"), Ok(Console::Stdio));
        assert_eq!(parse("none"), Ok(Console::None));
        assert_eq!(parse("./none"), Ok(Console::File("./none".into())));
        assert!(parse("").is_err());
        let line = Console::File("it's".into()).redirection();
        assert_eq!(line, r" </dev/null >'it'\''s'");
    }
}
