//! What compilers of C++ call for `new`, `delete` and functions that are none, under their mangled
//! names. Nothing can be thrown: without memory the program ends.

use core::ffi::c_void;

use super::stdlib::abort;
use super::unistd::say;

unsafe extern "C" {
    fn malloc(size: usize) -> *mut c_void;
    fn aligned_alloc(align: usize, size: usize) -> *mut c_void;
    fn free(block: *mut c_void);
}

/// `void *operator new(std::size_t, const std::nothrow_t &)`
#[unsafe(no_mangle)]
extern "C" fn _ZnwmRKSt9nothrow_t(size: usize, _: *const c_void) -> *mut c_void {
    // SAFETY: any size can be asked for. Each object has a place of its own.
    unsafe { malloc(size.max(1)) }
}

/// `void *operator new[](std::size_t, const std::nothrow_t &)`
#[unsafe(no_mangle)]
extern "C" fn _ZnamRKSt9nothrow_t(size: usize, nothrow: *const c_void) -> *mut c_void {
    _ZnwmRKSt9nothrow_t(size, nothrow)
}

/// `void *operator new(std::size_t)`
#[unsafe(no_mangle)]
extern "C" fn _Znwm(size: usize) -> *mut c_void {
    or_end(_ZnwmRKSt9nothrow_t(size, core::ptr::null()))
}

fn or_end(block: *mut c_void) -> *mut c_void {
    if block.is_null() {
        say(b"operator new: there is no memory\n");
        abort();
    }
    block
}

/// `void *operator new[](std::size_t)`
#[unsafe(no_mangle)]
extern "C" fn _Znam(size: usize) -> *mut c_void {
    _Znwm(size)
}

/// `void *operator new(std::size_t, std::align_val_t, const std::nothrow_t &)`
#[unsafe(no_mangle)]
extern "C" fn _ZnwmSt11align_val_tRKSt9nothrow_t(
    size: usize,
    align: usize,
    _: *const c_void,
) -> *mut c_void {
    // SAFETY: any size can be asked for, and with a wrong alignment there is no block.
    unsafe { aligned_alloc(align, size.max(1)) }
}

/// `void *operator new[](std::size_t, std::align_val_t, const std::nothrow_t &)`
#[unsafe(no_mangle)]
extern "C" fn _ZnamSt11align_val_tRKSt9nothrow_t(
    size: usize,
    align: usize,
    nothrow: *const c_void,
) -> *mut c_void {
    _ZnwmSt11align_val_tRKSt9nothrow_t(size, align, nothrow)
}

/// `void *operator new(std::size_t, std::align_val_t)`
#[unsafe(no_mangle)]
extern "C" fn _ZnwmSt11align_val_t(size: usize, align: usize) -> *mut c_void {
    or_end(_ZnwmSt11align_val_tRKSt9nothrow_t(size, align, core::ptr::null()))
}

/// `void *operator new[](std::size_t, std::align_val_t)`
#[unsafe(no_mangle)]
extern "C" fn _ZnamSt11align_val_t(size: usize, align: usize) -> *mut c_void {
    _ZnwmSt11align_val_t(size, align)
}

macro_rules! delete {
    ($($name:ident($($size:ident: $type:ty),*);)*) => {$(
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(block: *mut c_void $(, $size: $type)*) {
            // SAFETY: the caller's promise.
            unsafe { free(block) }
        }
    )*};
}

// `void operator delete(void *)`, `delete[]`, both with a size, with an alignment, with both.
delete! {
    _ZdlPv();
    _ZdaPv();
    _ZdlPvm(_size: usize);
    _ZdaPvm(_size: usize);
    _ZdlPvSt11align_val_t(_align: usize);
    _ZdaPvSt11align_val_t(_align: usize);
    _ZdlPvmSt11align_val_t(_size: usize, _align: usize);
    _ZdaPvmSt11align_val_t(_size: usize, _align: usize);
}

#[unsafe(no_mangle)]
extern "C" fn __cxa_deleted_virtual() -> ! {
    say(b"a function was called that is deleted\n");
    abort()
}

#[unsafe(no_mangle)]
extern "C" fn __cxa_pure_virtual() -> ! {
    say(b"a function was called that is pure virtual\n");
    abort()
}
