//! The rows of a rewrite's input, in their order: decoded, or as row groups to copy.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionState;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use crate::data_file::streamed::Part;
use crate::error::{Error, ErrorKind, Result};
use crate::maintain::compact::Progress;
use crate::maintain::compact::copy::{Copying, Cut, copy};
use crate::scan::{LakeTable, PlannedFile};

pub(crate) type Rows = BoxStream<'static, DataFusionResult<RecordBatch>>;

/// A session that reads a file in one piece, a batch of `batch_rows` at a time. What sorting cannot hold in
/// `sort_bytes_max` goes to temporary files.
pub(crate) fn session(sort_bytes_max: usize, batch_rows: usize) -> Result<Arc<SessionState>> {
    let pool = Arc::new(GreedyMemoryPool::new(sort_bytes_max));
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(pool).build_arc();
    let runtime =
        runtime.map_err(|error| Error::new(ErrorKind::Transient, "prepare to sort rows").with_source(error))?;
    let config = SessionConfig::new().with_target_partitions(1).with_batch_size(batch_rows);
    Ok(Arc::new(SessionContext::new_with_config_rt(config, runtime).state()))
}

/// The live rows of `files`, one file after the other, each in its own order. What cannot be read is named.
pub(crate) fn rows(lake: &LakeTable, session: &Arc<SessionState>, files: Vec<PlannedFile>) -> Rows {
    let (lake, session) = (lake.clone(), session.clone());
    stream::iter(files)
        .then(move |file| {
            let (lake, session) = (lake.clone(), session.clone());
            let path = file.entry.file_path().to_owned();
            let named = move |error: DataFusionError| error.context(format!("read {path}"));
            async move {
                let rows = lake.read_in_order(session.as_ref(), file).await.map_err(&named)?;
                Ok::<_, DataFusionError>(rows.map_err(named))
            }
        })
        .try_flatten()
        .boxed()
}

/// The live rows of `files` as [`rows`] gives them, but that row groups are not decoded where `copying` admits it.
pub(crate) fn parts(
    lake: &LakeTable,
    session: &Arc<SessionState>,
    copying: Copying,
    files: Vec<PlannedFile>,
    progress: &Progress,
) -> BoxStream<'static, Result<Part>> {
    let (copying, session) = (Arc::new(copying), session.clone());
    let lake_of_cuts = lake.clone();
    let cuts = stream::iter(files).then(move |file| {
        let (lake, copying) = (lake_of_cuts.clone(), copying.clone());
        async move { Ok::<_, Error>(stream::iter(copying.cut(&lake, file).await?).map(Ok)) }
    });
    let lake = lake.clone();
    let parts = cuts.try_flatten().map_ok(move |cut| match cut {
        Cut::Rows(file) => {
            rows(&lake, &session, vec![file]).map(|batch| batch.map(Part::Rows).map_err(unreadable)).boxed()
        }
        Cut::RowGroup { path, footer, number } => {
            stream::iter([copy(&lake, path, footer, number).map(Part::RowGroup)]).boxed()
        }
    });
    let progress = progress.clone();
    let parts = parts.try_flatten().inspect_ok(move |part| match part {
        Part::Rows(batch) => progress.add(batch.num_rows(), batch.get_array_memory_size()),
        Part::RowGroup(copy) => {
            let row_group = copy.footer.row_group(copy.number);
            progress.add(row_group.num_rows() as usize, row_group.total_byte_size() as usize);
        }
    });
    parts.boxed()
}

pub(crate) fn unreadable(error: DataFusionError) -> Error {
    Error::new(ErrorKind::Transient, "read the rows to compact").with_source(error)
}
