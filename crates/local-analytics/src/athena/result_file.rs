//! Writes what a query gives into its OutputLocation, while it is computed: a result may be larger than memory.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use bytes::Bytes;
use object_store::buffered::BufWriter;
use object_store::{ObjectStore, ObjectStoreExt, path::Path};
use query::Rows;
use tokio::io::AsyncWriteExt;

use crate::athena::column::ColumnInfo;
use crate::athena::execution::Execution;
use crate::athena::failure::Failure;
use crate::athena::statement::StatementType;
use crate::athena::{Athena, csv, start, value};

/// What lies in the OutputLocation now.
pub(super) struct Written {
    pub columns: Vec<ColumnInfo>,
    pub row_count: u64,
    pub bytes: u64,
    pub bytes_scanned: u64,
}

/// Writes the rows, and beside them what their columns are.
pub(super) async fn write(athena: &Athena, execution: &Execution, mut rows: Rows) -> Result<Written, Failure> {
    let place = Place::of(athena, execution)?;
    let shape = Shape::of(execution, rows.schema());
    let columns = shape.columns.clone();
    own(athena, execution, &place).await?;
    place.put_metadata(&columns).await?;

    let mut file = BufWriter::new(place.objects.clone(), Path::from(place.key.as_str()));
    let is_write = rows.wrote().is_some();
    let encoder = Arc::new(Encoder { shape, of: execution.statement_type, is_write });
    let (mut row_count, mut bytes) = (0, 0);
    let meter = rows.meter();
    let written = async {
        let header = encoder.header();
        bytes += header.len() as u64;
        file.put(header.into()).await.map_err(not_written)?;
        while let Some(batch) = rows.next().await {
            let batch = batch.map_err(|error| Failure::of_query(&error))?;
            row_count += if encoder.is_write { 0 } else { batch.num_rows() as u64 };
            // Encoding takes a thread of its own.
            let encoder = encoder.clone();
            let encoded = tokio::task::spawn_blocking(move || encoder.encode(&batch)).await;
            let encoded = encoded.map_err(|error| Failure::of_engine(error.to_string()))?;
            let encoded = encoded.map_err(|error| Failure::of_engine(error.to_string()))?;
            bytes += encoded.len() as u64;
            file.put(encoded.into()).await.map_err(not_written)?;
        }
        Ok(())
    };
    match written.await {
        Ok(()) => file.shutdown().await.map_err(not_written)?,
        Err(failure) => {
            // Nothing of it is to be seen; where it cannot be taken back, the object was never there whole.
            let _ = file.abort().await;
            return Err(failure);
        }
    }
    Ok(Written { columns, row_count, bytes, bytes_scanned: meter.bytes_read() })
}

/// Puts the list of the files that a statement has written, and gives its location.
pub(super) async fn write_manifest(athena: &Athena, execution: &Execution, files: Bytes) -> Result<String, Failure> {
    let place = Place::of(athena, execution)?;
    let stem = place.key.rsplit_once('.').map_or(place.key.as_str(), |(stem, _)| stem);
    let key = format!("{stem}-manifest.csv");
    own_objects(athena, execution, vec![format!("{}/{key}", place.bucket)]).await?;
    let put = place.objects.put(&Path::from(key.as_str()), files.into()).await;
    put.map(|_| format!("s3://{}/{key}", place.bucket)).map_err(not_written)
}

/// For statements that have no result.
pub(super) async fn write_nothing(athena: &Athena, execution: &Execution) -> Result<(), Failure> {
    let place = Place::of(athena, execution)?;
    own(athena, execution, &place).await?;
    place.put_metadata(&[]).await?;
    let put = place.objects.put(&Path::from(place.key.as_str()), Bytes::new().into()).await;
    put.map(|_| ()).map_err(not_written)
}

/// Where a result goes.
struct Place {
    bucket: String,
    key: String,
    objects: Arc<dyn ObjectStore>,
}

impl Place {
    fn of(athena: &Athena, execution: &Execution) -> Result<Self, Failure> {
        let location = start::parse_location(&execution.output_location);
        let (bucket, key) = location.map_err(|error| not_written(error.message))?;
        match athena.lakehouse.objects(&bucket) {
            Some(objects) => Ok(Self { bucket, key, objects }),
            None => Err(not_written(format!("the bucket {bucket} does not exist"))),
        }
    }

    fn metadata_key(&self) -> String {
        format!("{}.metadata", self.key)
    }

    async fn put_metadata(&self, columns: &[ColumnInfo]) -> Result<(), Failure> {
        let columns: Vec<serde_json::Value> = columns.iter().map(ColumnInfo::shown).collect();
        let metadata = serde_json::json!({ "ColumnInfo": columns }).to_string();
        let put = self.objects.put(&Path::from(self.metadata_key()), Bytes::from(metadata).into()).await;
        put.map(|_| ()).map_err(not_written)
    }
}

/// Whose the objects are is known before they are there.
async fn own(athena: &Athena, execution: &Execution, place: &Place) -> Result<(), Failure> {
    let objects = [place.key.clone(), place.metadata_key()].map(|key| format!("{}/{key}", place.bucket));
    own_objects(athena, execution, objects.to_vec()).await
}

/// Makes objects, `bucket/key`, the caller's own.
pub(super) async fn own_objects(athena: &Athena, execution: &Execution, objects: Vec<String>) -> Result<(), Failure> {
    let (store, owner) = (athena.store.clone(), execution.owner.clone());
    let owned =
        tokio::task::spawn_blocking(move || objects.iter().try_for_each(|object| store.own_result(object, &owner)));
    owned.await.map_err(not_written)?.map_err(not_written)
}

fn not_written(reason: impl std::fmt::Display) -> Failure {
    Failure::results_not_written(format!("Unable to write the results: {reason}"))
}

/// The columns of a result. Listings have one column on Athena, and names of their own.
struct Shape {
    columns: Vec<ColumnInfo>,
    /// Which of the engine's columns they are; all of them if `None`.
    kept: Option<Vec<usize>>,
}

impl Shape {
    fn of(execution: &Execution, schema: &SchemaRef) -> Self {
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let listing: Option<(&[usize], &[&str])> =
            match (execution.statement_type, execution.substatement.as_str(), names.as_slice()) {
                (StatementType::Utility, _, ["namespace", "table"]) => Some((&[1], &["tab_name"])),
                (StatementType::Utility, _, ["namespace"]) => Some((&[0], &["database_name"])),
                (StatementType::Utility, "SHOW_COLUMNS", ["column", ..]) => Some((&[0], &["field"])),
                (StatementType::Utility, _, ["column", "type", "comment"]) => {
                    Some((&[0, 1, 2], &["col_name", "data_type", "comment"]))
                }
                (StatementType::Utility, "EXPLAIN", [_, "plan"]) => Some((&[1], &["Query Plan"])),
                _ => None,
            };
        match listing {
            Some((kept, names)) => {
                Self { columns: names.iter().map(|name| ColumnInfo::text(name)).collect(), kept: Some(kept.to_vec()) }
            }
            None => Self { columns: schema.fields().iter().map(|field| ColumnInfo::of(field)).collect(), kept: None },
        }
    }
}

struct Encoder {
    shape: Shape,
    of: StatementType,
    /// What was written is counted, and not in the file.
    is_write: bool,
}

impl Encoder {
    /// What stands above the rows.
    fn header(&self) -> Vec<u8> {
        let mut file = Vec::new();
        if self.of == StatementType::Dml && !self.is_write {
            csv::write_row(&mut file, self.shape.columns.iter().map(|column| Some(column.name.as_str())));
        }
        file
    }

    fn encode(&self, batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
        if self.is_write {
            return Ok(Vec::new());
        }
        let batch = match &self.shape.kept {
            Some(kept) => batch.project(kept)?,
            None => batch.clone(),
        };
        let mut file = Vec::new();
        for row in 0..batch.num_rows() {
            let values = batch.columns().iter().map(|column| value::text(column, row));
            let values = values.collect::<Result<Vec<Option<String>>, _>>()?;
            let values = values.iter().map(Option::as_deref);
            match self.of {
                StatementType::Dml => csv::write_row(&mut file, values),
                _ => csv::write_line(&mut file, values),
            }
        }
        Ok(file)
    }
}
