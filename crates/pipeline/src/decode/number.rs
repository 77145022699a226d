//! DynamoDB's numbers: exact, up to 38 significant digits, never through floating point.

mod text;

use std::cmp::Ordering;

/// DynamoDB keeps this many significant digits.
const DIGITS_MAX: u32 = 38;
/// The smallest and the largest power of ten of a number's first digit: 1E-130 to 9.99E125.
const MAGNITUDE_MIN: i32 = -130;
const MAGNITUDE_MAX: i32 = 125;

const POWERS_OF_TEN: [u128; 39] = {
    let mut powers = [1u128; 39];
    let mut power = 1;
    while power < 39 {
        powers[power] = powers[power - 1] * 10;
        power += 1;
    }
    powers
};

/// `± coefficient × 10^exponent`. The coefficient has no trailing zero, so `1`, `1.0` and `10E-1` are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Number {
    negative: bool,
    coefficient: u128,
    exponent: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotANumber {
    /// The text is not a decimal number.
    Malformed,
    /// More than 38 digits, or an exponent that DynamoDB does not have.
    OutOfRange,
}

impl Number {
    /// Reads what DynamoDB takes as a number: digits with an optional sign, point and exponent.
    pub fn parse(text: &str) -> Result<Self, NotANumber> {
        let (negative, unsigned) = match text.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        let mut coefficient = 0u128;
        let mut digits = 0u32;
        let mut trailing_zeros = 0u32;
        let mut fraction_digits = 0i32;
        let mut point_seen = false;
        let mut digit_seen = false;
        let mut written_exponent = 0i32;
        for (index, &byte) in unsigned.iter().enumerate() {
            match byte {
                b'0'..=b'9' => {
                    digit_seen = true;
                    fraction_digits += i32::from(point_seen);
                    if byte == b'0' {
                        trailing_zeros += u32::from(coefficient != 0);
                        continue;
                    }
                    digits += trailing_zeros + 1;
                    if digits > DIGITS_MAX {
                        return Err(NotANumber::OutOfRange);
                    }
                    coefficient = coefficient * POWERS_OF_TEN[trailing_zeros as usize + 1] + u128::from(byte - b'0');
                    trailing_zeros = 0;
                }
                b'.' if !point_seen => point_seen = true,
                b'e' | b'E' if digit_seen => {
                    written_exponent = parse_exponent(&unsigned[index + 1..])?;
                    break;
                }
                _ => return Err(NotANumber::Malformed),
            }
        }
        if !digit_seen {
            return Err(NotANumber::Malformed);
        }
        if coefficient == 0 {
            return Ok(Self { negative: false, coefficient: 0, exponent: 0 });
        }
        let exponent = written_exponent + trailing_zeros as i32 - fraction_digits;
        let number = Self { negative, coefficient, exponent };
        match number.magnitude() {
            MAGNITUDE_MIN..=MAGNITUDE_MAX => Ok(number),
            _ => Err(NotANumber::OutOfRange),
        }
    }

    /// The number as an integer, where it is one that fits.
    pub fn to_i64(self) -> Option<i64> {
        i64::try_from(self.to_scaled(DIGITS_MAX, 0)?).ok()
    }

    /// The number in units of `10^-scale`, where that is exact and has at most `precision` digits.
    pub fn to_scaled(self, precision: u32, scale: i32) -> Option<i128> {
        let shift = u32::try_from(self.exponent + scale).ok();
        if self.coefficient == 0 {
            return Some(0);
        }
        let shift = shift.filter(|shift| self.digits() + shift <= precision.min(DIGITS_MAX))?;
        let scaled = (self.coefficient * POWERS_OF_TEN[shift as usize]) as i128;
        Some(if self.negative { -scaled } else { scaled })
    }

    /// How many digits stand before the point, and how many after it.
    pub fn digits_around_point(self) -> (u32, u32) {
        if self.coefficient == 0 {
            return (1, 0);
        }
        let before = (self.digits() as i32 + self.exponent).max(0) as u32;
        (before, (-self.exponent).max(0) as u32)
    }

    fn digits(self) -> u32 {
        self.coefficient.checked_ilog10().map_or(0, |log| log + 1)
    }

    /// The power of ten of the first digit.
    fn magnitude(self) -> i32 {
        self.exponent + self.digits() as i32 - 1
    }
}

/// By value.
impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        let rank = |number: &Self| match (number.coefficient, number.negative) {
            (0, _) => 0,
            (_, negative) => {
                if negative {
                    -1
                } else {
                    1
                }
            }
        };
        let aligned = |number: &Self| number.coefficient * POWERS_OF_TEN[(DIGITS_MAX - number.digits()) as usize];
        let by_size = || self.magnitude().cmp(&other.magnitude()).then_with(|| aligned(self).cmp(&aligned(other)));
        rank(self).cmp(&rank(other)).then_with(|| match rank(self) {
            0 => Ordering::Equal,
            1 => by_size(),
            _ => by_size().reverse(),
        })
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Reads the exponent behind an `E`. Anything far outside DynamoDB's range is only known to be outside.
fn parse_exponent(text: &[u8]) -> Result<i32, NotANumber> {
    let (sign, digits) = match text {
        [b'-', rest @ ..] => (-1, rest),
        [b'+', rest @ ..] => (1, rest),
        rest => (1, rest),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(NotANumber::Malformed);
    }
    const FAR_OUTSIDE: i32 = 1_000_000_000;
    let magnitude = digits.iter().fold(0i32, |exponent, digit| {
        exponent.saturating_mul(10).saturating_add(i32::from(digit - b'0')).min(FAR_OUTSIDE)
    });
    Ok(sign * magnitude)
}

#[cfg(test)]
mod tests;
