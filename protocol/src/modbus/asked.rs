//! Defines the requests of the PLC's end, and what an answer to one of them says.

use super::bundle_command::{AnyCommand, BundleCommandBlock, BundleCommandRegisters};
use super::codec::{Exception, Request, Response};
use super::command::{CommandBlock, CommandRegisters};
use super::input::BundleSnapshot;
use super::map::{BUNDLE_COMMAND_ADDRESS, COMMAND_ADDRESS, INPUT_COUNT, SNAPSHOT_COUNT};
use super::registers::Registers;
use super::snapshot::{ModbusSnapshot, SnapshotError};
use crate::version::Schema;

/// A request of the PLC.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asked {
    /// Reads the input registers of this schema.
    Read(Schema),
    /// Writes the command block.
    Plain(CommandRegisters),
    /// Writes the bundle block.
    Bundle(BundleCommandRegisters),
}

/// The content of an answer.
pub(super) enum Answer {
    /// The input registers, or why they are invalid.
    Shown(Result<(ModbusSnapshot, BundleSnapshot), SnapshotError>),
    /// The write was confirmed.
    Written,
    /// The device refused the request.
    Refused,
    /// The device does not have the registers of the schema.
    NoBundles,
}

impl Asked {
    /// Writes this command.
    pub(super) fn write(heartbeat: u16, command: AnyCommand) -> Self {
        match command {
            AnyCommand::Plain(command) => Self::Plain(CommandBlock { heartbeat, command }.to_registers()),
            AnyCommand::Bundle(command) => Self::Bundle(BundleCommandBlock { heartbeat, command }.to_registers()),
        }
    }

    /// The request as Modbus has it.
    pub(super) fn request(&self) -> Request<'_> {
        match self {
            Self::Read(Schema::One) => Request::ReadInput { address: 0, count: SNAPSHOT_COUNT },
            Self::Read(Schema::Two) => Request::ReadInput { address: 0, count: INPUT_COUNT },
            Self::Plain(block) => Request::WriteMultiple { address: COMMAND_ADDRESS, values: Registers::new(block) },
            Self::Bundle(block) => {
                Request::WriteMultiple { address: BUNDLE_COMMAND_ADDRESS, values: Registers::new(block) }
            }
        }
    }

    /// The content of this frame, if it answers the request.
    pub(super) fn answer(&self, frame: &[u8], unit: u8) -> Option<Answer> {
        Some(match (Response::decode(frame, unit, &self.request()).ok()?, self) {
            (Response::Registers(registers), Self::Read(Schema::Two)) => {
                Answer::Shown(BundleSnapshot::from_registers(&registers.to_array()?))
            }
            (Response::Registers(registers), _) => {
                let shown = ModbusSnapshot::from_registers(&registers.to_array()?);
                Answer::Shown(shown.map(|shown| (shown, BundleSnapshot::EMPTY)))
            }
            (Response::Exception(code), Self::Read(Schema::Two)) if code == Exception::IllegalAddress as u8 => {
                Answer::NoBundles
            }
            (Response::Exception(_), _) => Answer::Refused,
            _ => Answer::Written,
        })
    }
}
