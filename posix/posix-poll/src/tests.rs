use std::sync::Arc;
use std::time::{Duration, Instant};

use posix_eventfd::{EventCounter, Setting, Timer};
use syscall_shim::{call, nr};
use ukerrno::Errno;
use ukfile::{Description, Events, File, OpenFlags};

use crate::{Edge, Epoll, Interest, Ready, Wanted, poll};

fn counter() -> Arc<Description> {
    Description::new(EventCounter::new(0, false), OpenFlags::READ_WRITE).unwrap()
}

fn add(file: &Description, count: u64) {
    file.write(&[&count.to_ne_bytes()]).unwrap();
}

fn empty(file: &Description) {
    file.read(&mut [&mut [0; 8]]).unwrap();
}

fn interest(edge: Edge, data: u64) -> Interest {
    Interest { events: Events::IN, edge, data }
}

fn soon(ms: u64) -> Option<u64> {
    Some(ukplat::monotonic_ns() + ms * 1_000_000)
}

fn wait(epoll: &Epoll, ms: u64) -> Vec<u64> {
    let mut events = Vec::new();
    let count = epoll.wait(10, soon(ms), |e: Ready| events.push(e.data)).unwrap();
    assert_eq!(count, events.len());
    events
}

fn instance() -> Arc<Description> {
    Description::new(Epoll::new().unwrap(), OpenFlags::READ_WRITE).unwrap()
}

fn epoll(file: &Description) -> &Epoll {
    file.downcast().unwrap()
}

/// A timer that is set, in milliseconds.
fn timer(value: u64, interval: u64) -> Arc<Description> {
    let timer = Timer::new(false);
    timer.set(Setting { value: value * 1_000_000, interval: interval * 1_000_000 }, false);
    Description::new(timer, OpenFlags::NONBLOCK).unwrap()
}

#[test]
fn poll_waits_for_the_first_and_for_time() {
    let (a, b) = (counter(), counter());
    let files =
        || [Wanted::new(Some(a.clone()), Events::IN), Wanted::new(Some(b.clone()), Events::IN)];
    let start = Instant::now();
    assert_eq!(poll(&mut files(), soon(20)), Ok(0));
    assert!(start.elapsed() >= Duration::from_millis(20));
    let twin = b.clone();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        add(&twin, 1);
    });
    let mut wanted = files();
    assert_eq!(poll(&mut wanted, None), Ok(1));
    assert_eq!((wanted[0].found, wanted[1].found), (Events::empty(), Events::IN));
    thread.join().unwrap();
    assert_eq!(poll(&mut [Wanted::new(None, Events::IN)], None), Ok(1), "not open");
    let timer = Timer::new(false);
    timer.set(Setting { value: 10_000_000, interval: 0 }, false);
    let timer = Description::new(timer, OpenFlags::READ_ONLY).unwrap();
    assert_eq!(poll(&mut [Wanted::new(Some(timer), Events::IN)], None), Ok(1));
}

#[test]
fn levels_edges_and_single_shots() {
    let epoll = Epoll::new().unwrap();
    let files = [counter(), counter(), counter()];
    for (n, edge) in [Edge::Level, Edge::Edge, Edge::Once].into_iter().enumerate() {
        epoll.add(n as i32, &files[n], interest(edge, n as u64)).unwrap();
    }
    assert_eq!(epoll.add(0, &files[0], interest(Edge::Level, 9)), Err(Errno::EEXIST));
    assert_eq!(epoll.add(7, &files[0], interest(Edge::Once, 9)), Ok(()), "another descriptor");
    epoll.remove(7, &files[0]).unwrap();
    assert!(wait(&epoll, 0).is_empty());
    files.iter().for_each(|f| add(f, 1));
    assert_eq!(wait(&epoll, 0), [0, 1, 2]);
    assert_eq!(wait(&epoll, 0), [0], "levels are told again");
    files.iter().for_each(|f| add(f, 1));
    assert_eq!(wait(&epoll, 0), [0, 1], "an edge");
    epoll.modify(2, &files[2], interest(Edge::Once, 22)).unwrap();
    assert_eq!(wait(&epoll, 0), [0, 22]);
    empty(&files[0]);
    assert!(wait(&epoll, 0).is_empty());
    assert_eq!(epoll.remove(5, &files[0]), Err(Errno::ENOENT));
    assert_eq!(epoll.modify(5, &files[0], interest(Edge::Level, 0)), Err(Errno::ENOENT));
    epoll.remove(1, &files[1]).unwrap();
    add(&files[1], 1);
    assert!(wait(&epoll, 0).is_empty());
}

#[test]
fn files_that_are_closed_are_forgotten() {
    let epoll = Epoll::new().unwrap();
    let file = counter();
    epoll.add(3, &file, interest(Edge::Level, 1)).unwrap();
    add(&file, 1);
    drop(file);
    assert!(wait(&epoll, 0).is_empty());
    let file = counter();
    assert_eq!(epoll.add(3, &file, interest(Edge::Level, 2)), Ok(()));
    add(&file, 1);
    assert_eq!(wait(&epoll, 0), [2]);
}

#[test]
fn files_that_are_closed_before_they_get_ready_leave_nothing() {
    let epoll = Epoll::new().unwrap();
    let items = |n: usize| assert_eq!(format!("{epoll:?}"), format!("Epoll {{ items: {n} }}"));
    for edge in [Edge::Level, Edge::Edge, Edge::Once] {
        for n in 0..50 {
            epoll.add(n, &counter(), interest(edge, 0)).unwrap();
            epoll.add(n, &timer(100_000, 0), interest(edge, 0)).unwrap();
            epoll.add(n, &instance(), interest(edge, 0)).unwrap();
        }
    }
    items(0);
    // The other end keeps what both ends share.
    let (reader, writer) = pipe::pipe(OpenFlags::empty()).unwrap();
    epoll.add(0, &reader, interest(Edge::Level, 7)).unwrap();
    epoll.add(1, &writer, Interest { events: Events::OUT, edge: Edge::Level, data: 8 }).unwrap();
    items(2);
    assert_eq!(wait(&epoll, 0), [8]);
    drop(writer);
    items(1);
    assert_eq!(wait(&epoll, 0), [7], "hung up");
    drop(reader);
    items(0);
    let (reader, writer) = pipe::pipe(OpenFlags::empty()).unwrap();
    epoll.add(0, &reader, interest(Edge::Level, 7)).unwrap();
    drop(reader);
    items(0);
    assert_eq!(format!("{:?}", writer.file().watchers().unwrap()), "Watchers(0)");
    // Duplicates are the same file: it is open until the last of them is closed.
    let file = counter();
    let twin = file.clone();
    epoll.add(0, &file, interest(Edge::Level, 9)).unwrap();
    drop(file);
    add(&twin, 1);
    assert_eq!(wait(&epoll, 0), [9]);
    drop(epoll);
    assert_eq!(format!("{:?}", twin.file().watchers().unwrap()), "Watchers(0)");
}

#[test]
fn timers_that_an_inner_instance_gets_later_wake_the_outer() {
    let (inner, outer) = (instance(), Arc::new(Epoll::new().unwrap()));
    outer.add(1, &inner, interest(Edge::Level, 1)).unwrap();
    let waiting = outer.clone();
    let thread = std::thread::spawn(move || wait(&waiting, 20_000));
    std::thread::sleep(Duration::from_millis(20));
    // While the other waits, who has not heard of any timer.
    epoll(&inner).add(2, &timer(10, 0), interest(Edge::Level, 2)).unwrap();
    let file = timer(30, 0);
    epoll(&inner).add(3, &file, interest(Edge::Level, 3)).unwrap();
    assert_eq!(thread.join().unwrap(), [1]);
    assert_eq!(wait(epoll(&inner), 0), [3]);
    file.read(&mut [&mut [0; 8]]).unwrap();
    assert!(wait(&outer, 0).is_empty());
    let late: &Timer = file.downcast().unwrap();
    late.set(Setting { value: 10_000_000, interval: 0 }, false);
    assert_eq!(wait(&outer, 20_000), [1]);
}

#[test]
fn edges_of_timers_come_however_late_one_waits() {
    let epoll = Epoll::new().unwrap();
    let file = timer(1, 1);
    epoll.add(0, &file, interest(Edge::Edge, 4)).unwrap();
    for _ in 0..5 {
        assert_eq!(wait(&epoll, 20_000), [4]);
        assert!(wait(&epoll, 3).is_empty(), "not read: no other edge");
        empty(&file);
        // It expires again before anybody waits.
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// A device that has to be asked, as a console.
#[derive(Default)]
struct Device {
    there: std::sync::atomic::AtomicBool,
    looks: std::sync::atomic::AtomicU64,
    watchers: ukfile::Watchers,
}

impl Device {
    fn set(&self, there: bool) {
        self.there.store(there, std::sync::atomic::Ordering::SeqCst);
    }
}

impl File for Device {
    fn read(&self, _: &mut u64, _: &mut [&mut [u8]], _: OpenFlags) -> Result<usize, Errno> {
        self.set(false);
        self.watchers.notify(Events::IN);
        Ok(1)
    }
    fn ready(&self) -> Events {
        self.looks.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let there = self.there.load(std::sync::atomic::Ordering::SeqCst);
        if there { Events::IN } else { Events::empty() }
    }
    fn watchers(&self) -> Option<&ukfile::Watchers> {
        Some(&self.watchers)
    }
    fn is_timed(&self) -> bool {
        true
    }
    fn ready_at(&self) -> Option<u64> {
        soon(5)
    }
}

#[test]
fn devices_that_cannot_tell_are_asked() {
    let file = Description::new(Device::default(), OpenFlags::READ_ONLY).unwrap();
    let device: &Device = file.downcast().unwrap();
    let epoll = Epoll::new().unwrap();
    epoll.add(0, &file, interest(Edge::Edge, 1)).unwrap();
    assert!(wait(&epoll, 0).is_empty());
    for _ in 0..3 {
        device.set(true);
        assert_eq!(wait(&epoll, 20_000), [1]);
        file.read(&mut []).unwrap();
    }
    let before = device.looks.load(std::sync::atomic::Ordering::SeqCst);
    assert!(wait(&epoll, 50).is_empty());
    let looks = device.looks.load(std::sync::atomic::Ordering::SeqCst) - before;
    assert!((1..=12).contains(&looks), "{looks}");
}

#[test]
fn timers_that_are_due_and_not_asked_for_do_not_keep_the_processor() {
    /// Ready for what nobody wants, since long ago.
    struct Due(std::sync::atomic::AtomicU64, ukfile::Watchers);
    impl File for Due {
        fn ready(&self) -> Events {
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Events::IN
        }
        fn watchers(&self) -> Option<&ukfile::Watchers> {
            Some(&self.1)
        }
        fn is_timed(&self) -> bool {
            true
        }
        fn ready_at(&self) -> Option<u64> {
            Some(1)
        }
    }
    let due = Due(0.into(), ukfile::Watchers::new());
    let file = Description::new(due, OpenFlags::READ_ONLY).unwrap();
    let epoll = Epoll::new().unwrap();
    epoll.add(0, &file, Interest { events: Events::OUT, edge: Edge::Level, data: 0 }).unwrap();
    assert!(wait(&epoll, 30).is_empty());
    assert_eq!(poll(&mut [Wanted::new(Some(file.clone()), Events::OUT)], soon(30)), Ok(0));
    let looks = file.downcast::<Due>().unwrap().0.load(std::sync::atomic::Ordering::SeqCst);
    assert!(looks < 20, "{looks}");
}

#[test]
fn a_timer_is_taken_over_when_who_waited_for_it_leaves() {
    let (shared, files) = (Arc::new(Epoll::new().unwrap()), [counter(), counter(), counter()]);
    for (n, file) in files.iter().enumerate() {
        shared.add(n as i32, file, interest(Edge::Edge, n as u64)).unwrap();
    }
    let late = timer(200, 0);
    shared.add(9, &late, interest(Edge::Once, 9)).unwrap();
    let (sender, got) = std::sync::mpsc::channel();
    let threads = [(); 3].map(|()| {
        let (shared, sender) = (shared.clone(), sender.clone());
        std::thread::spawn(move || {
            wait(&shared, 20_000).into_iter().for_each(|data| sender.send(data).unwrap());
        })
    });
    // The longest waiting, which has the timer in mind, gets the first.
    for file in &files[..2] {
        std::thread::sleep(Duration::from_millis(30));
        add(file, 1);
    }
    let limit = Duration::from_secs(15);
    while got.recv_timeout(limit).expect("the timer does not wait for the deadline") != 9 {}
    add(&files[2], 1);
    threads.into_iter().for_each(|t| t.join().unwrap());
}

#[test]
fn timers_and_instances_can_be_watched() {
    let file = timer(100_000, 0);
    let (inner, outer) = (instance(), instance());
    epoll(&inner).add(1, &file, interest(Edge::Level, 5)).unwrap();
    epoll(&outer).add(2, &inner, interest(Edge::Level, 6)).unwrap();
    assert!(wait(epoll(&outer), 5).is_empty());
    let sooner: &Timer = file.downcast().unwrap();
    sooner.set(Setting { value: 20_000_000, interval: 0 }, false);
    assert_eq!(wait(epoll(&outer), 5000), [6]);
    assert_eq!(wait(epoll(&inner), 0), [5]);
    assert_eq!(poll(&mut [Wanted::new(Some(outer), Events::IN)], None), Ok(1));
}

#[test]
fn instances_are_not_nested_without_end() {
    let add = |outer: &Arc<Description>, inner| {
        epoll(outer).add(0, inner, interest(Edge::Level, 0)).map(drop)
    };
    let row: Vec<_> = (0..8).map(|_| instance()).collect();
    // From the inside to the outside, and the other way: five in a row.
    for all in [[4, 3, 2, 1, 0], [0, 1, 2, 3, 4]] {
        for (step, inner) in all.iter().enumerate().skip(1).take(4) {
            let (outer, inner) =
                if all[0] == 0 { (all[step - 1], *inner) } else { (*inner, all[step - 1]) };
            assert_eq!(add(&row[outer], &row[inner]), Ok(()), "{outer} has {inner}");
        }
        assert_eq!(add(&row[4], &row[5]), Err(Errno::ELOOP), "below");
        assert_eq!(add(&row[5], &row[0]), Err(Errno::ELOOP), "above");
        assert_eq!(add(&row[4], &row[0]), Err(Errno::ELOOP), "a circle");
        assert_eq!(add(&row[0], &row[0]), Err(Errno::ELOOP), "itself");
        let (file, data) = (counter(), interest(Edge::Level, 1));
        epoll(&row[4]).add(9, &file, data).unwrap();
        super::tests::add(&file, 1);
        assert_eq!(wait(epoll(&row[0]), 0), [0], "through all of them");
        for outer in 0..4 {
            epoll(&row[outer]).remove(0, &row[outer + 1]).unwrap();
        }
    }
    // Two rows that are short until they are joined.
    for (outer, inner) in [(0, 1), (1, 2), (3, 4), (4, 5)] {
        assert_eq!(add(&row[outer], &row[inner]), Ok(()));
    }
    assert_eq!(add(&row[2], &row[3]), Err(Errno::ELOOP));
    assert_eq!(add(&row[1], &row[3]), Ok(()));
}

#[test]
fn each_event_wakes_one_and_none_is_lost() {
    const THREADS: usize = 3;
    const EVENTS: u64 = 3000;
    let epoll = Arc::new(Epoll::new().unwrap());
    let file =
        Description::new(EventCounter::new(0, true), OpenFlags::NONBLOCK | OpenFlags::READ_WRITE)
            .unwrap();
    epoll.add(0, &file, interest(Edge::Level, 0)).unwrap();
    let taken = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (epoll, file, taken) = (epoll.clone(), file.clone(), taken.clone());
            std::thread::spawn(move || {
                while taken.load(std::sync::atomic::Ordering::SeqCst) < EVENTS {
                    if !wait(&epoll, 100).is_empty() && file.read(&mut [&mut [0; 8]]).is_ok() {
                        taken.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    }
                }
            })
        })
        .collect();
    for n in 0..EVENTS {
        add(&file, 1);
        if n % 50 == 0 {
            std::thread::yield_now();
        }
    }
    threads.into_iter().for_each(|t| t.join().unwrap());
    assert_eq!(taken.load(std::sync::atomic::Ordering::SeqCst), EVENTS);
}

#[test]
fn the_calls_take_what_applications_pass() {
    let error = Errno::to_raw;
    let table = &fdtab::TABLE;
    let file = counter();
    let fd = table.insert(file.clone(), false).unwrap();
    let pollfd = |fd: i32| u64::from(fd as u32) | 1 << 32;
    let mut fds = [pollfd(fd), pollfd(-1), pollfd(900)];
    let at = fds.as_mut_ptr() as usize;
    assert_eq!(call!(nr::poll, at, 2usize, 0), 0);
    add(&file, 1);
    assert_eq!(call!(nr::poll, at, 3usize, -1), 2);
    assert_eq!(std::hint::black_box(&fds).map(|f| f >> 48), [1, 0, 0x20]);
    assert_eq!(call!(nr::ppoll, at, 1usize, &[0i64, 0], 0, 0), 1);
    assert_eq!(call!(nr::ppoll, at, 1usize, &[0i64, -1], 0, 0), error(Errno::EINVAL));
    assert_eq!(call!(nr::poll, at, 5000usize, 0), error(Errno::EINVAL));

    let mut set = [1u64 << fd, 0];
    let at = set.as_mut_ptr() as usize;
    assert_eq!(call!(nr::select, fd + 1, at, 0, 0, &[0i64, 0]), 1);
    assert_eq!(std::hint::black_box(&set)[0], 1 << fd);
    empty(&file);
    assert_eq!(call!(nr::pselect6, fd + 1, at, 0, 0, &[0i64, 1000], 0), 0);
    assert_eq!(std::hint::black_box(&set)[0], 0);
    assert_eq!(call!(nr::select, -1, 0, 0, 0, 0), error(Errno::EINVAL));
    let mut bad = [u64::MAX];
    assert_eq!(call!(nr::select, 64, &mut bad, 0, 0, 0), error(Errno::EBADF));

    let epoll = call!(nr::epoll_create1, 0o2000000u32) as i32;
    assert!(epoll >= 0 && table.close_on_exec(epoll).unwrap());
    assert_eq!(call!(nr::epoll_create1, 1u32), error(Errno::EINVAL));
    assert_eq!(call!(nr::epoll_create, 0), error(Errno::EINVAL));
    let other = call!(nr::epoll_create, 1) as i32;
    static EVENT: [u32; 3] = [1, 0xaaaa, 0xbbbb];
    assert_eq!(call!(nr::epoll_ctl, epoll, 1, fd, &EVENT), 0);
    assert_eq!(call!(nr::epoll_ctl, epoll, 1, fd, &EVENT), error(Errno::EEXIST));
    assert_eq!(call!(nr::epoll_ctl, epoll, 3, fd, &EVENT), 0);
    assert_eq!(call!(nr::epoll_ctl, epoll, 1, epoll, &EVENT), error(Errno::EINVAL));
    assert_eq!(call!(nr::epoll_ctl, fd, 1, epoll, &EVENT), error(Errno::EINVAL));
    assert_eq!(call!(nr::epoll_ctl, epoll, 9, fd, &EVENT), error(Errno::EINVAL));
    assert_eq!(call!(nr::epoll_ctl, epoll, 1, fd, 0), error(Errno::EFAULT));
    assert_eq!(call!(nr::epoll_ctl, epoll, 2, other, 0), error(Errno::ENOENT));
    let mut events = [[0u32; 3]; 4];
    let at = events.as_mut_ptr() as usize;
    assert_eq!(call!(nr::epoll_wait, epoll, at, 4, 0), 0);
    add(&file, 1);
    assert_eq!(call!(nr::epoll_pwait, epoll, at, 4, -1, 0, 0), 1);
    assert_eq!(std::hint::black_box(&events)[0], EVENT);
    assert_eq!(call!(nr::epoll_pwait2, epoll, at, 4, &[0i64, 0], 0, 0), 1);
    assert_eq!(call!(nr::epoll_wait, epoll, at, 0, 0), error(Errno::EINVAL));
    assert_eq!(call!(nr::epoll_wait, fd, at, 1, 0), error(Errno::EINVAL));
    assert_eq!(call!(nr::epoll_ctl, epoll, 2, fd, 0), 0);
    assert_eq!(call!(nr::epoll_wait, epoll, at, 4, 0), 0);
    for fd in [fd, epoll, other] {
        table.close(fd).unwrap();
    }
}

/// Of instances that watch exclusively one wakes up, and nobody else is bothered.
#[test]
fn exclusive_watchers_are_woken_alone() {
    let exclusive = Interest { events: Events::IN | Events::EXCLUSIVE, edge: Edge::Level, data: 1 };
    // Whether it waits already cannot be seen: in one of the rounds it does.
    let alone = (1..8).any(|round| {
        let (file, one, other) = (counter(), instance(), instance());
        for instance in [&one, &other] {
            epoll(instance).add(0, &file, exclusive).unwrap();
            assert_eq!(
                epoll(instance).modify(0, &file, interest(Edge::Level, 1)),
                Err(Errno::EINVAL)
            );
        }
        let waiting = std::thread::spawn(move || wait(epoll(&one), 20_000));
        std::thread::sleep(Duration::from_millis(10 << round));
        add(&file, 1);
        assert_eq!(waiting.join().unwrap(), [1]);
        wait(epoll(&other), 0).is_empty()
    });
    assert!(alone, "both were told each time");
    // Without anybody who waits, all are told.
    let (file, one, other) = (counter(), instance(), instance());
    for instance in [&one, &other] {
        epoll(instance).add(0, &file, exclusive).unwrap();
    }
    add(&file, 1);
    assert_eq!((wait(epoll(&one), 0), wait(epoll(&other), 0)), (vec![1], vec![1]));
    assert_eq!(epoll(&one).add(1, &other, exclusive), Err(Errno::EINVAL));
}
