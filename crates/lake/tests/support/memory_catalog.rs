//! A catalog in memory that speaks the REST protocol below the HTTP client, and plays faults from a script.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use http::{Method, Request, Response};
use iceberg::spec::{TableMetadata, TableMetadataBuilder};
use iceberg::{TableIdent, TableUpdate};
use iceberg_catalog_rest::{CommitTableRequest, CommitTableResponse, CreateTableRequest, LoadTableResult};
use lake::{Error, ErrorKind, Transport, TransportError};
use serde_json::json;
use tokio::sync::Notify;

use super::clock::Clock;

/// What happens to one commit request.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// Refused with 409 for no reason of the table's.
    Reject409,
    Forbid403,
    FailBefore503,
    FailAfterWrite503,
    /// The connection breaks before a byte is sent.
    NotSent,
    /// The connection breaks after the commit.
    Reset,
    /// A 200 whose body is cut.
    Unreadable,
    /// Swallowed; it arrives at [`MemoryCatalog::release`].
    Hold,
    /// Those that are held arrive just before this one.
    ReleaseFirst,
    /// Takes its time: it is held, too, but its sender waits for the answer, until [`MemoryCatalog::go_on`].
    Slow,
}

/// A commit of ours that landed.
#[derive(Clone, Debug)]
pub struct LandedCommit {
    pub epoch: u64,
    pub commit_id: String,
}

pub struct MemoryCatalog {
    state: Mutex<State>,
    held_one: Notify,
    go_on: Notify,
}

struct State {
    clock: Clock,
    /// Where tables are made, such as `s3://warehouse`.
    root: String,
    namespaces: BTreeSet<String>,
    tables: BTreeMap<String, Stored>,
    commit_faults: VecDeque<Fault>,
    load_failures: usize,
    held: Vec<(String, Bytes)>,
    landed: Vec<LandedCommit>,
    commit_bodies: Vec<Bytes>,
}

struct Stored {
    metadata: TableMetadata,
    location: String,
    version: u32,
}

type Answer = (u16, Vec<u8>);

impl MemoryCatalog {
    pub fn new(root: String, clock: Clock) -> Self {
        let state = State {
            clock,
            root,
            namespaces: BTreeSet::new(),
            tables: BTreeMap::new(),
            commit_faults: VecDeque::new(),
            load_failures: 0,
            held: Vec::new(),
            landed: Vec::new(),
            commit_bodies: Vec::new(),
        };
        Self { state: Mutex::new(state), held_one: Notify::default(), go_on: Notify::default() }
    }

    /// Plays `faults` on the next commit requests, one each.
    pub fn script(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state().commit_faults.extend(faults);
    }

    /// Forgets faults that were not played, and that a request was held.
    pub fn clear_script(&self) {
        self.state().commit_faults.clear();
        let _ = self.held_one.notified().now_or_never();
    }

    /// Answers the next loads of a table with 503.
    pub fn fail_loads(&self, count: usize) {
        self.state().load_failures = count;
    }

    /// Completes when a request is held.
    pub async fn held_one(&self) {
        self.held_one.notified().await;
    }

    /// Lets a slow request arrive.
    pub fn go_on(&self) {
        self.go_on.notify_one();
    }

    /// Lets the held requests arrive now, and gives the status of each.
    pub fn release(&self) -> Vec<u16> {
        self.state().release()
    }

    /// Our commits in the order in which they landed.
    pub fn landed(&self) -> Vec<LandedCommit> {
        self.state().landed.clone()
    }

    /// The commit requests that came, in order.
    pub fn commit_bodies(&self) -> Vec<Bytes> {
        self.state().commit_bodies.clone()
    }

    /// Changes a table behind everybody's back.
    pub fn meddle(&self, table: &TableIdent, updates: impl FnOnce(&TableMetadata) -> Vec<TableUpdate>) {
        let mut state = self.state();
        let path = format!("{}/tables/{}", table.namespace().to_url_string(), table.name());
        let clock = state.clock.clone();
        let stored = state.tables.get_mut(&path).unwrap();
        let updates = updates(&stored.metadata);
        stored.apply(updates, &clock).unwrap();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn commit(&self, path: &str, body: &Bytes, fault: Option<Fault>) -> Result<Answer, TransportError> {
        let error = |text: &str| Error::new(ErrorKind::Transient, text);
        let mut state = self.state();
        state.commit_bodies.push(body.clone());
        Ok(match fault {
            None | Some(Fault::Slow) => state.commit(path, body),
            Some(Fault::Reject409) => (409, refused("busy")),
            Some(Fault::Forbid403) => (403, refused("forbidden")),
            Some(Fault::FailBefore503) => (503, refused("slow down")),
            Some(Fault::FailAfterWrite503) => {
                state.commit(path, body);
                (503, refused("slow down"))
            }
            Some(Fault::ReleaseFirst) => {
                state.release();
                state.commit(path, body)
            }
            Some(Fault::NotSent) => return Err(TransportError::NotSent(error("connection refused"))),
            Some(Fault::Reset) => {
                state.commit(path, body);
                return Err(TransportError::NoAnswer(error("connection reset")));
            }
            Some(Fault::Unreadable) => {
                let (status, body) = state.commit(path, body);
                (status, body[..body.len() / 2].to_vec())
            }
            Some(Fault::Hold) => {
                state.held.push((path.to_owned(), body.clone()));
                self.held_one.notify_one();
                return Err(TransportError::NoAnswer(error("timed out")));
            }
        })
    }
}

#[async_trait]
impl Transport for MemoryCatalog {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let path = request.uri().path().strip_prefix("/catalog/v1/").unwrap_or_default();
        let segments: Vec<&str> = path.split('/').collect();
        let (status, body) = match (request.method(), segments.as_slice()) {
            (&Method::POST, ["lake", "namespaces", namespace, "tables", table]) => {
                let fault = self.state().commit_faults.pop_front();
                if let Some(Fault::Slow) = fault {
                    self.held_one.notify_one();
                    self.go_on.notified().await;
                }
                self.commit(&format!("{namespace}/tables/{table}"), request.body(), fault)?
            }
            (method, segments) => self.state().answer(method, segments, request.body()),
        };
        Ok(Response::builder().status(status).body(body.into()).unwrap())
    }
}

impl State {
    fn answer(&mut self, method: &Method, segments: &[&str], body: &Bytes) -> Answer {
        match (method, segments) {
            (&Method::GET, ["config"]) => (200, json(&json!({"defaults": {}, "overrides": {"prefix": "lake"}}))),
            (&Method::POST, ["lake", "namespaces"]) => self.create_namespace(body),
            (&Method::GET, ["lake", "namespaces"]) => {
                let names: Vec<_> = self.namespaces.iter().map(|name| [name]).collect();
                (200, json(&json!({"namespaces": names})))
            }
            (&Method::GET, ["lake", "namespaces", namespace]) if self.namespaces.contains(*namespace) => {
                (200, json(&json!({"namespace": [namespace], "properties": {}})))
            }
            (&Method::POST, ["lake", "namespaces", namespace, "tables"]) => self.create_table(namespace, body),
            (&Method::GET, ["lake", "namespaces", namespace, "tables"]) => {
                let names = self.tables.keys().filter_map(|path| path.strip_prefix(&format!("{namespace}/tables/")));
                let identifiers: Vec<_> = names.map(|name| json!({"namespace": [namespace], "name": name})).collect();
                (200, json(&json!({"identifiers": identifiers})))
            }
            (&Method::GET, ["lake", "namespaces", _, "tables", _]) if self.load_failures > 0 => {
                self.load_failures -= 1;
                (503, refused("slow down"))
            }
            (&Method::GET, ["lake", "namespaces", namespace, "tables", table]) => {
                self.load(&format!("{namespace}/tables/{table}"))
            }
            _ => (404, refused("not found")),
        }
    }

    fn release(&mut self) -> Vec<u16> {
        let held = std::mem::take(&mut self.held);
        held.into_iter().map(|(path, body)| self.commit(&path, &body).0).collect()
    }

    fn create_namespace(&mut self, body: &Bytes) -> Answer {
        let request: serde_json::Value = serde_json::from_slice(body).unwrap();
        self.namespaces.insert(request["namespace"][0].as_str().unwrap().to_owned());
        (200, body.to_vec())
    }

    fn create_table(&mut self, namespace: &str, body: &Bytes) -> Answer {
        let request: CreateTableRequest = serde_json::from_slice(body).unwrap();
        let path = format!("{namespace}/tables/{}", request.name);
        if self.tables.contains_key(&path) {
            return (409, refused("table exists"));
        }
        let root = format!("{}/{namespace}/{}", self.root, request.name);
        let creation = iceberg::TableCreation::builder()
            .name(request.name)
            .location(root.clone())
            .schema(request.schema)
            .partition_spec_opt(request.partition_spec)
            .sort_order_opt(request.write_order)
            .properties(request.properties)
            .build();
        let metadata = TableMetadataBuilder::from_table_creation(creation).unwrap().build().unwrap().metadata;
        let metadata = dated(&metadata, &self.clock);
        let location = format!("{root}/metadata/v0.metadata.json");
        self.tables.insert(path.clone(), Stored { metadata, location, version: 0 });
        self.load(&path)
    }

    fn load(&self, path: &str) -> Answer {
        let Some(stored) = self.tables.get(path) else {
            return (404, refused("no such table"));
        };
        let result = LoadTableResult {
            metadata_location: Some(stored.location.clone()),
            metadata: stored.metadata.clone(),
            config: Default::default(),
            storage_credentials: None,
        };
        (200, json(&result))
    }

    fn commit(&mut self, path: &str, body: &Bytes) -> Answer {
        let request: CommitTableRequest = serde_json::from_slice(body).unwrap();
        let Some(stored) = self.tables.get_mut(path) else {
            return (404, refused("no such table"));
        };
        for requirement in &request.requirements {
            if let Err(error) = requirement.check(Some(&stored.metadata)) {
                return (409, refused(&error.to_string()));
            }
        }
        let summary = request.updates.iter().find_map(|update| match update {
            TableUpdate::AddSnapshot { snapshot } => Some(snapshot.summary().additional_properties.clone()),
            _ => None,
        });
        if let Err(error) = stored.apply(request.updates, &self.clock) {
            return (400, refused(&error.to_string()));
        }
        // Maintenance carries the stamp of the commit before it.
        let own = summary.filter(|summary| !summary.contains_key("dynaberg.maintenance-id"));
        self.landed.extend(own.map(|summary| LandedCommit {
            epoch: summary["dynaberg.epoch"].parse().unwrap(),
            commit_id: summary["dynaberg.commit-id"].clone(),
        }));
        let response =
            CommitTableResponse { metadata_location: stored.location.clone(), metadata: stored.metadata.clone() };
        (200, json(&response))
    }
}

impl Stored {
    fn apply(&mut self, updates: Vec<TableUpdate>, clock: &Clock) -> iceberg::Result<()> {
        let mut builder = self.metadata.clone().into_builder(Some(self.location.clone()));
        for update in updates {
            builder = update.apply(builder)?;
        }
        self.metadata = dated(&builder.build()?.metadata, clock);
        self.version += 1;
        self.location = format!("{}/metadata/v{}.metadata.json", self.metadata.location(), self.version);
        Ok(())
    }
}

/// The metadata as of the world's time; the builder of the iceberg crate asks the machine.
fn dated(metadata: &TableMetadata, clock: &Clock) -> TableMetadata {
    let newest = metadata.snapshots().map(|snapshot| snapshot.timestamp_ms()).max().unwrap_or(0);
    let now_ms = clock.now_ms().max(newest);
    let mut written = json!(metadata);
    written["last-updated-ms"] = now_ms.into();
    for entry in written["snapshot-log"].as_array_mut().into_iter().flatten() {
        entry["timestamp-ms"] = entry["timestamp-ms"].as_i64().unwrap().min(now_ms).into();
    }
    serde_json::from_value(written).unwrap()
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap()
}

fn refused(message: &str) -> Vec<u8> {
    json(&json!({"error": {"message": message, "type": "Scripted", "code": 0}}))
}
