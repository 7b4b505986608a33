//! The primitives where something can wait: several threads, several CPUs, or both.

mod barrier;
mod condvar;
mod inherit;
mod list;
mod mutex;
mod once;
mod recursive;
mod rwlock;
mod semaphore;
mod wait_queue;

pub use barrier::RawBarrier;
pub use condvar::RawCondvar;
pub use mutex::RawMutex;
pub use once::Once;
pub use recursive::RawReentrantMutex;
pub use rwlock::RawRwLock;
pub use semaphore::RawSemaphore;
pub use wait_queue::WaitQueue;

/// What keeps the guards of a `Mutex` apart.
pub(crate) use mutex::RawMutex as DataMutex;
/// What keeps the guards of a `ReentrantMutex` apart.
pub(crate) use recursive::RawReentrantMutex as DataReentrantMutex;
/// What keeps the guards of a `RwLock` apart.
pub(crate) use rwlock::RawRwLock as DataRwLock;
