//! The serial port: bytes in and out, opened again by its name when it was lost. Never flushed: `tcdrain` can hang for
//! ever.

use super::line::{FINISH_MOST, Line, Told};
use crate::config::{Parity, Plc};
use std::io::ErrorKind;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::MissedTickBehavior;
use tokio_serial::{DataBits, FlowControl, SerialPortBuilderExt, SerialStream, StopBits};

/// How often the session looks at the clock.
const TICK: Duration = Duration::from_millis(10);
/// Pause between two attempts to open the port.
const OPEN_EVERY: Duration = Duration::from_millis(200);
/// More bytes than that waiting for the line: nobody takes them, and the port is opened anew.
const MOST_WAITING: usize = 16 << 10;

/// Opens the port of the configuration.
///
/// # Errors
/// What the system says.
pub(super) fn open(plc: &Plc) -> tokio_serial::Result<SerialStream> {
    let parity = match plc.parity {
        Parity::Even => tokio_serial::Parity::Even,
        Parity::Odd => tokio_serial::Parity::Odd,
        Parity::None => tokio_serial::Parity::None,
    };
    let mut stream = tokio_serial::new(plc.port.to_string_lossy(), plc.baud.get())
        .parity(parity)
        .data_bits(DataBits::Eight)
        .stop_bits(StopBits::One)
        .flow_control(FlowControl::None)
        .open_native_async()?;
    stream.set_exclusive(true)?;
    Ok(stream)
}

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
            match open(plc) {
                Ok(opened) => {
                    tracing::info!(port = %plc.port.display(), "the line is open");
                    (stream, is_told) = (Some(opened), false);
                    out.clear();
                    line.reopened();
                }
                Err(error) if !is_told => {
                    is_told = true;
                    tracing::error!(port = %plc.port.display(), %error, "the line can't be opened: trying again");
                }
                Err(_) => {}
            }
        }
        let has_output = !out.is_empty();
        let lost = tokio::select! {
            read = read(stream.as_ref(), &mut buffer) => match read {
                Ok(0) => Some("the other end hung up".to_owned()),
                Ok(count) => { line.feed(&buffer[..count]); None }
                Err(error) => Some(error.to_string()),
            },
            written = write(stream.as_ref(), &out), if has_output => match written {
                Ok(count) => { out.drain(..count); None }
                Err(error) => Some(error.to_string()),
            },
            Some(told) = told.recv() => { line.on_told(told); None }
            _ = tick.tick() => None,
        };
        line.step(&mut out);
        if stream.is_none() {
            // Nobody hears it, and what is stale is worse than nothing.
            out.clear();
        }
        let lost = lost.or((out.len() > MOST_WAITING).then(|| "nobody takes what is sent".to_owned()));
        if let Some(why) = lost {
            tracing::warn!(port = %plc.port.display(), why, "the line is lost");
            stream = None;
            out.clear();
        }
        if line.shared.stop.load(Ordering::Acquire) {
            let since = *stopped.get_or_insert_with(Instant::now);
            if (line.is_done() && out.is_empty()) || since.elapsed() > FINISH_MOST {
                return;
            }
        }
    }
}

/// The next bytes; pending for ever while there is no port.
async fn read(stream: Option<&SerialStream>, buffer: &mut [u8]) -> std::io::Result<usize> {
    let Some(stream) = stream else { return std::future::pending().await };
    loop {
        stream.readable().await?;
        match stream.try_read(buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            outcome => return outcome,
        }
    }
}

/// Writes what the port takes now; pending for ever while there is no port.
async fn write(stream: Option<&SerialStream>, bytes: &[u8]) -> std::io::Result<usize> {
    let Some(stream) = stream else { return std::future::pending().await };
    loop {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            outcome => return outcome,
        }
    }
}
