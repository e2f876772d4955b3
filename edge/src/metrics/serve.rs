//! HTTP on loopback: `GET /metrics`, and nothing else.
//!
//! Bounded in connections, bytes and time, so that a slow or hostile client costs others' figures at most.

use super::CONTENT_TYPE;
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

/// Connections at a time; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 32;
/// What one connection may take, from its first byte to the last of the answer.
const MAX_CONNECTION_TIME: Duration = Duration::from_secs(2);
/// Bytes of a request's head, the least that hyper takes.
const MAX_HEAD_BYTES: usize = 8 << 10;
/// Pause where no connection can be taken, and between two looks whether serving is over.
const PAUSE: Duration = Duration::from_millis(100);
/// Of its thread: the lowest there is.
const PRIORITY: i32 = 19;

/// Nobody can listen at the configured address.
#[derive(Debug, thiserror::Error)]
#[error("metrics.listen {listen}: {source}; set a free address on loopback, or leave the key out")]
pub struct ListenError {
    /// The address.
    pub listen: SocketAddr,
    /// What the system said.
    pub source: io::Error,
}

/// Takes the address, for [`Server`].
///
/// # Errors
/// [`ListenError`]: it is in use, or not this machine's.
pub fn listen(listen: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(listen).map_err(|source| ListenError { listen, source })
}

/// What a request gets, made anew for each.
type Page = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// Serves the metrics at an address.
pub struct Server {
    listener: TcpListener,
    runtime: Runtime,
}

impl Server {
    /// Prepares serving at `listener`.
    ///
    /// # Errors
    /// The system refuses the socket or its polling.
    pub fn new(listener: TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        tracing::info!(address = %listener.local_addr()?, "figures for Prometheus are served");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { listener, runtime })
    }

    /// Serves `page` at `/metrics` until `is_over`; where there is no page, the answer is 500. The calling thread gets the
    /// lowest priority.
    ///
    /// # Errors
    /// Connections can't be taken any more.
    pub fn run(
        self,
        page: impl Fn() -> Option<String> + Send + Sync + 'static,
        is_over: impl Fn() -> bool,
    ) -> io::Result<()> {
        // On Linux this is the thread's alone. Without it the system shares out its time evenly.
        let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), PRIORITY);
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

/// Takes connections, for as long as that is possible at all.
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
            // The client is gone already, or there is no descriptor left just now.
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Answers one request. What goes wrong is the client's business.
async fn answer_one(stream: TcpStream, page: Page) {
    let service = service_fn(|request| {
        let answer = answer(&request, &page);
        async { Ok::<_, Infallible>(answer) }
    });
    let _ = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

fn answer(request: &Request<Incoming>, page: &Page) -> Response<Full<Bytes>> {
    let (status, header, body) = if request.uri().path() != "/metrics" {
        (StatusCode::NOT_FOUND, None, "only /metrics is here\n".to_owned())
    } else if request.method() != Method::GET {
        (StatusCode::METHOD_NOT_ALLOWED, Some((ALLOW, "GET")), "only GET is done here\n".to_owned())
    } else if let Some(text) = page() {
        (StatusCode::OK, Some((CONTENT_TYPE_HEADER, CONTENT_TYPE)), text)
    } else {
        (StatusCode::INTERNAL_SERVER_ERROR, None, "the figures can't be written\n".to_owned())
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    if let Some((name, value)) = header {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
