//! Hands a batch of stream records to the function, until each record is settled: taken, or given up.

use std::time::Duration;

use aws_wire::AwsError;
use futures::future::try_join_all;

use super::event_source_mapping::Mapping;
use super::failure::{Condition, Failure};
use super::record::{StreamRecord, event};
use super::retry::{Next, Part, after_failure};
use super::stream::{Progress, keep};
use super::window::{Closing, Window};
use super::{failure, item_failures};
use crate::lambda::environment::{Outcome, Work};
use crate::lambda::function::Function;
use crate::lambda::function_name::Region;
use crate::lambda::service::{Service, blocking};

/// The pause after a failure, doubled with each one.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// One shard's way to the function.
#[derive(Clone, Copy)]
pub(super) struct Delivery<'a> {
    pub service: &'a Service,
    pub region: &'a Region,
    pub mapping: &'a Mapping,
    pub shard: &'a str,
    /// The tumbling window that the records belong to.
    pub window: Option<&'a Window>,
}

/// How a try went.
enum Tried {
    Taken,
    /// The record at this place is the first one that failed.
    Failed {
        first: usize,
        failure: Failure,
    },
    /// The function could not be asked: throttled, or gone.
    NotAsked(AwsError),
}

impl Delivery<'_> {
    /// Hands records over to as many processes as the mapping allows; those of one item in order, to one of them.
    pub(super) async fn hand_over_by_key(&self, records: Vec<StreamRecord>) -> Result<(), AwsError> {
        let lane_count = u64::from(self.mapping.settings.parallelization_factor);
        let mut lanes = vec![Vec::new(); lane_count as usize];
        for record in records {
            lanes[(record.key_hash % lane_count) as usize].push(record);
        }
        let batch_size = self.mapping.settings.batch_size as usize;
        let lanes = lanes.iter().map(|lane| async move {
            for batch in lane.chunks(batch_size) {
                self.hand_over(batch, false).await?;
            }
            Ok(())
        });
        try_join_all(lanes).await.map(|_| ())
    }

    /// Hands one batch over. Keeps how far it is after each part where `keeps_progress`, as only the records of a shard
    /// in their order make progress.
    pub(super) async fn hand_over(&self, records: &[StreamRecord], keeps_progress: bool) -> Result<(), AwsError> {
        let policy = self.mapping.settings.retry_policy();
        let mut parts = if records.is_empty() { Vec::new() } else { vec![Part::new(0..records.len())] };
        let mut pauses = 0;
        while let Some(part) = parts.pop() {
            let part = self.without_aged(records, part).await?;
            if part.records.is_empty() {
                continue;
            }
            let (first_failed, failure) = match self.try_part(records, &part).await? {
                Tried::Taken => {
                    pauses = 0;
                    self.tell("OK");
                    if keeps_progress && !parts.is_empty() {
                        self.keep_up_to(&records[part.records.end - 1]).await?;
                    }
                    continue;
                }
                Tried::NotAsked(error) => {
                    self.tell(&format!("PROBLEM: {}", error.message));
                    parts.push(part);
                    self.pause(&mut pauses).await;
                    continue;
                }
                Tried::Failed { first, failure } => (first, failure),
            };
            self.tell("PROBLEM: Function call failed");
            if keeps_progress && first_failed > part.records.start {
                self.keep_up_to(&records[first_failed - 1]).await?;
            }
            match after_failure(policy, &part, first_failed) {
                Next::Again(rest) => {
                    parts.push(rest);
                    self.pause(&mut pauses).await;
                }
                Next::Halves(first, second) => parts.extend([second, first]),
                Next::GiveUp(rest) => {
                    self.give_up(records, &rest, Condition::RetryAttemptsExhausted, Some(&failure)).await?;
                    if keeps_progress && !parts.is_empty() {
                        self.keep_up_to(&records[rest.records.end - 1]).await?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Gives up the records at the beginning of a part that are too old, and gives the others.
    async fn without_aged(&self, records: &[StreamRecord], part: Part) -> Result<Part, AwsError> {
        let Ok(age_max) = u32::try_from(self.mapping.settings.record_age_seconds_max) else { return Ok(part) };
        let oldest_s = self.service.ambient.now_ms() as f64 / 1000.0 - f64::from(age_max);
        let is_aged = |record: &&StreamRecord| record.created_s < oldest_s;
        let aged = records[part.records.clone()].iter().take_while(is_aged).count();
        if aged == 0 {
            return Ok(part);
        }
        let start = part.records.start + aged;
        let given_up = Part { records: part.records.start..start, ..part };
        self.give_up(records, &given_up, Condition::MaximumRecordAgeExceeded, None).await?;
        Ok(Part { records: start..part.records.end, ..part })
    }

    /// Hands the state of the window over for the last time, as often as it takes: nothing goes on before.
    pub(super) async fn close_window(&self, closing: Closing) -> Result<(), AwsError> {
        let Some(window) = self.window else { return Ok(()) };
        let event = window.event(&[], self.shard, &self.mapping.source_arn, Some(closing));
        let mut pauses = 0;
        loop {
            match self.invoke(event.clone()).await? {
                Ok((outcome, _)) if !outcome.is_error => {
                    self.tell("OK");
                    return Ok(());
                }
                Ok(_) => self.tell("PROBLEM: Function call failed"),
                Err(error) => self.tell(&format!("PROBLEM: {}", error.message)),
            }
            self.pause(&mut pauses).await;
        }
    }

    async fn try_part(&self, records: &[StreamRecord], part: &Part) -> Result<Tried, AwsError> {
        let records = &records[part.records.clone()];
        let event = match self.window {
            None => event(records.iter()),
            Some(window) => window.event(records, self.shard, &self.mapping.source_arn, None),
        };
        let (outcome, request_id) = match self.invoke(event).await? {
            Ok(invoked) => invoked,
            Err(error) => return Ok(Tried::NotAsked(error)),
        };
        let all_failed = |failure| Ok(Tried::Failed { first: part.records.start, failure });
        if outcome.is_error {
            return all_failed(Failure { request_id, is_error: true });
        }
        // An answer without a state is a failure, too.
        if self.window.is_some_and(|window| !window.adopt(&outcome.payload)) {
            return all_failed(Failure { request_id, is_error: false });
        }
        if !self.mapping.settings.reports_item_failures {
            return Ok(Tried::Taken);
        }
        let identifiers: Vec<&str> = records.iter().map(|record| record.sequence_number.as_str()).collect();
        let failure = Failure { request_id, is_error: false };
        // What comes after the first failure is handed over again, so that each item's records stay in order.
        match item_failures::failed(&outcome.payload, &identifiers).first() {
            Some(first) => Ok(Tried::Failed { first: part.records.start + first, failure }),
            None => Ok(Tried::Taken),
        }
    }

    /// Invokes the function; gives its outcome and the id of the request. The inner error: it could not be asked.
    async fn invoke(&self, event: String) -> Result<Result<(Outcome, String), AwsError>, AwsError> {
        let (store, key, name) = (self.service.store.clone(), self.region.key(), self.mapping.function.clone());
        let function = blocking(move || Ok(store.get::<Function>(&key, &name)?)).await?;
        let Some(function) = function else {
            let arn = self.region.function_arn(&self.mapping.function);
            return Ok(Err(crate::lambda::error::function_not_found(&arn)));
        };
        let request_id = self.service.ambient.uuid().to_string();
        let work = Work { request_id: request_id.clone(), event: event.into(), client_context: None };
        Ok(self.service.fleet.invoke(self.region, &function, work).await.map(|outcome| (outcome, request_id)))
    }

    /// Tells the on-failure destination of records that are given up. Tries until it is told.
    async fn give_up(
        &self,
        records: &[StreamRecord],
        part: &Part,
        condition: Condition,
        failure: Option<&Failure>,
    ) -> Result<(), AwsError> {
        let records = &records[part.records.clone()];
        tracing::warn!(
            mapping = self.mapping.uuid,
            shard = self.shard,
            records = records.len(),
            condition = condition.as_str(),
            "records given up"
        );
        let Some(destination) = &self.mapping.settings.on_failure else { return Ok(()) };
        let message = failure::message(self, records, part.invocations, condition, failure);
        let mut pauses = 0;
        while let Err(error) = failure::send(self, destination, &message, records).await {
            tracing::warn!(mapping = self.mapping.uuid, destination, %error, "destination not told; trying again");
            self.tell(&format!("PROBLEM: {}", error.message));
            self.pause(&mut pauses).await;
        }
        Ok(())
    }

    async fn keep_up_to(&self, record: &StreamRecord) -> Result<(), AwsError> {
        let window = self.window.map(Window::kept);
        let progress = Progress::After { sequence_number: record.sequence_number.clone(), window };
        keep(self.service, &self.mapping.uuid, self.shard, progress).await
    }

    async fn pause(&self, pauses: &mut u32) {
        let longest = PAUSE_MIN.saturating_mul(1 << (*pauses).min(10)).min(PAUSE_MAX);
        *pauses += 1;
        // Between half of it and all of it, so that shards do not come back together.
        let share = (self.service.ambient.random() % 512) as u32;
        tokio::time::sleep(longest / 2 + longest / 2 * share / 512).await;
    }

    fn tell(&self, result: &str) {
        self.service.mappings.set_last_result(&self.mapping.uuid, result);
    }
}
