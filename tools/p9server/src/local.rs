//! A server in the same process.

use std::sync::{Mutex, PoisonError};

use uk9p::{Channel, ChannelError, Message};

use crate::Server;

/// Bytes of a message at most.
const MAX_MESSAGE: usize = 1 << 20;

/// A [channel](Channel) to a server in the same process, for tests and measurements.
#[derive(Debug)]
pub struct Local(Mutex<Server>);

impl Local {
    /// To this server.
    pub fn new(server: Server) -> Self {
        Self(Mutex::new(server))
    }
}

impl Channel for Local {
    fn max_message(&self) -> usize {
        MAX_MESSAGE
    }

    fn exchange(&self, mut message: Message) -> Result<Message, ChannelError> {
        let mut server = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let length = message.length.min(message.reply.len());
        message.length = server.handle(&message.request, &mut message.reply[..length]);
        Ok(message)
    }
}
