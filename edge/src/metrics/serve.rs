//! Serves the metrics by HTTP on loopback, at `/metrics`. Any request other than `GET /metrics` gets an error status.
//!
//! Connections, bytes and time are bounded. All that a slow or hostile client can do is delay other clients.

use super::CONTENT_TYPE;
use crate::priority;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE as CONTENT_TYPE_HEADER, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

/// Connections served at the same time. Further connections wait in the Linux kernel's queue.
const MAX_CONNECTIONS: usize = 32;
/// Longest time of one connection, from its acceptance to the last byte of the answer.
const MAX_CONNECTION_TIME: Duration = Duration::from_secs(2);
/// Limit of a request without its body, in bytes. hyper accepts no smaller limit.
const MAX_REQUEST_BYTES: usize = 8 << 10;
/// Pause after a connection could not be accepted, and interval for checking whether to stop.
const PAUSE: Duration = Duration::from_millis(100);

/// The server can't listen at the configured address.
#[derive(Debug, thiserror::Error)]
#[error("metrics.listen {listen}: {source}; set a free address on loopback, or leave metrics.listen out")]
pub struct ListenError {
    /// The address.
    pub listen: SocketAddr,
    /// The system's error.
    pub source: io::Error,
}

/// Binds the address, for [`Server`].
///
/// # Errors
/// [`ListenError`]: the address is in use, or does not belong to this machine.
pub fn listen(listen: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(listen).map_err(|source| ListenError { listen, source })
}

/// Writes the page with all metrics, for one request. Returns `None` if that failed.
type Page = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// Serves the metrics.
pub struct Server {
    listener: TcpListener,
    runtime: Runtime,
}

impl Server {
    /// Prepares serving at `listener`.
    ///
    /// # Errors
    /// The system refuses to poll the socket or to set up the server's event loop.
    pub fn new(listener: TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        tracing::info!(event = "metrics_served", address = %listener.local_addr()?, "metrics are served for Prometheus");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { listener, runtime })
    }

    /// Serves `page` at `/metrics` until `is_over` returns true. If `page` returns `None`, the status is 500. Sets the calling
    /// thread to the lowest priority.
    ///
    /// # Errors
    /// Connections can't be accepted any more.
    pub fn run(
        self,
        page: impl Fn() -> Option<String> + Send + Sync + 'static,
        is_over: impl Fn() -> bool,
    ) -> io::Result<()> {
        priority::lower();
        self.runtime.block_on(async {
            let accepting = accept(self.listener, Arc::new(page));
            tokio::pin!(accepting);
            while !is_over() {
                tokio::select! {
                    error = &mut accepting => return Err(error),
                    () = tokio::time::sleep(PAUSE) => {}
                }
            }
            Ok(())
        })
    }
}

/// Accepts connections. Returns an error once no more can be accepted.
async fn accept(listener: TcpListener, page: Page) -> io::Error {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return error,
    };
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let place = match Arc::clone(&places).acquire_owned().await {
            Ok(place) => place,
            Err(error) => return io::Error::other(error),
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let page = Arc::clone(&page);
                tokio::spawn(async move {
                    let _ = tokio::time::timeout(MAX_CONNECTION_TIME, answer_one(stream, page)).await;
                    drop(place);
                });
            }
            // The client has disconnected, or no descriptor is free.
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Answers one request. Errors of the connection are ignored: they concern only the client.
async fn answer_one(stream: TcpStream, page: Page) {
    let service = service_fn(|request| {
        let answer = answer(&request, &page);
        async { Ok::<_, Infallible>(answer) }
    });
    let _ = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(MAX_REQUEST_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

fn answer(request: &Request<Incoming>, page: &Page) -> Response<Full<Bytes>> {
    let (status, header, body) = if request.uri().path() != "/metrics" {
        (StatusCode::NOT_FOUND, None, "not found: the only path is /metrics\n".to_owned())
    } else if request.method() != Method::GET {
        (StatusCode::METHOD_NOT_ALLOWED, Some((ALLOW, "GET")), "method not allowed: use GET\n".to_owned())
    } else if let Some(text) = page() {
        (StatusCode::OK, Some((CONTENT_TYPE_HEADER, CONTENT_TYPE)), text)
    } else {
        (StatusCode::INTERNAL_SERVER_ERROR, None, "the metrics can't be written\n".to_owned())
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    if let Some((name, value)) = header {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
