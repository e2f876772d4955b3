//! Defines the bundle block: 16 registers into which a PLC with bundles writes its heartbeat and one of the commands 4 to 6.
//!
//! Its first 11 registers are those of the [command block](super::command). Both blocks exist side by side, so the command block
//! stays as it is.

use super::command::{Command, CommandError};
use super::map::{BUNDLE_COMMAND_REGISTERS, is_sealed, joined_u32, joined_u64, seal, split_u32, split_u64};
use crate::reason::ReasonCode;

/// The registers of the bundle block, CRC-32C included.
pub type BundleCommandRegisters = [u16; BUNDLE_COMMAND_REGISTERS];

/// The numbers of the commands in the block's second register.
mod code {
    pub(super) const TRIGGER: u16 = 4;
    pub(super) const CONFIRM: u16 = 5;
    pub(super) const ACKNOWLEDGE: u16 = 6;
}

/// A command of a PLC with bundles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BundleCommand {
    /// 4: judge this part of this bundle.
    Trigger {
        /// The part's number. The verdict repeats it.
        part_id: u64,
        /// A number that differs from the previous trigger's. The verdict repeats it.
        nonce: u16,
        /// The device's boot epoch, as the PLC read it when the part came.
        epoch: u32,
        /// The number of the part's bundle. 0 names no bundle.
        bundle: u32,
    },
    /// 5: this judged part is a good reference part.
    Confirm {
        /// The part's number.
        part_id: u64,
        /// The number of the part's verdict in the device's journal, low 32 bits.
        sequence: u32,
        /// The bundle that the part's trigger named, or the running bundle if it named none.
        bundle: u32,
    },
    /// 6: the PLC received this verdict, and its gate decided.
    Acknowledge {
        /// The number of the verdict's part.
        part_id: u64,
        /// The nonce that the verdict repeats.
        nonce: u16,
        /// The verdict's number in the device's journal, low 32 bits.
        sequence: u32,
        /// The reason of the gate's decision, or [`ReasonCode::NONE`].
        gate: ReasonCode,
    },
}

/// A command of either block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnyCommand {
    /// A command of the command block, 0 to 3.
    Plain(Command),
    /// A command of the bundle block, 4 to 6.
    Bundle(BundleCommand),
}

impl From<Command> for AnyCommand {
    fn from(command: Command) -> Self {
        Self::Plain(command)
    }
}

impl From<BundleCommand> for AnyCommand {
    fn from(command: BundleCommand) -> Self {
        Self::Bundle(command)
    }
}

/// The content of the bundle block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BundleCommandBlock {
    /// The PLC's heartbeat, the same one as in the command block.
    pub heartbeat: u16,
    /// The command.
    pub command: BundleCommand,
}

impl BundleCommandBlock {
    /// Converts to registers. Fields that the command does not use are 0.
    #[must_use]
    pub fn to_registers(&self) -> BundleCommandRegisters {
        let (code, nonce, part_id, argument, bundle, gate) = match self.command {
            BundleCommand::Trigger { part_id, nonce, epoch, bundle } => {
                (code::TRIGGER, nonce, part_id, epoch, bundle, ReasonCode::NONE)
            }
            BundleCommand::Confirm { part_id, sequence, bundle } => {
                (code::CONFIRM, 0, part_id, sequence, bundle, ReasonCode::NONE)
            }
            BundleCommand::Acknowledge { part_id, nonce, sequence, gate } => {
                (code::ACKNOWLEDGE, nonce, part_id, sequence, 0, gate)
            }
        };
        let mut registers = [0; BUNDLE_COMMAND_REGISTERS];
        registers[..3].copy_from_slice(&[self.heartbeat, code, nonce]);
        registers[3..7].copy_from_slice(&split_u64(part_id));
        registers[7..9].copy_from_slice(&split_u32(argument));
        registers[9..11].copy_from_slice(&split_u32(!argument));
        registers[11..13].copy_from_slice(&split_u32(bundle));
        registers[13] = gate.0;
        seal(&mut registers);
        registers
    }

    /// Converts from registers. Fields that the command does not use may have any value.
    ///
    /// # Errors
    /// [`CommandError`]; the CRC-32C is checked first.
    pub fn from_registers(registers: &BundleCommandRegisters) -> Result<Self, CommandError> {
        let r = registers;
        if !is_sealed(r) {
            return Err(CommandError::Crc);
        }
        let (nonce, part_id) = (r[2], joined_u64([r[3], r[4], r[5], r[6]]));
        let (argument, bundle) = (joined_u32([r[7], r[8]]), joined_u32([r[11], r[12]]));
        let command = match r[1] {
            code::TRIGGER => BundleCommand::Trigger { part_id, nonce, epoch: argument, bundle },
            code::CONFIRM => BundleCommand::Confirm { part_id, sequence: argument, bundle },
            code::ACKNOWLEDGE => {
                BundleCommand::Acknowledge { part_id, nonce, sequence: argument, gate: ReasonCode(r[13]) }
            }
            unknown => return Err(CommandError::Unknown(unknown)),
        };
        if joined_u32([r[9], r[10]]) != !argument {
            return Err(CommandError::Complement);
        }
        Ok(Self { heartbeat: r[0], command })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_command() -> impl Strategy<Value = BundleCommand> {
        (0..3, any::<(u64, u16, u32, u32, u16)>()).prop_map(|(kind, (part_id, nonce, number, bundle, gate))| match kind
        {
            0 => BundleCommand::Trigger { part_id, nonce, epoch: number, bundle },
            1 => BundleCommand::Confirm { part_id, sequence: number, bundle },
            _ => BundleCommand::Acknowledge { part_id, nonce, sequence: number, gate: ReasonCode(gate) },
        })
    }

    #[test]
    fn a_command_of_the_other_block_and_a_wrong_complement_are_refused() {
        for command in [
            BundleCommand::Trigger { part_id: 1, nonce: 2, epoch: 3, bundle: 4 },
            BundleCommand::Confirm { part_id: 1, sequence: 3, bundle: 4 },
            BundleCommand::Acknowledge { part_id: 1, nonce: 2, sequence: 3, gate: ReasonCode::LATE },
        ] {
            let changed = |at: usize, value: u16| {
                let mut registers = BundleCommandBlock { heartbeat: 9, command }.to_registers();
                registers[at] = value;
                seal(&mut registers);
                BundleCommandBlock::from_registers(&registers)
            };
            // Register 0 is the heartbeat, 1 the command, 8 the low word of the epoch or sequence.
            assert_eq!(changed(0, 8), Ok(BundleCommandBlock { heartbeat: 8, command }));
            for other in [0, 1, 2, 3, 7] {
                assert_eq!(changed(1, other), Err(CommandError::Unknown(other)));
            }
            assert_eq!(changed(8, 4), Err(CommandError::Complement));
        }
        assert_eq!(BundleCommandBlock::from_registers(&[0; BUNDLE_COMMAND_REGISTERS]), Err(CommandError::Crc));
    }

    proptest! {
        #[test]
        fn a_block_survives_the_round_trip(heartbeat: u16, command in any_command()) {
            let block = BundleCommandBlock { heartbeat, command };
            prop_assert_eq!(BundleCommandBlock::from_registers(&block.to_registers()), Ok(block));
        }

        #[test]
        fn a_changed_register_is_refused(heartbeat: u16, command in any_command(), at in 0_usize..16, flip in 1_u16..) {
            let mut registers = BundleCommandBlock { heartbeat, command }.to_registers();
            registers[at] ^= flip;
            prop_assert_eq!(BundleCommandBlock::from_registers(&registers), Err(CommandError::Crc));
        }
    }
}
