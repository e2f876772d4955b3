//! What the PLC tells: a block of 13 registers with one command.

use super::map::{COMMAND_REGISTERS, is_sealed, joined_u32, joined_u64, seal, split_u32, split_u64};

/// The registers of the command block, CRC-32C included.
pub type CommandRegisters = [u16; COMMAND_REGISTERS];

/// The numbers of the commands, as in the block's second register.
mod code {
    pub(super) const NONE: u16 = 0;
    pub(super) const TRIGGER: u16 = 1;
    pub(super) const ACKNOWLEDGE: u16 = 2;
    pub(super) const CLEAR: u16 = 3;
}

/// What the device is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Command {
    /// 0: nothing; the block only carries the heartbeat.
    #[default]
    None,
    /// 1: judge this part.
    Trigger {
        /// The part, which comes back with the verdict.
        part_id: u64,
        /// A number that the trigger before did not have; comes back too.
        nonce: u16,
        /// The start of the device that is asked: its epoch as its registers showed it when the part came.
        epoch: u32,
    },
    /// 2: this verdict was received and acted on.
    Acknowledge {
        /// The verdict's part.
        part_id: u64,
        /// The verdict's nonce.
        nonce: u16,
        /// The verdict's number.
        sequence: u32,
    },
    /// 3: forget the overrun.
    Clear {
        /// A number that the clear before did not have.
        nonce: u16,
    },
}

/// The whole block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CommandBlock {
    /// Changes at least every 500 ms while the PLC runs.
    pub heartbeat: u16,
    /// The command.
    pub command: Command,
}

/// Why a block takes no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandError {
    /// The CRC-32C does not fit.
    Crc,
    /// The command's number has no meaning.
    Unknown(u16),
    /// The epoch or sequence and its complement contradict each other.
    Complement,
}

impl core::fmt::Display for CommandError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Crc => f.write_str("the CRC-32C does not fit the command block"),
            Self::Unknown(number) => write!(f, "command {number} has no meaning"),
            Self::Complement => f.write_str("the epoch or sequence and its complement contradict each other"),
        }
    }
}

impl core::error::Error for CommandError {}

impl CommandBlock {
    /// As registers; what a command does not use is 0.
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

    /// From registers. What a command does not use may hold anything.
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
    fn unknown_and_contradicting_commands_are_refused() {
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
            assert_eq!(changed(0, 8), Ok(CommandBlock { heartbeat: 8, command }));
            assert_eq!(changed(1, 4), Err(CommandError::Unknown(4)));
            assert_eq!(changed(8, 4), Err(CommandError::Complement));
        }
    }

    #[test]
    fn registers_of_zeros_are_no_block() {
        assert_eq!(CommandBlock::from_registers(&[0; COMMAND_REGISTERS]), Err(CommandError::Crc));
    }

    proptest! {
        #[test]
        fn comes_back_as_it_was(heartbeat: u16, command in any_command()) {
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
