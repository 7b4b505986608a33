//! Threads and locks on two CPUs.

use core::hint::black_box;

use uklock::{Barrier, Mutex, Semaphore};
use uksched::Builder;

use crate::{Failed, time};

pub fn measure(rounds: u64) -> Result<(), Failed> {
    semaphores(rounds / 5)?;
    contended(rounds)
}

/// A semaphore there, a semaphore back, between two CPUs.
fn semaphores(rounds: u64) -> Result<(), Failed> {
    static THERE: Semaphore = Semaphore::new(0);
    static BACK: Semaphore = Semaphore::new(0);
    let other = Builder::new("other").on_cpu(1).spawn(move || {
        for _ in 0..rounds {
            THERE.acquire();
            BACK.release();
        }
    })?;
    let main = Builder::new("main").on_cpu(0).spawn(move || {
        time("semaphore-between-cpus", rounds, || {
            for _ in 0..rounds {
                THERE.release();
                BACK.acquire();
            }
        });
    })?;
    main.join()?;
    other.join()?;
    Ok(())
}

/// Two CPUs want the same mutex all the time.
fn contended(rounds: u64) -> Result<(), Failed> {
    static COUNT: Mutex<u64> = Mutex::new(0);
    static START: Barrier = Barrier::new(2);
    static END: Barrier = Barrier::new(2);
    let work = move || {
        for _ in 0..rounds {
            *black_box(&COUNT).lock() += 1;
        }
    };
    let other = Builder::new("other").on_cpu(1).spawn(move || {
        START.wait();
        work();
        END.wait();
    })?;
    let main = Builder::new("main").on_cpu(0).spawn(move || {
        START.wait();
        time("mutex-contended", rounds * 2, || {
            work();
            END.wait();
        });
    })?;
    main.join()?;
    other.join()?;
    Ok(())
}
