//! The calls by number, as a program makes them. What changes the process is in one test each, so
//! that tests which run at the same time do not meet.

use std::ffi::CStr;

use syscall_shim::{Errno, call, nr};

const EINVAL: isize = -22;
const EPERM: isize = -1;
const ESRCH: isize = -3;

#[test]
fn identity() {
    assert_eq!([nr::getpid, nr::getppid, nr::getpgrp].map(|nr| call!(nr)), [1, 0, 1]);
    for nr in [nr::getpgid, nr::getsid] {
        assert_eq!((call!(nr, 0), call!(nr, 1), call!(nr, 2)), (1, 1, ESRCH));
    }
    assert_eq!((call!(nr::setpgid, 0, 0), call!(nr::setpgid, 1, 1)), (0, 0));
    assert_eq!((call!(nr::setpgid, 0, 5), call!(nr::setpgid, 0, -1)), (EPERM, EINVAL));
    assert_eq!((call!(nr::setpgid, 5, 0), call!(nr::setsid)), (ESRCH, EPERM));
    let (mut cpu, mut node) = (7u32, 7u32);
    assert_eq!(call!(nr::getcpu, &mut cpu, &mut node, 0), 0);
    assert_eq!((cpu, node), (0, 0));
    assert_eq!(call!(nr::getcpu, 0, 0, 0), 0);
}

/// One test at a time is somebody else, or has to be user 0.
static USER: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[test]
fn users_and_groups() {
    let _user = USER.lock().unwrap();
    fn ids(nr: u16) -> [u32; 3] {
        let (mut a, mut b, mut c) = (9u32, 9u32, 9u32);
        assert_eq!(call!(nr, &mut a, &mut b, &mut c), 0);
        [a, b, c]
    }
    const KEEP: u32 = u32::MAX;
    assert_eq!(ids(nr::getresuid), [0; 3]);
    assert_eq!(call!(nr::getresuid, 0, 0, 0), Errno::EFAULT.to_raw());
    assert_eq!((call!(nr::getgroups, 0, 0), call!(nr::getgroups, -1, 0)), (0, EINVAL));
    let mut list = [0u32; 3];
    assert_eq!(call!(nr::setgroups, 2usize, &[7u32, 5]), 0);
    assert_eq!((call!(nr::getgroups, 0, 0), call!(nr::getgroups, 1, &mut list)), (2, EINVAL));
    assert_eq!((call!(nr::getgroups, 3, &mut list), list), (2, [7, 5, 0]));
    assert_eq!(call!(nr::setgroups, 1usize, 0), Errno::EFAULT.to_raw());
    assert_eq!(call!(nr::getgroups, 0, 0), 2);
    assert_eq!((call!(nr::setgroups, 0, 0), call!(nr::setgroups, 65_537usize, 0)), (0, EINVAL));
    // Groups first: they can be chosen as long as the user is 0.
    assert_eq!(call!(nr::setregid, 10u32, KEEP), 0);
    assert_eq!(ids(nr::getresgid), [10, 0, 0]);
    assert_eq!(call!(nr::setresgid, KEEP, 20u32, 30u32), 0);
    assert_eq!(ids(nr::getresgid), [10, 20, 30]);
    assert_eq!(call!(nr::setfsgid, KEEP), 20);
    assert_eq!((call!(nr::setgid, KEEP), call!(nr::setgid, 5u32)), (EINVAL, 0));
    assert_eq!((call!(nr::getgid), call!(nr::getegid)), (5, 5));
    let (mut header, mut data) = ([0u32, 0], [0u32; 6]);
    assert_eq!(call!(nr::capget, &mut header, 0), 0);
    assert_eq!(call!(nr::capget, &mut header, &mut data), 0);
    assert_eq!((header[0], data[0]), (0x2008_0522, u32::MAX));
    // Whether the version is known is asked so.
    assert_eq!(call!(nr::capget, &mut header, 0), 0);
    let mut other = [header[0], 99];
    assert_eq!(call!(nr::capget, &mut other, 0), 0);
    assert_eq!(call!(nr::capget, &mut other, &mut data), Errno::ESRCH.to_raw());
    assert_eq!(call!(nr::capset, &mut header, &data), 0);
    let mut old = [0x1998_0330u32, 0];
    assert_eq!((call!(nr::capset, &mut old, &data), old[0]), (EINVAL, 0x2008_0522));
    // An effective user that is not 0 may go back to the saved one, and nothing else.
    assert_eq!(call!(nr::setresuid, 100u32, 200u32, 0u32), 0);
    assert_eq!((call!(nr::getuid), call!(nr::geteuid)), (100, 200));
    assert_eq!(call!(nr::capget, &mut header, &mut data), 0);
    assert_eq!(data[0], 0);
    let some = [1u32; 6];
    assert_eq!(
        (call!(nr::capset, &mut header, &data), call!(nr::capset, &mut header, &some)),
        (0, EPERM)
    );
    assert_eq!(call!(nr::setuid, 300u32), EPERM);
    // What concerns the whole system is not its business.
    let mut now = [0i64; 2];
    assert_eq!(call!(nr::clock_gettime, 0, &mut now), 0);
    assert_eq!(call!(nr::clock_settime, 0, &now), EPERM);
    for name in [nr::sethostname, nr::setdomainname] {
        assert_eq!(call!(name, &b"other"[..]), EPERM);
    }
    // A hard limit can be lowered, and not be raised again.
    let (mut limit, data_size) = ([0u64; 2], 2u32);
    assert_eq!(call!(nr::setrlimit, data_size, &[5u64, 6]), 0);
    assert_eq!(call!(nr::setrlimit, data_size, &[6u64, 7]), EPERM);
    assert_eq!(call!(nr::prlimit64, 0, data_size, &[6u64, 6], &mut limit), 0);
    assert_eq!(limit, [5, 6]);
    assert_eq!((call!(nr::setfsuid, 300u32), call!(nr::setfsuid, KEEP)), (200, 200));
    assert_eq!((call!(nr::setgid, 77u32), call!(nr::setgroups, 0, 0)), (EPERM, EPERM));
    assert_eq!(call!(nr::setuid, 0u32), 0);
    assert_eq!(call!(nr::setrlimit, data_size, &[6u64, 7]), 0, "user 0 may");
    assert_eq!(ids(nr::getresuid), [100, 0, 0]);
    assert_eq!(call!(nr::setreuid, KEEP, 100u32), 0);
    assert_eq!(ids(nr::getresuid), [100, 100, 0]);
    assert_eq!(call!(nr::setreuid, 0u32, 0u32), 0);
    assert_eq!(ids(nr::getresuid), [0, 0, 0]);
}

#[test]
fn limits() {
    const STACK: u32 = 3;
    const CORE: u32 = 4;
    let mut limit = [0u64; 2];
    assert_eq!(call!(nr::getrlimit, 7u32, &mut limit), 0);
    assert_eq!(limit, [1024, 1 << 20]);
    assert_eq!(call!(nr::getrlimit, 16u32, &mut limit), EINVAL);
    assert_eq!(call!(nr::setrlimit, CORE, &[5u64, 6]), 0);
    assert_eq!(call!(nr::setrlimit, CORE, &[7u64, 6]), EINVAL);
    assert_eq!(call!(nr::setrlimit, 7u32, &[7u64, u64::MAX]), EPERM);
    assert_eq!(call!(nr::prlimit64, 0, CORE, &[1u64, 2], &mut limit), 0);
    assert_eq!(limit, [5, 6]);
    assert_eq!(call!(nr::prlimit64, 1, CORE, 0, &mut limit), 0);
    assert_eq!(limit, [1, 2]);
    assert_eq!(call!(nr::prlimit64, 2, CORE, 0, &mut limit), ESRCH);
    // The stack is what the platform made it.
    static BOOT: ukplat::BootInfo =
        ukplat::BootInfo { stack: 0x7000..0x3_7000, ..ukplat::BootInfo::EMPTY };
    ukplat::BootInfo::publish(&BOOT);
    assert_eq!(call!(nr::setrlimit, STACK, &[5u64, 0x3_0001]), EPERM);
    assert_eq!(call!(nr::setrlimit, STACK, &[5u64, 0x3_0000]), 0);
    let mut usage = [0i64; 18];
    assert_eq!(call!(nr::getrusage, 1, &mut usage), 0);
    assert_eq!(call!(nr::getrusage, 0, &mut usage), 0);
    assert_eq!((call!(nr::getrusage, -1, &mut usage), usage), (0, [0; 18]));
    assert_eq!(call!(nr::getrusage, 2, &mut usage), EINVAL);
}

#[test]
fn names() {
    let _user = USER.lock().unwrap();
    let mut names = [[0u8; 65]; 6];
    let mut get = || -> Vec<String> {
        assert_eq!(call!(nr::uname, &mut names), 0);
        let text =
            |n: &[u8; 65]| CStr::from_bytes_until_nul(n).unwrap().to_str().unwrap().to_owned();
        names.iter().map(text).collect()
    };
    let first = get();
    assert_eq!((first[0].as_str(), first[4].as_str()), ("Linux", ukplat::arch()));
    assert!(first[3].starts_with("Oxikraft "));
    assert_eq!(call!(nr::sethostname, &b"box"[..]), 0);
    assert_eq!(call!(nr::setdomainname, &b"example"[..]), 0);
    assert_eq!(call!(nr::sethostname, &[b'x'; 65][..]), EINVAL);
    let second = get();
    assert_eq!((second[1].as_str(), second[5].as_str()), ("box", "example"));
}

#[test]
fn other_processes_do_not_exist() {
    let enosys = Errno::ENOSYS.to_raw();
    assert_eq!([nr::fork, nr::vfork].map(|nr| call!(nr)), [enosys; 2]);
    assert_eq!(call!(nr::execve, 0, 0, 0), enosys);
    let child = Errno::ECHILD.to_raw();
    assert_eq!((call!(nr::wait4, -1, 0, 0, 0), call!(nr::wait4, -1, 0, 4, 0)), (child, EINVAL));
    assert_eq!(call!(nr::waitid, 0, 0, 0, 4, 0), child);
    assert_eq!(
        (call!(nr::waitid, 4, 0, 0, 4, 0), call!(nr::waitid, 0, 0, 0, 0, 0)),
        (EINVAL, EINVAL)
    );
    assert_eq!([0, u32::MAX, 3].map(|kind| call!(nr::personality, kind)), [0, 0, EINVAL]);
    assert_eq!(call!(nr::getpriority, 0, 0), 20);
    assert_eq!((call!(nr::setpriority, 0, 1, 30), call!(nr::getpriority, 2, 0)), (0, 1));
    assert_eq!((call!(nr::setpriority, 0, 2, 0), call!(nr::getpriority, 3, 0)), (ESRCH, EINVAL));
}

#[test]
fn prctl() {
    let mut name = *b"................";
    assert_eq!(call!(nr::prctl, 15, c"a-name-of-more-than-15", 0, 0, 0), 0);
    assert_eq!(call!(nr::prctl, 16, &mut name, 0, 0, 0), 0);
    assert_eq!(&name, b"a-name-of-more-\0");
    assert_eq!(call!(nr::prctl, 15, 0, 0, 0, 0), Errno::EFAULT.to_raw());
    let mut signal = 7i32;
    assert_eq!(call!(nr::prctl, 1, 9, 0, 0, 0), 0);
    assert_eq!(call!(nr::prctl, 2, &mut signal, 0, 0, 0), 0);
    assert_eq!((signal, call!(nr::prctl, 1, 65, 0, 0, 0)), (9, EINVAL));
    assert_eq!((call!(nr::prctl, 3, 0, 0, 0, 0), call!(nr::prctl, 4, 2, 0, 0, 0)), (1, EINVAL));
    assert_eq!((call!(nr::prctl, 4, 0, 0, 0, 0), call!(nr::prctl, 3, 0, 0, 0, 0)), (0, 0));
    assert_eq!(call!(nr::prctl, 39, 0, 0, 0, 0), 0);
    assert_eq!((call!(nr::prctl, 38, 1, 0, 0, 0), call!(nr::prctl, 39, 0, 0, 0, 0)), (0, 1));
    assert_eq!(
        (call!(nr::prctl, 38, 0, 0, 0, 0), call!(nr::prctl, 999, 0, 0, 0, 0)),
        (EINVAL, EINVAL)
    );
}

#[test]
fn system() {
    let mut info = [0u64; 14];
    assert_eq!(call!(nr::sysinfo, &mut info), 0);
    // Processes in the low half of word 10, the unit of sizes in that of word 13.
    assert_eq!((info[10], info[13]), (1, 1));
}
