//! Service: owns the serial port. It passes bytes between the port and [`Line`], and reopens the port by its path after a loss.

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

/// How often the session checks its timers.
const TICK: Duration = Duration::from_millis(10);
/// When more bytes than this wait to be sent, the other end evidently does not read. The port is then closed and reopened.
const MAX_WAITING: usize = 16 << 10;

/// The port service.
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

    /// Runs until the appliance is stopping and no part is in progress, but at most [`MAX_FINISH_TIME`] after the appliance
    /// began to stop.
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
                    tracing::info!(event = "port_opened", port = %plc.port.display(), "the port is open");
                    is_refusal_logged = false;
                    line.reopened();
                }
                Happened::Refused(error) => {
                    if !std::mem::replace(&mut is_refusal_logged, true) {
                        let port = plc.port.display();
                        tracing::error!(event = "port_not_opened", %port, %error, "the port can't be opened; retrying");
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
            // Don't keep these bytes: they would be stale by the time the port is open.
            port.out().clear();
        }
        if port.out().len() > MAX_WAITING {
            port.close();
            lost = Some(ErrorKind::WriteZero.into());
        }
        if let Some(error) = lost {
            tracing::warn!(event = "port_lost", port = %plc.port.display(), %error, "the port was lost; reopening it");
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
