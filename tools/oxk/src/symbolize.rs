//! Names and lines for the addresses in crash reports.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use gimli::{EndianArcSlice, LittleEndian};
use object::{Object, ObjectSection, ObjectSymbol};

use crate::diagnostic::{Context as _, Diagnostic, Result};

type Slice = EndianArcSlice<LittleEndian>;

/// An address further behind an assembly symbol than this, in bytes, is not part of its code.
const ASSEMBLY_LIMIT: u64 = 4096;

/// Looks addresses up in the debug information of an image.
pub struct Symbolizer {
    context: addr2line::Context<Slice>,
    /// For assembly, which has no debug information: start and name of each symbol, by address.
    symbols: Vec<(u64, String)>,
}

/// One function that an address belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Name as in source code.
    pub function: String,
    /// File and line, where known.
    pub place: Option<(String, u32)>,
}

impl Symbolizer {
    /// Reads a `.dbg` file.
    pub fn open(dbg: &Path) -> Result<Self> {
        let bytes = std::fs::read(dbg).context(format!("cannot read {}", dbg.display()))?;
        let wrong = |e: &dyn std::fmt::Display| {
            Diagnostic::new(format!("cannot read the debug information of {}: {e}", dbg.display()))
                .help("build the image again")
        };
        let file = object::File::parse(&*bytes).map_err(|e| wrong(&e))?;
        let dwarf = gimli::Dwarf::load(|id| -> std::result::Result<Slice, gimli::Error> {
            let data = file
                .section_by_name(id.name())
                .and_then(|section| section.uncompressed_data().ok())
                .unwrap_or_default();
            Ok(Slice::new(Arc::from(&*data), LittleEndian))
        })
        .map_err(|e| wrong(&e))?;
        let context = addr2line::Context::from_dwarf(dwarf).map_err(|e| wrong(&e))?;
        let mut symbols: Vec<(u64, String)> = file
            .symbols()
            .filter(|s| s.is_definition() && s.kind() != object::SymbolKind::Data)
            .filter_map(|s| Some((s.address(), s.name().ok()?.to_owned())))
            .filter(|(_, name)| !name.is_empty() && !name.starts_with(['.', '$']))
            .collect();
        symbols.sort();
        Ok(Self { context, symbols })
    }

    /// The functions at an address, the innermost inlined one first; empty when unknown.
    pub fn frames(&self, address: u64) -> Vec<Frame> {
        let mut found = Vec::new();
        if address == u64::MAX {
            // No code is there, and addr2line looks at the next address too.
            return found;
        }
        let Ok(mut frames) = self.context.find_frames(address).skip_all_loads() else {
            return found;
        };
        while let Ok(Some(frame)) = frames.next() {
            let function = frame
                .function
                .as_ref()
                .and_then(|f| f.demangle().ok().map(|name| plain_name(&name)))
                .unwrap_or_else(|| "?".to_owned());
            let place = frame.location.and_then(|l| Some((plain_file(l.file?), l.line?)));
            found.push(Frame { function, place });
        }
        if found.is_empty() {
            // `partition_point` counts the symbols at or below the address.
            let below = self.symbols.partition_point(|(start, _)| *start <= address);
            let symbol = below.checked_sub(1).map(|index| &self.symbols[index]);
            found.extend(
                symbol
                    .filter(|(start, _)| address - start < ASSEMBLY_LIMIT)
                    .map(|(_, name)| Frame { function: name.clone(), place: None }),
            );
        }
        found
    }

    /// Pieces of `[start, end)` with the source file of each.
    pub fn files(&self, start: u64, end: u64) -> Vec<(u64, u64, Option<String>)> {
        let Ok(ranges) = self.context.find_location_range(start, end) else { return Vec::new() };
        ranges.map(|(from, len, location)| (from, len, location.file.map(plain_file))).collect()
    }
}

/// A source path without the part that says which compiler it came with: the standard library's
/// files are `/rustc/HASH/library/…`.
fn plain_file(file: &str) -> String {
    let library = file.strip_prefix("/rustc/").and_then(|rest| rest.split_once('/'));
    library.map_or(file, |(_, path)| path).trim_start_matches('/').to_owned()
}

/// A demangled name without the crate hashes in square brackets.
fn plain_name(name: &str) -> String {
    let mut out = String::new();
    let mut rest = name;
    while let Some(open) = rest.find('[') {
        let (before, after) = rest.split_at(open);
        out.push_str(before);
        match after.find(']') {
            Some(close) if close > 8 && after[1..close].bytes().all(|b| b.is_ascii_hexdigit()) => {
                rest = &after[close + 1..];
            }
            _ => {
                out.push('[');
                rest = &after[1..];
            }
        }
    }
    out + rest
}

/// Passes the output of an image on and adds names to the addresses of crash reports: lines of
/// the form `  #0 0x0000000000101234`.
///
/// Everything else passes at once, unfinished lines too.
pub struct ReportFilter<W: Write> {
    to: W,
    symbolize: Box<dyn FnMut(u64) -> Vec<Frame> + Send>,
    /// The start of a line that may still turn out to be an address.
    held: Vec<u8>,
    at_line_start: bool,
}

impl<W: Write> ReportFilter<W> {
    /// A filter in front of `to` for the image with this debug file, which is read when the first
    /// address comes. When it cannot be read, addresses stay as they are.
    pub fn new(to: W, dbg: &Path) -> Self {
        let dbg = dbg.to_owned();
        let mut symbolizer = None;
        Self::with(to, move |address| {
            let symbolizer = symbolizer.get_or_insert_with(|| Symbolizer::open(&dbg).ok());
            symbolizer.as_ref().map_or_else(Vec::new, |s| s.frames(address))
        })
    }

    fn with(to: W, symbolize: impl FnMut(u64) -> Vec<Frame> + Send + 'static) -> Self {
        Self { to, symbolize: Box::new(symbolize), held: Vec::new(), at_line_start: true }
    }

    fn release(&mut self) -> io::Result<()> {
        let held = std::mem::take(&mut self.held);
        self.to.write_all(&held)
    }

    fn frame_line(&mut self, number: u32, address: u64) -> io::Result<()> {
        while self.held.last().is_some_and(|b| matches!(b, b'\r' | b'\n')) {
            self.held.pop();
        }
        self.release()?;
        // A return address is the instruction after the call, maybe of another line.
        let frames = (self.symbolize)(if number == 0 { address } else { address.wrapping_sub(1) });
        for (index, frame) in frames.iter().enumerate() {
            let inlined = if index == 0 { " " } else { "\n       inlined into " };
            write!(self.to, "{inlined}{}", frame.function)?;
            if let Some((file, line)) = &frame.place {
                write!(self.to, " ({file}:{line})")?;
            }
        }
        self.to.write_all(b"\n")
    }
}

enum Line {
    /// Cannot become an address line.
    Other,
    /// May become one.
    Partial,
    /// Is one, complete with its end.
    Frame(u32, u64),
}

/// Matches `  #<decimal> 0x<16 hexadecimal digits>`, an optional carriage return and a newline.
fn classify(line: &[u8]) -> Line {
    let fixed = |text: &[u8], rest: &[u8]| -> Option<bool> {
        // Some(true): starts with text; Some(false): is a part of it; None: neither.
        if rest.starts_with(text) { Some(true) } else { text.starts_with(rest).then_some(false) }
    };
    match fixed(b"  #", line) {
        Some(true) => {}
        Some(false) => return Line::Partial,
        None => return Line::Other,
    }
    let digits = line[3..].iter().take_while(|b| b.is_ascii_digit()).count();
    let rest = &line[3 + digits..];
    if digits > 4 || (digits == 0 && !rest.is_empty()) {
        return Line::Other;
    }
    match fixed(b" 0x", rest) {
        Some(true) => {}
        Some(false) => return Line::Partial,
        None => return Line::Other,
    }
    let hex = rest[3..].iter().take_while(|b| b.is_ascii_hexdigit()).count();
    let end = &rest[3 + hex..];
    if hex > 16 || (hex < 16 && !end.is_empty()) {
        return Line::Other;
    }
    match end {
        b"\n" | b"\r\n" => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            match (text(&line[3..3 + digits]).parse(), u64::from_str_radix(&text(&rest[3..19]), 16))
            {
                (Ok(number), Ok(address)) => Line::Frame(number, address),
                _ => Line::Other,
            }
        }
        b"" | b"\r" => Line::Partial,
        _ => Line::Other,
    }
}

impl<W: Write> Write for ReportFilter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut plain_from = 0;
        for (index, &byte) in bytes.iter().enumerate() {
            if !self.at_line_start {
                self.at_line_start = byte == b'\n';
                if self.at_line_start {
                    self.to.write_all(&bytes[plain_from..=index])?;
                    plain_from = index + 1;
                }
                continue;
            }
            self.held.push(byte);
            plain_from = index + 1;
            match classify(&self.held) {
                Line::Partial => {}
                Line::Frame(number, address) => self.frame_line(number, address)?,
                Line::Other => {
                    self.at_line_start = byte == b'\n';
                    self.release()?;
                }
            }
        }
        self.to.write_all(&bytes[plain_from..])?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl<W: Write> Drop for ReportFilter<W> {
    fn drop(&mut self) {
        // Nothing is lost when the image ends in the middle of a line.
        let _ = self.release().and_then(|()| self.to.flush());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::Mutex;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Sink {
        fn text(&self) -> String {
            String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
        }
    }

    fn names(address: u64) -> Vec<Frame> {
        match address {
            0x10 => vec![Frame { function: "a::b".into(), place: Some(("a.rs".into(), 3)) }],
            0x1f => vec![
                Frame { function: "inner".into(), place: None },
                Frame { function: "outer".into(), place: Some(("b.rs".into(), 7)) },
            ],
            _ => Vec::new(),
        }
    }

    #[test]
    fn addresses_get_names() {
        let sink = Sink::default();
        let mut filter = ReportFilter::with(sink.clone(), names);
        filter
            .write_all(b"panic\r\n  #0 0x0000000000000010\r\n  #1 0x0000000000000020\n  #2 0x00\n")
            .unwrap();
        drop(filter);
        assert_eq!(
            sink.text(),
            "panic\r\n  #0 0x0000000000000010 a::b (a.rs:3)\n  #1 0x0000000000000020 inner\n       \
             inlined into outer (b.rs:7)\n  #2 0x00\n"
        );
    }

    #[test]
    fn a_prompt_is_not_held_back() {
        let sink = Sink::default();
        let mut filter = ReportFilter::with(sink.clone(), names);
        filter.write_all(b"name? ").unwrap();
        assert_eq!(sink.text(), "name? ");
        filter.write_all(b"\n  #").unwrap();
        assert_eq!(sink.text(), "name? \n");
        filter.write_all(b"x").unwrap();
        assert_eq!(sink.text(), "name? \n  #x");
    }

    #[test]
    fn hashes_are_left_out_of_names() {
        assert_eq!(plain_name("core[1234567890abcdef]::fmt::write"), "core::fmt::write");
        assert_eq!(plain_name("<[u8]>::len"), "<[u8]>::len");
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter_and_nothing_is_lost(
            text in "(  #[0-9]{0,2} 0x[0-9a-f]{14,17}\r?\n|[ #0x\n\r]{0,5}|[a-z]{0,4}\n?){0,8}",
            cuts in prop::collection::vec(1usize..7, 0..60),
        ) {
            let whole = Sink::default();
            ReportFilter::with(whole.clone(), |_| Vec::new()).write_all(text.as_bytes()).unwrap();
            let pieces = Sink::default();
            let mut filter = ReportFilter::with(pieces.clone(), |_| Vec::new());
            let mut rest = text.as_bytes();
            for cut in cuts {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                filter.write_all(now).unwrap();
                rest = later;
            }
            filter.write_all(rest).unwrap();
            drop(filter);
            prop_assert_eq!(whole.text(), pieces.text());
            // Without names only line ends of address lines change.
            prop_assert_eq!(whole.text().replace('\r', ""), text.replace('\r', ""));
        }
    }
}
