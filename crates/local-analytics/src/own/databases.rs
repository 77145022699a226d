//! Databases of the default catalog: for Glue's API and for SQL.

use crate::catalogs::{CatalogName, DEFAULT_DATABASE, Database};
use crate::grants::{SETTINGS, Settings};
use crate::own::documents::{self, Own, OwnError, default_grants, put_grant};
use crate::policy::Granted;
use crate::store::{Store, StoreError};

type Result<T> = std::result::Result<T, OwnError>;

impl Own<'_> {
    /// Tells whether the name was free. It folds to lower case.
    pub(crate) fn create_database(&self, name: &str, database: &Database) -> Result<bool> {
        let name = checked_name(name)?;
        let settings: Settings = self.store.get(&self.region.key(), SETTINGS)?.unwrap_or_default();
        let resource = Granted::Database { catalog: CatalogName::Default.path(), database: name.clone() };
        let grants = match database.target {
            // What a link leads to has grants of its own.
            Some(_) => Vec::new(),
            None => default_grants(&settings, "CreateDatabaseDefaultPermissions", resource),
        };
        let is_new = self.grants.change(self.region, |store: &Store| {
            let is_new = name != DEFAULT_DATABASE && store.insert(&self.region.key(), &name, database)?;
            for grant in grants.iter().filter(|_| is_new) {
                put_grant(store, self.region, grant)?;
            }
            Ok::<_, StoreError>(is_new)
        })?;
        Ok(is_new)
    }

    /// Removes a database and its tables, or a link alone. Tells whether it was there.
    pub(crate) fn delete_database(&self, name: &str) -> Result<bool> {
        let name = name.to_lowercase();
        if self.store.get::<Database>(&self.region.key(), &name)?.is_none() {
            return Ok(false);
        }
        for (table, _) in documents::tables(self.store, self.region, &name)? {
            self.delete(&name, &table)?;
        }
        Ok(self.store.delete::<Database>(&self.region.key(), &name)?)
    }
}

fn checked_name(name: &str) -> Result<String> {
    let is_valid = (1..=255).contains(&name.len()) && !name.contains(['/', '\n', '\r', '\t']);
    if is_valid { Ok(name.to_lowercase()) } else { Err(OwnError::Invalid("Database name is not valid".to_owned())) }
}
