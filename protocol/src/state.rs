//! The appliance's state, numbered as in OPC 40100-1 (machine vision), and its status bits.

use core::fmt;
use serde::{Deserialize, Serialize};

/// The appliance's state. The numbers are those of OPC 40100-1. All other numbers are unused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DeviceState {
    /// Starting. The engine has not proved itself yet.
    Preoperational = 1,
    /// Stopped by a person or by a shutdown.
    Halted = 2,
    /// Unable to judge until something is repaired, for example the store or the engine.
    Error = 3,
    /// Able to work, but on hold: the PLC is silent or a worker stands still.
    Initialized = 5,
    /// Waiting for a trigger.
    Ready = 6,
    /// A part is open.
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

    /// The state as a number.
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

/// A state as a raw number. Any 8 bits are a valid value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StateCode(pub u8);

impl StateCode {
    /// The state with this number. `None` if this version does not know it.
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

/// Status bits of a HEARTBEAT and of a Modbus register. The register has one more ([`crate::modbus::snapshot::SIMULATED`]).
/// Unknown bits are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Status(#[serde(with = "postcard::fixint::le")] pub u16);

impl Status {
    /// The device would accept a trigger.
    pub const READY: Self = Self(1 << 0);
    /// A part was accepted, and its verdict is not stored yet.
    pub const BUSY: Self = Self(1 << 1);
    /// The journal has stored the last part's verdict, and the PLC has not acknowledged it yet. In the register, also set while the
    /// registers show another record that waits for its acknowledgement.
    pub const DONE: Self = Self(1 << 2);
    /// The PLC may act on the verdict: the journal has stored it, the PLC has not acknowledged it, and the part's deadline is not
    /// over. For a PASS, the appliance must also be healthy, with a working store, and the PLC must be live.
    pub const VALID: Self = Self(1 << 3);
    /// A trigger was refused because a part was open. Set until the PLC clears it or opens a link.
    pub const OVERRUN: Self = Self(1 << 4);
    /// The appliance is degraded: it works with less than it should have.
    pub const DEGRADED: Self = Self(1 << 5);
    /// The journal can store verdicts.
    pub const STORE_OK: Self = Self(1 << 6);

    /// Are all bits of `other` set?
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These bits, and those of `other` if `on`.
    #[must_use]
    pub const fn with(self, other: Self, on: bool) -> Self {
        if on { Self(self.0 | other.0) } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_states_keep_their_number_and_unknown_ones_have_no_state() {
        let known = (0..=u8::MAX).filter_map(|code| StateCode(code).state().map(|state| (code, state)));
        assert!(known.clone().all(|(code, state)| state.code().0 == code));
        assert_eq!(known.count(), 6);
    }

    #[test]
    fn a_status_has_exactly_the_bits_that_were_switched_on() {
        let status = Status::READY.with(Status::STORE_OK, true).with(Status::BUSY, false);
        assert!(status.has(Status::READY) && status.has(Status::STORE_OK) && !status.has(Status::BUSY));
    }
}
