//! The messages, each with its number.

use crate::wire::{Field, Reader, Writer};
use crate::{
    Attributes, Data, Error, HEADER, Lock, LockQuery, LockStatus, Names, Qid, Qids, SetAttributes,
    Statistics,
};

/// Bytes of a `Write` before its data.
pub const WRITE_HEADER: usize = HEADER + 16;
/// Bytes of the answer to a `Read` or `Readdir` before the data.
pub const READ_HEADER: usize = HEADER + 4;

macro_rules! messages {
    ($(#[$doc:meta])* $name:ident: $($(#[$message_doc:meta])* $number:literal $message:ident {
        $($(#[$field_doc:meta])* $field:ident: $type:ty,)*
    })*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name<'a> {
            $($(#[$message_doc])* $message {
                $($(#[$field_doc])* $field: $type,)*
            },)*
        }

        impl<'a> $name<'a> {
            /// Reads a message; returns its tag too.
            ///
            /// # Errors
            /// What is wrong with it: see [`Error`].
            pub fn decode(message: &'a [u8]) -> Result<(u16, Self), Error> {
                let mut reader = Reader::new(message);
                let length = u32::get(&mut reader)?;
                if usize::try_from(length) != Ok(message.len()) {
                    return Err(Error::Length(length));
                }
                let number = u8::get(&mut reader)?;
                let tag = u16::get(&mut reader)?;
                let decoded = match number {
                    $($number => Self::$message { $($field: Field::get(&mut reader)?,)* },)*
                    other => return Err(Error::Type(other)),
                };
                reader.end()?;
                Ok((tag, decoded))
            }

            fn write(&self, tag: u16, writer: &mut Writer<'_>) -> Result<(), Error> {
                0u32.put(writer)?;
                match self {
                    $(Self::$message { $($field,)* } => {
                        let number: u8 = $number;
                        number.put(writer)?;
                        tag.put(writer)?;
                        $($field.put(writer)?;)*
                    })*
                }
                let length = u32::try_from(writer.len()).map_err(|_| Error::NoRoom)?;
                writer.patch(0, length);
                Ok(())
            }

            /// Writes the message at the start of `buffer`; returns how long it is.
            ///
            /// # Errors
            /// [`Error::NoRoom`]; [`Error::TooManyNames`] and [`Error::NameTooLong`] for what the
            /// protocol has no words for.
            pub fn encode(&self, tag: u16, buffer: &mut [u8]) -> Result<usize, Error> {
                let mut writer = Writer::new(buffer);
                self.write(tag, &mut writer)?;
                writer.end()
            }

            /// Bytes that [`encode`](Self::encode) needs; at least [`HEADER`].
            pub fn encoded_len(&self) -> usize {
                let mut writer = Writer::new(&mut []);
                match self.write(0, &mut writer) {
                    Ok(()) => writer.len(),
                    Err(_) => HEADER,
                }
            }
        }
    };
}

messages! {
    /// What a client asks: messages whose names begin with T.
    Request:
    /// What a file system tells of itself.
    8 Statfs { /** A file of it. */ fid: u32, }
    /// Opens a file.
    12 Lopen { /** The file. */ fid: u32, /** As those of `open(2)`. */ flags: u32, }
    /// Makes a regular file and opens it; `fid`, which was the directory, stands for it then.
    14 Lcreate {
        /** The directory. */ fid: u32, /** Its name. */ name: &'a [u8],
        /** As those of `open(2)`. */ flags: u32, /** Permissions. */ mode: u32,
        /** Group. */ group: u32,
    }
    /// Makes a symbolic link.
    16 Symlink {
        /** The directory. */ directory: u32, /** Its name. */ name: &'a [u8],
        /** Where it leads to. */ target: &'a [u8], /** Group. */ group: u32,
    }
    /// Makes a device, named pipe or socket.
    18 Mknod {
        /** The directory. */ directory: u32, /** Its name. */ name: &'a [u8],
        /** Type and permissions. */ mode: u32, /** Major number of the device. */ major: u32,
        /** Minor number of the device. */ minor: u32, /** Group. */ group: u32,
    }
    /// Moves a file; replaced by `Renameat`.
    20 Rename {
        /** The file. */ fid: u32, /** Where it is to be. */ directory: u32,
        /** Its name there. */ name: &'a [u8],
    }
    /// Where a symbolic link leads to.
    22 Readlink { /** The link. */ fid: u32, }
    /// What a file is like.
    24 Getattr { /** The file. */ fid: u32, /** What is asked: see [`attribute`](crate::attribute). */ mask: u64, }
    /// Changes what a file is like.
    26 Setattr { /** The file. */ fid: u32, /** To what. */ to: SetAttributes, }
    /// Makes a fid for an extended attribute, or for the list of their names.
    30 Xattrwalk { /** The file. */ fid: u32, /** The new fid. */ new_fid: u32, /** Its name, or nothing. */ name: &'a [u8], }
    /// Makes `fid` stand for an extended attribute that is to be written.
    32 Xattrcreate { /** The file. */ fid: u32, /** Its name. */ name: &'a [u8], /** Its length. */ size: u64, /** As those of `setxattr(2)`. */ flags: u32, }
    /// Entries of a directory.
    40 Readdir { /** The directory. */ fid: u32, /** Where to go on. */ offset: u64, /** Bytes at most. */ count: u32, }
    /// Waits until what was written cannot be lost.
    50 Fsync { /** The file. */ fid: u32, /** Whether the contents alone matter. */ data_only: u32, }
    /// Takes or gives back a lock.
    52 Lock { /** The file. */ fid: u32, /** What is wanted. */ lock: Lock<'a>, }
    /// Which lock is in the way.
    54 Getlock { /** The file. */ fid: u32, /** What would be wanted. */ lock: LockQuery<'a>, }
    /// Gives a file a further name.
    70 Link { /** The directory. */ directory: u32, /** The file. */ fid: u32, /** Its name. */ name: &'a [u8], }
    /// Makes a directory.
    72 Mkdir { /** The directory above. */ directory: u32, /** Its name. */ name: &'a [u8], /** Permissions. */ mode: u32, /** Group. */ group: u32, }
    /// Moves a name.
    74 Renameat { /** The directory. */ directory: u32, /** The name there. */ name: &'a [u8], /** Where it is to be. */ new_directory: u32, /** The name there. */ new_name: &'a [u8], }
    /// Removes a name.
    76 Unlinkat { /** The directory. */ directory: u32, /** The name. */ name: &'a [u8], /** 0x200 for a directory. */ flags: u32, }
    /// Begins: agrees on the length of messages and the version.
    100 Version { /** Bytes of a message at most. */ size: u32, /** [`VERSION`](crate::VERSION). */ version: &'a [u8], }
    /// Begins to say who one is.
    102 Auth { /** The fid for that. */ fid: u32, /** Name of the user. */ user: &'a [u8], /** What is wanted. */ tree: &'a [u8], /** Number of the user. */ user_number: u32, }
    /// Makes a fid for the directory that is shared.
    104 Attach { /** The new fid. */ fid: u32, /** That of `Auth`, or none. */ auth: u32, /** Name of the user. */ user: &'a [u8], /** What is wanted. */ tree: &'a [u8], /** Number of the user. */ user_number: u32, }
    /// The answer to a request is not wanted any more.
    108 Flush { /** Its tag. */ old_tag: u16, }
    /// Goes through names from a directory; makes a fid for where that ends.
    110 Walk { /** The directory. */ fid: u32, /** The new fid, which may be the same. */ new_fid: u32, /** The names. */ names: Names<'a>, }
    /// Reads.
    116 Read { /** The file. */ fid: u32, /** Where. */ offset: u64, /** Bytes at most. */ count: u32, }
    /// Writes.
    118 Write { /** The file. */ fid: u32, /** Where. */ offset: u64, /** What. */ data: Data<'a>, }
    /// Gives a fid back.
    120 Clunk { /** It. */ fid: u32, }
    /// Removes a file and gives its fid back.
    122 Remove { /** It. */ fid: u32, }
}

messages! {
    /// What a server answers: messages whose names begin with R.
    Response:
    /// It could not be done.
    7 Error { /** Error number of Linux. */ errno: u32, }
    /// See [`Request::Statfs`].
    9 Statfs { /** What it tells. */ told: Statistics, }
    /// See [`Request::Lopen`].
    13 Lopen { /** The file. */ qid: Qid, /** Bytes that are transferred in one step; 0 for what fits. */ unit: u32, }
    /// See [`Request::Lcreate`].
    15 Lcreate { /** The file. */ qid: Qid, /** As in [`Response::Lopen`]. */ unit: u32, }
    /// See [`Request::Symlink`].
    17 Symlink { /** The link. */ qid: Qid, }
    /// See [`Request::Mknod`].
    19 Mknod { /** The device. */ qid: Qid, }
    /// See [`Request::Rename`].
    21 Rename {}
    /// See [`Request::Readlink`].
    23 Readlink { /** Where it leads to. */ target: &'a [u8], }
    /// See [`Request::Getattr`].
    25 Getattr { /** What it is like. */ attributes: Attributes, }
    /// See [`Request::Setattr`].
    27 Setattr {}
    /// See [`Request::Xattrwalk`].
    31 Xattrwalk { /** Its length. */ size: u64, }
    /// See [`Request::Xattrcreate`].
    33 Xattrcreate {}
    /// See [`Request::Readdir`].
    41 Readdir { /** The entries: see [`Entries`](crate::Entries). */ data: Data<'a>, }
    /// See [`Request::Fsync`].
    51 Fsync {}
    /// See [`Request::Lock`].
    53 Lock { /** What became of it. */ status: LockStatus, }
    /// See [`Request::Getlock`].
    55 Getlock { /** The one in the way; none is of type `Unlock`. */ lock: LockQuery<'a>, }
    /// See [`Request::Link`].
    71 Link {}
    /// See [`Request::Mkdir`].
    73 Mkdir { /** The directory. */ qid: Qid, }
    /// See [`Request::Renameat`].
    75 Renameat {}
    /// See [`Request::Unlinkat`].
    77 Unlinkat {}
    /// See [`Request::Version`].
    101 Version { /** Bytes of a message at most. */ size: u32, /** The version, or `unknown`. */ version: &'a [u8], }
    /// See [`Request::Auth`].
    103 Auth { /** The fid's. */ qid: Qid, }
    /// See [`Request::Attach`].
    105 Attach { /** The directory. */ qid: Qid, }
    /// See [`Request::Flush`].
    109 Flush {}
    /// See [`Request::Walk`].
    111 Walk { /** What was found, name by name; fewer than asked for when one was not. */ qids: Qids<'a>, }
    /// See [`Request::Read`].
    117 Read { /** What was read; nothing at the end. */ data: Data<'a>, }
    /// See [`Request::Write`].
    119 Write { /** Bytes that were written. */ count: u32, }
    /// See [`Request::Clunk`].
    121 Clunk {}
    /// See [`Request::Remove`].
    123 Remove {}
}

/// Length, type and tag of the message at the start of `bytes`, of which there may be more; `None`
/// while there is not even that.
pub fn peek(bytes: &[u8]) -> Option<(u32, u8, u16)> {
    let mut reader = Reader::new(bytes);
    let read = |reader: &mut Reader<'_>| -> Result<_, Error> {
        Ok((u32::get(reader)?, u8::get(reader)?, u16::get(reader)?))
    };
    read(&mut reader).ok()
}

impl Request<'_> {
    /// What a `Write` of `count` bytes begins with; the data follow.
    pub fn write_header(tag: u16, fid: u32, offset: u64, count: u32) -> [u8; WRITE_HEADER] {
        let mut header = [0; WRITE_HEADER];
        let empty = Request::Write { fid, offset, data: Data(&[]) };
        let _ = empty.encode(tag, &mut header);
        header[..4].copy_from_slice(&(count + WRITE_HEADER as u32).to_le_bytes());
        header[WRITE_HEADER - 4..].copy_from_slice(&count.to_le_bytes());
        header
    }
}

impl Response<'_> {
    /// What the answer to a `Read` or `Readdir` begins with; the `count` bytes of data follow.
    pub fn data_header(tag: u16, directory: bool, count: u32) -> [u8; READ_HEADER] {
        let mut header = [0; READ_HEADER];
        let empty = match directory {
            true => Response::Readdir { data: Data(&[]) },
            false => Response::Read { data: Data(&[]) },
        };
        let _ = empty.encode(tag, &mut header);
        header[..4].copy_from_slice(&(count + READ_HEADER as u32).to_le_bytes());
        header[READ_HEADER - 4..].copy_from_slice(&count.to_le_bytes());
        header
    }
}
