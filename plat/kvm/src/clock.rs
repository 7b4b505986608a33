//! Clocks: the time-stamp counter with the frequency that the hypervisor tells; wall-clock time
//! from kvmclock or the CMOS clock; the local APIC's timer.
//!
//! Where no frequency is told (QEMU's TCG), the counter is compared with the local APIC's timer,
//! which hypervisors run at 1 GHz, over the time that passes anyway: booting never waits for it.

use core::cell::UnsafeCell;
use core::sync::atomic::Ordering::Relaxed;
use core::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64};

use ukarch_x86_64::lapic::{LocalApic, TIMER_DIVIDER};
use ukarch_x86_64::regs::{cpuid, inb, outb, rdtsc, wrmsr};
use ukarch_x86_64::trap::SPURIOUS;
use ukplat::clock::TickScale;
use ukplat::{BootInfo, InitError, StaticRef};

use crate::traps::TIMER_VECTOR;

/// Frequency of the local APIC's clock in hypervisors that do not say (KVM and QEMU: one cycle is
/// one nanosecond).
const APIC_KHZ: u64 = 1_000_000;
/// The comparison ends when it covers this many nanoseconds: an error of some microseconds in
/// reading the two is then below a ten-thousandth.
const ENOUGH_NS: u64 = 50_000_000;
/// It is of use from here on, with an error below a hundredth.
const USEFUL_NS: u64 = 1_000_000;
/// No counter runs that far in that time: the timer stands still.
const HOPELESS_TICKS: u64 = 1 << 30;

static APIC: Once<LocalApic> = Once(UnsafeCell::new(None));
static READY: AtomicBool = AtomicBool::new(false);
/// The scale, once known: multiplier (0 before) and shift.
static MULT: AtomicU64 = AtomicU64::new(0);
static SHIFT: AtomicU32 = AtomicU32::new(0);
/// Counts of the local APIC's timer in a millisecond.
static TIMER_KHZ: AtomicU64 = AtomicU64::new(APIC_KHZ / TIMER_DIVIDER);
/// Counter at the image's first instruction, where the monotonic clock starts: what the scale is
/// wrong by then counts for the life of the image, not for that of the machine.
static START: AtomicU64 = AtomicU64::new(0);
/// Counter at the start of the comparison.
static COMPARE_START: AtomicU64 = AtomicU64::new(0);
/// Wall clock minus monotonic clock in nanoseconds, once read; 0 before.
static WALL_OFFSET: AtomicI64 = AtomicI64::new(0);
static KVM_CLOCK: StaticRef<KvmClock> = StaticRef::new();

struct Once<T>(UnsafeCell<Option<T>>);
// SAFETY: written once, by `init_clock` on the only CPU, before `READY` is set.
unsafe impl<T> Sync for Once<T> {}

pub fn apic() -> Option<&'static LocalApic> {
    if !READY.load(Relaxed) {
        return None;
    }
    // SAFETY: not written again once `READY` is set.
    unsafe { (*APIC.0.get()).as_ref() }
}

/// Boot phase `clock`: finds the counter's frequency and enables the local APIC, and what interrupts
/// by it.
///
/// # Errors
/// None.
pub fn init_clock(boot: &'static BootInfo) -> Result<(), InitError> {
    START.store(boot.entry_ticks, Relaxed);
    // SAFETY: kernel mode; the tables have both vectors and the page of the APIC is mapped
    // (`start`). This is the only write, before `READY`.
    let apic = unsafe {
        let slot = &mut *APIC.0.get();
        slot.insert(LocalApic::enable(TIMER_VECTOR, SPURIOUS))
    };
    let hypervisor = Hypervisor::find();
    if let Some(khz) = hypervisor.apic_khz {
        TIMER_KHZ.store((khz / TIMER_DIVIDER).max(1), Relaxed);
    }
    if hypervisor.has_kvm_clock {
        KvmClock::enable();
    }
    let told = match crate::TSC_KHZ.get() {
        0 => None,
        khz => TickScale::from_hz(khz as u64 * 1000),
    };
    let told = told
        .or_else(|| hypervisor.tsc_khz.and_then(|khz| TickScale::from_hz(khz * 1000)))
        .or_else(crystal_scale)
        .or_else(|| KVM_CLOCK.get().and_then(KvmClock::scale));
    match told {
        Some(scale) => set_scale(scale),
        None => {
            apic.count_silently();
            COMPARE_START.store(rdtsc(), Relaxed);
        }
    }
    READY.store(true, Relaxed);
    crate::button::listen();
    Ok(())
}

/// What the hypervisor's CPUID leaves tell.
#[derive(Default)]
struct Hypervisor {
    tsc_khz: Option<u64>,
    apic_khz: Option<u64>,
    has_kvm_clock: bool,
}

impl Hypervisor {
    fn find() -> Self {
        const BASE: u32 = 0x4000_0000;
        if cpuid(1).ecx & 1 << 31 == 0 {
            return Self::default();
        }
        let base = cpuid(BASE);
        let is_kvm = [base.ebx, base.ecx, base.edx].map(u32::to_le_bytes).as_flattened()
            == b"KVMKVMKVM\0\0\0";
        // KVM answers 0 as highest leaf when it means the first feature leaf.
        let highest = base.eax.max(if is_kvm { BASE + 1 } else { 0 });
        let khz = |value: u32| (value != 0).then_some(u64::from(value));
        let timing = (BASE + 0x10..BASE + 0x100).contains(&highest).then(|| cpuid(BASE + 0x10));
        Self {
            tsc_khz: timing.and_then(|t| khz(t.eax)),
            apic_khz: timing.and_then(|t| khz(t.ebx)),
            // KVM_FEATURE_CLOCKSOURCE2
            has_kvm_clock: is_kvm && cpuid(BASE + 1).eax & 1 << 3 != 0,
        }
    }
}

/// CPUID leaf 0x15: the counter in relation to a crystal clock of known frequency.
fn crystal_scale() -> Option<TickScale> {
    if cpuid(0).eax < 0x15 {
        return None;
    }
    let leaf = cpuid(0x15);
    let (denominator, numerator, crystal_hz) = (leaf.eax, leaf.ebx, leaf.ecx);
    if denominator == 0 || crystal_hz == 0 {
        return None;
    }
    TickScale::from_hz(u64::from(crystal_hz) * u64::from(numerator) / u64::from(denominator))
}

fn set_scale(scale: TickScale) {
    let (mult, shift) = scale.parts();
    SHIFT.store(shift, Relaxed);
    MULT.store(mult, Relaxed);
}

/// How ticks relate to nanoseconds, as well as it is known by now.
pub fn scale() -> TickScale {
    match MULT.load(Relaxed) {
        0 => compare(false).unwrap_or(TickScale::NANOSECONDS),
        mult => TickScale::from_parts(mult, SHIFT.load(Relaxed)),
    }
}

/// Compares the counter with the silent count of the APIC's timer. The result is kept when enough
/// time has passed, or when `finish` says that the timer is needed for something else.
fn compare(finish: bool) -> Option<TickScale> {
    let apic = apic()?;
    let passed = || {
        let counts = u64::from(u32::MAX - apic.count());
        let ticks = rdtsc().wrapping_sub(COMPARE_START.load(Relaxed));
        (counts * 1_000_000 / TIMER_KHZ.load(Relaxed), ticks)
    };
    let (mut ns, mut ticks) = passed();
    let ran_out = apic.count() == 0;
    if ran_out {
        // Nobody looked at a clock for a minute: compare again, for a moment.
        apic.count_silently();
        COMPARE_START.store(rdtsc(), Relaxed);
        (ns, ticks) = (0, 0);
    }
    if ran_out || finish {
        while ns < USEFUL_NS && ticks < HOPELESS_TICKS {
            (ns, ticks) = passed();
        }
    }
    let scale = TickScale::from_ratio(ns, ticks)?;
    if finish || ns >= ENOUGH_NS {
        set_scale(scale);
    }
    Some(scale)
}

/// Keeps the clock from going back while the scale is being refined.
static LATEST: AtomicU64 = AtomicU64::new(0);

pub fn monotonic_ns() -> u64 {
    let passed = || rdtsc().wrapping_sub(START.load(Relaxed));
    if MULT.load(Relaxed) != 0 {
        let ns = scale().to_ns(passed());
        // Settled: from here on the counter alone decides, unless an estimate ran ahead of it.
        let latest = LATEST.load(Relaxed);
        return if ns >= latest { ns } else { latest };
    }
    let ns = scale().to_ns(passed());
    LATEST.fetch_max(ns, Relaxed).max(ns)
}

pub fn wall_ns() -> u64 {
    let mut offset = WALL_OFFSET.load(Relaxed);
    if offset == 0 {
        let now = monotonic_ns() as i64;
        let wall = KVM_CLOCK.get().and_then(KvmClock::wall_ns).or_else(cmos_unix_ns);
        offset = wall.map_or(1, |wall| wall as i64 - now);
        WALL_OFFSET.store(offset, Relaxed);
    }
    (monotonic_ns() as i64).saturating_add(offset).max(0) as u64
}

/// Sets the timer to fire at a monotonic time, or not at all. Called with interrupts disabled.
pub fn fire_at(deadline_ns: Option<u64>) {
    let Some(apic) = apic() else { return };
    if MULT.load(Relaxed) == 0 {
        // The timer is about to be used: the comparison ends here.
        let _ = compare(true);
    }
    let Some(deadline) = deadline_ns else { return apic.disarm() };
    if apic.has_deadline_mode() {
        let ticks = scale().to_ticks(deadline);
        return apic.arm_deadline(START.load(Relaxed).saturating_add(ticks));
    }
    let ns = deadline.saturating_sub(monotonic_ns());
    let counts = (u128::from(ns) * u128::from(TIMER_KHZ.load(Relaxed))).div_ceil(1_000_000);
    // A count too short for the whole time fires early, and is set again then.
    apic.arm_count(u32::try_from(counts).unwrap_or(u32::MAX));
}

/// Enables the local APIC of a further CPU.
#[cfg(feature = "smp")]
pub fn enable_apic() {
    // SAFETY: as in `init_clock`. All CPUs have theirs at the same address.
    unsafe { LocalApic::enable(TIMER_VECTOR, SPURIOUS) };
}

/// Ends the comparison, because only the CPU that began it can read the timer that it needs.
#[cfg(feature = "smp")]
pub fn settle() {
    if MULT.load(Relaxed) == 0 && compare(true).is_none() {
        set_scale(TickScale::NANOSECONDS);
    }
}

pub fn end_of_interrupt() {
    if let Some(apic) = apic() {
        apic.end_of_interrupt();
    }
}

/// Memory shared with KVM (Documentation/virt/kvm/x86/msr.rst: `pvclock_vcpu_time_info` and
/// `pvclock_wall_clock`).
#[repr(C, align(64))]
struct KvmClock {
    version: AtomicU32,
    _pad: AtomicU32,
    tsc: AtomicU64,
    system_ns: AtomicU64,
    mult: AtomicU32,
    shift_flags: AtomicU32,
    wall_version: AtomicU32,
    wall_seconds: AtomicU32,
    wall_nanoseconds: AtomicU32,
}

const MSR_KVM_WALL_CLOCK: u32 = 0x4b56_4d00;
const MSR_KVM_SYSTEM_TIME: u32 = 0x4b56_4d01;

impl KvmClock {
    fn enable() {
        static SHARED: KvmClock = KvmClock {
            version: AtomicU32::new(0),
            _pad: AtomicU32::new(0),
            tsc: AtomicU64::new(0),
            system_ns: AtomicU64::new(0),
            mult: AtomicU32::new(0),
            shift_flags: AtomicU32::new(0),
            wall_version: AtomicU32::new(0),
            wall_seconds: AtomicU32::new(0),
            wall_nanoseconds: AtomicU32::new(0),
        };
        // SAFETY: KVM announced the registers; it writes the two structures, whose fields are
        // atomics in a static that is mapped at its physical address. Bit 0 enables.
        unsafe {
            wrmsr(MSR_KVM_SYSTEM_TIME, &raw const SHARED as u64 | 1);
            wrmsr(MSR_KVM_WALL_CLOCK, &raw const SHARED.wall_version as u64);
        }
        KVM_CLOCK.set(&SHARED);
    }

    /// `ns = (ticks << shift) * mult / 2^32`, for negative shifts to the right.
    fn scale(&self) -> Option<TickScale> {
        let mult = u64::from(self.mult.load(Relaxed));
        let shift = i32::from(self.shift_flags.load(Relaxed) as u8 as i8);
        let total = u32::try_from(32 - shift).ok().filter(|s| *s < 64)?;
        (mult != 0).then(|| TickScale::from_parts(mult, total))
    }

    /// Wall-clock time now.
    fn wall_ns(&self) -> Option<u64> {
        let seconds = u64::from(self.wall_seconds.load(Relaxed));
        let boot = seconds * 1_000_000_000 + u64::from(self.wall_nanoseconds.load(Relaxed));
        let since = rdtsc().wrapping_sub(self.tsc.load(Relaxed));
        let up = self.system_ns.load(Relaxed) + self.scale()?.to_ns(since);
        (seconds != 0).then_some(boot + up)
    }
}

/// Reads the battery-backed clock of a PC (Motorola MC146818), whole seconds, taken as UTC.
fn cmos_unix_ns() -> Option<u64> {
    let register = |index: u8| {
        // SAFETY: reading the clock's registers has no effect on memory.
        unsafe {
            outb(0x70, index);
            inb(0x71)
        }
    };
    let updating = || register(0x0a) & 0x80 != 0;
    let read = || [0u8, 2, 4, 7, 8, 9].map(register);
    if read() == [0xff; 6] {
        return None; // no such device
    }
    // A reading is good when no update was going on and it is the same twice.
    let mut last = read();
    for _ in 0..1000 {
        if updating() {
            continue;
        }
        let now = read();
        if now == last {
            break;
        }
        last = now;
    }
    let format = register(0x0b);
    let decode = |value: u8| if format & 4 != 0 { value } else { (value >> 4) * 10 + (value & 15) };
    let [second, minute, hour, day, month, year] = last;
    let hour = match (format & 2 != 0, hour & 0x80 != 0) {
        (true, _) => decode(hour),
        (false, afternoon) => decode(hour & 0x7f) % 12 + if afternoon { 12 } else { 0 },
    };
    let date = ukplat::clock::unix_seconds(
        2000 + u64::from(decode(year)),
        u64::from(decode(month)),
        u64::from(decode(day)),
    );
    let in_day =
        u64::from(hour) * 3600 + u64::from(decode(minute)) * 60 + u64::from(decode(second));
    Some((date + in_day) * 1_000_000_000)
}
