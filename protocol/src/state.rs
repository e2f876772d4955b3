//! What state the appliance is in, numbered as in OPC 40100-1 (machine vision), and its status bits.

use core::fmt;
use serde::{Deserialize, Serialize};

/// The appliance's state. The numbers are those of OPC 40100-1, 4 and 8 upwards are not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DeviceState {
    /// Starting: nothing was proven yet.
    Preoperational = 1,
    /// Stopped by a person or by a shutdown.
    Halted = 2,
    /// Something must be mended first: the store, the engine, the golden images.
    Error = 3,
    /// Could work, but holds: the PLC is silent or a worker stands still.
    Initialized = 5,
    /// Waits for a trigger.
    Ready = 6,
    /// Has a part in hand.
    SingleExecution = 7,
}

impl DeviceState {
    /// The stable name, for example `SINGLE_EXECUTION`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Preoperational => "PREOPERATIONAL",
            Self::Halted => "HALTED",
            Self::Error => "ERROR",
            Self::Initialized => "INITIALIZED",
            Self::Ready => "READY",
            Self::SingleExecution => "SINGLE_EXECUTION",
        }
    }

    /// The state on the wire.
    #[must_use]
    pub const fn code(self) -> StateCode {
        StateCode(self as u8)
    }
}

impl fmt::Display for DeviceState {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

/// A state as it travels: any 8 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StateCode(pub u8);

impl StateCode {
    /// The state that the code says; none for one that this version doesn't know.
    #[must_use]
    pub const fn state(self) -> Option<DeviceState> {
        Some(match self.0 {
            1 => DeviceState::Preoperational,
            2 => DeviceState::Halted,
            3 => DeviceState::Error,
            5 => DeviceState::Initialized,
            6 => DeviceState::Ready,
            7 => DeviceState::SingleExecution,
            _ => return None,
        })
    }
}

/// Status bits, the same in a HEARTBEAT and in a Modbus register; unknown bits are kept and mean nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Status(#[serde(with = "postcard::fixint::le")] pub u16);

impl Status {
    /// A trigger would be accepted.
    pub const READY: Self = Self(1 << 0);
    /// A part is being judged.
    pub const BUSY: Self = Self(1 << 1);
    /// The last part has its terminal entry in the journal, and the PLC did not acknowledge it yet.
    pub const DONE: Self = Self(1 << 2);
    /// The verdict that is shown may be acted on: it was committed, its deadline is not over, a PASS is healthy.
    pub const VALID: Self = Self(1 << 3);
    /// A trigger was refused because a part was in hand; stays until it is cleared.
    pub const OVERRUN: Self = Self(1 << 4);
    /// The appliance works with less than it should.
    pub const DEGRADED: Self = Self(1 << 5);
    /// The journal can store.
    pub const STORE_OK: Self = Self(1 << 6);

    /// Are all bits of `other` set?
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These bits, and those of `other` where `on`.
    #[must_use]
    pub const fn with(self, other: Self, on: bool) -> Self {
        if on { Self(self.0 | other.0) } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_survive_the_wire_and_unknown_ones_are_not_malformed() {
        let known = (0..=u8::MAX).filter_map(|code| StateCode(code).state().map(|state| (code, state)));
        assert!(known.clone().all(|(code, state)| state.code().0 == code));
        assert_eq!(known.count(), 6);
    }

    #[test]
    fn status_bits_add_up() {
        let status = Status::READY.with(Status::STORE_OK, true).with(Status::BUSY, false);
        assert!(status.has(Status::READY) && status.has(Status::STORE_OK) && !status.has(Status::BUSY));
    }
}
