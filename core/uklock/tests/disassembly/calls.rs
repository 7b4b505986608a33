//! Every kind of operation, uncontended, as the compiler leaves it.
#![no_std]

use uklock::*;

macro_rules! calls {
    ($($name:ident($lock:ident: $type:ty) $(-> $number:literal)? $body:block)*) => {
        $(
            #[unsafe(no_mangle)]
            pub fn $name($lock: &$type) -> calls!(@type $($number)?) {
                $body
                $($number)?
            }
        )*
    };
    (@type) => { () };
    (@type $number:literal) => { u32 };
}

// Functions that would be equal return numbers, or else the compiler would make them one.
// SAFETY, for all: what is released was taken just before.
calls! {
    raw_mutex_lock_unlock(lock: RawMutex) {
        lock.lock();
        unsafe { lock.unlock() };
    }
    raw_mutex_try_lock_unlock(lock: RawMutex) -> 1 {
        if lock.try_lock() {
            unsafe { lock.unlock() };
        }
    }
    raw_recursive_lock_unlock(lock: RawReentrantMutex) -> 2 {
        lock.lock();
        unsafe { lock.unlock() };
    }
    raw_rwlock_read_unlock(lock: RawRwLock) -> 3 {
        lock.read();
        unsafe { lock.unlock_read() };
    }
    raw_rwlock_write_unlock(lock: RawRwLock) -> 4 {
        lock.write();
        unsafe { lock.unlock_write() };
    }
    raw_condvar_notify(condvar: RawCondvar) -> 5 {
        condvar.notify_one();
        condvar.notify_all();
    }
    raw_spin_lock_unlock(lock: RawSpinLock) -> 6 {
        drop(lock.lock());
    }
    wait_queue_wake(queue: WaitQueue) -> 7 {
        queue.wake_one();
        queue.wake_all();
    }
    raw_rcu_read_synchronize(_nothing: ()) -> 8 {
        drop(rcu::read());
        unsafe { rcu::quiescent(0) };
        rcu::synchronize();
    }
    mutex_add(lock: Mutex<u64>) {
        *lock.lock() += 1;
    }
    rwlock_add(lock: RwLock<u64>) {
        *lock.write() += *lock.read();
    }
    spin_add(lock: SpinLock<u64>) {
        *lock.lock() += 1;
    }
    irq_spin_add(lock: IrqSpinLock<u64>) {
        *lock.lock() += 1;
    }
    semaphore_acquire_release(semaphore: Semaphore) {
        semaphore.acquire();
        semaphore.release();
    }
    barrier_wait(barrier: Barrier) {
        barrier.wait();
    }
    once_call(cell: OnceLock<u64>) {
        cell.get_or_init(|| 7);
    }
    seqlock_copy(lock: SeqLock<[u64; 2]>) {
        let value = lock.read();
        lock.write(value);
    }
}
