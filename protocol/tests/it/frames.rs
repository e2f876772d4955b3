//! Tests frames and the accumulator: a valid frame is read, a damaged frame is not, and the next clean frame is always read.

use cellgate_protocol::{
    accumulator::Accumulator,
    bundle::{BundleState, Confirm, ConfirmResult, Confirmed, StepCode},
    code::{VerdictCode, WireVerdict},
    digest::DigestStart,
    fault::{FaultCode, LinkError},
    frame::{self, FrameError, Header, Message},
    limits::{MAX_FRAME, MAX_RAW},
    part::Outcome,
    reason::ReasonCode,
    score::ScoreE4,
    state::{StateCode, Status},
    to_device::{Ack, BundleTrigger, GateAck, Hello, PlcHeartbeat, ToDevice, TriggerRequest},
    to_plc::{BundleHeartbeat, Busy, DeviceHeartbeat, Flags, HelloAck, Nak, Origin, Record, ToPlc},
};
use proptest::prelude::*;
use std::{fmt::Debug, num::NonZeroU64};

fn header() -> impl Strategy<Value = Header> {
    any::<(u32, u32, u32, u32)>().prop_map(|(link_id, boot_epoch, seq, ack)| Header { link_id, boot_epoch, seq, ack })
}

fn error() -> impl Strategy<Value = LinkError> {
    any::<(u16, u8, u32)>().prop_map(|(fault, wire, schema)| LinkError { fault: FaultCode(fault), wire, schema })
}

fn confirm() -> impl Strategy<Value = Confirm> {
    any::<(u64, u64, u32)>().prop_map(|(verdict_seq, part_id, bundle)| Confirm { verdict_seq, part_id, bundle })
}

fn to_device() -> impl Strategy<Value = ToDevice> {
    prop_oneof![
        any::<(u32, u32)>().prop_map(|(schema, plc)| ToDevice::Hello(Hello { schema, plc })),
        any::<(u64, u32, u32)>().prop_map(|(part_id, nonce, deadline_ms)| {
            ToDevice::Trigger(TriggerRequest { part_id, nonce, deadline_ms })
        }),
        any::<(u64, u32, u32, u32)>().prop_map(|(part_id, nonce, deadline_ms, bundle)| {
            ToDevice::BundleTrigger(BundleTrigger { trigger: TriggerRequest { part_id, nonce, deadline_ms }, bundle })
        }),
        any::<(u64, u64, u32, u16)>().prop_map(|(verdict_seq, part_id, code, gate)| {
            let ack = Ack { verdict_seq, part_id, code: VerdictCode(code) };
            ToDevice::GateAck(GateAck { ack, gate: ReasonCode(gate) })
        }),
        confirm().prop_map(ToDevice::Confirm),
        any::<(u64, u64, u32)>().prop_map(|(verdict_seq, part_id, code)| {
            ToDevice::Ack(Ack { verdict_seq, part_id, code: VerdictCode(code) })
        }),
        any::<(u32, u16)>()
            .prop_map(|(counter, status)| { ToDevice::Heartbeat(PlcHeartbeat { counter, status: Status(status) }) }),
        error().prop_map(ToDevice::Error),
    ]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let verdict = prop_oneof![Just(WireVerdict::Pass), Just(WireVerdict::Review), Just(WireVerdict::Reject)];
    (verdict, any::<(u16, u16, [u8; 8], [u8; 8], u16)>()).prop_map(|(verdict, (reason, score, model, image, flags))| {
        Outcome {
            verdict,
            reason: ReasonCode(reason),
            score: ScoreE4(score),
            model: DigestStart(model),
            image: DigestStart(image),
            flags: Flags(flags),
        }
    })
}

fn verdict() -> impl Strategy<Value = ToPlc> {
    (any::<(u64, u32)>(), outcome(), 1..=u64::MAX, 0..400u32).prop_map(|((part_id, nonce), outcome, seq, age_ms)| {
        let request = TriggerRequest { part_id, nonce, deadline_ms: 400 };
        ToPlc::Verdict(crate::support::verdict(
            &request,
            outcome,
            NonZeroU64::new(seq).expect("the range starts at 1"),
            age_ms,
        ))
    })
}

fn record() -> impl Strategy<Value = ToPlc> {
    (any::<(u64, u32, u64, u32, u32, u8)>(), outcome()).prop_map(|(numbers, outcome)| {
        let (part_id, nonce, verdict_seq, boot_epoch, code, origin) = numbers;
        let Outcome { reason, score, model, image, flags, .. } = outcome;
        let (code, origin) = (VerdictCode(code), Origin(origin));
        ToPlc::Record(Record {
            part_id,
            nonce,
            verdict_seq,
            boot_epoch,
            code,
            reason,
            score,
            model,
            image,
            flags,
            origin,
        })
    })
}

fn to_plc() -> impl Strategy<Value = ToPlc> {
    prop_oneof![
        any::<(u32, u32, u8)>().prop_map(|(schema, device, state)| {
            ToPlc::HelloAck(HelloAck { schema, device, state: StateCode(state) })
        }),
        any::<(u64, u32)>().prop_map(|(part_id, nonce)| ToPlc::Busy(Busy { part_id, nonce })),
        verdict(),
        any::<(u64, u32, u16)>()
            .prop_map(|(part_id, nonce, reason)| { ToPlc::Nak(Nak { part_id, nonce, reason: ReasonCode(reason) }) }),
        any::<(u32, u8, u16, u16)>().prop_map(|(counter, state, status, backlog)| {
            ToPlc::Heartbeat(DeviceHeartbeat { counter, state: StateCode(state), status: Status(status), backlog })
        }),
        any::<(u32, u8, u16, u16, u32, u8, u16, u16)>().prop_map(
            |(counter, state, status, backlog, bundle, step, confirmed, missing)| {
                let (state, status) = (StateCode(state), Status(status));
                let bundle = BundleState { bundle, step: StepCode(step), confirmed, missing };
                let heartbeat = DeviceHeartbeat { counter, state, status, backlog };
                ToPlc::BundleHeartbeat(BundleHeartbeat { heartbeat, bundle })
            }
        ),
        (confirm(), any::<u8>())
            .prop_map(|(confirm, result)| { ToPlc::Confirmed(Confirmed { confirm, result: ConfirmResult(result) }) }),
        record(),
        error().prop_map(ToPlc::Error),
    ]
}

fn encoded<M: Message>(header: &Header, message: &M) -> Vec<u8> {
    frame::encode(header, message, &mut [0; MAX_FRAME]).expect("every message fits").to_vec()
}

/// Feeds `bytes` and returns a frame or an error for each run of bytes that a delimiter ends.
fn frames<M: Message>(accumulator: &mut Accumulator, mut bytes: &[u8]) -> Vec<Result<(Header, M), FrameError>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let fed = accumulator.feed(bytes);
        assert!(fed.rest.len() < bytes.len(), "no byte was consumed");
        bytes = fed.rest;
        found.extend(fed.frame);
    }
    found
}

/// Feeds `before` and then a clean frame, and requires that the clean frame is read.
fn assert_clean_frame_is_read_after<M: Message + Debug + PartialEq + Copy>(
    before: &[u8],
    header: &Header,
    message: &M,
) {
    let mut accumulator = Accumulator::new();
    frames::<M>(&mut accumulator, before);
    let found = frames::<M>(&mut accumulator, &encoded(header, message));
    assert_eq!(found.last(), Some(&Ok((*header, *message))));
}

/// Cuts a frame at every byte. No beginning or end of the frame may be accepted, and the next frame must be read.
fn assert_every_cut_loses_one_frame<M: Message + Debug + PartialEq + Copy>(header: &Header, message: &M) {
    let whole = encoded(header, message);
    for end in 0..whole.len() {
        assert_clean_frame_is_read_after(&whole[..end], header, message);
        let mut accumulator = Accumulator::new();
        let cut = frames::<M>(&mut accumulator, &whole[..end]);
        assert!(cut.is_empty(), "a cut frame was accepted");
        let rest = frames::<M>(&mut Accumulator::new(), &whole[whole.len() - end..]);
        // At the start of a stream a frame is complete without its first delimiter.
        assert!(end + 1 == whole.len() || rest.iter().all(Result::is_err), "the end of a frame was accepted");
    }
}

proptest! {
    #[test]
    fn messages_of_the_plc_survive_the_round_trip(header in header(), message in to_device()) {
        let bytes = encoded(&header, &message);
        prop_assert_eq!(frames(&mut Accumulator::new(), &bytes), vec![Ok((header, message))]);
    }

    #[test]
    fn messages_of_the_device_survive_the_round_trip(header in header(), message in to_plc()) {
        let bytes = encoded(&header, &message);
        prop_assert_eq!(frames(&mut Accumulator::new(), &bytes), vec![Ok((header, message))]);
    }

    #[test]
    fn frames_are_read_from_pieces_of_any_size(
        messages in prop::collection::vec((header(), to_plc()), 1..8),
        piece in 1usize..300,
    ) {
        let bytes: Vec<u8> = messages.iter().flat_map(|(header, message)| encoded(header, message)).collect();
        let mut accumulator = Accumulator::new();
        let found: Vec<_> = bytes.chunks(piece).flat_map(|piece| frames::<ToPlc>(&mut accumulator, piece)).collect();
        prop_assert_eq!(found, messages.into_iter().map(Ok).collect::<Vec<_>>());
        prop_assert_eq!(accumulator.resyncs(), 0);
    }

    #[test]
    fn every_truncation_loses_at_most_one_frame(header in header(), from_plc in to_device(), from_device in to_plc()) {
        assert_every_cut_loses_one_frame(&header, &from_plc);
        assert_every_cut_loses_one_frame(&header, &from_device);
    }

    #[test]
    fn a_clean_frame_is_read_after_any_noise(
        noise in prop::collection::vec(any::<u8>(), 1..=4096),
        header in header(),
        message in to_device(),
    ) {
        assert_clean_frame_is_read_after(&noise, &header, &message);
    }

    #[test]
    fn random_bytes_are_never_a_frame(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        for found in frames::<ToPlc>(&mut Accumulator::new(), &bytes) {
            prop_assert!(found.is_err());
        }
    }

    #[test]
    fn a_right_crc_alone_does_not_make_a_frame(body in prop::collection::vec(any::<u8>(), 0..MAX_RAW - 4)) {
        // Random bytes can be a valid header by chance. Then encoding them again must give the same bytes.
        let mut raw = body.clone();
        raw.extend(frame::crc_32c(&body).to_le_bytes());
        let mut stuffed = vec![0; raw.len() + 2];
        let length = cobs::encode(&raw, &mut stuffed);
        if let Ok((header, message)) = frame::decode::<ToPlc>(&stuffed[..length]) {
            let bytes = encoded(&header, &message);
            prop_assert_eq!(&bytes[1..bytes.len() - 1], &stuffed[..length]);
        }
    }
}

#[test]
fn a_clean_frame_is_read_after_noise_of_every_length() {
    let message = ToDevice::Hello(Hello { schema: 1, plc: 1 });
    let header = Header { link_id: 1, boot_epoch: 2, seq: 3, ack: 4 };
    for length in 1..=4096usize {
        // Noise without a delimiter is the worst case: only the delimiter of the clean frame ends it.
        let noise: Vec<u8> = (0..length).map(|i| 1 + (i * 31 % 255) as u8).collect();
        assert_clean_frame_is_read_after(&noise, &header, &message);
    }
}

#[test]
fn resynchronisations_are_counted() {
    let mut accumulator = Accumulator::new();
    // Between the delimiters are [1, 2, 3], then no byte, then [4]. Two delimiters without a byte between them are not an error.
    frames::<ToDevice>(&mut accumulator, &[0, 1, 2, 3, 0, 0, 4, 0]);
    assert_eq!(accumulator.resyncs(), 2);
    // More bytes than a frame can have.
    frames::<ToDevice>(&mut accumulator, &[[7; 1000].as_slice(), &[0]].concat());
    assert_eq!(accumulator.resyncs(), 3);
}

/// A frame with this header and payload and a right CRC, without its delimiters.
fn forged(body: &[u8]) -> Vec<u8> {
    let raw = [body, &frame::crc_32c(body).to_le_bytes()].concat();
    let mut stuffed = vec![0; raw.len() + 2];
    let length = cobs::encode(&raw, &mut stuffed);
    stuffed.truncate(length);
    stuffed
}

#[test]
fn each_check_of_decode_has_its_error() {
    let message = ToDevice::Trigger(TriggerRequest { part_id: 1, nonce: 2, deadline_ms: 3 });
    let whole = encoded(&Header::default(), &message);
    let stuffed = &whole[1..whole.len() - 1];
    let mut raw = [0; MAX_FRAME];
    let length = cobs::decode(stuffed, &mut raw).unwrap() - 4;
    let body = &raw[..length];
    let changed = |index: usize, value: u8| {
        let mut body = body.to_vec();
        body[index] = value;
        frame::decode::<ToDevice>(&forged(&body)).unwrap_err()
    };
    // Byte 0 is the version, 1 the type, 2 and 3 the length.
    assert_eq!(changed(0, 2), FrameError::Version { found: 2 });
    assert_eq!(changed(1, 5), FrameError::Type { found: 5 }, "a device does not receive a VERDICT");
    assert_eq!(changed(1, 6), FrameError::Payload, "an ACK is longer");
    assert_eq!(changed(1, 11), FrameError::Payload, "a CONFIRM is longer");
    assert_eq!(changed(1, 12), FrameError::Type { found: 12 }, "a device does not receive a CONFIRMED");
    assert_eq!(changed(1, 8), FrameError::Payload, "a HEARTBEAT is shorter, so bytes remain");
    assert_eq!(changed(2, 15), FrameError::Length);
    assert_eq!(changed(3, 1), FrameError::Length);
    let wrong_crc = [&forged(body)[..stuffed.len() - 1], &[stuffed[stuffed.len() - 1] ^ 1]].concat();
    assert_eq!(frame::decode::<ToDevice>(&wrong_crc).unwrap_err(), FrameError::Check);
    assert_eq!(frame::decode::<ToDevice>(&[5, 1]).unwrap_err(), FrameError::Stuffing);
    assert_eq!(frame::decode::<ToDevice>(&[]).unwrap_err(), FrameError::Stuffing);
}
