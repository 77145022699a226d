//! Who callers are, and the keys of those who are ours: pipelines and functions.

use std::sync::Arc;

use ambient::Ambient;
use aws_credential_types::Credentials;
use aws_wire::{AccessKey, Authentication, DEFAULT_ACCOUNT_ID, Identity, KnownKeys};
use local_delivery::{CredentialsOf, FunctionCredentials};

use crate::cli::Auth;
use crate::failure::{Exit, Failure, Outcome};

/// How callers prove who they are, and how our own do.
pub struct Keys {
    pub authentication: Authentication,
    pub pipelines: Credentials,
    pub functions: CredentialsOf,
}

pub fn keys(auth: Auth, ambient: &Ambient) -> Outcome<Keys> {
    match auth {
        Auth::Dev => Ok(Keys {
            authentication: Authentication::Dev,
            pipelines: Credentials::from_keys("dev", "dev", None),
            functions: Arc::new(role_session),
        }),
        Auth::Strict => {
            let mut known = from_environment()?;
            let (id, secret) = ("dynaberg-pipelines", ambient.uuid().to_string());
            known.insert(id, access_key(&secret, Identity::administrator(DEFAULT_ACCOUNT_ID)));
            let pipelines = Credentials::from_keys(id, secret, None);
            let (id, secret) = ("dynaberg-functions", ambient.uuid().to_string());
            known.insert(id, access_key(&secret, Identity::user(id)));
            let functions =
                FunctionCredentials { access_key_id: id.to_owned(), secret_access_key: secret, session_token: None };
            let authentication = Authentication::Strict(Arc::new(known));
            Ok(Keys { authentication, pipelines, functions: Arc::new(move |_, _| functions.clone()) })
        }
    }
}

/// The session of a function's role, which is what the function is on AWS. Any key is taken at its word here.
fn role_session(role_arn: &str, function: &str) -> FunctionCredentials {
    let account_id = role_arn.split(':').nth(4).unwrap_or(DEFAULT_ACCOUNT_ID);
    let role = role_arn.rsplit('/').next().unwrap_or_default();
    FunctionCredentials {
        access_key_id: Identity::session_access_key(account_id, role, function),
        secret_access_key: "dev".to_owned(),
        session_token: Some("dev".to_owned()),
    }
}

/// `DYNABERG_KEYS`: `ID:SECRET` pairs, separated by commas.
fn from_environment() -> Outcome<KnownKeys> {
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
fn access_key(secret: &str, identity: Identity) -> AccessKey {
    AccessKey { secret_access_key: secret.to_owned(), session_token: None, identity }
}
