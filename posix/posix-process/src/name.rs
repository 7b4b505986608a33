//! What the system calls itself.

use syscall_shim::{Errno, UserOut, UserSlice, syscall};
use uklock::Mutex;

use crate::credentials::privileged;

/// Bytes of each text with its zero byte (`struct new_utsname` of Linux).
const LEN: usize = 65;

/// The version of Linux whose calls these are, for programs that ask before they use a call.
pub const RELEASE: &str = "6.1.0-oxikraft";

struct Names {
    host: [u8; LEN],
    domain: [u8; LEN],
}

static NAMES: Mutex<Names> = Mutex::new(Names { host: text("oxikraft"), domain: text("(none)") });

const fn text(text: &str) -> [u8; LEN] {
    let (mut bytes, mut i) = ([0; LEN], 0);
    while i < text.len() {
        bytes[i] = text.as_bytes()[i];
        i += 1;
    }
    bytes
}

/// See uname(2). The system is Linux as far as programs can tell by its calls.
#[syscall]
fn uname(names: UserOut<[[u8; LEN]; 6]>) {
    let now = NAMES.lock();
    let mut machine = [0; LEN];
    let arch = ukplat::arch().as_bytes();
    machine[..arch.len()].copy_from_slice(arch);
    names.write([
        text("Linux"),
        now.host,
        text(RELEASE),
        text(concat!("Oxikraft ", env!("CARGO_PKG_VERSION"))),
        machine,
        now.domain,
    ]);
}

fn named(name: &[u8]) -> Result<[u8; LEN], Errno> {
    if name.len() >= LEN {
        return Err(Errno::EINVAL);
    }
    let mut bytes = [0; LEN];
    bytes[..name.len()].copy_from_slice(name);
    Ok(bytes)
}

/// The name of the host, with zero bytes behind it.
pub fn host_name() -> [u8; LEN] {
    NAMES.lock().host
}

/// Gives the host a name.
///
/// # Errors
/// `EINVAL` when it is too long.
pub fn set_host_name(name: &[u8]) -> Result<(), Errno> {
    NAMES.lock().host = named(name)?;
    Ok(())
}

/// See sethostname(2).
#[syscall]
fn sethostname(name: UserSlice<u8>) -> Result<(), Errno> {
    privileged()?;
    set_host_name(name.as_slice())
}

/// See setdomainname(2).
#[syscall]
fn setdomainname(name: UserSlice<u8>) -> Result<(), Errno> {
    privileged()?;
    NAMES.lock().domain = named(name.as_slice())?;
    Ok(())
}
