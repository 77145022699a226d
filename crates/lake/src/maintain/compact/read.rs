//! The rows of a rewrite's input, in their order.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionState;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use crate::error::{Error, ErrorKind, Result};
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
