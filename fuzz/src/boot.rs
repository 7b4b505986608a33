use kvm::pvh::{MAGIC, MAX_REGIONS, PhysicalMemory, StartInfo};
use oxk::option::{OptionKind, Value};
use ukparam::{Kind, Param};
use ukplat::boot::early_parameter;
use ukplat::{BootInfo, cmdline::compact};

/// Lends a copy of the bytes as if it lived for ever. `work` must keep no reference.
fn as_static(bytes: &[u8], work: impl FnOnce(&'static [u8])) {
    let copy = Box::into_raw(Box::<[u8]>::from(bytes));
    // SAFETY: nobody else has the copy, and it is freed when nobody uses it any more: the
    // functions here keep nothing.
    unsafe {
        work(&*copy);
        drop(Box::from_raw(copy));
    }
}

fn words(compact: &[u8]) -> Vec<&[u8]> {
    if compact.is_empty() { Vec::new() } else { compact.split(|b| *b == 0).collect() }
}

/// A command line: words, their division, and early parameters.
pub fn cmdline(bytes: &[u8]) {
    let mut text = bytes.to_vec();
    let Ok(once) = compact(&mut text) else { return };
    assert!(once.len() <= bytes.len());
    let mut quoted = Vec::new();
    for word in words(once) {
        quoted.push(b'\'');
        for byte in word {
            quoted.extend_from_slice(if *byte == b'\'' {
                b"'\\''"
            } else {
                std::slice::from_ref(byte)
            });
        }
        quoted.extend_from_slice(b"' ");
    }
    assert_eq!(compact(&mut quoted).as_deref(), Ok(&*once), "quoted words come back");
    assert!(str::from_utf8(bytes).is_err() || str::from_utf8(once).is_ok(), "UTF-8 stays valid");

    as_static(once, |once| {
        let Ok(words) = words(once).into_iter().map(str::from_utf8).collect::<Result<Vec<_>, _>>()
        else {
            return;
        };
        // SAFETY: the boot information does not leave this function.
        let list: &'static [&'static str] =
            unsafe { std::slice::from_raw_parts(words.as_ptr(), words.len()) };
        let info = BootInfo { words: list, ..BootInfo::EMPTY };
        let (parameters, arguments) = (info.parameters(), info.arguments());
        assert!(parameters.len() + arguments.len() <= words.len());
        for word in parameters {
            if let Some((name, _)) = word.split_once('=') {
                let last =
                    parameters.iter().rfind(|w| w.split_once('=').is_some_and(|(n, _)| n == name));
                let value = last.and_then(|w| w.split_once('=')).map(|(_, value)| value);
                assert_eq!(early_parameter(&words, name), value);
            }
        }
    });
}

static BOOL: ukparam::Bool = ukparam::Bool::new();
static INT: ukparam::Int = ukparam::Int::new();
static SIZE: ukparam::Size = ukparam::Size::new();
static CHOICE: ukparam::Choice = ukparam::Choice::new();
const VALUES: [&str; 3] = ["one", "two", "off"];
// No text: its cell would keep the word.
static PARAMS: [Param; 4] = [
    Param { name: "b", expected: "", kind: Kind::Bool { cell: &BOOL, default: true } },
    Param {
        name: "i",
        expected: "",
        kind: Kind::Int { cell: &INT, min: -9, max: 999, default: 1 },
    },
    Param {
        name: "s",
        expected: "",
        kind: Kind::Size { cell: &SIZE, min: 1, max: 1 << 50, default: 4096 },
    },
    Param {
        name: "c",
        expected: "",
        kind: Kind::Choice { cell: &CHOICE, values: &VALUES, default: 2 },
    },
];

/// Words with values of parameters, by spaces. The tool and the image must read them alike.
pub fn parameters(bytes: &[u8]) {
    let kinds = [
        OptionKind::Bool,
        OptionKind::Int { min: -9, max: 999 },
        OptionKind::Size { min: 1, max: 1 << 50 },
        OptionKind::Choice(VALUES.map(str::to_owned).into()),
    ];
    as_static(bytes, |bytes| {
        let Ok(text) = str::from_utf8(bytes) else { return };
        let words: Vec<&'static str> = text.split(' ').collect();
        let mut expected = Some([
            Value::Bool(true),
            Value::Int(1),
            Value::Size(4096),
            Value::Choice("off".into()),
        ]);
        for word in &words {
            let value = word.split_once('=').and_then(|(name, value)| {
                let index = PARAMS.iter().position(|p| p.name == name)?;
                Some((index, kinds[index].parse(value)?))
            });
            expected = match (expected, value) {
                (Some(mut values), Some((index, value))) => {
                    values[index] = value;
                    Some(values)
                }
                _ => None,
            };
        }
        let applied = ukparam::apply(&PARAMS, &words).map_err(|e| e.to_string());
        assert_eq!(applied.is_ok(), expected.is_some(), "{applied:?}, {expected:?}");
        if let Some(expected) = expected {
            let values = [
                Value::Bool(BOOL.get()),
                Value::Int(INT.get()),
                Value::Size(SIZE.get() as u64),
                Value::Choice(VALUES[CHOICE.get()].into()),
            ];
            assert_eq!(values, expected);
        }
    });
}

struct Memory(&'static [u8]);

impl PhysicalMemory for Memory {
    fn bytes(&self, address: u64, len: usize) -> Option<&'static [u8]> {
        let start = usize::try_from(address).ok()?;
        self.0.get(start..start.checked_add(len)?)
    }
}

/// Two bytes for the address of the start info, the rest is memory.
pub fn pvh(bytes: &[u8]) {
    let Some((address, memory)) = bytes.split_first_chunk() else { return };
    let address = u16::from_le_bytes(*address);
    let mut memory = memory.to_vec();
    // Without its first word nothing else would be read.
    if let Some(first) = memory.get_mut(usize::from(address)..).and_then(|m| m.get_mut(..4)) {
        first.copy_from_slice(&MAGIC.to_le_bytes());
    }
    as_static(&memory, |memory| {
        let memory = Memory(memory);
        let Ok(info) = StartInfo::read(&memory, address.into()) else { return };
        if let Ok(regions) = info.regions() {
            assert!((1..=MAX_REGIONS).contains(&regions.count()));
        }
        if let Ok(line) = info.command_line() {
            assert!(!line.contains(&0));
        }
        let _ = (info.module(), info.rsdp());
    });
}
