//! Names that were made to be alike to a hash tree.

/// Eight bytes each: two that names go on with, and two times three of which one comes behind them.
/// After either the state of the `legacy` hash is the same.
const PARTS: [&[u8; 80]; 4] = [
    b"H#qy!|n,o%OOlffUW!KV3alIi#RZUZRM%!&)RRU&S!^(3v@K,!j@@oEE]!r75~C)m!VaMlw7G!_jAep;",
    b"|!5n5JYJ}&;+8F6-|!KUEk5%I#RTvY[}N#C?.YUD$#V$>sA[W!WY'[]+$!V.'lD=O![-=f8H=!7jJZG'",
    b"3!a`6lU+]!WIrzlOE!+f26['2!{{c||d-!=[UHf`g!O33eII7$exjql^*#<H.G=9'#'S'JvJd!W3PzV-",
    b"A!!9!4L4d!VI;l3%g#.+NDAd:!=83H-(x!=91HD&G!P8-^F;(##iii##,!lQDv[:F!q;>|FI4&==DHH9",
];

fn parts() -> impl Iterator<Item = (usize, &'static [u8])> {
    PARTS.iter().flat_map(|some| some.chunks(8)).enumerate()
}

/// A name with the second of the ends where a bit is 1. All have one `legacy` hash.
pub fn name(choice: u64) -> String {
    let bytes = parts().flat_map(|(n, part)| {
        let (start, ends) = part.split_at(2);
        let end = &ends[if choice >> n & 1 == 0 { 0..3 } else { 3..6 }];
        [start, end].concat()
    });
    String::from_utf8(bytes.collect()).unwrap()
}

fn crc32c(name: &str) -> u32 {
    name.bytes().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ ((crc & 1) * 0x82f6_3b78))
    })
}

/// 256 names with one `legacy` hash and one CRC-32C.
pub fn names() -> Vec<String> {
    names_from(0)
}

/// As many of which a given one is the first.
pub fn names_from(first: u64) -> Vec<String> {
    // What each choice changes in the CRC does not depend on the others.
    let changes = parts().map(|(n, _)| (crc32c(&name(0)) ^ crc32c(&name(1 << n)), 1u64 << n));
    // With different highest bits; and choices that together change nothing.
    let (mut changing, mut free) = (Vec::<(u32, u64)>::new(), Vec::new());
    for (mut change, mut choice) in changes {
        for (other, others) in &changing {
            if change & 1 << other.ilog2() != 0 {
                (change, choice) = (change ^ other, choice ^ others);
            }
        }
        if change == 0 { free.push(choice) } else { changing.push((change, choice)) }
    }
    let choices = (0u32..256).map(|n| {
        let some = free.iter().enumerate().filter(|(bit, _)| n >> bit & 1 != 0);
        some.fold(first, |all, (_, choice)| all ^ choice)
    });
    let names: Vec<_> = choices.map(name).collect();
    assert!(names.iter().all(|name| crc32c(name) == crc32c(&names[0])));
    names
}
