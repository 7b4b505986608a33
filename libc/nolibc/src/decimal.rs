//! Doubles in decimal, exactly: every one has a finite decimal expansion, of at most 767 digits.

/// Digits that the largest expansion has: that of the largest subnormal number.
const DIGITS: usize = 767;
/// Decimal digits of a limb.
const PER_LIMB: usize = 9;
const LIMBS: usize = DIGITS.div_ceil(PER_LIMB) + 1;
const BASE: u64 = 1_000_000_000;

/// A number that is not negative, as decimal digits: 0.d₀d₁d₂… × 10^point.
#[derive(Debug, Clone)]
pub struct Decimal {
    /// Without leading zeros, but for zero itself.
    digits: [u8; LIMBS * PER_LIMB],
    len: usize,
    /// How many digits are before the decimal point; negative when zeros follow it.
    pub point: i32,
}

impl Decimal {
    /// The exact value of a finite number, without its sign.
    pub fn of(value: f64) -> Self {
        // IEEE 754-2019 section 3.4: value = mantissa × 2^exponent.
        let bits = value.to_bits();
        let field = (bits >> 52) as i32 & 0x7ff;
        let fraction = bits & ((1 << 52) - 1);
        let (mut mantissa, mut exponent) =
            if field == 0 { (fraction, -1074) } else { (fraction | 1 << 52, field - 1075) };
        // Fewer digits to come out as zeros.
        let even = mantissa.trailing_zeros().min(63).min((-exponent).max(0) as u32);
        mantissa >>= even;
        exponent += even as i32;

        let mut number = Big::new(mantissa);
        if exponent >= 0 {
            number.scale(2, exponent as u32);
        } else {
            // m × 2^-k = m × 5^k × 10^-k
            number.scale(5, exponent.unsigned_abs());
        }
        let mut decimal = Self { digits: [0; LIMBS * PER_LIMB], len: 0, point: 0 };
        for &limb in number.limbs[..number.len].iter().rev() {
            let mut divisor = BASE as u32 / 10;
            while divisor > 0 {
                let digit = (limb / divisor % 10) as u8;
                divisor /= 10;
                if decimal.len > 0 || digit > 0 {
                    decimal.digits[decimal.len] = digit;
                    decimal.len += 1;
                }
            }
        }
        decimal.point = decimal.len as i32 + exponent.min(0);
        if decimal.len == 0 {
            decimal.set_zero();
        }
        decimal
    }

    fn set_zero(&mut self) {
        (self.digits[0], self.len, self.point) = (0, 1, 1);
    }

    /// Whether it is zero.
    pub fn is_zero(&self) -> bool {
        self.len == 1 && self.digits[0] == 0
    }

    /// The digit of that number as a character; zeros are on both sides of the digits.
    pub fn digit(&self, index: i32) -> u8 {
        let digit = usize::try_from(index).ok().filter(|&i| i < self.len).map(|i| self.digits[i]);
        b'0' + digit.unwrap_or(0)
    }

    /// Rounds to so many digits, to the nearest number, and where two are as near to the one with an even
    /// last digit (IEEE 754-2019 section 4.3.1). With no digits, or fewer, to a power of ten or zero.
    pub fn round(&mut self, keep: i32) {
        if keep >= self.len as i32 || self.is_zero() {
            return;
        }
        let Ok(keep) = usize::try_from(keep) else { return self.set_zero() };
        let rest = &self.digits[keep..self.len];
        let more = rest[1..].iter().any(|&digit| digit > 0);
        let odd = keep > 0 && self.digits[keep - 1] % 2 == 1;
        let up = rest[0] > 5 || (rest[0] == 5 && (more || odd));
        self.len = keep;
        if !up {
            if keep == 0 {
                self.set_zero();
            }
            return;
        }
        for index in (0..keep).rev() {
            if self.digits[index] < 9 {
                self.digits[index] += 1;
                return;
            }
            self.digits[index] = 0;
        }
        // All were nines, or there was none.
        self.digits[0] = 1;
        self.len = keep.max(1);
        self.point += 1;
    }

    /// How many digits it has without zeros at the end; at least one.
    pub fn significant(&self) -> i32 {
        let zeros = self.digits[..self.len].iter().rev().take_while(|&&digit| digit == 0).count();
        (self.len - zeros).max(1) as i32
    }
}

/// A large number, in limbs of nine decimal digits, the lowest first.
struct Big {
    limbs: [u32; LIMBS],
    len: usize,
}

impl Big {
    fn new(value: u64) -> Self {
        let mut limbs = [0; LIMBS];
        let (mut len, mut rest) = (0, value);
        while rest > 0 {
            limbs[len] = (rest % BASE) as u32;
            rest /= BASE;
            len += 1;
        }
        Self { limbs, len }
    }

    /// Multiplies by `factor` to the power `times`.
    fn scale(&mut self, factor: u32, mut times: u32) {
        // As many at once as a limb has room for.
        let at_once = u32::MAX.ilog(factor);
        while times > 0 {
            let now = times.min(at_once);
            self.multiply(factor.pow(now));
            times -= now;
        }
    }

    fn multiply(&mut self, factor: u32) {
        let mut carry = 0;
        for limb in &mut self.limbs[..self.len] {
            let product = u64::from(*limb) * u64::from(factor) + carry;
            *limb = (product % BASE) as u32;
            carry = product / BASE;
        }
        while carry > 0 {
            self.limbs[self.len] = (carry % BASE) as u32;
            carry /= BASE;
            self.len += 1;
        }
    }
}
