//! Pipeline files and command lines that cannot be meant.

use crate::support::{check_fails, run};

fn pipeline_file(folder: &tempfile::TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

const ORDERS: &str = "[source]\ntable = \"orders\"\n[target]\ntable = \"shop.orders\"\n";

#[test]
fn an_unknown_key_ends_with_252_its_place_and_what_to_try() {
    let folder = tempfile::tempdir().unwrap();
    let file = pipeline_file(&folder, "orders.toml", &format!("{ORDERS}mod = \"mirror\"\n"));
    check_fails(&run(&["run", &file]), 252, &["unknown field `mod`", "orders.toml:5", "Try: `mode`"]);
}

#[test]
fn a_wrong_arn_ends_with_253_its_place_and_what_to_try() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = "catalog = \"arn:aws:s3:us-east-1:123456789012:bucket/lake\"\n";
    let file = pipeline_file(&folder, "orders.toml", &format!("{ORDERS}{catalog}"));
    check_fails(&run(&["dev", &file]), 253, &["orders.toml:5", "Try: arn:aws:s3tables:"]);
}

#[test]
fn two_pipelines_on_one_target_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let first = pipeline_file(&folder, "first.toml", ORDERS);
    let second = pipeline_file(&folder, "second.toml", ORDERS);
    check_fails(&run(&["run", &first, &second]), 253, &["two pipelines", "shop.orders", "first.toml", "Try:"]);
}

#[test]
fn a_pipeline_file_that_is_not_there_is_named() {
    check_fails(&run(&["run", "no-such.toml"]), 253, &["no-such.toml", "Try:"]);
}

#[test]
fn a_command_line_that_cannot_be_read_ends_with_252() {
    check_fails(&run(&["dev", "--port", "many"]), 252, &["many"]);
    check_fails(&run(&["wait", "--timeout", "soon"]), 252, &["soon"]);
    check_fails(&run(&["sql", "SELECT 1", "--output", "loud"]), 252, &["loud"]);
}

#[test]
fn a_console_that_is_not_there_is_said_with_what_to_start() {
    let nobody = ["--console", "http://127.0.0.1:1"];
    check_fails(&run(&[&["status"], &nobody[..]].concat()), 254, &["127.0.0.1:1", "Try: start `dynaberg dev`"]);
    check_fails(&run(&[&["wait"], &nobody[..]].concat()), 254, &["127.0.0.1:1", "Try: start `dynaberg dev`"]);
}
