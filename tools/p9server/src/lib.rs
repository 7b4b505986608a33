//! Shares a directory of the host over 9P2000.L, with clients that nobody trusts.
//!
//! ```
//! use p9::{Request, Response};
//! use p9server::{Access, Server};
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path();
//! let mut server = Server::new(path, Access::ReadOnly)?;
//! let mut request = [0; 64];
//! let hello = Request::Version { size: 65536, version: p9::VERSION };
//! let length = hello.encode(p9::NO_TAG, &mut request).unwrap();
//! let mut reply = [0; 256];
//! let length = server.handle(&request[..length], &mut reply);
//! let agreed = Response::Version { size: 65536, version: p9::VERSION };
//! assert_eq!(Response::decode(&reply[..length]), Ok((p9::NO_TAG, agreed)));
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! What is done with files does [`hostfs`]: from the shared directory on, one name at a time, with
//! no symbolic link ever followed, so that no request reaches what is outside. Here is what the
//! protocol adds: fids, of which a client has at most [`MAX_FIDS`], and numbers and lengths that
//! are checked. A request either is done or gets an error; none waits for another. Clients may not
//! make device files, whatever the rights of this process are: `EPERM`. Nor may they make programs
//! that others on the host run with the rights of this process: who asks for set-user-ID or
//! set-group-ID on what is no directory gets `EPERM`, and what is opened for writing or gets another
//! size loses them. A file that has them keeps them while only its other permissions change. Those of
//! somebody else's file, which this process may not change, the host takes at the first write, from
//! who does not have `CAP_FSETID`; who has it gets `EPERM` on opening.
#![forbid(unsafe_code)]

mod answer;
mod fids;
mod local;
mod locks;
mod names;
mod set_id;
mod transfer;

pub use answer::Server;
pub use fids::MAX_FIDS;
pub use local::Local;

/// What clients may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// What the process may.
    ReadWrite,
    /// Nothing that changes anything: `EROFS`.
    ReadOnly,
}
