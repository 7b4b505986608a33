//! Tests with handlers of this crate's own, called as libc and as binaries call them.

use proptest::prelude::*;

use crate::{
    CStrPtr, Errno, Plain, Raw, UserPtr, UserSlice, UserSliceMut, WORDS, by_number, dispatch,
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
    assert_eq!(names, ["copy", "getpid", "half", "length", "lengths", "stop"]);
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
    assert_eq!(
        traced(501, [at(bytes.as_ptr()), 3, at(long.as_ptr()), 40]),
        format!("from \"a\\n\\x00\", 3;to \"{}\"…, 40;", "x".repeat(32))
    );
    let filled =
        |result| traced_after(501, [at(bytes.as_ptr()), 3, at(long.as_ptr()), 40], Some(result));
    let from = "from \"a\\n\\x00\", 3;";
    assert_eq!(filled(2), format!("{from}to \"xx\", 40;"), "what was there before is not shown");
    assert_eq!(filled(Errno::EIO.to_raw()), format!("{from}to \"\", 40;"));
    assert_eq!(traced(502, [at(c"/etc".as_ptr().cast())]), "text \"/etc\";");
    assert_eq!(traced(502, [0]), "text NULL;");
    let buffers = [[4096usize, 5]];
    assert_eq!(
        traced(503, [&raw const buffers as usize, 1, 0]),
        "buffers [Buffer { start: 0x1000, len: 5 }], 1;sums NULL;"
    );
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
