//! Access keys that signatures are verified against.

use std::collections::HashMap;

use crate::Identity;

/// Where secrets of access keys come from. S3 verifies its own signatures, from the same store.
pub trait KeyStore: Send + Sync {
    /// The key of that id, unless it is unknown or has expired.
    fn find(&self, access_key_id: &str) -> Option<AccessKey>;
}

/// A secret, and whom it makes.
#[derive(Clone)]
pub struct AccessKey {
    pub secret_access_key: String,
    /// Temporary credentials are valid only together with this token.
    pub session_token: Option<String>,
    pub identity: Identity,
}

impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessKey").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// The long-lived keys that an operator configured.
#[derive(Clone, Debug, Default)]
pub struct KnownKeys {
    keys: HashMap<String, AccessKey>,
}

impl KnownKeys {
    /// Adds a key, in place of an earlier one of the same id.
    pub fn insert(&mut self, access_key_id: impl Into<String>, key: AccessKey) {
        self.keys.insert(access_key_id.into(), key);
    }
}

impl KeyStore for KnownKeys {
    fn find(&self, access_key_id: &str) -> Option<AccessKey> {
        self.keys.get(access_key_id).cloned()
    }
}
