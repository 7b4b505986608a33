//! What the system has for the library.

/// Parameter `nolibc.env`.
pub static ENV: ukparam::Text = ukparam::Text::new();

/// The programs that it starts.
pub static PROGRAM: crt0::Program = crt0::Program { library: "nolibc", environment: &ENV };

/// Starts the program, with `malloc` on the heap.
#[macro_export]
macro_rules! entry {
    ($heap:expr) => {
        $crate::crt0::entry!($heap, $crate::PROGRAM);
    };
}
