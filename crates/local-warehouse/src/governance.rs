//! Asks who may do what, for all fronts. An administrator of the account is never in the way of a grant.

use std::fmt;
use std::sync::Arc;

use aws_wire::{Action, Authorizer, Identity, Resource};

use crate::catalog::{TableBucketArn, TableName};

/// Whoever decides. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Governance(pub Arc<dyn Authorizer>);

/// What of a table bucket somebody wants to reach.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reach<'a> {
    Bucket(Action),
    Namespace(Action, &'a str),
    Table(Action, &'a TableName),
    /// Everything that is in the table: its files, or what leads to them.
    WholeTable(&'a TableName),
}

impl Governance {
    pub(crate) fn allows(&self, identity: &Identity, bucket: &TableBucketArn, reach: Reach<'_>) -> bool {
        // Grants are an account's own.
        if bucket.account != identity.account_id {
            return identity.is_administrator;
        }
        let (region, table_bucket) = (bucket.region.as_str(), bucket.name.as_str());
        match reach {
            Reach::Bucket(action) => {
                self.0.decide(identity, action, &Resource::TableBucket { region, table_bucket }).is_allowed()
            }
            Reach::Namespace(action, namespace) => {
                let resource = Resource::Namespace { region, table_bucket, namespace };
                self.0.decide(identity, action, &resource).is_allowed()
            }
            Reach::Table(action, name) => self.0.decide(identity, action, &table(bucket, name)).is_allowed(),
            Reach::WholeTable(name) => self.0.decide(identity, Action::Select, &table(bucket, name)).is_whole(),
        }
    }

    /// Tells whether an object that is no table's may be reached. Nobody at all is as good as a stranger.
    pub(crate) fn allows_object(&self, identity: Option<&Identity>, action: Action, bucket: &str, key: &str) -> bool {
        let stranger = Identity { account_id: String::new(), arn: String::new(), is_administrator: false };
        self.0.decide(identity.unwrap_or(&stranger), action, &Resource::Object { bucket, key }).is_allowed()
    }
}

fn table<'a>(bucket: &'a TableBucketArn, name: &'a TableName) -> Resource<'a> {
    let (namespace, table) = (name.namespace.as_str(), name.name.as_str());
    Resource::Table { region: &bucket.region, table_bucket: &bucket.name, namespace, table }
}

impl fmt::Debug for Governance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Governance")
    }
}
