//! Rows in the order of the table.
pub(crate) fn sorted() {}
