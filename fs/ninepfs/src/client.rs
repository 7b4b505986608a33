//! Requests and their answers.

use alloc::sync::Arc;
use alloc::vec::Vec;

use p9::{Names, Qid, READ_HEADER, Request, Response, WRITE_HEADER};
use uk9p::{Channel, ChannelError, Message};
use ukerrno::Errno;
use uklock::Mutex;

/// Bytes of an answer that has neither data nor texts.
const SMALL: usize = 256;
/// Messages of at least this length are needed.
const LEAST_MESSAGE: usize = 4096;

/// Numbers that are in use by one at a time.
#[derive(Default)]
struct Numbers {
    free: Vec<u32>,
    next: u32,
}

impl Numbers {
    fn take(&mut self, end: u32) -> Result<u32, Errno> {
        if let Some(number) = self.free.pop() {
            return Ok(number);
        }
        if self.next >= end {
            return Err(Errno::EAGAIN);
        }
        // So that it can be given back without memory.
        self.free.try_reserve(self.next as usize + 1).map_err(|_| Errno::ENOMEM)?;
        self.next += 1;
        Ok(self.next - 1)
    }
}

/// A connection to a server.
pub struct Client {
    channel: &'static dyn Channel,
    tags: Mutex<Numbers>,
    fids: Mutex<Numbers>,
    max_message: usize,
    /// The memory of a message that is not under way: one thread alone needs no other.
    spare: Mutex<Message>,
}

impl Client {
    /// Agrees with the server on version and length of messages.
    pub fn new(channel: &'static dyn Channel, max_message: usize) -> Result<Self, Errno> {
        let max_message = max_message.min(channel.max_message());
        let mut client = Self {
            channel,
            tags: Mutex::default(),
            fids: Mutex::default(),
            max_message,
            spare: Mutex::default(),
        };
        let size = u32::try_from(max_message).map_err(|_| Errno::EINVAL)?;
        if max_message < LEAST_MESSAGE {
            return Err(Errno::EINVAL);
        }
        let request = Request::Version { size, version: p9::VERSION };
        let agreed = client.tagged(p9::NO_TAG, &request, SMALL, |response| match response {
            Response::Version { size, version: p9::VERSION } => Ok(size as usize),
            Response::Version { .. } => Err(Errno::EPROTONOSUPPORT),
            _ => Err(Errno::EPROTO),
        })?;
        if !(LEAST_MESSAGE..=max_message).contains(&agreed) {
            return Err(Errno::EPROTO);
        }
        client.max_message = agreed;
        Ok(client)
    }

    /// Bytes that one message can read or write.
    pub fn max_data(&self) -> usize {
        self.max_message - WRITE_HEADER
    }

    fn with_tag<R>(&self, work: impl FnOnce(u16) -> Result<R, Errno>) -> Result<R, Errno> {
        let tag = self.tags.lock().take(p9::NO_TAG.into())?;
        let result = work(tag as u16);
        // A tag whose answer never came is not used again; the device is broken then anyway.
        self.tags.lock().free.push(tag);
        result
    }

    /// A message with room for a request, which is empty, and a reply.
    fn message(&self, request: usize, reply: usize) -> Result<Message, Errno> {
        let mut message = core::mem::take(&mut *self.spare.lock());
        message.request.clear();
        message.request.try_reserve_exact(request).map_err(|_| Errno::ENOMEM)?;
        if let Some(more) = reply.checked_sub(message.reply.len()) {
            message.reply.try_reserve_exact(more).map_err(|_| Errno::ENOMEM)?;
            message.reply.resize(reply, 0);
        }
        message.length = reply;
        Ok(message)
    }

    /// Sends a message; `read` takes the answer.
    fn exchange<R>(
        &self,
        tag: u16,
        message: Message,
        read: impl FnOnce(Response<'_>) -> Result<R, Errno>,
    ) -> Result<R, Errno> {
        let mut done = self.channel.exchange(message).map_err(|error| match error {
            ChannelError::NoMemory => Errno::ENOMEM,
            ChannelError::Broken | ChannelError::BadMessage => Errno::EIO,
        })?;
        let result = Self::read(tag, done.reply(), read);
        let mut spare = self.spare.lock();
        if spare.reply.len() <= done.reply.len() {
            core::mem::swap(&mut *spare, &mut done);
        }
        drop(spare);
        result
    }

    fn read<R>(
        tag: u16,
        reply: &[u8],
        read: impl FnOnce(Response<'_>) -> Result<R, Errno>,
    ) -> Result<R, Errno> {
        match Response::decode(reply) {
            Ok((told, _)) if told != tag => Err(Errno::EIO),
            Ok((_, Response::Error { errno })) => {
                let errno = u16::try_from(errno).ok().and_then(Errno::new);
                Err(match errno {
                    // Means something else to the tree above: that looking again helps.
                    None | Some(Errno::ESTALE) => Errno::EIO,
                    Some(errno) => errno,
                })
            }
            Ok((_, response)) => read(response),
            Err(_) => Err(Errno::EIO),
        }
    }

    fn tagged<R>(
        &self,
        tag: u16,
        request: &Request<'_>,
        room: usize,
        read: impl FnOnce(Response<'_>) -> Result<R, Errno>,
    ) -> Result<R, Errno> {
        let length = request.encoded_len();
        if length > self.max_message {
            return Err(Errno::ENAMETOOLONG);
        }
        let mut message = self.message(length, room.clamp(SMALL, self.max_message))?;
        message.request.resize(length, 0);
        request.encode(tag, &mut message.request).map_err(|error| match error {
            p9::Error::NameTooLong(_) => Errno::ENAMETOOLONG,
            _ => Errno::EIO,
        })?;
        self.exchange(tag, message, read)
    }

    /// Sends a request; `read` takes the answer, for which there are `room` bytes.
    pub fn call<R>(
        &self,
        request: &Request<'_>,
        room: usize,
        read: impl FnOnce(Response<'_>) -> Result<R, Errno>,
    ) -> Result<R, Errno> {
        self.with_tag(|tag| self.tagged(tag, request, room, read))
    }

    /// Sends a request whose answer is short.
    pub fn ask<R>(
        &self,
        request: &Request<'_>,
        read: impl FnOnce(Response<'_>) -> Option<R>,
    ) -> Result<R, Errno> {
        self.call(request, SMALL, |response| read(response).ok_or(Errno::EIO))
    }

    fn new_fid(self: &Arc<Self>) -> Result<Fid, Errno> {
        let number = self.fids.lock().take(p9::NO_FID)?;
        Ok(Fid { client: self.clone(), number, known: false })
    }

    /// The directory that is shared.
    pub fn attach(self: &Arc<Self>, tree: &[u8]) -> Result<(Fid, Qid), Errno> {
        let mut fid = self.new_fid()?;
        let request =
            Request::Attach { fid: fid.number, auth: p9::NO_FID, user: b"", tree, user_number: 0 };
        let qid = self.ask(&request, |response| match response {
            Response::Attach { qid } => Some(qid),
            _ => None,
        })?;
        fid.known = true;
        Ok((fid, qid))
    }
}

/// What the server knows a file by; given back when dropped.
pub struct Fid {
    client: Arc<Client>,
    number: u32,
    /// Whether the server knows it.
    known: bool,
}

impl Fid {
    /// Its number, in requests.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Goes to `name` in this directory, or nowhere.
    pub fn walk(&self, name: Option<&[u8]>) -> Result<(Self, Option<Qid>), Errno> {
        let mut new = self.client.new_fid()?;
        let list = [name.unwrap_or_default()];
        let names = Names::List(&list[..usize::from(name.is_some())]);
        let request = Request::Walk { fid: self.number, new_fid: new.number, names };
        let found = self.client.ask(&request, |response| match response {
            Response::Walk { qids } if qids.len() <= list.len() => {
                Some((qids.len(), qids.iter().next()))
            }
            _ => None,
        });
        let (count, qid) = found?;
        if count < names.len() {
            return Err(Errno::ENOENT);
        }
        new.known = true;
        Ok((new, qid))
    }

    /// Opens the file.
    pub fn open(&self, flags: u32) -> Result<(), Errno> {
        self.client.ask(&Request::Lopen { fid: self.number, flags }, |response| {
            matches!(response, Response::Lopen { .. }).then_some(())
        })
    }

    /// Reads at `offset`, as much as one message can; `put` takes it. Returns how much it was.
    pub fn read(
        &self,
        offset: u64,
        wanted: usize,
        put: impl FnOnce(&[u8]) -> usize,
    ) -> Result<usize, Errno> {
        let count = wanted.min(self.client.max_data());
        let request = Request::Read { fid: self.number, offset, count: count as u32 };
        self.client.call(&request, READ_HEADER + count, |response| match response {
            Response::Read { data } if data.0.len() <= count => Ok(put(data.0)),
            _ => Err(Errno::EIO),
        })
    }

    /// Writes `count` bytes at `offset`, at most what one message can; `append` gives them. Returns
    /// how much was written.
    pub fn write(
        &self,
        offset: u64,
        count: usize,
        append: impl FnOnce(&mut Vec<u8>),
    ) -> Result<usize, Errno> {
        let client = &self.client;
        client.with_tag(|tag| {
            let mut message = client.message(WRITE_HEADER + count, SMALL)?;
            let header = Request::write_header(tag, self.number, offset, count as u32);
            message.request.extend_from_slice(&header);
            append(&mut message.request);
            client.exchange(tag, message, |response| match response {
                Response::Write { count: written } if written as usize <= count => {
                    Ok(written as usize)
                }
                _ => Err(Errno::EIO),
            })
        })
    }
}

impl Drop for Fid {
    fn drop(&mut self) {
        if self.known {
            // The server forgets it whatever it answers; without an answer it is not used again.
            let request = Request::Clunk { fid: self.number };
            let clunked = self.client.ask(&request, |_| Some(()));
            if matches!(clunked, Err(Errno::ENOMEM | Errno::EAGAIN)) {
                return;
            }
        }
        self.client.fids.lock().free.push(self.number);
    }
}
