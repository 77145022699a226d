//! `token(x)`: the same value gives the same token, and without the key nobody tells the value.

use std::any::Any;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use sha2::{Digest, Sha256};

use crate::sql::functions::text::{has_text, map_strings, push_hex, strings};

const BLOCK: usize = 64;
/// Below this a key can be guessed.
const KEY_BYTES_MIN: usize = 16;

/// The secret of `token`. HMAC-SHA-256 with both blocks of the key hashed beforehand.
#[derive(Clone)]
pub struct TokenKey {
    inner: Sha256,
    outer: Sha256,
}

impl TokenKey {
    /// `None` where there are too few bytes for a secret.
    pub fn new(secret: &[u8]) -> Option<Self> {
        (secret.len() >= KEY_BYTES_MIN).then(|| Self::of(secret))
    }

    fn of(secret: &[u8]) -> Self {
        let mut block = [0; BLOCK];
        match secret.len() {
            ..=BLOCK => block[..secret.len()].copy_from_slice(secret),
            _ => block[..32].copy_from_slice(&Sha256::digest(secret)),
        }
        let hashed = |pad: u8| Sha256::new().chain_update(block.map(|byte| byte ^ pad));
        Self { inner: hashed(0x36), outer: hashed(0x5c) }
    }

    fn sign(&self, message: &[u8]) -> [u8; 32] {
        let inner = self.inner.clone().chain_update(message).finalize();
        self.outer.clone().chain_update(inner).finalize().into()
    }
}

/// Never shows the secret.
impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenKey")
    }
}

#[derive(Debug)]
pub(crate) struct Token {
    key: Option<TokenKey>,
    signature: Signature,
}

impl Token {
    pub fn new(key: Option<TokenKey>) -> Self {
        Self { key, signature: Signature::any(1, Volatility::Immutable) }
    }
}

/// One function of the name in a session: two with other keys are never compared.
impl PartialEq for Token {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for Token {}

impl std::hash::Hash for Token {
    fn hash<H: std::hash::Hasher>(&self, _state: &mut H) {}
}

impl ScalarUDFImpl for Token {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &str {
        super::TOKEN
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [argument] if has_text(argument) => Ok(DataType::Utf8),
            _ => plan_err!("token takes one value that has a text"),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(key) = &self.key else { return exec_err!("token has no key") };
        let values = strings(&arguments.args[0], arguments.number_rows)?;
        let tokens = map_strings(&values, |value, token| push_hex(&key.sign(value.as_bytes()), token));
        Ok(ColumnarValue::Array(Arc::new(tokens)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cases 1, 2 and 6 of RFC 4231.
    #[test]
    fn tokens_are_hmac_sha_256() {
        let check = |key: &[u8], message: &[u8], expected: &str| {
            let mut token = String::new();
            push_hex(&TokenKey::of(key).sign(message), &mut token);
            assert_eq!(token, expected);
        };
        check(&[0x0b; 20], b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
        check(
            b"Jefe",
            b"what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        );
        check(
            &[0xaa; 131],
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        );
    }

    #[test]
    fn a_short_secret_is_none_and_a_key_shows_nothing_of_it() {
        assert!(TokenKey::new(b"123456789012345").is_none());
        assert_eq!(format!("{:?}", TokenKey::new(b"1234567890123456")), "Some(TokenKey)");
    }
}
