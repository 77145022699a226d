//! Why a record becomes a dead letter.

use super::Code;

pub const CODES: &[Code] = &[
    ("DYN401", "The record is not JSON.", "Look at what writes it; the letter holds its bytes."),
    ("DYN402", "The record is not a change record of DynamoDB.", "Records as DynamoDB Streams or Kinesis give them."),
    ("DYN403", "The record has other keys than the table.", "The stream of the table that the pipeline names."),
    (
        "DYN404",
        "A number has more than 38 digits, or an exponent that DynamoDB lacks.",
        "Look at what wrote it: DynamoDB would have refused it.",
    ),
    (
        "DYN405",
        "The column cannot hold the value without loss.",
        "A wider column (dynaberg schema), or a cast in a transform.",
    ),
    (
        "DYN406",
        "Maps and lists are nested deeper than 32 levels.",
        "Look at what wrote it: DynamoDB would have refused it.",
    ),
    ("DYN407", "Two attributes of the item go to one column.", "A transform that gives each a column of its own."),
    ("DYN408", "The record has no new image.", "A stream with NEW_IMAGE or NEW_AND_OLD_IMAGES."),
    ("DYN409", "A value is missing that the column requires.", "dynaberg schema TABLE --optional COLUMN"),
    ("DYN410", "Something in the record is no DynamoDB value.", "Look at what writes it; the letter holds it."),
    (
        "DYN411",
        "The item would make the table wider than a table should be.",
        "A transform that selects what is needed; names that are data belong into a map.",
    ),
    (
        "DYN412",
        "An expression of the transform casts a value that cannot be cast.",
        "try_cast, which gives null; or mend the value first: cast(replace(x, ',', '.') AS decimal(12,2)).",
    ),
    (
        "DYN413",
        "An expression of the transform divides by zero, or a number becomes too large.",
        "nullif(x, 0); a wider decimal.",
    ),
    (
        "DYN414",
        "An expression of the transform fails for the record.",
        "The letter holds the record; try it as the `given` of a [[test]].",
    ),
    (
        "DYN421",
        "The function of the transform answers ProcessingFailed for the record.",
        "The function's log says why, if it writes one; the letter holds the record.",
    ),
    (
        "DYN422",
        "The function fails on the record, alone too: it crashes, takes too long, or answers with what cannot be read.",
        "Invoke it with the record that the letter holds; a longer timeout.",
    ),
    (
        "DYN423",
        "The function does not account for the record once: it forgets it, has it twice, or has a result that means nothing.",
        "An entry for each recordId, with result Ok, Dropped or ProcessingFailed, and data in base64.",
    ),
    (
        "DYN424",
        "What the function made of the record is not a change of the same item.",
        "The record with another dynamodb.NewImage: eventName and key attributes stay as they are.",
    ),
];
