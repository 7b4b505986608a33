//! Models: shuttle runs small programs under many random schedules. A lost wake-up is a state in which
//! nobody can go on.
#![cfg(feature = "model")]

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use posix_eventfd::EventCounter;
use posix_poll::{Edge, Epoll, Interest};
use shuttle::sync::atomic::AtomicU64;
use shuttle::thread;
use ukfile::{Description, Events, OpenFlags};

/// Some locks are static, so one model runs at a time.
static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn check(model: impl Fn() + Send + Sync + 'static) {
    let _turn = TURN.lock();
    let model = Arc::new(model);
    let again = model.clone();
    shuttle::check_random(move || again(), 1000);
    shuttle::check_pct(move || model(), 500, 3);
}

fn counter() -> Arc<Description> {
    let flags = OpenFlags::NONBLOCK | OpenFlags::READ_WRITE;
    Description::new(EventCounter::new(0, true), flags).unwrap()
}

fn add(file: &Description) {
    file.write(&[&1u64.to_ne_bytes()]).unwrap();
}

fn interest(edge: Edge, data: u64) -> Interest {
    Interest { events: Events::IN, edge, data }
}

/// Waits for one event.
fn wait(epoll: &Epoll) -> u64 {
    let mut got = None;
    assert_eq!(epoll.wait(1, None, |event| got = Some(event.data)), Ok(1));
    got.unwrap()
}

/// Looks for one event.
fn look(epoll: &Epoll) -> usize {
    epoll.wait(1, Some(0), |_| {}).unwrap()
}

#[test]
fn a_single_shot_is_told_once() {
    check(|| {
        let (epoll, file) = (Arc::new(Epoll::new().unwrap()), counter());
        epoll.add(0, &file, interest(Edge::Once, 1)).unwrap();
        let told = Arc::new(AtomicU64::new(0));
        let threads = [(); 2].map(|()| {
            let (epoll, told) = (epoll.clone(), told.clone());
            thread::spawn(move || {
                told.fetch_add(look(&epoll) as u64, SeqCst);
            })
        });
        add(&file);
        add(&file);
        threads.into_iter().for_each(|t| t.join().unwrap());
        let later = look(&epoll) as u64;
        assert_eq!(told.load(SeqCst) + later, 1);
    });
}

#[test]
fn a_single_shot_that_is_asked_for_again_is_told_again() {
    check(|| {
        let (epoll, file) = (Arc::new(Epoll::new().unwrap()), counter());
        epoll.add(0, &file, interest(Edge::Once, 1)).unwrap();
        add(&file);
        let twin = epoll.clone();
        let worker = thread::spawn(move || look(&twin));
        // In the middle of the other's look: it is told what it asked for before, or after.
        epoll.modify(0, &file, interest(Edge::Once, 2)).unwrap();
        let first = worker.join().unwrap();
        assert!(first == 1);
        epoll.modify(0, &file, interest(Edge::Once, 3)).unwrap();
        assert_eq!(wait(&epoll), 3);
        assert_eq!(look(&epoll), 0);
    });
}

#[test]
fn re_arming_while_another_is_told_is_not_lost() {
    check(|| {
        let (epoll, file) = (Arc::new(Epoll::new().unwrap()), counter());
        epoll.add(0, &file, interest(Edge::Once, 1)).unwrap();
        add(&file);
        let twin = epoll.clone();
        let worker = thread::spawn(move || wait(&twin));
        // The file stays ready: whoever asks again hears again, unless the other heard it.
        epoll.modify(0, &file, interest(Edge::Once, 2)).unwrap();
        let first = worker.join().unwrap();
        assert_eq!(look(&epoll), usize::from(first == 1));
    });
}

#[test]
fn each_event_wakes_one() {
    check(|| {
        let (epoll, files) = (Arc::new(Epoll::new().unwrap()), [counter(), counter()]);
        for (n, file) in files.iter().enumerate() {
            epoll.add(n as i32, file, interest(Edge::Edge, n as u64)).unwrap();
        }
        let threads = [(); 2].map(|()| {
            let epoll = epoll.clone();
            thread::spawn(move || wait(&epoll))
        });
        files.iter().for_each(|file| add(file));
        let mut got = threads.map(|t| t.join().unwrap());
        got.sort();
        assert_eq!(got, [0, 1]);
    });
}

#[test]
fn an_inner_instance_tells_the_outer() {
    check(|| {
        let (outer, file) = (Arc::new(Epoll::new().unwrap()), counter());
        let inner = Description::new(Epoll::new().unwrap(), OpenFlags::READ_WRITE).unwrap();
        outer.add(0, &inner, interest(Edge::Level, 7)).unwrap();
        let twin = outer.clone();
        let waiting = thread::spawn(move || wait(&twin));
        let writer = {
            let file = file.clone();
            thread::spawn(move || add(&file))
        };
        inner.downcast::<Epoll>().unwrap().add(1, &file, interest(Edge::Level, 8)).unwrap();
        writer.join().unwrap();
        assert_eq!(waiting.join().unwrap(), 7);
    });
}

#[test]
fn closing_while_another_looks_leaves_nothing() {
    check(|| {
        let (epoll, file) = (Arc::new(Epoll::new().unwrap()), counter());
        epoll.add(0, &file, interest(Edge::Level, 1)).unwrap();
        add(&file);
        let twin = epoll.clone();
        let worker = thread::spawn(move || look(&twin));
        drop(file);
        let other = counter();
        epoll.add(0, &other, interest(Edge::Level, 2)).unwrap();
        worker.join().unwrap();
        assert_eq!(look(&epoll), 0);
        add(&other);
        assert_eq!(wait(&epoll), 2);
    });
}
