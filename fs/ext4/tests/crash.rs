//! The machine ends at any moment: what was confirmed is there, and the disk is whole.

mod disks;

use std::sync::Arc;

use disks::{Event, Recorder, check, check_after_replay, make, mounted, tools};
use ext4::Ext4;
use proptest::prelude::*;
use ukerrno::Errno;
use ukfile::{Description, OpenFlags, SyncKind};
use vfs::{Allocate, Context, FileSystem, Follow, RenameFlags};

const BLOCK: usize = 1024;
const LOGS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    /// Appends so many bytes to a log, and waits until they are safe.
    Append {
        log: usize,
        length: usize,
        sync: bool,
        only_data: bool,
    },
    /// Replaces a file by a new one with other content.
    Replace {
        length: usize,
    },
    Make {
        name: usize,
        length: usize,
    },
    MakeDirectory {
        name: usize,
    },
    Remove {
        name: usize,
    },
    Rename {
        from: usize,
        to: usize,
    },
    Cut {
        name: usize,
        length: usize,
    },
    /// Makes names of one file, or removes them: enough for a hash tree.
    Names {
        from: usize,
        count: usize,
    },
    SyncAll,
}

fn step() -> impl Strategy<Value = Step> {
    let name = || 0..6usize;
    let length = || prop_oneof![0..600usize, 0..9000usize, Just(60_000usize)];
    prop_oneof![
        6 => (0..LOGS, 1..4000usize, any::<bool>(), any::<bool>())
            .prop_map(|(log, length, sync, only_data)| Step::Append { log, length, sync, only_data }),
        2 => (1..20_000usize).prop_map(|length| Step::Replace { length }),
        3 => (name(), length()).prop_map(|(name, length)| Step::Make { name, length }),
        2 => name().prop_map(|name| Step::MakeDirectory { name }),
        3 => name().prop_map(|name| Step::Remove { name }),
        2 => (name(), name()).prop_map(|(from, to)| Step::Rename { from, to }),
        2 => (name(), length()).prop_map(|(name, length)| Step::Cut { name, length }),
        2 => (0..60usize, 1..20usize).prop_map(|(from, count)| Step::Names { from, count }),
        1 => Just(Step::SyncAll),
    ]
}

/// What a log has at a byte.
fn byte_of(log: usize, at: usize) -> u8 {
    ((at / 7) ^ at ^ (log * 50)) as u8 | 1
}

fn log_path(log: usize) -> Vec<u8> {
    format!("/log{log}").into_bytes()
}

fn path_of(name: usize) -> Vec<u8> {
    format!("/{}name{name}", if name.is_multiple_of(2) { "dir/" } else { "" }).into_bytes()
}

const WRITE: OpenFlags = OpenFlags::WRITE_ONLY.union(OpenFlags::CREATE);

fn get(files: &Context, path: &[u8]) -> Result<Vec<u8>, Errno> {
    let file = files.open(None, path, OpenFlags::READ_ONLY, 0)?;
    let size = file.file().metadata()?.size as usize;
    let mut all = vec![0; size];
    assert_eq!(file.read(&mut [&mut all])?, size);
    Ok(all)
}

/// What is certain after so many events.
#[derive(Debug)]
struct Promise {
    events: usize,
    lengths: [usize; LOGS],
    version: usize,
}

/// The n-th content of the file that is replaced.
fn version(n: usize, length: usize) -> Vec<u8> {
    let mut bytes = format!("{n} {length} ").into_bytes();
    bytes.resize(bytes.len() + length, n as u8);
    bytes
}

/// Does the steps; what each makes certain.
fn run(disk: &Recorder, files: &Context, fs: &Ext4, steps: &[Step]) -> Result<Vec<Promise>, Errno> {
    files.make_directory(None, b"/dir", 0o755)?;
    files.make_directory(None, b"/many", 0o755)?;
    files.open(None, b"/one", WRITE, 0o600)?;
    let mut promises = Vec::new();
    let (mut lengths, mut safe) = ([0; LOGS], [0; LOGS]);
    let (mut now, mut safe_version) = (0, 0);
    for step in steps {
        let mut all = false;
        match *step {
            Step::Append { log, length, sync, only_data } => {
                let file = files.open(None, &log_path(log), WRITE | OpenFlags::APPEND, 0o644)?;
                let bytes: Vec<u8> =
                    (lengths[log]..lengths[log] + length).map(|at| byte_of(log, at)).collect();
                assert_eq!(file.write(&[&bytes])?, length);
                lengths[log] += length;
                if sync {
                    file.file().sync(if only_data { SyncKind::Data } else { SyncKind::All })?;
                    safe[log] = lengths[log];
                }
            }
            Step::Replace { length } => {
                now += 1;
                let file = files.open(None, b"/new", WRITE | OpenFlags::TRUNCATE, 0o644)?;
                file.write(&[&version(now, length)])?;
                file.file().sync(SyncKind::All)?;
                files.rename((None, b"/new"), (None, b"/replaced"), RenameFlags::empty())?;
                fs.root().sync(SyncKind::All)?;
                safe_version = now;
            }
            Step::Make { name, length } => {
                if let Ok(file) = files.open(None, &path_of(name), WRITE, 0o600) {
                    file.write(&[&vec![7; length]])?;
                }
            }
            Step::MakeDirectory { name } => {
                let _ = files.make_directory(None, &path_of(name), 0o700);
            }
            Step::Remove { name } => {
                let _ = files.unlink(None, &path_of(name));
                let _ = files.remove_directory(None, &path_of(name));
            }
            Step::Rename { from, to } => {
                let (from, to) = (path_of(from), path_of(to));
                let _ = files.rename((None, &from), (None, &to), RenameFlags::empty());
            }
            Step::Cut { name, length } => {
                if let Ok(place) = files.resolve(None, &path_of(name), Follow::No) {
                    let _ = files.set_size(&place, length as i64);
                }
            }
            Step::Names { from, count } => {
                let file = files.resolve(None, b"/one", Follow::No)?;
                for n in from..from + count {
                    let path = format!("/many/{n:-<150}").into_bytes();
                    if files.make_link(&file, None, &path) == Err(Errno::EEXIST) {
                        files.unlink(None, &path)?;
                    }
                }
            }
            Step::SyncAll => {
                fs.sync()?;
                all = true;
            }
        }
        if all {
            safe = lengths;
        }
        promises.push(Promise { events: disk.count(), lengths: safe, version: safe_version });
    }
    Ok(promises)
}

/// Does to a disk what was done to it: of each block whether it arrives.
fn apply(disk: &mut [u8], events: &[Event], arrives: &mut dyn FnMut() -> bool) {
    for event in events {
        let Event::Write(at, bytes) = event else { continue };
        for (number, block) in bytes.chunks(BLOCK).enumerate() {
            if arrives() {
                let at = at + number * BLOCK;
                disk[at..at + block.len()].copy_from_slice(block);
            }
        }
    }
}

/// The disk when the machine ended after so many events. What was not flushed is there or not, block
/// by block.
fn cut(start: &[u8], events: &[Event], arrives: &mut dyn FnMut() -> bool) -> Vec<u8> {
    let mut disk = start.to_vec();
    let flushed = events.iter().rposition(|event| matches!(event, Event::Flush)).unwrap_or(0);
    apply(&mut disk, &events[..flushed], &mut || true);
    apply(&mut disk, &events[flushed..], arrives);
    disk
}

/// Numbers that look like random ones.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// What is left must hold what was promised: read as it is, after a mount for writing, and after
/// others have replayed the journal.
fn survives(crashed: &[u8], promise: Option<&Promise>) -> Result<(), TestCaseError> {
    holds(&mounted(Ext4::new(Box::new(crashed.to_vec())).map_err(told)?), promise)?;
    let again = Recorder::new(crashed.to_vec());
    {
        let (_fs, files) = again.mount();
        holds(&files, promise)?;
        files.make_directory(None, b"/after", 0o755).unwrap();
        nothing_behind_the_end(&files)?;
    }
    check(&again.content()).map_err(TestCaseError::fail)
}

fn told(error: ext4::Ext4Error) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}

fn survives_elsewhere(crashed: &[u8], promise: Option<&Promise>) -> Result<(), TestCaseError> {
    let replayed = check_after_replay(crashed).map_err(TestCaseError::fail)?;
    holds(&mounted(Ext4::new(Box::new(replayed)).map_err(told)?), promise)
}

/// What was written and never committed does not come back when files get longer.
fn nothing_behind_the_end(files: &Context) -> Result<(), TestCaseError> {
    for log in 0..LOGS {
        let Ok(file) = files.open(None, &log_path(log), OpenFlags::READ_WRITE, 0) else { continue };
        let size = file.file().metadata().unwrap().size as usize;
        if log % 2 == 0 {
            vfs::resize_open(&file, size as i64 + 5000).unwrap();
        } else {
            file.write_at(size as u64 + 5000, &[b"x"], OpenFlags::empty()).unwrap();
        }
        let longer = get(files, &log_path(log)).unwrap();
        prop_assert!(longer[size..size + 5000].iter().all(|byte| *byte == 0), "log {log}: {size}");
    }
    Ok(())
}

fn holds(files: &Context, promise: Option<&Promise>) -> Result<(), TestCaseError> {
    for log in 0..LOGS {
        let content = get(files, &log_path(log)).unwrap_or_default();
        let safe = promise.map_or(0, |promise| promise.lengths[log]);
        prop_assert!(content.len() >= safe, "log {log}: {} of {safe}", content.len());
        let wrong = (0..content.len()).find(|at| content[*at] != byte_of(log, *at));
        prop_assert_eq!(wrong, None, "log {} of {} bytes", log, content.len());
    }
    let content = get(files, b"/replaced");
    let safe = promise.map_or(0, |promise| promise.version);
    match content {
        Err(error) => prop_assert_eq!((error, safe), (Errno::ENOENT, 0)),
        Ok(content) => {
            let text = String::from_utf8_lossy(&content);
            let numbers: Vec<usize> = text.split(' ').take(2).map(|n| n.parse().unwrap()).collect();
            prop_assert!(numbers[0] >= safe);
            prop_assert!(content == version(numbers[0], numbers[1]));
        }
    }
    Ok(())
}

const SHAPES: [&[&str]; 3] = [
    &["-t", "ext4", "-b", "1024", "-O", "metadata_csum,64bit"],
    &["-t", "ext4", "-b", "1024", "-O", "^metadata_csum,^64bit"],
    &["-t", "ext4", "-b", "1024", "-O", "metadata_csum,^64bit,^flex_bg", "-g", "1024"],
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_was_confirmed_is_lost(
        shape in 0..SHAPES.len(),
        steps in prop::collection::vec(step(), 10..120),
        before in 0..150usize,
        cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<u64>()), 6),
    ) {
        if !tools() {
            return Ok(());
        }
        let disk = Recorder::new(make(SHAPES[shape], "4M"));
        let (fs, files) = disk.mount();
        // So that the journal begins again anywhere in between.
        for n in 0..before {
            let file = files.open(None, b"/before", WRITE | OpenFlags::APPEND, 0o600).unwrap();
            file.write(&[&vec![9; n]]).unwrap();
            file.file().sync(SyncKind::All).unwrap();
        }
        let start = disk.content();
        disk.record();
        let promises = run(&disk, &files, &fs, &steps).unwrap();
        drop((fs, files));
        check(&disk.content()).map_err(TestCaseError::fail)?;
        let events = disk.events();
        for (at, seed) in cuts {
            let at = at.index(events.len() + 1);
            let mut state = seed | 1;
            // Nothing, all, or some of what was not flushed.
            let mut arrives = || match seed % 4 {
                0 => false,
                1 => true,
                _ => !next(&mut state).is_multiple_of(3),
            };
            let crashed = cut(&start, &events[..at], &mut arrives);
            let promise = promises.iter().rev().find(|promise| promise.events <= at);
            survives(&crashed, promise)?;
            survives_elsewhere(&crashed, promise)?;
        }
    }
}

/// What is left of what was written between two flushes: without each block alone, the first ones, all,
/// and any.
fn losses(before: &[u8], epoch: &[Event], random: &mut u64) -> impl Iterator<Item = Vec<u8>> {
    let mut blocks = 0usize;
    apply(&mut before.to_vec(), epoch, &mut || {
        blocks += 1;
        true
    });
    (0..blocks + 9).map(move |lost| {
        let (mut left, mut block) = (before.to_vec(), 0usize);
        apply(&mut left, epoch, &mut || {
            block += 1;
            match lost.checked_sub(blocks) {
                None => block - 1 != lost,
                Some(first @ 0..4) => block > first + 2,
                Some(4) => false,
                Some(_) => next(random).is_multiple_of(2),
            }
        });
        left
    })
}

fn is_flush(event: &Event) -> bool {
    matches!(event, Event::Flush)
}

/// Some of everything, until the journal has begun again.
fn script() -> Vec<Step> {
    let append = |log, length, only_data| Step::Append { log, length, sync: true, only_data };
    let mut steps = Vec::new();
    for n in 0..110 {
        steps.push(append(n % LOGS, 300 + 40 * n, n % 3 == 0));
        steps.push(match n % 5 {
            0 => Step::MakeDirectory { name: n % 4 },
            1 => Step::Make { name: 4 + n % 2, length: 9000 },
            2 => Step::Replace { length: 50 * n },
            3 => Step::Remove { name: n % 6 },
            _ => Step::Rename { from: n % 6, to: (n + 1) % 6 },
        });
        if n % 8 == 0 {
            steps.push(Step::Names { from: n, count: 12 });
        }
    }
    steps
}

/// Between any two flushes around what happens once: of what is written there, each block alone is
/// lost, all are, or some.
#[test]
fn any_block_may_be_lost_while_the_journal_begins_and_ends() {
    if !tools() {
        return;
    }
    for shape in &SHAPES[..2] {
        let disk = Recorder::new(make(&[shape, &["-J", "size=1"][..]].concat(), "4M"));
        let mut state = disk.content();
        disk.record();
        let (fs, files) = disk.mount();
        let promises = run(&disk, &files, &fs, &script()).unwrap();
        drop((fs, files));
        let events = disk.events();
        // The journal's superblock says where it begins: at first, when it begins again, at the end.
        let begins = |event: &Event| matches!(event, Event::Write(_, bytes) if bytes[..8] == [0xc0, 0x3b, 0x39, 0x98, 0, 0, 0, 4]);
        let epochs: Vec<&[Event]> = events.split_inclusive(is_flush).collect();
        let begun: Vec<usize> =
            (0..epochs.len()).filter(|epoch| epochs[*epoch].iter().any(begins)).collect();
        assert!(begun.len() >= 3, "the journal is too large: {begun:?}");
        let mut done = 0;
        let mut random = 1;
        for (number, epoch) in epochs.iter().enumerate() {
            let promise = promises.iter().rev().find(|promise| promise.events <= done);
            if begun.iter().any(|begun| (begun.saturating_sub(2)..begun + 4).contains(&number)) {
                for (lost, crashed) in losses(&state, epoch, &mut random).enumerate() {
                    let mut result = survives(&crashed, promise);
                    // What takes longest.
                    if lost % 8 == 0 {
                        result = result.and_then(|()| survives_elsewhere(&crashed, promise));
                    }
                    if let Err(error) = result {
                        panic!("{shape:?}, epoch {number} of {begun:?}, {lost}: {error}");
                    }
                }
            }
            apply(&mut state, epoch, &mut || true);
            done += epoch.len();
        }
    }
}

/// Blocks of the journal with such a type, by the numbers of their transactions, in order.
fn in_journal(disk: &[u8], kind: u8) -> Vec<usize> {
    let head = [0xc0, 0x3b, 0x39, 0x98, 0, 0, 0, kind];
    let mut found: Vec<usize> =
        (0..disk.len()).step_by(BLOCK).filter(|at| disk[*at..*at + 8] == head).collect();
    found.sort_by_key(|at| disk[*at + 8..*at + 12].to_vec());
    found
}

/// What is in the journal counts up to the first block that is not as it was written.
#[test]
fn a_transaction_counts_when_all_of_it_is_whole() {
    if !tools() {
        return;
    }
    let disk = Recorder::new(make(SHAPES[0], "4M"));
    let start = disk.content();
    disk.record();
    let (fs, files) = disk.mount();
    for path in [b"/one", b"/two"] {
        files.make_directory(None, path, 0o755).unwrap();
        fs.root().sync(SyncKind::All).unwrap();
    }
    // In the journal, and not yet in its place.
    let events = disk.events();
    let crashed = cut(&start, &events, &mut || false);
    let there = |disk: &[u8]| {
        let (_fs, files) = Recorder::new(disk.to_vec()).mount();
        [b"/one", b"/two"].map(|path| files.resolve(None, path, Follow::No).is_ok())
    };
    assert_eq!(there(&crashed), [true, true]);
    let (descriptors, commits) = (in_journal(&crashed, 1), in_journal(&crashed, 2));
    assert_eq!((descriptors.len(), commits.len()), (2, 2));
    // What no reader but the checksum looks at: the end of a descriptor, the time of a commit.
    for (ats, end) in [(&descriptors, BLOCK - 8), (&commits, 0x37)] {
        for (number, at) in ats.iter().enumerate() {
            let mut torn = crashed.clone();
            torn[at + end] ^= 1;
            assert_eq!(there(&torn), [number > 0, false]);
            check_after_replay(&torn).unwrap();
        }
    }
    // A replay that is cut short leaves enough for the next one.
    let again = Recorder::new(crashed.clone());
    again.record();
    drop(again.mount());
    let mut state = crashed.clone();
    for epoch in again.events().split_inclusive(is_flush) {
        for left in losses(&state, epoch, &mut 1) {
            assert_eq!(there(&left), [true, true]);
            check_after_replay(&left).unwrap();
        }
        apply(&mut state, epoch, &mut || true);
    }
    // The copy of a block, on the other hand, was whole before the transaction was committed; and so
    // was what says where the journal begins, with what number.
    let superblock = in_journal(&crashed, 4)[0];
    for (at, reason) in [
        (descriptors[1] + BLOCK + 100, "the checksum of a block in its journal is wrong"),
        (superblock + 0x1b, "the checksum of its journal is wrong"),
    ] {
        let mut damaged = crashed.clone();
        damaged[at] ^= 1;
        let writable = Ext4::writable(Box::new(Recorder::new(damaged.clone())), &mut |_| {});
        for result in [Ext4::new(Box::new(damaged)), writable] {
            let refused = result.unwrap_err().to_string();
            assert!(refused.contains(reason), "{refused}");
        }
    }
}

/// The disk says that its journal counts before that has something which counts, whatever is changed.
#[test]
fn the_journal_is_announced() {
    if !tools() {
        return;
    }
    for shape in SHAPES {
        let disk = Recorder::new(make(shape, "4M"));
        let (fs, files) = disk.mount();
        files.make_directory(None, b"/dir", 0o755).unwrap();
        fs.sync().unwrap();
        let start = disk.content();
        disk.record();
        // Of the superblock nothing changes at first, then its counts do, then nothing again.
        let place = files.resolve(None, b"/dir", Follow::No).unwrap();
        for mode in [0o700, 0o711, 0o722, 0o733] {
            files.set_permissions(&place, mode).unwrap();
            fs.root().sync(SyncKind::All).unwrap();
            let crashed = disk.without_power(&start);
            for left in [crashed.clone(), check_after_replay(&crashed).unwrap()] {
                let files = mounted(Ext4::new(Box::new(left)).unwrap());
                let told = files.metadata(None, b"/dir", Follow::No).unwrap().permissions;
                assert_eq!(told, mode, "{shape:?}");
            }
            if mode == 0o711 {
                files.make_directory(None, b"/more", 0o755).unwrap();
            }
        }
    }
}

/// A file that takes all space there is.
fn fill(files: &Context, path: &[u8], byte: u8) -> Arc<Description> {
    let file = files.open(None, path, WRITE, 0o600).unwrap();
    let mut last = 1 << 20;
    while last >= BLOCK {
        if file.write(&[&vec![byte; last]]).is_err() {
            last /= 2;
        }
    }
    file
}

/// What was metadata and is data by now does not come back from the journal.
#[test]
fn revoked_blocks_are_not_replayed() {
    if !tools() {
        return;
    }
    for shape in SHAPES {
        let disk = Recorder::new(make(shape, "4M"));
        let (fs, files) = disk.mount();
        let sync = || fs.root().sync(SyncKind::All).unwrap();
        let paths: Vec<_> = (0..20).map(|n| format!("/d{n}").into_bytes()).collect();
        paths.iter().for_each(|path| files.make_directory(None, path, 0o755).unwrap());
        sync();
        paths.iter().for_each(|path| files.remove_directory(None, path).unwrap());
        sync();
        let size = {
            let file = fill(&files, b"/file", 0x5a);
            file.file().sync(SyncKind::All).unwrap();
            file.file().metadata().unwrap().size as usize
        };
        assert!(size > 2 << 20, "{size}");
        let crashed = disk.content();
        let is_whole = |disk: &[u8]| {
            let files = mounted(Ext4::new(Box::new(disk.to_vec())).unwrap());
            get(&files, b"/file").unwrap() == vec![0x5a; size]
        };
        assert!(is_whole(&crashed), "{shape:?}");
        assert!(is_whole(&check_after_replay(&crashed).unwrap()), "{shape:?}");
        let again = Recorder::new(crashed);
        drop(again.mount());
        assert!(is_whole(&again.content()), "{shape:?}");
        // Nor written to their places where nothing crashed.
        assert_eq!(get(&files, b"/file").unwrap(), vec![0x5a; size], "{shape:?}");
        drop((fs, files));
        assert!(is_whole(&disk.content()), "{shape:?}");
    }
}

/// A block that begins as those of the journal do is none of them.
#[test]
fn metadata_may_look_like_the_journal() {
    if !tools() {
        return;
    }
    // The seventh group has nothing but data: its bitmap becomes the magic number.
    let (first, magic) = (1 + 6 * 2048, [0xc0u8, 0x3b, 0x39, 0x98]);
    let used = |n: usize| magic[n / 8] >> (n % 8) & 1 != 0;
    let options = ["-t", "ext4", "-b", "1024", "-g", "2048", "-O", "metadata_csum,64bit,flex_bg"];
    let disk = Recorder::new(make(&options, "16M"));
    let (fs, files) = disk.mount();
    // Each block of the file has its number, by which it is found on the disk.
    let file = files.open(None, b"/file", WRITE, 0o600).unwrap();
    let (mut next, mut count) = (0u32, 64);
    while count > 0 {
        let part: Vec<u8> =
            (next..next + count).flat_map(|n| n.to_le_bytes().repeat(BLOCK / 4)).collect();
        match file.write(&[&part]) {
            Ok(written) => next += (written / BLOCK) as u32,
            Err(_) => count /= 2,
        }
    }
    // Elsewhere there is room for what the holes need.
    vfs::allocate_open(&file, Allocate::PunchHole, 0, 20 * BLOCK as i64).unwrap();
    fs.sync().unwrap();
    let start = disk.content();
    disk.record();
    for n in (0..32).filter(|n| !used(*n)) {
        let at = (first + n) * BLOCK;
        let number = u32::from_le_bytes(start[at..at + 4].try_into().unwrap());
        let (offset, length) = (i64::from(number) * BLOCK as i64, BLOCK as i64);
        vfs::allocate_open(&file, Allocate::PunchHole, offset, length).unwrap();
    }
    file.file().sync(SyncKind::All).unwrap();
    // In the journal, and not yet in its place.
    let crashed = cut(&start, &disk.events(), &mut || false);
    drop((fs, file, files));
    let again = Recorder::new(crashed.clone());
    drop(again.mount());
    for replayed in [again.content(), check_after_replay(&crashed).unwrap(), disk.content()] {
        check(&replayed).unwrap();
        assert_eq!(
            replayed.chunks(BLOCK).filter(|block| block[..4] == magic && block[4] == 0xff).count(),
            1
        );
    }
}

/// Until a deletion is committed a crash brings the file back: with what it had.
#[test]
fn blocks_of_deleted_files_are_kept_until_that_is_certain() {
    if !tools() {
        return;
    }
    for shape in SHAPES {
        let disk = Recorder::new(make(shape, "4M"));
        let (fs, files) = disk.mount();
        let size = {
            let file = fill(&files, b"/old", 1);
            file.file().metadata().unwrap().size as usize
        };
        fs.sync().unwrap();
        // Nothing else is free for what is written next, a little or much.
        for (round, length) in [3 * BLOCK, 50 * BLOCK, size / 2].into_iter().enumerate() {
            let again = Recorder::new(disk.content());
            let start = again.content();
            again.record();
            let (_fs, files) = again.mount();
            files.unlink(None, b"/old").unwrap();
            let new = files.open(None, b"/new", WRITE, 0o600).unwrap();
            new.write(&[&vec![2; length]]).unwrap();
            let events = again.events();
            for at in 0..=events.len() {
                let crashed = cut(&start, &events[..at], &mut || true);
                let files = mounted(Ext4::new(Box::new(crashed)).unwrap());
                let left = get(&files, b"/old").unwrap_or_default();
                assert!(left.iter().all(|byte| *byte == 1), "{shape:?}, {round}: {at}");
            }
        }
    }
}

/// `fdatasync` of what was there already changes no metadata but times.
#[test]
fn what_replaces_something_is_flushed() {
    if !tools() {
        return;
    }
    let disk = Recorder::new(make(SHAPES[0], "4M"));
    let (fs, files) = disk.mount();
    let file = files.open(None, b"/file", WRITE, 0o600).unwrap();
    file.write(&[&[1; 5000]]).unwrap();
    fs.sync().unwrap();
    let start = disk.content();
    disk.record();
    file.write_at(0, &[&[2; 5000]], OpenFlags::empty()).unwrap();
    file.file().sync(SyncKind::Data).unwrap();
    let left = disk.without_power(&start);
    assert!(get(&mounted(Ext4::new(Box::new(left)).unwrap()), b"/file").unwrap() == [2; 5000]);
    let commits = in_journal(&disk.content(), 2).len();
    file.write_at(0, &[&[3; 5000]], OpenFlags::empty()).unwrap();
    file.file().sync(SyncKind::Data).unwrap();
    assert_eq!(in_journal(&disk.content(), 2).len(), commits, "times alone are not committed");
}
