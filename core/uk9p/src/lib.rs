//! Channels to 9P servers: what drivers implement and file systems use.
//!
//! ```
//! use uk9p::{Channel, ChannelError, Message};
//!
//! /// A server that answers each request with its first byte.
//! struct First;
//!
//! impl Channel for First {
//!     fn max_message(&self) -> usize {
//!         4096
//!     }
//!     fn exchange(&self, mut message: Message) -> Result<Message, ChannelError> {
//!         message.reply[0] = message.request[0];
//!         message.length = 1;
//!         Ok(message)
//!     }
//! }
//!
//! uk9p::register(b"share0", Box::new(First));
//! let channel = uk9p::channel(b"share0").expect("it was registered");
//! let message = Message { request: vec![7, 8], reply: vec![0; 16], length: 16 };
//! assert_eq!(channel.exchange(message)?.reply(), [7]);
//! # Ok::<(), ChannelError>(())
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use uklock::Mutex;

/// A request, and room for the reply. Both belong to the device while it works on them.
#[derive(Debug, Default)]
pub struct Message {
    /// The request, complete.
    pub request: Vec<u8>,
    /// Where the reply goes. It may be longer than any reply: whoever asks often need not clear it
    /// each time.
    pub reply: Vec<u8>,
    /// Bytes that the reply may have, at most those of `reply`; afterwards those that it has.
    pub length: usize,
}

impl Message {
    /// The reply, or room for it.
    pub fn reply(&self) -> &[u8] {
        &self.reply[..self.length.min(self.reply.len())]
    }

    /// Room for the reply.
    pub fn room(&mut self) -> &mut [u8] {
        let length = self.length.min(self.reply.len());
        &mut self.reply[..length]
    }
}

/// Why there is no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelError {
    /// The device does not work any more: it broke the rules.
    Broken,
    /// There is no memory.
    NoMemory,
    /// The request cannot be given to the device.
    BadMessage,
}

impl fmt::Display for ChannelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Broken => "the 9P device does not work any more",
            Self::NoMemory => "there is no memory for a 9P message",
            Self::BadMessage => "a message cannot be given to the 9P device",
        })
    }
}

impl core::error::Error for ChannelError {}

/// A way to a 9P server. Several threads may use it at a time.
pub trait Channel: Send + Sync {
    /// Bytes of a message at most, request or reply.
    fn max_message(&self) -> usize;

    /// Sends a request and waits for the reply.
    ///
    /// # Errors
    /// See [`ChannelError`].
    fn exchange(&self, message: Message) -> Result<Message, ChannelError>;
}

type Entry = (Box<[u8]>, &'static dyn Channel);

static CHANNELS: Mutex<Vec<Entry>> = Mutex::new(Vec::new());

/// Makes a channel known under the name that its device has, the *mount tag*. A driver calls this
/// once the device works. Of several with one tag the first is found.
pub fn register(tag: &[u8], channel: Box<dyn Channel>) {
    CHANNELS.lock().push((tag.into(), Box::leak(channel)));
}

/// The channel with this tag.
pub fn channel(tag: &[u8]) -> Option<&'static dyn Channel> {
    CHANNELS.lock().iter().find(|(name, _)| **name == *tag).map(|(_, channel)| *channel)
}
