//! Service: the serial port. Bytes go in and out, and the port is opened again by its name after it was lost.

use super::beat::Worker;
use super::line::{FINISH_MOST, Line};
use super::messages::ToLine;
use super::service::Service;
use crate::config::Plc;
use crate::serial::{self, Moved};
use std::io::ErrorKind;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::Receiver;
use tokio::time::MissedTickBehavior;
use tokio_serial::SerialStream;

/// How often the session looks at the clock.
const TICK: Duration = Duration::from_millis(10);
/// Pause between two attempts to open the port.
const OPEN_EVERY: Duration = Duration::from_millis(100);
/// More waiting bytes than that: the other end takes none, and the port is opened anew.
const MOST_WAITING: usize = 16 << 10;

/// The service that serves the line to the PLC.
pub(super) struct Port {
    pub(super) plc: Plc,
    pub(super) line: Line,
    pub(super) messages: Receiver<ToLine>,
    pub(super) runtime: Runtime,
}

impl Service for Port {
    fn name(&self) -> &'static str {
        Worker::Port.name()
    }

    /// Runs until the appliance is to stop and nothing is in hand.
    fn run(self) {
        let Self { plc, line, messages, runtime } = self;
        let connection =
            Connection { stream: None, out: Vec::new(), open_at: Instant::now(), is_failure_logged: false };
        runtime.block_on(serve(plc, line, messages, connection));
    }
}

/// The port while it is open, and the bytes that wait for it.
struct Connection {
    stream: Option<SerialStream>,
    out: Vec<u8>,
    open_at: Instant,
    is_failure_logged: bool,
}

async fn serve(plc: Plc, mut line: Line, mut messages: Receiver<ToLine>, mut connection: Connection) {
    let mut buffer = [0; 1024];
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stopped = None;
    loop {
        connection.open(&plc, &mut line);
        let ready = tokio::select! {
            moved = serial::exchange(connection.stream.as_mut(), &mut buffer, &connection.out) => Ready::Moved(moved),
            Some(message) = messages.recv() => Ready::Message(message),
            _ = tick.tick() => Ready::Tick,
        };
        let mut outcome = Ok(());
        match ready {
            Ready::Moved(Ok(Moved::In(count))) => line.feed(&buffer[..count]),
            Ready::Moved(Ok(Moved::Out(count))) => drop(connection.out.drain(..count)),
            Ready::Moved(Err(error)) => outcome = Err(error),
            Ready::Message(message) => line.on_message(message),
            Ready::Tick => {}
        }
        line.step(&mut connection.out);
        if let Err(error) = outcome.and_then(|()| connection.check()) {
            tracing::warn!(port = %plc.port.display(), %error, "the line is lost");
            connection.close(&line);
        }
        if line.is_stopping() {
            let since = *stopped.get_or_insert_with(Instant::now);
            if (line.is_done() && connection.out.is_empty()) || since.elapsed() > FINISH_MOST {
                return;
            }
        }
    }
}

impl Connection {
    /// Opens the port where it is lost, and an attempt is due.
    fn open(&mut self, plc: &Plc, line: &mut Line) {
        if self.stream.is_some() || Instant::now() < self.open_at {
            return;
        }
        self.open_at = Instant::now() + OPEN_EVERY;
        match serial::open(&plc.port, plc.baud.get(), plc.parity) {
            Ok(opened) => {
                tracing::info!(port = %plc.port.display(), "the line is open");
                (self.stream, self.is_failure_logged) = (Some(opened), false);
                self.out.clear();
                line.reopened();
            }
            Err(error) if !self.is_failure_logged => {
                self.is_failure_logged = true;
                tracing::error!(port = %plc.port.display(), %error, "the line can't be opened: trying again");
            }
            Err(_) => {}
        }
    }

    /// Fails where too many bytes wait for an open port.
    fn check(&mut self) -> std::io::Result<()> {
        if self.stream.is_none() {
            // Stale bytes must not go out when the port is open again.
            self.out.clear();
        }
        if self.out.len() > MOST_WAITING { Err(ErrorKind::WriteZero.into()) } else { Ok(()) }
    }

    fn close(&mut self, line: &Line) {
        self.stream = None;
        self.out.clear();
        line.lost();
    }
}

/// What woke the service.
enum Ready {
    Moved(std::io::Result<Moved>),
    Message(ToLine),
    Tick,
}
