//! The schedulers of an image, each with CPUs of its own.

use crate::bind;

/// A scheduler of the image and the CPUs that it has. Most images have one for all CPUs; several
/// keep, for example, a data plane undisturbed by what else the image does.
///
/// Threads never leave the CPUs of their instance. Everything else works between instances:
/// waking, joining, locks.
///
/// ```
/// use uksched::Instance;
/// let data_plane = Instance::run_to_completion("none", 0b1100);
/// assert!(data_plane.has_cpu(2) && !data_plane.has_cpu(0));
/// assert!(!data_plane.is_preemptive());
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct Instance {
    name: &'static str,
    cpus: u64,
    preemptive: bool,
    runs_to_completion: bool,
}

impl Instance {
    /// The instance of a scheduler on CPUs: bit `i` stands for CPU `i`. In the generated root
    /// crate only.
    pub const fn new(name: &'static str, cpus: u64, preemptive: bool) -> Self {
        Self { name, cpus, preemptive, runs_to_completion: false }
    }

    /// An instance of [`RunToCompletion`](crate::RunToCompletion). In the generated root crate
    /// only.
    pub const fn run_to_completion(name: &'static str, cpus: u64) -> Self {
        Self { name, cpus, preemptive: false, runs_to_completion: true }
    }

    /// Name of the scheduler, as in the manifest.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Its CPUs: bit `i` stands for CPU `i`. The machine may have fewer.
    pub const fn cpus(&self) -> u64 {
        self.cpus
    }

    /// Whether a CPU is its own.
    pub const fn has_cpu(&self, cpu: usize) -> bool {
        cpu < u64::BITS as usize && self.cpus >> cpu & 1 != 0
    }

    /// Whether the timer takes its CPUs away from threads that neither wait nor yield.
    pub const fn is_preemptive(&self) -> bool {
        self.preemptive
    }

    /// Whether its threads run one after the other, each to its end.
    pub const fn runs_to_completion(&self) -> bool {
        self.runs_to_completion
    }
}

/// All schedulers of the image; the first has CPU 0.
pub fn instances() -> &'static [Instance] {
    bind::bound().instances
}

/// The scheduler that a CPU belongs to; `None` for CPUs that the image does not use.
///
/// ```no_run
/// let here = uksched::instance_of(ukplat::cpu_id()).map(uksched::Instance::name);
/// ```
pub fn instance_of(cpu: usize) -> Option<&'static Instance> {
    instances().iter().find(|instance| instance.has_cpu(cpu))
}
