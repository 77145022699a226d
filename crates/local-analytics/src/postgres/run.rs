//! Carries a statement out: starts it under the client's grants, and sends what it gives.

use std::future::Future;
use std::io;

use arrow::array::{Array, RecordBatch, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use query::{CatalogQuery, PgType, Rows};
use tokio_util::sync::CancellationToken;

use crate::athena::AskError;
use crate::audit::{Entry, Subject, Touched};
use crate::postgres::Postgres;
use crate::postgres::backend::{Backend, Field, put_value};
use crate::postgres::failure::{CANCELED, Failure, IN_TRANSACTION, INTERNAL, SHUTDOWN, UNSUPPORTED};
use crate::postgres::frontend::Frontend;
use crate::postgres::startup::Client;
use crate::postgres::statement::{Kind, Statement};
use crate::postgres::{binary, value};

/// A statement whose rows are sent.
pub(super) struct Running {
    id: String,
    rows: Rows,
    touched: Touched,
    types: Vec<PgType>,
    /// What has come and was not asked for yet: columns as they are sent from, and the first row of them.
    left: Option<(RecordBatch, usize)>,
    sent: u64,
}

/// What of a statement is to be sent.
pub(super) struct Wanted<'a> {
    pub fields: &'a [Field],
    /// All of them where it is zero.
    pub rows_max: usize,
}

/// How far a statement is.
pub(super) enum Progress {
    /// With all its rows.
    Ended(u64),
    /// There may be more.
    Suspended,
}

/// What ends a statement before its time.
pub(super) struct Limits<'a> {
    pub stop: &'a CancellationToken,
    pub shutdown: &'a CancellationToken,
    /// Goes with the client.
    pub frontend: &'a mut Frontend,
}

/// Why a statement was not carried out.
#[derive(Debug)]
pub(super) enum Unfinished {
    Failed(Failure),
    /// Nobody is there any more.
    Gone(io::Error),
}

impl From<io::Error> for Unfinished {
    fn from(error: io::Error) -> Self {
        Self::Gone(error)
    }
}

impl From<Failure> for Unfinished {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Limits<'_> {
    /// Waits for `work`, as long as it may take.
    pub async fn hold<T>(&mut self, client: &Client, work: impl Future<Output = T>) -> Result<T, Unfinished> {
        let gone = || Unfinished::Gone(io::ErrorKind::ConnectionAborted.into());
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Failure::new(CANCELED, "canceling statement due to user request").into()),
            () = self.shutdown.cancelled() => Err(shutting_down().into()),
            done = work => Ok(done),
            () = tokio::time::sleep(client.settings.timeout) => {
                let message = format!("canceling statement after {} s", client.settings.timeout.as_secs_f64());
                Err(Failure::new(CANCELED, message).try_instead("SET statement_timeout = '10min'").into())
            }
            () = self.frontend.gone() => Err(gone()),
        }
    }

    /// Waits until `work` is sent. What ends it leaves half a message, so that the connection ends too: a client that takes
    /// nothing holds a query no longer than it may take.
    async fn hold_sending(
        &self,
        client: &Client,
        work: impl Future<Output = Result<(), Unfinished>>,
    ) -> Result<(), Unfinished> {
        tokio::select! {
            biased;
            sent = work => sent,
            () = self.shutdown.cancelled() => Err(Unfinished::Gone(io::ErrorKind::ConnectionAborted.into())),
            () = tokio::time::sleep(client.settings.timeout) => Err(Unfinished::Gone(io::ErrorKind::TimedOut.into())),
        }
    }
}

pub(super) fn shutting_down() -> Failure {
    Failure::new(SHUTDOWN, "terminating connection: the service is shutting down").fatal()
}

impl Postgres {
    /// Starts a statement, which is no command. Those that change a table have done so when it is there.
    pub(super) async fn start(
        &self,
        client: &Client,
        statement: &Statement,
        literals: &[String],
        is_in_transaction: bool,
    ) -> Result<Running, Failure> {
        let id = self.ambient.uuid().to_string();
        let mut touched = Touched::default();
        let started = match &statement.kind {
            Kind::Catalog(query) => {
                let query = CatalogQuery::clone(query).with_parameters(literals);
                let query = query.map_err(|error| Failure::of_query(&error, &statement.sql, statement.before))?;
                self.athena.ask_catalog(query, &client.region, &client.identity, &client.connection).await
            }
            _ => {
                let query = query::parse_with_parameters(&statement.sql, literals);
                let query = query.map_err(|error| Failure::of_query(&error, &statement.sql, statement.before))?;
                if query.export().is_some() {
                    let failure = Failure::new(UNSUPPORTED, "UNLOAD is Athena's: here the rows come to you");
                    return Err(failure.try_instead("SELECT"));
                }
                if is_in_transaction && !query.is_read_only() {
                    let message = "a statement that changes a table cannot run inside a transaction block: it commits by \
                                   itself, and could not be rolled back";
                    return Err(Failure::new(IN_TRANSACTION, message).try_instead("autocommit"));
                }
                let context = &client.connection.context;
                self.athena.ask_engine(query, &client.region, &client.identity, context, &mut touched).await
            }
        };
        let rows = match started {
            Ok(rows) => rows,
            Err(error) => {
                let failure = Failure::of_asking(error, &statement.sql, statement.before);
                if matches!(statement.kind, Kind::Sql) {
                    self.audit(client, &id, &touched, (0, 0), Some(&failure.message)).await?;
                }
                return Err(failure);
            }
        };
        // What it may read is on disk before the first row is sent; how much it was, when it has ended.
        if matches!(statement.kind, Kind::Sql) {
            self.audit(client, &id, &touched, (0, 0), None).await?;
        }
        let types = rows.schema().fields().iter().map(|field| query::pg_type(field.data_type())).collect();
        Ok(Running { id, rows, touched, types, left: None, sent: 0 })
    }

    /// Sends rows.
    pub(super) async fn send(
        &self,
        client: &Client,
        statement: &Statement,
        running: &mut Running,
        Wanted { fields, rows_max }: Wanted<'_>,
        backend: &mut Backend,
        limits: &mut Limits<'_>,
    ) -> Result<Progress, Unfinished> {
        let mut wanted = if rows_max == 0 { usize::MAX } else { rows_max };
        while wanted > 0 {
            let (batch, first) = match running.left.take() {
                Some(left) => left,
                None => match limits.hold(client, running.rows.next()).await? {
                    Some(Ok(batch)) => (prepare(&batch, fields).map_err(unwritten)?, 0),
                    Some(Err(error)) => {
                        let failure = Failure::of_query(&error, &statement.sql, statement.before);
                        self.audit_end(client, statement, running, Some(&failure.message)).await?;
                        return Err(failure.into());
                    }
                    None => {
                        self.audit_end(client, statement, running, None).await?;
                        return Ok(Progress::Ended(running.sent));
                    }
                },
            };
            let last = batch.num_rows().min(first.saturating_add(wanted));
            let sent = async {
                for row in first..last {
                    let row = encode(&batch, row, fields).map_err(unwritten)?;
                    backend.row(fields.len(), |message| message.extend_from_slice(&row)).await?;
                }
                Ok::<_, Unfinished>(())
            };
            limits.hold_sending(client, sent).await?;
            running.sent += (last - first) as u64;
            wanted -= last - first;
            if last < batch.num_rows() {
                running.left = Some((batch, last));
            }
        }
        Ok(Progress::Suspended)
    }

    async fn audit_end(
        &self,
        client: &Client,
        statement: &Statement,
        running: &mut Running,
        refusal: Option<&str>,
    ) -> Result<(), Failure> {
        if !matches!(statement.kind, Kind::Sql) {
            return Ok(());
        }
        let counted = (running.sent, running.rows.meter().bytes_read());
        self.audit(client, &running.id, &running.touched, counted, refusal).await
    }

    async fn audit(
        &self,
        client: &Client,
        id: &str,
        touched: &Touched,
        (rows, bytes_read): (u64, u64),
        refusal: Option<&str>,
    ) -> Result<(), Failure> {
        let subject = Subject::Query { id, touched, rows, bytes_read, refusal };
        let entry = Entry { principal: &client.identity.arn, region: &client.region.name, subject };
        let written = self.athena.audit(&entry).await;
        written.map_err(|error| Failure::new(INTERNAL, format!("write the audit log: {error}")))
    }
}

impl Running {
    /// The columns, in the formats that were asked for: none for text, one for all, or one each.
    pub fn fields(&self, formats: &[i16]) -> Vec<Field> {
        let is_binary = |index: usize| match formats {
            [] => false,
            [all] => *all == 1,
            each => each.get(index).is_some_and(|format| *format == 1),
        };
        let fields = self.rows.schema().fields().iter().zip(&self.types).enumerate();
        let field = fields.map(|(index, (field, known))| Field {
            name: field.name().clone(),
            known: *known,
            is_binary: is_binary(index),
        });
        field.collect()
    }

    /// Rows that it wrote, in a statement that changed a table; `None` for one that reads.
    pub fn wrote(&self) -> Option<Option<u64>> {
        self.rows.wrote().map(|wrote| wrote.rows)
    }
}

/// The columns as they are written from.
fn prepare(batch: &RecordBatch, fields: &[Field]) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().zip(fields);
    let columns = columns.map(|(column, field)| match column.data_type() {
        // It says of no value that it is NULL, as all are.
        DataType::Null => Ok(new_null_array(&DataType::Utf8, column.len())),
        DataType::Dictionary(_, value) => cast(column, value),
        _ if field.is_binary => binary::prepare(column, field.known),
        _ => Ok(column.clone()),
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let schema = batch.schema();
    let fields = schema.fields().iter().zip(&columns);
    let fields = fields.map(|(field, column)| field.as_ref().clone().with_data_type(column.data_type().clone()));
    let schema = arrow::datatypes::Schema::new(fields.collect::<Vec<_>>());
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.into(), columns, &options)
}

fn encode(batch: &RecordBatch, row: usize, fields: &[Field]) -> Result<Vec<u8>, ArrowError> {
    let (mut message, mut value) = (Vec::new(), Vec::new());
    for (column, field) in batch.columns().iter().zip(fields) {
        if column.is_null(row) {
            put_value(&mut message, None);
            continue;
        }
        value.clear();
        if field.is_binary {
            binary::write(column, row, field.known, &mut value)?;
        } else {
            value.extend_from_slice(value::text(column, row)?.as_bytes());
        }
        put_value(&mut message, Some(&value));
    }
    Ok(message)
}

fn unwritten(error: ArrowError) -> Unfinished {
    Failure::new(INTERNAL, format!("write a row: {error}")).into()
}

impl From<AskError> for Failure {
    fn from(error: AskError) -> Self {
        Self::of_asking(error, "", 0)
    }
}
