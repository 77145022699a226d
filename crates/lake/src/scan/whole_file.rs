//! Reads one data file in the order of its rows.

use datafusion::catalog::Session;
use datafusion::error::Result;
use datafusion::physical_plan::SendableRecordBatchStream;

use crate::scan::LakeTable;
use crate::scan::prune::Predicate;
use crate::scan::snapshot_files::PlannedFile;

impl LakeTable {
    /// The live rows of `file`, in the columns of the table. The session must have one target partition: rows then come
    /// as they stand in the file.
    pub(crate) async fn read_in_order(
        &self,
        state: &dyn Session,
        file: PlannedFile,
    ) -> Result<SendableRecordBatchStream> {
        debug_assert_eq!(state.config().target_partitions(), 1, "several partitions cut a file into pieces");
        let everything = Predicate::new(state, &self.columns, &[])?;
        let plan = self.execute(state, vec![file], &everything, None, None).await?;
        plan.execute(0, state.task_ctx())
    }
}
