//! Listening, and stopping gracefully.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1::Builder;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};

use crate::{App, ServerError, router};

/// Longest time that the headers of a request may take to arrive.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
/// Longest time for open requests when the server stops.
const DRAIN_WITHIN: Duration = Duration::from_secs(10);

/// A server that listens and does not answer yet.
pub struct Server {
    listener: TcpListener,
    router: Router,
}

impl Server {
    /// Listens at the address of the settings.
    ///
    /// # Errors
    ///
    /// [`ServerError::Listen`] when the address is taken or not of this machine.
    pub async fn bind(app: App) -> Result<Self, ServerError> {
        let address = app.config().address();
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|source| ServerError::Listen { address, source })?;
        let router = router(app);
        Ok(Self { listener, router })
    }

    /// Where the server listens.
    ///
    /// # Errors
    ///
    /// When the system does not tell.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers requests until `stop` is done, then lets open ones end.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let open = GracefulShutdown::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => answer(stream, self.router.clone(), &open),
                    // Too many open files, say: give others time to close.
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                },
            }
        }
        drop(self.listener);
        // What does not end in time is cut off by the end of the program.
        let _ = tokio::time::timeout(DRAIN_WITHIN, open.shutdown()).await;
    }
}

/// Answers the requests of one connection in a task of its own.
fn answer(stream: TcpStream, router: Router, open: &GracefulShutdown) {
    let connection = Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let connection = open.watch(connection);
    // A connection that breaks is the client's matter.
    tokio::spawn(async move { drop(connection.await) });
}

/// Listens and answers until `stop` is done; `ready` hears the address.
///
/// # Errors
///
/// As [`Server::bind`].
pub async fn serve(
    app: App,
    stop: impl Future<Output = ()>,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), ServerError> {
    let fallback = app.config().address();
    let server = Server::bind(app).await?;
    ready(server.address().unwrap_or(fallback));
    server.run(stop).await;
    Ok(())
}
