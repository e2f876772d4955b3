//! Simulates a PLC with its gate, for integrators and tests. It triggers one part after another over the serial link, confirms
//! reference parts, and reports the outcome of each part.

mod end;
mod options;
mod scanner;

pub use end::PlcEnd;
pub use options::SimulatorOptions;
pub use scanner::{Scanner, ScannerError};

use crate::serial::{Happened, SerialPort};
use cellgate_protocol::bundle::{BundleState, Confirm};
use cellgate_protocol::limits::ALLOWED_MODELS;
use cellgate_protocol::link::plc::Ends;
use cellgate_protocol::session::plc::{PartEnd, PlcEvent, PlcSession, PlcSessionConfig};
use cellgate_protocol::session::repeat::first_wait_ms;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::time::MissedTickBehavior;

/// Interval at which the session is polled even if no bytes come. The session's time limits need that.
const TICK: Duration = Duration::from_millis(5);
/// How long the simulator stays after the last part, to acknowledge records that the device sends again.
const LINGER: Duration = Duration::from_millis(300);

/// Why the simulated PLC stopped.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// The device did not become ready in time.
    #[error("the device did not become ready within {} s: {}", waited.as_secs(), state)]
    NotReady {
        /// How long the simulator waited for the device.
        waited: Duration,
        /// The device's last heartbeat in words.
        state: String,
    },
    /// The device did not answer a confirmation in time.
    #[error("part {part_id}: the device did not answer the confirmation within {} s", waited.as_secs())]
    NotAnswered {
        /// The confirmed part.
        part_id: u64,
        /// How long the simulator waited for the answer.
        waited: Duration,
    },
    /// The port can't be opened.
    #[error("{}: the port can't be opened: {why}", port.display())]
    Port {
        /// The port's name.
        port: PathBuf,
        /// The system's error.
        why: String,
    },
    /// More models were given than the gate can hold.
    #[error("found {found} models, expected at most {ALLOWED_MODELS}; name fewer with --model and --model-digest")]
    Models {
        /// How many models were given.
        found: usize,
    },
    /// The simulated scanner can't write an image.
    #[error(transparent)]
    Scanner(#[from] ScannerError),
}

/// Runs the PLC until every part has an outcome and every confirmation an answer. Calls `report` with each event. Calls `scan` with
/// each part's number to write the part's image: just before the part's trigger, or [`SimulatorOptions::scan_after`] later than the
/// trigger. Returns the running bundle as the device showed it last.
///
/// # Errors
/// [`SimError`].
pub async fn run(
    options: &SimulatorOptions,
    mut scan: impl FnMut(u64) -> Result<(), ScannerError>,
    mut report: impl FnMut(&PlcEvent),
) -> Result<BundleState, SimError> {
    let found = options.models.len();
    if found > ALLOWED_MODELS {
        return Err(SimError::Models { found });
    }
    let models = options.models.iter().copied().collect();
    let first_wait_ms = first_wait_ms(options.baud);
    let start = Instant::now();
    let now_ms = || u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let session = PlcSession::new(PlcSessionConfig { allowed_models: models, first_wait_ms, schema: options.schema });
    let first_link_id = crate::journal::now_unix_ms() as u32;
    let ends = Ends { plc: 1, device: None, first_link_id, first_wait_ms };
    let mut link = PlcEnd::new(now_ms(), session, options, ends);

    let mut port = SerialPort::new(&options.port, options.baud, options.parity);
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // How many parts have an outcome, and whether a further part was triggered.
    let (mut done, mut in_progress) = (0, false);
    // The earliest time of the next trigger; and the time of the last outcome, at first the time of the start.
    let (mut next_at, mut idle_since) = (Instant::now(), Instant::now());
    // The part whose confirmation the device has not answered yet. The next part waits for the answer, because its verdict depends on it.
    let mut confirming = None;
    // The part whose image is still to be written, with the time for that; the part whose image was written before its trigger;
    // and why the port is closed.
    let (mut scan_due, mut scanned, mut no_port) = (None, None, None);
    loop {
        tokio::select! {
            happened = port.next() => match happened {
                Happened::Opened => {
                    no_port = None;
                    link.reopened();
                }
                Happened::Refused(error) => no_port = Some(error.to_string()),
                Happened::Received(bytes) => link.feed(now_ms(), bytes),
                Happened::Sent => {}
                Happened::Lost(error) => {
                    let port = options.port.display();
                    tracing::warn!(event = "port_lost", %port, %error, "the port was lost; it is opened again");
                }
            },
            _ = tick.tick() => {}
        }
        while let Some(event) = link.poll(now_ms(), port.out()) {
            match &event {
                PlcEvent::Decided(outcome) => {
                    (done, in_progress, idle_since) = (done + 1, false, Instant::now());
                    if let Some(confirm) = confirmation(options, outcome)
                        && link.session().confirm(now_ms(), confirm).is_ok()
                    {
                        confirming = Some(confirm.part_id);
                    }
                }
                PlcEvent::Confirmed(_) => (confirming, idle_since) = (None, Instant::now()),
                received => tracing::debug!(event = "session_event", ?received, "the session reported an event"),
            }
            report(&event);
        }
        if let Some((_, part_id)) = scan_due.take_if(|(due, _)| Instant::now() >= *due) {
            scan(part_id)?;
        }
        if let Some(part_id) = confirming {
            if idle_since.elapsed() > options.patience {
                return Err(SimError::NotAnswered { part_id, waited: options.patience });
            }
            continue;
        }
        if done == options.parts && idle_since.elapsed() >= LINGER {
            return Ok(link.session().bundle().unwrap_or_default());
        }
        if !in_progress && done < options.parts && Instant::now() >= next_at {
            if link.session().is_device_ready(now_ms()) {
                let part_id = options.first_part + done;
                // If the session refuses the trigger, the next round triggers the same part again. The part still gets one image.
                if options.scan_after.is_none() && scanned.replace(part_id) != Some(part_id) {
                    scan(part_id)?;
                }
                let nonce = (done as u32).wrapping_add(first_link_id);
                let (deadline_ms, bundle) = (options.deadline_ms, options.bundle);
                in_progress = link.session().trigger_in_bundle(now_ms(), part_id, nonce, deadline_ms, bundle).is_ok();
                if in_progress {
                    next_at = Instant::now() + options.every;
                    scan_due = options.scan_after.map(|after| (Instant::now() + after, part_id));
                }
            } else if idle_since.elapsed() > options.patience {
                let heard = link.session().device_heartbeat().and_then(|heartbeat| heartbeat.state.state());
                let state =
                    heard.map_or_else(|| "no heartbeat received".to_owned(), |state| format!("its state is {state}"));
                if let Some(why) = no_port {
                    return Err(SimError::Port { port: options.port.clone(), why });
                }
                return Err(SimError::NotReady { waited: options.patience, state });
            }
        }
    }
}

/// The confirmation of this part, if the part is to be confirmed and has a verdict.
fn confirmation(options: &SimulatorOptions, outcome: &PartEnd) -> Option<Confirm> {
    let PartEnd { part_id, verdict_seq, .. } = *outcome;
    let verdict_seq = verdict_seq.filter(|_| options.confirm.contains(&part_id))?;
    Some(Confirm { verdict_seq, part_id, bundle: options.bundle })
}
