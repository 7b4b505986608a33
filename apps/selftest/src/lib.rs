//! Tests the libraries of its image from the inside: heap, clock, timer interrupts, parameters.
//!
//! Without arguments it runs all checks and ends with the number of failures. With arguments it
//! does one thing: see [`main`].
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod clock;
mod heap;
mod interrupts;
mod scheduling;

use ukplat::println;
use uktest::Check;

const CHECKS: [&[Check]; 4] =
    [&heap::CHECKS, &clock::CHECKS, &interrupts::CHECKS, &scheduling::CHECKS];

/// `selftest` runs all checks; `selftest echo WORD …`, `exit CODE`, `panic`, `crash WAY`,
/// `memory`, `initrd`, `heaps`, `log`, `sleep MS`, `exhaust`, `touch`, `calls` do
/// what they say;
/// `interrupt panic` and `interrupt crash` do it in an interrupt handler; `report panic` and
/// `report crash` while a panic is being reported.
pub fn main(args: &[&str]) -> u8 {
    match args {
        [] => uktest::run(&CHECKS),
        ["echo", words @ ..] => {
            for word in words {
                println!("[{}]", word);
            }
            0
        }
        ["exit", code] => code.parse().unwrap_or(255),
        ["panic"] => outer(args),
        ["crash", "thread-stack-overflow"] => {
            ukplatcheck::overflow_thread_stack();
            1
        }
        ["crash", way] => {
            if ukcrash::cause(way) {
                println!("the machine did not mind {}", way);
            } else {
                println!("no such way to crash: {}", way);
            }
            1
        }
        ["interrupt", what] => {
            interrupts::in_interrupt(if *what == "panic" { panics } else { crashes });
            1
        }
        ["report", what] => {
            let during: fn() = if *what == "panic" { panics } else { crashes };
            panic!("{}", Unprintable(during));
        }
        ["memory"] => print_memory(),
        ["initrd"] => print_initrd(),
        ["heaps"] => heap::print_report(),
        ["exhaust"] => heap::exhaust(),
        ["log"] => {
            log::error!("an error");
            log::info!("an information");
            log::trace!("a trace");
            0
        }
        ["sleep", ms] => {
            let ms = ms.parse().unwrap_or(0);
            uktime::sleep(core::time::Duration::from_millis(ms));
            0
        }
        ["touch"] => heap::touch(),
        ["calls"] => clock::calls(),
        _ => {
            println!("unknown arguments");
            2
        }
    }
}

#[inline(never)]
fn outer(args: &[&str]) -> u8 {
    core::hint::black_box(inner(args)).wrapping_add(core::hint::black_box(1))
}

/// Panics with a call chain that tests can recognise.
#[inline(never)]
fn inner(args: &[&str]) -> u8 {
    let index = core::hint::black_box(args.len() + 4);
    assert!(index < 3, "selftest panics on purpose, index {index}");
    0
}

fn panics() {
    panic!("selftest panics in a bad place");
}

fn crashes() {
    ukcrash::cause("null-read");
}

/// Does something bad when it is printed.
struct Unprintable(fn());

impl core::fmt::Display for Unprintable {
    fn fmt(&self, _f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        (self.0)();
        Ok(())
    }
}

fn print_memory() -> u8 {
    let Some(boot) = ukplat::BootInfo::get() else { return 1 };
    for region in boot.memory {
        println!("{:#014x} {:>12} {}", region.base, region.len, region.kind.name());
    }
    println!("free {}", boot.free_memory());
    0
}

fn print_initrd() -> u8 {
    let Some(initrd) = ukplat::BootInfo::get().and_then(|boot| boot.initrd) else {
        println!("no initial ram disk");
        return 1;
    };
    let sum = initrd.iter().fold(0u32, |sum, b| sum.wrapping_mul(31).wrapping_add((*b).into()));
    println!("initrd {} bytes, sum {:#010x}", initrd.len(), sum);
    0
}
