//! The driver's side against models of the device: one that keeps the rules, and one that does not.

use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use ukdma::{DmaError, SegmentList, Segments};
use virtio_ring::model::{Chain, Device};
use virtio_ring::{Config, RingError, SplitQueue, SubmitError};

/// A request whose number is its first byte; counts those that were dropped.
struct Request {
    number: u32,
    pieces: Vec<(bool, Vec<u8>)>,
    dropped: &'static AtomicUsize,
}

impl Drop for Request {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

impl Segments for Request {
    fn segments<'a>(&'a mut self, list: &mut SegmentList<'_, 'a>) {
        for (device_writes, bytes) in &mut self.pieces {
            if *device_writes {
                list.device_writes(bytes);
            } else {
                list.device_reads(bytes);
            }
        }
    }
}

fn counter() -> &'static AtomicUsize {
    Box::leak(Box::default())
}

/// `reads` pieces of 1, 2, … bytes that the device reads, then `writes` that it writes.
fn request(number: u32, reads: usize, writes: usize, dropped: &'static AtomicUsize) -> Request {
    let piece = |i: usize| (i >= reads, vec![number as u8; i + 1]);
    Request { number, pieces: (0..reads + writes).map(piece).collect(), dropped }
}

fn expected(request: &Request) -> Vec<(u64, u32, bool)> {
    request.pieces.iter().map(|(w, b)| (b.as_ptr() as u64, b.len() as u32, *w)).collect()
}

fn seen(chain: &Chain) -> Vec<(u64, u32, bool)> {
    chain.pieces.iter().map(|p| (p.address, p.len, p.device_writes)).collect()
}

fn config() -> impl Strategy<Value = Config> {
    (0u32..6, 1u16..6, any::<bool>(), any::<bool>()).prop_map(
        |(size, max_segments, indirect, event_index)| Config {
            size: 1 << size,
            max_segments,
            indirect,
            event_index,
        },
    )
}

#[derive(Clone, Debug)]
enum Step {
    Submit(usize, usize),
    Publish,
    Take,
    /// Completes one of those the device has, with a part of what it may write.
    Finish(usize, u32),
    Complete,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0usize..4, 0usize..4).prop_map(|(r, w)| Step::Submit(r, w)),
        2 => Just(Step::Publish),
        3 => Just(Step::Take),
        3 => (any::<usize>(), any::<u32>()).prop_map(|(i, n)| Step::Finish(i, n)),
        3 => Just(Step::Complete),
    ]
}

proptest! {
    /// Every request arrives once, as it was, and comes back once, in the order of completion.
    #[test]
    fn a_device_that_keeps_the_rules(config in config(), steps in prop::collection::vec(step(), 0..400)) {
        let dropped = counter();
        let mut queue = SplitQueue::new(config).unwrap();
        let config = queue.rings().config();
        let mut device = Device::new(queue.rings());
        let mut number = 0;
        let mut submitted = std::collections::VecDeque::new();
        let mut visible = 0;
        let mut taken = Vec::new();
        let mut finished = std::collections::VecDeque::new();
        let mut descriptors = 0;
        for step in steps {
            match step {
                Step::Submit(reads, writes) => {
                    let request = request(number, reads, writes, dropped);
                    let (count, memory) = (reads + writes, expected(&request));
                    let slot = queue.next_slot();
                    let needs = if config.indirect { count.min(1) } else { count };
                    match queue.submit(request) {
                        Ok(()) => {
                            prop_assert!(count <= config.max_segments.into());
                            descriptors += needs;
                            prop_assert!(descriptors <= config.size.into());
                            submitted.push_back((number, memory, needs, slot.unwrap()));
                            number += 1;
                        }
                        Err(refused) => {
                            prop_assert_eq!(refused.request.number, number);
                            let right = match refused.error {
                                SubmitError::Full => descriptors + needs > config.size.into(),
                                SubmitError::Empty => count == 0,
                                SubmitError::Memory(DmaError::TooManySegments) =>
                                    count > config.max_segments.into(),
                                _ => false,
                            };
                            prop_assert!(right, "{:?}", refused.error);
                        }
                    }
                }
                Step::Publish => {
                    let news = submitted.len() > visible;
                    // The model wants to be notified; by index, only when it has taken all others.
                    let wanted = !config.event_index || visible == 0;
                    prop_assert_eq!(queue.publish(), news && wanted);
                    visible = submitted.len();
                }
                Step::Take => match device.pop() {
                    Some(chain) => {
                        let (number, memory, needs, slot) = submitted.pop_front().unwrap();
                        visible -= 1;
                        prop_assert_eq!(seen(&chain), memory);
                        prop_assert_eq!(chain.head, slot);
                        taken.push((number, needs, chain));
                    }
                    None => prop_assert_eq!(visible, 0),
                },
                Step::Finish(which, part) => {
                    if taken.is_empty() {
                        continue;
                    }
                    let (number, needs, chain) = taken.swap_remove(which % taken.len());
                    let writable: u32 =
                        chain.pieces.iter().filter(|p| p.device_writes).map(|p| p.len).sum();
                    let written = part % (writable + 1);
                    device.push(chain.head, written);
                    finished.push_back((number, needs, written, chain.head));
                }
                Step::Complete => {
                    prop_assert_eq!(queue.has_completions(), !finished.is_empty());
                    let done = queue.complete().unwrap();
                    match (done, finished.pop_front()) {
                        (Some(done), Some((number, needs, written, slot))) => {
                            prop_assert_eq!((done.request.number, done.written), (number, written));
                            prop_assert_eq!(done.slot, slot);
                            descriptors -= needs;
                        }
                        (None, None) => {}
                        (done, finished) => prop_assert!(false, "{} {finished:?}", done.is_some()),
                    }
                }
            }
            prop_assert_eq!(
                usize::from(queue.in_flight()),
                submitted.len() + taken.len() + finished.len()
            );
        }
    }

    /// Whatever the device writes: a request comes back at most once, what is in flight is not
    /// dropped, and after the first error there are only errors.
    #[test]
    fn a_device_that_lies(
        config in config(),
        steps in prop::collection::vec((0u8..4, prop_oneof![0u32..20, any::<u32>()], prop_oneof![0u32..8, any::<u32>()]), 0..100),
    ) {
        let dropped = counter();
        let mut queue = SplitQueue::new(config).unwrap();
        let mut device = Device::new(queue.rings());
        let (mut taken_in, mut given_back, mut refused) = (0, 0, 0);
        let mut broken = None;
        for (what, a, b) in steps {
            match what {
                0 => match queue.submit(request(taken_in, a as usize % 2, 1, dropped)) {
                    Ok(()) => taken_in += 1,
                    Err(back) => {
                        refused += 1;
                        if let Some(error) = broken {
                            prop_assert_eq!(back.error, SubmitError::Broken(error));
                        }
                    }
                },
                1 => device.push_raw(a, b),
                2 => device.publish(if a < 16 { device.used() } else { b as u16 }),
                _ => match queue.complete() {
                    Ok(done) => {
                        prop_assert!(broken.is_none());
                        given_back += usize::from(done.is_some());
                    }
                    Err(error) => {
                        prop_assert!(broken.is_none_or(|b| b == error));
                        broken = Some(error);
                    }
                },
            }
            queue.publish();
            prop_assert!(given_back <= taken_in as usize);
        }
        drop(queue);
        // What came back was dropped here; what the device may still have was not.
        prop_assert_eq!(dropped.load(Ordering::Relaxed), given_back + refused);
    }
}

/// A queue with one request of 4 bytes in flight, at slot 0.
fn one_in_flight() -> (SplitQueue<Request>, Device) {
    let config = Config { size: 4, max_segments: 2, ..Config::default() };
    let mut queue = SplitQueue::new(config).unwrap();
    let device = Device::new(queue.rings());
    let request = Request { number: 0, pieces: vec![(true, vec![0; 4])], dropped: counter() };
    assert!(queue.submit(request).is_ok());
    queue.publish();
    (queue, device)
}

#[test]
fn each_lie_has_its_error() {
    type Lie = (RingError, fn(&mut Device));
    let lies: [Lie; 5] = [
        (RingError::BadIndex, |d| d.publish(2)),
        (RingError::BadIndex, |d| d.publish(u16::MAX)),
        (RingError::BadId, |d| d.push(1, 0)),
        (RingError::BadId, |d| {
            d.push_raw(0x1_0000, 0);
            d.publish(1);
        }),
        (RingError::BadLength, |d| d.push(0, 5)),
    ];
    for (error, lie) in lies {
        let (mut queue, mut device) = one_in_flight();
        lie(&mut device);
        assert_eq!(queue.complete().err(), Some(error));
        assert_eq!(queue.complete().err(), Some(error), "it stays broken");
        assert!(queue.has_completions());
    }
    let (mut queue, mut device) = one_in_flight();
    device.push(0, 4);
    assert!(queue.complete().unwrap().is_some());
    device.push(0, 0); // a second time
    assert_eq!(queue.complete().err(), Some(RingError::BadIndex));
}

#[test]
fn events_are_suppressed_both_ways() {
    for event_index in [false, true] {
        let config = Config { size: 8, max_segments: 1, event_index, ..Config::default() };
        let mut queue = SplitQueue::new(config).unwrap();
        let mut device = Device::new(queue.rings());
        device.set_notifications(false);
        assert!(queue.submit(request(0, 1, 0, counter())).is_ok());
        assert!(!queue.publish());
        let chain = device.pop().unwrap();
        device.set_notifications(true);
        assert!(queue.submit(request(1, 1, 0, counter())).is_ok());
        assert!(queue.publish());

        queue.disable_interrupts();
        device.push(chain.head, 0);
        assert!(!device.wants_interrupt());
        assert!(queue.enable_interrupts(), "a completion is there already");
        assert!(queue.complete().unwrap().is_some());
        assert!(!queue.enable_interrupts());
        let chain = device.pop().unwrap();
        device.push(chain.head, 0);
        assert!(device.wants_interrupt());
    }
}

/// Driver and device on two threads, as in reality: nothing is lost and no wake-up is missed.
#[test]
fn two_threads() {
    const COUNT: u32 = if cfg!(debug_assertions) { 200_000 } else { 2_000_000 };
    for indirect in [false, true] {
        let config = Config { size: 16, max_segments: 2, indirect, event_index: true };
        let mut queue = SplitQueue::new(config).unwrap();
        let mut device = Device::new(queue.rings());
        let dropped = counter();
        let model = std::thread::spawn(move || {
            let mut served = 0;
            while served < COUNT {
                match device.pop() {
                    Some(chain) => {
                        device.push(chain.head, 1);
                        served += 1;
                    }
                    None => std::thread::yield_now(),
                }
            }
        });
        let (mut submitted, mut completed) = (0, 0);
        while completed < COUNT {
            while submitted < COUNT && queue.submit(request(submitted, 1, 1, dropped)).is_ok() {
                submitted += 1;
            }
            queue.publish();
            match queue.complete().unwrap() {
                Some(done) => {
                    assert_eq!(done.request.number, completed, "this device works in order");
                    completed += 1;
                }
                None => std::thread::yield_now(),
            }
        }
        model.join().unwrap();
        // All that came back, and one that each full queue refused.
        assert!(dropped.load(Ordering::Relaxed) >= COUNT as usize);
    }
}
