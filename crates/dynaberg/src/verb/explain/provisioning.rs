//! Plans, applies, deploys and their context file.

use super::Code;

pub const CODES: &[Code] = &[
    (
        "DYN601",
        "A plan is about the world as it was when it was made, and the world has changed since: nothing was done.",
        "dynaberg plan PIPELINE.toml, and apply the plan that it shows.",
    ),
    (
        "DYN602",
        "Two applies were at work at once. The other one made the resource first, and goes on; this one stopped.",
        "Wait for the other one, then dynaberg plan PIPELINE.toml.",
    ),
    (
        "DYN603",
        "Something is there under the name that is wanted, and cannot become what is wanted.",
        "What the error says of it: another name, or a change by its owner.",
    ),
    (
        "DYN604",
        "AWS does not let the caller make this call.",
        "The IAM statement that the error shows, in a policy of the caller; dynaberg iam-policy PIPELINE.toml for all of them.",
    ),
    (
        "DYN605",
        "The context file cannot be read, has a key that is not one of its five, or a value that AWS would refuse.",
        "table_bucket_name, table_name, namespace, bucket_name and stream_type, as the blog has them.",
    ),
    (
        "DYN606",
        "A stack imports what another one exports: the other one is not there yet, or is to go first.",
        "dynaberg deploy --all and dynaberg destroy --all keep the order.",
    ),
];
