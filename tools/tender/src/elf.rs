//! Images: position-independent ELF executables with a note (System V gABI, x86-64 psABI). Everything
//! in the file is checked; nothing of it is believed.

use hvt_abi::{ImageNote, NOTE_NAME, NOTE_TYPE, NOTE_WORDS, PAGE};

use crate::error::ImageError;

/// Segments of an image at most.
const MAX_SEGMENTS: usize = 32;
/// Bytes of a note segment, and of the dynamic section, at most.
const MAX_SMALL: u64 = 64 << 10;
/// Addresses in an image are below this.
const ADDRESS_LIMIT: u64 = 1 << 47;

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const PT_NOTE: u32 = 4;
const EXECUTE: u32 = 1;
const WRITE: u32 = 2;

const DT_NEEDED: u64 = 1;
const DT_PLTRELSZ: u64 = 2;
const DT_RELA: u64 = 7;
const DT_RELASZ: u64 = 8;
const DT_RELSZ: u64 = 18;
const DT_RELRSZ: u64 = 35;
const DT_RELR: u64 = 36;
const R_X86_64_RELATIVE: u64 = 8;
const RELA_LEN: usize = 24;

/// Where the bytes of an image are.
pub trait ReadAt {
    /// Reads exactly these bytes.
    ///
    /// # Errors
    /// Those of the file; there is one if it ends before.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<()>;
    /// Length in bytes.
    fn len(&self) -> u64;
    /// Whether there is nothing.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl ReadAt for &[u8] {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let bytes = start.checked_add(buf.len()).and_then(|end| self.get(start..end));
        buf.copy_from_slice(bytes.ok_or(std::io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }
}

/// An opened file and its length.
#[derive(Debug)]
pub struct ImageFile {
    /// The file.
    pub file: std::fs::File,
    /// Its length in bytes.
    pub len: u64,
}

impl ReadAt for ImageFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, buf, offset)
    }
    fn len(&self) -> u64 {
        self.len
    }
}

/// What the guest may do with a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentRights {
    /// Reading.
    Read,
    /// Reading and running.
    Execute,
    /// Reading and writing.
    Write,
}

/// A loaded part of an image, in whole pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Address of its first page, as linked.
    pub start: u64,
    /// Length in memory, whole pages.
    pub len: u64,
    /// Bytes before the segment's own in its first page.
    pub lead: u64,
    /// Where the first page is in the file, whole pages.
    pub file_start: u64,
    /// Bytes from there to the end of what the file has of the segment; 0 when it has nothing.
    pub file_len: u64,
    /// Rights.
    pub rights: SegmentRights,
}

impl Segment {
    fn end(&self) -> u64 {
        self.start + self.len
    }

    fn contains(&self, address: u64, len: u64) -> bool {
        address >= self.start && address.checked_add(len).is_some_and(|end| end <= self.end())
    }
}

/// A checked image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Segments by address, without overlaps.
    pub segments: Vec<Segment>,
    /// Address of the first instruction, as linked.
    pub entry: u64,
    /// What the image says of itself.
    pub note: ImageNote,
    /// Tables of relocations: address and length.
    rela: Option<(u64, u64)>,
    relr: Option<(u64, u64)>,
}

/// A word that depends on where the image lies: the distance is added to what is there, or to
/// `addend`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// Address of the word, as linked.
    pub place: u64,
    /// Its value as linked; what the file has when `None`.
    pub addend: Option<u64>,
}

struct Header {
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    file_len: u64,
    mem_len: u64,
}

fn word<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(word(bytes, at))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(word(bytes, at))
}

fn read(file: &impl ReadAt, offset: u64, len: u64) -> Result<Vec<u8>, ImageError> {
    // Before memory is taken for them.
    if offset.checked_add(len).is_none_or(|end| end > file.len()) {
        return Err(ImageError::Short);
    }
    let mut bytes = vec![0; len as usize];
    file.read_at(offset, &mut bytes).map_err(ImageError::Read)?;
    Ok(bytes)
}

impl Image {
    /// Reads and checks what an image says it is.
    ///
    /// # Errors
    /// [`ImageError`].
    pub fn read(file: &impl ReadAt) -> Result<Self, ImageError> {
        let header = read(file, 0, 64.min(file.len()))?;
        // 64-bit, little-endian, ELF version 1.
        if header.get(..7) != Some(b"\x7fELF\x02\x01\x01") || header.len() < 64 {
            return Err(ImageError::NotElf);
        }
        let (kind, machine) = (u32_at(&header, 16) & 0xffff, u32_at(&header, 16) >> 16);
        if machine != 62 {
            return Err(ImageError::Machine);
        }
        if kind != 3 {
            return Err(ImageError::NotRelocatable);
        }
        let (entry, table) = (u64_at(&header, 24), u64_at(&header, 32));
        let size_and_count = u32_at(&header, 54);
        let (entry_size, count) = (size_and_count & 0xffff, (size_and_count >> 16) as usize);
        if entry_size != 56 || count == 0 || count > MAX_SEGMENTS {
            return Err(ImageError::Headers);
        }
        let table = read(file, table, 56 * count as u64)?;
        let headers = table.chunks_exact(56).map(|h| Header {
            kind: u32_at(h, 0),
            flags: u32_at(h, 4),
            offset: u64_at(h, 8),
            address: u64_at(h, 16),
            file_len: u64_at(h, 32),
            mem_len: u64_at(h, 40),
        });
        let mut segments = Vec::new();
        let (mut note, mut dynamic) = (None, None);
        for header in headers {
            match header.kind {
                PT_LOAD if header.mem_len > 0 => segments.push(segment(&header, file.len())?),
                PT_INTERP => return Err(ImageError::Dynamic),
                PT_DYNAMIC => dynamic = Some(header),
                PT_NOTE if note.is_none() => note = find_note(file, &header)?,
                _ => {}
            }
        }
        segments.sort_by_key(|s| s.start);
        if segments.is_empty() || segments.windows(2).any(|pair| pair[0].end() > pair[1].start) {
            return Err(ImageError::Overlap);
        }
        let note = note.ok_or(ImageError::NoNote)?;
        let mut image = Self { segments, entry, note, rela: None, relr: None };
        for address in [entry, note.interrupt, note.fault, note.gate] {
            if image.segment_of(address, 2).is_none_or(|s| s.rights != SegmentRights::Execute) {
                return Err(ImageError::Entry(address));
            }
        }
        if let Some(header) = dynamic {
            image.read_dynamic(file, &header)?;
        }
        Ok(image)
    }

    fn read_dynamic(&mut self, file: &impl ReadAt, header: &Header) -> Result<(), ImageError> {
        if header.file_len > MAX_SMALL {
            return Err(ImageError::Headers);
        }
        let bytes = read(file, header.offset, header.file_len)?;
        let (mut rela, mut relr) = ((0, 0), (0, 0));
        for entry in bytes.chunks_exact(16) {
            let value = u64_at(entry, 8);
            match u64_at(entry, 0) {
                0 => break,
                DT_NEEDED => return Err(ImageError::Dynamic),
                DT_PLTRELSZ | DT_RELSZ if value != 0 => return Err(ImageError::RelocationKind),
                DT_RELA => rela.0 = value,
                DT_RELASZ => rela.1 = value,
                DT_RELR => relr.0 = value,
                DT_RELRSZ => relr.1 = value,
                _ => {}
            }
        }
        self.rela = Some(rela).filter(|(_, len)| *len != 0);
        self.relr = Some(relr).filter(|(_, len)| *len != 0);
        Ok(())
    }

    /// First address, as linked, and length of all segments with what lies between them.
    pub fn span(&self) -> (u64, u64) {
        let start = self.segments.first().map_or(0, |s| s.start);
        (start, self.segments.last().map_or(0, Segment::end) - start)
    }

    fn segment_of(&self, address: u64, len: u64) -> Option<&Segment> {
        self.segments.iter().find(|s| s.contains(address, len))
    }

    /// The bytes of the file that are loaded to a range of addresses.
    fn loaded(&self, file: &impl ReadAt, address: u64, len: u64) -> Result<Vec<u8>, ImageError> {
        let segment = self.segment_of(address, len).ok_or(ImageError::Table)?;
        let from = address - segment.start;
        if from.checked_add(len).is_none_or(|end| end > segment.file_len) {
            return Err(ImageError::Table);
        }
        read(file, segment.file_start + from, len)
    }

    /// All relocations. Each is of a word in a segment that is not code.
    ///
    /// # Errors
    /// [`ImageError`].
    pub fn relocations(&self, file: &impl ReadAt) -> Result<Vec<Relocation>, ImageError> {
        let mut found = Vec::new();
        let mut add = |place: u64, addend: Option<u64>| {
            let segment = self.segment_of(place, 8).ok_or(ImageError::Place(place))?;
            if segment.rights == SegmentRights::Execute {
                return Err(ImageError::Place(place));
            }
            found.push(Relocation { place, addend });
            Ok(())
        };
        if let Some((address, len)) = self.rela {
            for entry in self.loaded(file, address, len)?.chunks_exact(RELA_LEN) {
                if u64_at(entry, 8) != R_X86_64_RELATIVE {
                    return Err(ImageError::RelocationKind);
                }
                add(u64_at(entry, 0), Some(u64_at(entry, 16)))?;
            }
        }
        if let Some((address, len)) = self.relr {
            // An even word is an address; an odd one a map of the 63 words behind the last (gABI,
            // "Relative Relocation Table").
            let mut next = 0u64;
            for entry in self.loaded(file, address, len)?.chunks_exact(8) {
                let entry = u64_at(entry, 0);
                if entry & 1 == 0 {
                    add(entry, None)?;
                    next = entry.wrapping_add(8);
                    continue;
                }
                for bit in (1..64).filter(|bit| entry >> bit & 1 != 0) {
                    add(next.wrapping_add(8 * (bit - 1)), None)?;
                }
                next = next.wrapping_add(8 * 63);
            }
        }
        Ok(found)
    }
}

fn segment(header: &Header, file_len: u64) -> Result<Segment, ImageError> {
    let rights = match (header.flags & WRITE != 0, header.flags & EXECUTE != 0) {
        (true, true) => return Err(ImageError::WritableCode),
        (true, false) => SegmentRights::Write,
        (false, true) => SegmentRights::Execute,
        (false, false) => SegmentRights::Read,
    };
    let end = header.address.checked_add(header.mem_len).filter(|end| *end <= ADDRESS_LIMIT);
    let end = end.ok_or(ImageError::Segment)?.next_multiple_of(PAGE);
    let lead = header.address % PAGE;
    let in_file = header.offset.checked_add(header.file_len).is_some_and(|e| e <= file_len);
    if header.file_len > header.mem_len || !in_file || header.offset % PAGE != lead {
        return Err(ImageError::Segment);
    }
    let start = header.address - lead;
    Ok(Segment {
        start,
        len: end - start,
        lead,
        file_start: header.offset - lead,
        file_len: if header.file_len == 0 { 0 } else { lead + header.file_len },
        rights,
    })
}

/// The note of ours in a note segment.
fn find_note(file: &impl ReadAt, header: &Header) -> Result<Option<ImageNote>, ImageError> {
    if header.file_len > MAX_SMALL {
        return Err(ImageError::Headers);
    }
    let bytes = read(file, header.offset, header.file_len)?;
    let mut rest = &bytes[..];
    let mut at = header.address;
    while rest.len() >= 12 {
        let (name_len, len) = (u32_at(rest, 0) as usize, u32_at(rest, 4) as usize);
        let kind = u32_at(rest, 8);
        let content = 12usize.saturating_add(name_len.next_multiple_of(4));
        let Some(end) = content.checked_add(len).filter(|end| *end <= rest.len()) else {
            return Err(ImageError::Headers);
        };
        let is_ours = rest[12..12 + name_len].strip_suffix(b"\0") == Some(NOTE_NAME.as_bytes())
            && kind == NOTE_TYPE;
        if is_ours {
            if len != 8 * NOTE_WORDS {
                return Err(ImageError::Headers);
            }
            let words = std::array::from_fn(|i| u64_at(rest, content + 8 * i));
            let note = ImageNote::read(&words, at.wrapping_add(content as u64));
            return Ok(Some(note.map_err(ImageError::Version)?));
        }
        let next = end.next_multiple_of(4).min(rest.len());
        rest = &rest[next..];
        at = at.wrapping_add(next as u64);
    }
    Ok(None)
}
