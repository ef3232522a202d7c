//! Listening, and stopping gracefully.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;

use crate::router::Peer;
use crate::{App, ServerError, router};

/// Most bytes of the headers of a request.
const HEADERS_UP_TO: usize = 32 << 10;
/// Longest time for open requests when the server stops.
const END_WITHIN: Duration = Duration::from_secs(10);

/// A server that listens and does not answer yet.
pub struct Server {
    app: App,
    listener: TcpListener,
    router: Router,
    /// Connections that may still be accepted.
    connections: Arc<Semaphore>,
}

/// A connection that counts among those that are open.
type Accepted = (TcpStream, SocketAddr, OwnedSemaphorePermit);

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
        Ok(Self {
            listener,
            router: router(app.clone()),
            connections: Arc::new(Semaphore::new(app.config().connections)),
            app,
        })
    }

    /// Where the server listens.
    ///
    /// # Errors
    ///
    /// When the system does not tell.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers requests until `stop` is done and the time of [`ServerConfig::drain`] has passed,
    /// then lets open ones end.
    ///
    /// [`ServerConfig::drain`]: crate::ServerConfig::drain
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let open = GracefulShutdown::new();
        self.answer_until(stop, &open).await;
        self.app.stop();
        let drained = tokio::time::sleep(self.app.config().drain);
        self.answer_until(drained, &open).await;
        drop(self.listener);
        // What does not end in time is cut off by the end of the program.
        let _ = tokio::time::timeout(END_WITHIN, open.shutdown()).await;
    }

    async fn answer_until(&self, stop: impl Future<Output = ()>, open: &GracefulShutdown) {
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                // Where both are ready, nothing more is accepted.
                biased;
                () = &mut stop => return,
                accepted = self.accept() => match accepted {
                    Some(accepted) => self.answer(accepted, open),
                    // Too many open files, say: give others time to close.
                    None => tokio::time::sleep(Duration::from_millis(50)).await,
                },
            }
        }
    }

    async fn accept(&self) -> Option<Accepted> {
        let place = Arc::clone(&self.connections).acquire_owned().await.ok()?;
        let (stream, peer) = self.listener.accept().await.ok()?;
        // Words of a stream are sent one by one.
        let _ = stream.set_nodelay(true);
        Some((stream, peer, place))
    }

    /// Answers the requests of one connection in a task of its own.
    fn answer(&self, (stream, peer, place): Accepted, open: &GracefulShutdown) {
        let router = TowerToHyperService::new(self.router.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            router.call(request)
        });
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.app.config().write_deadline));
        let connection = Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.app.config().header_deadline)
            .max_header_size(HEADERS_UP_TO)
            .serve_connection(TokioIo::new(Box::pin(stream)), service);
        let connection = open.watch(connection);
        tokio::spawn(async move {
            // A connection that breaks is the client's matter.
            let _ = connection.await;
            drop(place);
        });
    }
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
