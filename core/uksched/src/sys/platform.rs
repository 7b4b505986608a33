//! The platform of the image.

pub use core::sync::atomic;

#[cfg(feature = "smp")]
pub use ukalloc::SpinLock;
pub use ukplat::{
    Context, context, cpu_id, idle_until, irq, monotonic_ns, preempt, set_thread_pointer,
    timer_arm, timer_on_expiry,
};
#[cfg(feature = "smp")]
pub use ukplat::{cpu_count, cpu_interrupt, cpu_start, cpu_started, on_cpu_interrupt};
