use std::collections::BTreeMap;

use proptest::prelude::*;
use ukfile::{File, OpenFlags};

use super::*;

struct Nothing;
impl File for Nothing {}

const LIMIT: usize = 20;

#[derive(Clone, Debug)]
enum Step {
    Insert(bool),
    /// Reserves a number, and fills it or gives it back after another step.
    Reserve(bool),
    Pair,
    Duplicate(i32, i32),
    DuplicateTo(i32, i32),
    Close(i32),
    SetFlag(i32, bool),
}

fn step() -> impl Strategy<Value = Step> {
    let fd = || -2i32..LIMIT as i32 + 3;
    prop_oneof![
        5 => any::<bool>().prop_map(Step::Insert),
        1 => any::<bool>().prop_map(Step::Reserve),
        1 => Just(Step::Pair),
        2 => (fd(), fd()).prop_map(|(a, b)| Step::Duplicate(a, b)),
        2 => (fd(), fd()).prop_map(|(a, b)| Step::DuplicateTo(a, b)),
        4 => fd().prop_map(Step::Close),
        1 => (fd(), any::<bool>()).prop_map(|(fd, on)| Step::SetFlag(fd, on)),
    ]
}

/// A table as POSIX words it: numbers with files, told apart by their address, and a flag.
#[derive(Default)]
struct Model(BTreeMap<i32, (usize, bool)>);

impl Model {
    fn free(&self, least: i32) -> Result<i32, Errno> {
        (least..LIMIT as i32).find(|fd| !self.0.contains_key(fd)).ok_or(Errno::EMFILE)
    }
    fn get(&self, fd: i32) -> Result<usize, Errno> {
        self.0.get(&fd).map(|e| e.0).ok_or(Errno::EBADF)
    }
}

fn address(file: &Arc<Description>) -> usize {
    Arc::as_ptr(file).cast::<()>() as usize
}

proptest! {
    #[test]
    fn as_a_map_with_the_lowest_numbers_first(steps in prop::collection::vec(step(), 0..80)) {
        let (table, mut model) = (FdTable::new(), Model::default());
        table.set_limit(LIMIT);
        let mut files = Vec::new();
        for step in steps {
            match step {
                Step::Insert(flag) => {
                    let file = Description::new(Nothing, OpenFlags::empty()).unwrap();
                    let expected = model.free(0);
                    prop_assert_eq!(table.insert(file.clone(), flag), expected);
                    if let Ok(fd) = expected {
                        model.0.insert(fd, (address(&file), flag));
                    }
                    files.push(file);
                }
                Step::Reserve(fill) => {
                    let expected = model.free(0);
                    let reserved = table.reserve(true);
                    prop_assert_eq!(reserved.as_ref().err(), expected.as_ref().err());
                    let Ok(number) = reserved else { continue };
                    let fd = expected.unwrap();
                    // Nobody gets it meanwhile, and nobody sees it.
                    prop_assert_eq!(table.get(fd).err(), Some(Errno::EBADF));
                    prop_assert_eq!(table.close(fd).err(), Some(Errno::EBADF));
                    prop_assert_eq!(table.set_close_on_exec(fd, true), Err(Errno::EBADF));
                    prop_assert_eq!(table.next(fd), model.0.range(fd..).next().map(|(&fd, _)| fd));
                    if let Some(other) = table.next(0) {
                        prop_assert_eq!(table.duplicate_to(other, fd, true).err(), Some(Errno::EBUSY));
                    }
                    let file = Description::new(Nothing, OpenFlags::empty()).unwrap();
                    let second = model.free(fd + 1);
                    prop_assert_eq!(table.insert(file.clone(), false), second);
                    if let Ok(second) = second {
                        table.close(second).unwrap();
                    }
                    if fill {
                        prop_assert_eq!(number.fill(file.clone()), fd);
                        model.0.insert(fd, (address(&file), true));
                        files.push(file);
                    }
                }
                Step::Pair => {
                    let one = || Description::new(Nothing, OpenFlags::empty()).unwrap();
                    let (a, b) = (one(), one());
                    let first = model.free(0);
                    let second = first.and_then(|first| model.free(first + 1));
                    let got = table.insert_pair((a.clone(), b.clone()), true);
                    prop_assert_eq!(got, second.map(|second| [first.unwrap(), second]));
                    if let Ok([first, second]) = got {
                        model.0.insert(first, (address(&a), true));
                        model.0.insert(second, (address(&b), true));
                    }
                    files.extend([a, b]);
                }
                Step::Duplicate(fd, least) => {
                    let expected = model.get(fd).and_then(|file| {
                        if !(0..LIMIT as i32).contains(&least) {
                            return Err(Errno::EINVAL);
                        }
                        model.free(least).map(|new| (new, file))
                    });
                    prop_assert_eq!(table.duplicate(fd, least, true), expected.map(|e| e.0));
                    if let Ok((new, file)) = expected {
                        model.0.insert(new, (file, true));
                    }
                }
                Step::DuplicateTo(fd, to) => {
                    let fits = (0..LIMIT as i32).contains(&to);
                    let expected = model.get(fd).and_then(|f| if fits { Ok(f) } else { Err(Errno::EBADF) });
                    let got = table.duplicate_to(fd, to, false);
                    prop_assert_eq!(got.as_ref().err(), expected.as_ref().err());
                    if let (Ok(file), Ok(old)) = (expected, got) {
                        let before = model.0.insert(to, (file, false));
                        prop_assert_eq!(old.as_ref().map(address), before.map(|b| b.0));
                    }
                }
                Step::Close(fd) => {
                    let got = table.close(fd);
                    let expected = model.0.remove(&fd).map(|e| e.0).ok_or(Errno::EBADF);
                    prop_assert_eq!(got.as_ref().map(address).map_err(|e| *e), expected);
                }
                Step::SetFlag(fd, on) => {
                    let entry = model.0.get_mut(&fd);
                    prop_assert_eq!(table.set_close_on_exec(fd, on).is_ok(), entry.is_some());
                    if let Some(entry) = entry {
                        entry.1 = on;
                    }
                }
            }
            for fd in -1..LIMIT as i32 + 1 {
                let got = table.get(fd).map(|f| address(&f));
                prop_assert_eq!(got, model.get(fd));
                let flag = table.close_on_exec(fd).ok();
                prop_assert_eq!(flag, model.0.get(&fd).map(|e| e.1));
            }
            prop_assert_eq!(table.next(3), model.0.range(3..).next().map(|(&fd, _)| fd));
        }
    }
}

#[test]
fn files_without_a_number_end_when_the_table_is_free() {
    static TABLE: FdTable = FdTable::new();
    struct Looks;
    impl File for Looks {}
    impl Drop for Looks {
        fn drop(&mut self) {
            assert!(TABLE.get(0).is_err());
        }
    }
    let file = || Description::new(Looks, OpenFlags::empty()).unwrap();
    TABLE.set_limit(0);
    assert_eq!(TABLE.insert(file(), false), Err(Errno::EMFILE));
    assert_eq!(TABLE.insert_pair((file(), file()), false), Err(Errno::EMFILE));
}

#[test]
fn a_lower_limit_keeps_what_is_open() {
    let table = FdTable::new();
    let file = Description::new(Nothing, OpenFlags::empty()).unwrap();
    for fd in 0..5 {
        assert_eq!(table.insert(file.clone(), false), Ok(fd));
    }
    table.set_limit(3);
    assert!(table.get(4).is_ok());
    assert_eq!(table.insert(file.clone(), false), Err(Errno::EMFILE));
    assert_eq!(table.duplicate_to(0, 4, false).err(), Some(Errno::EBADF));
    table.close(1).unwrap();
    assert_eq!(table.insert(file, false), Ok(1));
    table.set_limit(usize::MAX);
    assert_eq!(table.limit(), MAX_LIMIT);
}
