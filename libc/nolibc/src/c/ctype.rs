//! `ctype.h` in the locale "C". What is no byte belongs to no class, `EOF` among it.

use core::ffi::c_int;

use crate::number::is_space;

macro_rules! classes {
    ($($name:ident = $is:expr;)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $name(c: c_int) -> c_int {
            let is: fn(u8) -> bool = $is;
            u8::try_from(c).is_ok_and(is).into()
        }
    )*};
}

classes! {
    isalnum = |c| c.is_ascii_alphanumeric();
    isalpha = |c| c.is_ascii_alphabetic();
    isblank = |c| matches!(c, b' ' | b'\t');
    iscntrl = |c| c.is_ascii_control();
    isdigit = |c| c.is_ascii_digit();
    isgraph = |c| c.is_ascii_graphic();
    islower = |c| c.is_ascii_lowercase();
    isprint = |c| matches!(c, b' '..=b'~');
    ispunct = |c| c.is_ascii_punctuation();
    isspace = is_space;
    isupper = |c| c.is_ascii_uppercase();
    isxdigit = |c| c.is_ascii_hexdigit();
}

#[unsafe(no_mangle)]
extern "C" fn tolower(c: c_int) -> c_int {
    u8::try_from(c).map_or(c, |c| c.to_ascii_lowercase().into())
}

#[unsafe(no_mangle)]
extern "C" fn toupper(c: c_int) -> c_int {
    u8::try_from(c).map_or(c, |c| c.to_ascii_uppercase().into())
}
