//! Numbers in texts: `strtol` and its family (C17 section 7.22.1).

/// What stands at the beginning of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Integer {
    magnitude: u64,
    negative: bool,
    overflow: bool,
    /// How many bytes of the text it takes, white space before it included; 0 when there is none.
    pub used: usize,
}

impl Integer {
    /// The value as `strtoll` has it.
    ///
    /// # Errors
    /// The nearest value, where it does not fit.
    pub fn signed(&self) -> Result<i64, i64> {
        let limit = if self.negative { i64::MIN } else { i64::MAX };
        if self.overflow || self.magnitude > limit.unsigned_abs() {
            return Err(limit);
        }
        let value = self.magnitude as i64;
        Ok(if self.negative { value.wrapping_neg() } else { value })
    }

    /// The value as `strtoull` has it: of a negative number what is to be added to 2⁶⁴.
    ///
    /// # Errors
    /// The largest value, where it does not fit.
    pub fn unsigned(&self) -> Result<u64, u64> {
        if self.overflow {
            return Err(u64::MAX);
        }
        Ok(if self.negative { self.magnitude.wrapping_neg() } else { self.magnitude })
    }
}

/// White space in the locale "C".
pub fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Length of white space and sign, and whether that is a minus.
fn sign(text: &[u8]) -> (usize, bool) {
    let space = text.iter().take_while(|&&byte| is_space(byte)).count();
    match text.get(space) {
        Some(b'-') => (space + 1, true),
        Some(b'+') => (space + 1, false),
        _ => (space, false),
    }
}

/// The number that the text begins with; `None` for a base that there is none of. Base 0 takes the one that
/// the prefix means.
pub fn integer(text: &[u8], base: i32) -> Option<Integer> {
    if base == 1 || !(0..=36).contains(&base) {
        return None;
    }
    let (mut at, negative) = sign(text);
    let digit = |at: usize, base: u32| char::from(*text.get(at)?).to_digit(base);
    let has_prefix = digit(at, 36) == Some(0)
        && matches!(text.get(at + 1), Some(b'x' | b'X'))
        && digit(at + 2, 16).is_some();
    let base = match base {
        0 | 16 if has_prefix => {
            at += 2;
            16
        }
        0 if digit(at, 10) == Some(0) => 8,
        0 => 10,
        base => base as u32,
    };
    let start = at;
    let (mut magnitude, mut overflow) = (0u64, false);
    while let Some(digit) = digit(at, base) {
        let next = magnitude.checked_mul(base.into()).and_then(|m| m.checked_add(digit.into()));
        overflow |= next.is_none();
        magnitude = next.unwrap_or(magnitude);
        at += 1;
    }
    Some(Integer { magnitude, negative, overflow, used: if at > start { at } else { 0 } })
}

/// What `strtod` finds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Float {
    /// The value, rounded to nearest; infinite where it is too large.
    pub value: f64,
    /// How many bytes of the text it takes, white space before it included; 0 when there is none.
    pub used: usize,
    /// Whether the number is no such value: too large, or too small to be a normal one.
    pub out_of_range: bool,
}

/// The decimal number, infinity or NaN that the text begins with. Hexadecimal ones are not known: of those the
/// leading zero is taken.
pub fn float(text: &[u8]) -> Float {
    let (start, negative) = sign(text);
    let signed = |value: f64| if negative { -value } else { value };
    let rest = &text[start..];
    let begins = |word: &[u8]| rest.get(..word.len()).is_some_and(|r| r.eq_ignore_ascii_case(word));
    for (word, value) in
        [(&b"infinity"[..], f64::INFINITY), (b"inf", f64::INFINITY), (b"nan", f64::NAN)]
    {
        if begins(word) {
            let value = signed(value);
            return Float { value, used: start + word.len(), out_of_range: false };
        }
    }
    let digits = |at: usize| {
        rest.get(at..).unwrap_or(&[]).iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    let whole = digits(0);
    let mut used = whole;
    if rest.get(used) == Some(&b'.') {
        let fraction = digits(used + 1);
        if whole + fraction > 0 {
            used += 1 + fraction;
        }
    }
    if used == 0 {
        return Float { value: 0.0, used: 0, out_of_range: false };
    }
    let significant = rest[..used].iter().any(|byte| matches!(byte, b'1'..=b'9'));
    if let Some(b'e' | b'E') = rest.get(used) {
        let sign = usize::from(matches!(rest.get(used + 1), Some(b'+' | b'-')));
        let exponent = digits(used + 1 + sign);
        if exponent > 0 {
            used += 1 + sign + exponent;
        }
    }
    let value = core::str::from_utf8(&rest[..used]).ok().and_then(|text| text.parse().ok());
    let value: f64 = value.unwrap_or(0.0);
    let out_of_range = value.is_infinite() || (significant && value < f64::MIN_POSITIVE);
    Float { value: signed(value), used: start + used, out_of_range }
}
