//! `dynaberg sql --as NAME`: what a user of the embedded services sees. The query is Athena's to answer, under the grants
//! of that user; here it is sent, waited for and shown.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use http::Method;
use provision::{Service, Services};
use serde_json::{Value, json};

use crate::aws::{Aws, on};
use crate::cli::TableFormat;
use crate::config::Catalog;
use crate::failure::{Exit, Failure, Outcome};
use crate::output;
use crate::system;

/// Of the embedded services.
const ACCOUNT: &str = "000000000000";
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(500);
const RESULTS_PER_PAGE: usize = 1_000;

/// Answers the statements in `text`, one after the other, as the user `name`.
pub async fn answer_all(aws: &Aws, name: &str, text: &str, catalog: Option<&Catalog>, format: TableFormat) -> Outcome {
    let asking = Asking {
        calls: aws.acting_as(name)?.calls()?,
        output: format!("s3://{}/{name}/", results_bucket(aws).await?),
        catalog: catalog_name(aws.named_or_only(catalog).await?)?,
    };
    for statement in query::split(text).statements {
        let started = system::stopwatch();
        let answered = asking.ask(statement).await?;
        output::write_batches(format, answered.batch.schema(), std::slice::from_ref(&answered.batch))?;
        if format == TableFormat::Table {
            let (rows, ms) = (answered.batch.num_rows(), started.elapsed().as_millis());
            let read = output::bytes(answered.bytes_scanned);
            output::line(format_args!("{rows} rows · {ms} ms · {read} read · as {name}"))?;
        }
    }
    Ok(())
}

/// The bucket that Athena's console takes for results; made by whoever asks, and not by whom they ask as.
async fn results_bucket(aws: &Aws) -> Outcome<String> {
    let bucket = format!("aws-athena-query-results-{ACCOUNT}-{}", aws.region());
    let create =
        aws.calls()?.s3(on(Service::S3, "CreateBucket"), Method::PUT, &format!("/{bucket}"), String::new()).await;
    match create {
        Err(error) if !error.is(&["BucketAlreadyOwnedByYou"]) => Err(error.into()),
        _ => Ok(bucket),
    }
}

/// What Athena calls a table bucket.
fn catalog_name(catalog: Catalog) -> Outcome<String> {
    match catalog {
        Catalog::TableBucket { arn, .. } => {
            Ok(format!("s3tablescatalog/{}", arn.rsplit('/').next().unwrap_or_default()))
        }
        Catalog::Rest { uri, .. } => {
            Err(Failure::new(Exit::Usage, format!("--as asks Athena, which does not know the catalog {uri}"))
                .advise("--catalog with the ARN of a table bucket"))
        }
    }
}

/// Somebody who asks Athena.
struct Asking {
    calls: Services,
    output: String,
    catalog: String,
}

struct Answered {
    batch: RecordBatch,
    bytes_scanned: u64,
}

impl Asking {
    async fn ask(&self, statement: &str) -> Outcome<Answered> {
        let request = json!({
            "QueryString": statement,
            "QueryExecutionContext": { "Catalog": self.catalog },
            "ResultConfiguration": { "OutputLocation": self.output },
        });
        let started = self.call("StartQueryExecution", request).await?;
        let id = json!({ "QueryExecutionId": started["QueryExecutionId"] });
        let execution = self.ended(&id).await?;
        let status = &execution["Status"];
        if status["State"] != "SUCCEEDED" {
            let reason = status["StateChangeReason"].as_str().unwrap_or("the query did not succeed");
            return Err(Failure::new(Exit::Service, reason));
        }
        let has_header = execution["StatementType"] == "DML";
        let bytes_scanned = execution["Statistics"]["DataScannedInBytes"].as_u64().unwrap_or_default();
        Ok(Answered { batch: self.results(id, has_header).await?, bytes_scanned })
    }

    /// Waits until the query has ended.
    async fn ended(&self, id: &Value) -> Outcome<Value> {
        let mut pause = FIRST_PAUSE;
        loop {
            let mut answer = self.call("GetQueryExecution", id.clone()).await?;
            let execution = answer["QueryExecution"].take();
            if !matches!(execution["Status"]["State"].as_str(), Some("QUEUED" | "RUNNING")) {
                return Ok(execution);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// All rows. The first of a query's is that of the names of its columns.
    async fn results(&self, mut request: Value, has_header: bool) -> Outcome<RecordBatch> {
        request["MaxResults"] = json!(RESULTS_PER_PAGE);
        let mut rows = Vec::new();
        loop {
            let mut page = self.call("GetQueryResults", request.clone()).await?;
            if let Value::Array(found) = page["ResultSet"]["Rows"].take() {
                rows.extend(found);
            }
            match page["NextToken"].take() {
                Value::Null => {
                    return table(
                        &page["ResultSet"]["ResultSetMetadata"],
                        rows.get(usize::from(has_header)..).unwrap_or_default(),
                    );
                }
                token => request["NextToken"] = token,
            }
        }
    }

    async fn call(&self, action: &str, request: Value) -> Outcome<Value> {
        Ok(self.calls.json(on(Service::Athena, action), request).await?)
    }
}

/// Athena's texts, as what their columns are.
fn table(metadata: &Value, rows: &[Value]) -> Outcome<RecordBatch> {
    let columns = metadata["ColumnInfo"].as_array().map(Vec::as_slice).unwrap_or_default();
    let column = |(place, info): (usize, &Value)| -> Outcome<(Field, ArrayRef)> {
        let texts: StringArray = rows.iter().map(|row| row["Data"][place]["VarCharValue"].as_str()).collect();
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        let values = cast_with_options(&texts, &data_type(info), &strict);
        let values = values.map_err(|error| Failure::caused_by(Exit::Other, &error))?;
        Ok((Field::new(info["Name"].as_str().unwrap_or_default(), values.data_type().clone(), true), values))
    };
    let (fields, values): (Vec<Field>, Vec<ArrayRef>) =
        columns.iter().enumerate().map(column).collect::<Outcome<Vec<_>>>()?.into_iter().unzip();
    let options = RecordBatchOptions::new().with_row_count(Some(if fields.is_empty() { 0 } else { rows.len() }));
    let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), values, &options);
    batch.map_err(|error| Failure::caused_by(Exit::Other, &error))
}

/// What nests, and what has a time zone, stays text.
fn data_type(info: &Value) -> DataType {
    let digits = |name: &str| info[name].as_i64().unwrap_or_default();
    match info["Type"].as_str().unwrap_or_default() {
        "boolean" => DataType::Boolean,
        "tinyint" | "smallint" | "integer" | "bigint" => DataType::Int64,
        "real" | "float" | "double" => DataType::Float64,
        "decimal" => DataType::Decimal128(digits("Precision") as u8, digits("Scale") as i8),
        "date" => DataType::Date32,
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, None),
        _ => DataType::Utf8,
    }
}
