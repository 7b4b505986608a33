//! The conversions of `printf` (C17 section 7.21.6.1): integers, characters, strings, pointers, and
//! doubles, exactly rounded.
//!
//! Not there: `%a`, `%n`, wide characters, and `long double`.

use crate::decimal::Decimal;

/// Where the text goes.
pub trait Output {
    /// Takes the next bytes.
    fn write(&mut self, bytes: &[u8]);
}

/// The arguments, in the order of the conversions.
pub trait Arguments {
    /// The next integer or pointer. Bits above its type are anything.
    fn word(&mut self) -> u64;
    /// The next double.
    fn double(&mut self) -> f64;
    /// The next string, up to its end or that many bytes; `None` for a null pointer.
    fn text(&mut self, limit: usize) -> Option<&[u8]>;
}

/// Why nothing more was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormatError {
    /// A conversion that is none, or that is not known here.
    Conversion,
    /// The text is longer than an `int` can say.
    TooLong,
}

/// Writes the arguments as the format says; returns how many bytes that are.
///
/// # Errors
/// What is before the wrong conversion has been written then.
pub fn format(
    out: &mut dyn Output,
    format: &[u8],
    arguments: &mut dyn Arguments,
) -> Result<i32, FormatError> {
    let mut writer = Writer { out, count: 0 };
    let mut rest = format;
    while let Some(percent) = rest.iter().position(|&byte| byte == b'%') {
        writer.put(&rest[..percent])?;
        rest = &rest[percent + 1..];
        let mut parser = Parser { rest };
        let (spec, conversion) = parser.spec(arguments).ok_or(FormatError::Conversion)?;
        rest = parser.rest;
        writer.convert(&spec, conversion, arguments)?;
    }
    writer.put(rest)?;
    Ok(writer.count)
}

/// Flags, width, precision and length of a conversion.
#[derive(Debug, Clone, Copy, Default)]
struct Spec {
    left: bool,
    plus: bool,
    space: bool,
    zero: bool,
    alternate: bool,
    width: usize,
    precision: Option<usize>,
    /// Size in bytes of an integer argument.
    size: usize,
}

struct Parser<'a> {
    rest: &'a [u8],
}

impl Parser<'_> {
    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.rest.first() == Some(&byte);
        if is_next {
            self.rest = &self.rest[1..];
        }
        is_next
    }

    /// A number; 0 where there is none, `None` where it is larger than an `int`.
    fn number(&mut self) -> Option<i32> {
        let mut number = 0i32;
        while let Some(digit) = self.rest.first().filter(|byte| byte.is_ascii_digit()) {
            number = number.checked_mul(10)?.checked_add((digit - b'0').into())?;
            self.rest = &self.rest[1..];
        }
        Some(number)
    }

    /// What is behind the percent sign, with the letter of the conversion.
    fn spec(&mut self, arguments: &mut dyn Arguments) -> Option<(Spec, u8)> {
        let mut spec = Spec { size: 4, ..Spec::default() };
        loop {
            match self.rest.first()? {
                b'-' => spec.left = true,
                b'+' => spec.plus = true,
                b' ' => spec.space = true,
                b'0' => spec.zero = true,
                b'#' => spec.alternate = true,
                _ => break,
            }
            self.rest = &self.rest[1..];
        }
        let mut number = |parser: &mut Self| match parser.take(b'*') {
            true => Some(arguments.word() as i32),
            false => parser.number(),
        };
        let width = number(self)?;
        // A width from the arguments may say that it is to the left.
        spec.left |= width < 0;
        spec.width = width.unsigned_abs() as usize;
        if self.take(b'.') {
            // A negative one is as none.
            spec.precision = usize::try_from(number(self)?).ok();
        }
        spec.size = match self.rest.first()? {
            b'h' => {
                self.next();
                if self.take(b'h') { 1 } else { 2 }
            }
            b'l' => {
                self.next();
                self.take(b'l');
                8
            }
            b'j' | b'z' | b't' => {
                self.next();
                8
            }
            _ => 4,
        };
        Some((spec, self.next()?))
    }
}

struct Writer<'a> {
    out: &'a mut dyn Output,
    count: i32,
}

type Written = Result<(), FormatError>;

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) -> Written {
        if bytes.is_empty() {
            return Ok(());
        }
        let count = i32::try_from(bytes.len()).ok().and_then(|len| self.count.checked_add(len));
        self.count = count.ok_or(FormatError::TooLong)?;
        self.out.write(bytes);
        Ok(())
    }

    fn repeat(&mut self, byte: u8, mut times: usize) -> Written {
        let bytes = [byte; 16];
        while times > 0 {
            let now = times.min(bytes.len());
            self.put(&bytes[..now])?;
            times -= now;
        }
        Ok(())
    }

    /// Fills the field with what is `len` bytes long, behind `prefix`: with spaces on one side, or with zeros
    /// behind the prefix.
    fn field(
        &mut self,
        spec: &Spec,
        zero: bool,
        prefix: &[u8],
        len: usize,
        body: &mut dyn FnMut(&mut Self) -> Written,
    ) -> Written {
        let fill = spec.width.saturating_sub(prefix.len() + len);
        // Before anything of it is written.
        let all = i32::try_from(prefix.len() + len + fill).ok();
        all.and_then(|all| self.count.checked_add(all)).ok_or(FormatError::TooLong)?;
        let zero = zero && !spec.left;
        self.repeat(b' ', if spec.left || zero { 0 } else { fill })?;
        self.put(prefix)?;
        self.repeat(b'0', if zero { fill } else { 0 })?;
        body(self)?;
        self.repeat(b' ', if spec.left { fill } else { 0 })
    }

    fn plain(&mut self, spec: &Spec, text: &[u8]) -> Written {
        self.field(spec, false, b"", text.len(), &mut |this| this.put(text))
    }

    fn convert(&mut self, spec: &Spec, conversion: u8, arguments: &mut dyn Arguments) -> Written {
        match conversion {
            b'd' | b'i' => {
                let unused = 64 - 8 * spec.size as u32;
                let value = (arguments.word() << unused) as i64 >> unused;
                self.integer(spec, sign_of(spec, value < 0), value.unsigned_abs(), 10, false)
            }
            b'u' | b'o' | b'x' | b'X' => {
                let value = arguments.word() & (u64::MAX >> (64 - 8 * spec.size));
                let (base, prefix): (_, &[u8]) = match conversion {
                    b'o' => (8, b""),
                    b'x' => (16, b"0x"),
                    b'X' => (16, b"0X"),
                    _ => (10, b""),
                };
                let prefix = if spec.alternate && value > 0 { prefix } else { b"" };
                self.integer(spec, prefix, value, base, conversion == b'X')
            }
            b'p' => match arguments.word() {
                0 => self.plain(spec, b"(nil)"),
                value => self.integer(spec, b"0x", value, 16, false),
            },
            // `l` before these means wide characters.
            b'c' if spec.size == 4 => self.plain(spec, &[arguments.word() as u8]),
            b's' if spec.size == 4 => {
                let limit = spec.precision.unwrap_or(usize::MAX);
                let null = b"(null)";
                let text = arguments.text(limit).unwrap_or(&null[..null.len().min(limit)]);
                self.plain(spec, text)
            }
            // `l` before these means nothing.
            b'e' | b'f' | b'g' | b'E' | b'F' | b'G' if matches!(spec.size, 4 | 8) => {
                self.double(spec, conversion, arguments.double())
            }
            b'%' => self.put(b"%"),
            _ => Err(FormatError::Conversion),
        }
    }

    fn integer(
        &mut self,
        spec: &Spec,
        prefix: &[u8],
        value: u64,
        base: u64,
        capital: bool,
    ) -> Written {
        // A value has at most 22 octal digits.
        let mut digits = [0; 22];
        let (mut at, mut rest) = (digits.len(), value);
        let letters = if capital { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
        while rest > 0 {
            at -= 1;
            digits[at] = letters[(rest % base) as usize];
            rest /= base;
        }
        let digits = &digits[at..];
        let mut zeros = spec.precision.unwrap_or(1).saturating_sub(digits.len());
        if base == 8 && spec.alternate && zeros == 0 {
            zeros = 1;
        }
        let zero = spec.zero && spec.precision.is_none();
        self.field(spec, zero, prefix, zeros + digits.len(), &mut |this| {
            this.repeat(b'0', zeros)?;
            this.put(digits)
        })
    }

    fn double(&mut self, spec: &Spec, conversion: u8, value: f64) -> Written {
        let sign = sign_of(spec, value.is_sign_negative());
        let capital = conversion.is_ascii_uppercase();
        if !value.is_finite() {
            let text: &[u8] = match (value.is_nan(), capital) {
                (true, false) => b"nan",
                (true, true) => b"NAN",
                (false, false) => b"inf",
                (false, true) => b"INF",
            };
            return self.field(spec, false, sign, text.len(), &mut |this| this.put(text));
        }
        let mut number = Decimal::of(value);
        let mut precision = spec.precision.map_or(6, |p| i32::try_from(p).unwrap_or(i32::MAX));
        let with_exponent = match conversion.to_ascii_lowercase() {
            b'e' => {
                number.round(precision.saturating_add(1));
                true
            }
            b'f' => {
                number.round(number.point.saturating_add(precision));
                false
            }
            _ => {
                precision = precision.max(1);
                number.round(precision);
                // As many digits as there are, unless zeros are asked for.
                let digits = if spec.alternate { precision } else { number.significant() };
                let with_exponent = number.point < -3 || number.point > precision;
                let before = if with_exponent { 1 } else { number.point };
                precision = digits.min(precision).saturating_sub(before).max(0);
                with_exponent
            }
        };
        let zero = spec.zero;
        if with_exponent {
            let exponent = if number.is_zero() { 0 } else { number.point - 1 };
            let mut tail = [if capital { b'E' } else { b'e' }, b'+', 0, 0, 0];
            if exponent < 0 {
                tail[1] = b'-';
            }
            let digits = exponent.unsigned_abs();
            let decimal = |digit: u32| b'0' + (digit % 10) as u8;
            let tail: &[u8] = if digits < 100 {
                (tail[2], tail[3]) = (decimal(digits / 10), decimal(digits));
                &tail[..4]
            } else {
                (tail[2], tail[3], tail[4]) =
                    (decimal(digits / 100), decimal(digits / 10), decimal(digits));
                &tail
            };
            let len = 1 + fraction_len(spec, precision) + tail.len();
            return self.field(spec, zero, sign, len, &mut |this| {
                this.put(&[number.digit(0)])?;
                this.fraction(spec, &number, 1, precision)?;
                this.put(tail)
            });
        }
        let whole = number.point.max(1);
        let len = whole as usize + fraction_len(spec, precision);
        self.field(spec, zero, sign, len, &mut |this| {
            // A number below one has a zero before the point.
            for index in number.point - whole..number.point {
                this.put(&[number.digit(index)])?;
            }
            this.fraction(spec, &number, number.point, precision)
        })
    }

    /// The decimal point and `precision` digits of the number, from one on.
    fn fraction(&mut self, spec: &Spec, number: &Decimal, from: i32, precision: i32) -> Written {
        if precision > 0 || spec.alternate {
            self.put(b".")?;
        }
        for index in from..from.saturating_add(precision) {
            self.put(&[number.digit(index)])?;
        }
        Ok(())
    }
}

fn fraction_len(spec: &Spec, precision: i32) -> usize {
    precision as usize + usize::from(precision > 0 || spec.alternate)
}

/// What stands before a signed number.
fn sign_of(spec: &Spec, negative: bool) -> &'static [u8] {
    match (negative, spec.plus, spec.space) {
        (true, ..) => b"-",
        (false, true, _) => b"+",
        (false, false, true) => b" ",
        _ => b"",
    }
}
