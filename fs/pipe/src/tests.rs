use std::sync::{Arc, mpsc};
use std::time::Duration;

use proptest::prelude::*;
use rustix::pipe::PipeFlags;
use ukerrno::Errno;
use ukfile::{Control, Description, Events, OpenFlags, Watcher};

use crate::{DEFAULT_CAPACITY, Fifo, capacity, pipe, set_capacity};

const NONBLOCK: OpenFlags = OpenFlags::NONBLOCK;

#[test]
fn writers_wait_for_room_and_pieces_stay_whole() {
    let (reader, writer) = pipe(OpenFlags::empty()).unwrap();
    const EACH: usize = 300;
    let threads: Vec<_> = (0..4u8)
        .map(|id| {
            let writer = writer.clone();
            std::thread::spawn(move || {
                for _ in 0..EACH {
                    // Odd lengths, so that pieces do not fill the pipe evenly.
                    assert_eq!(writer.write(&[&[id; 1000], &[id; 777]]), Ok(1777));
                }
            })
        })
        .collect();
    drop(writer);
    let mut counts = [0; 4];
    let (mut piece, mut filled) = ([0; 1777], 0);
    loop {
        let read = reader.read(&mut [&mut piece[filled..]]).unwrap();
        if read == 0 {
            break;
        }
        filled += read;
        if filled == piece.len() {
            assert!(piece.iter().all(|&b| b == piece[0]), "pieces are mixed");
            counts[usize::from(piece[0])] += 1;
            filled = 0;
        }
    }
    threads.into_iter().for_each(|t| t.join().unwrap());
    assert_eq!((counts, filled), ([EACH; 4], 0));
}

#[test]
fn large_writes_go_through_in_parts() {
    let (reader, writer) = pipe(OpenFlags::empty()).unwrap();
    let data: Vec<u8> = (0..1_000_000u32).map(|n| (n % 251) as u8).collect();
    let sent = data.clone();
    let thread = std::thread::spawn(move || writer.write(&[&sent]));
    let mut got = Vec::new();
    let mut buffer = vec![0; 10_007];
    loop {
        match reader.read(&mut [&mut buffer]).unwrap() {
            0 => break,
            read => got.extend_from_slice(&buffer[..read]),
        }
    }
    assert_eq!(thread.join().unwrap(), Ok(data.len()));
    assert!(got == data);
}

#[test]
fn closing_the_other_end_ends_waiting() {
    let (reader, writer) = pipe(OpenFlags::empty()).unwrap();
    let thread = std::thread::spawn(move || reader.read(&mut [&mut [0; 8]]));
    std::thread::sleep(Duration::from_millis(20));
    drop(writer);
    assert_eq!(thread.join().unwrap(), Ok(0));

    let (reader, writer) = pipe(OpenFlags::empty()).unwrap();
    let thread = std::thread::spawn(move || writer.write(&[&[0; 100_000]]));
    std::thread::sleep(Duration::from_millis(20));
    drop(reader);
    assert_eq!(thread.join().unwrap(), Ok(65536), "what went through is told first");
}

#[test]
fn named_pipes_wait_for_the_other_end() {
    let fifo = Arc::new(Fifo::default());
    assert_eq!(fifo.open(NONBLOCK | OpenFlags::WRITE_ONLY).err(), Some(Errno::ENXIO));
    let twin = fifo.clone();
    let thread = std::thread::spawn(move || twin.open(OpenFlags::READ_ONLY).map(drop));
    let writer = fifo.open(OpenFlags::WRITE_ONLY).unwrap();
    thread.join().unwrap().unwrap();
    assert_eq!(writer.write(&mut 0, &[b"x"], NONBLOCK), Err(Errno::EPIPE));
    let reader = fifo.open(NONBLOCK).unwrap();
    assert_eq!(reader.read(&mut 0, &mut [&mut [0]], NONBLOCK), Err(Errno::EAGAIN));
    drop(writer);
    assert_eq!(reader.read(&mut 0, &mut [&mut [0]], NONBLOCK), Ok(0));
    assert_eq!(reader.ready(), Events::HANG_UP);
    let late = fifo.open(NONBLOCK).unwrap();
    assert_eq!(late.ready(), Events::empty(), "it has seen no writer");
}

#[test]
fn room_is_told_when_there_was_none() {
    #[derive(Default)]
    struct Told(std::sync::atomic::AtomicU32);
    impl Watcher for Told {
        fn changed(&self, _: u64, _: Events) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    }
    let (reader, writer) = pipe(NONBLOCK).unwrap();
    let told = Arc::new(Told::default());
    writer.file().watchers().unwrap().watch(told.clone(), Events::OUT, 0).unwrap();
    let times = || told.0.swap(0, std::sync::atomic::Ordering::SeqCst);
    let read = |length| assert_eq!(reader.read(&mut [&mut vec![0; length]]), Ok(length));
    writer.write(&[&[0; 10000]]).unwrap();
    (0..5).for_each(|_| read(1000));
    assert_eq!(times(), 0, "there was room all the time");
    assert_eq!(writer.write(&[&[0; 100_000]]), Ok(60536));
    read(4095);
    assert_eq!((times(), writer.file().ready()), (0, Events::empty()));
    read(1);
    assert_eq!((times(), writer.file().ready()), (1, Events::WRITABLE));
    read(10000);
    assert_eq!(times(), 0);
    assert_eq!(writer.write(&[&[0; 100_000]]), Ok(14096));
    set_capacity(&writer, 1 << 20).unwrap();
    set_capacity(&writer, 1 << 19).unwrap();
    assert_eq!(times(), 1);
}

#[test]
fn who_has_room_does_not_wait_for_who_has_not() {
    let (reader, writer) = pipe(OpenFlags::empty()).unwrap();
    writer.write(&[&[0; DEFAULT_CAPACITY]]).unwrap();
    let wait = || std::thread::sleep(Duration::from_millis(50));
    std::thread::scope(|threads| {
        let large = threads.spawn(|| writer.write(&[&[0; 4096]]));
        wait();
        let (done, is_done) = mpsc::channel();
        let end = writer.clone();
        threads.spawn(move || done.send(end.write(&[&[0; 10]])).unwrap());
        wait();
        assert_eq!(reader.read(&mut [&mut [0; 100]]), Ok(100));
        let small = is_done.recv_timeout(Duration::from_secs(5));
        // Ends the other, whatever came of it.
        reader.read(&mut [&mut [0; 5000]]).unwrap();
        assert_eq!(small, Ok(Ok(10)));
        assert_eq!(large.join().unwrap(), Ok(4096));
    });
}

#[derive(Clone, Debug)]
enum Step {
    Write(usize),
    Read(usize),
    Size(usize),
    CloseReader,
    CloseWriter,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => prop_oneof![0usize..100, 3000usize..9000, 60_000usize..70_000].prop_map(Step::Write),
        10 => prop_oneof![0usize..100, 3000usize..9000, 60_000usize..140_000].prop_map(Step::Read),
        2 => prop::sample::select(vec![0usize, 1, 4096, 5000, 65536, 131_072]).prop_map(Step::Size),
        1 => Just(Step::CloseReader),
        1 => Just(Step::CloseWriter),
    ]
}

/// Bytes that were read, or a number as text; or an error number.
type Seen = Result<Vec<u8>, i32>;

fn ours(step: &Step, ends: &mut (Option<Arc<Description>>, Option<Arc<Description>>)) -> Seen {
    let number = |e: Errno| i32::from(e.number());
    match step {
        Step::Write(length) => {
            let file = ends.1.as_ref().ok_or(9)?;
            let data = data(*length);
            file.write(&[&data]).map(|n| n.to_string().into_bytes()).map_err(number)
        }
        Step::Read(length) => {
            let file = ends.0.as_ref().ok_or(9)?;
            let mut buffer = vec![0; *length];
            let read = file.read(&mut [&mut buffer]).map_err(number)?;
            buffer.truncate(read);
            Ok(buffer)
        }
        Step::Size(size) => {
            let file = ends.0.as_ref().or(ends.1.as_ref()).ok_or(9)?;
            let size = set_capacity(file, *size).map_err(number)?;
            assert_eq!(capacity(file), Ok(size));
            Ok(size.to_string().into_bytes())
        }
        Step::CloseReader => {
            ends.0 = None;
            Ok(Vec::new())
        }
        Step::CloseWriter => {
            ends.1 = None;
            Ok(Vec::new())
        }
    }
}

fn data(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 7 % 253) as u8).collect()
}

fn hosts(
    step: &Step,
    ends: &mut (Option<std::os::fd::OwnedFd>, Option<std::os::fd::OwnedFd>),
) -> Seen {
    let number = |e: rustix::io::Errno| e.raw_os_error();
    match step {
        Step::Write(length) => {
            let file = ends.1.as_ref().ok_or(9)?;
            let written = rustix::io::write(file, &data(*length)).map_err(number)?;
            Ok(written.to_string().into_bytes())
        }
        Step::Read(length) => {
            let file = ends.0.as_ref().ok_or(9)?;
            let mut buffer = vec![0; *length];
            let read = rustix::io::read(file, &mut buffer[..]).map_err(number)?;
            buffer.truncate(read);
            Ok(buffer)
        }
        Step::Size(size) => {
            let file = ends.0.as_ref().or(ends.1.as_ref()).ok_or(9)?;
            let size = rustix::pipe::fcntl_setpipe_size(file, *size).map_err(number)?;
            Ok(size.to_string().into_bytes())
        }
        Step::CloseReader => {
            ends.0 = None;
            Ok(Vec::new())
        }
        Step::CloseWriter => {
            ends.1 = None;
            Ok(Vec::new())
        }
    }
}

proptest! {
    /// Linux counts pages, not bytes: both are the same with one write in the pipe.
    #[test]
    fn the_host_gives_the_same_results(steps in prop::collection::vec(step(), 1..40)) {
        let (reader, writer) = pipe(NONBLOCK).unwrap();
        let mut mine = (Some(reader), Some(writer));
        let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::NONBLOCK).unwrap();
        let mut theirs = (Some(reader), Some(writer));
        let mut inside = 0;
        for step in steps {
            if matches!(step, Step::Write(_)) && inside > 0 {
                continue;
            }
            if let Step::Size(wanted) = step && inside > 0 && wanted < inside + 4096 {
                continue;
            }
            let (a, b) = (ours(&step, &mut mine), hosts(&step, &mut theirs));
            prop_assert_eq!(&a, &b, "{:?}", step);
            match (&step, a) {
                (Step::Write(_), Ok(n)) => {
                    inside += String::from_utf8(n).unwrap().parse::<usize>().unwrap();
                }
                (Step::Read(_), Ok(bytes)) => inside -= bytes.len(),
                _ => {}
            }
            if let (Some(a), Some(b)) = (&mine.0, &theirs.0) {
                let mut available = 0;
                a.file().control(Control::Available(&mut available)).unwrap();
                prop_assert_eq!(available as u64, rustix::io::ioctl_fionread(b).unwrap());
            }
        }
    }
}
