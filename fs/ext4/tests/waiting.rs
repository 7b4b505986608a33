//! What was written waits in memory: it is read as if it did not, and is on the disk when it was
//! synchronised, whatever fails meanwhile.

mod disks;

use std::sync::Arc;

use disks::{Event, Fault, Recorder, check, make, mounted, tools};
use ext4::Ext4;
use proptest::prelude::*;
use ukerrno::Errno;
use ukfile::{Description, OpenFlags, SyncKind};
use vfs::{Context, FileSystem as _};

const SHAPES: [&[&str]; 3] = [
    &["-t", "ext4", "-b", "1024", "-O", "metadata_csum,64bit"],
    &["-t", "ext4", "-b", "1024", "-O", "^metadata_csum,^64bit"],
    &["-t", "ext4", "-b", "4096"],
];
/// More than waits at a time.
const LONG: usize = 700_000;

fn open(files: &Context) -> Arc<Description> {
    files.open(None, b"/file", OpenFlags::READ_WRITE | OpenFlags::CREATE, 0o600).unwrap()
}

fn content(file: &Description) -> Vec<u8> {
    let mut all = vec![0; file.file().metadata().unwrap().size as usize];
    assert_eq!(file.read_at(0, &mut [&mut all], OpenFlags::empty()), Ok(all.len()));
    all
}

fn writes(events: &[Event]) -> usize {
    events.iter().filter(|event| matches!(event, Event::Write(..))).count()
}

#[derive(Clone, Debug)]
enum Step {
    Write { at: usize, length: usize },
    Read { at: usize, length: usize },
    Resize(usize),
    Sync { only_data: bool },
}

fn step() -> impl Strategy<Value = Step> {
    let length = || prop_oneof![8 => 1..5000usize, 2 => 1..40_000usize, 1 => 1..200_000usize];
    prop_oneof![
        8 => (0..LONG, length()).prop_map(|(at, length)| Step::Write { at, length }),
        // Near each other.
        8 => (0..20_000usize, 1..3000usize).prop_map(|(at, length)| Step::Write { at, length }),
        4 => (0..LONG, length()).prop_map(|(at, length)| Step::Read { at, length }),
        4 => (0..20_000usize, 1..3000usize).prop_map(|(at, length)| Step::Read { at, length }),
        1 => (0..LONG).prop_map(Step::Resize),
        1 => any::<bool>().prop_map(|only_data| Step::Sync { only_data }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_waits_is_what_is_read(
        shape in 0..SHAPES.len(),
        steps in prop::collection::vec(step(), 1..150),
    ) {
        if !tools() {
            return Ok(());
        }
        let disk = Recorder::new(make(SHAPES[shape], "16M"));
        let (fs, files) = disk.mount();
        let start = disk.content();
        disk.record();
        let (file, mut model) = (open(&files), Vec::new());
        for (n, step) in steps.iter().enumerate() {
            match *step {
                Step::Write { at, length } => {
                    let bytes = vec![n as u8 + 1; length];
                    prop_assert_eq!(file.write_at(at as u64, &[&bytes], OpenFlags::empty()), Ok(length));
                    model.resize(model.len().max(at + length), 0);
                    model[at..at + length].copy_from_slice(&bytes);
                }
                Step::Read { at, length } => {
                    let mut bytes = vec![0; length];
                    let read = file.read_at(at as u64, &mut [&mut bytes], OpenFlags::empty()).unwrap();
                    let rest = model.get(at..).unwrap_or_default();
                    prop_assert!(bytes[..read] == rest[..length.min(rest.len())]);
                }
                Step::Resize(size) => {
                    vfs::resize_open(&file, size as i64).unwrap();
                    model.resize(size, 0);
                }
                Step::Sync { only_data } => {
                    let how = if only_data { SyncKind::Data } else { SyncKind::All };
                    file.file().sync(how).unwrap();
                    let left = mounted(Ext4::new(Box::new(disk.without_power(&start))).unwrap());
                    let left = left.open(None, b"/file", OpenFlags::READ_ONLY, 0).unwrap();
                    prop_assert!(content(&left) == model);
                }
            }
        }
        prop_assert!(content(&file) == model);
        drop((fs, files, file));
        check(&disk.content()).map_err(TestCaseError::fail)?;
        let (_fs, files) = disk.mount();
        prop_assert!(content(&open(&files)) == model);
    }
}

/// Neighbours are written at once, what is written again once; and no more waits than so much.
#[test]
fn what_waits_is_bounded_and_goes_in_few_requests() {
    if !tools() {
        return;
    }
    for shape in SHAPES {
        let disk = Recorder::new(make(shape, "16M"));
        let (_fs, files) = disk.mount();
        let file = open(&files);
        disk.record();
        for part in vec![7; LONG].chunks(1000) {
            file.write(&[part]).unwrap();
        }
        let before = disk.events();
        let written: usize = before
            .iter()
            .map(|event| if let Event::Write(_, bytes) = event { bytes.len() } else { 0 })
            .sum();
        let waits = LONG.saturating_sub(written);
        assert!((1..=256 << 10).contains(&waits), "{shape:?}: {waits}");
        for n in 0..500 {
            file.write_at(LONG as u64 - 1000, &[&[n as u8; 600]], OpenFlags::empty()).unwrap();
        }
        file.file().sync(SyncKind::All).unwrap();
        let all = writes(&disk.events());
        assert!(all < LONG / (32 << 10), "{shape:?}: {all}");
    }
}

/// What a fault keeps from the disk is there after the next attempt, or that fails too.
#[test]
fn what_could_not_be_written_is_not_said_to_be_safe() {
    if !tools() {
        return;
    }
    for (fault, after) in [Fault::Write, Fault::Memory, Fault::Flush]
        .into_iter()
        .flat_map(|fault| (0..18).map(move |after| (fault, after)))
    {
        let disk = Recorder::new(make(SHAPES[after % 2], "16M"));
        let (fs, files) = disk.mount();
        let file = open(&files);
        fs.root().sync(SyncKind::All).unwrap();
        let start = disk.content();
        disk.record();
        disk.fail_once(fault, after);
        let mut model = vec![0; 0];
        for part in 0..100 {
            let bytes = [part as u8 + 1; 4096];
            let result = file.write_at(model.len() as u64, &[&bytes], OpenFlags::empty());
            // Once more: a disk without memory is well.
            let again = || file.write_at(model.len() as u64, &[&bytes], OpenFlags::empty());
            if result.or_else(|_| again()) == Ok(4096) {
                model.extend(bytes);
            }
        }
        let result = file.file().sync(SyncKind::All).or_else(|_| file.file().sync(SyncKind::All));
        let what = format!("{fault:?} {after}");
        match result {
            Err(error) => assert!(fault != Fault::Memory && error == Errno::EIO, "{what}"),
            Ok(()) => {
                let left = mounted(Ext4::new(Box::new(disk.without_power(&start))).unwrap());
                let left = left.open(None, b"/file", OpenFlags::READ_ONLY, 0).unwrap();
                let left = content(&left);
                assert!(left.len() >= model.len() && left[..model.len()] == model, "{what}");
            }
        }
    }
}

/// Whatever failed before, the block that commits is written after a flush of what it commits, and
/// alone.
#[test]
fn nothing_is_committed_before_all_of_it_is_flushed() {
    if !tools() {
        return;
    }
    for after in 0..8 {
        let disk = Recorder::new(make(SHAPES[1], "4M"));
        let (fs, files) = disk.mount();
        disk.record();
        disk.fail_once(Fault::Memory, after);
        for n in 0..3 {
            files.make_directory(None, format!("/d{n}").as_bytes(), 0o755).unwrap();
            // It is tried again, as what was read may have made room.
            fs.root().sync(SyncKind::All).unwrap();
        }
        assert!(disk.has_failed() || after > 5, "{after}");
        let (mut before, mut commits) = (&Event::Flush, 0);
        let events = disk.events();
        for event in &events {
            if let Event::Write(_, bytes) = event {
                let head = [0xc0, 0x3b, 0x39, 0x98, 0, 0, 0, 2];
                if bytes.chunks(1024).any(|block| block[..8] == head) {
                    commits += 1;
                    let is_alone = bytes.len() == 1024 && matches!(before, Event::Flush);
                    assert!(is_alone, "{after}: {}", bytes.len());
                }
            }
            before = event;
        }
        assert_eq!(commits, 3, "{after}");
    }
}
