//! Formats of `date_format` and `date_parse`, which are MySQL's, as chrono has them.

/// `%Y-%m-%d %H:%i:%s` is `%Y-%m-%d %H:%M:%S`. The letter that has no counterpart is the error.
pub(super) fn to_chrono(format: &str) -> Result<String, char> {
    let mut chrono = String::with_capacity(format.len());
    let mut characters = format.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            chrono.push(character);
            continue;
        }
        match characters.next() {
            Some(letter @ ('Y' | 'y' | 'm' | 'd' | 'H' | 'I' | 'S' | 'j' | 'p' | 'a' | 'b' | 'T' | 'w' | '%')) => {
                chrono.extend(['%', letter]);
            }
            Some('i') => chrono.push_str("%M"),
            Some('s') => chrono.push_str("%S"),
            Some('M') => chrono.push_str("%B"),
            Some('W') => chrono.push_str("%A"),
            Some('c') => chrono.push_str("%-m"),
            Some('e') => chrono.push_str("%-d"),
            Some('k') => chrono.push_str("%-H"),
            Some('l') => chrono.push_str("%-I"),
            Some('h') => chrono.push_str("%I"),
            Some('f') => chrono.push_str("%6f"),
            Some('r') => chrono.push_str("%I:%M:%S %p"),
            Some('v') => chrono.push_str("%V"),
            Some('x') => chrono.push_str("%G"),
            Some(other) => return Err(other),
            None => chrono.push_str("%%"),
        }
    }
    Ok(chrono)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_translated() {
        assert_eq!(to_chrono("%Y-%m-%d %H:%i:%s.%f 100%%").as_deref(), Ok("%Y-%m-%d %H:%M:%S.%6f 100%%"));
        assert_eq!(to_chrono("%D"), Err('D'));
    }
}
