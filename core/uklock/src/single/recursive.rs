//! The recursive mutex without competitors.

/// A mutex without data that its holder may take again. Here there is one flow of control: it is
/// always free or the caller's, occupies no memory, and its functions compile to nothing.
#[derive(Default)]
pub struct RawReentrantMutex(());

impl RawReentrantMutex {
    /// A free mutex.
    pub const fn new() -> Self {
        Self(())
    }

    /// Nothing.
    #[inline(always)]
    pub fn lock(&self) {}

    /// Nothing; true.
    #[inline(always)]
    pub fn try_lock(&self) -> bool {
        true
    }

    /// Nothing; true.
    #[inline(always)]
    pub fn lock_until(&self, _deadline_ns: u64) -> bool {
        true
    }

    /// Nothing.
    ///
    /// # Safety
    /// The calling thread holds it.
    #[inline(always)]
    pub unsafe fn unlock(&self) {}
}
