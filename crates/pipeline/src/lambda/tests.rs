//! What becomes of records that pass through functions, good and bad ones.

use std::sync::Mutex;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::*;
use crate::change::{Position, SequenceNumber, ShardId};
use crate::error::{Error, ErrorKind};

/// A function that answers as `answer` says, and counts what it saw.
struct Scripted<F> {
    answer: F,
    seen: Mutex<Vec<usize>>,
}

#[async_trait]
impl<F: Fn(&Value) -> Result<Invoked> + Send + Sync> Function for Scripted<F> {
    async fn invoke(&self, event: Bytes) -> Result<Invoked> {
        let event: Value = serde_json::from_slice(&event).unwrap();
        self.seen.lock().unwrap().push(event["records"].as_array().unwrap().len());
        (self.answer)(&event)
    }
}

fn record(number: u64) -> RawRecord {
    let json = json!({
        "eventName": "INSERT",
        "dynamodb": {
            "ApproximateCreationDateTime": 1.0,
            "Keys": {"id": {"N": number.to_string()}},
            "NewImage": {"id": {"N": number.to_string()}, "secret": {"S": "x"}},
        },
    });
    let sequence_number = SequenceNumber::parse(&number.to_string()).unwrap();
    RawRecord {
        position: Position { shard: ShardId::new("s"), sequence_number, part: 0 },
        json: json.to_string().into(),
    }
}

fn number_of(record: &Value) -> u64 {
    record["recordId"].as_str().unwrap().rsplit('/').next().unwrap().parse().unwrap()
}

/// A good answer to one record: it is without its secret.
fn cleaned(record: &Value) -> Value {
    let data = BASE64_STANDARD.decode(record["data"].as_str().unwrap()).unwrap();
    let mut data: Value = serde_json::from_slice(&data).unwrap();
    data["dynamodb"]["NewImage"].as_object_mut().unwrap().remove("secret");
    json!({"recordId": record["recordId"], "result": "Ok", "data": BASE64_STANDARD.encode(data.to_string())})
}

fn answered(records: Vec<Value>) -> Result<Invoked> {
    Ok(Invoked::Answered(json!({ "records": records }).to_string().into()))
}

fn records_of(event: &Value) -> &[Value] {
    event["records"].as_array().unwrap()
}

/// Runs ten records through a function; gives the letters' codes by record, and the sizes of the events.
async fn run(
    answer: impl Fn(&Value) -> Result<Invoked> + Send + Sync + 'static,
) -> (Vec<(u64, &'static str)>, usize, Vec<usize>) {
    let function = Arc::new(Scripted { answer, seen: Mutex::default() });
    let transform = LambdaTransform {
        function: function.clone(),
        name: "clean".to_owned(),
        source_arn: "arn:aws:dynamodb:us-east-1:000000000000:table/orders/stream/x".to_owned(),
        region: "us-east-1".to_owned(),
        ambient: Ambient::fixed(0),
    };
    let records: Vec<RawRecord> = (0..10).map(record).collect();
    let handed = transform.apply(&records).await.unwrap();
    let kept = handed.kept().inspect(|json| assert!(!json.windows(6).any(|part| part == b"secret"))).count();
    let mut letters: Vec<(u64, &'static str)> = handed
        .rejected()
        .inspect(|letter| assert!(letter.record.json.windows(6).any(|part| part == b"secret"), "the whole record"))
        .map(|letter| (letter.position().sequence_number.as_str().parse().unwrap(), letter.code))
        .collect();
    letters.sort_unstable();
    let seen = function.seen.lock().unwrap().clone();
    (letters, kept, seen)
}

#[tokio::test(start_paused = true)]
async fn a_good_function_sees_every_record_once() {
    let (letters, kept, seen) = run(|event| answered(records_of(event).iter().map(cleaned).collect())).await;
    assert_eq!((letters, kept, seen), (vec![], 10, vec![10]));
}

#[tokio::test(start_paused = true)]
async fn a_record_on_which_the_function_crashes_becomes_a_letter_and_the_others_go_on() {
    let (letters, kept, seen) = run(|event| {
        let records = records_of(event);
        match records.iter().any(|record| number_of(record) == 3) {
            true => Ok(Invoked::Failed("the function fails: Runtime.ExitError".to_owned())),
            false => answered(records.iter().map(cleaned).collect()),
        }
    })
    .await;
    assert_eq!((letters, kept), (vec![(3, FUNCTION_FAILED)], 9));
    assert_eq!(seen, [10, 5, 2, 3, 1, 2, 1, 1, 1, 5], "halves, down to the bad one, which is tried twice");
}

#[tokio::test(start_paused = true)]
async fn garbage_is_a_failure_like_any_other() {
    let (letters, kept, _) = run(|event| {
        let records = records_of(event);
        match records.iter().any(|record| number_of(record) == 9) {
            true => Ok(Invoked::Answered(Bytes::from_static(b"\"gibberish\""))),
            false => answered(records.iter().map(cleaned).collect()),
        }
    })
    .await;
    assert_eq!((letters, kept), (vec![(9, FUNCTION_FAILED)], 9));
}

#[tokio::test(start_paused = true)]
async fn forgotten_and_doubled_records_are_tried_again_and_then_letters() {
    let (letters, kept, seen) = run(|event| {
        let mut answers: Vec<Value> =
            records_of(event).iter().filter(|record| number_of(record) != 1).map(cleaned).collect();
        answers.extend(records_of(event).iter().filter(|record| number_of(record) == 2).map(cleaned));
        answered(answers)
    })
    .await;
    assert_eq!((letters, kept), (vec![(1, UNACCOUNTED), (2, UNACCOUNTED)], 8));
    assert_eq!(seen, [10, 2, 2, 2]);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_forgotten_once_only_is_kept() {
    let has_forgotten = std::sync::atomic::AtomicBool::new(false);
    let (letters, kept, seen) = run(move |event| {
        let skip = usize::from(!has_forgotten.swap(true, std::sync::atomic::Ordering::Relaxed));
        answered(records_of(event).iter().skip(skip).map(cleaned).collect())
    })
    .await;
    assert_eq!((letters, kept, seen), (vec![], 10, vec![10, 1]));
}

#[tokio::test(start_paused = true)]
async fn the_function_decides_what_is_dropped_and_what_failed() {
    let (letters, kept, seen) = run(|event| {
        let answer = |record: &Value| match number_of(record) {
            4 => json!({"recordId": record["recordId"], "result": "Dropped"}),
            5 => json!({"recordId": record["recordId"], "result": "ProcessingFailed", "data": record["data"]}),
            6 => json!({"recordId": record["recordId"], "result": "Ok", "data": BASE64_STANDARD.encode("{}")}),
            _ => cleaned(record),
        };
        answered(records_of(event).iter().map(answer).collect())
    })
    .await;
    assert_eq!((letters, kept), (vec![(5, PROCESSING_FAILED), (6, NOT_A_CHANGE)], 7));
    assert_eq!(seen, [10]);
}

#[tokio::test(start_paused = true)]
async fn a_function_that_cannot_be_asked_makes_no_letters() {
    let answer = |_: &Value| Err(Error::new(ErrorKind::Transient, "call function clean"));
    let transform = LambdaTransform {
        function: Arc::new(Scripted { answer, seen: Mutex::default() }),
        name: "clean".to_owned(),
        source_arn: String::new(),
        region: String::new(),
        ambient: Ambient::fixed(0),
    };
    let error = transform.apply(&[record(1)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient);
}
