//! The command line.

use std::ffi::OsString;

use netcard::Card;

use crate::devices::{DiskArgs, ShareArgs};
use crate::error::Error;
use crate::layout::MAX_MEMORY;
use crate::size;

/// What `--help` prints.
pub const HELP: &str = "\
Runs an image for hvt in a virtual machine of its own

Usage: tender [OPTIONS] IMAGE [WORD…]

Words are the image's command line: parameters, `--`, arguments; without `--` all are arguments.
The exit code is the guest's; 125 says that it was not started.

Options:
  -m, --memory SIZE      memory of the guest [64M]
  -c, --cpus N           its CPUs [1]
      --initrd FILE      initial ram disk
      --disk FILE[,ro]   a file or block device as disk of the guest; with ,ro it can only read it
      --share TAG=DIR[,ro]  a directory that the guest finds under this name; with ,ro it can only read it
      --net KIND         a network card: user[,tcp=[ADDRESS:]HOST:GUEST][,udp=…] (by passt),
                         tap=NAME, socket=PATH, or fd=NUMBER of an open stream; [,mac=ADDRESS]
      --share-pages      have all pages of the image that are never written to in common with its
                         other guests; the first 64 KiB are copied otherwise, with which a guest
                         on a KVM without two levels of page tables takes half the faults
      --fixed-addresses  the same addresses at every start, those in the image's debug information
      --gdb PORT         wait for gdb on this port before the first instruction, at fixed
                         addresses; 0 is any free port
      --unconfined       leave the monitor its rights: for debugging it
      --times            print when the start reached what, and what KVM counted
  -h, --help             print this
";

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Print the help.
    Help,
    /// Run a guest.
    Run(Args),
}

/// How to run a guest.
#[derive(Debug, PartialEq, Eq)]
pub struct Args {
    /// Path of the image.
    pub image: String,
    /// Words of the command line.
    pub words: Vec<String>,
    /// Bytes of memory.
    pub memory: u64,
    /// CPUs.
    pub cpus: usize,
    /// Path of the initial ram disk.
    pub initrd: Option<String>,
    /// Disks, in the order of their names.
    pub disks: Vec<DiskArgs>,
    /// Shared directories.
    pub shares: Vec<ShareArgs>,
    /// Network cards.
    pub nets: Vec<Card>,
    /// No copies of what the guest cannot write to.
    pub share_pages: bool,
    /// No randomised addresses.
    pub fixed_addresses: bool,
    /// The port to wait for gdb on.
    pub gdb: Option<u16>,
    /// No confinement.
    pub unconfined: bool,
    /// Print times.
    pub times: bool,
}

fn wrong(what: impl Into<String>) -> Error {
    Error::Arguments(what.into())
}

impl Args {
    /// Reads the words behind the program's name.
    ///
    /// # Errors
    /// [`Error::Arguments`].
    pub fn parse(words: impl Iterator<Item = OsString>) -> Result<Command, Error> {
        let words: Result<Vec<String>, OsString> = words.map(OsString::into_string).collect();
        let not_text = |word: OsString| wrong(format!("{} is not UTF-8", word.display()));
        let mut words = words.map_err(not_text)?.into_iter();
        let mut args = Self {
            image: String::new(),
            words: Vec::new(),
            memory: 64 << 20,
            cpus: 1,
            initrd: None,
            disks: Vec::new(),
            shares: Vec::new(),
            nets: Vec::new(),
            share_pages: false,
            fixed_addresses: false,
            gdb: None,
            unconfined: false,
            times: false,
        };
        loop {
            let Some(word) = words.next() else { return Err(wrong("the image is missing")) };
            let (name, mut attached) = match word.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
                _ => (word.as_str(), None),
            };
            let mut value = || {
                let value = attached.take().or_else(|| words.next());
                value.ok_or_else(|| wrong(format!("{name} needs a value")))
            };
            match name {
                "-h" | "--help" => return Ok(Command::Help),
                "-m" | "--memory" => {
                    let text = value()?;
                    let size = size::parse(&text).filter(|size| *size <= MAX_MEMORY);
                    args.memory = size.ok_or_else(|| {
                        wrong(format!("`{text}` is not a size up to {}", size::format(MAX_MEMORY)))
                    })?;
                }
                "-c" | "--cpus" => {
                    let text = value()?;
                    let cpus = text.parse().ok().filter(|n| (1..=hvt_abi::MAX_CPUS).contains(n));
                    args.cpus = cpus.ok_or_else(|| {
                        wrong(format!("`{text}` is not a number from 1 to {}", hvt_abi::MAX_CPUS))
                    })?;
                }
                "--initrd" => args.initrd = Some(value()?),
                "--disk" => {
                    let Ok(disk) = value()?.parse();
                    args.disks.push(disk);
                }
                "--share" => {
                    args.shares.push(value()?.parse().map_err(|what: String| wrong(what))?)
                }
                "--net" => args.nets.push(value()?.parse().map_err(|what: String| wrong(what))?),
                "--share-pages" => args.share_pages = true,
                "--fixed-addresses" => args.fixed_addresses = true,
                "--gdb" => {
                    let text = value()?;
                    let port = text.parse().map_err(|_| wrong(format!("`{text}` is not a port")));
                    args.gdb = Some(port?);
                }
                "--unconfined" => args.unconfined = true,
                "--times" => args.times = true,
                "--" => {
                    args.image = words.next().ok_or_else(|| wrong("the image is missing"))?;
                    break;
                }
                _ if word.starts_with('-') => return Err(wrong(format!("unknown option {name}"))),
                _ => {
                    args.image = word;
                    break;
                }
            }
            if attached.is_some() {
                return Err(wrong(format!("{name} takes no value")));
            }
        }
        args.words = words.collect();
        if args.words.iter().any(|word| word.contains('\0')) {
            return Err(wrong("a word contains a zero byte"));
        }
        Ok(Command::Run(args))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, String> {
        let words = line.split(' ').filter(|w| !w.is_empty()).map(OsString::from);
        Args::parse(words).map_err(|e| e.to_string())
    }

    #[test]
    fn options_end_at_the_image() {
        let Ok(Command::Run(args)) =
            parse("-m 8M --cpus=2 --disk=a,ro --disk b,c --times img --memory 1 -- x")
        else {
            panic!("is understood")
        };
        assert_eq!((args.memory, args.cpus, args.image.as_str()), (8 << 20, 2, "img"));
        assert_eq!(args.words, ["--memory", "1", "--", "x"]);
        assert!(args.times && !args.unconfined);
        let disk = |path: &str, read_only| DiskArgs { path: path.into(), read_only };
        assert_eq!(args.disks, [disk("a", true), disk("b,c", false)]);
        assert_eq!(parse("img --help").map(|c| c == Command::Help), Ok(false));
        assert_eq!(parse("-h"), Ok(Command::Help));
    }

    #[test]
    fn wrong_lines_say_what_is_wrong() {
        for (line, cause) in [
            ("", "the image is missing"),
            ("--", "the image is missing"),
            ("-m", "-m needs a value"),
            ("-m big img", "`big` is not a size"),
            ("-m 9999999G img", "`9999999G` is not a size"),
            ("--cpus 0 img", "`0` is not a number from 1 to 64"),
            ("--cpus=65 img", "`65` is not a number"),
            ("--gdb 70000 img", "`70000` is not a port"),
            ("--colour img", "unknown option --colour"),
            ("--share data img", "`data` is no shared directory"),
            ("--net wifi img", "`wifi` is none of user"),
            ("--times=yes img", "--times takes no value"),
        ] {
            let said = parse(line).unwrap_err();
            assert!(said.starts_with(cause) && said.contains("tender --help"), "{line}: {said}");
        }
    }
}
