//! The PostgreSQL wire protocol, so that psql, drivers and BI tools query the lake under the same grants.
//!
//! `startup` lets a client in, `connection` answers its messages one after the other: `frontend` reads them, `backend` writes
//! the answers. `statement` tells PostgreSQL's own commands (`command`, `settings`) from what the engine answers; `run`
//! carries it out, `parameter` reads its parameters, `value` and `binary` spell what it gives. `failure` puts complaints into
//! PostgreSQL's codes. `cancel` finds the query that another connection wants to end.
//!
//! The protocol: <https://www.postgresql.org/docs/15/protocol-message-formats.html>. Connections are not encrypted: the
//! listener is on this machine alone.

mod backend;
mod binary;
mod cancel;
mod command;
mod connection;
mod failure;
mod frontend;
mod parameter;
mod run;
mod settings;
mod startup;
mod statement;
mod value;

use std::sync::Arc;

use ambient::Ambient;
use aws_wire::Authentication;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::athena::Athena;
use cancel::Cancellations;

/// Connections at the same time, as many as PostgreSQL allows by default.
const CONNECTIONS_MAX: usize = 100;

/// The endpoint. Cheap to clone.
#[derive(Clone)]
pub struct Postgres {
    /// Whose engine, names and grants are asked.
    athena: Arc<Athena>,
    authentication: Authentication,
    ambient: Ambient,
    cancellations: Arc<Cancellations>,
    places: Arc<Semaphore>,
}

impl Postgres {
    pub(crate) fn new(athena: Arc<Athena>, authentication: Authentication, ambient: Ambient) -> Self {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        Self { athena, authentication, ambient, cancellations: Arc::default(), places }
    }

    /// Answers clients until `shutdown`, and returns when the last of them has been told.
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) {
        let connections = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((socket, _)) => {
                    // Small messages go to and fro.
                    let _ = socket.set_nodelay(true);
                    connections.spawn(connection::serve(self.clone(), socket, shutdown.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection of PostgreSQL's protocol was not accepted");
                    // Out of file descriptors: those that are open have to close first.
                    tokio::task::yield_now().await;
                }
            }
        }
        connections.close();
        connections.wait().await;
    }
}
