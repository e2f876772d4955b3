//! Defines the settings of the simulated PLC.

use crate::config::{ParityConfig, Profile};
use cellgate_protocol::digest::DigestStart;
use cellgate_protocol::modbus::unit::Unit;
use cellgate_protocol::version::Schema;
use std::path::PathBuf;
use std::time::Duration;

/// Settings of the simulated PLC.
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
    /// The port's parity.
    pub parity: ParityConfig,
    /// The models that may let a part pass, at most [`ALLOWED_MODELS`](cellgate_protocol::limits::ALLOWED_MODELS).
    pub models: Vec<DigestStart>,
    /// The first part's number. Each further part has the next number.
    pub first_part: u64,
    /// How many parts are triggered.
    pub parts: u64,
    /// The schema that the PLC speaks. Every device knows [`Schema::One`], a PLC without bundles.
    pub schema: Schema,
    /// The bundle that each trigger names. 0 names none, as a PLC of [`Schema::One`] must.
    pub bundle: u32,
    /// The parts that the PLC confirms as good reference parts of the bundle, each as soon as it has a verdict.
    pub confirm: Vec<u64>,
    /// Shortest time from one trigger to the next.
    pub every: Duration,
    /// Time from a part's trigger to its image. `None`: the image is written before the trigger.
    pub scan_after: Option<Duration>,
    /// Longest time from a part's trigger to its verdict, in ms.
    pub deadline_ms: u32,
    /// The longest time that the device may need to become ready, before the first part and between two parts, and to answer a
    /// confirmation.
    pub patience: Duration,
}
