//! Service: the serial port. Bytes go in and out, and the port is opened again by its name after it was lost.

use super::line::{Line, MAX_FINISH_TIME};
use super::liveness::Worker;
use super::messages::ToLine;
use super::service::{Role, Service};
use crate::config::PlcConfig;
use crate::serial::{self, Happened};
use std::io::ErrorKind;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::Receiver;
use tokio::time::MissedTickBehavior;

/// How often the session looks at the clock.
const TICK: Duration = Duration::from_millis(10);
/// More waiting bytes than that: the other end takes none, and the port is opened anew.
const MAX_WAITING: usize = 16 << 10;

/// The service that serves the line to the PLC.
pub(super) struct PortService {
    pub(super) plc: PlcConfig,
    pub(super) line: Line,
    pub(super) messages: Receiver<ToLine>,
    pub(super) runtime: Runtime,
}

impl Service for PortService {
    fn name(&self) -> &'static str {
        Worker::Port.name()
    }

    fn role(&self) -> Role {
        Role::Last
    }

    /// Runs until the appliance is to stop and nothing is in hand.
    fn run(self) {
        let Self { plc, line, messages, runtime } = self;
        runtime.block_on(serve(plc, line, messages));
    }
}

async fn serve(plc: PlcConfig, mut line: Line, mut messages: Receiver<ToLine>) {
    let mut port = serial::SerialPort::new(&plc.port, plc.baud.get(), plc.parity);
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut is_refusal_logged, mut stopped) = (false, None);
    loop {
        let mut lost = None;
        tokio::select! {
            happened = port.next() => match happened {
                Happened::Opened => {
                    tracing::info!(port = %plc.port.display(), "the port is open");
                    is_refusal_logged = false;
                    line.reopened();
                }
                Happened::Refused(error) => {
                    if !std::mem::replace(&mut is_refusal_logged, true) {
                        tracing::error!(port = %plc.port.display(), %error, "the port can't be opened: trying again");
                    }
                }
                Happened::Received(bytes) => line.feed(bytes),
                Happened::Sent => {}
                Happened::Lost(error) => lost = Some(error),
            },
            Some(message) = messages.recv() => line.on_message(message),
            _ = tick.tick() => {}
        }
        line.step(port.out());
        if !port.is_open() {
            // Stale bytes must not go out when the port is open again.
            port.out().clear();
        }
        if port.out().len() > MAX_WAITING {
            port.close();
            lost = Some(ErrorKind::WriteZero.into());
        }
        if let Some(error) = lost {
            tracing::warn!(port = %plc.port.display(), %error, "the port is lost");
            line.lost();
        }
        if line.is_stopping() {
            let since = *stopped.get_or_insert_with(Instant::now);
            if (line.is_done() && port.out().is_empty()) || since.elapsed() > MAX_FINISH_TIME {
                line.log_unfinished();
                return;
            }
        }
    }
}
