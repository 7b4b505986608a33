//! Allocation that fails with `ENOMEM` instead of ending the image.
//!
//! ```
//! let page = ukfile::fallible::zeroed(4096)?;
//! assert_eq!((page.len(), page[7]), (4096, 0));
//! assert!(ukfile::fallible::zeroed(usize::MAX / 2).is_err());
//! # Ok::<(), ukerrno::Errno>(())
//! ```

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hint::black_box;

use ukerrno::Errno;

/// A shared value.
///
/// `Arc` has no fallible constructor in stable Rust: it is tried first whether a block of that size
/// can be had, which then is free again. Another thread may take it in between; what is certain
/// is that memory that runs out slowly is told as an error.
///
/// # Errors
/// `ENOMEM`
pub fn arc<T>(value: T) -> Result<Arc<T>, Errno> {
    reserve(size_of::<T>())?;
    Ok(Arc::new(value))
}

/// A value in a block of its own, made as [`arc`] makes it.
///
/// # Errors
/// `ENOMEM`
pub fn boxed<T>(value: T) -> Result<Box<T>, Errno> {
    reserve(size_of::<T>())?;
    Ok(Box::new(value))
}

/// Looks whether there is memory for a shared value of this size.
///
/// # Errors
/// `ENOMEM`
pub fn reserve(bytes: usize) -> Result<(), Errno> {
    let mut block: Vec<u64> = Vec::new();
    // Two counters come before the value.
    block.try_reserve_exact(bytes.div_ceil(8) + 2).map_err(|_| Errno::ENOMEM)?;
    // Allocations that nobody looks at are optimised away.
    black_box(block.as_ptr());
    Ok(())
}

/// A block of zeros.
///
/// # Errors
/// `ENOMEM`
pub fn zeroed(bytes: usize) -> Result<Box<[u8]>, Errno> {
    let mut block = Vec::new();
    block.try_reserve_exact(bytes).map_err(|_| Errno::ENOMEM)?;
    block.resize(bytes, 0);
    Ok(block.into_boxed_slice())
}

/// A copy of `bytes`.
///
/// # Errors
/// `ENOMEM`
pub fn copy(bytes: &[u8]) -> Result<Box<[u8]>, Errno> {
    let mut block = Vec::new();
    block.try_reserve_exact(bytes.len()).map_err(|_| Errno::ENOMEM)?;
    block.extend_from_slice(bytes);
    Ok(block.into_boxed_slice())
}

/// A shared copy of `bytes`, made as [`arc`] makes it.
///
/// # Errors
/// `ENOMEM`
pub fn shared(bytes: &[u8]) -> Result<Arc<[u8]>, Errno> {
    reserve(bytes.len())?;
    Ok(Arc::from(bytes))
}

/// Appends to a list.
///
/// # Errors
/// `ENOMEM`; the list is as it was.
pub fn push<T>(list: &mut Vec<T>, value: T) -> Result<(), Errno> {
    list.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    list.push(value);
    Ok(())
}

/// Calls `f` with a list of `length` values: on the stack when there are at most `FEW`.
///
/// # Errors
/// `ENOMEM`; those of `f`
pub fn with_list<T, const FEW: usize, R>(
    length: usize,
    mut value: impl FnMut() -> T,
    f: impl FnOnce(&mut [T]) -> Result<R, Errno>,
) -> Result<R, Errno> {
    if length <= FEW {
        let mut few: [T; FEW] = core::array::from_fn(|_| value());
        return f(&mut few[..length]);
    }
    let mut many = Vec::new();
    many.try_reserve_exact(length).map_err(|_| Errno::ENOMEM)?;
    many.resize_with(length, value);
    f(&mut many)
}
