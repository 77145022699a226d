//! Numbers as text.

use crate::decode::number::{DIGITS_MAX, Number};

impl Number {
    /// Appends the one text that equal numbers share: plain digits without an exponent.
    pub fn write_text(self, text: &mut Vec<u8>) {
        let mut buffer = [0u8; DIGITS_MAX as usize + 1];
        let digits = write_digits(self.coefficient, &mut buffer);
        if self.negative {
            text.push(b'-');
        }
        if self.exponent >= 0 {
            text.extend_from_slice(digits);
            text.resize(text.len() + self.exponent as usize, b'0');
            return;
        }
        let fraction = -self.exponent as usize;
        if digits.len() > fraction {
            let (whole, fraction) = digits.split_at(digits.len() - fraction);
            text.extend_from_slice(whole);
            text.push(b'.');
            text.extend_from_slice(fraction);
        } else {
            text.extend_from_slice(b"0.");
            text.resize(text.len() + fraction - digits.len(), b'0');
            text.extend_from_slice(digits);
        }
    }
}

fn write_digits(mut value: u128, buffer: &mut [u8; DIGITS_MAX as usize + 1]) -> &[u8] {
    let mut start = buffer.len();
    loop {
        start -= 1;
        buffer[start] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            return &buffer[start..];
        }
    }
}
