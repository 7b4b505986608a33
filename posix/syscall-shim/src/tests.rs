//! Tests with handlers of this crate's own, called as libc and as binaries call them.

use proptest::prelude::*;

use crate::{
    CStrPtr, Errno, FilledBuffers, FullBuffers, Interrupted, IoVec, Plain, Raw, Returned, Signal,
    SignalSet, UserOut, UserPtr, UserSlice, UserSliceMut, UserWord, WORDS, by_number, dispatch,
    missing, nr, registered, syscall,
};

#[syscall]
fn getpid() -> i32 {
    7
}

#[syscall(nr = 500)]
fn half(number: i32, at: UserPtr<i32>) -> Result<(), Errno> {
    if number % 2 == 1 {
        return Err(Errno::EINVAL);
    }
    at.write(number / 2);
    Ok(())
}

#[syscall(nr = 501)]
fn copy(from: UserSlice<u8>, mut to: UserSliceMut<'_, u8>) -> Result<usize, Errno> {
    let len = from.len().min(to.len());
    to.as_mut_slice()[..len].copy_from_slice(&from.as_slice()[..len]);
    Ok(len)
}

#[syscall(nr = 502)]
fn length(text: Option<CStrPtr>) -> Result<usize, Errno> {
    Ok(text.map(CStrPtr::path).transpose()?.map_or(0, <[u8]>::len))
}

#[derive(Clone, Copy, Debug, Plain)]
#[repr(C)]
struct Buffer {
    start: Raw<u8>,
    len: usize,
}

#[syscall(nr = 503)]
fn lengths(buffers: UserSlice<Buffer>, sums: Option<UserPtr<[u32; 2]>>) -> Result<usize, Errno> {
    let mut sum = 0;
    for buffer in buffers.iter() {
        let bytes = buffer.start.slice(buffers.scope(), buffer.len)?;
        sum += bytes.as_slice().iter().map(|&b| u32::from(b)).sum::<u32>();
    }
    if let Some(place) = sums {
        let [first, _] = place.read();
        place.write([first + sum, sum]);
    }
    Ok(buffers.len())
}

#[syscall(nr = 504)]
fn stop(code: i32) -> ! {
    panic!("{code}")
}

#[derive(Clone, Copy, Debug, PartialEq, Plain)]
#[repr(C)]
struct Report {
    #[trace(Signal)]
    signal: i32,
    _padding: u32,
    name: [u8; 8],
    times: [i64; 2],
}

#[syscall(nr = 505)]
fn report(
    place: UserOut<Report>,
    other: Option<UserOut<u32>>,
    #[trace(Option<UserPtr<SignalSet>>)] set: Option<UserPtr<u64>>,
) -> Result<(), Errno> {
    let signal = set.ok_or(Errno::EINVAL)?.read().trailing_zeros() as i32 + 1;
    place.write(Report { signal, _padding: 0, name: *b"of\0all\0\0", times: [1, 2] });
    if let Some(other) = other {
        other.write(9);
    }
    Ok(())
}

#[syscall(nr = 506)]
fn gather(#[trace(FullBuffers)] buffers: UserSlice<IoVec>) -> usize {
    buffers.iter().map(|buffer| buffer.len).sum()
}

#[syscall(nr = 507)]
fn scatter(#[trace(FilledBuffers)] buffers: UserSlice<IoVec>) -> usize {
    gather(buffers)
}

#[syscall(nr = 508)]
fn list(
    #[trace(crate::As<Returned<[u32; 1]>>)] _list: UserWord,
    #[trace(crate::As<Interrupted<u64>>)] _rest: UserWord,
) {
}

fn call<const N: usize>(number: usize, given: [usize; N]) -> isize {
    let mut words = [usize::MAX; WORDS];
    words[..N].copy_from_slice(&given);
    // SAFETY: the tests pass memory that lives, or addresses that the calls must refuse.
    unsafe { dispatch(number, words) }
}

unsafe extern "C" {
    safe fn uk_sys_getpid() -> isize;
}

#[test]
fn a_handler_is_a_function_a_symbol_and_a_number() {
    assert_eq!((getpid(), uk_sys_getpid(), call(39, [])), (7, 7, 7));
    assert_eq!(nr::getpid, 39);
    assert_eq!((nr::name(39), nr::name(334), nr::name(400)), (Some("getpid"), Some("rseq"), None));
    let entry = by_number(39).unwrap();
    assert_eq!((entry.name, entry.library, entry.returns), ("getpid", "syscall-shim", true));
    assert!(!by_number(504).unwrap().returns);
    let mut names: Vec<&str> = registered().iter().map(|call| call.name).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "copy", "gather", "getpid", "half", "length", "lengths", "list", "report", "scatter",
            "stop"
        ]
    );
}

#[test]
fn numbers_nobody_handles_are_counted() {
    for number in [400, 400, nr::LIMIT - 1, nr::LIMIT, usize::MAX] {
        assert_eq!(call(number, []), Errno::ENOSYS.to_raw());
    }
    let found: Vec<_> = missing().collect();
    assert_eq!(found, [(400, 2), (nr::LIMIT - 1, 3)]);
}

#[test]
fn results_and_errors() {
    let mut result = 0;
    let at = &raw mut result as usize;
    assert_eq!(call(500, [10, at]), 0);
    assert_eq!(result, 5);
    // As in C the upper half of the word of an `int` means nothing.
    assert_eq!(call(500, [0xdead_0000_0000 + 8, at]), 0);
    assert_eq!(result, 4);
    assert_eq!(call(500, [-8isize as usize, at]), 0);
    assert_eq!(result, -4);
    assert_eq!(call(500, [3, at]), -22);
}

#[test]
fn addresses_that_are_no_memory() {
    let fault = Errno::EFAULT.to_raw();
    for bad in [0, 8, 4095, usize::MAX, usize::MAX - 3, isize::MAX as usize - 2] {
        assert_eq!(call(500, [2, bad]), fault, "{bad:#x}");
        assert_eq!(call(501, [bad, 8, 0, 0]), fault, "{bad:#x}");
    }
    let memory = [1u8; 8];
    let good = memory.as_ptr() as usize;
    assert_eq!(call(501, [good, usize::MAX, 0, 0]), fault);
    assert_eq!(call(503, [good, usize::MAX / 8, 0]), fault);
    assert_eq!(call(502, [8]), fault);
    // What is empty may be anywhere, null too.
    assert_eq!(call(501, [0, 0, 0, 0]), 0);
}

#[test]
fn texts() {
    assert_eq!(call(502, [0]), 0);
    assert_eq!(call(502, [c"file".as_ptr() as usize]), 4);
    for (len, expected) in [(4095, 4095), (4096, Errno::ENAMETOOLONG.to_raw())] {
        let text = std::ffi::CString::new(vec![b'a'; len]).unwrap();
        assert_eq!(call(502, [text.as_ptr() as usize]), expected);
    }
}

#[test]
fn structures_with_pointers() {
    let bytes = [[1u8, 2, 3], [10, 20, 30]];
    let buffer = |b: &[u8; 3]| [b.as_ptr() as usize, b.len()];
    let mut buffers = [buffer(&bytes[0]), buffer(&bytes[1])];
    let mut sums = [100u32, 0];
    let at = &raw mut sums as usize;
    assert_eq!(call(503, [buffers.as_ptr() as usize, 2, at]), 2);
    assert_eq!(sums, [166, 66]);
    assert_eq!(call(503, [buffers.as_ptr() as usize, 1, 0]), 1);
    buffers[1][0] = 1;
    assert_eq!(call(503, [buffers.as_ptr() as usize, 2, at]), Errno::EFAULT.to_raw());
}

proptest! {
    #[test]
    fn any_bytes_are_copied(from: Vec<u8>, len in 0usize..100) {
        let mut to = vec![0; len];
        let words = [from.as_ptr() as usize, from.len(), to.as_mut_ptr() as usize, to.len()];
        let copied = call(501, words) as usize;
        prop_assert_eq!(copied, len.min(from.len()));
        prop_assert_eq!(&to[..copied], &from[..copied]);
    }
}

/// What `strace` prints of a call's parameters.
#[cfg(feature = "strace")]
fn traced<const N: usize>(number: usize, given: [usize; N]) -> String {
    traced_after(number, given, None)
}

#[cfg(feature = "strace")]
fn traced_after<const N: usize>(number: usize, given: [usize; N], result: Option<isize>) -> String {
    let mut words = [0; WORDS];
    words[..N].copy_from_slice(&given);
    let mut text = String::new();
    for parameter in by_number(number).unwrap().parameters {
        text += parameter.name;
        text.push(' ');
        (parameter.trace)(&words, result, &mut text).unwrap();
        text.push(';');
    }
    text
}

#[cfg(feature = "strace")]
#[test]
fn parameters_are_decoded() {
    let long = [b'x'; 40];
    let (bytes, number) = (b"a\n\0", -5i32);
    let at = |p: *const u8| p as usize;
    assert_eq!(traced(500, [3, &raw const number as usize]), "number 3;at -5;");
    assert_eq!(traced(500, [3, 0]), "number 3;at NULL;");
    assert_eq!(traced(500, [3, 16]), "number 3;at 0x10;");
    let (address, from) = (at(long.as_ptr()), "from \"a\\n\\x00\", 3;");
    // What is there before the call, or after it has failed, is nobody's business.
    let unfilled = format!("{from}to {address:#x}, 40;");
    assert_eq!(traced(501, [at(bytes.as_ptr()), 3, address, 40]), unfilled);
    let filled =
        |result| traced_after(501, [at(bytes.as_ptr()), 3, at(long.as_ptr()), 40], Some(result));
    assert_eq!(filled(2), format!("{from}to \"xx\", 40;"), "what was there before is not shown");
    assert_eq!(filled(40), format!("{from}to \"{}\"…, 40;", "x".repeat(32)));
    assert_eq!(filled(Errno::EIO.to_raw()), unfilled);
    assert_eq!(traced(502, [at(c"/etc".as_ptr().cast())]), "text \"/etc\";");
    assert_eq!(traced(502, [0]), "text NULL;");
    let buffers = [[4096usize, 5]];
    assert_eq!(
        traced(503, [&raw const buffers as usize, 1, 0]),
        "buffers [{start=0x1000, len=5}], 1;sums NULL;"
    );
}

#[cfg(feature = "strace")]
#[test]
fn what_a_call_writes_is_shown_when_it_has() {
    let mut place = Report { signal: -1, _padding: 0, name: [0xff; 8], times: [-1; 2] };
    let (mut other, set) = (77u32, 0x4002u64);
    let (at_place, at_other) = (&raw mut place as usize, &raw mut other as usize);
    let words = [at_place, at_other, &raw const set as usize];
    let unwritten = format!("place {at_place:#x};other {at_other:#x};set [SIGINT SIGTERM];");
    assert_eq!(traced(505, words), unwritten);
    let failed = Some(Errno::EINVAL.to_raw());
    assert_eq!(traced_after(505, words, failed), unwritten);
    assert_eq!(call(505, words), 0);
    assert_eq!(
        traced_after(505, words, Some(0)),
        "place {signal=SIGINT, name=\"of\\x00all\", times=[1, 2]};other 9;set [SIGINT SIGTERM];"
    );
    assert_eq!(traced_after(505, [0; 3], failed), "place NULL;other NULL;set NULL;");
    assert_eq!(call(505, [at_place, 0, 0]), Errno::EINVAL.to_raw());
    assert_eq!(call(505, [0, 0, words[2]]), Errno::EFAULT.to_raw());
}

#[cfg(feature = "strace")]
#[test]
fn lists_of_buffers_are_shown_with_what_they_have() {
    let (hello, long) = (b"Hello\n", [b'x'; 40]);
    let vectors = [
        [hello.as_ptr() as usize, 6],
        [0, 0],
        [long.as_ptr() as usize, 40],
        // Memory that nobody has.
        [16, 1],
    ];
    let at = vectors.as_ptr() as usize;
    let xs = |count| "x".repeat(count);
    assert_eq!(
        traced(506, [at, 4]),
        format!(
            "buffers [{{\"Hello\\n\", 6}}, {{\"\", 0}}, {{\"{}\"…, 40}}, {{0x10, 1}}], 4;",
            xs(32)
        )
    );
    let filled = |result| traced_after(507, [at, 3], Some(result));
    assert_eq!(filled(3), "buffers [{\"Hel\", 6}, {\"\", 0}, {\"\", 40}], 3;");
    assert_eq!(filled(8), "buffers [{\"Hello\\n\", 6}, {\"\", 0}, {\"xx\", 40}], 3;");
    let (first, third) = (vectors[0][0], vectors[2][0]);
    assert_eq!(
        filled(Errno::EIO.to_raw()),
        format!("buffers [{{{first:#x}, 6}}, {{NULL, 0}}, {{{third:#x}, 40}}], 3;")
    );
    assert_eq!((call(506, [at, 4]), call(507, [at, 1])), (47, 6));
    let many = [[0usize; 2]; 33];
    let shown = traced(506, [many.as_ptr() as usize, 33]);
    assert!(shown.ends_with("{\"\", 0}, …], 33;"), "{shown}");
    assert_eq!(shown.matches('{').count(), 32);
}

#[cfg(feature = "strace")]
#[test]
fn words_are_shown_by_their_meaning() {
    let (numbers, rest) = ([7u32, 8, 9], 5u64);
    let words = [numbers.as_ptr() as usize, &raw const rest as usize];
    let [list, place] = words;
    let shown = |result| traced_after(508, words, result);
    assert_eq!(shown(None), format!("list {list:#x};rest {place:#x};"));
    assert_eq!(shown(Some(2)), format!("list [[7], [8]];rest {place:#x};"));
    assert_eq!(shown(Some(Errno::EINTR.to_raw())), format!("list {list:#x};rest 5;"));
    assert_eq!(call(508, words), 0);
}

#[cfg(feature = "strace")]
#[test]
fn a_long_line_keeps_its_result() {
    const LONG: [u8; 32] = [b'x'; 32];
    let many = [[LONG.as_ptr() as usize, 32]; 33];
    let mut words = [0; WORDS];
    words[..2].copy_from_slice(&[many.as_ptr() as usize, 33]);
    let mut long = crate::strace::line(by_number(506).unwrap(), &words, Some(0));
    assert!(long.ends_with("…) = 0") && long.len() < 512, "{long}");
    words[1] = 2;
    long = crate::strace::line(by_number(506).unwrap(), &words, Some(-5));
    assert!(long.ends_with("], 2) = -1 EIO (Input/output error)"), "{long}");
}

#[cfg(feature = "counters")]
#[test]
fn calls_are_counted() {
    for _ in 0..3 {
        call(504 - 4, [1, 1]);
    }
    assert!(crate::calls().any(|(number, calls)| number == 500 && calls >= 3));
}

#[cfg(feature = "after-call")]
#[test]
fn what_is_requested_happens_after_the_call() {
    use std::cell::Cell;

    use crate::{Delivery, Errno, Then, with_mask};
    thread_local! {
        static SEEN: Cell<isize> = const { Cell::new(0) };
        static MASK: Cell<u64> = const { Cell::new(0) };
        static CALLS: Cell<(u32, u32)> = const { Cell::new((0, 0)) };
    }
    assert_eq!(with_mask(Some(5), || Ok(())), Ok(()));
    static DELIVERY: Delivery = Delivery {
        after_call: |ended| {
            assert_eq!((ended.call.name, ended.result), ("getpid", 7));
            // Once more, the first time.
            let seen = SEEN.replace(SEEN.get() + 1);
            if seen == 0 { Then::Again } else { Then::Return(-4) }
        },
        begin_mask: |mask| MASK.set(mask),
        end_mask: || MASK.set(0),
        begin_call: || CALLS.set((CALLS.get().0 + 1, CALLS.get().1)),
        end_call: || CALLS.set((CALLS.get().0, CALLS.get().1 + 1)),
    };
    crate::on_call_end(&DELIVERY);
    assert_eq!((uk_sys_getpid(), SEEN.get()), (7, 0));
    crate::request_call_end(true);
    assert_eq!((uk_sys_getpid(), SEEN.get()), (-4, 2));
    crate::request_call_end(false);
    assert_eq!((uk_sys_getpid(), SEEN.get()), (7, 2));
    // The mask stays for the delivery of a signal.
    assert_eq!(with_mask(Some(5), || Ok(MASK.get())), Ok(5));
    assert_eq!(MASK.get(), 0);
    assert_eq!(with_mask(Some(6), || Err::<(), _>(Errno::EINTR)), Err(Errno::EINTR));
    assert_eq!(MASK.get(), 6);
    assert_eq!(with_mask(None, || Ok(1)), Ok(1));
    // Beginning and end are told when somebody wants to know.
    assert_eq!(CALLS.get(), (0, 0));
    crate::note_calls();
    uk_sys_getpid();
    assert_eq!(CALLS.get(), (1, 1));
}
