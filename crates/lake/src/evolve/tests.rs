use iceberg::spec::Schema;
use serde_json::json;

use super::change::{Base, SchemaChange, changed};
use super::history::{Difference, differences};
use super::pins::Pin;
use super::text;

/// `id` string required, `n` int, `f` float, `d` decimal(5,2), `day` date; `place` struct of `city` and `zip` (int);
/// `lines` list of struct of `price` (required int); `tags` map of string to struct of `since`; `_key`
/// is a pipeline's; `day` and `place.zip` are partitioned by.
fn base() -> Schema {
    let field = |id: i32, name: &str, r#type: serde_json::Value, required: bool| json!({ "id": id, "name": name, "type": r#type, "required": required });
    let line = json!({ "type": "struct", "fields": [field(21, "price", json!("int"), true)] });
    let tag = json!({ "type": "struct", "fields": [field(32, "since", json!("date"), false)] });
    let place = json!({ "type": "struct", "fields": [
        field(11, "city", json!("string"), false),
        field(12, "zip", json!("int"), false)
    ] });
    let schema = json!({ "type": "struct", "schema-id": 0, "identifier-field-ids": [1], "fields": [
        field(1, "id", json!("string"), true),
        field(2, "n", json!("int"), false),
        field(3, "f", json!("float"), false),
        field(4, "d", json!("decimal(5,2)"), false),
        field(5, "day", json!("date"), false),
        field(6, "place", place, false),
        field(7, "lines", json!({ "type": "list", "element-id": 20, "element-required": true, "element": line }), false),
        field(8, "tags", json!({
            "type": "map", "key-id": 30, "key": "string", "value-id": 31, "value-required": false, "value": tag
        }), false),
        field(9, "_key", json!("int"), true)
    ] });
    serde_json::from_value(schema).unwrap()
}

fn change(changes: &[SchemaChange]) -> Result<Schema, String> {
    let key = Pin::Pipeline { name: "orders".to_owned(), is_its_own: true };
    let pins = [
        (9, key),
        (5, Pin::Partition { keeps_type: false }),
        (1, Pin::Identifier),
        (12, Pin::Partition { keeps_type: true }),
    ];
    let schema = base();
    changed(&Base { schema: &schema, last_column_id: 40, pins: &pins }, changes).map_err(|error| error.to_string())
}

fn add(path: &str, field_type: &str) -> SchemaChange {
    SchemaChange::Add { path: path.into(), field_type: text::parse_type(field_type).unwrap() }
}

fn widen(path: &str, to: &str) -> SchemaChange {
    let Some(iceberg::spec::Type::Primitive(to)) = text::parse_type(to) else { panic!("{to}") };
    SchemaChange::Widen { path: path.into(), to }
}

fn rename(path: &str, to: &str) -> SchemaChange {
    SchemaChange::Rename { path: path.into(), to: to.into() }
}

fn optional(path: &str) -> SchemaChange {
    SchemaChange::MakeOptional { path: path.into() }
}

fn drop(path: &str) -> SchemaChange {
    SchemaChange::Drop { path: path.into() }
}

/// The differences as the command line shows them.
fn shown(changes: &[SchemaChange]) -> Vec<String> {
    let after = change(changes).unwrap();
    differences(Some(&base()), &after).into_iter().map(|difference| difference.to_string()).collect()
}

#[test]
fn legal_changes_are_what_the_difference_says() {
    let cases: [(&[SchemaChange], &[&str]); 14] = [
        (&[add("note", "string")], &["+ note string"]),
        (&[add("place.street", "string")], &["+ place.street string"]),
        (&[add("lines.element.tax", "decimal(12,2)")], &["+ lines.element.tax decimal(12,2)"]),
        (&[add("tags.value.by", "map<string,list<int>>")], &["+ tags.value.by map<string,list<int>>"]),
        (&[widen("n", "long")], &["~ n int → long"]),
        (&[widen("f", "double")], &["~ f float → double"]),
        (&[widen("d", "decimal(38,2)")], &["~ d decimal(5,2) → decimal(38,2)"]),
        (&[widen("lines.price", "long")], &["~ lines.element.price int → long"]),
        (&[rename("place.city", "town")], &["~ place.city → place.town"]),
        (&[rename("day", "on")], &["~ day → on"]),
        (&[optional("lines.element.price")], &["~ lines.element.price is optional"]),
        (&[drop("place.city")], &["- place.city string"]),
        (&[rename("n", "f"), rename("f", "n")], &["~ n → f", "~ f → n"]),
        (&[drop("n"), add("n", "string")], &["+ n string", "- n int"]),
    ];
    for (changes, expected) in cases {
        assert_eq!(shown(changes), expected, "{changes:?}");
    }
    // What is inside a renamed or widened column's neighbour stays as it was.
    assert_eq!(shown(&[rename("place", "address"), widen("n", "long")]), ["~ n int → long", "~ place → address"]);
    assert_eq!(shown(&[]), Vec::<String>::new());
}

#[test]
fn new_fields_get_ids_that_were_never_given_out() {
    let schema = change(&[add("a", "struct<x:int,y:list<map<string,int>>>"), drop("tags"), add("place.z", "int")]);
    let schema = schema.unwrap();
    let id = |name: &str| schema.field_by_name(name).unwrap().id;
    let names = ["place.z", "a", "a.x", "a.y", "a.y.element", "a.y.element.key", "a.y.element.value"];
    assert_eq!(names.map(id), [41, 42, 43, 44, 45, 46, 47]);
    assert_eq!(schema.identifier_field_ids().collect::<Vec<_>>(), [1]);
}

#[test]
fn illegal_changes_are_refused_with_the_reason() {
    let cases: [(&[SchemaChange], &str); 33] = [
        (&[drop("_key")], "drop _key: pipeline orders needs it as it is"),
        (&[rename("_key", "key")], "pipeline orders"),
        (&[widen("_key", "long")], "pipeline orders"),
        (&[optional("_key")], "pipeline orders"),
        (&[widen("id", "long")], "widen id to long: it is string; int widens to long"),
        (&[widen("n", "string")], "it is int; int widens to long"),
        (&[widen("n", "double")], "it is int; int widens to long"),
        (&[widen("n", "int")], "it is int already"),
        (&[widen("f", "decimal(9,2)")], "it is float; int widens"),
        (&[widen("d", "decimal(4,2)")], "it is decimal(5,2), which has more digits"),
        (&[widen("d", "decimal(9,3)")], "as many behind the point"),
        (&[widen("place", "long")], "it is a struct<city:string,zip:int>"),
        (&[widen("place.zip", "long")], "partitioned by it"),
        (&[widen("tags.key", "long")], "the keys of the map tags cannot change"),
        (&[widen("nope", "long")], "there is no such column; the table has id, n, f, d, day, place, lines, tags, _key"),
        (&[widen("place.nope", "long")], "place has no nope"),
        (&[widen("d", "decimal(6,2)"), widen("d", "decimal(7,2)")], "it is changed twice"),
        (&[rename("n", "f")], "there would be two columns f"),
        (&[rename("n", "N")], "a column's name is in lower case, as Athena and S3 Tables ask: n"),
        (&[rename("n", "a.b")], "\"a.b\" is not a column's name"),
        (&[rename("n", "")], "\"\" is not a column's name"),
        (&[rename("lines.element", "line")], "the element of lines goes with it"),
        (&[add("n", "int")], "there would be two columns n"),
        (&[add("lines.tax", "int")], "lines is a list; what is in it is lines.element.tax"),
        (&[add("tags.x", "int")], "tags is a map; what is in it is tags.value.x"),
        (&[add("n.x", "int")], "n is a int, not a struct"),
        (&[optional("n")], "it is optional already"),
        (&[optional("id")], "one of the table's identifier fields"),
        (&[drop("day")], "drop day: the table is, or was, partitioned by it"),
        (&[drop("place")], "partitioned by it (place.zip)"),
        (&[drop("id")], "one of the table's identifier fields"),
        (&[drop("lines.element")], "the element of lines goes with it"),
        (&[drop("lines.element.price")], "nothing would be left of what it is dropped from"),
    ];
    for (changes, reason) in cases {
        let error = change(changes).unwrap_err();
        assert!(error.contains(reason), "{changes:?}: {error}");
    }
}

#[test]
fn a_field_added_to_what_is_dropped_is_refused() {
    let error = change(&[drop("tags"), add("tags.value.x", "int")]).unwrap_err();
    assert_eq!(error, "change the schema: tags.value.x would be added to what is dropped");
}

#[test]
fn types_are_read_as_they_are_written() {
    for text in ["int", "decimal(12,2)", "list<string>", "map<string,struct<a:decimal(3,1),b:list<long>>>", "fixed[4]"]
    {
        assert_eq!(text::of(&text::parse_type(text).unwrap()), text);
    }
    assert_eq!(text::of(&text::parse_type(" struct<a: int, b: list< date > >").unwrap()), "struct<a:int,b:list<date>>");
    for text in
        ["", "text", "list<>", "map<string>", "struct<a>", "decimal(39,2)", "decimal(2,3)", "timestamp_ns", "list<int"]
    {
        assert!(text::parse_type(text).is_none(), "{text}");
    }
}

#[test]
fn everything_is_new_where_nothing_was_before() {
    let found = differences(None, &base());
    assert_eq!(found.len(), 9);
    assert_eq!(found[0], Difference::Added { path: "id".into(), field_type: "string".into(), required: true });
    assert_eq!(found[0].to_string(), "+ id string, required");
}
