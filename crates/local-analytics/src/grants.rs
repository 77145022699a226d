//! The policies that are in force: kept in the store, held in memory, asked by everybody.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ambient::Ambient;
use aws_wire::{Action, Authorizer, Columns, Decision, Identity, Resource};
use query::{Sight, Visible, Write};
use serde::{Deserialize, Serialize};

use crate::audit::{Audit, Entry, Subject};
use crate::catalogs::CatalogName;
use crate::lakehouse::Region;
use crate::own::Marker;
use crate::policy::{self, CellsFilter, Grant, Policy, Principal, TableId};
use crate::store::{Document, Result, Store};

/// Lake Formation's settings, as they were put. Kept as it is here.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub administrators: Vec<String>,
    pub read_only_administrators: Vec<String>,
    /// Members that nothing here depends on.
    pub others: serde_json::Map<String, serde_json::Value>,
}

impl Document for Settings {
    const KIND: &'static str = "data lake settings";
}

impl Document for Grant {
    const KIND: &'static str = "grant";
}

impl Document for CellsFilter {
    const KIND: &'static str = "data cells filter";
}

/// The one key of a region's settings.
pub(crate) const SETTINGS: &str = "settings";

/// Decides for all services.
pub(crate) struct Grants {
    store: Arc<Store>,
    policies: Mutex<HashMap<String, Arc<Policy>>>,
    version: AtomicU64,
    pub(crate) audit: Arc<Audit>,
}

impl Grants {
    pub(crate) fn new(store: Arc<Store>, audit: Arc<Audit>, ambient: &Ambient) -> Self {
        // No number of an earlier process: a change may lie between.
        let version = AtomicU64::new(ambient.random() as u64 >> 1);
        Self { store, policies: Mutex::default(), version, audit }
    }

    /// Another number after every change, of whatever region.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::SeqCst)
    }

    /// Makes a change that `work` writes to the store. It counts for every decision from then on.
    pub(crate) fn change<T, E>(&self, region: &Region, work: impl FnOnce(&Store) -> Result<T, E>) -> Result<T, E> {
        // Held while it is written, so that nobody reads the state before it and keeps that.
        let mut policies = self.lock();
        let changed = work(&self.store);
        policies.remove(&region.key());
        self.version.fetch_add(1, Ordering::SeqCst);
        changed
    }

    /// What is granted in a region.
    pub(crate) fn policy(&self, region: &Region) -> Result<Arc<Policy>> {
        let mut policies = self.lock();
        if let Some(policy) = policies.get(&region.key()) {
            return Ok(policy.clone());
        }
        let key = region.key();
        let settings: Settings = self.store.get(&key, SETTINGS)?.unwrap_or_default();
        let policy = Arc::new(Policy {
            administrators: settings.administrators.into_iter().collect(),
            read_only_administrators: settings.read_only_administrators.into_iter().collect(),
            grants: self.store.list(&key, "")?.into_iter().map(|(_, grant)| grant).collect(),
            filters: self.store.list(&key, "")?.into_iter().map(|(_, filter)| filter).collect(),
        });
        policies.insert(key, policy.clone());
        Ok(policy)
    }

    /// What a query of `identity` may see. Grants are those of this moment; `table_id` gives the table that a name of the
    /// query is granted under, `None` where it is nobody's.
    pub(crate) fn sight(
        &self,
        region: &Region,
        identity: &Identity,
        table_id: impl Fn(Option<&str>, &str, &str) -> Option<TableId> + Send + Sync + 'static,
    ) -> Result<Sight> {
        let policy = self.policy(region)?;
        if policy::is_administrator(&policy, principal(identity)) {
            return Ok(Sight::everything());
        }
        let table_id = Arc::new(table_id);
        let changing = {
            let (policy, identity, table_id) = (policy.clone(), identity.clone(), table_id.clone());
            move |write, catalog: Option<&str>, database: &str, table: &str| {
                let Some(table) = table_id(catalog, database, table) else { return false };
                policy::decide(&policy, principal(&identity), action(write), &table).is_allowed()
            }
        };
        let identity = identity.clone();
        let seeing = Sight::new(move |catalog, database, table, columns| {
            let table = table_id(catalog, database, table)?;
            visible(policy::decide(&policy, principal(&identity), Action::Select, &table), columns)
        });
        Ok(seeing.changing(changing))
    }

    fn decide_fallibly(&self, identity: &Identity, action: Action, resource: &Resource<'_>) -> Result<Decision> {
        let in_region = |name: &str| Region { account_id: identity.account_id.clone(), name: name.to_owned() };
        let allowed = |is_allowed: bool| if is_allowed { Decision::WHOLE } else { Decision::Denied };
        let bucket = |name: &str| CatalogName::TableBucket(name.to_owned());
        let principal = principal(identity);
        match *resource {
            Resource::TableBucket { region, table_bucket } => {
                let (policy, catalog) = (self.policy(&in_region(region))?, bucket(table_bucket));
                match action {
                    Action::Describe => Ok(allowed(policy::sees_catalog(&policy, principal, &catalog))),
                    _ => Ok(policy::decide(&policy, principal, action, &TableId::new(&catalog, "", ""))),
                }
            }
            Resource::Namespace { region, table_bucket, namespace } => {
                let (policy, catalog) = (self.policy(&in_region(region))?, bucket(table_bucket));
                match action {
                    Action::Describe => Ok(allowed(policy::sees_database(&policy, principal, &catalog, namespace))),
                    _ => Ok(policy::decide(&policy, principal, action, &TableId::new(&catalog, namespace, ""))),
                }
            }
            Resource::Table { region, table_bucket, namespace, table } => {
                let table = TableId::new(&bucket(table_bucket), namespace, table);
                Ok(policy::decide(self.policy(&in_region(region))?.as_ref(), principal, action, &table))
            }
            Resource::Object { bucket, key } => {
                let owner = self.store.result_owner(&format!("{bucket}/{key}"))?;
                if let Some(marker) = owner.as_deref().and_then(Marker::parse) {
                    return self.decide_of_table(identity, action, &marker);
                }
                Ok(allowed(identity.is_administrator || owner.is_none_or(|owner| owner == identity.arn)))
            }
        }
    }

    /// Objects of an external table are for whoever may read or change all of it.
    fn decide_of_table(&self, identity: &Identity, action: Action, marker: &Marker) -> Result<Decision> {
        let (account_id, name) = marker.region.split_once('/').unwrap_or_default();
        let region = Region { account_id: account_id.to_owned(), name: name.to_owned() };
        let decision = policy::decide(self.policy(&region)?.as_ref(), principal(identity), action, &marker.table);
        Ok(if decision == Decision::WHOLE { Decision::WHOLE } else { Decision::Denied })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Policy>>> {
        self.policies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Authorizer for Grants {
    fn decide(&self, identity: &Identity, action: Action, resource: &Resource<'_>) -> Decision {
        let decision = self.decide_fallibly(identity, action, resource).unwrap_or_else(|error| {
            tracing::error!(%error, "grants cannot be read: denied");
            Decision::Denied
        });
        if is_governed(resource, &decision) {
            let subject = Subject::Access { action, resource, decision: &decision };
            let region = region_of(resource).unwrap_or_default();
            self.audit.record(&Entry { principal: &identity.arn, region, subject });
        }
        decision
    }
}

/// Objects that are nobody's result are free for all: that is no decision.
fn is_governed(resource: &Resource<'_>, decision: &Decision) -> bool {
    !matches!(resource, Resource::Object { .. }) || !decision.is_allowed()
}

fn region_of<'a>(resource: &Resource<'a>) -> Option<&'a str> {
    match *resource {
        Resource::TableBucket { region, .. } | Resource::Namespace { region, .. } | Resource::Table { region, .. } => {
            Some(region)
        }
        Resource::Object { .. } => None,
    }
}

pub(crate) fn principal(identity: &Identity) -> Principal<'_> {
    Principal { arn: &identity.arn, is_administrator: identity.is_administrator }
}

/// The right that a change needs.
pub(crate) fn action(write: Write) -> Action {
    match write {
        Write::Insert => Action::Insert,
        Write::Delete => Action::Delete,
        Write::Alter => Action::Alter,
        Write::Drop => Action::Drop,
        Write::CreateTable => Action::CreateTable,
        Write::CreateDatabase => Action::CreateDatabase,
    }
}

/// A decision in the words of the query engine, for a table of these columns.
fn visible(decision: Decision, columns: &[&str]) -> Option<Visible> {
    let Decision::Allowed { columns: allowed, row_filter } = decision else { return None };
    let columns = match allowed {
        Columns::All => None,
        some => {
            let lower = columns.iter().filter(|column| some.contains(column)).map(|column| column.to_lowercase());
            Some(lower.collect())
        }
    };
    Some(Visible { columns, row_filter })
}
