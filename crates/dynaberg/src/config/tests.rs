use std::path::Path;
use std::time::Duration;

use super::value::{Catalog, parse_partition_field};
use super::{PipelineFile, parse_duration};
use crate::failure::Exit;

const MINIMAL: &str = "[source]\ntable = \"orders\"\n[target]\ntable = \"shop.orders\"\n";

fn parse(text: &str) -> Result<PipelineFile, String> {
    let parsed = PipelineFile::parse(text, Path::new("orders.toml"), "orders".to_owned());
    parsed.map_err(|failure| {
        assert!(matches!(failure.exit, Exit::Usage | Exit::Configuration));
        failure.to_string()
    })
}

/// The complaint about `text` has every one of `words`.
fn check_refused(text: &str, words: &[&str]) {
    let complaint = parse(text).expect_err("the file is refused");
    for word in words {
        assert!(complaint.contains(word), "no `{word}` in:\n{complaint}");
    }
}

#[test]
fn a_file_with_only_a_source_and_a_target_mirrors_every_ten_seconds() {
    let file = parse(MINIMAL).unwrap();
    assert_eq!(file.source_table, "orders");
    assert_eq!(file.target.to_string(), "shop.orders");
    assert_eq!(file.mode, pipeline::Mode::Mirror);
    assert_eq!(file.delivery.interval, Duration::from_secs(10));
    assert_eq!(file.delivery.size_bytes, 64 << 20);
    assert!(file.evolve);
}

#[test]
fn an_unknown_key_is_shown_with_its_place_and_the_key_that_was_meant() {
    check_refused(
        &MINIMAL.replace("[target]", "steam = \"dynamodb\"\n[target]"),
        &["steam", "orders.toml:3", "Try: `stream`"],
    );
}

#[test]
fn a_wrong_value_is_shown_with_its_place_and_what_to_try() {
    let with = |line: &str| format!("{MINIMAL}{line}\n");
    check_refused(&with("mode = \"copy\""), &["mode", "orders.toml:5", "Try: mode = \"mirror\""]);
    check_refused(&with("catalog = \"arn:aws:s3:us-east-1:123456789012:bucket/b\""), &["arn:aws:s3tables:", "Try:"]);
    check_refused(&with("partition = [\"week(created)\"]"), &["week(created)", "orders.toml:5", "Try: region"]);
    check_refused(&with("[delivery]\ninterval = \"soon\""), &["soon", "orders.toml:6", "Try:"]);
    check_refused(&with("[dead_letters]\nerrors = \"/var/errors\""), &["not an S3 prefix", "orders.toml:6"]);
    check_refused("[source]\ntable = \"orders\"\n[target]\ntable = \"orders\"\n", &["namespace", "analytics.orders"]);
}

#[test]
fn what_this_version_cannot_honour_is_refused_rather_than_passed_over() {
    let with = |line: &str| format!("{MINIMAL}{line}\n");
    check_refused(&with("sort = [\"region\"]"), &["sort is not supported"]);
    check_refused(&with("[dead_letters]\nredrive = 5"), &["nothing to redrive", "orders.toml:6"]);
    check_refused(
        &with("[dead_letters]\nerrors = \"s3://letters/\"\nredrive = 21"),
        &["at most 20 times", "orders.toml:7"],
    );
    check_refused(&with("[dead_letters]\nredrive_after = \"30s\""), &["without redrive", "orders.toml:6"]);
    check_refused(&with("[dead_letters]\nqueue = \"letters\""), &["does not keep them", "orders.toml:6"]);
    check_refused(
        &with("[dead_letters]\nerrors = \"s3://letters/errors/\"\nqueue = \"a b\""),
        &["not an SQS queue", "orders.toml:7"],
    );
    check_refused(
        &MINIMAL.replace("[target]", "stream = \"kafka\"\n[target]"),
        &["stream = \"kinesis\"", "orders.toml:3"],
    );
    check_refused(&MINIMAL.replace("[target]", "kinesis_stream = \"s\"\n[target]"), &["kinesis", "orders.toml:3"]);
    check_refused(&MINIMAL.replace("[target]", "fan_out = \"c\"\n[target]"), &["fan_out", "kinesis", "orders.toml:3"]);
    check_refused(
        &MINIMAL.replace("[target]", "stream = \"kinesis\"\nfan_out = \"two words\"\n[target]"),
        &["consumer", "orders.toml:4"],
    );
    check_refused(&MINIMAL.replace("[target]", "backfill = \"scan\"\n[target]"), &["backfill"]);
}

#[test]
fn a_function_stands_alone() {
    let with = |lines: &str| format!("{MINIMAL}[transform]\nlambda = \"clean\"\n{lines}\n");
    assert_eq!(parse(&with("")).unwrap().lambda.unwrap().as_str(), "clean");
    check_refused(&with("sql = \"SELECT a FROM changes\""), &["two transforms", "orders.toml:7"]);
    check_refused(&with("sensitive = [\"a\"]"), &["cannot be proved", "orders.toml:6"]);
    check_refused(&with("[[test]]\ngiven = {}\nexpect = \"filtered\""), &["[[test]] tries SQL"]);
    check_refused(&format!("{MINIMAL}[transform]\nlambda = \"a b\""), &["does not name a function", "orders.toml:6"]);
}

#[test]
fn durations_have_a_number_and_a_unit() {
    assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
    assert_eq!(parse_duration("4h"), Ok(Duration::from_secs(14_400)));
    for wrong in ["", "10", "s", "-1s", "1.5s", "0s", "10 s"] {
        assert!(parse_duration(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn partition_fields_are_spelled_as_iceberg_spells_them() {
    let field = |text: &str| parse_partition_field(text).map(|field| (field.column, field.transform));
    assert_eq!(field("region"), Ok(("region".into(), "identity".into())));
    assert_eq!(field("day(created)"), Ok(("created".into(), "day".into())));
    assert_eq!(field("bucket(16, id)"), Ok(("id".into(), "bucket[16]".into())));
    assert!(field("bucket(0, id)").is_err());
    assert!(field("day(created").is_err());
}

#[test]
fn a_catalog_is_a_table_bucket_or_a_rest_uri() {
    let arn = "arn:aws:s3tables:eu-west-1:123456789012:bucket/lake";
    assert_eq!(Catalog::parse(arn), Ok(Catalog::TableBucket { arn: arn.into(), region: "eu-west-1".into() }));
    let rest = Catalog::parse("http://127.0.0.1:4566/iceberg?warehouse=w").unwrap();
    assert_eq!(rest, Catalog::Rest { uri: "http://127.0.0.1:4566/iceberg".into(), warehouse: Some("w".into()) });
    assert!(Catalog::parse("streamtablebucket").is_err());
}

#[test]
fn a_mistake_in_sql_is_shown_at_its_place_in_the_file() {
    let with = |lines: &str| format!("{MINIMAL}[transform]\n{lines}\n");
    let sql = "sql = '''\nSELECT id,\n  sum(amount) AS total\nFROM changes'''";
    check_refused(&with(sql), &["DYN101", "`sum` is an aggregate", "orders.toml:8:3", "Try: SELECT"]);
    check_refused(&with("sql = \"SELECT now() AS n FROM changes\""), &["DYN104", "orders.toml:6:15"]);
    check_refused(&with("sql = \"SELECT \\u0061, * FROM changes\""), &["DYN101", "orders.toml:6:7"]);
    check_refused(&with("sensitive = [\"a\"]"), &["has no SQL"]);
    check_refused(&with("sql = \"SELECT a FROM changes\"\nsql_file = \"x.sql\""), &["two transforms"]);
    check_refused(&with("sql_file = \"nowhere.sql\""), &["nowhere.sql", "orders.toml:6"]);
    check_refused(&with("sql = \"SELECT a FROM changes\"\ntoken_key = \"s3cr3t\""), &["never in the file", "env:NAME"]);
    check_refused(&with("sql = \"SELECT a FROM changes\"\nallow = [\"a < b\"]"), &["reason", "orders.toml:7"]);
}

#[test]
fn a_test_gives_an_item_and_what_becomes_of_it() {
    let with = |lines: &str| format!("{MINIMAL}[[test]]\n{lines}\n");
    let file =
        parse(&with("given = { id = \"a\", n = { N = \"1.50\" }, m = { x = 1 } }\nexpect = \"filtered\"")).unwrap();
    let [case] = &file.cases[..] else { panic!("one case") };
    assert_eq!(case.name, "test 1");
    assert_eq!(case.expect, super::Expect::Filtered);
    let given = serde_json::json!({"id": {"S": "a"}, "n": {"N": "1.50"}, "m": {"M": {"x": {"N": "1"}}}});
    assert_eq!(case.given, given);
    check_refused(&with("given = {}\nexpect = 1"), &["filtered", "orders.toml:7"]);
}
