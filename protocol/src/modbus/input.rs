//! Defines the input registers of a device: the snapshot, and for a device with bundles the 10 registers after it.
//!
//! The CRC-32C at the end of the bundle's registers covers the snapshot too. So a PLC that reads the two in different requests finds
//! a wrong CRC-32C, unless nothing has changed between them.

use super::map::{BUNDLE_REGISTERS, INPUT_REGISTERS, SNAPSHOT_REGISTERS, is_sealed, joined_u32, seal, split_u32};
use super::snapshot::{ModbusSnapshot, SnapshotError, SnapshotRegisters};
use crate::bundle::{BundleState, ConfirmResult, StepCode};

/// The input registers of a device with bundles, both CRC-32C included.
pub type BundleInputRegisters = [u16; INPUT_REGISTERS];

/// What a device with bundles shows in addition to its [`ModbusSnapshot`]. Register numbers are in brackets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BundleSnapshot {
    /// The running bundle: its number \[32-33\], step \[34\], confirmed \[35\] and missing reference parts \[36\].
    pub state: BundleState,
    /// The answer to the last confirmation. [`BundleSnapshot::NO_RESULT`] before the first one \[37\].
    pub result: ConfirmResult,
    /// The sequence that the last confirmation named. 0 if there was no confirmation since the device's start \[38-39\].
    pub sequence: u32,
}

impl BundleSnapshot {
    /// No confirmation came since the device's start, or the last one is not answered yet.
    pub const NO_RESULT: ConfirmResult = ConfirmResult(0);

    /// No bundle and no confirmation.
    pub const EMPTY: Self = Self { state: BundleState::NONE, result: Self::NO_RESULT, sequence: 0 };
}

/// The input registers at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputRegisters {
    /// The 32 registers of a device without bundles.
    Snapshot(SnapshotRegisters),
    /// The 42 registers of a device with bundles.
    WithBundle(BundleInputRegisters),
}

impl From<SnapshotRegisters> for InputRegisters {
    fn from(registers: SnapshotRegisters) -> Self {
        Self::Snapshot(registers)
    }
}

impl InputRegisters {
    /// The registers of a device with bundles.
    #[must_use]
    pub fn with_bundle(snapshot: &ModbusSnapshot, bundle: &BundleSnapshot) -> Self {
        let mut registers = [0; INPUT_REGISTERS];
        registers[..SNAPSHOT_REGISTERS].copy_from_slice(&snapshot.to_registers());
        let BundleState { bundle: number, step, confirmed, missing } = bundle.state;
        registers[32..34].copy_from_slice(&split_u32(number));
        registers[34..38].copy_from_slice(&[u16::from(step.0), confirmed, missing, u16::from(bundle.result.0)]);
        registers[38..40].copy_from_slice(&split_u32(bundle.sequence));
        seal(&mut registers);
        Self::WithBundle(registers)
    }

    /// The registers in order of address, from 0.
    #[must_use]
    pub const fn registers(&self) -> &[u16] {
        match self {
            Self::Snapshot(registers) => registers,
            Self::WithBundle(registers) => registers,
        }
    }

    /// Does the device have the registers and the commands of bundles?
    #[must_use]
    pub const fn has_bundle(&self) -> bool {
        matches!(self, Self::WithBundle(_))
    }

    /// The boot epoch.
    pub(super) const fn epoch(&self) -> u32 {
        match self {
            Self::Snapshot(r) => joined_u32([r[6], r[7]]),
            Self::WithBundle(r) => joined_u32([r[6], r[7]]),
        }
    }
}

impl BundleSnapshot {
    /// Converts from the registers of a device with bundles. Checks both CRC-32C and the snapshot. A step or result of more than 8 bits
    /// becomes 255, which is unknown.
    ///
    /// # Errors
    /// [`SnapshotError`]; the CRC-32C over all registers is checked first.
    pub fn from_registers(registers: &BundleInputRegisters) -> Result<(ModbusSnapshot, Self), SnapshotError> {
        let r = registers;
        if !is_sealed(r) {
            return Err(SnapshotError::Crc);
        }
        let (snapshot, _) = r.split_at(SNAPSHOT_REGISTERS);
        let snapshot = ModbusSnapshot::from_registers(snapshot.try_into().map_err(|_| SnapshotError::Crc)?)?;
        let byte = |register: u16| u8::try_from(register).unwrap_or(u8::MAX);
        let step = StepCode(byte(r[34]));
        let state = BundleState { bundle: joined_u32([r[32], r[33]]), step, confirmed: r[35], missing: r[36] };
        let (result, sequence) = (ConfirmResult(byte(r[37])), joined_u32([r[38], r[39]]));
        Ok((snapshot, Self { state, result, sequence }))
    }
}

const _: () = assert!(INPUT_REGISTERS == SNAPSHOT_REGISTERS + BUNDLE_REGISTERS);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_bundle() -> impl Strategy<Value = BundleSnapshot> {
        any::<(u32, u8, u16, u16, u8, u32)>().prop_map(|(bundle, step, confirmed, missing, result, sequence)| {
            let state = BundleState { bundle, step: StepCode(step), confirmed, missing };
            BundleSnapshot { state, result: ConfirmResult(result), sequence }
        })
    }

    fn snapshot(device: u32, heartbeat: u16) -> ModbusSnapshot {
        ModbusSnapshot { device, heartbeat, ..ModbusSnapshot::EMPTY }
    }

    fn registers(snapshot: &ModbusSnapshot, bundle: &BundleSnapshot) -> BundleInputRegisters {
        InputRegisters::with_bundle(snapshot, bundle).registers().try_into().unwrap()
    }

    proptest! {
        #[test]
        fn bundle_registers_survive_the_round_trip(device: u32, heartbeat: u16, bundle in any_bundle()) {
            let snapshot = snapshot(device, heartbeat);
            let all = registers(&snapshot, &bundle);
            prop_assert_eq!(&all[..SNAPSHOT_REGISTERS], &snapshot.to_registers()[..]);
            prop_assert_eq!(BundleSnapshot::from_registers(&all), Ok((snapshot, bundle)));
        }

        #[test]
        fn registers_of_two_reads_are_refused(bundle in any_bundle(), heartbeat: u16, change in 1_u16.., at in 1_usize..42) {
            // Registers 0 to 31 are valid at both moments, but the heartbeat differs.
            let one = registers(&snapshot(7, heartbeat), &bundle);
            let other = registers(&snapshot(7, heartbeat.wrapping_add(change)), &bundle);
            let mut torn = one;
            torn[at..].copy_from_slice(&other[at..]);
            prop_assume!(torn != one && torn != other);
            prop_assert_eq!(BundleSnapshot::from_registers(&torn), Err(SnapshotError::Crc));
        }
    }

    #[test]
    fn a_step_or_result_of_more_than_8_bits_is_unknown() {
        let mut all = registers(&snapshot(7, 1), &BundleSnapshot::EMPTY);
        (all[34], all[37]) = (0x0102, 0x0101);
        seal(&mut all);
        let (_, bundle) = BundleSnapshot::from_registers(&all).unwrap();
        assert_eq!((bundle.state.step, bundle.result), (StepCode(255), ConfirmResult(255)));
    }
}
