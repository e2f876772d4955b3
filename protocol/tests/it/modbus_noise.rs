//! Feeds noise, truncated requests and flipped bits to the device's end of a link. Nothing panics, a wrong CRC gets no answer,
//! and the next clean request is answered: always after a silence, and directly after noise unless a CRC matches by chance.

#![expect(clippy::unwrap_used, reason = "clippy allows unwrap in tests, but not in their helpers")]

use cellgate_protocol::modbus::codec::Request;
use cellgate_protocol::modbus::command::{Command, CommandBlock};
use cellgate_protocol::modbus::crc16;
use cellgate_protocol::modbus::input::InputRegisters;
use cellgate_protocol::modbus::link::Link;
use cellgate_protocol::modbus::map::COMMAND_ADDRESS;
use cellgate_protocol::modbus::registers::Registers;
use cellgate_protocol::modbus::server::{Server, Written};
use cellgate_protocol::modbus::snapshot::ModbusSnapshot;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

const UNIT: u8 = 1;
const SILENCE_MS: u64 = 20;
/// Bytes of an answer with the whole snapshot: unit, function, byte count, 32 registers, CRC.
const SNAPSHOT_ANSWER: usize = 69;

fn encoded(request: Request<'_>) -> Vec<u8> {
    let mut out = [0; 256];
    request.encode(UNIT, &mut out).unwrap().to_vec()
}

fn block(heartbeat: u16, command: Command) -> Vec<u8> {
    let registers = CommandBlock { heartbeat, command }.to_registers();
    encoded(Request::WriteMultiple { address: COMMAND_ADDRESS, values: Registers::new(&registers) })
}

const TRIGGER: Command = Command::Trigger { part_id: 0x0000_0001_0000_002A, nonce: 9, epoch: 0 };

/// Requests of each function, including the shortest and the longest.
fn requests() -> Vec<Vec<u8>> {
    let registers = CommandBlock { heartbeat: 5, command: TRIGGER }.to_registers();
    let values = Registers::new(&registers);
    vec![
        encoded(Request::ReadInput { address: 0, count: 32 }),
        encoded(Request::ReadHolding { address: 0, count: 1 }),
        encoded(Request::WriteSingle { address: COMMAND_ADDRESS, value: 7 }),
        block(5, TRIGGER),
        encoded(Request::ReadWrite { read_address: 0, read_count: 32, write_address: COMMAND_ADDRESS, values }),
        encoded(Request::WriteMultiple { address: 0, values: Registers::new(&[0xA5A5; 123]) }),
    ]
}

/// A link under test with its own clock.
struct Bench {
    link: Link,
    snapshot: InputRegisters,
    now_ms: u64,
    written: Vec<Written>,
}

impl Bench {
    fn new() -> Self {
        let link = Link::new(UNIT.try_into().unwrap(), SILENCE_MS);
        let snapshot = ModbusSnapshot::EMPTY.to_registers().into();
        let mut bench = Self { link, snapshot, now_ms: 0, written: Vec::new() };
        assert!(bench.ask(&block(1, Command::None)).is_some());
        bench.written.clear();
        bench
    }

    /// Feeds bytes and checks that an answer has a right CRC.
    fn feed(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let answer = self.link.receive(bytes, self.now_ms, &self.snapshot, |written| self.written.push(written));
        answer.inspect(|answer| assert!(crc16::checked(answer).is_some())).map(<[u8]>::to_vec)
    }

    /// Lets time pass until the link must be polled, and polls it. `None` if no bytes wait or there is no answer.
    fn wait(&mut self) -> Option<Vec<u8>> {
        self.now_ms = self.link.poll_at_ms()?;
        self.link.poll(self.now_ms, &self.snapshot, |written| self.written.push(written)).map(<[u8]>::to_vec)
    }

    /// Sends a request and waits for the answer, as a client does.
    fn ask(&mut self, request: &[u8]) -> Option<Vec<u8>> {
        let at_once = self.feed(request);
        let answer = at_once.or_else(|| self.wait());
        self.now_ms += 5;
        answer
    }
}

#[test]
fn a_truncated_request_does_not_lose_the_next_one() {
    for request in requests() {
        for end in 0..request.len() {
            for pause_ms in [0, 1, SILENCE_MS - 1, SILENCE_MS, 500] {
                let mut bench = Bench::new();
                assert_eq!(bench.feed(&request[..end]), None);
                assert_eq!(bench.written, []);
                bench.now_ms += pause_ms;
                let read = encoded(Request::ReadInput { address: 0, count: 32 });
                assert_eq!(
                    bench.ask(&read).map(|answer| answer.len()),
                    Some(SNAPSHOT_ANSWER),
                    "{end} bytes, {pause_ms} ms"
                );
                assert_eq!(bench.ask(&read).map(|answer| answer.len()), Some(SNAPSHOT_ANSWER));
            }
        }
    }
}

fn flip(frame: &mut [u8], bit: usize) {
    frame[bit / 8] ^= 1 << (bit % 8);
}

#[test]
fn a_request_with_1_to_3_flipped_bits_is_not_served() {
    let snapshot = ModbusSnapshot::EMPTY.to_registers().into();
    // The longest request has too many flips to try them all.
    for request in requests().into_iter().filter(|request| request.len() < 50) {
        let bits = 8 * request.len();
        let mut server = Server::new(UNIT.try_into().unwrap());
        let mut frame = request;
        let (mut tried, mut served) = (0_u32, 0_u32);
        let mut out = [0; 256];
        let mut flip_and_try = |frame: &mut [u8], bit: usize| {
            flip(frame, bit);
            tried += 1;
            served += u32::from(server.serve(frame, &snapshot, &mut out).answer.is_some());
        };
        for one in 0..bits {
            flip_and_try(&mut frame, one);
            for two in one + 1..bits {
                flip_and_try(&mut frame, two);
                for three in two + 1..bits {
                    flip_and_try(&mut frame, three);
                    flip(&mut frame, three);
                }
                flip(&mut frame, two);
            }
            flip(&mut frame, one);
        }
        assert_eq!(served, 0, "of {tried}");
        println!("{} bytes: {tried} flips, none served", frame.len());
    }
}

/// A flip in the function or the byte count changes the length that a frame seems to have, and the rest of the frame follows in
/// the stream. The test flips one bit there, together with up to two other bits of the frame.
#[test]
fn a_damaged_request_in_a_stream_is_never_executed() {
    let request = block(5, TRIGGER);
    let bits = 8 * request.len();
    let mut bench = Bench::new();
    // The bits of byte 1, the function, and of byte 6, the byte count.
    for one in (8..16).chain(48..56) {
        for two in 0..bits {
            for three in two..bits {
                let mut frame = request.clone();
                flip(&mut frame, one);
                if two != one {
                    flip(&mut frame, two);
                }
                if three != two && three != one {
                    flip(&mut frame, three);
                }
                bench.ask(&frame);
                assert_eq!(bench.written, [], "bits {one}, {two} and {three}");
            }
        }
    }
    assert!(bench.ask(&encoded(Request::ReadInput { address: 0, count: 32 })).is_some());
}

#[test]
fn traffic_of_other_units_loses_no_request() {
    let mut bench = Bench::new();
    let other = |request: Request<'_>, unit: u8| {
        let mut out = [0; 256];
        request.encode(unit, &mut out).unwrap().to_vec()
    };
    let response = |registers: &[u16]| {
        let mut out = [0; 256];
        let response = cellgate_protocol::modbus::codec::Response::Registers(Registers::new(registers));
        response.encode(7, 0x04, &mut out).unwrap().to_vec()
    };
    for count in 1..=125 {
        assert_eq!(bench.feed(&other(Request::ReadInput { address: 0, count }, 7)), None);
        assert_eq!(bench.feed(&response(&[0x0104; 125][..usize::from(count)])), None);
        bench.now_ms += 2;
        assert!(bench.ask(&encoded(Request::ReadInput { address: 0, count: 32 })).is_some(), "{count}");
    }
}

#[test]
fn requests_that_come_at_once_get_one_answer() {
    let mut bench = Bench::new();
    let mut both = block(2, TRIGGER);
    both.extend(encoded(Request::ReadInput { address: 0, count: 1 }));
    assert_eq!(bench.feed(&both).map(|answer| answer.len()), Some(7));
    assert_eq!(bench.written, [Written { heartbeat: 2, command: TRIGGER.into() }]);
}

/// Noise of several kinds: random bytes, one repeated byte, and pieces of requests.
fn noise(most: usize) -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::collection::vec((0..requests().len(), any::<prop::sample::Index>()), 1..60);
    prop_oneof![
        prop::collection::vec(any::<u8>(), 1..=most),
        (any::<u8>(), 1..=most).prop_map(|(byte, count)| vec![byte; count]),
        pieces.prop_map(move |pieces| {
            let requests = requests();
            let mut noise: Vec<u8> =
                pieces.iter().flat_map(|(at, end)| requests[*at][..end.index(requests[*at].len())].to_vec()).collect();
            noise.truncate(most);
            noise
        }),
    ]
}

/// The request's first two bytes happen to be the right CRC of the noise before the request. That request is lost, but only if no
/// silence comes between noise and request. The next request is not lost.
#[test]
fn noise_whose_crc_is_the_start_of_a_request_loses_that_request_unless_a_silence_follows() {
    let read = encoded(Request::ReadInput { address: 0, count: 32 });
    let mut noise = (0..=u16::MAX)
        .map(|free| [UNIT, 0x04, 0, 0, (free >> 8) as u8, free as u8])
        .find(|noise| crc16::bytes_of(noise) == read[..2])
        .unwrap()
        .to_vec();
    for _ in 0..2 {
        for pause_ms in [0, SILENCE_MS - 1] {
            let mut bench = Bench::new();
            bench.feed(&noise);
            bench.now_ms += pause_ms;
            bench.feed(&read[..2]);
            assert_eq!(bench.feed(&read[2..]), None);
            assert_eq!(bench.wait(), None);
            assert!(bench.feed(&read).is_some());
        }
        for is_polled in [false, true] {
            let mut bench = Bench::new();
            bench.feed(&noise);
            if is_polled {
                bench.wait();
            } else {
                bench.now_ms += SILENCE_MS;
            }
            assert_eq!(bench.feed(&read).map(|answer| answer.len()), Some(SNAPSHOT_ANSWER));
        }
        // In the second round, noise and CRC look like a frame for another unit, which gets no answer.
        noise = (0..=u16::MAX)
            .map(|free| [7, 0x04, 0, 0, (free >> 8) as u8, free as u8])
            .find(|noise| crc16::bytes_of(noise) == read[..2])
            .unwrap()
            .to_vec();
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_request_after_noise_is_answered(
        bursts in prop::collection::vec((noise(4096), 0_u64..60), 1..4),
        chunk in 1_usize..300,
    ) {
        let mut bench = Bench::new();
        for (at, (noise, pause_ms)) in bursts.into_iter().enumerate() {
            for bytes in noise.chunks(chunk) {
                bench.feed(bytes);
            }
            bench.now_ms += pause_ms;
            let command = Command::Trigger { part_id: 70, nonce: 100 + at as u16, epoch: 0 };
            let before = bench.written.len();
            let request = block(3, command);
            let mut answer = if pause_ms < SILENCE_MS { bench.ask(&request) } else { bench.feed(&request) };
            if pause_ms < SILENCE_MS && answer.is_none() {
                // A CRC matched by chance.
                bench.now_ms += SILENCE_MS;
                answer = bench.feed(&request);
            }
            prop_assert_eq!(answer.map(|answer| answer.len()), Some(8));
            prop_assert_eq!(&bench.written[before..], &[Written { heartbeat: 3, command: command.into() }]);
        }
    }

    #[test]
    fn a_request_is_answered_after_any_bytes_at_any_time(chunks in prop::collection::vec((noise(400), any::<u16>()), 0..20)) {
        let mut bench = Bench::new();
        for (bytes, pause_ms) in chunks {
            bench.feed(&bytes);
            // Up to twice the silence.
            bench.now_ms += u64::from(pause_ms) % (2 * SILENCE_MS + 1);
            bench.wait();
        }
        let read = encoded(Request::ReadInput { address: 0, count: 32 });
        prop_assert!(bench.ask(&read).is_some());
    }

    #[test]
    fn a_frame_with_a_bad_crc_is_never_served(frame in noise(256)) {
        prop_assume!(crc16::checked(&frame).is_none());
        let mut out = [0; 256];
        let served = Server::new(UNIT.try_into().unwrap()).serve(&frame, &[0; 32].into(), &mut out);
        prop_assert!(served.answer.is_none() && served.written.is_none());
    }

    #[test]
    fn any_valid_frame_gets_a_valid_answer(pdu in prop::collection::vec(any::<u8>(), 1..253), is_known in any::<bool>()) {
        let mut frame = vec![UNIT];
        frame.extend(pdu);
        if is_known {
            frame[1] = [0x03, 0x04, 0x06, 0x10, 0x17][usize::from(frame[1]) % 5];
        }
        frame.extend(crc16::bytes_of(&frame));
        let mut out = [0; 256];
        let served = Server::new(UNIT.try_into().unwrap()).serve(&frame, &[0; 32].into(), &mut out);
        let answer = served.answer.expect("our unit and a right CRC");
        prop_assert!(crc16::checked(answer).is_some());
        prop_assert_eq!(answer[0], UNIT);
        prop_assert_eq!(answer[1] & 0x7F, frame[1] & 0x7F);
    }
}
