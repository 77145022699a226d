//! Connections: accepted, bounded, and ended gracefully.

use std::{convert::Infallible, future::Future, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::{Gateway, http2};

/// Connections at the same time: half of the file descriptors that a process usually has. The next one waits in the
/// listener's queue.
const CONNECTIONS_MAX: usize = 512;

/// How long a client may take to send a head; also how long a connection may be idle.
const HEAD_TIME_MAX: Duration = Duration::from_secs(75);

/// What hyper keeps of one connection, at most. Above our own limit of a head, which answers in the caller's protocol.
const BUFFER_BYTES_MAX: usize = 256 * 1024;

/// Calls at the same time on one connection of HTTP/2.
const STREAMS_MAX: u32 = 200;

/// How long calls in flight may take once the end has come.
const SHUTDOWN_TIME_MAX: Duration = Duration::from_secs(10);

/// How long to leave a listener alone that fails, as it does when the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl Gateway {
    /// Serves until `shutdown`, then lets calls in flight end, for ten seconds at most.
    pub fn serve(self, listener: TcpListener, shutdown: CancellationToken) -> impl Future<Output = ()> + Send {
        serve(Arc::new(self), listener, shutdown)
    }
}

async fn serve(gateway: Arc<Gateway>, listener: TcpListener, shutdown: CancellationToken) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let place = places.clone().acquire_owned().await.expect("the semaphore is never closed");
            (place, listener.accept().await)
        };
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            Some(_) = connections.join_next() => {}
            (place, accepted) = accepted => match accepted {
                Ok((stream, _)) => {
                    let connection = serve_connection(gateway.clone(), stream, graceful.watcher(), shutdown.clone());
                    connections.spawn(async move {
                        connection.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    warn!(%error, "connection not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    gateway.calls.close();
    let all_ended = async {
        graceful.shutdown().await;
        gateway.calls.wait().await;
    };
    if tokio::time::timeout(SHUTDOWN_TIME_MAX, all_ended).await.is_err() {
        warn!(calls = gateway.calls.len(), "calls still in flight are abandoned");
    }
    connections.shutdown().await;
}

async fn serve_connection(gateway: Arc<Gateway>, stream: TcpStream, watcher: Watcher, shutdown: CancellationToken) {
    // Answers are written in one piece; waiting for more only adds Nagle's delay. A socket that refuses is still good.
    let _ = stream.set_nodelay(true);
    let asked = tokio::select! {
        biased;
        // Who has said nothing yet has no call in flight that the end would wait for.
        () = shutdown.cancelled() => return,
        asked = tokio::time::timeout(HEAD_TIME_MAX, http2::is_asked_for(&stream)) => asked,
    };
    let outcome = match asked {
        Ok(Ok(true)) => serve_http2(gateway, stream, watcher).await,
        Ok(Ok(false)) => serve_http1(gateway, stream, watcher).await,
        Ok(Err(error)) => return debug!(%error, "connection ended before it began"),
        Err(_) => return debug!("nothing was asked on a connection"),
    };
    if let Err(error) = outcome {
        debug!(%error, "connection ended");
    }
}

async fn serve_http1(gateway: Arc<Gateway>, stream: TcpStream, watcher: Watcher) -> hyper::Result<()> {
    let service = service_fn(|request| {
        let gateway = gateway.clone();
        async move { Ok::<_, Infallible>(gateway.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_buf_size(BUFFER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    watcher.watch(connection).await
}

async fn serve_http2(gateway: Arc<Gateway>, stream: TcpStream, watcher: Watcher) -> hyper::Result<()> {
    let service = service_fn(move |request| {
        let gateway = gateway.clone();
        async move { Ok::<_, Infallible>(gateway.answer(http2::with_host(request)).await) }
    });
    let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(HEAD_TIME_MAX)
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(BUFFER_BYTES_MAX as u32)
        .serve_connection(TokioIo::new(stream), service);
    watcher.watch(connection).await
}
