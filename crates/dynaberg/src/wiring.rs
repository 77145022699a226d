//! Who is plugged into whom: the embedded services behind one port, and pipelines on their sources and tables.

mod pipelines;
mod stack;
mod transform;

pub use pipelines::{Running, launch, replay};
pub use stack::{Stack, StackOptions, bind};
