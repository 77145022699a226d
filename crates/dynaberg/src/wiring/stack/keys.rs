//! The access keys that `--auth strict` knows.

use aws_wire::{AccessKey, Identity, KnownKeys};

use crate::failure::{Exit, Failure, Outcome};

/// `DYNABERG_KEYS`: `ID:SECRET` pairs, separated by commas.
pub fn from_environment() -> Outcome<KnownKeys> {
    let advice = "export DYNABERG_KEYS=ID:SECRET[,ID:SECRET…]";
    let missing = || Failure::new(Exit::Configuration, "--auth strict needs known keys").advise(advice);
    let text = std::env::var("DYNABERG_KEYS").map_err(|_| missing())?;
    let mut keys = KnownKeys::default();
    for pair in text.split(',') {
        let (id, secret) = pair.trim().split_once(':').ok_or_else(missing)?;
        if id.is_empty() || secret.is_empty() {
            return Err(missing());
        }
        keys.insert(id, access_key(secret, Identity::of_access_key(id).ok_or_else(missing)?));
    }
    Ok(keys)
}

/// A long-lived key of `identity`.
pub fn access_key(secret: &str, identity: Identity) -> AccessKey {
    AccessKey { secret_access_key: secret.to_owned(), session_token: None, identity }
}
