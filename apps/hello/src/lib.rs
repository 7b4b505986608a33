//! Greets and names platform, architecture and the micro-libraries of its image.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

use ukplat::{print, println};

/// The application; `hello NAME` greets somebody else than the world.
pub fn main(args: &[&str]) -> u8 {
    let whom = args.first().unwrap_or(&"world");
    println!("Hello, {}!", whom);
    println!("This is Oxikraft on {} ({}).", ukplat::name(), ukplat::arch());
    if let Some(image) = ukboot::image() {
        print!("{} micro-libraries:", image.libraries.len());
        for library in image.libraries {
            print!(" {}", library.name);
        }
        println!();
    }
    let us = ukboot::boot_ns() / 1_000;
    println!("Booted in {} us, from the first instruction to main.", us);
    0
}
