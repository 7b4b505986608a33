//! Disks that the host's tools make and check, and one that remembers what was written to it.
#![allow(dead_code, reason = "each of the tests uses a part of it")]

pub mod alike;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, Once};

use ext4::{Ext4, Source};
use ukblkdev::BlockError;
use vfs::{Context, Location, Mount, MountFlags};

/// A program of e2fsprogs, wherever it is.
pub fn tool(name: &str) -> Command {
    let mut command = Command::new(name);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin")).stdin(Stdio::null());
    command.env("E2FSPROGS_LIBMAGIC_SUPPRESS", "1");
    command
}

/// Whether the programs are here. Where not, says so past the test harness, which hides what
/// passing tests print.
pub fn tools() -> bool {
    static TOLD: Once = Once::new();
    let programs = ["mke2fs", "debugfs", "e2fsck"];
    let here = programs.iter().all(|name| tool(name).arg("-V").output().is_ok());
    if !here {
        TOLD.call_once(|| {
            let text = "\nNOT TESTED: ext4 on disks, for which mke2fs, debugfs and e2fsck (e2fsprogs) are needed.\n";
            let _ = std::io::stderr().write_all(text.as_bytes());
        });
    }
    here
}

/// A disk that `mke2fs` made.
pub fn make(options: &[&str], size: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    let mut command = tool("mke2fs");
    let output = command.args(["-q", "-F"]).args(options).arg(&image).arg(size).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    std::fs::read(image).unwrap()
}

fn e2fsck(image: &Path, options: &[&str]) -> (Option<i32>, String) {
    let output = tool("e2fsck").args(options).arg(image).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

/// Whether `e2fsck` has nothing to say against a disk, whose journal nobody needs.
pub fn check(bytes: &[u8]) -> Result<(), String> {
    // `EXT4_FEATURE_INCOMPAT_RECOVER`, of which `e2fsck -n` says nothing.
    if bytes[1024 + 0x60] & 4 != 0 {
        return Err("its journal has to be replayed".to_owned());
    }
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    std::fs::write(&image, bytes).unwrap();
    match e2fsck(&image, &["-fn"]) {
        (Some(0), _) => Ok(()),
        (_, text) => Err(text),
    }
}

/// The disk after `e2fsck` has replayed its journal, and deleted what was open; it must have nothing
/// else to say.
pub fn check_after_replay(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    std::fs::write(&image, bytes).unwrap();
    let (code, text) = e2fsck(&image, &["-p"]);
    if !matches!(code, Some(0 | 1)) {
        return Err(text);
    }
    match e2fsck(&image, &["-fn"]) {
        (Some(0), _) => Ok(std::fs::read(image).unwrap()),
        (_, more) => Err(text + &more),
    }
}

/// The disk after `e2fsck` has made the trees of its directories anew.
pub fn optimize(bytes: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    std::fs::write(&image, bytes).unwrap();
    let (code, text) = e2fsck(&image, &["-fyD"]);
    assert!(matches!(code, Some(0 | 1)), "{text}");
    std::fs::read(image).unwrap()
}

/// What `debugfs` makes of a disk, and what it says.
pub fn debugfs(disk: &[u8], commands: &[&str]) -> (Vec<u8>, String) {
    let folder = tempfile::tempdir().unwrap();
    let (image, script) = (folder.path().join("image"), folder.path().join("script"));
    std::fs::write(&image, disk).unwrap();
    std::fs::write(&script, commands.join("\n") + "\n").unwrap();
    let output = tool("debugfs").arg("-w").arg("-f").arg(script).arg(&image).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (std::fs::read(image).unwrap(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What was done to a disk.
#[derive(Clone, Debug)]
pub enum Event {
    Write(usize, Vec<u8>),
    Flush,
    /// A flush that failed: what was written since the last one never arrives.
    Lost,
}

/// What can fail once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Read,
    Write,
    Flush,
    /// A write for which there is no memory: the disk is well.
    Memory,
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    events: Vec<Event>,
    records: bool,
    /// Writes that are done before all fail.
    left: Option<usize>,
    /// What fails once, after so many that do not.
    fault: Option<(Fault, usize)>,
    /// Bytes of a block of the device, unless 512.
    block_size: Option<u32>,
    reads: usize,
}

impl State {
    fn try_to(&mut self, what: Fault) -> Result<(), BlockError> {
        match &mut self.fault {
            Some((fault, 0)) if *fault == what => {
                self.fault = None;
                Err(if what == Fault::Memory { BlockError::OutOfMemory } else { BlockError::Io })
            }
            Some((fault, left)) if *fault == what => {
                *left -= 1;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct Recorder(Arc<Mutex<State>>);

impl Recorder {
    pub fn new(bytes: Vec<u8>) -> Self {
        let disk = Self::default();
        disk.0.lock().unwrap().bytes = bytes;
        disk
    }

    pub fn record(&self) {
        self.0.lock().unwrap().records = true;
    }

    pub fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap().events.clone()
    }

    /// How many events there are.
    pub fn count(&self) -> usize {
        self.0.lock().unwrap().events.len()
    }

    pub fn content(&self) -> Vec<u8> {
        self.0.lock().unwrap().bytes.clone()
    }

    /// All but that many writes fail.
    pub fn fail_after(&self, writes: usize) {
        self.0.lock().unwrap().left = Some(writes);
    }

    /// Lets something fail once, after so many that do not.
    pub fn fail_once(&self, what: Fault, after: usize) {
        self.0.lock().unwrap().fault = Some((what, after));
    }

    /// How often it was read.
    pub fn reads(&self) -> usize {
        self.0.lock().unwrap().reads
    }

    /// Whether what was to fail has failed.
    pub fn has_failed(&self) -> bool {
        self.0.lock().unwrap().fault.is_none()
    }

    pub fn set_block_size(&self, bytes: u32) {
        self.0.lock().unwrap().block_size = Some(bytes);
    }

    /// What is left when all that was not flushed is lost.
    pub fn without_power(&self, start: &[u8]) -> Vec<u8> {
        let (mut disk, mut waiting) = (start.to_vec(), Vec::new());
        for event in self.events() {
            match event {
                Event::Write(at, bytes) => waiting.push((at, bytes)),
                Event::Lost => waiting.clear(),
                Event::Flush => waiting.drain(..).for_each(|(at, bytes): (usize, Vec<u8>)| {
                    disk[at..at + bytes.len()].copy_from_slice(&bytes);
                }),
            }
        }
        disk
    }

    pub fn mount(&self) -> (Arc<Ext4>, Context) {
        let fs = Ext4::writable(Box::new(self.clone()), &mut |why| panic!("{why}")).unwrap();
        (fs.clone(), mounted(fs))
    }
}

pub fn mounted(fs: Arc<Ext4>) -> Context {
    Context::new(Location::root_of(Mount::new(fs, b"blk0", MountFlags::empty()).unwrap()))
}

impl Source for Recorder {
    fn bytes(&self) -> u64 {
        self.0.lock().unwrap().bytes.len() as u64
    }

    fn read(&self, at: u64, into: &mut [u8]) -> Result<(), BlockError> {
        let mut state = self.0.lock().unwrap();
        state.try_to(Fault::Read)?;
        state.reads += 1;
        let bytes = state.bytes.get(at as usize..).and_then(|rest| rest.get(..into.len()));
        into.copy_from_slice(bytes.ok_or(BlockError::OutOfRange)?);
        Ok(())
    }

    fn block_size(&self) -> u32 {
        self.0.lock().unwrap().block_size.unwrap_or(512)
    }

    fn is_read_only(&self) -> bool {
        false
    }

    fn write(&self, at: u64, bytes: &[u8]) -> Result<(), BlockError> {
        let whole = at.is_multiple_of(1024) && bytes.len().is_multiple_of(1024);
        assert!(whole, "whole blocks: {at}, {}", bytes.len());
        let mut state = self.0.lock().unwrap();
        state.try_to(Fault::Write)?;
        state.try_to(Fault::Memory)?;
        if let Some(left) = &mut state.left {
            *left = left.checked_sub(1).ok_or(BlockError::Io)?;
        }
        let at = at as usize;
        let place = state.bytes.get_mut(at..).and_then(|rest| rest.get_mut(..bytes.len()));
        place.ok_or(BlockError::OutOfRange)?.copy_from_slice(bytes);
        if state.records {
            state.events.push(Event::Write(at, bytes.to_vec()));
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), BlockError> {
        let mut state = self.0.lock().unwrap();
        let result = state.try_to(Fault::Flush);
        if state.records {
            state.events.push(if result.is_ok() { Event::Flush } else { Event::Lost });
        }
        result
    }
}
