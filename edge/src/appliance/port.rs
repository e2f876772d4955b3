//! The serial port: bytes in and out, opened again by its name when it was lost.

use super::line::{FINISH_MOST, Line, Told};
use crate::config::Plc;
use crate::serial::{Happened, Port};
use std::io::ErrorKind;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::MissedTickBehavior;

/// How often the session looks at the clock.
const TICK: Duration = Duration::from_millis(10);
/// More bytes than that waiting for the line: nobody takes them, and the port is opened anew.
const MOST_WAITING: usize = 16 << 10;

/// Serves the line until the appliance is stopped and nothing is in hand.
pub(super) async fn serve(plc: &Plc, line: &mut Line, mut told: UnboundedReceiver<Told>) {
    let mut port = Port::new(&plc.port, plc.baud.get(), plc.parity);
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut is_told, mut stopped) = (false, None);
    loop {
        let mut lost = None;
        tokio::select! {
            happened = port.next() => match happened {
                Happened::Opened => {
                    tracing::info!(port = %plc.port.display(), "the line is open");
                    is_told = false;
                    line.reopened();
                    line.shared.metrics.line.opened();
                }
                Happened::Refused(error) => {
                    if !std::mem::replace(&mut is_told, true) {
                        tracing::error!(port = %plc.port.display(), %error, "the line can't be opened: trying again");
                    }
                }
                Happened::Received(bytes) => line.feed(bytes),
                Happened::Sent => {}
                Happened::Lost(error) => lost = Some(error),
            },
            Some(told) = told.recv() => line.on_told(told),
            _ = tick.tick() => {}
        }
        line.step(port.out());
        if !port.is_open() {
            // Nobody hears it.
            port.out().clear();
        }
        if port.out().len() > MOST_WAITING {
            port.close();
            lost = Some(ErrorKind::WriteZero.into());
        }
        if let Some(error) = lost {
            tracing::warn!(port = %plc.port.display(), %error, "the line is lost");
            line.shared.metrics.line.lost();
        }
        if line.shared.stop.load(Ordering::Acquire) {
            let since = *stopped.get_or_insert_with(Instant::now);
            if (line.is_done() && port.out().is_empty()) || since.elapsed() > FINISH_MOST {
                return;
            }
        }
    }
}
