//! Feeds any bytes in pieces of any size, some of them frames with a right CRC, to the accumulator and to the links of both
//! sides. The test checks that:
//!
//! - the accumulator accepts no frame whose CRC is wrong according to a second implementation,
//! - the links never panic and send only frames.

use super::bits::crc_32c;
use super::native::Reader;
use super::steps::Steps;
use cellgate_protocol::{
    accumulator::Accumulator,
    frame::{FrameError, Header, Message},
    limits::MAX_FRAME,
    link::{
        Output,
        device::DeviceLink,
        plc::{Ends, PlcLink},
    },
    session::{
        device::{Condition, DeviceSession, DeviceSessionConfig, Mode},
        plc::{PlcSession, PlcSessionConfig},
    },
    to_device::ToDevice,
    to_plc::ToPlc,
    version::Schema,
};

/// One direction: its accumulator, and a second decoder to compare it with.
#[derive(Default)]
struct Direction {
    accumulator: Accumulator,
    reader: Reader,
    /// Number of frames that the accumulator accepted.
    accepted: u32,
}

impl Direction {
    fn feed<M: Message>(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let fed = self.accumulator.feed::<M>(bytes);
            let (consumed, rest) = bytes.split_at(bytes.len() - fed.rest.len());
            assert!(!consumed.is_empty(), "no byte was consumed");
            let mut bodies = self.reader.read(consumed);
            match (fed.frame, bodies.pop()) {
                (Some(Ok((header, _))), Some(body)) => {
                    assert_eq!(header, header_of(&body), "the header differs");
                    self.accepted += 1;
                }
                (Some(Ok(_)), None) => panic!("a frame with a wrong CRC was accepted"),
                (Some(Err(FrameError::Check)), Some(_)) => panic!("a frame with a right CRC was refused"),
                (None, Some(_)) => panic!("a frame was skipped"),
                (Some(Err(_)) | None, _) => {}
            }
            bytes = rest;
        }
    }
}

fn header_of(body: &[u8]) -> Header {
    let number = |at: usize| u32::from_le_bytes(std::array::from_fn(|byte| body[at + byte]));
    Header { link_id: number(4), boot_epoch: number(8), seq: number(12), ack: number(16) }
}

/// A frame with this body and a right CRC.
fn framed(body: &[u8]) -> Vec<u8> {
    let raw = [body, &crc_32c(body).to_le_bytes()].concat();
    let mut frame = vec![0];
    for mut block in raw.split(|byte| *byte == 0) {
        while block.len() >= 254 {
            frame.push(255);
            frame.extend(&block[..254]);
            block = &block[254..];
        }
        frame.push(block.len() as u8 + 1);
        frame.extend(block);
    }
    frame.push(0);
    frame
}

/// Returns how many frames were accepted in both directions.
pub fn run(input: &[u8]) -> u32 {
    let mut steps = Steps::new(input);
    // To the device, and to the PLC.
    let (mut down, mut up) = (Direction::default(), Direction::default());
    let mut device =
        DeviceSession::new(DeviceSessionConfig { device: 7, boot_epoch: 3, first_wait_ms: 66, schema: Schema::Two });
    device.set_condition(Condition { mode: Mode::Operating, store_ok: true, degraded: false, backlog: 0 });
    let mut device = DeviceLink::new(device);
    let plc = PlcSession::new(PlcSessionConfig {
        allowed_models: Default::default(),
        first_wait_ms: 66,
        schema: Schema::Two,
    });
    let mut plc = PlcLink::new(0, plc, Ends { plc: 0, device: None, first_link_id: 0, first_wait_ms: 66 });
    let mut now_ms = 0;
    let mut sent = Reader::default();
    while !steps.is_over() {
        let kind = steps.byte();
        let bytes = match kind % 4 {
            0 => steps.bytes().to_vec(),
            1 => framed(steps.bytes()),
            2 => {
                // A valid header: version, type and payload's length, then link id, boot epoch, sequence number and
                // acknowledgement.
                let (frame_type, payload) = (steps.byte() % 14, steps.bytes());
                let mut body = vec![1, frame_type, payload.len() as u8, 0];
                body.extend(
                    [[steps.byte() % 2, 0, 0, 0], [3, 0, 0, 0], [steps.byte(), 0, 0, 0], [0; 4]].as_flattened(),
                );
                body.extend(payload);
                let mut frame = framed(&body);
                steps.damage(&mut frame);
                frame
            }
            _ => {
                now_ms += u64::from(steps.byte()) * 4;
                Vec::new()
            }
        };
        let piece_bytes = 1 + usize::from(kind / 4) * 4;
        for piece in bytes.chunks(piece_bytes) {
            down.feed::<ToDevice>(piece);
            up.feed::<ToPlc>(piece);
            device.feed(now_ms, piece);
            plc.feed(now_ms, piece);
        }
        assert_eq!((device.counters().frames, device.resyncs()), (down.accepted, down.accumulator.resyncs()));
        assert_eq!((plc.counters().frames, plc.resyncs()), (up.accepted, up.accumulator.resyncs()));
        let mut out = [0; MAX_FRAME];
        while let Some(output) = device.poll(now_ms, None, &mut out) {
            if let Output::Bytes(bytes) = output {
                assert_eq!(sent.read(bytes).len(), 1, "the device sent bytes that are not one frame");
            }
        }
        while let Some(output) = plc.poll(now_ms, &mut out) {
            if let Output::Bytes(bytes) = output {
                assert_eq!(sent.read(bytes).len(), 1, "the PLC sent bytes that are not one frame");
            }
        }
    }
    down.accepted + up.accepted
}
