//! A pipeline that begins a million records behind the end of its stream, and reads them over the socket.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{RECORDS_PER_CALL, SHARDS, each_connection, make_stream, pipeline, put, start};
use crate::bench::ingest::dataset;
use crate::bench::process::{stopwatch, wait};
use crate::bench::stack::Stack;
use crate::dataset::Dataset;
use crate::workspace::output;

const RECORDS: usize = 1_000_000;

pub fn run(binary: &Path) -> Result<()> {
    let stack = start(binary)?;
    stack.make_table()?;
    make_source(&stack, SHARDS)?;
    fill(&stack)?;

    let console = free_address()?;
    let pipeline = pipeline(&stack.data_dir)?;
    let (before, started) = (stack.usage()?, stopwatch());
    let mut reading = stack.verb(&["run", "--data-dir"]);
    reading.arg(stack.data_dir.join("run")).args(["--console-port", console.rsplit(':').next().unwrap_or_default()]);
    let mut reading = reading.arg(&pipeline).stdout(Stdio::null()).spawn().context("start dynaberg run")?;
    let url = format!("http://{console}");
    let count = "SELECT count(*) AS n FROM analytics.transactions";
    loop {
        // A fresh pipeline has nothing to wait for until it has looked at its stream.
        let waited = stack.verb(&["wait", "--timeout", "600s", "--console", &url]).stderr(Stdio::null()).status()?;
        if waited.success()
            && output(&mut stack.verb(&["sql", count, "--output", "csv"]))?.contains(&RECORDS.to_string())
        {
            break;
        }
        ensure!(reading.try_wait()?.is_none(), "dynaberg run ended");
    }
    let seconds = started.elapsed().as_secs_f64();
    // SAFETY: it is our own child, which has not been waited for.
    unsafe { libc::kill(reading.id() as libc::pid_t, libc::SIGTERM) };
    let (_, used) = wait(&reading)?;
    let served = stack.usage()?.cpu.saturating_sub(before.cpu);
    println!(
        "a pipeline 1 M records behind: {:.0} records/s, {:.1} CPU-s of its own (peak {} MiB), {:.1} of the services",
        RECORDS as f64 / seconds,
        used.cpu.as_secs_f64(),
        used.peak_bytes >> 20,
        served.as_secs_f64()
    );
    Ok(())
}

/// The DynamoDB table, and the stream that takes its changes.
pub fn make_source(stack: &Stack, shards: usize) -> Result<()> {
    let keys = "AttributeName=transaction_id,KeyType=HASH AttributeName=timestamp,KeyType=RANGE";
    let types = "AttributeName=transaction_id,AttributeType=S AttributeName=timestamp,AttributeType=N";
    let mut create = vec!["dynamodb", "create-table", "--table-name", "financial-transactions", "--key-schema"];
    create.extend(keys.split(' ').chain(["--attribute-definitions"]).chain(types.split(' ')));
    stack.aws(&[create.as_slice(), &["--billing-mode", "PAY_PER_REQUEST"]].concat())?;
    make_stream(stack, "changes", shards)?;
    stack.aws(&[
        "dynamodb",
        "enable-kinesis-streaming-destination",
        "--table-name",
        "financial-transactions",
        "--stream-arn",
        "arn:aws:kinesis:us-east-1:000000000000:stream/changes",
    ])
}

/// Dataset A, as DynamoDB writes its changes to Kinesis.
fn fill(stack: &Stack) -> Result<()> {
    let (file, _) = dataset(Dataset::A)?;
    each_connection(stack, |number, connection| {
        let mut lines = BufReader::new(File::open(&file)?).lines();
        let mut at = 0;
        loop {
            let batch: Vec<String> = lines.by_ref().take(RECORDS_PER_CALL).collect::<std::io::Result<_>>()?;
            if batch.is_empty() {
                return Ok(at);
            }
            if at % super::CONNECTIONS == number {
                let record = |(place, line): (usize, &String)| {
                    let line = line.replacen(
                        '{',
                        r#"{"tableName":"financial-transactions","recordFormat":"application/json","#,
                        1,
                    );
                    json!({ "Data": STANDARD.encode(line), "PartitionKey": format!("{at}-{place}") })
                };
                let records: Vec<Value> = batch.iter().enumerate().map(record).collect();
                put(connection, &json!({ "StreamName": "changes", "Records": records }).to_string())?;
            }
            at += 1;
        }
    })?;
    Ok(())
}

/// A port that nobody has, for now.
fn free_address() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}
