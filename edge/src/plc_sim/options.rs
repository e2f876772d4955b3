//! Options of the simulated PLC.

use crate::config::{ParityConfig, Profile};
use cellgate_protocol::digest::DigestStart;
use cellgate_protocol::modbus::unit::Unit;
use std::path::PathBuf;
use std::time::Duration;

/// Options of the simulated PLC.
#[derive(Debug, Clone)]
pub struct SimulatorOptions {
    /// The serial port.
    pub port: PathBuf,
    /// The profile of the link.
    pub profile: Profile,
    /// Modbus unit of the device.
    pub unit: Unit,
    /// Bits per second.
    pub baud: u32,
    /// The parity bit.
    pub parity: ParityConfig,
    /// The models that may let a part pass, at most [`ALLOWED_MODELS`](cellgate_protocol::limits::ALLOWED_MODELS).
    pub models: Vec<DigestStart>,
    /// Number of the first part. The others count up.
    pub first_part: u64,
    /// Number of parts.
    pub parts: u64,
    /// Shortest time from one trigger to the next.
    pub every: Duration,
    /// Time from a part's trigger to its image. `None`: the image comes before the trigger.
    pub scan_after: Option<Duration>,
    /// Longest time of a part in ms.
    pub deadline_ms: u32,
    /// Longest wait for the device to become ready, before the first part and between parts.
    pub patience: Duration,
}
