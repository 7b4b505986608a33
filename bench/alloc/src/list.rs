//! Who is measured. A new allocator is one line here.

use ukalloc::{Heap, NoLock, SpinLock, ThreadShards};
use ukallocmi::Mi;

use crate::peers;
use crate::subject::{Bare, Locked, Memory, Ours, Subject};
use crate::workload::Workload;

/// One allocator of the list.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Name on the command line and in tables.
    pub name: &'static str,
    /// Whether it is this project's.
    pub ours: bool,
    /// The best implementation of the same design in the list.
    pub peer: Option<&'static str>,
    /// What it can be asked.
    pub serves: Serves,
}

/// What an allocator can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serves {
    /// Everything.
    Everybody,
    /// Of freed blocks only the last one comes back.
    LastOnly,
    /// Blocks of one size, which it is told when it is made.
    OneSize,
    /// One CPU.
    OneCpu,
    /// Everything, by calls of the system.
    Slowly,
}

impl Spec {
    /// Whether it takes part in a workload.
    pub const fn takes_part(&self, work: &Workload) -> bool {
        match self.serves {
            Serves::Everybody => true,
            Serves::LastOnly => work.stack_like(),
            Serves::OneSize => work.size().is_some(),
            Serves::OneCpu => work.threads() == 1,
            Serves::Slowly => true,
        }
    }

    /// Why it does not take part in all workloads.
    pub const fn limit(&self) -> Option<&'static str> {
        match self.serves {
            Serves::Everybody => None,
            Serves::LastOnly => Some("gives back only the last block"),
            Serves::OneSize => Some("has blocks of one size"),
            Serves::OneCpu => Some("is for one CPU"),
            Serves::Slowly => Some(
                "leaves its work to the system: neither instructions nor memory say what it costs",
            ),
        }
    }
}

/// Something done with an allocator of the list, by its types.
pub trait Visitor {
    /// What comes out.
    type Out;
    /// `One` is for one thread, `Many` for several.
    fn visit<One: Subject, Many: Subject>(self, spec: &'static Spec) -> Self::Out;
}

struct MemoryOf;

impl Visitor for MemoryOf {
    type Out = Memory;
    fn visit<One: Subject, Many: Subject>(self, _: &'static Spec) -> Memory {
        One::MEMORY
    }
}

/// Where an allocator has its memory from.
pub fn memory(spec: &Spec) -> Option<Memory> {
    visit(spec.name, MemoryOf)
}

macro_rules! subjects {
    (@one back_end $type:ty) => { Ours<Heap<$type, NoLock>> };
    (@many back_end $type:ty) => { Ours<Heap<$type, SpinLock>> };
    (@one mi $type:ty) => { Ours<Mi<NoLock>> };
    (@many mi $type:ty) => { Ours<Mi<ThreadShards<8>>> };
    (@one locked $type:ty) => { Locked<$type, Bare> };
    (@many locked $type:ty) => { Locked<$type, SpinLock> };
    (@one process $type:ty) => { $type };
    (@many process $type:ty) => { $type };
    (@ours back_end) => { true };
    (@ours mi) => { true };
    (@ours $other:ident) => { false };
    (@peer) => { None };
    (@peer $peer:literal) => { Some($peer) };
    (@serves) => { Serves::Everybody };
    (@serves $serves:ident) => { Serves::$serves };
    ($($name:literal: $kind:ident $type:ty $([$serves:ident])? $(, vs $peer:literal)?;)*) => {
        /// All of them, in the order of the tables.
        pub const ALL: &[Spec] = &[$(Spec {
            name: $name,
            ours: subjects!(@ours $kind),
            peer: subjects!(@peer $($peer)?),
            serves: subjects!(@serves $($serves)?),
        }),*];

        /// Does something with the allocator of that name.
        pub fn visit<V: Visitor>(name: &str, visitor: V) -> Option<V::Out> {
            let spec = ALL.iter().find(|spec| spec.name == name)?;
            match name {
                $($name => Some(visitor.visit::<
                    subjects!(@one $kind $type),
                    subjects!(@many $kind $type),
                >(spec)),)*
                _ => None,
            }
        }
    };
}

// name: how it is called, type, [what it serves], the peer of the same design.
// `back_end`: a `ukalloc::Backend`, in a `Heap`; `mi`: ukallocmi, with a shard for each thread where
// there are several (its type is not looked at); `locked`: somebody else's for one caller; `process`: takes memory from the system.
subjects! {
    "ukalloctlsf": back_end ukalloctlsf::Tlsf, vs "rlsf";
    "ukallocmi": mi u8, vs "mimalloc";
    "ukallocbuddy": back_end ukallocbuddy::Buddy, vs "buddy_system_allocator";
    "ukalloctiny": back_end ukalloctiny::Tiny;
    "ukallocregion": back_end ukallocregion::Region [LastOnly];
    "ukallocpool": back_end ukallocpool::FixedPool [OneSize];
    "ukallocgc": back_end ukallocgc::Gc [OneCpu];
    "ukallocoscar": back_end ukallocoscar::Oscar [Slowly];
    "mimalloc": process peers::Mimalloc;
    "rlsf": locked peers::Rlsf;
    "talc": locked peers::TalcPeer;
    "buddy_system_allocator": locked peers::Buddy;
    "glibc": process peers::Glibc;
}
