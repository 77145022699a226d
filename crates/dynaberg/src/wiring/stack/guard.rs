//! Users who are held to IAM policies, as the command line says.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use aws_wire::{Authentication, Guard, Identity, Policy, PolicyError};

use local_warehouse::Warehouse;

use crate::failure::{Exit, Failure, Outcome};

/// Reads the policies of `NAME=FILE`; `None` where nobody is held to one.
pub fn guard(
    policies: &[String],
    authentication: &Authentication,
    data_dir: &Path,
    warehouse: &Warehouse,
) -> Outcome<Option<Guard>> {
    if policies.is_empty() {
        return Ok(None);
    }
    let wrong = |text: &str, why: String| {
        Failure::new(Exit::Usage, format!("--enforce-policy {text}: {why}")).advise("--enforce-policy NAME=policy.json")
    };
    let mut by_arn = BTreeMap::new();
    for text in policies {
        let Some((name, file)) = text.split_once('=') else { return Err(wrong(text, "there is no `=`".to_owned())) };
        let identity = Identity::of_access_key(name).filter(|identity| !identity.is_administrator);
        let identity = identity.ok_or_else(|| wrong(text, format!("`{name}` is no user")))?;
        if !authentication.knows(name) {
            let message = format!("--enforce-policy {text}: `{name}` has no key, so nobody could call as {name}");
            return Err(Failure::new(Exit::Usage, message).advise(format!("DYNABERG_KEYS={name}:SECRET[,ID:SECRET…]")));
        }
        let document = std::fs::read_to_string(file).map_err(|error| wrong(text, error.to_string()))?;
        let policy = Policy::parse(&document).map_err(|PolicyError(why)| wrong(text, why))?;
        by_arn.insert(identity.arn, policy);
    }
    let calls = File::options().create(true).append(true).open(data_dir.join("calls.ndjson"));
    let calls = calls.map_err(|error| Failure::new(Exit::Configuration, format!("write down calls: {error}")))?;
    let warehouse = warehouse.clone();
    Ok(Some(Guard::new(by_arn, calls, Box::new(move |bucket| warehouse.table_of_files(bucket)))))
}
