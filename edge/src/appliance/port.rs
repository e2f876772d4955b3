//! The serial port: bytes in and out, opened again by its name when it was lost.

use super::line::{FINISH_MOST, Line, Told};
use crate::config::Plc;
use crate::serial::{self, Moved};
use std::io::ErrorKind;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::MissedTickBehavior;
use tokio_serial::SerialStream;

/// How often the session looks at the clock.
const TICK: Duration = Duration::from_millis(10);
/// Pause between two attempts to open the port.
const OPEN_EVERY: Duration = Duration::from_millis(100);
/// More bytes than that waiting for the line: nobody takes them, and the port is opened anew.
const MOST_WAITING: usize = 16 << 10;

/// Serves the line until the appliance is stopped and nothing is in hand.
pub(super) async fn serve(plc: &Plc, line: &mut Line, mut told: UnboundedReceiver<Told>) {
    let mut stream: Option<SerialStream> = None;
    let mut out = Vec::new();
    let mut buffer = [0; 1024];
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut open_at, mut is_told, mut stopped) = (Instant::now(), false, None);
    loop {
        if stream.is_none() && Instant::now() >= open_at {
            open_at = Instant::now() + OPEN_EVERY;
            match serial::open(&plc.port, plc.baud.get(), plc.parity) {
                Ok(opened) => {
                    tracing::info!(port = %plc.port.display(), "the line is open");
                    (stream, is_told) = (Some(opened), false);
                    out.clear();
                    line.reopened();
                    line.shared.metrics.line.opened();
                }
                Err(error) if !is_told => {
                    is_told = true;
                    tracing::error!(port = %plc.port.display(), %error, "the line can't be opened: trying again");
                }
                Err(_) => {}
            }
        }
        let ready = tokio::select! {
            moved = serial::exchange(stream.as_mut(), &mut buffer, &out) => Ready::Moved(moved),
            Some(told) = told.recv() => Ready::Told(told),
            _ = tick.tick() => Ready::Tick,
        };
        let mut outcome = Ok(());
        match ready {
            Ready::Moved(Ok(Moved::In(count))) => line.feed(&buffer[..count]),
            Ready::Moved(Ok(Moved::Out(count))) => drop(out.drain(..count)),
            Ready::Moved(Err(error)) => outcome = Err(error),
            Ready::Told(told) => line.on_told(told),
            Ready::Tick => {}
        }
        line.step(&mut out);
        if stream.is_none() {
            // Nobody hears it, and what is stale is worse than nothing.
            out.clear();
        }
        if out.len() > MOST_WAITING {
            outcome = Err(ErrorKind::WriteZero.into());
        }
        if let Err(error) = outcome {
            tracing::warn!(port = %plc.port.display(), %error, "the line is lost");
            stream = None;
            out.clear();
            line.shared.metrics.line.lost();
        }
        if line.shared.stop.load(Ordering::Acquire) {
            let since = *stopped.get_or_insert_with(Instant::now);
            if (line.is_done() && out.is_empty()) || since.elapsed() > FINISH_MOST {
                return;
            }
        }
    }
}

/// What there is to do.
enum Ready {
    Moved(std::io::Result<Moved>),
    Told(Told),
    Tick,
}
