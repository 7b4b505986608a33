use proptest::prelude::*;

use super::*;

fn header(magic: &str, name: &[u8], data: &[u8], mode: u32, sum: u32) -> Vec<u8> {
    let fields = [7, mode, 1, 2, 1, 99, data.len() as u32, 3, 4, 5, 6, name.len() as u32 + 1, sum];
    let mut bytes = magic.as_bytes().to_vec();
    for field in fields {
        bytes.extend_from_slice(format!("{field:08X}").as_bytes());
    }
    bytes.extend_from_slice(name);
    bytes.push(0);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend_from_slice(data);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn archive(files: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut bytes: Vec<u8> =
        files.iter().flat_map(|(name, data)| header("070701", name, data, 0o100644, 0)).collect();
    bytes.extend(header("070701", TRAILER, b"", 0, 0));
    bytes
}

fn all(archive: &[u8]) -> Result<Vec<Entry<'_>>, Error> {
    entries(archive).collect()
}

#[test]
fn all_fields_are_read() {
    let bytes = archive(&[(b"a/b", b"text")]);
    let expected = Entry {
        name: b"a/b",
        mode: 0o100644,
        user: 1,
        group: 2,
        links: 1,
        inode: 7,
        device: (3, 4),
        special: (5, 6),
        modified: 99,
        data: b"text",
    };
    assert_eq!(all(&bytes), Ok(vec![expected]));
}

#[test]
fn archives_may_follow_each_other() {
    let mut bytes = archive(&[(b"a", b"1")]);
    bytes.extend([0; 512]);
    bytes.extend(archive(&[(b"b", b"2")]));
    bytes.extend([0; 3]);
    let names: Vec<_> = all(&bytes).unwrap().iter().map(|e| e.name).collect();
    assert_eq!(names, [b"a", b"b"]);
}

#[test]
fn trailers_in_a_row_need_no_stack() {
    let bytes = archive(&[]).repeat(100_000);
    assert_eq!(all(&bytes), Ok(vec![]));
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let good = archive(&[(b"a", b"text")]);
    assert_eq!(all(b""), Err(Error::NoTrailer(0)));
    assert_eq!(all(b"#!/bin/sh"), Err(Error::NotNewc(0)));
    assert_eq!(all(&good[..50]), Err(Error::CutOff(0)));
    assert_eq!(all(&good[..good.len() / 2 - 40]), Err(Error::CutOff(0)));
    let one = header("070701", b"a", b"text", 0, 0);
    assert_eq!(all(&one), Err(Error::NoTrailer(one.len())));
    let mut bad = good.clone();
    bad[20] = b'x';
    assert_eq!(all(&bad), Err(Error::BadNumber(14)));
    let mut bad = good.clone();
    bad[HEADER + 1] = b'b';
    assert_eq!(all(&bad), Err(Error::BadName(HEADER)));
    let mut bad = good.clone();
    bad[54..62].copy_from_slice(b"FFFFFFFF");
    assert_eq!(all(&bad), Err(Error::CutOff(0)));
    let mut junk = good;
    junk.extend(b"junk");
    assert_eq!(all(&junk), Err(Error::NotNewc(junk.len() - 4)));
    assert_eq!(Error::CutOff(5).to_string(), "cpio archive cut off in the entry at byte 5");
}

#[test]
fn checksums_are_checked() {
    let with = |sum| {
        let mut bytes = header("070702", b"a", &[200, 100], 0, sum);
        bytes.extend(header("070702", TRAILER, b"", 0, 0));
        bytes
    };
    assert_eq!(all(&with(300)).unwrap().len(), 1);
    assert_eq!(all(&with(301)), Err(Error::BadChecksum(0)));
}

proptest! {
    #[test]
    fn any_bytes_end(bytes: Vec<u8>) {
        let _ = entries(&bytes).count();
    }

    #[test]
    fn changed_archives_end(flips in prop::collection::vec((0usize..400, any::<u8>()), 1..8)) {
        let mut bytes = archive(&[(b"a", b"text"), (b"dir/b", &[0; 50])]);
        for (at, byte) in flips {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        prop_assert!(entries(&bytes).count() < 10);
    }

    #[test]
    fn there_and_back(files in prop::collection::vec(("[a-z/]{1,20}", prop::collection::vec(any::<u8>(), 0..50)), 0..6)) {
        let list: Vec<(&[u8], &[u8])> = files.iter().map(|(n, d)| (n.as_bytes(), &d[..])).collect();
        let bytes = archive(&list);
        let found = all(&bytes).unwrap();
        prop_assert_eq!(found.iter().map(|e| (e.name, e.data)).collect::<Vec<_>>(), list);
    }
}
