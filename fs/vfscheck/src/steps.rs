//! What is done: operations on paths that are made of few names, so that they meet each other.

use proptest::prelude::*;
use ukfile::OpenFlags;

use crate::{Abilities, SLOTS};

#[derive(Clone, Debug)]
pub enum Step {
    Open { at: At, path: String, flags: u32, mode: u16, slot: usize },
    Close { slot: usize },
    Read { slot: usize, length: usize },
    Write { slot: usize, length: usize },
    ReadAt { slot: usize, offset: i64, length: usize },
    WriteAt { slot: usize, offset: i64, length: usize },
    Seek { slot: usize, from: u8, by: i64 },
    Resize { slot: usize, size: i64 },
    Allocate { slot: usize, how: u8, offset: i64, length: i64 },
    Truncate { path: String, size: i64 },
    MakeDirectory { at: At, path: String, mode: u16 },
    MakeNode { at: At, path: String, kind: u8, mode: u16 },
    Symlink { target: String, at: At, path: String },
    Link { at: At, old: String, path: String, follow: bool },
    LinkSlot { slot: usize, path: String },
    Unlink { at: At, path: String },
    RemoveDirectory { at: At, path: String },
    Rename { from_at: At, from: String, to_at: At, to: String, flags: u32 },
    ReadLink { path: String },
    Stat { at: At, path: String, follow: bool },
    StatSlot { slot: usize },
    List { slot: usize },
    SetMode { path: String, mode: u16 },
    SetTimes { path: String, seconds: i64 },
}

/// What a path starts from: the working directory or an open file.
pub type At = Option<usize>;

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        10 => prop::sample::select(vec!["a", "b", "c"]).prop_map(str::to_owned),
        1 => Just(".".to_owned()),
        1 => Just("..".to_owned()),
        1 => (254usize..258).prop_map(|n| "n".repeat(n)),
    ]
}

fn path() -> impl Strategy<Value = String> {
    let slashes = || prop::sample::select(vec!["/", "/", "/", "//"]);
    let end = prop::sample::select(vec!["", "", "", "", "", "/", "//"]);
    let long = prop::collection::vec((name(), slashes()), 1..4);
    let path = (long, end).prop_map(|(names, end)| {
        let mut path = String::new();
        for (index, (name, slash)) in names.iter().enumerate() {
            if index > 0 {
                path.push_str(slash);
            }
            path.push_str(name);
        }
        path.push_str(end);
        path
    });
    prop_oneof![40 => path, 1 => Just(String::new()), 1 => (4090usize..4100).prop_map(|n| "./".repeat(n / 2))]
}

fn target() -> impl Strategy<Value = String> {
    // One `..` at most; see DEPTH.
    prop_oneof![
        path().prop_filter("goes up too often", |p| p.matches("..").count() < 2),
        Just("../a".to_owned()),
        Just("a".to_owned()),
        Just("b/c".to_owned()),
    ]
}

fn at() -> impl Strategy<Value = At> {
    prop_oneof![4 => Just(None), 1 => (0..SLOTS).prop_map(Some)]
}

fn offset() -> impl Strategy<Value = i64> {
    prop_oneof![
        5 => 0i64..100,
        5 => 0i64..20_000,
        1 => Just(-1i64),
        1 => (1i64 << 40)..(1 << 41),
        // In its last page Linux finds no data.
        1 => Just(i64::MAX),
    ]
}

fn length() -> impl Strategy<Value = usize> {
    prop_oneof![3 => 0usize..80, 1 => 0usize..10_000]
}

fn flags() -> impl Strategy<Value = u32> {
    let one = |flag: OpenFlags, weight: u32| prop_oneof![weight => Just(0), 1 => Just(flag.bits())];
    (
        0u32..4,
        prop_oneof![Just(0), Just(OpenFlags::CREATE.bits())],
        one(OpenFlags::EXCLUSIVE, 4),
        one(OpenFlags::TRUNCATE, 3),
        one(OpenFlags::APPEND, 4),
        one(OpenFlags::DIRECTORY, 6),
        one(OpenFlags::NO_FOLLOW, 5),
        one(OpenFlags::PATH, 8),
        one(OpenFlags::TEMPORARY | OpenFlags::DIRECTORY, 10),
    )
        .prop_map(|(a, b, c, d, e, f, g, h, i)| a | b | c | d | e | f | g | h | i)
}

fn mode() -> impl Strategy<Value = u16> {
    prop_oneof![Just(0o644), Just(0o755), 0u16..0o10000]
}

pub fn step() -> impl Strategy<Value = Step> {
    let slot = || 0..SLOTS;
    let follow = any::<bool>;
    prop_oneof![
        6 => (at(), path(), flags(), mode(), slot())
            .prop_map(|(at, path, flags, mode, slot)| Step::Open { at, path, flags, mode, slot }),
        1 => slot().prop_map(|slot| Step::Close { slot }),
        2 => (slot(), length()).prop_map(|(slot, length)| Step::Read { slot, length }),
        3 => (slot(), length()).prop_map(|(slot, length)| Step::Write { slot, length }),
        2 => (slot(), offset(), length())
            .prop_map(|(slot, offset, length)| Step::ReadAt { slot, offset, length }),
        3 => (slot(), offset(), length())
            .prop_map(|(slot, offset, length)| Step::WriteAt { slot, offset, length }),
        2 => (slot(), 0u8..5, prop_oneof![offset(), -50i64..50])
            .prop_map(|(slot, from, by)| Step::Seek { slot, from, by }),
        2 => (slot(), offset()).prop_map(|(slot, size)| Step::Resize { slot, size }),
        2 => (slot(), 0u8..4, prop_oneof![Just(-1i64), 0i64..30_000], prop_oneof![Just(-1i64), 0i64..30_000])
            .prop_map(|(slot, how, offset, length)| Step::Allocate { slot, how, offset, length }),
        1 => (path(), offset()).prop_map(|(path, size)| Step::Truncate { path, size }),
        5 => (at(), path(), mode()).prop_map(|(at, path, mode)| Step::MakeDirectory { at, path, mode }),
        1 => (at(), path(), 0u8..4, mode())
            .prop_map(|(at, path, kind, mode)| Step::MakeNode { at, path, kind, mode }),
        3 => (target(), at(), path()).prop_map(|(target, at, path)| Step::Symlink { target, at, path }),
        3 => (at(), path(), path(), follow())
            .prop_map(|(at, old, path, follow)| Step::Link { at, old, path, follow }),
        1 => (slot(), path()).prop_map(|(slot, path)| Step::LinkSlot { slot, path }),
        3 => (at(), path()).prop_map(|(at, path)| Step::Unlink { at, path }),
        3 => (at(), path()).prop_map(|(at, path)| Step::RemoveDirectory { at, path }),
        6 => (at(), path(), at(), path(), prop_oneof![3 => Just(0u32), 3 => 0u32..4])
            .prop_map(|(from_at, from, to_at, to, flags)| Step::Rename { from_at, from, to_at, to, flags }),
        1 => path().prop_map(|path| Step::ReadLink { path }),
        2 => (at(), path(), follow()).prop_map(|(at, path, follow)| Step::Stat { at, path, follow }),
        1 => slot().prop_map(|slot| Step::StatSlot { slot }),
        2 => slot().prop_map(|slot| Step::List { slot }),
        1 => (path(), mode()).prop_map(|(path, mode)| Step::SetMode { path, mode }),
        1 => (path(), offset()).prop_map(|(path, seconds)| Step::SetTimes { path, seconds }),
    ]
}

impl Step {
    /// Whether a file system with these abilities can do it.
    pub fn is_for(&self, abilities: &Abilities) -> bool {
        match self {
            Step::Open { mode, .. } | Step::MakeNode { mode, .. } | Step::SetMode { mode, .. }
                if mode & 0o6000 != 0 && !abilities.set_id =>
            {
                false
            }
            Step::Open { flags, .. } => {
                abilities.temporary_files || flags & OpenFlags::TEMPORARY.bits() == 0
            }
            Step::Allocate { .. } => abilities.allocates,
            Step::Resize { size, .. } | Step::Truncate { size, .. } => {
                *size <= abilities.most_bytes
            }
            Step::WriteAt { offset, .. } => *offset <= abilities.most_bytes,
            // 3 and 4 are data and holes.
            Step::Seek { from, .. } => abilities.holes || *from < 3,
            // RENAME_EXCHANGE
            Step::Rename { flags, .. } => abilities.exchanges || flags & 2 == 0,
            _ => true,
        }
    }
}
