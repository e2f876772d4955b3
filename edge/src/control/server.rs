//! The appliance's side of the control socket: takes one request of each connection and answers it.

use super::error::ControlError;
use super::message::{Answer, Request};
use super::peer::Who;
use super::place::{Place, listen};
use super::transfer::{Line, read_line, write_all};
use crate::priority;
use std::path::Path;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Runtime;
use tokio::time::{sleep, timeout};

/// The largest request in bytes, without its line feed.
pub const MAX_REQUEST_BYTES: usize = 64 << 10;
/// The longest time from a connection to the last byte of its request.
pub const MAX_REQUEST_TIME: Duration = Duration::from_secs(2);
/// The longest time for carrying out a request. Storing what a request changes takes milliseconds. A journal that is slower than
/// this is not ready.
pub const MAX_ANSWER_TIME: Duration = Duration::from_secs(10);
/// The longest time for sending an answer.
const MAX_SEND_TIME: Duration = Duration::from_secs(2);
/// Pause after a connection could not be accepted, and interval for checking whether to stop.
const PAUSE: Duration = Duration::from_millis(100);

/// The appliance's side of the control socket. Removes the socket's file on drop.
pub struct Server {
    listener: UnixListener,
    runtime: Runtime,
    _place: Place,
}

impl Server {
    /// Listens at `socket`. A socket that a dead appliance left behind is replaced.
    ///
    /// # Errors
    /// [`ControlError`]: another process listens there, another file is there, or the socket can't be created.
    pub fn listen(socket: &Path) -> Result<Self, ControlError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| ControlError::io(socket, socket, source))?;
        let (listener, place) = listen(socket, &runtime)?;
        tracing::info!(event = "control_served", socket = %socket.display(), "the control socket takes commands");
        Ok(Self { listener, runtime, _place: place })
    }

    /// Passes each request to `carry_out` and sends what it returns, until `is_over` returns true. `carry_out` may block for
    /// [`MAX_ANSWER_TIME`]. Sets the calling thread to the lowest priority, so that no client can slow down the judging of a part.
    pub fn run(self, carry_out: impl FnMut(Request, Who) -> Answer, is_over: impl Fn() -> bool) {
        priority::lower();
        self.runtime.block_on(async {
            let serving = serve(&self.listener, carry_out);
            tokio::pin!(serving);
            while !is_over() {
                // `serving` never ends.
                let _ = timeout(PAUSE, &mut serving).await;
            }
        });
    }
}

/// Serves one connection after the other.
async fn serve(listener: &UnixListener, mut carry_out: impl FnMut(Request, Who) -> Answer) {
    loop {
        match listener.accept().await {
            // An error concerns only this client, which has disconnected.
            Ok((stream, _)) => drop(answer(&stream, &mut carry_out).await),
            // The client has disconnected, or no descriptor is free.
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// Takes one request from `stream` and answers it.
async fn answer(stream: &UnixStream, carry_out: &mut impl FnMut(Request, Who) -> Answer) -> std::io::Result<()> {
    let who = Who::of(stream)?;
    let invalid = |why: String| Answer::Invalid { why };
    let answer = match timeout(MAX_REQUEST_TIME, read_line(stream, MAX_REQUEST_BYTES)).await {
        Ok(line) => match line? {
            Line::Read(line) => match Request::read(&line) {
                Ok(request) => carry_out(request, who),
                Err(error) => invalid(error.to_string()),
            },
            Line::TooLong => invalid(format!(
                "found a request of more than {MAX_REQUEST_BYTES} bytes, expected one line of at most that"
            )),
        },
        Err(_) => invalid(format!(
            "found no complete request after {} s, expected one line of JSON that ends with a line feed",
            MAX_REQUEST_TIME.as_secs()
        )),
    };
    timeout(MAX_SEND_TIME, write_all(stream, &answer.to_line())).await?
}
