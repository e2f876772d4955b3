//! The Modbus server of the device, which answers one request at a time.
//!
//! The server does not answer a frame with a wrong CRC or a request to another unit. Nor does it answer or execute a broadcast:
//! a command to several devices at once is most likely a mistake. Every other request gets registers, a confirmation or an
//! exception.
//!
//! A write has an effect on all of its registers or on none. A write to the last register of the command block closes the
//! block, and the server checks the block only then. An invalid block gets [`Exception::IllegalValue`] and leaves all registers
//! unchanged. A client that can only write single registers must therefore write the block's last register after the others.

use super::codec::{CountError, Exception, FrameBuffer, Request, Response, open};
use super::command::{Command, CommandBlock, CommandRegisters};
use super::map::{COMMAND_ADDRESS, COMMAND_REGISTERS, SNAPSHOT_REGISTERS};
use super::registers::Registers;
use super::snapshot::{SnapshotRegisters, epoch_of};
use super::unit::Unit;
use heapless::Deque;

/// How many triggers the server remembers. It does not execute a remembered trigger again when a delayed copy arrives.
pub const TRIGGERS: usize = 64;

/// A valid block that was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The PLC's heartbeat.
    pub heartbeat: u16,
    /// The command to execute. A trigger of another epoch than the snapshot's is always returned; the caller must refuse it.
    /// [`Command::None`] takes the place of any other command while the server is not [armed](Server::is_armed), and of a trigger
    /// or a clear that was executed before.
    pub command: Command,
}

/// The result of one frame.
#[derive(Debug, PartialEq, Eq)]
pub struct Served<'b> {
    /// The bytes to send, if there is an answer.
    pub answer: Option<&'b [u8]>,
    /// The written block, if the request closed it.
    pub written: Option<Written>,
}

/// Counts of requests since the server was created. They stop at their largest value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RequestCounts {
    /// Requests answered with registers or a confirmation of a write.
    pub answered: u32,
    /// Requests answered with an exception.
    pub refused: u32,
    /// Valid frames for other units, and broadcasts. They are not answered.
    pub foreign: u32,
}

/// Keeps the PLC's command block and answers for one unit.
#[derive(Debug, Clone)]
pub struct Server {
    unit: Unit,
    block: CommandRegisters,
    armed: bool,
    /// Nonce and part of each remembered trigger, the newest last.
    triggers: Deque<(u16, u64), TRIGGERS>,
    last_clear: Option<u16>,
    counts: RequestCounts,
}

impl Server {
    /// A server for this unit. It is not [armed](Self::is_armed) yet.
    #[must_use]
    pub fn new(unit: Unit) -> Self {
        Self {
            unit,
            block: CommandBlock::default().to_registers(),
            armed: false,
            triggers: Deque::new(),
            last_clear: None,
            counts: RequestCounts::default(),
        }
    }

    /// Does the server execute commands? After the device's start it does so only once the PLC has written [`Command::None`].
    /// Otherwise a PLC that writes its block cyclically, with the epoch that it last read, would trigger the same part again after
    /// each restart of the device.
    #[must_use]
    pub const fn is_armed(&self) -> bool {
        self.armed
    }

    /// Counts since the server was created.
    #[must_use]
    pub const fn counts(&self) -> RequestCounts {
        self.counts
    }

    /// Answers a frame. The values of the registers come from `snapshot`. The answer is in `out`.
    pub fn serve<'b>(&mut self, frame: &[u8], snapshot: &SnapshotRegisters, out: &'b mut FrameBuffer) -> Served<'b> {
        let Some((unit, pdu)) = open(frame) else {
            return Served { answer: None, written: None };
        };
        if unit != self.unit.number() {
            self.counts.foreign = self.counts.foreign.saturating_add(1);
            return Served { answer: None, written: None };
        }
        // `open` never returns an empty PDU.
        let function = pdu.first().copied().unwrap_or_default();
        let mut written = None;
        let mut holding = [0; HOLDING_REGISTERS];
        let response = Request::decode(pdu).and_then(|request| match request {
            Request::ReadInput { address, count } => {
                slice_of(snapshot, address, count).map(|found| Response::Registers(Registers::new(found)))
            }
            Request::ReadHolding { address, count } => {
                holding = self.holding(snapshot);
                slice_of_holding(&holding, address, count)
            }
            Request::WriteSingle { address, value } => {
                written = self.write(address, Registers::new(&[value]), snapshot)?;
                Ok(Response::WrittenSingle { address, value })
            }
            Request::WriteMultiple { address, values } => {
                written = self.write(address, values, snapshot)?;
                Ok(Response::WrittenMultiple { address, count: u16::try_from(values.len()).unwrap_or(u16::MAX) })
            }
            Request::ReadWrite { read_address, read_count, write_address, values } => {
                // Nothing is written if the registers to read are not in the map.
                slice_of_holding(&holding, read_address, read_count)?;
                written = self.write(write_address, values, snapshot)?;
                holding = self.holding(snapshot);
                slice_of_holding(&holding, read_address, read_count)
            }
        });
        let count = if response.is_ok() { &mut self.counts.answered } else { &mut self.counts.refused };
        *count = count.saturating_add(1);
        let response = response.unwrap_or_else(|exception| Response::Exception(exception as u8));
        let answer: Result<&[u8], CountError> = response.encode(self.unit.number(), function, out);
        Served { answer: answer.ok(), written }
    }

    /// Writes all of `values` or, on an exception, no value.
    fn write(
        &mut self,
        address: u16,
        values: Registers<'_>,
        snapshot: &SnapshotRegisters,
    ) -> Result<Option<Written>, Exception> {
        let start = address.checked_sub(COMMAND_ADDRESS).ok_or(Exception::IllegalAddress)?;
        let end = usize::from(start) + values.len();
        let mut block = self.block;
        let target = block.get_mut(usize::from(start)..end).ok_or(Exception::IllegalAddress)?;
        for (register, value) in target.iter_mut().zip(values.iter()) {
            *register = value;
        }
        let written = if end == COMMAND_REGISTERS {
            let block = CommandBlock::from_registers(&block).map_err(|_| Exception::IllegalValue)?;
            Some(Written { heartbeat: block.heartbeat, command: self.once(block.command, epoch_of(snapshot))? })
        } else {
            None
        };
        self.block = block;
        Ok(written)
    }

    /// Returns the command if it must be executed, and [`Command::None`] if it was executed before or the server is not armed.
    ///
    /// # Errors
    /// [`Exception::IllegalValue`] for a trigger with the nonce of the last trigger but another part.
    fn once(&mut self, command: Command, device_epoch: u32) -> Result<Command, Exception> {
        let is_new = match command {
            // This trigger is for another start of the device. The caller refuses it, so it is not remembered.
            Command::Trigger { epoch, .. } if epoch != device_epoch => true,
            Command::None => {
                self.armed = true;
                false
            }
            _ if !self.armed => false,
            Command::Trigger { part_id, nonce, .. } => {
                let is_new = !self.triggers.iter().any(|known| *known == (nonce, part_id));
                if is_new {
                    // The last trigger had this nonce for another part. The exception tells the PLC that no verdict will come.
                    if self.triggers.back().is_some_and(|(last_nonce, _)| *last_nonce == nonce) {
                        return Err(Exception::IllegalValue);
                    }
                    if self.triggers.is_full() {
                        self.triggers.pop_front();
                    }
                    // The queue has room: a full one has lost its oldest trigger.
                    let _ = self.triggers.push_back((nonce, part_id));
                }
                is_new
            }
            // Acknowledgements are not remembered: the device ignores one whose verdict or record is not shown, and the same
            // acknowledgement must have an effect when the record is shown again.
            Command::Acknowledge { .. } => true,
            Command::Clear { nonce } => self.last_clear.replace(nonce) != Some(nonce),
        };
        Ok(if is_new { command } else { Command::None })
    }

    /// All holding registers: a copy of the snapshot, then the command block.
    fn holding(&self, snapshot: &SnapshotRegisters) -> [u16; HOLDING_REGISTERS] {
        let mut holding = [0; HOLDING_REGISTERS];
        holding[..SNAPSHOT_REGISTERS].copy_from_slice(snapshot);
        holding[SNAPSHOT_REGISTERS..].copy_from_slice(&self.block);
        holding
    }
}

const HOLDING_REGISTERS: usize = SNAPSHOT_REGISTERS + COMMAND_REGISTERS;

/// These `count` registers from `address` on, if all of them exist.
fn slice_of(registers: &[u16], address: u16, count: u16) -> Result<&[u16], Exception> {
    let start = usize::from(address);
    registers.get(start..start + usize::from(count)).ok_or(Exception::IllegalAddress)
}

/// Registers of the snapshot's copy, or of the command block. The addresses between them are not in the map.
fn slice_of_holding(holding: &[u16; HOLDING_REGISTERS], address: u16, count: u16) -> Result<Response<'_>, Exception> {
    let (snapshot, block) = holding.split_at(SNAPSHOT_REGISTERS);
    let found = match address.checked_sub(COMMAND_ADDRESS) {
        Some(address) => slice_of(block, address, count),
        None => slice_of(snapshot, address, count),
    };
    found.map(|found| Response::Registers(Registers::new(found)))
}
