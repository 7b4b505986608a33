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
    use std::os::unix::fs::PermissionsExt as _;

    use p9::{Data, Names, SetAttributes, set};

    use super::*;
    use crate::confine::{self, Confinement, Role};

    const EPERM: u32 = 1;
    /// O_WRONLY
    const WRITE_ONLY: u32 = 1;

    /// What `work` gives, in a process of its own: rights do not come back.
    fn in_child(work: impl FnOnce() -> u8) -> i32 {
        // SAFETY: the child makes no call that needs other threads.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            // SAFETY: ends the child.
            unsafe { libc::_exit(result.unwrap_or(u8::MAX).into()) };
        }
        let mut status = 0;
        // SAFETY: the status lives during the call.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert!(libc::WIFEXITED(status), "{status:#x}");
        libc::WEXITSTATUS(status)
    }

    fn error(share: &mut Share, request: p9::Request<'_>) -> Option<u32> {
        let (mut message, mut reply) = ([0; 256], [0; 256]);
        let tag = if matches!(request, p9::Request::Version { .. }) { p9::NO_TAG } else { 1 };
        let length = request.encode(tag, &mut message).ok()?;
        let length = share.server.handle(&message[..length], &mut reply);
        match p9::Response::decode(&reply[..length]) {
            Ok((_, p9::Response::Error { errno })) => Some(errno),
            _ => None,
        }
    }

    /// Fid 1 is the directory, 2 and 3 are files in it.
    fn connect(args: &ShareArgs) -> Share {
        let mut share = Share::open(args).unwrap();
        let (size, version, user_number) = (8192, p9::VERSION, 0);
        let walk = |new_fid, names| p9::Request::Walk { fid: 1, new_fid, names };
        for request in [
            p9::Request::Version { size, version },
            p9::Request::Attach { fid: 1, auth: p9::NO_FID, user: b"", tree: b"", user_number },
            walk(2, Names::List(&[b"written"])),
            walk(3, Names::List(&[b"resized"])),
        ] {
            assert_eq!(error(&mut share, request), None, "{request:?}");
        }
        share
    }

    /// The tender may write to files of others that it may not give other permissions. That they lose
    /// set-user-ID and set-group-ID is left to the kernel where it does that.
    #[test]
    fn files_of_others_are_written_to_and_lose_their_rights() {
        const OTHER: Option<u32> = Some(65534);
        let folder = tempfile::tempdir().unwrap();
        let files = ["written", "resized"].map(|name| folder.path().join(name));
        let mut are_others = true;
        for file in &files {
            std::fs::write(file, "text").unwrap();
            // Root alone can do that; everybody else has files of its own there.
            are_others &= std::os::unix::fs::chown(file, OTHER, OTHER).is_ok();
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o6777)).unwrap();
        }
        let path = folder.path().to_str().unwrap().to_owned();
        let args = ShareArgs { tag: "data".into(), path, read_only: false };
        let open = p9::Request::Lopen { fid: 2, flags: WRITE_ONLY };
        let write = p9::Request::Write { fid: 2, offset: 0, data: Data(b"w") };
        let to = SetAttributes {
            valid: set::SIZE,
            mode: 0,
            user: 0,
            group: 0,
            size: 1,
            accessed: 0,
            accessed_ns: 0,
            modified: 0,
            modified_ns: 0,
        };
        let resize = p9::Request::Setattr { fid: 3, to };
        if are_others {
            // From who has CAP_FSETID the kernel would not take them.
            let refused = in_child(|| {
                let mut share = connect(&args);
                let header = [0x2008_0522u32, 0];
                let sets = [1u32 << 4, 1 << 4, 0, 0, 0, 0];
                // SAFETY: header and sets are read.
                unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) };
                let errors = [open, resize].map(|request| error(&mut share, request));
                u8::from(errors == [Some(EPERM); 2])
            });
            assert_eq!(refused, 1);
        }
        let failed = in_child(|| {
            let mut share = connect(&args);
            let confined = confine::drop_rights(std::slice::from_ref(&args)).is_ok()
                && Confinement::On.enter(Role::Device, &share.calls()).is_ok();
            let errors = [open, write, resize].map(|request| error(&mut share, request));
            errors.iter().filter(|error| error.is_some()).count() as u8 + u8::from(!confined) * 10
        });
        assert_eq!(failed, 0, "requests, and 10 for what they were to be confined by");
        for (file, text) in files.iter().zip(["wext", "t"]) {
            assert_eq!(std::fs::read_to_string(file).unwrap(), text);
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o7777, 0o777, "{file:?}");
        }
    }

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
