//! Entries of directories in `Rreaddir`.

use crate::wire::{Field, Reader, Writer};
use crate::{Error, Qid};

/// An entry of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectoryEntry<'a> {
    /// The file.
    pub qid: Qid,
    /// Where to go on after it.
    pub next: u64,
    /// Type, as `d_type` of `getdents64(2)`.
    pub kind: u8,
    /// Its name.
    pub name: &'a [u8],
}

impl<'a> Field<'a> for DirectoryEntry<'a> {
    fn get(reader: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(Self {
            qid: Field::get(reader)?,
            next: Field::get(reader)?,
            kind: Field::get(reader)?,
            name: Field::get(reader)?,
        })
    }
    fn put(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        self.qid.put(writer)?;
        self.next.put(writer)?;
        self.kind.put(writer)?;
        self.name.put(writer)
    }
}

/// The entries in the data of a message.
pub struct Entries<'a>(Reader<'a>);

impl<'a> Entries<'a> {
    /// Those in `data`.
    pub fn new(data: &'a [u8]) -> Self {
        Self(Reader::new(data))
    }

    /// The data of those that are still to come.
    pub fn rest(&self) -> &'a [u8] {
        self.0.rest()
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<DirectoryEntry<'a>, Error>;

    /// After an error there are no more.
    fn next(&mut self) -> Option<Self::Item> {
        if self.0.rest().is_empty() {
            return None;
        }
        let entry = DirectoryEntry::get(&mut self.0);
        if entry.is_err() {
            self.0 = Reader::new(&[]);
        }
        Some(entry)
    }
}

/// Puts entries into a buffer.
pub struct EntryWriter<'a> {
    buffer: &'a mut [u8],
    used: usize,
}

impl<'a> EntryWriter<'a> {
    /// At the start of `buffer`.
    pub fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, used: 0 }
    }

    /// Adds an entry if there is room for all of it; returns whether there was.
    pub fn push(&mut self, entry: &DirectoryEntry<'_>) -> bool {
        let mut writer = Writer::new(&mut self.buffer[self.used..]);
        match entry.put(&mut writer).and_then(|()| writer.end()) {
            Ok(length) => {
                self.used += length;
                true
            }
            Err(_) => false,
        }
    }

    /// Bytes that are in use.
    pub fn len(&self) -> usize {
        self.used
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }
}
