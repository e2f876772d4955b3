//! What the application tells the session about itself.

/// What does not change while a device runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceSessionConfig {
    /// The device's number.
    pub device: u32,
    /// The number of this start, from the device's store: counted up, never the same twice, never 0. A new store does not begin
    /// at 1 but, for example, at the time, as a PLC may remember the starts of the store before.
    pub boot_epoch: u32,
    /// The wait before a verdict is repeated: [`crate::session::repeat::first_wait_ms`].
    pub first_wait_ms: u64,
}

/// What the application wants, or can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Starting: no triggers yet.
    Starting,
    /// Working.
    Operating,
    /// No new triggers; the part in hand is finished.
    Halted,
    /// Something must be mended: no triggers, no PASS.
    Failed,
}

/// How the application is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    /// What it wants.
    pub mode: Mode,
    /// Can the journal store?
    pub store_ok: bool,
    /// Does it work with less than it should?
    pub degraded: bool,
    /// Verdicts in the journal that the PLC did not acknowledge.
    pub backlog: u16,
}
