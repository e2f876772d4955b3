//! Defines what a device's session must know about its caller, the program around the session: settings and condition.

use crate::version::Schema;

/// Settings that do not change while a device runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceSessionConfig {
    /// The device's number.
    pub device: u32,
    /// The number of this start, from the device's journal. It increases with each start, is never used twice and is never 0. A
    /// new journal must not begin at 1, because a PLC may remember starts from the previous journal. `cellgate-edge` begins
    /// with the seconds since the year 2020.
    pub boot_epoch: u32,
    /// The wait before a verdict is repeated, computed by [`crate::session::repeat::first_wait_ms`].
    pub first_wait_ms: u64,
    /// The highest schema that the device speaks. [`Schema::Two`] is for a device that judges by bundle: it calls
    /// [`super::DeviceSession::set_bundle`] and answers each [`super::DeviceEvent::Confirm`].
    pub schema: Schema,
}

/// The operating mode of the program around the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Starting: accepts no triggers yet.
    Starting,
    /// Accepts triggers.
    Operating,
    /// Finishes the open part but accepts no new triggers.
    Halted,
    /// Needs repair: accepts no triggers and sends no PASS.
    Failed,
}

/// The condition of the program around the session. Without a good condition the session accepts no triggers and sends no
/// PASS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    /// The operating mode.
    pub mode: Mode,
    /// Can the journal store verdicts?
    pub store_ok: bool,
    /// Is the device degraded: does it work with less than it should have?
    pub degraded: bool,
    /// Verdicts in the journal that the PLC has not acknowledged.
    pub backlog: u16,
}
