//! Tables, views and partitions as they are kept.

use std::collections::BTreeSet;

use ambient::Ambient;
use aws_wire::Identity;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::catalogs::{CatalogName, DEFAULT_DATABASE, Database};
use crate::grants::{Grants, SETTINGS, Settings};
use crate::lakehouse::{Lakehouse, Region};
use crate::own::access::location_of;
use crate::own::reading::is_view;
use crate::policy::{CellsFilter, EVERYBODY, Grant, Granted, Permission, TableId};
use crate::store::{Document, Store, StoreError};

/// A table or a view of the default catalog. The key is `database/table`. Kept as it is here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct GlueTable {
    /// Glue's TableInput.
    pub input: Map<String, Value>,
    pub created_ms: i64,
    pub updated_ms: i64,
    /// An ARN.
    pub created_by: String,
    pub version: u64,
}

/// A partition. The key is `database/table/` and its values as JSON. Kept as it is here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct GluePartition {
    /// Glue's PartitionInput.
    pub input: Map<String, Value>,
    pub created_ms: i64,
}

impl Document for GlueTable {
    const KIND: &'static str = "table";
}

impl Document for GluePartition {
    const KIND: &'static str = "partition";
}

impl GluePartition {
    pub(crate) fn values(&self) -> Vec<String> {
        let values = self.input.get("Values").and_then(Value::as_array);
        values.into_iter().flatten().filter_map(|value| value.as_str().map(str::to_owned)).collect()
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum OwnError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was asked for cannot be.
    #[error("{0}")]
    Invalid(String),
    #[error("{0} does not exist")]
    Missing(String),
}

type Result<T, E = OwnError> = std::result::Result<T, E>;

/// The default catalog of a region, for one caller. Names are in lower case. Every method may block.
pub(crate) struct Own<'a> {
    pub store: &'a Store,
    pub grants: &'a Grants,
    pub lakehouse: &'a dyn Lakehouse,
    pub ambient: &'a Ambient,
    pub region: &'a Region,
    pub identity: &'a Identity,
}

/// A database of the default catalog that is no link; `None` where it is one, or does not exist.
pub(crate) fn database(store: &Store, region: &Region, name: &str) -> Result<Option<Database>, StoreError> {
    let found: Option<Database> = store.get(&region.key(), name)?;
    Ok(match found {
        None if name == DEFAULT_DATABASE => Some(Database::default()),
        found => found.filter(|database| database.target.is_none()),
    })
}

pub(crate) fn tables(store: &Store, region: &Region, database: &str) -> Result<Vec<(String, GlueTable)>, StoreError> {
    let prefix = format!("{database}/");
    let listed: Vec<(String, GlueTable)> = store.list(&region.key(), &prefix)?;
    Ok(listed.into_iter().map(|(key, table)| (key[prefix.len()..].to_owned(), table)).collect())
}

pub(crate) fn table(
    store: &Store,
    region: &Region,
    database: &str,
    name: &str,
) -> Result<Option<GlueTable>, StoreError> {
    store.get(&region.key(), &format!("{database}/{name}"))
}

pub(crate) fn partitions(
    store: &Store,
    region: &Region,
    database: &str,
    name: &str,
) -> Result<Vec<GluePartition>, StoreError> {
    let listed: Vec<(String, GluePartition)> = store.list(&region.key(), &format!("{database}/{name}/"))?;
    Ok(listed.into_iter().map(|(_, partition)| partition).collect())
}

impl Own<'_> {
    /// Tells whether the name was free.
    pub(crate) fn create(&self, database: &str, mut input: Map<String, Value>) -> Result<bool> {
        if self::database(self.store, self.region, database)?.is_none() {
            return Err(OwnError::Missing(format!("Database {database}")));
        }
        let name = self.checked(&mut input)?;
        let now = self.ambient.now_ms();
        let created_by = self.identity.arn.clone();
        let table = GlueTable { input, created_ms: now, updated_ms: now, created_by, version: 0 };
        let id = TableId::new(&CatalogName::Default, database, &name);
        let settings: Settings = self.store.get(&self.region.key(), SETTINGS)?.unwrap_or_default();
        let defaults = default_grants(&settings, "CreateTableDefaultPermissions", Granted::Table(id.clone()));
        let own = Grant {
            principal: self.identity.arn.clone(),
            resource: Granted::Table(id),
            permissions: [Permission::All].into(),
            grantable: [Permission::All].into(),
        };
        let is_new = self.grants.change(self.region, |store: &Store| {
            let is_new = store.insert(&self.region.key(), &format!("{database}/{name}"), &table)?;
            if is_new {
                for grant in defaults.iter().chain((!self.identity.is_administrator).then_some(&own)) {
                    put_grant(store, self.region, grant)?;
                }
            }
            Ok::<_, StoreError>(is_new)
        })?;
        Ok(is_new)
    }

    /// Puts another description in the place of the one that is there.
    pub(crate) fn update(&self, database: &str, mut input: Map<String, Value>) -> Result<()> {
        let name = self.checked(&mut input)?;
        let earlier = self.table(database, &name)?;
        let updated_ms = self.ambient.now_ms();
        let table = GlueTable { input, updated_ms, version: earlier.version + 1, ..earlier };
        Ok(self.store.put(&self.region.key(), &format!("{database}/{name}"), &table)?)
    }

    /// Removes a table, its partitions and what was granted on it.
    pub(crate) fn delete(&self, database: &str, name: &str) -> Result<()> {
        self.table(database, name)?;
        let id = TableId::new(&CatalogName::Default, database, name);
        let is_on = |resource: &Granted| match resource {
            Granted::Table(of)
            | Granted::Columns(of, _)
            | Granted::AllColumnsBut(of, _)
            | Granted::CellsFilter(of, _) => *of == id,
            _ => false,
        };
        let region = self.region.key();
        self.grants.change(self.region, |store: &Store| {
            store.delete::<GlueTable>(&region, &format!("{database}/{name}"))?;
            for (key, _) in store.list::<GluePartition>(&region, &format!("{database}/{name}/"))? {
                store.delete::<GluePartition>(&region, &key)?;
            }
            for (key, grant) in store.list::<Grant>(&region, "")? {
                if is_on(&grant.resource) {
                    store.delete::<Grant>(&region, &key)?;
                }
            }
            for (key, filter) in store.list::<CellsFilter>(&region, "")? {
                if filter.table == id {
                    store.delete::<CellsFilter>(&region, &key)?;
                }
            }
            Ok::<_, StoreError>(())
        })?;
        Ok(())
    }

    pub(crate) fn table(&self, database: &str, name: &str) -> Result<GlueTable> {
        let found = table(self.store, self.region, database, name)?;
        found.ok_or_else(|| OwnError::Missing(format!("Table {database}.{name}")))
    }

    /// Adds a partition, in the place of one with its values where that is wanted. Tells whether there was none.
    pub(crate) fn put_partition(
        &self,
        database: &str,
        name: &str,
        mut input: Map<String, Value>,
        replaces: bool,
    ) -> Result<bool> {
        let table = self.table(database, name)?;
        let keys = table.input.get("PartitionKeys").and_then(Value::as_array).map_or(0, Vec::len);
        let partition = GluePartition { input: input.clone(), created_ms: self.ambient.now_ms() };
        let values = partition.values();
        if values.len() != keys || keys == 0 {
            let message = format!("The number of partition keys do not match the number of partition values: {keys}");
            return Err(OwnError::Invalid(message));
        }
        if let Some(location) = location_of(&input) {
            self.check_location(&location)?;
        } else {
            let folders = partition_folders(&table, &values);
            let base = location_of(&table.input).unwrap_or_default();
            let mut storage = table.input.get("StorageDescriptor").cloned().unwrap_or_else(|| json!({}));
            storage["Location"] = format!("{}/{folders}/", base.trim_end_matches('/')).into();
            input.insert("StorageDescriptor".to_owned(), storage);
        }
        let partition = GluePartition { input, ..partition };
        let key = partition_key(database, name, &values);
        if self.store.insert(&self.region.key(), &key, &partition)? {
            return Ok(true);
        }
        if replaces {
            self.store.put(&self.region.key(), &key, &partition)?;
        }
        Ok(false)
    }

    /// Tells whether there was such a partition.
    pub(crate) fn delete_partition(&self, database: &str, name: &str, values: &[String]) -> Result<bool> {
        Ok(self.store.delete::<GluePartition>(&self.region.key(), &partition_key(database, name, values))?)
    }

    /// Names in lower case, and a location that can be read. Gives the table's name.
    fn checked(&self, input: &mut Map<String, Value>) -> Result<String> {
        let name = input.get("Name").and_then(Value::as_str).unwrap_or_default().to_lowercase();
        if name.is_empty() || name.len() > 255 || name.contains(['/', '\n', '\r', '\t']) {
            return Err(OwnError::Invalid("Table name is not valid".to_owned()));
        }
        input.insert("Name".to_owned(), name.as_str().into());
        let parameter = |name: &str| input.get("Parameters").and_then(|parameters| parameters[name].as_str());
        if parameter("table_type").is_some_and(|of| of.eq_ignore_ascii_case("iceberg")) {
            let message = "Iceberg tables are in table buckets here. Try: aws s3tables create-table";
            return Err(OwnError::Invalid(message.to_owned()));
        }
        if !is_view(input) {
            let location = location_of(input).unwrap_or_default();
            self.check_location(&location)?;
        }
        Ok(name)
    }

    fn check_location(&self, location: &str) -> Result<()> {
        let bucket = location.strip_prefix("s3://").or_else(|| location.strip_prefix("s3a://"));
        let bucket = bucket.map(|rest| rest.split('/').next().unwrap_or(rest)).filter(|bucket| !bucket.is_empty());
        let Some(bucket) = bucket else {
            return Err(OwnError::Invalid(format!("Location {location:?} is not in S3. Try: s3://bucket/prefix/")));
        };
        // Tables of the lake keep their files to themselves.
        if bucket.ends_with("--table-s3") || self.lakehouse.objects(bucket).is_none() {
            return Err(OwnError::Invalid(format!("Location {location}: there is no bucket {bucket} here")));
        }
        Ok(())
    }
}

/// The grants that a new resource begins with: Lake Formation's settings say which, to everybody where they do not.
pub(crate) fn default_grants(settings: &Settings, setting: &str, resource: Granted) -> Vec<Grant> {
    let grant = |principal: &str, permissions: BTreeSet<Permission>| Grant {
        principal: principal.to_owned(),
        resource: resource.clone(),
        permissions,
        grantable: BTreeSet::new(),
    };
    let Some(listed) = settings.others.get(setting).and_then(Value::as_array) else {
        return vec![grant(EVERYBODY, [Permission::All].into())];
    };
    let of_entry = |entry: &Value| {
        let principal = entry["Principal"]["DataLakePrincipalIdentifier"].as_str()?;
        let permissions = serde_json::from_value(entry["Permissions"].clone()).ok()?;
        Some(grant(principal, permissions))
    };
    listed.iter().filter_map(of_entry).collect()
}

/// Keeps a grant where grants are looked for.
pub(crate) fn put_grant(store: &Store, region: &Region, grant: &Grant) -> Result<(), StoreError> {
    let key = format!("{} {}", grant.principal, serde_json::to_string(&grant.resource)?);
    store.put(&region.key(), &key, grant)
}

fn partition_key(database: &str, name: &str, values: &[String]) -> String {
    format!("{database}/{name}/{}", json!(values))
}

fn partition_folders(table: &GlueTable, values: &[String]) -> String {
    let keys = table.input.get("PartitionKeys").and_then(Value::as_array);
    let folder = |(key, value): (&Value, &String)| {
        let value = query::folder_value(value);
        format!("{}={value}", key["Name"].as_str().unwrap_or_default().to_lowercase())
    };
    keys.into_iter().flatten().zip(values).map(folder).collect::<Vec<_>>().join("/")
}
