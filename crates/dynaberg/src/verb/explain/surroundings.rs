//! What a pipeline needs and does not find.

use super::Code;

pub const CODES: &[Code] = &[
    (
        "DYN301",
        "The source table, its stream or its items cannot be read.",
        "The table's name and region; a stream with NEW_AND_OLD_IMAGES; permissions for DescribeTable, Scan and the stream.",
    ),
    (
        "DYN302",
        "The lake cannot be reached.",
        "[target] catalog or --catalog; credentials; permissions for the table bucket.",
    ),
    (
        "DYN303",
        "The dead letters would lie among the files of the table, where a sweep deletes what no snapshot names.",
        "A prefix in another bucket, or beside the table.",
    ),
    ("DYN304", "The place of the dead letters cannot be reached.", "Create the bucket; permissions to list and write."),
    (
        "DYN305",
        "There is no place for dead letters: a record that cannot become a row stops the pipeline.",
        "[dead_letters] errors = \"s3://BUCKET/errors/\"",
    ),
    (
        "DYN306",
        "The Lambda function of the transform is not there, or cannot be asked.",
        "Create it, or correct [transform] lambda; a policy that allows lambda:GetFunctionConfiguration and lambda:InvokeFunction.",
    ),
];
