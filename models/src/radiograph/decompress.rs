//! Unpacks the bytes of one chunk piece by piece, so that the time limit also holds within a chunk.

use super::clock::Clock;
use super::error::Refusal;
use super::kind::Compression;
use flate2::{Decompress, FlushDecompress, Status};
use weezl::{BitOrder, LzwStatus};

/// The longest piece in bytes.
pub(super) const PIECE_BYTES: usize = 64 << 10;
/// The most bytes of input that one step is given. They bound the time of a step, even if the input unpacks to nothing.
const WINDOW_BYTES: usize = 64 << 10;
/// If more consecutive steps than this neither read nor write a byte, the stream counts as ended. One such step is not enough:
/// weezl 0.1.12 sometimes reports `NoProgress` after it filled the output exactly, although more data follows. (For this reason the
/// crate `tiff` refuses some valid LZW tiles.)
const MAX_IDLE_STEPS: u32 = 16;

/// The decompressors' state and the buffer for a piece, reused for each chunk.
pub(super) struct Decompressor {
    deflate: Decompress,
    lzw: weezl::decode::Decoder,
    pack_bits: PackBits,
    piece: Vec<u8>,
}

impl Decompressor {
    pub(super) fn new() -> Self {
        Self {
            deflate: Decompress::new(true),
            lzw: weezl::decode::Configuration::with_tiff_size_switch(BitOrder::Msb, 8)
                .with_yield_on_full_buffer(true)
                .build(),
            pack_bits: PackBits::Header,
            piece: vec![0; PIECE_BYTES],
        }
    }

    /// Starts unpacking the compressed bytes of a chunk.
    pub(super) fn start<'s, 'a>(&'s mut self, compression: Compression, bytes: &'a [u8]) -> Stream<'s, 'a> {
        match compression {
            Compression::None => {}
            Compression::Lzw => self.lzw.reset(),
            Compression::Deflate => self.deflate.reset(true),
            Compression::PackBits => self.pack_bits = PackBits::Header,
        }
        Stream { state: self, compression, input: bytes }
    }
}

/// A chunk that is being unpacked.
pub(super) struct Stream<'s, 'a> {
    state: &'s mut Decompressor,
    compression: Compression,
    /// The bytes that are not unpacked yet.
    input: &'a [u8],
}

/// The result of one step: bytes read, bytes written, and whether the decompressor reports the end of the stream.
struct Step {
    taken: usize,
    given: usize,
    ended: bool,
}

impl Stream<'_, '_> {
    /// The next `len` unpacked bytes, at most [`PIECE_BYTES`].
    ///
    /// # Errors
    /// Malformed: the data is broken or ends too early. Limit: the time limit has passed.
    pub(super) fn piece(&mut self, len: usize, clock: &mut Clock) -> Result<&[u8], Refusal> {
        let given = if self.compression == Compression::None {
            clock.work(len)?;
            if let Some((piece, rest)) = self.input.split_at_checked(len) {
                self.input = rest;
                return Ok(piece);
            }
            self.input.len()
        } else {
            self.fill(len, clock)?
        };
        if given < len {
            return Err(Refusal::malformed("data that ends early", "all rows of the image"));
        }
        Ok(&self.state.piece[..len])
    }

    /// Whether the data ends here or within the next `padding` unpacked bytes. For deflate this also verifies the checksum.
    ///
    /// # Errors
    /// As [`Self::piece`].
    pub(super) fn ends_within(&mut self, padding: u64, clock: &mut Clock) -> Result<bool, Refusal> {
        if self.compression == Compression::None {
            return Ok(self.input.len() as u64 <= padding);
        }
        let mut rest = padding;
        while rest > 0 {
            let len = rest.min(PIECE_BYTES as u64);
            #[expect(clippy::cast_possible_truncation, reason = "at most a piece's length")]
            if (self.fill(len as usize, clock)? as u64) < len {
                return Ok(true);
            }
            rest -= len;
        }
        Ok(self.fill(1, clock)? == 0)
    }

    /// Unpacks into the buffer until it holds `len` bytes or the stream has ended. Returns the number of bytes.
    fn fill(&mut self, len: usize, clock: &mut Clock) -> Result<usize, Refusal> {
        let (mut filled, mut idle) = (0, 0);
        while filled < len {
            let step = self.step(filled, len)?;
            self.input = &self.input[step.taken..];
            filled += step.given;
            clock.work(step.taken + step.given)?;
            if step.ended {
                break;
            }
            idle = if step.taken + step.given == 0 { idle + 1 } else { 0 };
            if idle > MAX_IDLE_STEPS {
                break;
            }
        }
        Ok(filled)
    }

    /// Unpacks at most [`WINDOW_BYTES`] of input into the bytes `from..to` of the buffer.
    fn step(&mut self, from: usize, to: usize) -> Result<Step, Refusal> {
        let output = &mut self.state.piece[from..to];
        let input = &self.input[..self.input.len().min(WINDOW_BYTES)];
        match self.compression {
            Compression::None => Ok(Step { taken: 0, given: 0, ended: true }),
            Compression::Lzw => {
                let step = self.state.lzw.decode_bytes(input, output);
                let status = step.status.map_err(|error| broken("LZW", &error))?;
                let ended = matches!(status, LzwStatus::Done);
                Ok(Step { taken: step.consumed_in, given: step.consumed_out, ended })
            }
            Compression::Deflate => {
                let deflate = &mut self.state.deflate;
                let (taken, given) = (deflate.total_in(), deflate.total_out());
                let status = deflate
                    .decompress(input, output, FlushDecompress::None)
                    .map_err(|error| broken("deflate", &error))?;
                #[expect(clippy::cast_possible_truncation, reason = "at most the lengths of the two buffers")]
                let (taken, given) = ((deflate.total_in() - taken) as usize, (deflate.total_out() - given) as usize);
                if taken + given == 0 && input.is_empty() && status != Status::StreamEnd {
                    return Err(Refusal::malformed("deflate data that ends early", "its end and checksum"));
                }
                Ok(Step { taken, given, ended: status == Status::StreamEnd })
            }
            Compression::PackBits => Ok(self.state.pack_bits.step(input, output)),
        }
    }
}

fn broken(what: &str, error: &dyn std::fmt::Display) -> Refusal {
    Refusal::malformed(format!("broken {what} data ({error})"), format!("valid {what} data"))
}

/// The state of PackBits between two steps (TIFF 6.0, section 9).
enum PackBits {
    /// The next byte is a header.
    Header,
    /// This number of literal bytes follows.
    Literal(usize),
    /// The next byte is repeated this number of times.
    Repeated(usize),
    /// This byte is repeated this number of times.
    Repeating(u8, usize),
}

impl PackBits {
    /// Unpacks until the input or the output is used up.
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let (mut taken, mut given) = (0, 0);
        while given < output.len() {
            let rest = &input[taken..];
            *self = match *self {
                Self::Literal(0) | Self::Repeating(_, 0) => Self::Header,
                Self::Repeating(byte, count) => {
                    let now = count.min(output.len() - given);
                    output[given..given + now].fill(byte);
                    given += now;
                    Self::Repeating(byte, count - now)
                }
                _ if rest.is_empty() => return Step { taken, given, ended: input.is_empty() },
                Self::Header => {
                    taken += 1;
                    match rest[0] {
                        count @ 0..=127 => Self::Literal(usize::from(count) + 1),
                        128 => Self::Header,
                        count => Self::Repeated(257 - usize::from(count)),
                    }
                }
                Self::Repeated(count) => {
                    taken += 1;
                    Self::Repeating(rest[0], count)
                }
                Self::Literal(count) => {
                    let now = count.min(output.len() - given).min(rest.len());
                    output[given..given + now].copy_from_slice(&rest[..now]);
                    taken += now;
                    given += now;
                    Self::Literal(count - now)
                }
            };
        }
        Step { taken, given, ended: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn unpacked(compression: Compression, bytes: &[u8], pieces: &[usize]) -> Result<Vec<u8>, Refusal> {
        let (mut state, mut clock) = (Decompressor::new(), Clock::start(Duration::from_secs(60)));
        let mut stream = state.start(compression, bytes);
        let mut all = Vec::new();
        for len in pieces {
            all.extend_from_slice(stream.piece(*len, &mut clock)?);
        }
        Ok(all)
    }

    #[test]
    fn pack_bits_unpacks_the_example_of_the_standard() {
        // The example of TIFF 6.0, section 9 (Apple's), with a no-op inserted.
        let packed = [0xfe, 0xaa, 0x02, 0x80, 0x00, 0x2a, 0x80, 0xfd, 0xaa, 0x03, 0x80, 0x00, 0x2a, 0x22, 0xf7, 0xaa];
        let expected = [
            0xaa, 0xaa, 0xaa, 0x80, 0x00, 0x2a, 0xaa, 0xaa, 0xaa, 0xaa, 0x80, 0x00, 0x2a, 0x22, 0xaa, 0xaa, 0xaa, 0xaa,
            0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa,
        ];
        assert_eq!(unpacked(Compression::PackBits, &packed, &[24]).unwrap(), expected);
        assert_eq!(unpacked(Compression::PackBits, &packed, &[1, 2, 5, 6, 10]).unwrap(), expected);
        assert!(unpacked(Compression::PackBits, &packed, &[25]).is_err());
    }

    #[test]
    fn input_that_unpacks_to_nothing_is_stopped_by_the_clock() {
        let (mut state, mut clock) = (Decompressor::new(), Clock::start(Duration::ZERO));
        // In PackBits, the byte 128 is a header without data.
        let nothing = vec![128; 1 << 20];
        let mut stream = state.start(Compression::PackBits, &nothing);
        assert!(matches!(stream.piece(1, &mut clock), Err(Refusal::Limit { .. })));
        // It stopped after the work between two readings of the clock.
        assert_eq!(stream.input.len(), (1 << 20) - (256 << 10));
    }

    #[test]
    fn a_wrong_deflate_checksum_is_noticed() {
        use std::io::Write;
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(b"levels").unwrap();
        let mut packed = encoder.finish().unwrap();
        let mut clock = Clock::start(Duration::from_secs(60));
        let mut state = Decompressor::new();
        let mut ends = |bytes: &[u8]| {
            let mut stream = state.start(Compression::Deflate, bytes);
            stream.piece(6, &mut clock)?;
            stream.ends_within(0, &mut clock)
        };
        assert_eq!(ends(&packed), Ok(true));
        assert!(ends(&packed[..packed.len() - 1]).is_err());
        *packed.last_mut().unwrap() ^= 1;
        assert!(ends(&packed).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_unpack_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300), len in 1_usize..5000) {
            for compression in [Compression::None, Compression::Lzw, Compression::Deflate, Compression::PackBits] {
                if let Ok(all) = unpacked(compression, &bytes, &[len, 1]) {
                    prop_assert_eq!(all.len(), len + 1);
                }
            }
        }

        #[test]
        fn pieces_join_to_the_whole(
            (bytes, lens) in (1_u8..=255, 1_usize..80).prop_flat_map(|(most, longest)| (
                prop::collection::vec(0..=most, 1..3000),
                prop::collection::vec(0..=longest, 1..50),
            )),
        ) {
            use std::io::Write;
            // As many of the lengths as fit into the data, and then the rest of the data.
            let mut pieces = lens;
            pieces.push(0);
            while pieces.iter().sum::<usize>() > bytes.len() {
                pieces.pop();
            }
            pieces.push(bytes.len() - pieces.iter().sum::<usize>());
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(&bytes).unwrap();
            let deflate = encoder.finish().unwrap();
            let lzw = weezl::encode::Encoder::with_tiff_size_switch(BitOrder::Msb, 8).encode(&bytes).unwrap();
            for (compression, packed) in [(Compression::Deflate, deflate), (Compression::Lzw, lzw), (Compression::None, bytes.clone())] {
                prop_assert_eq!(&unpacked(compression, &packed, &pieces).unwrap(), &bytes);
            }
        }
    }
}
