//! Entries of directories in the order of the hashes of their names.
//!
//! Where a directory with a hash tree has a name changes when one of its blocks is split; the hash of
//! the name does not. Who lists such a directory while it grows finds each name once: positions are
//! hashes. So they are in a directory of one block, which becomes a tree when it grows. One whose
//! tree contradicts itself is listed from its first block to its last.
//!
//! Names may be made to have the same position. These are in the order of their bytes, and who is to
//! go on between two of them gets a number instead of a position; the directory's node remembers
//! which name it is of.

use alloc::vec::Vec;

use ukfile::fallible;
use uklock::Mutex;

use crate::Ext4Error;
use crate::alike::{Alike, Start};
use crate::bytes::crc32c;
use crate::chain::Part;
use crate::directory::{DAMAGED, DirectoryEntry};
use crate::hash;
use crate::index::Path;
use crate::inode::Inode;
use crate::volume::Volume;

/// Behind all entries, as on Linux; no number.
pub const END: u64 = i64::MAX as u64;

pub type Visit<'a> = &'a mut dyn FnMut(&DirectoryEntry<'_>) -> Result<bool, Ext4Error>;

/// A listing in the order of hashes, from a place on.
pub struct Listing<'a> {
    pub volume: &'a Volume,
    pub directory: &'a Inode,
    /// The function of the hashes.
    pub version: u8,
    pub alike: &'a Mutex<Alike>,
    pub start: Start,
}

impl Volume {
    /// Visits the entries from position `from` of a directory on, without `.` and `..`, until `visit`
    /// returns false. Positions are larger than 2, but 0 where it begins; whatever comes and goes
    /// meanwhile, the same entries come before one and behind it. `alike` is the directory's, as long
    /// as anybody has positions of it.
    pub fn list(
        &self,
        directory: &Inode,
        from: u64,
        alike: &Mutex<Alike>,
        visit: Visit<'_>,
    ) -> Result<(), Ext4Error> {
        let start = Start::new(from, alike)?;
        let listing = |version, start| Listing { volume: self, directory, version, alike, start };
        if let Some(version) = self.order_of_one_block(directory) {
            let Some(block) = self.run(directory, 0)?.first else { return Ok(()) };
            let bytes = self.block(block)?;
            self.has_entries(directory, 0, &bytes)?;
            return listing(version, start).list_block(&bytes, visit).map(drop);
        }
        // Where entries are in the directory, as it is told without a tree, is a multiple of 4. So is
        // what a number stands for, but no other position.
        let from = start.position;
        let may_be_place = start.name.is_empty() && from.is_multiple_of(4);
        let is_place = may_be_place && from > 0 && from <= directory.metadata.size;
        let uses_tree = if from == 0 { self.has_whole_tree(directory)? } else { !is_place };
        match self.tree(directory)?.filter(|_| uses_tree) {
            Some(path) => listing(path.version, start).list_tree(path, visit),
            None => self.entries(directory, from, visit),
        }
    }

    /// The function of the hashes when the directory has one block and will have a tree.
    fn order_of_one_block(&self, directory: &Inode) -> Option<u8> {
        let is_small = directory.metadata.size == u64::from(self.sb.block_size);
        let version = self.sb.new_trees.filter(|_| is_small && !directory.has_index());
        version.filter(|version| hash::is_known(&self.sb, *version))
    }
}

impl Listing<'_> {
    fn list_tree(&self, mut path: Path, visit: Visit<'_>) -> Result<(), Ext4Error> {
        let (volume, directory) = (self.volume, self.directory);
        let hash = ((self.start.position >> 32) << 1) as u32;
        let first = volume.descend(directory, &mut path, Some(hash))?.ok_or(DAMAGED)?;
        let mut next = Some((first, 0));
        // Each block of entries is there once.
        let mut left = volume.blocks_of(directory.metadata.size)?;
        while let Some(first) = next {
            let parts;
            (parts, next) = self.chain(&mut path, first, &mut left)?;
            let goes_on = match &parts[..] {
                [Part { at, .. }] => {
                    let (_, bytes) = volume.tree_leaf(directory, *at)?.ok_or(DAMAGED)?;
                    self.list_block(&bytes, visit)?
                }
                _ => self.list_chain(&parts, visit)?,
            };
            if !goes_on {
                break;
            }
        }
        Ok(())
    }

    /// Visits the entries of a block in order. Whether to go on.
    fn list_block(&self, block: &[u8], visit: Visit<'_>) -> Result<bool, Ext4Error> {
        let mut entries = Vec::new();
        self.volume.in_block(block, 0, 0, &mut |entry| {
            let position = self.position(entry.name)?;
            if (position, entry.name) > self.start.key() {
                let pushed = fallible::push(&mut entries, (position, *entry));
                pushed.map_err(|_| Ext4Error::OutOfMemory)?;
            }
            Ok(true)
        })?;
        entries.sort_unstable_by_key(|(position, entry)| (*position, entry.name));
        self.give(&entries, entries.len(), visit)
    }

    /// Visits entries that are in order, `count` of them. Whether to go on.
    pub fn give(
        &self,
        entries: &[(u64, DirectoryEntry<'_>)],
        count: usize,
        visit: Visit<'_>,
    ) -> Result<bool, Ext4Error> {
        for (index, (position, entry)) in entries.iter().enumerate().take(count) {
            let is_last = entries.get(index + 1).is_none_or(|(next, _)| next != position);
            let next = if is_last { position + 1 } else { self.number(*position, entry.name)? };
            if !visit(&DirectoryEntry { next, ..*entry })? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Where an entry is in the order: its hash, and more for those with the same one. It is a
    /// multiple of 4, so that what comes after it is none.
    pub fn position(&self, name: &[u8]) -> Result<u64, Ext4Error> {
        let hash = hash::of_name(&self.volume.sb, self.version, name).ok_or(DAMAGED)?;
        let more = crc32c(!0, name) & !3 | 4;
        Ok(u64::from(hash >> 1) << 32 | u64::from(more))
    }
}

#[cfg(test)]
pub mod tests {
    use std::collections::BTreeSet;

    use ukerrno::Errno;
    use ukfile::Kind;
    use vfs::New;

    use super::*;
    use crate::alike::NUMBER;
    use crate::index::disks::{self, alike};
    use crate::inode::ROOT;
    use crate::insert::tests::Disk;

    /// A directory and a file that has all names in it.
    pub struct Many {
        pub volume: Volume,
        pub directory: u32,
        file: u32,
        pub alike: Mutex<Alike>,
    }

    impl Many {
        pub fn new() -> Self {
            Self::on("^metadata_csum", "4M")
        }

        pub fn on(features: &str, size: &str) -> Self {
            let image = disks::make(&["-t", "ext4", "-b", "1024", "-O", features], size);
            let image = disks::debugfs(&image, &["ssv def_hash_version legacy"]).0;
            let disk = Disk(std::sync::Arc::new(std::sync::Mutex::new(image)));
            let mut volume = Volume::new(Box::new(disk)).unwrap();
            volume.make_writable().unwrap();
            let new =
                |kind| New { kind, permissions: 0o700, user: 0, group: 0, special: 0, target: b"" };
            let directory = volume.create(ROOT, b"many", &new(Kind::Directory)).unwrap();
            let file = volume.create(ROOT, b"file", &new(Kind::Regular)).unwrap();
            Self { volume, directory, file, alike: Mutex::default() }
        }

        pub fn add(&mut self, name: &str) {
            self.volume.link(self.directory, name.as_bytes(), self.file, false).unwrap();
        }

        pub fn remove(&mut self, name: &str) {
            self.volume.unlink(self.directory, name.as_bytes(), self.file).unwrap();
        }

        /// Some names from a position on, and for each where to go on behind it.
        pub fn list(&self, from: u64, most: usize) -> Vec<(String, u64)> {
            self.try_list(from, most).unwrap()
        }

        pub fn try_list(&self, from: u64, most: usize) -> Result<Vec<(String, u64)>, Ext4Error> {
            let view = self.volume.inode(self.directory).unwrap();
            let mut names = Vec::new();
            let listed = self.volume.list(&view, from, &self.alike, &mut |entry| {
                let room = names.len() < most;
                if room {
                    names.push((String::from_utf8(entry.name.to_vec()).unwrap(), entry.next));
                }
                Ok(room)
            });
            listed.map(|()| names)
        }

        /// All names, some at a time; `meanwhile` is called with those that were just given.
        fn all(
            &mut self,
            most: usize,
            mut meanwhile: impl FnMut(&mut Self, &[(String, u64)]),
        ) -> Vec<String> {
            let (mut all, mut from) = (Vec::new(), 0);
            loop {
                let some = self.list(from, most);
                let Some((_, next)) = some.last() else { return all };
                from = *next;
                meanwhile(self, &some);
                all.extend(some.into_iter().map(|(name, _)| name));
            }
        }
    }

    /// Names with one position; with one hash; with any.
    fn names() -> Vec<String> {
        let with_one_hash = (0..60).map(|n| alike::name(n * 0x1234_5671));
        let others = (0..60).map(|n| format!("name {n}"));
        let names: BTreeSet<_> =
            alike::names().into_iter().chain(with_one_hash).chain(others).collect();
        names.into_iter().collect()
    }

    #[test]
    fn alike_names_are_each_given_once() {
        if !disks::tools() {
            return;
        }
        let names = names();
        let expected: BTreeSet<_> = names.iter().cloned().collect();
        let mut many = Many::new();
        names.iter().for_each(|name| many.add(name));
        for most in [1, 3, 50, usize::MAX] {
            let all = many.all(most, |_, _| {});
            assert_eq!(all.len(), names.len(), "{most}");
            assert!(all.into_iter().collect::<BTreeSet<_>>() == expected, "{most}");
        }
        // 255 of those with one position have another one behind them.
        assert_eq!(many.alike.lock().len(), 255);

        // What is removed once it was given.
        let mut gone = Vec::new();
        let all = many.all(3, |many, some| {
            for (name, _) in some.iter().filter(|(name, _)| name.len() % 2 == 0) {
                many.remove(name);
                gone.push(name.clone());
            }
        });
        assert!(gone.len() > 300);
        assert_eq!(all.len(), names.len());
        assert!(all.into_iter().collect::<BTreeSet<_>>() == expected);
        assert_eq!(many.all(3, |_, _| {}).len(), names.len() - gone.len());
    }

    #[test]
    fn alike_names_stay_in_order_when_others_come_and_go() {
        if !disks::tools() {
            return;
        }
        let names = names();
        let mut many = Many::new();
        let (changing, staying): (Vec<_>, Vec<_>) =
            names.iter().enumerate().partition(|(n, _)| n % 2 == 0);
        names.iter().for_each(|name| many.add(name));
        let (mut turns, mut are_there) = (0, true);
        let all = many.all(2, |many, _| {
            turns += 1;
            if turns % 20 == 0 {
                for (_, name) in &changing {
                    if are_there { many.remove(name) } else { many.add(name) }
                }
                are_there = !are_there;
            }
        });
        assert!(turns > 100, "{turns}");
        let found: BTreeSet<_> = all.iter().collect();
        assert_eq!(found.len(), all.len());
        assert!(staying.iter().all(|(_, name)| found.contains(name)));
    }

    #[test]
    fn positions_between_alike_names_stay_what_they_are() {
        if !disks::tools() {
            return;
        }
        let mut many = Many::new();
        let names = names();
        names.iter().for_each(|name| many.add(name));
        let all = many.list(0, usize::MAX);
        let is_left = |n: &usize| n.is_multiple_of(3);
        for (name, _) in all.iter().enumerate().filter(|(n, _)| !is_left(n)).map(|(_, it)| it) {
            many.remove(name);
        }
        for (n, (_, next)) in all.iter().enumerate() {
            let left = (n + 1..all.len()).filter(is_left).map(|n| &all[n].0);
            assert!(many.list(*next, usize::MAX).iter().map(|(name, _)| name).eq(left), "{n}");
        }
        assert!(many.list(END, usize::MAX).is_empty());
        // What nobody was told is none.
        assert_eq!(many.try_list(NUMBER | 255, 1), Err(Ext4Error::Call(Errno::EINVAL)));
    }

    #[test]
    fn numbers_are_no_places() {
        if !disks::tools() {
            return;
        }
        let mut many = Many::new();
        names().iter().for_each(|name| many.add(name));
        // Of a name whose hash is 0: what it stands for is a multiple of 4, and small.
        let number = many.alike.lock().add((4, b"name".as_slice().into())).unwrap();
        let all = many.list(0, usize::MAX);
        assert!(many.list(NUMBER | u64::from(number), usize::MAX) == all);
    }
}
