//! Request ids in the forms of AWS's services.

use ambient::Ambient;
use base64::Engine as _;

/// Fifty-two digits and capitals: DynamoDB's form.
pub(crate) fn dynamodb(ambient: &Ambient) -> String {
    base32(&[ambient.random(), ambient.random()], 52)
}

/// A UUID: the form of most services.
pub(crate) fn uuid(ambient: &Ambient) -> String {
    ambient.uuid().to_string()
}

/// Sixteen digits and capitals: S3's form.
pub(crate) fn s3(ambient: &Ambient) -> String {
    base32(&[ambient.random()], 16)
}

/// S3's second id, by which its support finds a request; a longer form of the first one here.
pub(crate) fn s3_extended(request_id: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(request_id.repeat(3))
}

/// The leading `length` digits of `words` in base 32; a word gives 26.
fn base32(words: &[u128], length: usize) -> String {
    const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHIJKLMNOPQRSTUV";
    const DIGITS_PER_WORD: usize = 26;
    let digit = |index: usize| {
        let word = words[index / DIGITS_PER_WORD];
        let shifted = word >> (5 * (index % DIGITS_PER_WORD));
        char::from(DIGITS[(shifted & 31) as usize])
    };
    (0..length).map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_form_of_their_service() {
        let ambient = Ambient::fixed(0);
        let id = dynamodb(&ambient);
        assert_eq!(id.len(), 52);
        assert!(id.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase()), "{id}");
        assert_ne!(id, dynamodb(&ambient));
        assert_eq!(s3(&ambient).len(), 16);
        assert_eq!(uuid(&ambient).len(), 36);
    }
}
