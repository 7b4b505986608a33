//! Why something could not be done.

use core::fmt;

use ukblkdev::BlockError;
use ukerrno::Errno;

/// Why something could not be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ext4Error {
    /// There is no file system of this kind on the disk.
    Other,
    /// It has features that are not known here: bits of `s_feature_incompat`.
    Features(u32),
    /// It needs something that is not done here.
    Unsupported(&'static str),
    /// It contradicts itself.
    Damaged(&'static str),
    /// The disk says no.
    Disk(BlockError),
    /// There is no memory.
    OutOfMemory,
    /// No block or no inode is free.
    NoSpace,
    /// It cannot be written, for this reason.
    ReadOnly(&'static str),
    /// A call asks for what cannot be.
    Call(Errno),
}

/// Bits of `s_feature_incompat` that cannot be read, by the names that `mke2fs -O` has for them.
const NAMES: [(u32, &str); 7] = [
    (0x1, "compression"),
    (0x8, "journal_dev"),
    (0x10, "meta_bg"),
    (0x1000, "dirdata"),
    (0x8000, "inline_data"),
    (0x1_0000, "encrypt"),
    (0x2_0000, "casefold"),
];

impl fmt::Display for Ext4Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other => {
                f.write_str("there is no ext2, ext3 or ext4 on it; make one: mke2fs -t ext4")
            }
            Self::Features(bits) => {
                f.write_str("it has features that are not known here:")?;
                let mut rest = *bits;
                for (bit, name) in NAMES.iter().filter(|(bit, _)| bits & bit != 0) {
                    write!(f, " {name}")?;
                    rest &= !bit;
                }
                if rest != 0 {
                    write!(f, " {rest:#x}")?;
                }
                f.write_str("; make it without them: mke2fs -O ^NAME")
            }
            Self::Unsupported(what) => write!(f, "{what}"),
            Self::Damaged(what) => write!(f, "it is damaged: {what}; look with e2fsck -f"),
            Self::Disk(error) => write!(f, "{error}"),
            Self::OutOfMemory => f.write_str("there is no memory for it"),
            Self::NoSpace => f.write_str("it is full; delete something on it"),
            Self::ReadOnly(why) => write!(f, "it is mounted for reading only: {why}"),
            Self::Call(error) => write!(f, "{error}"),
        }
    }
}

impl core::error::Error for Ext4Error {}

impl From<Ext4Error> for Errno {
    fn from(error: Ext4Error) -> Self {
        match error {
            Ext4Error::Other => Errno::EINVAL,
            Ext4Error::Features(_) | Ext4Error::Unsupported(_) => Errno::EOPNOTSUPP,
            Ext4Error::Damaged(_) => Errno::EUCLEAN,
            Ext4Error::Disk(BlockError::OutOfMemory) | Ext4Error::OutOfMemory => Errno::ENOMEM,
            Ext4Error::Disk(_) => Errno::EIO,
            Ext4Error::NoSpace => Errno::ENOSPC,
            Ext4Error::ReadOnly(_) => Errno::EROFS,
            Ext4Error::Call(errno) => errno,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_told_by_name() {
        let text = Ext4Error::Features(0x8000 | 0x20_0000).to_string();
        assert!(text.contains(": inline_data 0x200000; make it without"), "{text}");
        assert_eq!(Errno::from(Ext4Error::Damaged("")), Errno::EUCLEAN);
    }
}
