//! What queries may hold in memory.

mod shares;

use std::path::PathBuf;
use std::sync::Arc;

use datafusion::execution::memory_pool::TrackConsumersPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};

use crate::diagnosis;
use crate::error::Result;
use crate::memory::shares::Shares;

/// How many of the hungriest operators an out-of-memory error names.
const CONSUMERS_NAMED: usize = 3;

/// Of the limit, what operators may gather is one part. The rest is for what they do not count: row groups that arrive,
/// pages being decoded, batches on their way, and what the allocator keeps.
const PARTS: usize = 2;

/// What a query should have for itself, to read, sort and group in.
const BYTES_PER_QUERY: usize = 96 << 20;

/// What queries hold. Engines that are given clones of one stay within its limit together: operators that sort, group or
/// join beyond half of it spill to disk, then fail.
#[derive(Clone, Debug)]
pub struct Memory {
    pub(crate) runtime: Arc<RuntimeEnv>,
    /// What it may come to; `None` for what the machine has.
    pub(crate) bytes_max: Option<usize>,
}

impl Memory {
    /// `spill_folder` takes what does not fit; it is made where there is none.
    pub fn limited(bytes_max: usize, spill_folder: impl Into<PathBuf>) -> Result<Self> {
        let named = CONSUMERS_NAMED.try_into().expect("it is not zero");
        let pool = TrackConsumersPool::new(Shares::new(bytes_max / PARTS), named);
        let builder = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool)).with_temp_file_path(spill_folder);
        let runtime = builder.build_arc().map_err(|error| diagnosis::of(error, &[]))?;
        Ok(Self { runtime, bytes_max: Some(bytes_max) })
    }

    /// How many queries should run at once, so that each gets somewhere.
    pub fn queries_at_once(&self) -> usize {
        self.bytes_max.map_or(usize::MAX, |bytes_max| (bytes_max / BYTES_PER_QUERY).max(1))
    }

    /// What operators hold now, in bytes.
    pub fn held(&self) -> usize {
        self.runtime.memory_pool.reserved()
    }

    /// For one query at a time that may take what the machine has.
    pub fn unlimited() -> Self {
        Self { runtime: Arc::default(), bytes_max: None }
    }
}
