//! Reading and writing fields: little-endian numbers, counted bytes.

use crate::Error;

/// What is left of a message.
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub fn bytes(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(Error::TooShort)?;
        self.rest = rest;
        Ok(bytes)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(Error::TooShort)?;
        self.rest = rest;
        Ok(*bytes)
    }

    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub fn end(self) -> Result<(), Error> {
        if self.rest.is_empty() { Ok(()) } else { Err(Error::TooLong) }
    }
}

/// A buffer that is filled, or, when it is too small, counts only.
pub struct Writer<'a> {
    buffer: &'a mut [u8],
    at: usize,
}

impl<'a> Writer<'a> {
    pub fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, at: 0 }
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        let end = self.at.saturating_add(bytes.len());
        if let Some(room) = self.buffer.get_mut(self.at..end) {
            room.copy_from_slice(bytes);
        }
        self.at = end;
    }

    /// Bytes that were written, or would have been.
    pub fn len(&self) -> usize {
        self.at
    }

    /// Writes a number at a place that was left free for it.
    pub fn patch(&mut self, at: usize, number: u32) {
        if let Some(room) = self.buffer.get_mut(at..at + 4) {
            room.copy_from_slice(&number.to_le_bytes());
        }
    }

    pub fn end(self) -> Result<usize, Error> {
        if self.at <= self.buffer.len() { Ok(self.at) } else { Err(Error::NoRoom) }
    }
}

/// A type of field.
pub trait Field<'a>: Sized {
    fn get(reader: &mut Reader<'a>) -> Result<Self, Error>;
    fn put(&self, writer: &mut Writer<'_>) -> Result<(), Error>;
}

macro_rules! numbers {
    ($($type:ty)*) => {$(
        impl<'a> Field<'a> for $type {
            fn get(reader: &mut Reader<'a>) -> Result<Self, Error> {
                Ok(Self::from_le_bytes(reader.array()?))
            }
            fn put(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
                writer.bytes(&self.to_le_bytes());
                Ok(())
            }
        }
    )*};
}

numbers! { u8 u16 u32 u64 }

/// A text: two bytes for its length come first.
impl<'a> Field<'a> for &'a [u8] {
    fn get(reader: &mut Reader<'a>) -> Result<Self, Error> {
        let length = u16::get(reader)?;
        reader.bytes(length.into())
    }
    fn put(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        let length = u16::try_from(self.len()).map_err(|_| Error::NameTooLong(self.len()))?;
        length.put(writer)?;
        writer.bytes(self);
        Ok(())
    }
}
