//! What a batch of changes does to the table.

use lake::RowChanges;

use crate::decode::Changes;
use crate::shape::TableShape;

/// Changes of one batch, and how many of them a later change of the same item made void.
#[derive(Clone, Debug, Default)]
pub struct Transformed {
    pub changes: RowChanges,
    pub upserted: usize,
    pub deleted: usize,
    pub superseded: usize,
}

/// In a mirror the last change of an item decides; in a changelog every change is a row.
pub fn transform(_shape: &TableShape, _batch: Vec<Changes>) -> Transformed {
    Transformed::default()
}
