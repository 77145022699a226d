//! The AWS Glue Data Catalog: table buckets as federated catalogs, and databases that are links to their namespaces.
//!
//! `names` reads catalogs, databases and tables; `links` makes and removes databases of the default catalog; `tables` and
//! `partitions` are about what such a database keeps itself.

mod links;
mod names;
mod partitions;
mod tables;

use std::sync::Arc;

use ambient::Ambient;
use async_trait::async_trait;
use aws_wire::{AwsError, Caller, JsonService, JsonVersion};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::catalogs::CatalogName;
use crate::grants::Grants;
use crate::json;
use crate::lakehouse::{Lakehouse, Region};
use crate::own::Own;
use crate::store::Store;
use crate::view::View;

/// The endpoint. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Glue {
    pub(crate) store: Arc<Store>,
    pub(crate) lakehouse: Arc<dyn Lakehouse>,
    pub(crate) grants: Arc<Grants>,
    pub(crate) ambient: Ambient,
}

/// A request, taken apart.
struct Call<'a> {
    glue: &'a Glue,
    caller: &'a Caller,
    region: Region,
    body: &'a [u8],
}

type Answer = Result<Value, AwsError>;

#[async_trait]
impl JsonService for Glue {
    fn target_prefix(&self) -> &'static str {
        "AWSGlue"
    }

    fn json_version(&self) -> JsonVersion {
        JsonVersion::V1_1
    }

    async fn call(&self, caller: &Caller, operation: &str, body: Bytes) -> Result<Bytes, AwsError> {
        let (glue, caller, operation) = (self.clone(), caller.clone(), operation.to_owned());
        let answer = tokio::task::spawn_blocking(move || {
            let call = Call { glue: &glue, caller: &caller, region: json::region(&caller), body: &body };
            route(&call, &operation)
        });
        let answer = answer.await.map_err(|panic| json::internal("InternalServiceException", &panic))??;
        Ok(answer.to_string().into())
    }
}

fn route(call: &Call<'_>, operation: &str) -> Answer {
    match operation {
        "GetCatalogs" => names::get_catalogs(call),
        "GetCatalog" => names::get_catalog(call),
        "GetDatabases" => names::get_databases(call),
        "GetDatabase" => names::get_database(call),
        "GetTables" => names::get_tables(call),
        "GetTable" => names::get_table(call),
        "GetTableVersions" => names::get_table_versions(call),
        "SearchTables" => names::search_tables(call),
        "CreateTable" => tables::create(call),
        "UpdateTable" => tables::update(call),
        "DeleteTable" => tables::delete(call),
        "BatchDeleteTable" => tables::batch_delete(call),
        "GetPartitions" => partitions::list(call),
        "GetPartition" => partitions::get(call),
        "BatchGetPartition" => partitions::batch_get(call),
        "CreatePartition" => partitions::create(call),
        "BatchCreatePartition" => partitions::batch_create(call),
        "UpdatePartition" => partitions::update(call),
        "DeletePartition" => partitions::delete(call),
        "BatchDeletePartition" => partitions::batch_delete(call),
        "GetPartitionIndexes" => names::get_partition_indexes(call),
        "CreateDatabase" => links::create(call),
        "UpdateDatabase" => links::update(call),
        "DeleteDatabase" => links::delete(call),
        unknown => Err(AwsError::bad_request(
            "UnknownOperationException",
            format!("{unknown} is not an operation of Glue that this endpoint serves"),
        )),
    }
}

impl Call<'_> {
    fn parse<T: DeserializeOwned>(&self) -> Result<T, AwsError> {
        json::parse(self.body)
    }

    /// The catalogs as the caller sees them.
    fn view(&self) -> View<'_> {
        View {
            store: &self.glue.store,
            lakehouse: self.glue.lakehouse.as_ref(),
            grants: &self.glue.grants,
            region: &self.region,
            identity: &self.caller.identity,
        }
    }

    /// What the default catalog keeps itself.
    fn own(&self) -> Own<'_> {
        Own {
            store: &self.glue.store,
            grants: &self.glue.grants,
            lakehouse: self.glue.lakehouse.as_ref(),
            ambient: &self.glue.ambient,
            region: &self.region,
            identity: &self.caller.identity,
        }
    }

    fn catalog(&self, id: Option<&str>) -> Result<CatalogName, AwsError> {
        let found = CatalogName::parse(id, &self.region.account_id);
        found.ok_or_else(|| not_found(format!("Catalog {} not found.", id.unwrap_or_default())))
    }
}

fn not_found(message: impl Into<String>) -> AwsError {
    AwsError::bad_request("EntityNotFoundException", message)
}

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::bad_request("InvalidInputException", message)
}
