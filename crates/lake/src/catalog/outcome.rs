//! What became of a commit request.

use ambient::Ambient;
use bytes::Bytes;
use http::{Method, Response, StatusCode};
use iceberg::table::Table;
use iceberg::{TableRequirement, TableUpdate};
use iceberg_catalog_rest::{CommitTableRequest, CommitTableResponse};

use crate::catalog::Catalog;
use crate::catalog::rest::{read_body, refusal};
use crate::catalog::transport::TransportError;
use crate::error::{Error, ErrorKind, Result};

/// A commit request as it goes over the wire. Sent again, it is the same bytes.
pub(crate) struct CommitRequest {
    body: Bytes,
}

impl CommitRequest {
    pub fn new(table: &Table, requirements: Vec<TableRequirement>, updates: Vec<TableUpdate>) -> Result<Self> {
        let request = CommitTableRequest { identifier: Some(table.identifier().clone()), requirements, updates };
        let body = serde_json::to_vec(&request).map_err(|error| {
            Error::new(ErrorKind::Unexpected, format!("write a commit of {}", table.identifier())).with_source(error)
        })?;
        Ok(Self { body: body.into() })
    }
}

/// What one try of a commit request tells.
pub(crate) enum Outcome {
    /// The table as it is with the commit.
    Applied(Box<Table>),
    /// A requirement does not hold. Says nothing about an earlier try of the same request, which may be why.
    Conflict(Error),
    /// The catalog will not have it, whatever the table's state.
    Refused(Error),
    /// The catalog cannot have seen it.
    NotSent(Error),
    /// It may have been applied, or may be yet.
    Unknown(Error),
}

impl Catalog {
    /// The time and the randomness that it was connected with.
    pub fn ambient(&self) -> &Ambient {
        &self.rest().ambient
    }

    /// Sends a commit request once.
    pub(crate) async fn try_commit(&self, table: &Table, request: &CommitRequest) -> Outcome {
        let rest = self.rest();
        let url = rest.table_url(table.identifier());
        let response = match rest.send(Method::POST, &url, request.body.clone()).await {
            Ok(response) => response,
            Err(TransportError::NotSent(error)) => return Outcome::NotSent(error),
            Err(TransportError::NoAnswer(error)) => return Outcome::Unknown(error),
        };
        if response.status().is_success() {
            return match self.read_commit(table, &url, &response) {
                Ok(table) => Outcome::Applied(Box::new(table)),
                Err(error) => Outcome::Unknown(error),
            };
        }
        let error = refusal(format!("commit to {}", table.identifier()), &response);
        match response.status() {
            StatusCode::CONFLICT => Outcome::Conflict(error),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Outcome::Unknown(error),
            status if status.is_client_error() => Outcome::Refused(error),
            _ => Outcome::Unknown(error),
        }
    }

    fn read_commit(&self, table: &Table, url: &str, response: &Response<Bytes>) -> Result<Table> {
        let committed: CommitTableResponse = read_body(url, response)?;
        // The answer carries no credentials: the table goes on with those of its last load.
        self.table(table.identifier().clone(), committed.metadata, Some(committed.metadata_location))
    }
}
