//! Defines the snapshot: 32 registers that show the device at one moment.

use super::map::{MAGIC, SNAPSHOT_REGISTERS, VERSION, is_sealed, joined_u32, joined_u64, seal, split_u32, split_u64};
use crate::{digest::DigestStart, reason::ReasonCode, score::ScoreE4, state::Status};

/// The registers of one snapshot, CRC-32C included.
pub type SnapshotRegisters = [u16; SNAPSHOT_REGISTERS];

/// The verdict register while there is no verdict to act on. It is not the code of any verdict, so
/// [`WireVerdict::from_register`](crate::code::WireVerdict::from_register) takes it for a REJECT.
pub const NO_VERDICT: u16 = 0;

/// Status bit 7: no real part was judged, and the PLC must not act on a PASS. The status register has this bit in addition to those
/// of [`Status`]. The status of a HEARTBEAT does not have it.
pub const SIMULATED: Status = Status(1 << 7);

/// The device at one moment. Register numbers are in brackets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModbusSnapshot {
    /// The device's number \[2-3\].
    pub device: u32,
    /// The state as its number in OPC 40100-1 \[4\].
    pub state: u16,
    /// The heartbeat counter. It changes every 100 ms while every worker of the device makes progress \[5\].
    pub heartbeat: u16,
    /// The boot epoch. It changes with each start of the device \[6-7\].
    pub epoch: u32,
    /// The status bits, including [`SIMULATED`] \[8\].
    pub status: Status,
    /// Verdicts in the journal that were never acknowledged \[9\].
    pub backlog: u16,
    /// The low 32 bits of the verdict's number \[10-11\].
    pub sequence: u32,
    /// The part's number \[12-15\].
    pub part_id: u64,
    /// The low 16 bits of the trigger's nonce \[16\].
    pub nonce: u16,
    /// [`WireVerdict::register`](crate::code::WireVerdict::register), or [`NO_VERDICT`] \[17\]. Register 18 is its
    /// complement.
    pub verdict: u16,
    /// The reason of the verdict or of the refusal. 0 if there is neither \[19\].
    pub reason: ReasonCode,
    /// The score \[20\].
    pub score: ScoreE4,
    /// Milliseconds since the trigger, at most 65535 \[21\].
    pub age_ms: u16,
    /// The model that judged \[22-25\].
    pub model: DigestStart,
    /// The image that was judged \[26-29\].
    pub image: DigestStart,
}

/// Why registers are not a valid snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotError {
    /// The CRC-32C is wrong: the registers are damaged, or were read in several requests.
    Crc,
    /// Register 1 is not [`MAGIC`]: the registers do not belong to this map.
    Magic(u16),
    /// Register 0 is not [`VERSION`].
    Version(u16),
    /// Register 18 is not the inverted verdict.
    Complement,
}

impl core::fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Crc => f.write_str("the CRC-32C of the registers is wrong"),
            Self::Magic(found) => write!(f, "register 1 holds {found:#06x}, expected {MAGIC:#06x}"),
            Self::Version(found) => write!(f, "found version {found} of the register map, expected {VERSION}"),
            Self::Complement => f.write_str("register 18 is not the complement of the verdict in register 17"),
        }
    }
}

impl core::error::Error for SnapshotError {}

impl ModbusSnapshot {
    /// A snapshot without device, part and verdict.
    pub const EMPTY: Self = Self {
        device: 0,
        state: 0,
        heartbeat: 0,
        epoch: 0,
        status: Status(0),
        backlog: 0,
        sequence: 0,
        part_id: 0,
        nonce: 0,
        verdict: NO_VERDICT,
        reason: ReasonCode(0),
        score: ScoreE4::NONE,
        age_ms: 0,
        model: DigestStart::NONE,
        image: DigestStart::NONE,
    };

    /// Converts to registers.
    #[must_use]
    pub fn to_registers(&self) -> SnapshotRegisters {
        let mut registers = [0; SNAPSHOT_REGISTERS];
        registers[0] = VERSION;
        registers[1] = MAGIC;
        registers[2..4].copy_from_slice(&split_u32(self.device));
        registers[4] = self.state;
        registers[5] = self.heartbeat;
        registers[6..8].copy_from_slice(&split_u32(self.epoch));
        registers[8] = self.status.0;
        registers[9] = self.backlog;
        registers[10..12].copy_from_slice(&split_u32(self.sequence));
        registers[12..16].copy_from_slice(&split_u64(self.part_id));
        registers[16] = self.nonce;
        registers[17] = self.verdict;
        registers[18] = !self.verdict;
        registers[19] = self.reason.0;
        registers[20] = self.score.0;
        registers[21] = self.age_ms;
        registers[22..26].copy_from_slice(&split_u64(u64::from_be_bytes(self.model.0)));
        registers[26..30].copy_from_slice(&split_u64(u64::from_be_bytes(self.image.0)));
        seal(&mut registers);
        registers
    }

    /// Converts from registers and checks CRC-32C, magic, version and complement.
    ///
    /// # Errors
    /// [`SnapshotError`]; the CRC-32C is checked first.
    pub fn from_registers(registers: &SnapshotRegisters) -> Result<Self, SnapshotError> {
        let r = registers;
        if !is_sealed(r) {
            return Err(SnapshotError::Crc);
        }
        if r[1] != MAGIC {
            return Err(SnapshotError::Magic(r[1]));
        }
        if r[0] != VERSION {
            return Err(SnapshotError::Version(r[0]));
        }
        if r[18] != !r[17] {
            return Err(SnapshotError::Complement);
        }
        Ok(Self {
            device: joined_u32([r[2], r[3]]),
            state: r[4],
            heartbeat: r[5],
            epoch: joined_u32([r[6], r[7]]),
            status: Status(r[8]),
            backlog: r[9],
            sequence: joined_u32([r[10], r[11]]),
            part_id: joined_u64([r[12], r[13], r[14], r[15]]),
            nonce: r[16],
            verdict: r[17],
            reason: ReasonCode(r[19]),
            score: ScoreE4(r[20]),
            age_ms: r[21],
            model: DigestStart(joined_u64([r[22], r[23], r[24], r[25]]).to_be_bytes()),
            image: DigestStart(joined_u64([r[26], r[27], r[28], r[29]]).to_be_bytes()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::WireVerdict;
    use proptest::prelude::*;

    #[test]
    fn each_check_has_its_error() {
        let right = ModbusSnapshot { verdict: WireVerdict::Pass.register(), ..ModbusSnapshot::EMPTY }.to_registers();
        let sealed = |at: usize, value: u16| {
            let mut registers = right;
            registers[at] = value;
            seal(&mut registers);
            ModbusSnapshot::from_registers(&registers)
        };
        assert_eq!(sealed(0, 1), Err(SnapshotError::Version(1)));
        assert_eq!(sealed(1, 7), Err(SnapshotError::Magic(7)));
        assert_eq!(sealed(17, WireVerdict::Reject.register()), Err(SnapshotError::Complement));
        assert_eq!(sealed(21, 9).unwrap().age_ms, 9);
    }

    fn any_snapshot() -> impl Strategy<Value = ModbusSnapshot> {
        (any::<[u16; 9]>(), any::<[u32; 3]>(), any::<u64>(), any::<[u8; 8]>(), any::<[u8; 8]>()).prop_map(
            |(words, [device, epoch, sequence], part_id, model, image)| ModbusSnapshot {
                device,
                state: words[0],
                heartbeat: words[1],
                epoch,
                status: Status(words[8]),
                backlog: words[2],
                sequence,
                part_id,
                nonce: words[3],
                verdict: words[4],
                reason: ReasonCode(words[5]),
                score: ScoreE4(words[6]),
                age_ms: words[7],
                model: DigestStart(model),
                image: DigestStart(image),
            },
        )
    }

    proptest! {
        #[test]
        fn a_snapshot_survives_the_round_trip(snapshot in any_snapshot()) {
            prop_assert_eq!(ModbusSnapshot::from_registers(&snapshot.to_registers()), Ok(snapshot));
        }

        #[test]
        fn a_torn_snapshot_is_refused(one in any_snapshot(), other in any_snapshot(), at in 1_usize..32) {
            let mut torn = one.to_registers();
            // The registers from `at` on are those of another moment.
            torn[at..].copy_from_slice(&other.to_registers()[at..]);
            prop_assume!(torn != one.to_registers() && torn != other.to_registers());
            prop_assert_eq!(ModbusSnapshot::from_registers(&torn), Err(SnapshotError::Crc));
        }
    }
}
