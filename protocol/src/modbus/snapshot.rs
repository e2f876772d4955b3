//! What the device tells: 32 registers, all of the same instant.

use super::map::{MAGIC, SNAPSHOT_REGISTERS, VERSION, crc32c, joined_u32, joined_u64, split_u32, split_u64};

/// The registers of one snapshot, CRC-32C included.
pub type SnapshotRegisters = [u16; SNAPSHOT_REGISTERS];

/// The verdict register's words. They differ from each other, from 0x0000 and from 0xFFFF in at least 8 bits, PASS from
/// REJECT in all 16.
///
/// Any other word is to be treated as REJECT.
pub mod verdict {
    /// The part is good.
    pub const PASS: u16 = 0x5A96;
    /// The part is bad, or something went wrong: the reason tells.
    pub const REJECT: u16 = 0xA569;
    /// A person is to look at the part; until then it is not good.
    pub const REVIEW: u16 = 0x5566;
    /// There is no verdict.
    pub const NONE: u16 = 0x0000;
}

/// The score register's word when there is no score.
pub const NO_SCORE: u16 = 0xFFFF;

/// The bits of register 8, from bit 0 up in the order of the fields. Bits 8 to 15 are 0 and may get a meaning later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Status {
    /// A trigger is accepted now.
    pub ready: bool,
    /// A part is being judged.
    pub busy: bool,
    /// The judging of the part ended.
    pub done: bool,
    /// Registers 10 to 29 hold a verdict that was recorded and not acknowledged.
    pub valid: bool,
    /// A trigger came while the device was not ready, and was refused.
    pub overrun: bool,
    /// The device works with less than it should; its PASS is not to be acted on.
    pub degraded: bool,
    /// Verdicts can be recorded.
    pub store_ok: bool,
    /// No real part was judged; a PASS is not to be acted on.
    pub simulated: bool,
}

impl Status {
    /// As register 8.
    #[must_use]
    pub fn to_bits(self) -> u16 {
        let bits =
            [self.ready, self.busy, self.done, self.valid, self.overrun, self.degraded, self.store_ok, self.simulated];
        bits.into_iter().enumerate().fold(0, |word, (at, bit)| word | u16::from(bit) << at)
    }

    /// From register 8; bits without a meaning are let go.
    #[must_use]
    pub const fn from_bits(word: u16) -> Self {
        Self {
            ready: word & 1 != 0,
            busy: word & 1 << 1 != 0,
            done: word & 1 << 2 != 0,
            valid: word & 1 << 3 != 0,
            overrun: word & 1 << 4 != 0,
            degraded: word & 1 << 5 != 0,
            store_ok: word & 1 << 6 != 0,
            simulated: word & 1 << 7 != 0,
        }
    }
}

/// The device at one instant. Register numbers in brackets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// Which device \[2-3\].
    pub device: u32,
    /// Its state by OPC 40100-1's numbers \[4\].
    pub state: u16,
    /// Changes at least every 300 ms while the device is alive \[5\].
    pub heartbeat: u16,
    /// Changes with each start of the device \[6-7\].
    pub epoch: u32,
    /// The status bits \[8\].
    pub status: Status,
    /// Recorded verdicts that were never acknowledged \[9\].
    pub backlog: u16,
    /// The verdict's number, its low 32 bits \[10-11\].
    pub sequence: u32,
    /// The part that was triggered last \[12-15\].
    pub part_id: u64,
    /// The nonce of that trigger \[16\].
    pub nonce: u16,
    /// One of [`verdict`]'s words \[17\]; its complement goes to \[18\].
    pub verdict: u16,
    /// Why \[19\]; raw, as codes may be appended.
    pub reason: u16,
    /// Ten thousand times the score, rounded down, or [`NO_SCORE`] \[20\].
    pub score: u16,
    /// Milliseconds since the verdict was made; stops at 65535 \[21\].
    pub age_ms: u16,
    /// The first 8 bytes of the digest of the model \[22-25\].
    pub model: [u8; 8],
    /// The first 8 bytes of the digest of the image \[26-29\].
    pub image: [u8; 8],
}

/// Why registers are no snapshot to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotError {
    /// The CRC-32C does not fit: damaged, or read in pieces of different instants.
    Crc,
    /// Register 1 is not [`MAGIC`]: these are not this map's registers.
    Magic(u16),
    /// Register 0 names a version of the map other than [`VERSION`].
    Version(u16),
    /// The verdict and its complement contradict each other.
    Complement,
}

impl core::fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Crc => f.write_str("the CRC-32C does not fit the registers"),
            Self::Magic(found) => write!(f, "register 1 holds {found:#06x}, expected {MAGIC:#06x}"),
            Self::Version(found) => write!(f, "the map has version {found}, expected {VERSION}"),
            Self::Complement => f.write_str("the verdict and its complement contradict each other"),
        }
    }
}

impl core::error::Error for SnapshotError {}

impl Snapshot {
    /// As registers.
    #[must_use]
    pub fn to_registers(&self) -> SnapshotRegisters {
        let mut registers = [0; SNAPSHOT_REGISTERS];
        registers[0] = VERSION;
        registers[1] = MAGIC;
        registers[2..4].copy_from_slice(&split_u32(self.device));
        registers[4] = self.state;
        registers[5] = self.heartbeat;
        registers[6..8].copy_from_slice(&split_u32(self.epoch));
        registers[8] = self.status.to_bits();
        registers[9] = self.backlog;
        registers[10..12].copy_from_slice(&split_u32(self.sequence));
        registers[12..16].copy_from_slice(&split_u64(self.part_id));
        registers[16] = self.nonce;
        registers[17] = self.verdict;
        registers[18] = !self.verdict;
        registers[19] = self.reason;
        registers[20] = self.score;
        registers[21] = self.age_ms;
        registers[22..26].copy_from_slice(&split_u64(u64::from_be_bytes(self.model)));
        registers[26..30].copy_from_slice(&split_u64(u64::from_be_bytes(self.image)));
        let crc = crc32c(&registers[..30]);
        registers[30..].copy_from_slice(&crc);
        registers
    }

    /// From registers, everything checked that the device promises.
    ///
    /// # Errors
    /// [`SnapshotError`]; the CRC-32C is checked first.
    pub fn from_registers(registers: &SnapshotRegisters) -> Result<Self, SnapshotError> {
        let r = registers;
        if crc32c(&r[..30]) != [r[30], r[31]] {
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
            status: Status::from_bits(r[8]),
            backlog: r[9],
            sequence: joined_u32([r[10], r[11]]),
            part_id: joined_u64([r[12], r[13], r[14], r[15]]),
            nonce: r[16],
            verdict: r[17],
            reason: r[19],
            score: r[20],
            age_ms: r[21],
            model: joined_u64([r[22], r[23], r[24], r[25]]).to_be_bytes(),
            image: joined_u64([r[26], r[27], r[28], r[29]]).to_be_bytes(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn verdicts_are_far_apart() {
        let words = [verdict::PASS, verdict::REJECT, verdict::REVIEW, verdict::NONE, 0xFFFF];
        for (at, one) in words.iter().enumerate() {
            for other in &words[at + 1..] {
                assert!((one ^ other).count_ones() >= 8, "{one:#06x} and {other:#06x}");
            }
        }
        assert_eq!(verdict::PASS, !verdict::REJECT);
    }

    #[test]
    fn wrong_in_one_way_each() {
        let right = Snapshot { verdict: verdict::PASS, ..Snapshot::default() }.to_registers();
        let sealed = |at: usize, value: u16| {
            let mut registers = right;
            registers[at] = value;
            let crc = crc32c(&registers[..30]);
            registers[30..].copy_from_slice(&crc);
            Snapshot::from_registers(&registers)
        };
        assert_eq!(sealed(0, 2), Err(SnapshotError::Version(2)));
        assert_eq!(sealed(1, 7), Err(SnapshotError::Magic(7)));
        assert_eq!(sealed(17, verdict::REJECT), Err(SnapshotError::Complement));
        assert_eq!(sealed(21, 9).unwrap().age_ms, 9);
    }

    fn any_snapshot() -> impl Strategy<Value = Snapshot> {
        (any::<[u16; 8]>(), any::<[u32; 3]>(), any::<u64>(), any::<[u8; 8]>(), any::<[u8; 8]>(), any::<u8>()).prop_map(
            |(words, [device, epoch, sequence], part_id, model, image, bits)| Snapshot {
                device,
                state: words[0],
                heartbeat: words[1],
                epoch,
                status: Status::from_bits(u16::from(bits)),
                backlog: words[2],
                sequence,
                part_id,
                nonce: words[3],
                verdict: words[4],
                reason: words[5],
                score: words[6],
                age_ms: words[7],
                model,
                image,
            },
        )
    }

    proptest! {
        #[test]
        fn comes_back_as_it_was(snapshot in any_snapshot()) {
            prop_assert_eq!(Snapshot::from_registers(&snapshot.to_registers()), Ok(snapshot));
        }

        #[test]
        fn a_torn_snapshot_is_refused(one in any_snapshot(), other in any_snapshot(), at in 1_usize..32) {
            let mut torn = one.to_registers();
            torn[at..].copy_from_slice(&other.to_registers()[at..]);
            prop_assume!(torn != one.to_registers() && torn != other.to_registers());
            prop_assert_eq!(Snapshot::from_registers(&torn), Err(SnapshotError::Crc));
        }
    }
}
