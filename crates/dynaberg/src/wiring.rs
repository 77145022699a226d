//! Who is plugged into whom: the embedded services behind one port, and pipelines on their sources and tables.

mod pipelines;
mod stack;
mod transform;

pub use pipelines::{Running, SAMPLE_ITEMS, launch, replay, target_of};
pub use stack::{Stack, StackOptions, bind};
pub use transform::refuse_leaks;
