//! Standard streams: bytes that are kept until it is worth a call.

use crate::errno::{EINTR, EIO};

/// What reads and writes descriptors. Errors are their numbers.
pub trait Device {
    /// Reads up to as many bytes; none at the end.
    ///
    /// # Errors
    /// Those of read(2).
    fn read(&mut self, fd: i32, bytes: &mut [u8]) -> Result<usize, i32>;
    /// Writes some of the bytes.
    ///
    /// # Errors
    /// Those of write(2).
    fn write(&mut self, fd: i32, bytes: &[u8]) -> Result<usize, i32>;
}

/// When what was written leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Buffering {
    /// With the end of a line.
    Line,
    /// At once.
    None,
}

/// Writes all of the bytes.
fn write_all(device: &mut dyn Device, fd: i32, mut bytes: &[u8]) -> Result<(), i32> {
    while !bytes.is_empty() {
        match device.write(fd, bytes) {
            // Again would be for ever.
            Ok(0) => return Err(EIO),
            Ok(written) => bytes = &bytes[written.min(bytes.len())..],
            Err(EINTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Bytes that a stream keeps at most.
pub const ROOM: usize = 1024;

/// A stream of one direction.
#[derive(Debug)]
pub struct Stream {
    /// Its descriptor.
    pub fd: i32,
    buffering: Buffering,
    /// Whether writing failed, or reading.
    pub failed: bool,
    /// Whether a read found the end.
    pub ended: bool,
    /// Kept bytes are those from `start` to `end`; one to push back has room before them.
    start: usize,
    end: usize,
    buffer: [u8; ROOM],
}

impl Stream {
    /// A stream that keeps nothing yet.
    pub const fn new(fd: i32, buffering: Buffering) -> Self {
        Self { fd, buffering, failed: false, ended: false, start: 0, end: 0, buffer: [0; ROOM] }
    }

    /// Writes all of the bytes, now or later. Bytes that could not be written are lost, and the stream
    /// has failed.
    ///
    /// # Errors
    /// Those of the device.
    pub fn write(&mut self, device: &mut dyn Device, bytes: &[u8]) -> Result<(), i32> {
        self.keep(device, bytes)?;
        match self.buffering {
            Buffering::Line if !bytes.contains(&b'\n') => Ok(()),
            _ => self.flush(device),
        }
    }

    /// The same, but a stream that keeps nothing keeps these until [`flush`](Self::flush): parts of what is to
    /// be written at once.
    ///
    /// # Errors
    /// Those of the device.
    pub fn write_part(&mut self, device: &mut dyn Device, bytes: &[u8]) -> Result<(), i32> {
        match self.buffering {
            Buffering::Line => self.write(device, bytes),
            Buffering::None => self.keep(device, bytes),
        }
    }

    /// Ends the parts of [`write_part`](Self::write_part).
    ///
    /// # Errors
    /// Those of the device.
    pub fn end_parts(&mut self, device: &mut dyn Device) -> Result<(), i32> {
        match self.buffering {
            Buffering::Line => Ok(()),
            Buffering::None => self.flush(device),
        }
    }

    fn keep(&mut self, device: &mut dyn Device, bytes: &[u8]) -> Result<(), i32> {
        if bytes.len() > ROOM - self.end {
            self.flush(device)?;
        }
        if bytes.len() > ROOM {
            let result = write_all(device, self.fd, bytes);
            self.failed |= result.is_err();
            return result;
        }
        self.buffer[self.end..][..bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
        Ok(())
    }

    /// Writes what it keeps.
    ///
    /// # Errors
    /// Those of the device.
    pub fn flush(&mut self, device: &mut dyn Device) -> Result<(), i32> {
        let end = core::mem::take(&mut self.end);
        let result = write_all(device, self.fd, &self.buffer[..end]);
        self.failed |= result.is_err();
        result
    }

    /// Bytes that were read and not taken yet, read anew when there are none; none at the end.
    ///
    /// # Errors
    /// Those of the device.
    pub fn peek(&mut self, device: &mut dyn Device) -> Result<&[u8], i32> {
        if self.start == self.end && !self.ended {
            // The first place is for a byte that is pushed back.
            (self.start, self.end) = (1, 1);
            let read = loop {
                match device.read(self.fd, &mut self.buffer[1..]) {
                    Err(EINTR) => {}
                    other => break other,
                }
            };
            match read {
                Ok(0) => self.ended = true,
                Ok(len) => self.end = 1 + len.min(ROOM - 1),
                Err(error) => {
                    self.failed = true;
                    return Err(error);
                }
            }
        }
        Ok(&self.buffer[self.start..self.end])
    }

    /// Whether it keeps nothing.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Takes bytes that [`peek`](Self::peek) showed.
    pub fn take(&mut self, len: usize) {
        self.start = self.end.min(self.start + len);
    }

    /// Puts a byte before the next one; whether there was room for it. One there always is after a read.
    pub fn push_back(&mut self, byte: u8) -> bool {
        if self.start == 0 && self.end == 0 {
            (self.start, self.end) = (1, 1);
        }
        if self.start == 0 {
            return false;
        }
        self.start -= 1;
        self.buffer[self.start] = byte;
        self.ended = false;
        true
    }
}
