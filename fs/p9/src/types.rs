//! Structures in messages.

use crate::Error;
use crate::wire::{Field, Reader, Writer};

/// The protocol's name of itself.
pub const VERSION: &[u8] = b"9P2000.L";
/// The tag of messages that have none (`Tversion`).
pub const NO_TAG: u16 = u16::MAX;
/// No fid.
pub const NO_FID: u32 = u32::MAX;
/// No user by number.
pub const NO_USER: u32 = u32::MAX;
/// Names that one walk goes through at most.
pub const MAX_NAMES: usize = 16;

/// Bits of a [`Qid`]'s type.
pub mod kind {
    /// A directory.
    pub const DIRECTORY: u8 = 0x80;
    /// A symbolic link.
    pub const SYMLINK: u8 = 0x02;
    /// Anything else.
    pub const FILE: u8 = 0;
}

/// Which attributes are asked for, or told (`Tgetattr`).
pub mod attribute {
    /// Type, permissions, links, owner, size, blocks, times: all that `stat` tells.
    pub const BASIC: u64 = 0x7ff;
    /// When it was made.
    pub const CREATED: u64 = 0x800;
}

/// Which attributes are to be set (`Tsetattr`).
pub mod set {
    /// Permissions.
    pub const MODE: u32 = 1;
    /// Owner.
    pub const USER: u32 = 2;
    /// Group.
    pub const GROUP: u32 = 4;
    /// Size.
    pub const SIZE: u32 = 8;
    /// Time of access: now, unless there is [`ACCESSED_TO`] too.
    pub const ACCESSED: u32 = 0x10;
    /// Time of change: now, unless there is [`MODIFIED_TO`] too.
    pub const MODIFIED: u32 = 0x20;
    /// Time of change of attributes: now.
    pub const CHANGED: u32 = 0x40;
    /// Time of access to a given one.
    pub const ACCESSED_TO: u32 = 0x80;
    /// Time of change to a given one.
    pub const MODIFIED_TO: u32 = 0x100;
}

macro_rules! structures {
    ($($(#[$doc:meta])* $name:ident$(<$life:lifetime>)? {
        $($(#[$field_doc:meta])* $field:ident: $type:ty,)*
    })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name$(<$life>)? {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        structures! { @field $name $($life)?; $($field)* }
    )*};
    (@field $name:ident $life:lifetime; $($field:ident)*) => {
        impl<$life> Field<$life> for $name<$life> {
            structures! { @body $($field)* ; $life }
        }
    };
    (@field $name:ident; $($field:ident)*) => {
        impl<'a> Field<'a> for $name {
            structures! { @body $($field)* ; 'a }
        }
    };
    (@body $($field:ident)* ; $life:lifetime) => {
        fn get(reader: &mut Reader<$life>) -> Result<Self, Error> {
            Ok(Self { $($field: Field::get(reader)?,)* })
        }
        fn put(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
            $(self.$field.put(writer)?;)*
            Ok(())
        }
    };
}

structures! {
    /// Which file it is, as the server numbers them.
    Qid {
        /// Bits of [`kind`].
        kind: u8,
        /// Changes when the file does.
        version: u32,
        /// Number of the file.
        path: u64,
    }

    /// What `Rgetattr` tells.
    Attributes {
        /// Which of these are told: bits of [`attribute`].
        valid: u64,
        /// The file.
        qid: Qid,
        /// Type and permissions, as `st_mode`.
        mode: u32,
        /// Owner.
        user: u32,
        /// Group.
        group: u32,
        /// Names that it has.
        links: u64,
        /// Number of the device that it stands for.
        special: u64,
        /// Bytes.
        size: u64,
        /// Bytes that are good to be transferred at once.
        block_size: u64,
        /// Storage, in units of 512 bytes.
        blocks: u64,
        /// When it was last read: seconds …
        accessed: u64,
        /// … and nanoseconds.
        accessed_ns: u64,
        /// When its contents last changed: seconds …
        modified: u64,
        /// … and nanoseconds.
        modified_ns: u64,
        /// When anything of it last changed: seconds …
        changed: u64,
        /// … and nanoseconds.
        changed_ns: u64,
        /// When it was made: seconds …
        created: u64,
        /// … and nanoseconds.
        created_ns: u64,
        /// Reserved by the protocol.
        generation: u64,
        /// Reserved by the protocol.
        data_version: u64,
    }

    /// What `Tsetattr` changes.
    SetAttributes {
        /// Which of these count: bits of [`set`].
        valid: u32,
        /// Permissions.
        mode: u32,
        /// Owner.
        user: u32,
        /// Group.
        group: u32,
        /// Bytes.
        size: u64,
        /// When it was last read: seconds …
        accessed: u64,
        /// … and nanoseconds.
        accessed_ns: u64,
        /// When its contents last changed: seconds …
        modified: u64,
        /// … and nanoseconds.
        modified_ns: u64,
    }

    /// What `Rstatfs` tells.
    Statistics {
        /// Number of the kind of file system.
        magic: u32,
        /// Bytes of a block.
        block_size: u32,
        /// Blocks altogether.
        blocks: u64,
        /// Blocks that are free.
        free: u64,
        /// Blocks that are free for everybody.
        available: u64,
        /// Nodes altogether.
        nodes: u64,
        /// Nodes that are free.
        free_nodes: u64,
        /// Number of the file system.
        id: u64,
        /// Bytes of a name at most.
        name_length: u32,
    }

    /// A lock that `Tlock` asks for.
    Lock<'a> {
        /// What it is to be.
        kind: LockType,
        /// 1 to wait for it, 2 to get it back after a crash of the server.
        flags: u32,
        /// First byte.
        start: u64,
        /// Bytes; 0 for all behind the first.
        length: u64,
        /// The process of the client that wants it.
        process: u32,
        /// The client.
        client: &'a [u8],
    }

    /// The lock that `Tgetlock` asks about, and the one in its way.
    LockQuery<'a> {
        /// What it is to be, or is.
        kind: LockType,
        /// First byte.
        start: u64,
        /// Bytes; 0 for all behind the first.
        length: u64,
        /// The process of the client that wants it, or has it.
        process: u32,
        /// The client.
        client: &'a [u8],
    }
}

impl Qid {
    /// Bytes of one.
    pub const SIZE: usize = 13;
}

macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $number:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum $name {
            $($(#[$value_doc])* $value = $number,)*
        }

        impl<'a> Field<'a> for $name {
            fn get(reader: &mut Reader<'a>) -> Result<Self, Error> {
                match u8::get(reader)? {
                    $($number => Ok(Self::$value),)*
                    other => Err(Error::Value(other)),
                }
            }
            fn put(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
                (*self as u8).put(writer)
            }
        }
    )*};
}

choices! {
    /// Kinds of locks.
    LockType {
        /// Others may read too.
        Read = 0,
        /// Nobody else has a lock.
        Write = 1,
        /// None.
        Unlock = 2,
    }

    /// What became of a lock.
    LockStatus {
        /// It is there.
        Success = 0,
        /// Another is in its way.
        Blocked = 1,
        /// It cannot be had.
        Error = 2,
        /// The server is recovering from a crash.
        Grace = 3,
    }
}
