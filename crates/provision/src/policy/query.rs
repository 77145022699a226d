//! What `sql` takes.

use super::{Statement, Touched};

pub(super) fn statements(touched: &Touched) -> Vec<Statement> {
    let all = "*".to_owned();
    vec![
        Statement::new(
            "ListLakes",
            "to know which catalogs a query may name; a list has no narrower resource",
            "s3tables",
            &["ListTableBuckets"],
            all,
        ),
        Statement::new(
            "FindTable",
            "to reach the catalog",
            "s3tables",
            &["GetTableBucket"],
            touched.table_bucket.clone(),
        ),
        touched.on_table("ReadTable", "to read rows", &["GetTableData", "GetTableMetadataLocation"]),
    ]
}
