//! What the simulated PLC does.

use crate::config::{ParityConfig, Profile};
use cellgate_protocol::digest::DigestStart;
use cellgate_protocol::modbus::unit::Unit;
use std::path::PathBuf;
use std::time::Duration;

/// What the simulated PLC does.
#[derive(Debug, Clone)]
pub struct SimulatorOptions {
    /// The serial port.
    pub port: PathBuf,
    /// What is spoken on it.
    pub profile: Profile,
    /// Modbus unit of the device.
    pub unit: Unit,
    /// Bits per second.
    pub baud: u32,
    /// The parity bit.
    pub parity: ParityConfig,
    /// The models that may let a part pass, at most [`ALLOWED_MODELS`](cellgate_protocol::limits::ALLOWED_MODELS).
    pub models: Vec<DigestStart>,
    /// The first part's number; the others count up.
    pub first_part: u64,
    /// How many parts.
    pub parts: u64,
    /// From one trigger to the next, at least.
    pub every: Duration,
    /// From a part's trigger to its image; without it the image comes first.
    pub scan_after: Option<Duration>,
    /// What a part may take, in ms.
    pub deadline_ms: u32,
    /// The longest that the device may take to get ready before the first part and between two.
    pub patience: Duration,
}
