//! Who is plugged into whom: the embedded services behind one port, pipelines on their sources and tables, and the
//! maintenance of those tables.

mod declare;
mod deployed;
mod firehose;
mod maintenance;
mod pipelines;
mod stack;
mod stacks;
mod touched;
mod transform;

pub use declare::{Backfill, Declared, Egress, declare, declare_to_destroy};
pub use deployed::{Deployed, DeployedPipeline, Deployment, Roster};
pub use firehose::deliver;
pub use maintenance::{Policies, RoundOptions, Upkeep, maintain_targets, maintain_warehouse};
pub use pipelines::{HeldLetters, Running, SAMPLE_ITEMS, launch, replay, rewind, tap, target_of};
pub use stack::{Stack, StackOptions, bind};
pub use stacks::{Stacks, named as stacks_named};
pub use touched::touched;
pub use transform::refuse_leaks;
