//! Fields that are lists or data.

use crate::wire::{Field, Reader, Writer};
use crate::{Error, MAX_NAMES, Qid};

/// Data: four bytes for its length come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data<'a>(pub &'a [u8]);

impl<'a> Field<'a> for Data<'a> {
    fn get(reader: &mut Reader<'a>) -> Result<Self, Error> {
        let length = u32::get(reader)?;
        Ok(Self(reader.bytes(length as usize)?))
    }
    fn put(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        let length = u32::try_from(self.0.len()).map_err(|_| Error::NoRoom)?;
        length.put(writer)?;
        writer.bytes(self.0);
        Ok(())
    }
}

/// The names that a walk goes through, at most [`MAX_NAMES`].
#[derive(Clone, Copy, Debug)]
pub enum Names<'a> {
    /// To be written.
    List(&'a [&'a [u8]]),
    /// As a message has them, checked.
    Message {
        /// How many.
        count: u16,
        /// One after the other, with their lengths.
        bytes: &'a [u8],
    },
}

impl<'a> Names<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::List(list) => list.len(),
            Self::Message { count, .. } => usize::from(*count),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The names.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (list, bytes): (&'a [&'a [u8]], &'a [u8]) = match *self {
            Self::List(list) => (list, &[]),
            Self::Message { bytes, .. } => (&[], bytes),
        };
        let mut reader = Reader::new(bytes);
        list.iter().copied().chain(core::iter::from_fn(move || <&[u8]>::get(&mut reader).ok()))
    }
}

impl PartialEq for Names<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Names<'_> {}

impl<'a> Field<'a> for Names<'a> {
    fn get(reader: &mut Reader<'a>) -> Result<Self, Error> {
        let count = u16::get(reader)?;
        if usize::from(count) > MAX_NAMES {
            return Err(Error::TooManyNames(count));
        }
        let all = reader.rest();
        for _ in 0..count {
            <&[u8]>::get(reader)?;
        }
        let length = all.len() - reader.rest().len();
        Ok(Self::Message { count, bytes: &all[..length] })
    }
    fn put(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        let count = u16::try_from(self.len()).unwrap_or(u16::MAX);
        if usize::from(count) > MAX_NAMES {
            return Err(Error::TooManyNames(count));
        }
        count.put(writer)?;
        self.iter().try_for_each(|name| name.put(writer))
    }
}

/// What a walk found, at most [`MAX_NAMES`].
#[derive(Clone, Copy, Debug)]
pub enum Qids<'a> {
    /// To be written.
    List(&'a [Qid]),
    /// As a message has them: 13 bytes each.
    Message(&'a [u8]),
}

impl<'a> Qids<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::List(list) => list.len(),
            Self::Message(bytes) => bytes.len() / Qid::SIZE,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was found, name by name.
    pub fn iter(&self) -> impl Iterator<Item = Qid> + use<'a> {
        let (list, bytes): (&'a [Qid], &'a [u8]) = match *self {
            Self::List(list) => (list, &[]),
            Self::Message(bytes) => (&[], bytes),
        };
        let mut reader = Reader::new(bytes);
        list.iter().copied().chain(core::iter::from_fn(move || Qid::get(&mut reader).ok()))
    }
}

impl PartialEq for Qids<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Qids<'_> {}

impl<'a> Field<'a> for Qids<'a> {
    fn get(reader: &mut Reader<'a>) -> Result<Self, Error> {
        let count = u16::get(reader)?;
        if usize::from(count) > MAX_NAMES {
            return Err(Error::TooManyNames(count));
        }
        Ok(Self::Message(reader.bytes(usize::from(count) * Qid::SIZE)?))
    }
    fn put(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        let count = u16::try_from(self.len()).unwrap_or(u16::MAX);
        if usize::from(count) > MAX_NAMES {
            return Err(Error::TooManyNames(count));
        }
        count.put(writer)?;
        self.iter().try_for_each(|qid| qid.put(writer))
    }
}
