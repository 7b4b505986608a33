use proptest::prelude::*;

use super::*;

/// Messages of all types, of random fields, as bytes that may be wrong in places.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let number = prop_oneof![4 => 6u8..80, 4 => 98u8..126, 1 => any::<u8>()];
    let field = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..40),
        // A text with the right length.
        4 => prop::collection::vec(any::<u8>(), 0..12).prop_map(|text| {
            let mut field = (text.len() as u16).to_le_bytes().to_vec();
            field.extend(text);
            field
        }),
        2 => prop::sample::select(vec![vec![0; 4], vec![1, 0, 0, 0], vec![0; 8], vec![2, 0]]),
    ];
    (number, any::<u16>(), prop::collection::vec(field, 0..6), -1i32..2).prop_map(
        |(number, tag, fields, off)| {
            let body: Vec<u8> = fields.concat();
            let length = (body.len() + HEADER) as i32 + if off == 1 { 0 } else { off };
            let mut message = length.to_le_bytes().to_vec();
            message.push(number);
            message.extend(tag.to_le_bytes());
            message.extend(body);
            message
        },
    )
}

macro_rules! there_and_back {
    ($type:ident, $message:expr) => {
        if let Ok((tag, message)) = $type::decode($message) {
            let mut again = vec![0; message.encoded_len()];
            prop_assert_eq!(message.encode(tag, &mut again), Ok(again.len()));
            prop_assert_eq!(&again, $message);
            let shorter = again.len() - 1;
            prop_assert_eq!(message.encode(tag, &mut again[..shorter]), Err(Error::NoRoom));
            for length in 0..$message.len() {
                prop_assert!($type::decode(&$message[..length]).is_err());
            }
        }
    };
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_read_is_written_the_same(message in bytes()) {
        there_and_back!(Request, &message);
        there_and_back!(Response, &message);
    }

    #[test]
    fn numbers_and_texts_come_back(fid: u32, offset: u64, data in prop::collection::vec(any::<u8>(), 0..300), name in prop::collection::vec(any::<u8>(), 0..70), tag: u16) {
        let list = [&name[..], b"", b"x"];
        let qid = Qid { kind: kind::DIRECTORY, version: fid, path: offset };
        let lock = Lock { kind: LockType::Write, flags: 1, start: offset, length: 0, process: fid, client: &name };
        let attributes = SetAttributes { valid: fid, mode: 1, user: 2, group: 3, size: offset, accessed: 5, accessed_ns: 6, modified: 7, modified_ns: 8 };
        for request in [
            Request::Write { fid, offset, data: Data(&data) },
            Request::Walk { fid, new_fid: 3, names: Names::List(&list) },
            Request::Lock { fid, lock },
            Request::Setattr { fid, to: attributes },
            Request::Symlink { directory: fid, name: &name, target: &data, group: 0 },
        ] {
            let mut message = vec![0; request.encoded_len()];
            request.encode(tag, &mut message).unwrap();
            prop_assert_eq!(Request::decode(&message), Ok((tag, request)));
            prop_assert_eq!(peek(&message), Some((message.len() as u32, message[4], tag)));
        }
        for response in [
            Response::Read { data: Data(&data) },
            Response::Walk { qids: Qids::List(&[qid, qid]) },
            Response::Error { errno: fid },
        ] {
            let mut message = vec![0; response.encoded_len()];
            response.encode(tag, &mut message).unwrap();
            prop_assert_eq!(Response::decode(&message), Ok((tag, response)));
        }
    }

    #[test]
    fn headers_are_what_messages_begin_with(tag: u16, fid: u32, offset: u64, data in prop::collection::vec(any::<u8>(), 0..50)) {
        let count = data.len() as u32;
        let with = |header: &[u8]| [header, &data].concat();
        let write = with(&Request::write_header(tag, fid, offset, count));
        prop_assert_eq!(Request::decode(&write), Ok((tag, Request::Write { fid, offset, data: Data(&data) })));
        let read = with(&Response::data_header(tag, false, count));
        prop_assert_eq!(Response::decode(&read), Ok((tag, Response::Read { data: Data(&data) })));
        let list = with(&Response::data_header(tag, true, count));
        prop_assert_eq!(Response::decode(&list), Ok((tag, Response::Readdir { data: Data(&data) })));
    }

    #[test]
    fn entries_come_back(names in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..30), 0..9), room in 0usize..400, cut in 0usize..400) {
        let mut buffer = vec![0; room];
        let mut writer = EntryWriter::new(&mut buffer);
        let entry = |index: usize| DirectoryEntry {
            qid: Qid { kind: 0, version: 1, path: index as u64 },
            next: index as u64 + 1,
            kind: 8,
            name: &names[index],
        };
        let taken = (0..names.len()).take_while(|&index| writer.push(&entry(index))).count();
        let used = writer.len();
        let read: Vec<_> = Entries::new(&buffer[..used]).map(Result::unwrap).collect();
        prop_assert_eq!(read, (0..taken).map(entry).collect::<Vec<_>>());
        // Cut off anywhere, what is whole is read, and then comes an error or the end.
        let cut = cut.min(used);
        let read: Vec<_> = Entries::new(&buffer[..cut]).collect();
        let whole = read.iter().filter(|e| e.is_ok()).count();
        prop_assert!(read.len() <= whole + 1);
        prop_assert!(whole <= taken);
    }
}

/// Messages as Linux 6.1 sent them to QEMU 7.2, and the answers.
#[test]
fn messages_of_others_are_understood() {
    // Tversion: msize 8192.
    let version = b"\x15\0\0\0\x64\xff\xff\0\x20\0\0\x08\09P2000.L";
    let read = Request::Version { size: 8192, version: VERSION };
    assert_eq!(Request::decode(version), Ok((NO_TAG, read)));
    // Rlerror: ENOENT.
    assert_eq!(
        Response::decode(b"\x0b\0\0\0\x07\x01\0\x02\0\0\0"),
        Ok((1, Response::Error { errno: 2 }))
    );
    // Twalk of one name.
    let walk = b"\x18\0\0\0\x6e\x02\0\x01\0\0\0\x02\0\0\0\x01\0\x05\0hello";
    let names = Names::List(&[b"hello"]);
    assert_eq!(Request::decode(walk), Ok((2, Request::Walk { fid: 1, new_fid: 2, names })));
}

#[test]
fn what_is_wrong_is_told() {
    let clunk = |bytes: &[u8]| Request::decode(bytes).map(|_| ());
    assert_eq!(clunk(b""), Err(Error::TooShort));
    assert_eq!(clunk(b"\x07\0\0\0\x78\0"), Err(Error::Length(7)));
    assert_eq!(clunk(b"\x07\0\0\0\x78\0\0"), Err(Error::TooShort));
    assert_eq!(clunk(b"\x0c\0\0\0\x78\0\0\x01\0\0\0\0"), Err(Error::TooLong));
    assert_eq!(clunk(b"\x07\0\0\0\x79\0\0"), Err(Error::Type(0x79)), "an answer");
    assert_eq!(clunk(b"\x07\0\0\0\0\0\0"), Err(Error::Type(0)));
    let many = [&b""[..]; 17];
    let walk = Request::Walk { fid: 0, new_fid: 0, names: Names::List(&many) };
    assert_eq!(walk.encode(0, &mut [0; 100]), Err(Error::TooManyNames(17)));
    let mut message = b"\x33\0\0\0\x6e\0\0\0\0\0\0\0\0\0\0\x11\0".to_vec();
    message.resize(0x33, 0);
    assert_eq!(clunk(&message), Err(Error::TooManyNames(17)));
    let long = vec![0; 1 << 16];
    let mkdir = Request::Mkdir { directory: 0, name: &long, mode: 0, group: 0 };
    assert_eq!(mkdir.encode(0, &mut vec![0; 1 << 17]), Err(Error::NameTooLong(1 << 16)));
    let lock = b"\x0c\0\0\0\x35\0\0\x04".to_vec();
    assert_eq!(Response::decode(&lock), Err(Error::Length(12)));
    assert_eq!(Response::decode(b"\x08\0\0\0\x35\0\0\x04"), Err(Error::Value(4)));
    for error in [Error::TooShort, Error::Value(4), Error::TooManyNames(17), Error::NoRoom] {
        assert!(!error.to_string().contains('\n'));
    }
}
