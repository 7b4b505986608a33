//! What happens when Rust code panics.

use core::panic::PanicInfo;

use ukplat::{Exit, report};

/// The panic handler of every image: reports the message and the call chain, then ends with
/// [`Exit::Panic`].
pub fn panic(info: &PanicInfo<'_>) -> ! {
    match info.location() {
        Some(place) => report::crash(
            Exit::Panic,
            format_args!(
                "panic at {}:{}:{}: {}",
                place.file(),
                place.line(),
                place.column(),
                info.message()
            ),
            &|visit| ukplat::backtrace(visit),
        ),
        None => report::crash(Exit::Panic, format_args!("panic: {}", info.message()), &|visit| {
            ukplat::backtrace(visit)
        }),
    }
}
