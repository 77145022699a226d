//! The end of a verb that runs in the foreground.

use tokio_util::sync::CancellationToken;

/// A token that ends with Ctrl-C or SIGTERM. A second signal ends the process at once.
pub fn shutdown_on_signal() -> CancellationToken {
    let shutdown = CancellationToken::new();
    let token = shutdown.clone();
    tokio::spawn(async move {
        signalled().await;
        token.cancel();
        signalled().await;
        std::process::exit(crate::failure::Exit::Interrupted as i32);
    });
    shutdown
}

async fn signalled() {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can be listened to");
    tokio::select! {
        _ = terminate.recv() => (),
        _ = tokio::signal::ctrl_c() => (),
    }
}
