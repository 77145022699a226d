//! Properties that a table keeps for those who write it.

use std::collections::HashMap;
use std::time::Duration;

use iceberg::{TableIdent, TableRequirement, TableUpdate};

use crate::backoff::Backoff;
use crate::catalog::{Catalog, CommitRequest, Outcome};
use crate::error::{Error, ErrorKind, Result};

const ATTEMPTS_MAX: u32 = 20;
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(50), longest: Duration::from_secs(5) };

/// Sets properties of the table. Setting them again changes nothing, so a request that was not answered needs no care.
pub async fn set_properties(catalog: &Catalog, table: &TableIdent, properties: HashMap<String, String>) -> Result<()> {
    for attempt_number in 1..=ATTEMPTS_MAX {
        let loaded = catalog.load_table(table).await?;
        let current = loaded.metadata().properties();
        if properties.iter().all(|(name, value)| current.get(name) == Some(value)) {
            return Ok(());
        }
        let requirements = vec![TableRequirement::UuidMatch { uuid: loaded.metadata().uuid() }];
        let updates = vec![TableUpdate::SetProperties { updates: properties.clone() }];
        match catalog.try_commit(&loaded, &CommitRequest::new(&loaded, requirements, updates)?).await {
            Outcome::Applied(_) => return Ok(()),
            Outcome::Refused(error) => return Err(error),
            Outcome::Conflict(_) | Outcome::NotSent(_) | Outcome::Unknown(_) => {
                BACKOFF.wait(catalog.ambient(), attempt_number).await;
            }
        }
    }
    Err(Error::new(ErrorKind::Transient, format!("set properties of table {table}")))
}
