//! `dev` and `run` while they are up.

use crate::support::{Dev, check_fails, dynaberg, run};

const ORDERS: &str = "[source]\ntable = \"orders\"\n[target]\ntable = \"shop.orders\"\n";

#[test]
fn a_port_in_use_is_said_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let data_dir = folder.path().to_str().unwrap();
    let output = run(&["dev", "--port", &port, "--console-port", "0", "--postgres-port", "0", "--data-dir", data_dir]);
    check_fails(&output, 253, &[&format!("listen on 127.0.0.1:{port}"), "Try: --port 0"]);
}

#[test]
fn a_data_folder_in_use_is_said_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Dev::start(folder.path(), &[]);
    let data_dir = folder.path().to_str().unwrap();
    let output = run(&["dev", "--port", "0", "--console-port", "0", "--postgres-port", "0", "--data-dir", data_dir]);
    check_fails(&output, 253, &["is in use by another dynaberg", "--data-dir"]);
}

#[test]
fn dev_waits_for_a_source_that_is_not_there_and_says_for_what() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("orders.toml");
    std::fs::write(&file, ORDERS).unwrap();
    let dev = Dev::start(&folder.path().join("data"), &[&file]);
    let output = dev.run(&["wait", "--timeout", "3s"]);
    check_fails(&output, 1, &["orders", "waiting"]);
    let ready = reqwest_status(&format!("{}/ready", dev.console));
    assert_eq!(ready, 503);
    assert_eq!(reqwest_status(&format!("{}/health", dev.console)), 200);
}

#[test]
fn run_ends_with_253_where_the_source_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("orders.toml");
    std::fs::write(&file, ORDERS).unwrap();
    let dev = Dev::start(&folder.path().join("data"), &[]);
    let data_dir = folder.path().join("run");
    let arguments = ["run", file.to_str().unwrap(), "--console-port", "0", "--data-dir", data_dir.to_str().unwrap()];
    check_fails(&dev.run(&arguments), 253, &["orders"]);
}

#[test]
fn run_without_a_region_says_what_to_export() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("orders.toml");
    std::fs::write(&file, ORDERS).unwrap();
    let mut command = dynaberg();
    command.args(["run", file.to_str().unwrap(), "--console-port", "0"]).env("HOME", folder.path());
    command.env("AWS_EC2_METADATA_DISABLED", "true");
    check_fails(&command.output().unwrap(), 253, &["region", "Try: export AWS_REGION"]);
}

fn reqwest_status(url: &str) -> u16 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { reqwest::get(url).await.unwrap().status().as_u16() })
}
