//! The server: one request in, one answer out, or silence.
//!
//! Silence answers a wrong CRC, another unit, and every broadcast: reading makes no sense there, and a command that reaches
//! several devices at once is more likely a mistake than a wish. Everything else gets its registers or an exception.
//!
//! Writes are all or nothing. A write that touches the last register of the command block closes the block: only then is
//! it judged, and a block that is not right is answered with [`Exception::IllegalValue`] and leaves all registers as they
//! were. So a client that can only write single registers may do so, the last one last.

use super::codec::{CountError, Exception, FrameBuffer, Request, Response, open};
use super::command::{Command, CommandBlock, CommandRegisters};
use super::map::{COMMAND_ADDRESS, COMMAND_REGISTERS, SNAPSHOT_REGISTERS};
use super::registers::Registers;
use super::snapshot::{SnapshotRegisters, epoch_of};
use super::unit::Unit;
use heapless::Deque;

/// Triggers that are remembered: one of them that comes again, held up on its way, is not done again.
pub const TRIGGERS: usize = 64;

/// A block that was closed and is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The PLC's heartbeat.
    pub heartbeat: u16,
    /// The command, if it is to be done now, or a trigger of another epoch than the snapshot's: that is to be refused.
    /// [`Command::None`] when it was done before, or is to wait.
    pub command: Command,
}

/// What became of one frame.
#[derive(Debug, PartialEq, Eq)]
pub struct Served<'b> {
    /// The bytes to send; none for silence.
    pub answer: Option<&'b [u8]>,
    /// What the PLC wrote, if the request closed its block.
    pub written: Option<Written>,
}

/// Requests since the server was made; counts stop at their largest value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RequestCounts {
    /// Answered with registers or a receipt.
    pub answered: u32,
    /// Answered with an exception.
    pub refused: u32,
    /// Right frames of other units, and broadcasts.
    pub foreign: u32,
}

/// Keeps the PLC's command block and answers for one unit.
#[derive(Debug, Clone)]
pub struct Server {
    unit: Unit,
    block: CommandRegisters,
    armed: bool,
    /// The newest last.
    triggers: Deque<(u16, u64), TRIGGERS>,
    last_clear: Option<u16>,
    counts: RequestCounts,
}

impl Server {
    /// A server for this unit, not [armed](Self::is_armed) yet.
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

    /// Whether commands are done. After a start none is until the PLC wrote [`Command::None`] once: a PLC that writes its
    /// block over and over would otherwise have a part judged again after each restart of the device.
    #[must_use]
    pub const fn is_armed(&self) -> bool {
        self.armed
    }

    /// Counts since the server was made.
    #[must_use]
    pub const fn counts(&self) -> RequestCounts {
        self.counts
    }

    /// Answers a frame from the `snapshot`, in `out`.
    pub fn serve<'b>(&mut self, frame: &[u8], snapshot: &SnapshotRegisters, out: &'b mut FrameBuffer) -> Served<'b> {
        let Some((unit, said)) = open(frame) else {
            return Served { answer: None, written: None };
        };
        if unit != self.unit.number() {
            self.counts.foreign = self.counts.foreign.saturating_add(1);
            return Served { answer: None, written: None };
        }
        // `open` gives no frame without a function.
        let function = said.first().copied().unwrap_or_default();
        let mut written = None;
        let mut holding = [0; HOLDING_REGISTERS];
        let response = Request::decode(said).and_then(|request| match request {
            Request::ReadInput { address, count } => {
                part_of(snapshot, address, count).map(|found| Response::Registers(Registers::new(found)))
            }
            Request::ReadHolding { address, count } => {
                holding = self.holding(snapshot);
                part_of_holding(&holding, address, count)
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
                part_of_holding(&holding, read_address, read_count)?;
                written = self.write(write_address, values, snapshot)?;
                holding = self.holding(snapshot);
                part_of_holding(&holding, read_address, read_count)
            }
        });
        let count = if response.is_ok() { &mut self.counts.answered } else { &mut self.counts.refused };
        *count = count.saturating_add(1);
        let response = response.unwrap_or_else(|exception| Response::Exception(exception as u8));
        let answer: Result<&[u8], CountError> = response.encode(self.unit.number(), function, out);
        Served { answer: answer.ok(), written }
    }

    /// Writes all of `values` or, on an exception, none.
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

    /// The command if it is new, else [`Command::None`].
    fn once(&mut self, command: Command, now_epoch: u32) -> Result<Command, Exception> {
        let is_new = match command {
            // Held up through a start of the device: it is no trigger of this start, so it is not remembered as one.
            Command::Trigger { epoch, .. } if epoch != now_epoch => true,
            Command::None => {
                self.armed = true;
                false
            }
            _ if !self.armed => false,
            Command::Trigger { part_id, nonce, .. } => {
                let is_new = !self.triggers.iter().any(|known| *known == (nonce, part_id));
                if is_new {
                    // The nonce belongs to another part: to do nothing silently would leave the PLC waiting.
                    if self.triggers.back().is_some_and(|(last_nonce, _)| *last_nonce == nonce) {
                        return Err(Exception::IllegalValue);
                    }
                    if self.triggers.is_full() {
                        self.triggers.pop_front();
                    }
                    // There is room now.
                    let _ = self.triggers.push_back((nonce, part_id));
                }
                is_new
            }
            // Done again it does nothing; one that came too late must count when its record is shown again.
            Command::Acknowledge { .. } => true,
            Command::Clear { nonce } => self.last_clear.replace(nonce) != Some(nonce),
        };
        Ok(if is_new { command } else { Command::None })
    }

    /// All holding registers: the snapshot again, then the command block.
    fn holding(&self, snapshot: &SnapshotRegisters) -> [u16; HOLDING_REGISTERS] {
        let mut holding = [0; HOLDING_REGISTERS];
        holding[..SNAPSHOT_REGISTERS].copy_from_slice(snapshot);
        holding[SNAPSHOT_REGISTERS..].copy_from_slice(&self.block);
        holding
    }
}

const HOLDING_REGISTERS: usize = SNAPSHOT_REGISTERS + COMMAND_REGISTERS;

fn part_of(registers: &[u16], address: u16, count: u16) -> Result<&[u16], Exception> {
    let start = usize::from(address);
    registers.get(start..start + usize::from(count)).ok_or(Exception::IllegalAddress)
}

/// From the snapshot's copy, or from the command block; the addresses between them are in no map.
fn part_of_holding(holding: &[u16; HOLDING_REGISTERS], address: u16, count: u16) -> Result<Response<'_>, Exception> {
    let (snapshot, block) = holding.split_at(SNAPSHOT_REGISTERS);
    let found = match address.checked_sub(COMMAND_ADDRESS) {
        Some(address) => part_of(block, address, count),
        None => part_of(snapshot, address, count),
    };
    found.map(|found| Response::Registers(Registers::new(found)))
}
