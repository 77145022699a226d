//! Change stream → transform → table.
//!
//! A pipeline reads changes, transforms each, and commits rows **and** position together. What cannot be transformed
//! goes to the dead letters before the position moves. Start at [`Pipeline::run`].

mod accounting;
mod attribute;
mod backoff;
mod batch;
mod change;
mod checkpoint;
mod compute;
mod dead_letter;
mod decode;
mod discover;
mod error;
mod error_objects;
mod infer;
mod intake;
mod item_key;
mod lambda;
pub mod metrics;
mod order;
mod pipeline;
mod plain;
mod raw_answer;
mod record_sample;
mod shape;
mod sink;
mod source;
mod sql;
mod status;
mod supervisor;
mod tap;
mod transform;

pub use accounting::{Account, Accounts};
pub use batch::{Batch, Delivery};
pub use change::{Operation, Position, RawRecord, SequenceNumber, ShardId};
pub use checkpoint::{Checkpoint, Gap, Handover, InForce, ShardProgress};
pub use dead_letter::{
    Action, Counts, DeadLetter, DeadLetterQueue, Desk, Held, HeldFile, HeldLetter, LetterItem, LetterQueue,
    NoDeadLetters, ObjectStoreDeadLetters, OpenLetter, Outcome, Preview, Request, Retries, Selection, SqsClient,
    StagedFile, StagedLetter, Step, preview,
};
pub use decode::{Changes, Decoded, Decoder};
pub use discover::{SourceTable, find_keys, find_table, sample_items};
pub use error::{Error, ErrorKind, Result};
pub use error_objects::{DeliveryStream, ErrorObjects, FailedOfCode, FirehoseClient, RedriveCounts};
pub use infer::{KeyAttribute, KeyType, infer_schema};
pub use intake::Intake;
pub use lambda::{Function, FunctionName, Handed, Invoked, LambdaClient, LambdaTransform};
pub use order::{FindStream, Order, OrderOptions, StreamAt};
pub use pipeline::Pipeline;
pub use plain::{ParquetRows, change_of, to_parquet};
pub use record_sample::{RecordSample, sample_records};
pub use shape::{Mode, NewColumn, TableShape, attribute_doc};
pub use sink::{Commit, PartitionField, Sink, TableOptions, TableSink, Target};
pub use source::{
    AwsStreamApi, DynamoDbStreamsSource, FanOutApi, KinesisSource, KinesisStream, KinesisStreamApi, ListedShard,
    Polled, RecordPage, ReplaySource, ShardPage, Source, Start, StartPosition, StreamApi, StreamError, StreamErrorKind,
    describe_kinesis_stream, find_kinesis_stream,
};
pub use sql::{
    Attributes, Differences, Flow, Problem, SqlOptions, SqlTransform, TokenKey, Trial, Verdict, check_plain_key,
    function_names, recorded_sql,
};
pub use status::{State, Status};
pub use supervisor::{Patience, supervise};
pub use tap::{Attribute, Tap, Tapped};
pub use transform::{Transformed, transform};
