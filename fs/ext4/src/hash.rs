//! Hashes of names, by which the hash trees of directories are ordered.

use crate::superblock::Superblock;

/// `s_hash_version` and what the root of a tree has: the function; whether bytes have a sign, the superblock
/// says.
const LEGACY: u8 = 0;
const HALF_MD4: u8 = 1;
const TEA: u8 = 2;

/// How MD4 begins (RFC 1320, 3.3).
const START: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
/// Its constants of the second and of the third round.
const ROUND_2: u32 = 0x5a82_7999;
const ROUND_3: u32 = 0x6ed9_eba1;

/// The hash that a name has in a directory. `None`: the function is not known, or whether bytes have a sign.
pub fn of_name(sb: &Superblock, version: u8, name: &[u8]) -> Option<u32> {
    let signed = sb.signed_hash?;
    let byte =
        |byte: u8| if signed { i32::from(byte.cast_signed()).cast_unsigned() } else { byte.into() };
    let mut state = if sb.hash_seed == [0; 4] { START } else { sb.hash_seed };
    let hash = match version {
        LEGACY => legacy(name, &byte),
        HALF_MD4 => {
            parts::<8>(name, &byte).for_each(|part| half_md4(&mut state, &part));
            state[1]
        }
        TEA => {
            parts::<4>(name, &byte).for_each(|part| tea(&mut state, &part));
            state[0]
        }
        _ => return None,
    };
    // The lowest bit says that the block before has the same hash; the last one is the end.
    Some(match hash & !1 {
        0xffff_fffe => 0xffff_fffc,
        hash => hash,
    })
}

/// Whether hashes of such a function can be made.
pub fn is_known(sb: &Superblock, version: u8) -> bool {
    sb.signed_hash.is_some() && matches!(version, LEGACY | HALF_MD4 | TEA)
}

fn legacy(name: &[u8], byte: &impl Fn(u8) -> u32) -> u32 {
    let (mut last, mut before) = (0x12a3_fe2du32, 0x37ab_e8f9u32);
    for n in name {
        let next = before.wrapping_add(last ^ byte(*n).wrapping_mul(7_152_373));
        let next = if next >> 31 != 0 { next.wrapping_sub(0x7fff_ffff) } else { next };
        (before, last) = (last, next);
    }
    last << 1
}

/// The words of a name, `N` at a time; what is missing is made of the length of the rest.
fn parts<const N: usize>(name: &[u8], byte: &impl Fn(u8) -> u32) -> impl Iterator<Item = [u32; N]> {
    (0..name.len()).step_by(N * 4).map(move |from| {
        let rest = &name[from..];
        let fill = (rest.len() as u32).wrapping_mul(0x101);
        let fill = fill | fill << 16;
        let mut words = [fill; N];
        for (word, bytes) in words.iter_mut().zip(rest.chunks(4)) {
            *word = bytes.iter().fold(fill, |word, n| byte(*n).wrapping_add(word << 8));
        }
        words
    })
}

fn half_md4(state: &mut [u32; 4], words: &[u32; 8]) {
    let choose = |x: u32, y: u32, z: u32| z ^ (x & (y ^ z));
    let most = |x: u32, y: u32, z: u32| (x & y).wrapping_add((x ^ y) & z);
    let odd = |x: u32, y: u32, z: u32| x ^ y ^ z;
    let [mut a, mut b, mut c, mut d] = *state;
    let mut step = |mixed: &dyn Fn(u32, u32, u32) -> u32, add: u32, shift: u32| {
        let next = a.wrapping_add(mixed(b, c, d)).wrapping_add(add).rotate_left(shift);
        (a, b, c, d) = (d, next, b, c);
    };
    for (at, shift) in (0..8).zip([3, 7, 11, 19].into_iter().cycle()) {
        step(&choose, words[at], shift);
    }
    for (at, shift) in [1, 3, 5, 7, 0, 2, 4, 6].into_iter().zip([3, 5, 9, 13].into_iter().cycle()) {
        step(&most, words[at].wrapping_add(ROUND_2), shift);
    }
    for (at, shift) in [3, 7, 2, 6, 1, 5, 0, 4].into_iter().zip([3, 9, 11, 15].into_iter().cycle())
    {
        step(&odd, words[at].wrapping_add(ROUND_3), shift);
    }
    for (old, new) in state.iter_mut().zip([a, b, c, d]) {
        *old = old.wrapping_add(new);
    }
}

fn tea(state: &mut [u32; 4], words: &[u32; 4]) {
    let [mut x, mut y, ..] = *state;
    let mut sum = 0u32;
    let mixed = |value: u32, sum: u32, left: u32, right: u32| {
        (value << 4).wrapping_add(left) ^ value.wrapping_add(sum) ^ (value >> 5).wrapping_add(right)
    };
    for _ in 0..16 {
        sum = sum.wrapping_add(0x9e37_79b9);
        x = x.wrapping_add(mixed(y, sum, words[0], words[1]));
        y = y.wrapping_add(mixed(x, sum, words[2], words[3]));
    }
    state[0] = state[0].wrapping_add(x);
    state[1] = state[1].wrapping_add(y);
}
