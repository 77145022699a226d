//! `dynaberg explain`: what a code means, and what to do about it.

use serde_json::json;

use crate::cli::{ExplainArgs, Format};
use crate::failure::{Exit, Failure, Outcome};
use crate::output;

/// Every code that is ever shown, in order: what it says, and what to do.
const CODES: &[(&str, &str, &str)] = &[
    (
        "DYN001",
        "The pipeline file is not TOML, or has a key or a type of value that the format lacks.",
        "The key that is suggested; `dynaberg schema` prints the JSON Schema of the file.",
    ),
    ("DYN002", "A value of the pipeline file cannot be meant.", "One of the values that are suggested."),
    ("DYN003", "The pipeline file cannot be read.", "The path of a file that is there."),
    (
        "DYN004",
        "Two pipelines have one name or write one table.",
        "Rename one file, whose stem is the name; give each a table of its own.",
    ),
    (
        "DYN005",
        "Something in the file looks like an access key of AWS.",
        "Credentials from the environment or a profile; revoke a key that was written down.",
    ),
    ("DYN100", "The transform is not SQL.", "SELECT … FROM changes WHERE …"),
    (
        "DYN101",
        "The transform is more than a projection and a filter: a join, a sub-query, an aggregate, a window, an order.",
        "One SELECT with expressions over the attributes of one change. `*` is refused: what is not named cannot leave.",
    ),
    (
        "DYN102",
        "No item that was looked at has an attribute of this name.",
        "The name as items spell it; or [transform] attributes = { name = \"string\" } where items will have it later.",
    ),
    ("DYN103", "There is no such function, or a transform may not call it.", "FUNCTIONS"),
    (
        "DYN104",
        "The function does not always answer the same, so that a replay would give other rows.",
        "_time, the time of the change.",
    ),
    (
        "DYN105",
        "The SQL has no meaning: types that do not fit, a column of no type.",
        "A cast to the type that is meant.",
    ),
    (
        "DYN106",
        "Text is compared with a number, which would compare letters: '9' > '10'.",
        "cast(x AS decimal(38,10)) > 100",
    ),
    (
        "DYN107",
        "No column identifies the item. A mirror finds its rows by the key, which has to be selected as it is or through token().",
        "The key attributes in the SELECT.",
    ),
    ("DYN108", "A column has no name, a name that engines do not see, or a name twice.", "AS lower_case_name"),
    (
        "DYN109",
        "The table cannot hold what the transform makes.",
        "A cast to the column's type; `dynaberg schema TABLE` changes columns.",
    ),
    (
        "DYN110",
        "A sensitive attribute reaches the table or the filter, and what gets out tells something of its value. Any function of it counts, also a comparison, a CASE, a hash without a key.",
        "token(x) or mask(x, 4), of the attribute as it is; or allow = [\"column <- attribute: reason\"].",
    ),
    (
        "DYN111",
        "`sensitive` or `allow` names what is not there, so that it protects or excuses nothing.",
        "The attribute's name as items have it; remove what is not needed.",
    ),
    (
        "DYN112",
        "token() needs a key that nobody can guess, and the place that token_key names does not hold one.",
        "openssl rand -hex 32 into a file or an environment variable; token_key = \"env:NAME\" or \"file:PATH\".",
    ),
    (
        "DYN113",
        "The rows of the table are found by another key than the pipeline gives rows, so that each changed item would have two.",
        "The same key columns, made in the same way; or another table.",
    ),
    (
        "DYN120",
        "Items that were looked at would become dead letters.",
        "try_cast, which gives null; or a cast of what the items hold, such as cast(replace(x, ',', '.') AS decimal(12,2)).",
    ),
    (
        "DYN121",
        "A cast to a decimal rounds numbers that items have.",
        "A decimal with more digits behind the point, if rounding is not meant.",
    ),
    (
        "DYN122",
        "`<>` also drops items without the attribute, as null is neither equal nor unequal.",
        "IS DISTINCT FROM",
    ),
    (
        "DYN123",
        "The types of the attributes cannot be told.",
        "Write an item; or [transform] attributes = { name = \"type\" }.",
    ),
    ("DYN130", "A [[test]] does not hold.", "Correct the transform, or the test."),
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

pub fn run(arguments: &ExplainArgs) -> Outcome {
    let Some(code) = &arguments.code else {
        return match output::format_or_default(arguments.output) {
            Format::Json => output::json(&CODES.iter().map(document).collect::<Vec<_>>()),
            Format::Table => CODES.iter().try_for_each(|(code, what, _)| output::line(format_args!("{code}  {what}"))),
        };
    };
    let Some(found) = CODES.iter().find(|(known, _, _)| known.eq_ignore_ascii_case(code)) else {
        let failure = Failure::new(Exit::Usage, format!("there is no code {code}"));
        return Err(failure.advise("dynaberg explain, for all of them"));
    };
    match output::format_or_default(arguments.output) {
        Format::Json => output::json(&document(found)),
        Format::Table => output::line(format_args!("{}  {}\n  Try: {}", found.0, found.1, advice(found))),
    }
}

fn document(entry: &(&str, &str, &str)) -> serde_json::Value {
    json!({ "code": entry.0, "meaning": entry.1, "try": advice(entry) })
}

fn advice((_, _, advice): &(&str, &str, &str)) -> String {
    match *advice {
        "FUNCTIONS" => format!("One of {}.", pipeline::function_names().join(", ")),
        advice => advice.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_in_order_and_each_is_there_once() {
        assert!(CODES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
