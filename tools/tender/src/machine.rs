//! The virtual machine: KVM's side of a guest.

use hvt_abi::device::{SET_STATUS, notify};
use kvm_bindings::{
    CpuId, KVM_MAX_CPUID_ENTRIES, kvm_dtable, kvm_regs, kvm_segment, kvm_sregs,
    kvm_userspace_memory_region, kvm_xcrs,
};
use kvm_ioctls::{Cap, IoEventAddress, Kvm, VcpuFd, VmFd};

use crate::devices::Slot;
use crate::error::Error;
use crate::guest::Start;
use crate::memory::GuestRam;
use crate::stub;

/// Protection, native x87 errors, alignment checks, write protection, paging.
const CR0: u64 = 0x8005_0033;
/// PAE, and SSE as compiled code expects it.
const CR4: u64 = 1 << 5 | 1 << 9 | 1 << 10;
/// Instructions for segment bases.
const CR4_FSGSBASE: u64 = 1 << 16;
/// XSAVE, and with it AVX.
const CR4_OSXSAVE: u64 = 1 << 18;
/// No SGDT and the like in user mode.
const CR4_UMIP: u64 = 1 << 11;
/// x87, SSE, AVX. Not AVX-512: the image would save 1.6 KiB more for each preemption.
const XCR0: u64 = 7;
/// Long mode, active; no-execute pages.
const EFER: u64 = 1 << 8 | 1 << 10 | 1 << 11;
/// Carry, parity … all clear; bit 1 is always 1. No interrupts, no I/O.
pub const RFLAGS: u64 = 1 << 1;
/// Where KVM may put what Intel CPUs without "unrestricted guest" need.
const TSS_ADDRESS: usize = 0xfffb_d000;

/// A virtual machine without CPUs.
#[derive(Debug)]
pub struct Machine {
    vm: VmFd,
    cpuid: CpuId,
    umip: bool,
    avx: bool,
}

fn kvm(what: &'static str) -> impl Fn(kvm_ioctls::Error) -> Error {
    move |error| Error::Kvm(what, error.into())
}

impl Machine {
    /// Makes it, with this memory.
    ///
    /// # Errors
    /// [`Error::NoKvm`], [`Error::Kvm`].
    pub fn new(kvm_fd: &Kvm, ram: &GuestRam) -> Result<Self, Error> {
        let vm = kvm_fd.create_vm().map_err(kvm("make a virtual machine"))?;
        for (slot, range) in (0..).zip(ram.ranges()) {
            let region = kvm_userspace_memory_region {
                slot,
                flags: 0,
                guest_phys_addr: range.physical,
                memory_size: range.len,
                userspace_addr: range.host,
            };
            // SAFETY: the range is mapped as long as the machine: both live until the process ends.
            let done = unsafe { vm.set_user_memory_region(region) };
            done.map_err(kvm("give the virtual machine its memory"))?;
        }
        // Only some CPUs of Intel need it, and other machines may not know it.
        let _ = vm.set_tss_address(TSS_ADDRESS);
        let cpuid = kvm_fd
            .get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)
            .map_err(kvm("tell what its virtual CPUs can do"))?;
        let has = |function, ecx| {
            let entries = cpuid.as_slice().iter();
            entries.filter(|e| e.function == function && e.index == 0).any(|e| e.ecx & ecx == ecx)
        };
        let (umip, avx) = (has(7, 1 << 2), has(1, 1 << 26 | 1 << 28));
        Ok(Self { vm, cpuid, umip, avx })
    }

    /// Makes KVM itself pass on what the guest writes to notify a device, whose registers start at a
    /// physical address. A KVM that cannot stops the CPU instead, and the tender passes it on.
    ///
    /// # Errors
    /// [`Error::Kvm`].
    pub fn ring(&self, registers: u64, slot: &Slot) -> Result<(), Error> {
        if !slot.bells().is_empty() && !self.vm.check_extension(Cap::Ioeventfd) {
            return Ok(());
        }
        for (queue, bell) in (0u32..).zip(slot.bells()) {
            let offset = (notify(queue as usize) - SET_STATUS) as u64;
            let at = IoEventAddress::Mmio(registers + offset);
            let done = self.vm.register_ioevent(bell, &at, queue);
            done.map_err(kvm("pass on notifications of devices"))?;
        }
        Ok(())
    }

    /// Adds a CPU in 64-bit user mode, with the top-level page table `root`.
    ///
    /// # Errors
    /// [`Error::Kvm`].
    pub fn cpu(&self, index: usize, root: u64) -> Result<VcpuFd, Error> {
        let cpu = self.vm.create_vcpu(index as u64).map_err(kvm("make a virtual CPU"))?;
        cpu.set_cpuid2(&self.cpuid).map_err(kvm("set the features of a virtual CPU"))?;
        let mut sregs = cpu.get_sregs().map_err(kvm("read the registers of a virtual CPU"))?;
        enter_user_mode(&mut sregs);
        let tables = stub::tables(index);
        sregs.fs = sregs.ds;
        sregs.gs = sregs.ds;
        sregs.tr = kvm_segment {
            base: tables.tss,
            limit: stub::TSS_LEN as u32 - 1,
            selector: stub::TASK,
            // 64-bit task state segment, busy.
            type_: 11,
            present: 1,
            ..kvm_segment::default()
        };
        sregs.ldt = kvm_segment { unusable: 1, ..kvm_segment::default() };
        let table = |base, len: u64| kvm_dtable { base, limit: len as u16 - 1, padding: [0; 3] };
        sregs.gdt = table(tables.gdt, stub::GDT_LEN);
        sregs.idt = table(tables.idt, stub::IDT_LEN);
        sregs.cr0 = CR0;
        sregs.cr3 = root;
        sregs.cr4 = CR4
            | CR4_FSGSBASE
            | if self.umip { CR4_UMIP } else { 0 }
            | if self.avx { CR4_OSXSAVE } else { 0 };
        sregs.efer = EFER;
        cpu.set_sregs(&sregs).map_err(kvm(
            "put a virtual CPU into user mode with instructions for segment bases (FSGSBASE)",
        ))?;
        if self.avx {
            let mut xcrs = kvm_xcrs { nr_xcrs: 1, ..kvm_xcrs::default() };
            xcrs.xcrs[0].value = XCR0;
            cpu.set_xcrs(&xcrs).map_err(kvm("let a virtual CPU use AVX"))?;
        }
        Ok(cpu)
    }
}

/// Flat segments of 64-bit user mode.
pub fn enter_user_mode(sregs: &mut kvm_sregs) {
    let data = kvm_segment {
        base: 0,
        limit: u32::MAX,
        selector: stub::USER_DATA,
        // Read and write, accessed.
        type_: 3,
        present: 1,
        dpl: 3,
        db: 1,
        s: 1,
        g: 1,
        ..kvm_segment::default()
    };
    // Execute and read, accessed.
    sregs.cs = kvm_segment { selector: stub::USER_CODE, type_: 11, l: 1, db: 0, ..data };
    sregs.ss = data;
    sregs.ds = data;
    sregs.es = data;
}

/// The registers that a CPU starts with.
pub fn registers(start: Start) -> kvm_regs {
    kvm_regs {
        rip: start.rip,
        rsp: start.rsp,
        rdi: start.argument,
        rflags: RFLAGS,
        ..kvm_regs::default()
    }
}
