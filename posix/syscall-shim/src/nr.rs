//! Numbers of system calls by name, as the architecture has them.

/// Numbers are smaller than this.
pub const LIMIT: usize = 512;

macro_rules! numbers {
    ($($number:literal $name:ident,)*) => {
        $(
            #[doc = concat!("Number ", stringify!($number), ".")]
            #[allow(non_upper_case_globals)]
            pub const $name: u16 = $number;
        )*

        /// The name of the call with this number.
        pub fn name(number: usize) -> Option<&'static str> {
            match number {
                $($number => Some(stringify!($name)),)*
                _ => None,
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
include!("numbers_x86_64.rs");
