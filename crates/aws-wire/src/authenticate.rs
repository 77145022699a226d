//! Decides who a caller is.

use std::{sync::Arc, time::SystemTime};

use http::request::Parts;
use subtle::ConstantTimeEq as _;

use crate::{AccessKey, DEFAULT_ACCOUNT_ID, Identity, KeyStore, credential::Presented, denial::Denial, signature};

/// How callers prove who they are.
#[derive(Clone)]
pub enum Authentication {
    /// Any access key is taken at its word, whatever the signature: see [`Identity::of_access_key`]. An Iceberg client
    /// that signs nothing is the administrator.
    Dev,
    /// Signatures are verified against known keys, and unsigned requests are refused.
    Strict(Arc<dyn KeyStore>),
}

impl Authentication {
    /// The identity behind a request to a buffered service. `body` is as it was sent, still compressed.
    pub(crate) fn identify(
        &self,
        parts: &Parts,
        presented: Option<&Presented>,
        is_iceberg: bool,
        now: SystemTime,
        body: &[u8],
    ) -> Result<Identity, Denial> {
        match (self, presented) {
            (Self::Dev, None) if is_iceberg => Ok(Identity::administrator(DEFAULT_ACCOUNT_ID)),
            (_, None) => Err(Denial::Unsigned),
            (Self::Dev, Some(presented)) => {
                Identity::of_access_key(&presented.credential.access_key_id).ok_or(Denial::UnknownKey)
            }
            (Self::Strict(keys), Some(presented)) => {
                let key = keys.find(&presented.credential.access_key_id).ok_or(Denial::UnknownKey)?;
                check_session_token(presented, &key)?;
                signature::verify(parts, presented, &key, now, body)?;
                Ok(key.identity)
            }
        }
    }

    /// The identity behind an access key id and its secret, where a protocol carries these two and no signature. Keys that
    /// need a session token too are not taken.
    pub fn sign_in(&self, access_key_id: &str, secret_access_key: &str) -> Option<Identity> {
        match self {
            Self::Dev => Identity::of_access_key(access_key_id),
            Self::Strict(keys) => {
                let key = keys.find(access_key_id).filter(|key| key.session_token.is_none())?;
                let is_right: bool = key.secret_access_key.as_bytes().ct_eq(secret_access_key.as_bytes()).into();
                is_right.then_some(key.identity)
            }
        }
    }

    /// The identity that a request claims, proved or not.
    pub(crate) fn claimed(&self, presented: Option<&Presented>) -> Option<Identity> {
        let access_key_id = &presented?.credential.access_key_id;
        match self {
            Self::Dev => Identity::of_access_key(access_key_id),
            Self::Strict(keys) => keys.find(access_key_id).map(|key| key.identity),
        }
    }

    /// Whether requests with this access key id are answered at all.
    pub fn knows(&self, access_key_id: &str) -> bool {
        match self {
            Self::Dev => true,
            Self::Strict(keys) => keys.find(access_key_id).is_some(),
        }
    }

    /// The identity that a caller claims, where that is enough; `None` where the service verifies it, or nothing is claimed.
    pub(crate) fn take_at_word(&self, presented: Option<&Presented>) -> Result<Option<Identity>, Denial> {
        match (self, presented) {
            (Self::Dev, Some(presented)) => {
                Identity::of_access_key(&presented.credential.access_key_id).map(Some).ok_or(Denial::UnknownKey)
            }
            (Self::Dev, None) | (Self::Strict(_), _) => Ok(None),
        }
    }
}

/// Refuses a token where none belongs, as well as a wrong or missing one.
fn check_session_token(presented: &Presented, key: &AccessKey) -> Result<(), Denial> {
    let given = presented.session_token.as_deref().unwrap_or_default();
    let expected = key.session_token.as_deref().unwrap_or_default();
    if given.as_bytes().ct_eq(expected.as_bytes()).into() { Ok(()) } else { Err(Denial::UnknownKey) }
}
