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
    let mut events = Vec::with_capacity(10);
    epoll.wait(&mut events, 10, soon(ms)).unwrap();
    events.iter().map(|e: &Ready| e.data).collect()
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
fn timers_and_instances_can_be_watched() {
    let timer = Arc::new(Timer::new(false));
    struct Shared(Arc<Timer>);
    impl File for Shared {
        fn ready(&self) -> Events {
            self.0.ready()
        }
        fn watchers(&self) -> Option<&ukfile::Watchers> {
            self.0.watchers()
        }
        fn is_timed(&self) -> bool {
            true
        }
        fn ready_at(&self) -> Option<u64> {
            self.0.ready_at()
        }
    }
    let file = Description::new(Shared(timer.clone()), OpenFlags::READ_ONLY).unwrap();
    let inner = Epoll::new().unwrap();
    inner.add(1, &file, interest(Edge::Level, 5)).unwrap();
    let inner = Description::new(inner, OpenFlags::READ_WRITE).unwrap();
    let outer = Epoll::new().unwrap();
    outer.add(2, &inner, interest(Edge::Level, 6)).unwrap();
    assert!(wait(&outer, 5).is_empty());
    timer.set(Setting { value: 20_000_000, interval: 0 }, false);
    assert_eq!(wait(&outer, 5000), [6]);
    assert_eq!(wait(inner.downcast().unwrap(), 0), [5]);
    let outer = Description::new(outer, OpenFlags::READ_WRITE).unwrap();
    let inner: &Epoll = inner.downcast().unwrap();
    assert_eq!(inner.add(9, &outer, interest(Edge::Level, 0)), Err(Errno::ELOOP));
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
