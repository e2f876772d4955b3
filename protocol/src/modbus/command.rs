//! Defines the command block: 13 registers into which the PLC writes its heartbeat and one command.

use super::map::{COMMAND_REGISTERS, is_sealed, joined_u32, joined_u64, seal, split_u32, split_u64};

/// The registers of the command block, CRC-32C included.
pub type CommandRegisters = [u16; COMMAND_REGISTERS];

/// The numbers of the commands in the block's second register.
mod code {
    pub(super) const NONE: u16 = 0;
    pub(super) const TRIGGER: u16 = 1;
    pub(super) const ACKNOWLEDGE: u16 = 2;
    pub(super) const CLEAR: u16 = 3;
}

/// A command of the PLC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Command {
    /// 0: no command. The block only carries the heartbeat.
    #[default]
    None,
    /// 1: judge this part.
    Trigger {
        /// The part's number. The verdict repeats it.
        part_id: u64,
        /// A number that differs from the previous trigger's. The verdict repeats it.
        nonce: u16,
        /// The device's boot epoch, as the PLC read it when the part came.
        epoch: u32,
    },
    /// 2: the PLC received this verdict.
    Acknowledge {
        /// The number of the verdict's part.
        part_id: u64,
        /// The nonce that the verdict repeats.
        nonce: u16,
        /// The verdict's number in the device's journal, low 32 bits.
        sequence: u32,
    },
    /// 3: clear the overrun bit.
    Clear {
        /// A number that differs from the previous clear's.
        nonce: u16,
    },
}

/// The content of the command block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CommandBlock {
    /// The PLC's heartbeat: changes every 100 ms while the PLC runs. The device holds if the heartbeat has not changed for 500 ms.
    pub heartbeat: u16,
    /// The command.
    pub command: Command,
}

/// Why a command block or a bundle block is invalid and has no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandError {
    /// The CRC-32C is wrong.
    Crc,
    /// The block has no command with this number.
    Unknown(u16),
    /// The complement is not the inverted epoch or sequence.
    Complement,
}

impl core::fmt::Display for CommandError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Crc => f.write_str("the CRC-32C of the block is wrong"),
            Self::Unknown(number) => {
                write!(f, "found command {number}, expected 0 to 3 in the command block, 4 to 6 in the bundle block")
            }
            Self::Complement => f.write_str("the complement is not the inverted epoch or sequence"),
        }
    }
}

impl core::error::Error for CommandError {}

impl CommandBlock {
    /// Converts to registers. Fields that the command does not use are 0.
    #[must_use]
    pub fn to_registers(&self) -> CommandRegisters {
        let (code, nonce, part_id, argument) = match self.command {
            Command::None => (code::NONE, 0, 0, 0),
            Command::Trigger { part_id, nonce, epoch } => (code::TRIGGER, nonce, part_id, epoch),
            Command::Acknowledge { part_id, nonce, sequence } => (code::ACKNOWLEDGE, nonce, part_id, sequence),
            Command::Clear { nonce } => (code::CLEAR, nonce, 0, 0),
        };
        let mut registers = [0; COMMAND_REGISTERS];
        registers[..3].copy_from_slice(&[self.heartbeat, code, nonce]);
        registers[3..7].copy_from_slice(&split_u64(part_id));
        registers[7..9].copy_from_slice(&split_u32(argument));
        registers[9..11].copy_from_slice(&split_u32(!argument));
        seal(&mut registers);
        registers
    }

    /// Converts from registers. Fields that the command does not use may have any value.
    ///
    /// # Errors
    /// [`CommandError`]; the CRC-32C is checked first.
    pub fn from_registers(registers: &CommandRegisters) -> Result<Self, CommandError> {
        let r = registers;
        if !is_sealed(r) {
            return Err(CommandError::Crc);
        }
        let nonce = r[2];
        let part_id = joined_u64([r[3], r[4], r[5], r[6]]);
        let argument = joined_u32([r[7], r[8]]);
        let contradicts = joined_u32([r[9], r[10]]) != !argument;
        let command = match r[1] {
            code::NONE => Command::None,
            code::TRIGGER | code::ACKNOWLEDGE if contradicts => return Err(CommandError::Complement),
            code::TRIGGER => Command::Trigger { part_id, nonce, epoch: argument },
            code::ACKNOWLEDGE => Command::Acknowledge { part_id, nonce, sequence: argument },
            code::CLEAR => Command::Clear { nonce },
            unknown => return Err(CommandError::Unknown(unknown)),
        };
        Ok(Self { heartbeat: r[0], command })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_command() -> impl Strategy<Value = Command> {
        let any = (any::<u64>(), any::<u16>(), any::<u32>());
        (0..4, any).prop_map(|(kind, (part_id, nonce, number))| match kind {
            0 => Command::None,
            1 => Command::Trigger { part_id, nonce, epoch: number },
            2 => Command::Acknowledge { part_id, nonce, sequence: number },
            _ => Command::Clear { nonce },
        })
    }

    #[test]
    fn an_unknown_command_and_a_wrong_complement_are_refused() {
        for command in [
            Command::Trigger { part_id: 1, nonce: 2, epoch: 3 },
            Command::Acknowledge { part_id: 1, nonce: 2, sequence: 3 },
        ] {
            let changed = |at: usize, value: u16| {
                let mut registers = CommandBlock { heartbeat: 9, command }.to_registers();
                registers[at] = value;
                seal(&mut registers);
                CommandBlock::from_registers(&registers)
            };
            // Register 0 is the heartbeat, 1 the command, 8 the low word of the epoch or sequence.
            assert_eq!(changed(0, 8), Ok(CommandBlock { heartbeat: 8, command }));
            assert_eq!(changed(1, 4), Err(CommandError::Unknown(4)));
            assert_eq!(changed(8, 4), Err(CommandError::Complement));
        }
    }

    #[test]
    fn zeros_are_not_a_block() {
        assert_eq!(CommandBlock::from_registers(&[0; COMMAND_REGISTERS]), Err(CommandError::Crc));
    }

    proptest! {
        #[test]
        fn a_block_survives_the_round_trip(heartbeat: u16, command in any_command()) {
            let block = CommandBlock { heartbeat, command };
            prop_assert_eq!(CommandBlock::from_registers(&block.to_registers()), Ok(block));
        }

        #[test]
        fn a_changed_register_is_refused(heartbeat: u16, command in any_command(), at in 0_usize..13, flip in 1_u16..) {
            let mut registers = CommandBlock { heartbeat, command }.to_registers();
            registers[at] ^= flip;
            prop_assert_eq!(CommandBlock::from_registers(&registers), Err(CommandError::Crc));
        }
    }
}
