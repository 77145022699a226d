//! What is wrong with a pipeline file, and what its transform lets out.

use super::Code;

pub const CODES: &[Code] = &[
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
];
