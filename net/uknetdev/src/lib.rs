//! Network devices: what drivers implement, and what network stacks use, or applications that want
//! no stack.
//!
//! A driver implements [`NetDevice`] and [registers](register) what it finds. Everybody else uses
//! [`Interface`]s: who [takes](Interface::queue) a [`Queue`] has it alone, and sends and receives
//! Ethernet frames in bursts, without a lock of its own and without copying. A frame is a [`NetBuf`],
//! memory of its owner: a received one stays with the application as long as it likes, and room in
//! front of a frame takes the headers that lower layers add.
//!
//! A queue is polled. When there is nothing to do, [`Queue::wait`] has the device interrupt, once;
//! so a busy queue is never interrupted, and an idle one costs nothing.
//!
//! ```
//! use uknetdev::{Burst, EtherType, Interest, Mac, model};
//!
//! // Two devices with a wire between them.
//! let (near, far) = model::pair();
//! let near = uknetdev::register(Box::new(near));
//! let far = uknetdev::register(Box::new(far));
//! let (mut near, mut far) = (near.queue(0)?, far.queue(0)?);
//!
//! let mut frame = near.buffer()?;
//! frame.extend(5).expect("there is room").copy_from_slice(b"hello");
//! let (to, from) = (Mac::BROADCAST, near.interface().info().mac);
//! uknetdev::put_header(&mut frame, to, from, EtherType(0x88b5))?;
//! let mut burst = Burst::new(16)?;
//! burst.push(frame).expect("it is empty");
//! near.transmit(&mut burst)?;
//!
//! assert!(far.wait(Interest::Frames, u64::MAX), "it has arrived");
//! far.receive(&mut burst)?;
//! let frame = burst.pop().expect("the frame");
//! assert_eq!(frame[14..], *b"hello");
//! far.recycle(frame);
//! # Ok::<(), uknetdev::NetError>(())
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod burst;
mod device;
mod error;
mod ethernet;
mod interface;
#[cfg(feature = "model")]
pub mod model;
mod netbuf;
mod queue;
mod registry;
mod stats;

pub use burst::Burst;
pub use device::{Info, Interest, Link, NetDevice};
pub use error::NetError;
pub use ethernet::{EtherType, HEADER_LEN, Mac, NoMac, put_header, read_header};
pub use interface::Interface;
pub use netbuf::{MAX_PIECES, NetBuf};
pub use queue::{Mode, Queue};
pub use registry::{interface, interfaces, register};
pub use stats::Stats;

#[cfg(test)]
mod tests;
