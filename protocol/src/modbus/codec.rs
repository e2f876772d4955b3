//! Encodes and decodes requests, responses and exceptions, for both sides (Modbus Application Protocol V1.1b3, sections 6.3,
//! 6.4, 6.6, 6.12, 6.17 and 7).
//!
//! The codec knows only the five functions of the profile: 03 read holding registers, 04 read input registers, 06 write one
//! register, 16 write registers, 23 write and read registers. It checks a frame in a fixed order: CRC, unit, function, lengths.
//! The function and its data are the PDU (protocol data unit); unit and CRC surround it.
//!
//! The codec is our own because the two libraries that were tested fail on invalid bytes. The RTU server of tokio-modbus 0.17
//! stops after 21 bytes of noise and answers requests addressed to any unit. rmodbus 0.13 answers unknown functions without
//! checking the CRC, and with overflow checks it panics on function 16 with a byte count of 255.

use super::crc16;
use super::framer::FRAME_MAX;
use super::registers::Registers;

/// The most registers that one request may read.
pub const READ_MAX: u16 = 125;

/// The most registers that function 16 may write.
pub const WRITE_MAX: u16 = 123;

/// The most registers that function 23 may write.
pub const READ_WRITE_MAX: u16 = 121;

/// A buffer for any frame: [`FRAME_MAX`] bytes.
pub type FrameBuffer = [u8; FRAME_MAX];

/// A request of a client. Addresses are those on the link, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'a> {
    /// Function 03: reads holding registers.
    ReadHolding {
        /// The first register.
        address: u16,
        /// How many registers, 1 to [`READ_MAX`].
        count: u16,
    },
    /// Function 04: reads input registers.
    ReadInput {
        /// The first register.
        address: u16,
        /// How many registers, 1 to [`READ_MAX`].
        count: u16,
    },
    /// Function 06: writes one holding register.
    WriteSingle {
        /// The register.
        address: u16,
        /// Its new value.
        value: u16,
    },
    /// Function 16: writes holding registers.
    WriteMultiple {
        /// The first register.
        address: u16,
        /// The new values, 1 to [`WRITE_MAX`].
        values: Registers<'a>,
    },
    /// Function 23: writes, then reads holding registers.
    ReadWrite {
        /// The first register to read.
        read_address: u16,
        /// How many registers to read, 1 to [`READ_MAX`].
        read_count: u16,
        /// The first register to write.
        write_address: u16,
        /// The new values, 1 to [`READ_WRITE_MAX`].
        values: Registers<'a>,
    },
}

/// Why a server refuses a request. The number is the exception code in its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exception {
    /// The function is not one of the profile's five.
    IllegalFunction = 1,
    /// A register of the request is not in the map, or cannot be written.
    IllegalAddress = 2,
    /// A count or length in the request is impossible, the command block is invalid, or the block's trigger has the nonce of the
    /// last trigger but another part.
    IllegalValue = 3,
}

/// A response of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Response<'a> {
    /// The answer to functions 03, 04 and 23: the registers that were read.
    Registers(Registers<'a>),
    /// The answer to function 06: a copy of the request.
    WrittenSingle {
        /// The register.
        address: u16,
        /// Its new value.
        value: u16,
    },
    /// The answer to function 16.
    WrittenMultiple {
        /// The first register.
        address: u16,
        /// How many registers were written.
        count: u16,
    },
    /// A refusal of any function, with the exception code. The code is raw, because a server may use codes that this crate does
    /// not know.
    Exception(u8),
}

/// Why a frame is not the response to the request that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseError {
    /// The CRC is wrong, or the frame is too short to have one.
    Crc,
    /// The frame comes from this other unit.
    Unit(u8),
    /// The frame answers this other function.
    Function(u8),
    /// The frame's length, registers or value do not fit the request.
    Mismatch,
}

/// A request or response cannot be written as a frame: it has no registers, or more than its function allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountError;

impl core::fmt::Display for ResponseError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Crc => f.write_str("the CRC is wrong"),
            Self::Unit(unit) => write!(f, "the response comes from unit {unit}, not from the unit of the request"),
            Self::Function(function) => write!(f, "the response is to function {function}, not to that of the request"),
            Self::Mismatch => f.write_str("the response does not fit the request"),
        }
    }
}

impl core::error::Error for ResponseError {}

impl core::fmt::Display for CountError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the count of registers is 0 or more than the function allows")
    }
}

impl core::error::Error for CountError {}

/// The unit and the PDU of a frame. `None` if the CRC is wrong, the PDU is empty or the frame is too long.
#[must_use]
pub fn open(frame: &[u8]) -> Option<(u8, &[u8])> {
    let (&unit, pdu) = crc16::checked(frame)?.split_first()?;
    (!pdu.is_empty() && frame.len() <= FRAME_MAX).then_some((unit, pdu))
}

impl<'a> Request<'a> {
    /// Reads the PDU that [`open`] returned.
    ///
    /// # Errors
    /// [`Exception::IllegalFunction`] for a function that is not one of the five, then [`Exception::IllegalValue`] for a wrong
    /// length or count.
    pub fn decode(pdu: &'a [u8]) -> Result<Self, Exception> {
        let (&function, data) = pdu.split_first().ok_or(Exception::IllegalFunction)?;
        match function {
            0x03 | 0x04 | 0x06 => {
                let [address, second] = words(data).ok_or(Exception::IllegalValue)?;
                match function {
                    0x06 => Ok(Self::WriteSingle { address, value: second }),
                    _ if !(1..=READ_MAX).contains(&second) => Err(Exception::IllegalValue),
                    0x03 => Ok(Self::ReadHolding { address, count: second }),
                    _ => Ok(Self::ReadInput { address, count: second }),
                }
            }
            0x10 => {
                let (head, data) = data.split_first_chunk::<4>().ok_or(Exception::IllegalValue)?;
                let [address, count] = words(head).ok_or(Exception::IllegalValue)?;
                let values = counted(data, count, WRITE_MAX).ok_or(Exception::IllegalValue)?;
                Ok(Self::WriteMultiple { address, values })
            }
            0x17 => {
                let (head, data) = data.split_first_chunk::<8>().ok_or(Exception::IllegalValue)?;
                let [read_address, read_count, write_address, write_count] =
                    words(head).ok_or(Exception::IllegalValue)?;
                let values = counted(data, write_count, READ_WRITE_MAX).ok_or(Exception::IllegalValue)?;
                if !(1..=READ_MAX).contains(&read_count) {
                    return Err(Exception::IllegalValue);
                }
                Ok(Self::ReadWrite { read_address, read_count, write_address, values })
            }
            _ => Err(Exception::IllegalFunction),
        }
    }

    /// The function's number.
    #[must_use]
    pub const fn function(&self) -> u8 {
        match self {
            Self::ReadHolding { .. } => 0x03,
            Self::ReadInput { .. } => 0x04,
            Self::WriteSingle { .. } => 0x06,
            Self::WriteMultiple { .. } => 0x10,
            Self::ReadWrite { .. } => 0x17,
        }
    }

    /// Writes the frame into `out` and returns its bytes.
    ///
    /// # Errors
    /// [`CountError`] for a count of registers that the function does not allow.
    pub fn encode<'b>(&self, unit: u8, out: &'b mut FrameBuffer) -> Result<&'b [u8], CountError> {
        let mut frame = Writer::new(out, unit, self.function());
        match *self {
            Self::ReadHolding { address, count } | Self::ReadInput { address, count } => {
                checked_count(usize::from(count), READ_MAX)?;
                frame.words([address, count]);
            }
            Self::WriteSingle { address, value } => frame.words([address, value]),
            Self::WriteMultiple { address, values } => {
                let count = checked_count(values.len(), WRITE_MAX)?;
                frame.words([address, count]);
                frame.counted(values);
            }
            Self::ReadWrite { read_address, read_count, write_address, values } => {
                checked_count(usize::from(read_count), READ_MAX)?;
                let count = checked_count(values.len(), READ_WRITE_MAX)?;
                frame.words([read_address, read_count, write_address, count]);
                frame.counted(values);
            }
        }
        Ok(frame.finish())
    }
}

impl<'a> Response<'a> {
    /// Reads a frame as the response to `request`, sent to `unit`.
    ///
    /// # Errors
    /// [`ResponseError`] if the frame does not answer this request.
    pub fn decode(frame: &'a [u8], unit: u8, request: &Request<'_>) -> Result<Self, ResponseError> {
        let (from, pdu) = open(frame).ok_or(ResponseError::Crc)?;
        if from != unit {
            return Err(ResponseError::Unit(from));
        }
        let (&function, data) = pdu.split_first().ok_or(ResponseError::Crc)?;
        if function == request.function() | 0x80 {
            return if let [code] = *data { Ok(Self::Exception(code)) } else { Err(ResponseError::Mismatch) };
        }
        if function != request.function() {
            return Err(ResponseError::Function(function));
        }
        let response = match *request {
            Request::ReadHolding { count, .. }
            | Request::ReadInput { count, .. }
            | Request::ReadWrite { read_count: count, .. } => counted(data, count, READ_MAX).map(Self::Registers),
            Request::WriteSingle { address, value } => {
                (words(data) == Some([address, value])).then_some(Self::WrittenSingle { address, value })
            }
            Request::WriteMultiple { address, values } => words(data)
                .filter(|&[at, count]| at == address && usize::from(count) == values.len())
                .map(|[address, count]| Self::WrittenMultiple { address, count }),
        };
        response.ok_or(ResponseError::Mismatch)
    }

    /// Writes the frame that answers `function` into `out` and returns its bytes.
    ///
    /// # Errors
    /// [`CountError`] for no registers, or more than a response can have.
    pub fn encode<'b>(&self, unit: u8, function: u8, out: &'b mut FrameBuffer) -> Result<&'b [u8], CountError> {
        let function = if let Self::Exception(_) = self { function | 0x80 } else { function };
        let mut frame = Writer::new(out, unit, function);
        match *self {
            Self::Registers(registers) => {
                checked_count(registers.len(), READ_MAX)?;
                frame.counted(registers);
            }
            Self::WrittenSingle { address, value: second } | Self::WrittenMultiple { address, count: second } => {
                frame.words([address, second]);
            }
            Self::Exception(code) => frame.byte(code),
        }
        Ok(frame.finish())
    }
}

/// The bytes as exactly `N` words.
fn words<const N: usize>(bytes: &[u8]) -> Option<[u16; N]> {
    Registers::from_bytes(bytes)?.to_array()
}

/// The registers in `data`. `data` must have one byte with the number of bytes that follow, and then exactly `count` registers.
/// `count` must be 1 to `most`.
fn counted(data: &[u8], count: u16, most: u16) -> Option<Registers<'_>> {
    let (&bytes, data) = data.split_first()?;
    let fits = (1..=most).contains(&count) && u16::from(bytes) == 2 * count && data.len() == usize::from(bytes);
    if fits { Registers::from_bytes(data) } else { None }
}

fn checked_count(count: usize, most: u16) -> Result<u16, CountError> {
    u16::try_from(count).ok().filter(|count| (1..=most).contains(count)).ok_or(CountError)
}

/// Writes one frame into a buffer. The callers check all counts first, and with their limits no frame exceeds [`FRAME_MAX`].
struct Writer<'b> {
    out: &'b mut FrameBuffer,
    used: usize,
}

// The three kinds of long frames fit: a request of function 23, a request of function 16, and a response with registers. Each has
// some bytes before the registers (unit, function, addresses and counts), 2 bytes for each register, and 2 bytes of CRC.
const _: () = assert!(11 + 2 * READ_WRITE_MAX as usize + 2 <= FRAME_MAX);
const _: () = assert!(7 + 2 * WRITE_MAX as usize + 2 <= FRAME_MAX);
const _: () = assert!(3 + 2 * READ_MAX as usize + 2 <= FRAME_MAX);

impl<'b> Writer<'b> {
    fn new(out: &'b mut FrameBuffer, unit: u8, function: u8) -> Self {
        out[..2].copy_from_slice(&[unit, function]);
        Self { out, used: 2 }
    }

    fn byte(&mut self, byte: u8) {
        self.out[self.used] = byte;
        self.used += 1;
    }

    fn words(&mut self, words: impl IntoIterator<Item = u16>) {
        for byte in words.into_iter().flat_map(u16::to_be_bytes) {
            self.byte(byte);
        }
    }

    fn counted(&mut self, registers: Registers<'_>) {
        // At most 250, because the callers allow at most 125 registers.
        self.byte(u8::try_from(2 * registers.len()).unwrap_or(u8::MAX));
        self.words(registers.iter());
    }

    fn finish(mut self) -> &'b [u8] {
        for byte in crc16::bytes_of(&self.out[..self.used]) {
            self.byte(byte);
        }
        &self.out[..self.used]
    }
}
