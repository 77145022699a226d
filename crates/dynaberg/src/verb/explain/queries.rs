//! Why a query is not answered.

use super::Code;

pub const CODES: &[Code] = &[
    ("DYN200", "The query is not SQL as we read it.", "The place that is marked."),
    ("DYN201", "The table has no such column.", "The column that is suggested; DESCRIBE TABLE."),
    ("DYN202", "There is no such table.", "SHOW TABLES"),
    ("DYN203", "A name stands for more than one thing.", "table.column"),
    ("DYN204", "The statement is not served.", "SELECT, INSERT INTO, CREATE TABLE, ALTER TABLE, DROP TABLE."),
    ("DYN205", "There is no such function.", "The function that is suggested."),
    (
        "DYN206",
        "The statement is SQL without a meaning: types that do not fit, an aggregate in the wrong place.",
        "A cast, or GROUP BY.",
    ),
    ("DYN207", "The query failed on the way: a value that cannot be cast, a division by zero.", "try_cast, nullif."),
    ("DYN208", "The query needs more memory than it may have.", "A narrower WHERE, or fewer columns."),
    (
        "DYN209",
        "The catalog or a file of the table cannot be read.",
        "Run it again; then look at the catalog and the permissions.",
    ),
    ("DYN210", "The table has no such snapshot, branch or tag.", "A row of \"TABLE$snapshots\" or \"TABLE$refs\"."),
    ("DYN211", "The query would read something that is not a table of the lake.", "SHOW TABLES"),
    ("DYN212", "The table cannot be changed like that.", "What the message says; a pipeline's table is its file's."),
    ("DYN213", "Whoever asks may not change the table.", "aws lakeformation grant-permissions"),
    ("DYN214", "Two rows of a MERGE would change the same row.", "A source with one row for each row of the table."),
    ("DYN215", "Others changed the table while the statement ran, again and again.", "The same statement again."),
    (
        "DYN216",
        "The query would read more bytes than its work group lets a query read.",
        "Fewer columns, or a WHERE on the columns that the table is partitioned by.",
    ),
    (
        "DYN217",
        "The table's format or definition is not read here.",
        "Parquet, delimited text, lines of JSON, or an Iceberg table.",
    ),
];
