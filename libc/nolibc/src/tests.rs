//! The functions beside those of the host's C library.

use std::ffi::{CString, c_char, c_int};

use proptest::prelude::*;

use crate::errno;
use crate::format::{Arguments, FormatError, Output, format};
use crate::number;
use crate::sort::{Items, search, sort};
use crate::stream::{Buffering, Device, ROOM, Stream};

unsafe extern "C" {
    fn snprintf(to: *mut c_char, room: usize, format: *const c_char, ...) -> c_int;
    fn strtoll(text: *const c_char, end: *mut *mut c_char, base: c_int) -> i64;
    fn strtoull(text: *const c_char, end: *mut *mut c_char, base: c_int) -> u64;
    fn strtod(text: *const c_char, end: *mut *mut c_char) -> f64;
}

#[derive(Debug, Clone)]
enum Argument {
    Word(u64),
    Double(f64),
    Text(CString),
}

struct One(Argument);

impl Arguments for One {
    fn word(&mut self) -> u64 {
        let Argument::Word(word) = self.0 else { panic!("{:?} is no word", self.0) };
        word
    }

    fn double(&mut self) -> f64 {
        let Argument::Double(double) = self.0 else { panic!("{:?} is no double", self.0) };
        double
    }

    fn text(&mut self, limit: usize) -> Option<&[u8]> {
        let Argument::Text(text) = &self.0 else { panic!("{:?} is no text", self.0) };
        let bytes = text.as_bytes();
        Some(&bytes[..bytes.len().min(limit)])
    }
}

impl Output for Vec<u8> {
    fn write(&mut self, bytes: &[u8]) {
        self.extend(bytes);
    }
}

fn ours(text: &str, argument: Argument) -> Result<String, FormatError> {
    let mut out = Vec::new();
    let count = format(&mut out, text.as_bytes(), &mut One(argument))?;
    assert_eq!(count as usize, out.len());
    Ok(String::from_utf8_lossy(&out).into_owned())
}

fn hosts(text: &str, argument: &Argument) -> String {
    let text = CString::new(text).unwrap();
    let mut out = vec![0u8; 4096];
    let to = out.as_mut_ptr().cast();
    // SAFETY: the formats of the tests have one conversion, which fits the argument, and the room is that of `out`.
    let len = unsafe {
        match argument {
            Argument::Word(word) => snprintf(to, 4096, text.as_ptr(), *word),
            Argument::Double(double) => snprintf(to, 4096, text.as_ptr(), *double),
            Argument::Text(string) => snprintf(to, 4096, text.as_ptr(), string.as_ptr()),
        }
    };
    assert!((0..4096).contains(&len));
    out.truncate(len as usize);
    String::from_utf8_lossy(&out).into_owned()
}

/// A conversion with an argument that fits it.
fn conversion() -> impl Strategy<Value = (String, Argument)> {
    let width = prop_oneof![Just(String::new()), (1..40u32).prop_map(|w| w.to_string())];
    let precision = prop_oneof![
        Just(String::new()),
        Just(".".to_owned()),
        (0..40u32).prop_map(|p| format!(".{p}"))
    ];
    let integers = ("[-+ 0]{0,3}", "(hh|h|l|ll|j|z|t|)[di]", any::<u64>(), 0..64u32);
    let integers = integers
        .prop_map(|(f, c, word, shift)| (f, c, Argument::Word(((word as i64) >> shift) as u64)));
    let bases = ("[-#0]{0,3}", "(hh|h|l|ll|j|z|t|)[oxX]", any::<u64>(), 0..64u32);
    let bases = bases.prop_map(|(f, c, word, shift)| (f, c, Argument::Word(word >> shift)));
    let unsigned = ("[-0]{0,2}", "(hh|h|l|ll|j|z|t|)u", any::<u64>());
    let unsigned = unsigned.prop_map(|(f, c, word)| (f, c, Argument::Word(word)));
    // Infinities, NaNs and subnormal numbers among them.
    let bits =
        prop_oneof![any::<f64>(), any::<u64>().prop_map(f64::from_bits), Just(f64::INFINITY)];
    let doubles = ("[-+ #0]{0,3}", "l?[efgEFG]", bits);
    let doubles = doubles.prop_map(|(f, c, double)| (f, c, Argument::Double(double)));
    // Near what people print, with ties.
    let near = ("[-+ #0]{0,3}", "[efg]", -100_000i64..100_000, 0..12i32);
    let near = near
        .prop_map(|(f, c, n, scale)| (f, c, Argument::Double(n as f64 / f64::from(1 << scale))));
    let texts = ("-?", Just("s".to_owned()), "[^\0]{0,30}")
        .prop_map(|(f, c, text)| (f, c, Argument::Text(CString::new(text).unwrap())));
    let kind = prop_oneof![integers, bases, unsigned, doubles, near, texts];
    (kind, width, precision).prop_map(|((flags, conversion, argument), width, precision)| {
        (format!("<%{flags}{width}{precision}{conversion}>"), argument)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5000))]

    #[test]
    fn conversions_are_those_of_the_host((text, argument) in conversion()) {
        prop_assert_eq!(ours(&text, argument.clone()).unwrap(), hosts(&text, &argument), "{}", text);
    }

    #[test]
    fn characters_and_pointers(word: u64, width in 1..30u32, left: bool) {
        let left = if left { "-" } else { "" };
        for kind in ["c", "p"] {
            let text = format!("<%{left}{width}{kind}>");
            let byte = Argument::Word(if kind == "c" { word % 128 } else { word });
            prop_assert_eq!(ours(&text, byte.clone()).unwrap(), hosts(&text, &byte));
        }
    }

    #[test]
    fn any_format_ends(text in prop::collection::vec(any::<u8>(), 0..40), word: u16) {
        struct All(u16);
        impl Arguments for All {
            fn word(&mut self) -> u64 {
                self.0.into()
            }
            fn double(&mut self) -> f64 {
                f64::from(self.0) / 64.0
            }
            fn text(&mut self, limit: usize) -> Option<&[u8]> {
                self.0.is_multiple_of(2).then(|| &b"text"[..limit.min(4)])
            }
        }
        struct Count(usize);
        impl Output for Count {
            fn write(&mut self, bytes: &[u8]) {
                self.0 += bytes.len();
            }
        }
        let mut out = Count(0);
        if let Ok(count) = format(&mut out, &text, &mut All(word)) {
            prop_assert_eq!(count as usize, out.0);
        }
    }

    #[test]
    fn integers_are_those_of_the_host(text in "[ \t]?[-+]?(0[xX]?)?[0-9a-zA-Z]{0,22}", base in -1..38) {
        let c = CString::new(text.as_str()).unwrap();
        let mut end = std::ptr::null_mut();
        let Some(parsed) = number::integer(text.as_bytes(), base) else {
            prop_assert!(base == 1 || !(0..37).contains(&base));
            return Ok(());
        };
        // SAFETY: a C string, and a place for a pointer.
        let signed = unsafe { strtoll(c.as_ptr(), &mut end, base) };
        prop_assert_eq!(parsed.signed().unwrap_or_else(|limit| limit), signed);
        prop_assert_eq!(parsed.used, end as usize - c.as_ptr() as usize);
        // SAFETY: as above.
        let unsigned = unsafe { strtoull(c.as_ptr(), &mut end, base) };
        prop_assert_eq!(parsed.unsigned().unwrap_or_else(|limit| limit), unsigned);
    }

    #[test]
    fn doubles_are_those_of_the_host(
        text in prop_oneof![
            "[ \n]?[-+]?[0-9]{0,20}(\\.[0-9]{0,20})?([eE][-+]?[0-9]{0,3})?[a-z]?",
            "[-+]?(inf|INFINITY|nan|infin|na|i)[a-z]?",
            any::<f64>().prop_map(|value| format!("{value:e}")),
            any::<f64>().prop_map(|value| format!("{value}")),
        ]
    ) {
        let c = CString::new(text.as_str()).unwrap();
        let mut end = std::ptr::null_mut();
        // SAFETY: a C string, and a place for a pointer.
        let value = unsafe { strtod(c.as_ptr(), &mut end) };
        let parsed = number::float(text.as_bytes());
        prop_assert_eq!(parsed.used, end as usize - c.as_ptr() as usize, "{}", text);
        if value.is_nan() {
            prop_assert!(parsed.value.is_nan());
        } else {
            prop_assert_eq!(parsed.value.to_bits(), value.to_bits(), "{}", text);
        }
        if parsed.out_of_range {
            prop_assert!(value.is_infinite() || value.abs() < f64::MIN_POSITIVE);
        }
    }

    #[test]
    fn sorted_is_sorted(values in prop::collection::vec(any::<u8>(), 0..200), wanted: u8) {
        struct Values(Vec<u8>);
        impl Items for Values {
            fn is_less(&mut self, first: usize, second: usize) -> bool {
                self.0[first] < self.0[second]
            }
            fn swap(&mut self, first: usize, second: usize) {
                self.0.swap(first, second);
            }
        }
        let mut expected = values.clone();
        expected.sort_unstable();
        let len = values.len();
        let mut values = Values(values);
        sort(&mut values, len);
        prop_assert_eq!(&values.0, &expected);
        let found = search(len, &mut |index| wanted.cmp(&expected[index]));
        prop_assert_eq!(found.map(|index| expected[index]), expected.contains(&wanted).then_some(wanted));
    }

    #[test]
    fn an_order_that_is_none_ends(answers in prop::collection::vec(any::<bool>(), 1..50), len in 0..40usize) {
        struct Any(Vec<usize>, std::iter::Cycle<std::vec::IntoIter<bool>>);
        impl Items for Any {
            fn is_less(&mut self, _: usize, _: usize) -> bool {
                self.1.next().unwrap()
            }
            fn swap(&mut self, first: usize, second: usize) {
                self.0.swap(first, second);
            }
        }
        let mut items = Any((0..len).collect(), answers.into_iter().cycle());
        sort(&mut items, len);
        items.0.sort_unstable();
        prop_assert!(items.0.into_iter().eq(0..len));
    }

    #[test]
    fn what_is_written_arrives(
        parts in prop::collection::vec((prop::collection::vec(0..12u8, 0..1500), any::<bool>()), 0..12),
        lines: bool,
        at_once in 1..700usize,
    ) {
        let buffering = if lines { Buffering::Line } else { Buffering::None };
        let (mut stream, mut wire) = (Stream::new(1, buffering), Wire::new(at_once, b""));
        let mut expected = Vec::new();
        for (bytes, part) in &parts {
            if *part {
                stream.write_part(&mut wire, bytes).unwrap();
                stream.end_parts(&mut wire).unwrap();
            } else {
                stream.write(&mut wire, bytes).unwrap();
            }
            expected.extend(bytes);
            if !lines || bytes.contains(&b'\n') {
                prop_assert_eq!(&wire.written, &expected);
            }
            prop_assert!(expected.len() - wire.written.len() <= ROOM);
        }
        stream.flush(&mut wire).unwrap();
        prop_assert_eq!(&wire.written, &expected);
    }

    #[test]
    fn what_arrives_is_read(
        bytes in prop::collection::vec(any::<u8>(), 0..3000),
        at_once in 1..1500usize,
        takes in prop::collection::vec((1..300usize, any::<bool>()), 1..20),
    ) {
        let (mut stream, mut wire) = (Stream::new(0, Buffering::Line), Wire::new(at_once, &bytes));
        let mut read = Vec::new();
        for (take, back) in takes.iter().cycle() {
            let shown = stream.peek(&mut wire).unwrap();
            if shown.is_empty() {
                break;
            }
            let shown = shown[..shown.len().min(*take)].to_vec();
            stream.take(shown.len());
            read.extend(&shown);
            if *back && shown.len() > 1 {
                prop_assert!(stream.push_back(read.pop().unwrap()));
            }
        }
        prop_assert!(stream.ended);
        prop_assert_eq!(read, bytes);
    }
}

/// A device that takes and gives so many bytes at once, after a signal each time.
struct Wire {
    at_once: usize,
    written: Vec<u8>,
    to_read: Vec<u8>,
    signal: bool,
}

impl Wire {
    fn new(at_once: usize, to_read: &[u8]) -> Self {
        Self { at_once, written: Vec::new(), to_read: to_read.to_vec(), signal: false }
    }

    fn turn(&mut self) -> Result<(), i32> {
        self.signal = !self.signal;
        if self.signal { Err(errno::EINTR) } else { Ok(()) }
    }
}

impl Device for Wire {
    fn read(&mut self, fd: i32, bytes: &mut [u8]) -> Result<usize, i32> {
        assert_eq!(fd, 0);
        self.turn()?;
        let len = bytes.len().min(self.at_once).min(self.to_read.len());
        bytes[..len].copy_from_slice(&self.to_read[..len]);
        self.to_read.drain(..len);
        Ok(len)
    }

    fn write(&mut self, fd: i32, bytes: &[u8]) -> Result<usize, i32> {
        assert_eq!(fd, 1);
        self.turn()?;
        let len = bytes.len().min(self.at_once);
        self.written.extend(&bytes[..len]);
        Ok(len)
    }
}

/// A device that is broken.
struct Broken;

impl Device for Broken {
    fn read(&mut self, _: i32, _: &mut [u8]) -> Result<usize, i32> {
        Err(9)
    }

    fn write(&mut self, _: i32, _: &[u8]) -> Result<usize, i32> {
        Ok(0)
    }
}

#[test]
fn broken_devices_are_errors() {
    let mut stream = Stream::new(1, Buffering::Line);
    stream.write(&mut Broken, b"kept").unwrap();
    assert!(!stream.failed);
    assert_eq!(stream.write(&mut Broken, b"\n"), Err(errno::EIO));
    assert!(stream.failed);
    // What could not be written does not come later.
    let mut wire = Wire::new(100, b"");
    stream.flush(&mut wire).unwrap();
    assert!(wire.written.is_empty());
    let mut stream = Stream::new(0, Buffering::Line);
    assert_eq!(stream.peek(&mut Broken), Err(9));
    assert!(stream.failed && !stream.ended);
}

#[test]
fn one_byte_can_be_pushed_back() {
    let mut stream = Stream::new(0, Buffering::Line);
    assert!(stream.push_back(b'x') && !stream.push_back(b'y'));
    let mut wire = Wire::new(100, b"ab");
    assert_eq!(stream.peek(&mut wire).unwrap(), b"x");
    stream.take(1);
    assert_eq!(stream.peek(&mut wire).unwrap(), b"ab");
    assert!(stream.push_back(b'w'));
    assert_eq!(stream.peek(&mut wire).unwrap(), b"wab");
}

#[test]
fn wrong_formats() {
    for text in
        ["%", "%d%", "%5", "%.", "%l", "%n", "%a", "%Lf", "%ls", "%lc", "%y", "%99999999999d"]
    {
        assert_eq!(ours(text, Argument::Word(1)), Err(FormatError::Conversion), "{text}");
    }
    for text in ["%2147483647d ", "%.2147483647d", "%2147483648d"] {
        assert!(ours(&format!("x{text}"), Argument::Word(1)).is_err(), "{text}");
    }
    assert_eq!(ours("100%% %d", Argument::Word(-1i64 as u64)).unwrap(), "100% -1");
}

#[test]
fn widths_and_precisions_from_arguments() {
    struct List(Vec<u64>);
    impl Arguments for List {
        fn word(&mut self) -> u64 {
            self.0.remove(0)
        }
        fn double(&mut self) -> f64 {
            f64::from_bits(self.word())
        }
        fn text(&mut self, limit: usize) -> Option<&[u8]> {
            Some(&b"string"[..limit.min(6)])
        }
    }
    let check = |text: &str, words: &[u64], expected: &str| {
        let mut out = Vec::new();
        format(&mut out, text.as_bytes(), &mut List(words.to_vec())).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    };
    check("[%*d]", &[5, 42], "[   42]");
    // Upper halves of the words are not the argument's.
    check("[%*d]", &[(7 << 32) | u64::from(-5i32 as u32), 42], "[42   ]");
    check("[%.*s]", &[3], "[str]");
    check("[%.*s]", &[-1i64 as u64], "[string]");
    check("[%*.*f]", &[8, 2, 1.005f64.to_bits()], "[    1.00]");
    check("[%.0f %.0f]", &[0.5f64.to_bits(), 1.5f64.to_bits()], "[0 2]");
}

#[test]
fn texts_of_errors() {
    assert_eq!(errno::text(2), c"No such file or directory");
    assert_eq!(errno::text(-1), errno::text(4711));
}
