//! What the allocator keeps of memory that was given back to it.
//!
//! glibc makes eight arenas a core, and keeps in each what was freed there: sixteen heavy queries one after the other
//! left a process at 1.4 GB that held 80 MB.

use std::time::Duration;

use query::Memory;
use tokio_util::sync::CancellationToken;

/// How often freed memory goes back to the system while queries run.
const TRIM_PAUSE: Duration = Duration::from_millis(500);

/// Asks for one arena a core. To be called before there are threads.
pub fn keep_small() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    sys::limit_arenas(std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
}

/// Gives back what queries have freed, as long as there are queries, until `ended`.
pub async fn trim_beside(memory: Memory, ended: CancellationToken) {
    let mut was_used = false;
    while ended.run_until_cancelled(tokio::time::sleep(TRIM_PAUSE)).await.is_some() {
        let is_used = memory.held() > 0;
        if is_used || was_used {
            // It walks all that is free.
            tokio::task::spawn_blocking(trim).await.ok();
        }
        was_used = is_used;
    }
}

fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    sys::trim();
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "glibc's allocator has no other interface")]
mod sys {
    pub fn limit_arenas(count: usize) {
        // SAFETY: the call takes two numbers. It fails where they make no sense, which costs memory only.
        unsafe { libc::mallopt(libc::M_ARENA_MAX, i32::try_from(count).unwrap_or(i32::MAX)) };
    }

    pub fn trim() {
        // SAFETY: the call takes a number, and only touches pages in which nothing is allocated.
        unsafe { libc::malloc_trim(0) };
    }
}
