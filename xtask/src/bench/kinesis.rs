//! `cargo xtask bench kinesis`: records into a stream and out of it, what they take on the disk, a pipeline that is a
//! million records behind, and a stream of a thousand shards.

mod behind;
mod shards;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::process::stopwatch;
use super::stack::{NEVER, Stack};
use super::wire::{Connection, Service};
use crate::workspace::{build_binary, root};

const SHARDS: usize = 4;
const CONNECTIONS: usize = 4;
const RECORD_BYTES: usize = 1_024;
const RECORDS_PER_CALL: usize = 500;
const CALLS: usize = 480;
/// How long the store may tidy up before its files are measured.
const SETTLES_IN: Duration = Duration::from_secs(60);
/// The most that GetRecords gives.
const GET_LIMIT: usize = 10_000;

pub fn run_bench() -> Result<()> {
    let binary = build_binary("release")?;
    in_and_out(&binary)?;
    behind::run(&binary)?;
    shards::run(&binary)
}

/// The example's pipeline, reading from Kinesis, as a file in `folder`.
pub fn pipeline(folder: &Path) -> Result<PathBuf> {
    let plain = std::fs::read_to_string(root().join("examples/transactions/transactions.toml"))?;
    let path = folder.join("transactions.toml");
    std::fs::write(&path, plain.replace("stream = \"dynamodb\"", "stream = \"kinesis\""))?;
    Ok(path)
}

fn start(binary: &Path) -> Result<Stack> {
    let data_dir = std::env::temp_dir().join("dynaberg-bench-kinesis");
    Stack::start_with(binary, &data_dir, &[], &["--maintenance-pause", NEVER, "--kinesis-unthrottled"])
}

fn in_and_out(binary: &Path) -> Result<()> {
    let stack = start(binary)?;
    make_stream(&stack, "bench", SHARDS)?;
    let records = CONNECTIONS * CALLS * RECORDS_PER_CALL;
    let (cpu, seconds) = measured(&stack, || {
        each_connection(&stack, |number, connection| {
            let body = put_request("bench", number, |_, random| {
                (0..RECORD_BYTES / 8).flat_map(|_| random.next().to_le_bytes()).collect()
            });
            for _ in 0..CALLS {
                put(connection, &body)?;
            }
            Ok(0)
        })
    })?;
    println!("| {RECORD_BYTES} B, {CONNECTIONS} connections, {SHARDS} shards | records/s | records a CPU-second |");
    println!("|---|--:|--:|");
    let line = |what: &str, cpu: f64, seconds: f64| {
        println!("| {what} | {:.0} | {:.0} |", records as f64 / seconds, records as f64 / cpu);
    };
    line("PutRecords, 500 a call", cpu, seconds);

    let mut read = 0;
    let (cpu, seconds) = measured(&stack, || {
        read = each_connection(&stack, |number, connection| drain(connection, "bench", number))?;
        Ok(read)
    })?;
    ensure!(read == records, "{read} of {records} records were read");
    line("GetRecords, 10,000 or 10 MiB a call", cpu, seconds);
    let size = || super::stack::blocks_of(&stack.data_dir.join("capture/dynamodb/000000000000/us-east-1/kinesis"));
    let at_once = size()?;
    std::thread::sleep(SETTLES_IN);
    let kept = size()?;
    let data = (records * RECORD_BYTES) as f64;
    println!(
        "on the disk: {:.2} x the records' data, {} s later {:.2} x",
        at_once as f64 / data,
        SETTLES_IN.as_secs(),
        kept as f64 / data
    );
    Ok(())
}

/// CPU of the services, and wall time, in seconds.
fn measured(stack: &Stack, mut work: impl FnMut() -> Result<usize>) -> Result<(f64, f64)> {
    let (before, started) = (stack.usage()?, stopwatch());
    work()?;
    let seconds = started.elapsed().as_secs_f64();
    Ok((stack.usage()?.cpu.saturating_sub(before.cpu).as_secs_f64(), seconds))
}

/// Runs `work` on all connections at the same time, and adds up what they give.
fn each_connection(stack: &Stack, work: impl Fn(usize, &mut Connection) -> Result<usize> + Sync) -> Result<usize> {
    std::thread::scope(|scope| {
        let one = |number| {
            let work = &work;
            scope.spawn(move || work(number, &mut Connection::open(&stack.endpoint, Service::Kinesis)?))
        };
        let threads: Vec<_> = (0..CONNECTIONS).map(one).collect();
        threads.into_iter().map(|thread| thread.join().expect("no call panics")).sum()
    })
}

fn make_stream(stack: &Stack, name: &str, shards: usize) -> Result<()> {
    stack.aws(&["kinesis", "create-stream", "--stream-name", name, "--shard-count", &shards.to_string()])?;
    stack.aws(&["kinesis", "wait", "stream-exists", "--stream-name", name])
}

/// The body of a PutRecords of [`RECORDS_PER_CALL`] records.
fn put_request(stream: &str, seed: usize, data: impl Fn(usize, &mut Random) -> Vec<u8>) -> String {
    let mut random = Random(seed as u64 + 1);
    let record = |number: usize| {
        let data = STANDARD.encode(data(number, &mut random));
        json!({ "Data": data, "PartitionKey": random.next().to_string() })
    };
    let records: Vec<Value> = (0..RECORDS_PER_CALL).map(record).collect();
    json!({ "StreamName": stream, "Records": records }).to_string()
}

fn put(connection: &mut Connection, body: &str) -> Result<()> {
    let answer = connection.send("PutRecords", body)?;
    let answer: Value = serde_json::from_slice(&answer)?;
    ensure!(answer["FailedRecordCount"] == 0, "{answer}");
    Ok(())
}

/// Reads a shard from its first record until nothing more is there; gives how many records it had.
fn drain(connection: &mut Connection, stream: &str, shard: usize) -> Result<usize> {
    let request = json!({
        "StreamName": stream,
        "ShardId": format!("shardId-{shard:012}"),
        "ShardIteratorType": "TRIM_HORIZON",
    });
    let answer = connection.call("GetShardIterator", &request)?;
    let mut iterator = answer["ShardIterator"].as_str().context("no iterator")?.to_owned();
    let mut count = 0;
    loop {
        let request = json!({ "ShardIterator": iterator, "Limit": GET_LIMIT });
        let answer = connection.send("GetRecords", &request.to_string())?;
        // Parsing the records would measure ourselves.
        let found = text(&answer).matches("\"SequenceNumber\"").count();
        if found == 0 {
            return Ok(count);
        }
        count += found;
        let next = text(&answer).split("\"NextShardIterator\":\"").nth(1).context("the shard ended")?;
        iterator = next.split('"').next().unwrap_or_default().to_owned();
    }
}

fn text(answer: &[u8]) -> &str {
    std::str::from_utf8(answer).unwrap_or_default()
}

/// xorshift64*: nothing that a disk could make smaller.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}
