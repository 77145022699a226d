//! `dynaberg maintain TABLE`: compaction, expiry and the sweep, now; or what they would do.

mod report;

use std::sync::Arc;
use std::time::Duration;

use iceberg::TableIdent;
use indicatif::{ProgressBar, ProgressStyle};
use lake::maintain::compact::{Plan, Progress, TableFiles, Task};
use lake::maintain::expire;

use crate::aws::Aws;
use crate::cli::MaintainArgs;
use crate::config::Catalog;
use crate::failure::Outcome;
use crate::output;
use crate::system;
use crate::wiring::{Policies, Upkeep};

use self::report::{Effect, Intent};
use super::schema::parse_table;
use super::sql::parse_catalog;

/// How often a bar moves.
const FRAME: Duration = Duration::from_millis(100);
/// How often compaction plans anew, where writers got in its way.
const PLANS_MAX: usize = 4;

pub async fn run(arguments: MaintainArgs) -> Outcome {
    let table = parse_table(&arguments.table)?;
    let aws = Aws::from_environment(system::ambient()).await?;
    let catalog = arguments.catalog.catalog.as_deref().map(parse_catalog).transpose()?;
    let catalog = aws.named_or_only(catalog.as_ref()).await?;
    let mut upkeep = Upkeep::new(aws.lake(Some(&catalog)).await?, table.clone(), Arc::default());
    let policies = policies(&aws, &catalog, &table, &arguments).await?;
    let format = output::format_or_default(arguments.output);

    let (files, intent) = intend(&mut upkeep, &policies, &aws).await?;
    if arguments.plan {
        return intent.show(format, &table);
    }
    let effect = carry_out(&mut upkeep, &policies, files, intent, arguments.grace).await?;
    effect.show(format, &table)
}

/// What S3 Tables was asked for, or our own defaults for other catalogs; what the command line says counts before both.
async fn policies(aws: &Aws, catalog: &Catalog, table: &TableIdent, arguments: &MaintainArgs) -> Outcome<Policies> {
    let mut policies = match catalog {
        Catalog::TableBucket { arn, .. } => aws.maintenance_policies(arn, table).await?,
        Catalog::Rest { .. } => Policies::unmanaged(),
    };
    if arguments.target_file_mb.is_some() || arguments.strategy.is_some() {
        let policy = policies.compaction.get_or_insert_default();
        if let Some(megabytes) = arguments.target_file_mb {
            policy.target_file_bytes = megabytes << 20;
        }
        if let Some(strategy) = arguments.strategy {
            policy.strategy = strategy.into();
        }
    }
    if arguments.min_snapshots.is_some() || arguments.max_snapshot_age.is_some() {
        let policy = policies.snapshots.get_or_insert_default();
        policy.snapshots_min = arguments.min_snapshots.unwrap_or(policy.snapshots_min);
        policy.age_max = arguments.max_snapshot_age.unwrap_or(policy.age_max);
    }
    Ok(policies)
}

/// What there is to do.
async fn intend(upkeep: &mut Upkeep, policies: &Policies, aws: &Aws) -> Outcome<(Option<TableFiles>, Intent)> {
    let mut intent = Intent::default();
    let mut files = None;
    if let Some(policy) = &policies.compaction {
        let (listed, plan) = upkeep.plan(policy).await?;
        (files, intent.compaction) = (Some(listed), Some(plan));
    }
    if let Some(policy) = &policies.snapshots {
        let loaded = upkeep.catalog.load_table(&upkeep.table).await?;
        let plan = expire::plan(loaded.metadata(), policy, aws.ambient().now_ms())?;
        let staying = loaded.metadata().snapshots().filter(|one| !plan.snapshot_ids.contains(&one.snapshot_id()));
        intent.oldest_kept_ms = staying.map(|snapshot| snapshot.timestamp_ms()).min();
        intent.expiring = Some(plan.snapshot_ids.len());
    }
    if let Some(policy) = &policies.unreferenced_files {
        intent.unreferenced = Some(upkeep.preview_sweep(policy).await?);
    }
    Ok((files, intent))
}

async fn carry_out(
    upkeep: &mut Upkeep,
    policies: &Policies,
    files: Option<TableFiles>,
    intent: Intent,
    grace: Duration,
) -> Outcome<Effect> {
    let mut effect = Effect::default();
    if let (Some(policy), Some(mut files), Some(mut plan)) = (&policies.compaction, files, intent.compaction) {
        for _ in 0..PLANS_MAX {
            run_tasks(upkeep, &files, &plan, &mut effect).await?;
            (files, plan) = upkeep.plan(policy).await?;
            if plan.tasks.is_empty() {
                break;
            }
        }
        effect.left = plan.tasks.len();
        effect.skipped = plan.skipped;
    }
    if let Some(policy) = &policies.snapshots {
        effect.expired = upkeep.expire(policy, grace).await?;
        if effect.expired > 0 {
            wait(grace).await;
        }
        (effect.removed_files, effect.removed_bytes) = upkeep.remove_freed().await?;
    }
    if let Some(policy) = &policies.unreferenced_files {
        effect.swept = upkeep.sweep(policy).await?;
    }
    Ok(effect)
}

async fn run_tasks(upkeep: &Upkeep, files: &TableFiles, plan: &Plan, effect: &mut Effect) -> Outcome {
    let rows = plan.tasks.iter().map(|task| task.gain.rows).sum();
    let bar = bar(rows, "{wide_bar} {pos}/{len} rows · {msg} · {eta} left");
    let mut before = 0;
    for (number, task) in plan.tasks.iter().enumerate() {
        bar.set_message(format!("task {} of {}", number + 1, plan.tasks.len()));
        let done = watched(upkeep, files, task, &bar, before).await?;
        before += task.gain.rows;
        match done {
            Some(done) => effect.compacted.push(done),
            None => effect.given_up += 1,
        }
    }
    bar.finish_and_clear();
    Ok(())
}

/// Runs a task and moves the bar meanwhile.
async fn watched(
    upkeep: &Upkeep,
    files: &TableFiles,
    task: &Task,
    bar: &ProgressBar,
    before: u64,
) -> Outcome<Option<lake::maintain::compact::Done>> {
    let progress = Progress::default();
    let run = upkeep.run(files, task, &progress);
    tokio::pin!(run);
    loop {
        tokio::select! {
            biased;
            done = &mut run => return Ok(done?),
            () = tokio::time::sleep(FRAME) => bar.set_position(before + progress.rows()),
        }
    }
}

async fn wait(grace: Duration) {
    let bar = bar(grace.as_secs(), "{wide_bar} waiting {eta} for queries that read expired snapshots");
    let end = tokio::time::Instant::now() + grace;
    while let Some(left) = end.checked_duration_since(tokio::time::Instant::now()).filter(|left| !left.is_zero()) {
        bar.set_position(grace.saturating_sub(left).as_secs());
        tokio::time::sleep(left.min(FRAME)).await;
    }
    bar.finish_and_clear();
}

/// On a terminal's standard error only.
fn bar(length: u64, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).expect("the template is ours");
    ProgressBar::new(length).with_style(style)
}
