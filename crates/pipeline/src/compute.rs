//! CPU work in the midst of asynchronous work.

use tokio::runtime::{Handle, RuntimeFlavor};

/// Runs CPU work without holding up the other tasks of its thread. A runtime of one thread has no other thread to give
/// them to.
pub fn compute<T>(work: impl FnOnce() -> T) -> T {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::MultiThread => tokio::task::block_in_place(work),
        _ => work(),
    }
}
