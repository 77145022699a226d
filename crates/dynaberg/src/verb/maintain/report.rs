//! What maintenance is about to do, and what it did.

use iceberg::TableIdent;
use lake::maintain::compact::{Done, Plan, Skipped, Work};
use lake::maintain::sweep::Swept;
use serde_json::json;

use crate::cli::Format;
use crate::failure::Outcome;
use crate::output::{self, bytes, timestamp};

/// A job that is off says nothing.
#[derive(Default)]
pub struct Intent {
    pub compaction: Option<Plan>,
    pub expiring: Option<usize>,
    pub oldest_kept_ms: Option<i64>,
    pub unreferenced: Option<Swept>,
}

#[derive(Default)]
pub struct Effect {
    pub compacted: Vec<Done>,
    /// Tasks that left the table to its writers.
    pub given_up: usize,
    /// Tasks that there still are.
    pub left: usize,
    pub skipped: Vec<Skipped>,
    pub expired: usize,
    pub removed_files: usize,
    pub removed_bytes: u64,
    pub swept: Swept,
}

impl Intent {
    pub fn show(&self, format: Format, table: &TableIdent) -> Outcome {
        if format == Format::Json {
            return output::json(&self.document(table));
        }
        let Self { compaction, expiring, oldest_kept_ms, unreferenced } = self;
        match compaction {
            None => output::line("compaction    off")?,
            Some(plan) => show_plan(plan)?,
        }
        match expiring {
            None => output::line("expiry        off")?,
            Some(count) => {
                let back_to = oldest_kept_ms.map_or("nothing".to_owned(), timestamp);
                output::line(format_args!("expiry        {count} snapshots, time travel back to {back_to}"))?;
            }
        }
        match unreferenced {
            None => output::line("unreferenced  off"),
            Some(swept) => output::line(format_args!("unreferenced  {} files, {}", swept.files, bytes(swept.bytes))),
        }
    }

    fn document(&self, table: &TableIdent) -> serde_json::Value {
        let compaction = self.compaction.as_ref().map(|plan| {
            let tasks = plan.tasks.iter().map(|task| {
                json!({
                    "partition": task.partition,
                    "work": work(&task.work),
                    "files_before": task.gain.files_before,
                    "files_after": task.gain.files_after,
                    "bytes_before": task.gain.bytes_before,
                    "bytes_after": task.gain.bytes_after,
                    "rows": task.gain.rows,
                    "deleted_rows": task.gain.deleted_rows,
                })
            });
            json!({ "tasks": tasks.collect::<Vec<_>>(), "skipped": skipped(&plan.skipped) })
        });
        json!({
            "table": table.to_string(),
            "compaction": compaction,
            "expiring_snapshots": self.expiring,
            "time_travel_back_to": self.oldest_kept_ms.map(timestamp),
            "unreferenced": self.unreferenced.as_ref().map(|swept| json!({ "files": swept.files, "bytes": swept.bytes })),
        })
    }
}

fn show_plan(plan: &Plan) -> Outcome {
    if plan.tasks.is_empty() {
        output::line("compaction    nothing to gain")?;
    }
    for task in &plan.tasks {
        let gain = &task.gain;
        let what = match task.work {
            Work::Rewrite { .. } => "compaction    ",
            Work::MergeDeletes => "delete files  ",
        };
        let place = if task.partition.is_empty() { String::new() } else { format!("  {}", task.partition) };
        output::line(format_args!(
            "{what}{} files → {}  {} → {}, {} deleted rows leave{place}",
            gain.files_before,
            gain.files_after,
            bytes(gain.bytes_before),
            bytes(gain.bytes_after),
            gain.deleted_rows,
        ))?;
    }
    for Skipped { partition, reason } in &plan.skipped {
        output::line(format_args!("skipped       {partition}: {reason}"))?;
    }
    Ok(())
}

impl Effect {
    pub fn show(&self, format: Format, table: &TableIdent) -> Outcome {
        let sum = |of: fn(&Done) -> u64| self.compacted.iter().map(of).sum::<u64>();
        let (files_before, files_after) = (sum(|done| done.files_before as u64), sum(|done| done.files_after as u64));
        let (bytes_before, bytes_after) = (sum(|done| done.bytes_before), sum(|done| done.bytes_after));
        if format == Format::Json {
            return output::json(&json!({
                "table": table.to_string(),
                "compaction": {
                    "tasks": self.compacted.len(),
                    "given_up": self.given_up,
                    "left": self.left,
                    "skipped": skipped(&self.skipped),
                    "files_before": files_before,
                    "files_after": files_after,
                    "bytes_before": bytes_before,
                    "bytes_after": bytes_after,
                    "rows": sum(|done| done.rows),
                },
                "expired_snapshots": self.expired,
                "removed": { "files": self.removed_files, "bytes": self.removed_bytes },
                "unreferenced": { "files": self.swept.files, "bytes": self.swept.bytes },
            }));
        }
        output::line(format_args!(
            "compaction    {files_before} files → {files_after}  {} → {}",
            bytes(bytes_before),
            bytes(bytes_after)
        ))?;
        if self.given_up + self.left > 0 {
            let (given_up, left) = (self.given_up, self.left);
            output::line(format_args!("              {given_up} tasks left to the writers, {left} still to do"))?;
        }
        for Skipped { partition, reason } in &self.skipped {
            output::line(format_args!("skipped       {partition}: {reason}"))?;
        }
        let Self { expired, removed_files, removed_bytes, swept, .. } = self;
        output::line(format_args!(
            "expiry        {expired} snapshots, {removed_files} files, {}",
            bytes(*removed_bytes)
        ))?;
        output::line(format_args!("unreferenced  {} files, {}", swept.files, bytes(swept.bytes)))
    }
}

fn work(work: &Work) -> &'static str {
    match work {
        Work::Rewrite { .. } => "rewrite",
        Work::MergeDeletes => "merge-deletes",
    }
}

fn skipped(skipped: &[Skipped]) -> Vec<serde_json::Value> {
    skipped.iter().map(|one| json!({ "partition": one.partition, "reason": one.reason })).collect()
}
