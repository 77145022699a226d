//! Messages through an SQS queue: sent, received and deleted, one by one and ten at a time.
//!
//! The client is the least there is, on connections that stay open, so that the server is what is measured.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::start;
use crate::bench::process::stopwatch;
use crate::bench::stack::Stack;
use crate::bench::wire::{self, Service};

const CONNECTIONS: usize = 16;
const BODY_BYTES: usize = 500;

/// One way of calling.
struct Way {
    name: &'static str,
    /// Messages of one call.
    messages: usize,
    /// Calls of one connection.
    calls: usize,
}

pub fn run(binary: &Path) -> Result<()> {
    let stack = start(binary)?;
    println!(
        "| {CONNECTIONS} connections, {BODY_BYTES} B | sends/s | CPU-ms/1,000 | receives/s | CPU-ms/1,000 | deletes/s | CPU-ms/1,000 |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|");
    for (number, way) in
        [Way { name: "one by one", messages: 1, calls: 1_000 }, Way { name: "ten at a time", messages: 10, calls: 500 }]
            .iter()
            .enumerate()
    {
        let url = create_queue(&stack, number)?;
        let sent = phase(&stack, way, |connection, call| {
            let answer = connection.send(&url, way, call)?;
            ensure!(answer["Failed"].as_array().is_none_or(Vec::is_empty), "{answer}");
            Ok(Vec::new())
        })?;
        let received = phase(&stack, way, |connection, _| connection.receive(&url, way))?;
        let handles = received.handles;
        let total = CONNECTIONS * way.calls * way.messages;
        ensure!(handles.len() == total, "{} of {total} messages were received", handles.len());
        let of_call = |connection: usize, call: usize| {
            let first = (connection * way.calls + call) * way.messages;
            &handles[first..first + way.messages]
        };
        let deleted = phase(&stack, way, |connection, call| {
            let handles = of_call(connection.number, call);
            connection.delete(&url, handles).map(|()| Vec::new())
        })?;
        let cells: Vec<String> =
            [(sent.seconds, sent.cpu_ms), (received.seconds, received.cpu_ms), (deleted.seconds, deleted.cpu_ms)]
                .map(|(seconds, cpu_ms)| {
                    format!("{:.0} | {:.0}", total as f64 / seconds, cpu_ms / total as f64 * 1000.0)
                })
                .to_vec();
        println!("| {} | {} |", way.name, cells.join(" | "));
    }
    Ok(())
}

/// What all connections together did.
struct Phase {
    seconds: f64,
    cpu_ms: f64,
    handles: Vec<String>,
}

/// Every connection makes its calls, at the same time as the others.
fn phase(
    stack: &Stack,
    way: &Way,
    call: impl Fn(&mut Connection, usize) -> Result<Vec<String>> + Sync,
) -> Result<Phase> {
    let mut connections = (0..CONNECTIONS).map(|number| Connection::open(stack, number)).collect::<Result<Vec<_>>>()?;
    let (before, started) = (stack.usage()?, stopwatch());
    let answers: Vec<Result<Vec<String>>> = std::thread::scope(|scope| {
        let threads: Vec<_> = connections
            .iter_mut()
            .map(|connection| {
                let call = &call;
                scope.spawn(move || {
                    let answers: Result<Vec<_>> = (0..way.calls).map(|number| call(connection, number)).collect();
                    Ok(answers?.concat())
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no call panics")).collect()
    });
    let seconds = started.elapsed().as_secs_f64();
    let cpu = stack.usage()?.cpu.saturating_sub(before.cpu);
    let handles = answers.into_iter().collect::<Result<Vec<_>>>()?.concat();
    Ok(Phase { seconds, cpu_ms: cpu.as_secs_f64() * 1000.0, handles })
}

fn create_queue(stack: &Stack, number: usize) -> Result<String> {
    let request = json!({ "QueueName": format!("bench-{number}"), "Attributes": { "VisibilityTimeout": "3600" } });
    let answer = Connection::open(stack, 0)?.wire.call("CreateQueue", &request)?;
    Ok(answer["QueueUrl"].as_str().context("no URL")?.to_owned())
}

/// One of the callers.
struct Connection {
    number: usize,
    wire: wire::Connection,
}

impl Connection {
    fn open(stack: &Stack, number: usize) -> Result<Self> {
        Ok(Self { number, wire: wire::Connection::open(&stack.endpoint, Service::Sqs)? })
    }

    fn send(&mut self, url: &str, way: &Way, call: usize) -> Result<Value> {
        let body = |place: usize| format!("{:0>BODY_BYTES$}", (self.number * way.calls + call) * way.messages + place);
        if way.messages == 1 {
            let request = json!({ "QueueUrl": url, "MessageBody": body(0) });
            return self.wire.call("SendMessage", &request);
        }
        let entry = |place: usize| json!({ "Id": place.to_string(), "MessageBody": body(place) });
        let entries: Vec<Value> = (0..way.messages).map(entry).collect();
        self.wire.call("SendMessageBatch", &json!({ "QueueUrl": url, "Entries": entries }))
    }

    fn receive(&mut self, url: &str, way: &Way) -> Result<Vec<String>> {
        let request = json!({ "QueueUrl": url, "MaxNumberOfMessages": way.messages });
        let answer = self.wire.call("ReceiveMessage", &request)?;
        let messages = answer["Messages"].as_array().context("no message")?;
        Ok(messages.iter().filter_map(|message| message["ReceiptHandle"].as_str().map(str::to_owned)).collect())
    }

    fn delete(&mut self, url: &str, handles: &[String]) -> Result<()> {
        if let [handle] = handles {
            return self.wire.call("DeleteMessage", &json!({ "QueueUrl": url, "ReceiptHandle": handle })).map(drop);
        }
        let entry = |(place, handle): (usize, &String)| json!({ "Id": place.to_string(), "ReceiptHandle": handle });
        let entries: Vec<Value> = handles.iter().enumerate().map(entry).collect();
        let answer = self.wire.call("DeleteMessageBatch", &json!({ "QueueUrl": url, "Entries": entries }))?;
        ensure!(answer["Failed"].as_array().is_none_or(Vec::is_empty), "{answer}");
        Ok(())
    }
}
