//! The Modbus server of the device, which answers one request at a time.
//!
//! The server does not answer a frame with a wrong CRC or a request to another unit. Nor does it answer or execute a broadcast:
//! a command to several devices at once is most likely a mistake. Every other request gets registers, a confirmation or an
//! exception.
//!
//! A write has an effect on all of its registers or on none. A write to the last register of the command block or of the bundle
//! block closes the block, and the server checks the block only then. An invalid block gets [`Exception::IllegalValue`] and leaves all
//! registers unchanged. A client that can only write single registers must therefore write the block's last register after the others.

use super::bundle_command::{AnyCommand, BundleCommand, BundleCommandBlock, BundleCommandRegisters};
use super::codec::{CountError, Exception, FrameBuffer, Request, Response, open};
use super::command::{Command, CommandBlock, CommandRegisters};
use super::input::InputRegisters;
use super::map::{BUNDLE_COMMAND_ADDRESS, BUNDLE_COMMAND_REGISTERS, COMMAND_ADDRESS};
use super::registers::Registers;
use super::unit::Unit;
use heapless::Deque;

/// How many triggers the server remembers. It does not execute a remembered trigger again when a delayed copy arrives.
pub const TRIGGERS: usize = 64;

/// A valid block that was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The PLC's heartbeat.
    pub heartbeat: u16,
    /// The command to execute. A trigger of another epoch than the registers show is always returned; the caller must refuse it.
    /// [`Command::None`] takes the place of any other command while the server is not [armed](Server::is_armed), and of a trigger
    /// or a clear that was executed before.
    pub command: AnyCommand,
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

/// Keeps the PLC's blocks and answers for one unit.
#[derive(Debug, Clone)]
pub struct Server {
    unit: Unit,
    block: CommandRegisters,
    /// The bundle block. Before its first write it is empty, and so invalid.
    bundle_block: BundleCommandRegisters,
    armed: bool,
    /// The remembered triggers, the newest last.
    triggers: Deque<Remembered, TRIGGERS>,
    last_clear: Option<u16>,
    counts: RequestCounts,
}

/// A trigger that was executed.
#[derive(Debug, Clone, Copy)]
struct Remembered {
    nonce: u16,
    part_id: u64,
    bundle: u32,
}

impl Server {
    /// A server for this unit. It is not [armed](Self::is_armed) yet.
    #[must_use]
    pub fn new(unit: Unit) -> Self {
        Self {
            unit,
            block: CommandBlock::default().to_registers(),
            bundle_block: [0; BUNDLE_COMMAND_REGISTERS],
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

    /// Answers a frame. The values of the registers come from `input`. The answer is in `out`.
    pub fn serve<'b>(&mut self, frame: &[u8], input: &InputRegisters, out: &'b mut FrameBuffer) -> Served<'b> {
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
        let mut holding = self.holding(input);
        let response = Request::decode(pdu).and_then(|request| match request {
            Request::ReadInput { address, count } => {
                slice_of(input.registers(), address, count).map(|found| Response::Registers(Registers::new(found)))
            }
            Request::ReadHolding { address, count } => holding.read(address, count),
            Request::WriteSingle { address, value } => {
                written = self.write(address, Registers::new(&[value]), input)?;
                Ok(Response::WrittenSingle { address, value })
            }
            Request::WriteMultiple { address, values } => {
                written = self.write(address, values, input)?;
                Ok(Response::WrittenMultiple { address, count: u16::try_from(values.len()).unwrap_or(u16::MAX) })
            }
            Request::ReadWrite { read_address, read_count, write_address, values } => {
                // Nothing is written if the registers to read are not in the map.
                holding.read(read_address, read_count)?;
                written = self.write(write_address, values, input)?;
                holding = self.holding(input);
                holding.read(read_address, read_count)
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
        input: &InputRegisters,
    ) -> Result<Option<Written>, Exception> {
        if let Some(start) = address.checked_sub(BUNDLE_COMMAND_ADDRESS).filter(|_| input.has_bundle()) {
            let (block, is_closed) = changed(&self.bundle_block, start, values)?;
            let read = |block: &_| BundleCommandBlock::from_registers(block).map(|b| (b.heartbeat, b.command.into()));
            let command = is_closed.then(|| read(&block)).transpose().map_err(|_| Exception::IllegalValue)?;
            let written = command.map(|command| self.once(command, input.epoch())).transpose()?;
            self.bundle_block = block;
            return Ok(written);
        }
        let start = address.checked_sub(COMMAND_ADDRESS).ok_or(Exception::IllegalAddress)?;
        let (block, is_closed) = changed(&self.block, start, values)?;
        let read = |block: &_| CommandBlock::from_registers(block).map(|b| (b.heartbeat, b.command.into()));
        let command = is_closed.then(|| read(&block)).transpose().map_err(|_| Exception::IllegalValue)?;
        let written = command.map(|command| self.once(command, input.epoch())).transpose()?;
        self.block = block;
        Ok(written)
    }

    /// Returns the command if it must be executed, and [`Command::None`] if it was executed before or the server is not armed.
    ///
    /// # Errors
    /// [`Exception::IllegalValue`] for a trigger with the nonce of the last trigger but another part, and for a trigger with nonce and
    /// part of a remembered trigger but another bundle.
    fn once(&mut self, (heartbeat, command): (u16, AnyCommand), device_epoch: u32) -> Result<Written, Exception> {
        let is_new = match command {
            // This trigger is for another start of the device. The caller refuses it, so it is not remembered.
            AnyCommand::Plain(Command::Trigger { epoch, .. })
            | AnyCommand::Bundle(BundleCommand::Trigger { epoch, .. })
                if epoch != device_epoch =>
            {
                true
            }
            AnyCommand::Plain(Command::None) => {
                self.armed = true;
                false
            }
            _ if !self.armed => false,
            AnyCommand::Plain(Command::Trigger { part_id, nonce, .. }) => {
                self.is_new_trigger(Remembered { nonce, part_id, bundle: 0 })?
            }
            AnyCommand::Bundle(BundleCommand::Trigger { part_id, nonce, bundle, .. }) => {
                self.is_new_trigger(Remembered { nonce, part_id, bundle })?
            }
            // Acknowledgements are not remembered: the device ignores one whose verdict or record is not shown, and the same
            // acknowledgement must have an effect when the record is shown again. A repeated confirmation is answered again.
            AnyCommand::Plain(Command::Acknowledge { .. })
            | AnyCommand::Bundle(BundleCommand::Acknowledge { .. } | BundleCommand::Confirm { .. }) => true,
            AnyCommand::Plain(Command::Clear { nonce }) => self.last_clear.replace(nonce) != Some(nonce),
        };
        Ok(Written { heartbeat, command: if is_new { command } else { Command::None.into() } })
    }

    /// Remembers a trigger. Returns whether it was not remembered before.
    fn is_new_trigger(&mut self, trigger: Remembered) -> Result<bool, Exception> {
        let Remembered { nonce, part_id, bundle } = trigger;
        // An exception tells the PLC that no verdict will come.
        if let Some(known) = self.triggers.iter().find(|known| (known.nonce, known.part_id) == (nonce, part_id)) {
            return if known.bundle == bundle { Ok(false) } else { Err(Exception::IllegalValue) };
        }
        if self.triggers.back().is_some_and(|last| last.nonce == nonce) {
            return Err(Exception::IllegalValue);
        }
        if self.triggers.is_full() {
            self.triggers.pop_front();
        }
        // The queue has room: a full one has lost its oldest trigger.
        let _ = self.triggers.push_back(trigger);
        Ok(true)
    }

    fn holding(&self, input: &InputRegisters) -> Holding {
        Holding { input: *input, block: self.block, bundle_block: self.bundle_block }
    }
}

/// The block with `values` from register `start` on, and whether its last register is among them.
fn changed<const N: usize>(block: &[u16; N], start: u16, values: Registers<'_>) -> Result<([u16; N], bool), Exception> {
    let end = usize::from(start) + values.len();
    let mut block = *block;
    let target = block.get_mut(usize::from(start)..end).ok_or(Exception::IllegalAddress)?;
    for (register, value) in target.iter_mut().zip(values.iter()) {
        *register = value;
    }
    Ok((block, end == N))
}

/// All holding registers: a copy of the input registers, the command block, and for a device with bundles the bundle block. The
/// addresses between them are not in the map.
struct Holding {
    input: InputRegisters,
    block: CommandRegisters,
    bundle_block: BundleCommandRegisters,
}

impl Holding {
    /// These `count` registers from `address` on, if all of them exist in one block.
    fn read(&self, address: u16, count: u16) -> Result<Response<'_>, Exception> {
        let in_bundle_block = address.checked_sub(BUNDLE_COMMAND_ADDRESS).filter(|_| self.input.has_bundle());
        let found = match (in_bundle_block, address.checked_sub(COMMAND_ADDRESS)) {
            (Some(address), _) => slice_of(&self.bundle_block, address, count),
            (None, Some(address)) => slice_of(&self.block, address, count),
            (None, None) => slice_of(self.input.registers(), address, count),
        };
        found.map(|found| Response::Registers(Registers::new(found)))
    }
}

/// These `count` registers from `address` on, if all of them exist.
fn slice_of(registers: &[u16], address: u16, count: u16) -> Result<&[u16], Exception> {
    let start = usize::from(address);
    registers.get(start..start + usize::from(count)).ok_or(Exception::IllegalAddress)
}
