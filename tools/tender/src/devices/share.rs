//! Directories of the host, shared by 9P. Virtio reserves the device (1.2, section 5.7); what it is like
//! says Linux's `include/uapi/linux/virtio_9p.h`.

use std::ffi::c_long;
use std::os::fd::RawFd;
use std::path::Path;
use std::str::FromStr;

use p9server::{Access, Server};
use virtio_bindings::virtio_ids::VIRTIO_ID_9P;

use super::{Broken, Device, Request};
use crate::confine::ANY;
use crate::error::Error;

/// The device has a mount tag.
const MOUNT_TAG: u64 = 1;
/// Bytes of a message at most.
const MAX_MESSAGE: usize = 1 << 20;
/// Bytes of a tag at most.
const MAX_TAG: usize = 64;

/// `--share TAG=DIR[,ro]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareArgs {
    /// The name that the guest knows it by.
    pub tag: String,
    /// The directory.
    pub path: String,
    /// Whether the guest can only read it.
    pub read_only: bool,
}

impl FromStr for ShareArgs {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (text, read_only) = match text.strip_suffix(",ro") {
            Some(text) => (text, true),
            None => (text.strip_suffix(",rw").unwrap_or(text), false),
        };
        match text.split_once('=') {
            Some((tag, path)) if !tag.is_empty() && tag.len() <= MAX_TAG && !path.is_empty() => {
                Ok(Self { tag: tag.to_owned(), path: path.to_owned(), read_only })
            }
            _ => {
                Err(format!("`{text}` is no shared directory, as in share0=data or share0=data,ro"))
            }
        }
    }
}

/// A shared directory.
#[derive(Debug)]
pub struct Share {
    server: Server,
    args: ShareArgs,
    /// Room for a request, and for the answer.
    request: Vec<u8>,
    reply: Vec<u8>,
}

impl Share {
    /// Opens the directory.
    ///
    /// # Errors
    /// [`Error::Share`].
    pub fn open(args: &ShareArgs) -> Result<Self, Error> {
        let access = if args.read_only { Access::ReadOnly } else { Access::ReadWrite };
        let server = Server::new(Path::new(&args.path), access)
            .map_err(|error| Error::Share(args.path.clone(), error.to_string()))?;
        Ok(Self { server, args: args.clone(), request: Vec::new(), reply: Vec::new() })
    }
}

/// At least `length` bytes of a buffer that grows when it must.
fn room(buffer: &mut Vec<u8>, length: usize) -> &mut [u8] {
    if buffer.len() < length {
        buffer.resize(length, 0);
    }
    &mut buffer[..length]
}

impl Device for Share {
    fn kind(&self) -> u32 {
        VIRTIO_ID_9P
    }

    fn name(&self) -> String {
        format!("share {}, {}", self.args.tag, self.args.path)
    }

    fn features(&self) -> u64 {
        MOUNT_TAG
    }

    fn queues(&self) -> &[u16] {
        &[128]
    }

    fn config(&self) -> Vec<u8> {
        let tag = self.args.tag.as_bytes();
        let mut config = (tag.len() as u16).to_le_bytes().to_vec();
        config.extend(tag);
        config
    }

    /// What the guest changes while it is read does no harm: the server has a copy.
    fn request(&mut self, _queue: usize, request: &mut Request) -> Result<u32, Broken> {
        if request.readable.len() > MAX_MESSAGE {
            return Err(Broken::Request("a message is longer than messages may be"));
        }
        let message = room(&mut self.request, request.readable.len());
        request.readable.read(message);
        let reply = room(&mut self.reply, request.writable.len().min(MAX_MESSAGE));
        let length = self.server.handle(message, reply);
        Ok(request.writable.write(&reply[..length]) as u32)
    }

    fn calls(&self) -> Vec<(c_long, RawFd)> {
        let calls = hostfs::SYSTEM_CALLS.iter().map(|call| *call as c_long);
        calls.chain([libc::SYS_sched_yield]).map(|call| (call, ANY)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let share = |text: &str| text.parse::<ShareArgs>().map(|s| (s.tag, s.path, s.read_only));
        assert_eq!(share("a=b=c,d,ro"), Ok(("a".into(), "b=c,d".into(), true)));
        assert_eq!(share("a=b"), Ok(("a".into(), "b".into(), false)));
        for wrong in ["", "a", "a=", "=b", &format!("{}=b", "a".repeat(65))] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_tag_is_in_the_registers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap().to_owned();
        let args = ShareArgs { tag: "data".into(), path, read_only: true };
        assert_eq!(Share::open(&args).unwrap().config(), b"\x04\0data");
        let gone = ShareArgs { path: "/nowhere".into(), ..args };
        let error = Share::open(&gone).unwrap_err().to_string();
        assert!(error.starts_with("cannot share the directory /nowhere"), "{error}");
    }
}
