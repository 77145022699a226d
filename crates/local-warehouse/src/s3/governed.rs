//! Objects of governed tables, and of queries' results: only for those who may read all of them.

use aws_wire::{Action, Identity};
use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;
use s3s::{S3Result, s3_error};

use crate::catalog::Catalog;
use crate::governance::{Governance, Reach};

/// The rights on objects. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Rights {
    pub(crate) governance: Governance,
    pub(crate) catalog: std::sync::Arc<Catalog>,
}

impl Rights {
    /// Refuses a request that reaches for what its caller may not. `path` is raw.
    pub(super) fn check(
        &self,
        identity: Option<&Identity>,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
    ) -> S3Result<()> {
        if identity.is_some_and(|identity| identity.is_administrator) {
            return Ok(());
        }
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        self.check_object(identity, if is_read { Action::Select } else { Action::Insert }, path)?;
        match headers.get("x-amz-copy-source").and_then(|source| source.to_str().ok()) {
            Some(source) => self.check_object(identity, Action::Select, source.split('?').next().unwrap_or_default()),
            None => Ok(()),
        }
    }

    fn check_object(&self, identity: Option<&Identity>, action: Action, path: &str) -> S3Result<()> {
        let decoded = percent_decode_str(path).decode_utf8_lossy();
        let path = decoded.strip_prefix('/').unwrap_or(&decoded);
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let table = self.catalog.table_of_warehouse(bucket).map_err(|_| s3_error!(InternalError))?;
        let is_allowed = match (table, identity) {
            (Some(_), None) => false,
            (Some(table), Some(identity)) => {
                let reach = match action {
                    Action::Select => Reach::WholeTable(&table.name),
                    action => Reach::Table(action, &table.name),
                };
                self.governance.allows(identity, &table.arn.bucket, reach)
            }
            (None, identity) => self.governance.allows_object(identity, action, bucket, key),
        };
        if is_allowed { Ok(()) } else { Err(s3_error!(AccessDenied, "Access Denied")) }
    }
}
