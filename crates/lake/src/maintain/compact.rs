//! Compaction: fewer files, fuller files, fewer deletes to apply at every read.
//!
//! `table_files` says what the table holds, `plan` decides by the numbers alone what is worth writing again, as `policy`
//! asks. A task is either a rewrite of data files (`rewrite`: `read` and `sort` give the rows, `row_map` remembers where
//! each went, `replacement` commits it) or a merge of delete files (`merge_deletes`). Both commit in a race with the
//! writers of the table and leave the table to them where they cannot win it.
