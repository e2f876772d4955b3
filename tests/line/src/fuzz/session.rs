//! Drives the device's session through native frames, with steps of time, bytes and events, most of them valid. Checks each
//! verdict that the session sends.

use super::application::{Application, EPOCH};
use super::native::Reader;
use super::steps::Steps;
use cellgate_protocol::{
    bundle::Confirm,
    code::VerdictCode,
    fault::{FaultCode, LinkError},
    frame::{self, FrameType, Header},
    limits::MAX_FRAME,
    link::{Output, device::DeviceLink},
    reason::ReasonCode,
    state::Status,
    to_device::{Ack, BundleTrigger, GateAck, Hello, PlcHeartbeat, ToDevice, TriggerRequest},
    to_plc::ToPlc,
    version::Schema,
};

/// The device's link under test, and the program around its session.
struct Bench {
    link: DeviceLink,
    application: Application,
    /// A second decoder of the received frames.
    received: Reader,
    /// A second decoder of the sent frames.
    sent: Reader,
    /// The PLC's last sequence number.
    seq: u32,
    /// The schema of the PLC's last HELLO.
    schema: Schema,
}

/// Returns how many verdicts were acknowledged and confirmations answered.
pub fn run(input: &[u8]) -> u32 {
    let mut steps = Steps::new(input);
    let application = Application::new();
    let link = DeviceLink::new(application.session());
    let (received, sent) = (Reader::default(), Reader::default());
    let mut bench = Bench { link, application, received, sent, seq: 0, schema: Schema::Two };
    while !steps.is_over() {
        match steps.byte() % 8 {
            0..=2 => bench.feed_message(&mut steps),
            3..=5 => bench.application.act(bench.link.session(), &mut steps),
            6 => bench.application.now_ms += u64::from(steps.byte()) * 4,
            _ => bench.feed(steps.bytes()),
        }
        bench.drain();
    }
    if bench.application.is_waiting() {
        // Longer than the longest deadline.
        bench.application.now_ms += 700_000;
        bench.drain();
        assert!(!bench.application.is_waiting(), "a part was not concluded");
    }
    bench.application.finished
}

impl Bench {
    /// Feeds a message of the PLC, sometimes with wrong fields or a damaged frame.
    fn feed_message(&mut self, steps: &mut Steps<'_>) {
        let (shape, first, second) = (steps.byte(), steps.byte(), steps.byte());
        let message = match shape % 8 {
            // Most links have schema 2. The device does not know schema 3.
            0 => ToDevice::Hello(Hello { schema: [2, 2, 1, 3][usize::from(first % 4)], plc: 1 }),
            1 | 2 => {
                let deadline_ms = u32::from(steps.byte()) * 4;
                let trigger = TriggerRequest { part_id: first.into(), nonce: second.into(), deadline_ms };
                match self.schema {
                    Schema::One => ToDevice::Trigger(trigger),
                    Schema::Two => ToDevice::BundleTrigger(BundleTrigger { trigger, bundle: u32::from(second % 4) }),
                }
            }
            3 | 4 => {
                let code = [VerdictCode::PASS, VerdictCode::REVIEW, VerdictCode::REJECT, VerdictCode(9)];
                let (verdict_seq, code) = (u64::from(second), code[usize::from(steps.byte() % 4)]);
                let ack = Ack { verdict_seq, part_id: first.into(), code };
                match self.schema {
                    Schema::One => ToDevice::Ack(ack),
                    Schema::Two => ToDevice::GateAck(GateAck { ack, gate: ReasonCode(second.into()) }),
                }
            }
            5 => {
                let bundle = u32::from(steps.byte());
                ToDevice::Confirm(Confirm { verdict_seq: second.into(), part_id: first.into(), bundle })
            }
            6 => ToDevice::Heartbeat(PlcHeartbeat { counter: first.into(), status: Status::default() }),
            _ => ToDevice::Error(LinkError::new(FaultCode(first.into()), Schema::Two)),
        };
        if let ToDevice::Hello(hello) = message {
            self.schema = Schema::from_number(hello.schema).unwrap_or(self.schema);
        }
        self.seq = self.seq.wrapping_add(1);
        let [other_link, other_epoch, old, unknown] = std::array::from_fn(|bit| u32::from(shape >> (4 + bit) & 1));
        let header = Header {
            link_id: 1 + other_link,
            boot_epoch: EPOCH - other_epoch,
            seq: self.seq.wrapping_sub(old * 2),
            ack: unknown * u32::from(second),
        };
        let mut out = [0; MAX_FRAME];
        let mut frame = frame::encode(&header, &message, &mut out).expect("each message fits").to_vec();
        steps.damage(&mut frame);
        self.feed(&frame);
    }

    /// Feeds bytes. The link accepts only frames whose CRC is right according to a second implementation.
    fn feed(&mut self, bytes: &[u8]) {
        let before = self.link.counters().frames;
        self.link.feed(self.application.now_ms, bytes);
        let accepted = self.link.counters().frames.wrapping_sub(before) as usize;
        assert!(accepted <= self.received.read(bytes).len(), "a frame with a wrong CRC was accepted");
    }

    /// Polls until there is nothing to do, and checks the sent frames.
    fn drain(&mut self) {
        let (now_ms, health) = (self.application.now_ms, self.application.health());
        let mut out = [0; MAX_FRAME];
        for _ in 0..100 {
            match self.link.poll(now_ms, health.as_ref(), &mut out) {
                None => return,
                Some(Output::Event(event)) => self.application.handle(event),
                Some(Output::Bytes(bytes)) => {
                    let [body] = &self.sent.read(bytes)[..] else { panic!("bytes that are not one frame") };
                    if FrameType(body[1]) == FrameType::VERDICT {
                        let message = frame::decode(&bytes[1..bytes.len() - 1]).expect("a message").1;
                        let ToPlc::Verdict(verdict) = message else { panic!("a frame of another type") };
                        let numbers = (verdict.part_id(), verdict.nonce(), verdict.verdict_seq());
                        self.application.check_verdict(numbers, verdict.code().verdict());
                    }
                }
            }
        }
        panic!("100 polls without an end");
    }
}
