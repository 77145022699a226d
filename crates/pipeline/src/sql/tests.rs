use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use serde_json::json;

use crate::infer::{KeyAttribute, KeyType};
use crate::shape::Mode;
use crate::sql::{Attributes, Problem, SqlOptions, SqlTransform, TokenKey, Verdict};

fn attributes() -> Attributes {
    let key = |name: &str, key_type| KeyAttribute { name: name.into(), key_type };
    let item = json!({
        "id": {"S": "a"}, "at": {"N": "1"}, "amount": {"N": "1.25"}, "count": {"N": "3"}, "status": {"S": "OK"},
        "email": {"S": "a@b"}, "pan": {"S": "4111"}, "place": {"M": {"city": {"S": "Ulm"}}}, "tags": {"SS": ["x"]}
    });
    Attributes::of_sample(&[key("id", KeyType::S), key("at", KeyType::N)], &[item])
}

fn compile(sql: &str) -> Result<SqlTransform, Problem> {
    let token_key = TokenKey::new(b"0123456789abcdef");
    SqlTransform::compile(sql, &attributes(), SqlOptions { token_key: token_key.as_ref(), ..SqlOptions::default() })
}

fn check_refused(sql: &str, expected: &str) {
    assert_eq!(compile(sql).expect_err(sql).to_string(), expected, "{sql}");
}

fn types(sql: &str) -> Vec<(String, DataType, bool)> {
    let schema = compile(sql).unwrap().schema();
    schema.fields().iter().map(|field| (field.name().clone(), field.data_type().clone(), field.is_nullable())).collect()
}

#[test]
fn the_columns_have_the_types_of_their_expressions_and_the_key_is_required() {
    let zoned = DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()));
    let columns = types(
        "SELECT id, from_millis(at) AS at, cast(amount AS decimal(12,2)) AS amount, count * 2 AS twice, token(email) AS \
         customer, place.city AS city, tags, date_part('hour', from_millis(count)) AS hour, status = 'OK' AS ok, \
         cast(count AS bigint) AS n FROM changes",
    );
    let expected = [
        ("id", DataType::Utf8, false),
        ("at", zoned, false),
        ("amount", DataType::Decimal128(12, 2), true),
        ("twice", DataType::Int64, true),
        ("customer", DataType::Utf8, true),
        ("city", DataType::Utf8, true),
        ("tags", DataType::List(Field::new("element", DataType::Utf8, true).into()), true),
        ("hour", DataType::Int32, true),
        ("ok", DataType::Boolean, true),
        ("n", DataType::Int64, true),
    ];
    assert_eq!(columns, expected.map(|(name, data_type, nullable)| (name.to_owned(), data_type, nullable)));
}

#[test]
fn what_has_no_meaning_is_refused_before_it_runs() {
    check_refused("SELECT id FROM changes", {
        "DYN107 no column identifies the item: `at` is a part of the key, and is not selected. \
         Try: at, or token(at) AS at, in the SELECT"
    });
    check_refused("SELECT substr(id, 1, 1) AS id, at FROM changes", {
        "DYN107 no column identifies the item: `id` is a part of the key, and is not selected. \
         Try: id, or token(id) AS id, in the SELECT"
    });
    check_refused("SELECT id, at, status AS id FROM changes", {
        "DYN108 two columns have the name `id`. Try: another name behind AS"
    });
    check_refused("SELECT id, at FROM changes WHERE status > 100", {
        "DYN106 status is text, and is compared with a number. Try: cast(status AS decimal(38,10))"
    });
    check_refused("SELECT id, at FROM changes WHERE amount > '100'", {
        "DYN106 100 is text, and is compared with a number. Try: 100, without quotes"
    });
    check_refused("SELECT id, at FROM changes WHERE amount", {
        "DYN105 the filter is decimal(38,2), not true or false. Try: WHERE status IS DISTINCT FROM 'TEST'"
    });
    for sql in [
        "SELECT id, at, round(status, 2) AS x FROM changes",
        "SELECT id, at, round(amount, count) AS x FROM changes",
        "SELECT id, at, regexp_like(status, '(') AS x FROM changes",
        "SELECT id, at, regexp_extract(status, 'a', 1) AS x FROM changes",
        "SELECT id, at, regexp_replace(status, email, '') AS x FROM changes",
    ] {
        assert_eq!(compile(sql).unwrap_err().code, "DYN105", "{sql}");
    }
    for sql in ["SELECT id, at, lower(tags) AS x FROM changes", "SELECT id, at, NULL AS x FROM changes"] {
        assert_eq!(compile(sql).unwrap_err().code, "DYN105", "{sql}");
    }
    let unkeyed =
        SqlTransform::compile("SELECT token(id) AS id, at FROM changes", &attributes(), SqlOptions::default());
    assert_eq!(unkeyed.unwrap_err().code, "DYN112");
}

#[test]
fn a_column_of_the_table_must_hold_what_comes() {
    let check = |sql: &str, column: Field, expected: Result<(), &str>| {
        let fields = vec![Field::new("id", DataType::Utf8, false), Field::new("at", DataType::Int64, false), column];
        let target = Schema::new(fields);
        let options = SqlOptions { target: Some(&target), ..SqlOptions::default() };
        let sql = SqlTransform::compile(sql, &attributes(), options).unwrap();
        let checked = sql.check_target(&target).map_err(|problem| problem.message);
        assert_eq!(checked, expected.map_err(str::to_owned));
    };
    let decimal = |precision, scale| Field::new("amount", DataType::Decimal128(precision, scale), true);
    let cast = "SELECT id, at, cast(amount AS decimal(12,2)) AS amount FROM changes";
    check(cast, decimal(14, 3), Ok(()));
    check(
        cast,
        decimal(12, 3),
        Err("column `amount` of the table is decimal(12,3), which does not hold decimal(12,2)"),
    );
    // An attribute that goes there as it is is read as the column's type, exactly or not at all.
    check("SELECT id, at, amount FROM changes", decimal(9, 1), Ok(()));
    let required = Field::new("other", DataType::Utf8, false);
    check(cast, required, Err("column `other` of the table must have a value, and is not selected"));
}

#[test]
fn later_runs_take_the_recorded_types_of_attributes() {
    let sql = "SELECT id, at, amount, place.city AS city FROM changes WHERE status <> 'x'";
    let (name, record) = compile(sql).unwrap().record().unwrap();
    assert_eq!(name, SqlTransform::record_name(sql));
    let keys = attributes().keys().to_vec();
    let recorded = Attributes::of_sample(&keys, &[json!({"amount": {"N": "7"}})]);
    let recorded = recorded.with_recorded(&[(name, record)].into()).unwrap();
    let again = SqlTransform::compile(sql, &recorded, SqlOptions::default()).unwrap();
    assert_eq!(again.schema(), compile(sql).unwrap().schema());
}

#[test]
fn only_a_token_or_a_mask_of_the_whole_value_declassifies() {
    let verdict = |expr: &str| {
        let sql = compile(&format!("SELECT id, at, {expr} AS x FROM changes")).unwrap();
        let flows = sql.flows(&["PAN".into()]);
        flows.into_iter().find(|flow| flow.column.as_deref() == Some("x") && flow.attribute == "pan").unwrap().verdict
    };
    let member = compile("SELECT id, at, token(place.city) AS x, upper(place.city) AS y FROM changes").unwrap();
    let verdicts: Vec<_> = member.flows(&["place".into()]).into_iter().map(|flow| flow.verdict).collect();
    assert_eq!(verdicts, [Verdict::Clean, Verdict::Clean, Verdict::Declassified, Verdict::Leaks]);
    for good in ["token(pan)", "mask(pan, 4)", "lower(token(pan))", "mask(cast(pan AS string), 0)", "token(pan) || id"]
    {
        assert_eq!(verdict(good), Verdict::Declassified, "{good}");
    }
    for leak in [
        "pan",
        "sha256(pan)",
        "substr(pan, 1, 1)",
        "CASE WHEN pan LIKE '4%' THEN 'visa' ELSE 'other' END",
        "pan IS NULL",
        "mask(pan, 12)",
        "mask(substr(pan, 1, 8), 4) || mask(substr(pan, 9, 8), 4)",
        "token(substr(pan, 1, 1))",
        "coalesce(token(pan), pan)",
        "named_struct('p', pan)",
        "length(pan)",
        "count + length(pan)",
        "array_length(make_array(pan))",
        "nullif(status, pan)",
        "try_cast(pan AS bigint)",
    ] {
        assert_eq!(verdict(leak), Verdict::Leaks, "{leak}");
    }
    let filter = compile("SELECT id, at FROM changes WHERE pan LIKE '4%'").unwrap().flows(&["pan".into()]);
    let leak = filter.iter().find(|flow| flow.verdict == Verdict::Leaks).unwrap();
    assert_eq!((leak.column.as_deref(), leak.through.as_slice()), (None, &["like".to_owned()][..]));
}

#[test]
fn a_changelog_needs_no_key() {
    let options = SqlOptions { mode: Mode::Changelog, ..SqlOptions::default() };
    let sql = SqlTransform::compile("SELECT _op, _time, status FROM changes", &attributes(), options).unwrap();
    let columns: Vec<_> = sql.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(columns, ["_op", "_time", "status"]);
    assert!(sql.key_columns().is_empty());
}
