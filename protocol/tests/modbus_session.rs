//! The session behind registers: a whole cycle, byte for byte as `MODBUS.md` has it, and what goes wrong.

#![expect(clippy::unwrap_used, reason = "clippy knows the tests themselves, not their helpers")]

use cellgate_protocol::code::Verdict;
use cellgate_protocol::digest::DigestStart;
use cellgate_protocol::health::{Health, Progress};
use cellgate_protocol::link::Output;
use cellgate_protocol::modbus::codec::{Request, Response};
use cellgate_protocol::modbus::command::{Command, CommandBlock};
use cellgate_protocol::modbus::device::ModbusDevice;
use cellgate_protocol::modbus::link::Link;
use cellgate_protocol::modbus::map::COMMAND_ADDRESS;
use cellgate_protocol::modbus::registers::Registers;
use cellgate_protocol::modbus::snapshot::{NO_VERDICT, SIMULATED, Snapshot};
use cellgate_protocol::part::{Outcome, Trigger};
use cellgate_protocol::reason::ReasonCode;
use cellgate_protocol::score::ScoreE4;
use cellgate_protocol::session::device::{Condition, DeviceConfig, DeviceSession, Event, Mode};
use cellgate_protocol::state::{State, Status};
use cellgate_protocol::to_plc::{Flags, Origin, Record};
use core::num::NonZeroU64;

const UNIT: u8 = 1;
const EPOCH: u32 = 3;
const DEADLINE_MS: u32 = 1_000;

fn pass() -> Outcome {
    Outcome {
        verdict: Verdict::Pass,
        reason: ReasonCode::SCORE_BELOW_REVIEW,
        score: ScoreE4(123),
        model: DigestStart([0xA1, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8]),
        image: DigestStart([0xB1, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xB8]),
        flags: Flags::default(),
    }
}

/// A device whose workers are well, at a time that the test sets.
struct Bench {
    device: ModbusDevice,
    now_ms: u64,
    healthy: bool,
    events: Vec<Event>,
    heartbeat: u16,
}

impl Bench {
    /// Operating, but no PLC was heard yet.
    fn new() -> Self {
        Self::started(EPOCH)
    }

    fn started(boot_epoch: u32) -> Self {
        let config = DeviceConfig { device: 7, boot_epoch, first_wait_ms: 66 };
        let session = DeviceSession::new(config);
        let mut device = ModbusDevice::new(session, Link::new(UNIT.try_into().unwrap(), 20), DEADLINE_MS);
        let condition = Condition { mode: Mode::Operating, store_ok: true, degraded: false, backlog: 0 };
        device.session().set_condition(condition);
        Self { device, now_ms: 0, healthy: true, events: Vec::new(), heartbeat: 0 }
    }

    /// Heard and armed.
    fn ready() -> Self {
        let mut bench = Self::new();
        bench.command(Command::None);
        assert!(bench.shown().status.has(Status::READY));
        bench
    }

    fn health(&self) -> Option<Health> {
        let worker = Progress { last_ms: self.now_ms, allowed_ms: 100 };
        Health::attest(self.now_ms, &[worker]).filter(|_| self.healthy)
    }

    fn asked(&mut self, request: &[u8]) -> Vec<u8> {
        let health = self.health();
        self.device.feed(self.now_ms, request);
        let (mut answer, mut out) = (Vec::new(), [0; 256]);
        while let Some(output) = self.device.poll(self.now_ms, health.as_ref(), &mut out) {
            match output {
                Output::Bytes(bytes) => answer.extend_from_slice(bytes),
                Output::Event(event) => self.events.push(event),
            }
        }
        answer
    }

    fn command(&mut self, command: Command) {
        self.heartbeat += 1;
        let answer = self.asked(&block(self.heartbeat, command));
        let receipt = Request::WriteMultiple { address: COMMAND_ADDRESS, values: Registers::new(&[0; 13]) };
        let written = Response::WrittenMultiple { address: COMMAND_ADDRESS, count: 13 };
        assert_eq!(Response::decode(&answer, UNIT, &receipt), Ok(written));
    }

    fn shown(&mut self) -> Snapshot {
        let request = Request::ReadInput { address: 0, count: 32 };
        let mut out = [0; 256];
        let answer = self.asked(request.encode(UNIT, &mut out).unwrap());
        let Ok(Response::Registers(read)) = Response::decode(&answer, UNIT, &request) else { panic!("{answer:?}") };
        Snapshot::from_registers(&read.to_array().unwrap()).unwrap()
    }

    /// A trigger whose acceptance is stored at once.
    fn triggered(&mut self) -> Option<Trigger> {
        let trigger = self.not_yet_accepted()?;
        self.device.session().accept(&trigger);
        Some(trigger)
    }

    fn not_yet_accepted(&mut self) -> Option<Trigger> {
        let at = self.events.iter().position(|event| matches!(event, Event::Triggered(_)))?;
        let Event::Triggered(trigger) = self.events.remove(at) else { unreachable!() };
        Some(trigger)
    }

    fn trigger(&mut self, part_id: u64, nonce: u16) -> Trigger {
        self.command(Command::Trigger { part_id, nonce, epoch: EPOCH });
        self.triggered().unwrap()
    }

    fn concludes(&mut self, trigger: Trigger, outcome: Outcome, verdict_seq: u64) {
        let (now_ms, health) = (self.now_ms, self.health());
        let session = self.device.session();
        let committed =
            session.conclude(now_ms, trigger, outcome).unwrap().committed(NonZeroU64::new(verdict_seq).unwrap());
        session.send_verdict(now_ms, committed, health.as_ref());
    }
}

/// The request that writes a command.
fn block(heartbeat: u16, command: Command) -> Vec<u8> {
    let registers = CommandBlock { heartbeat, command }.to_registers();
    let request = Request::WriteMultiple { address: COMMAND_ADDRESS, values: Registers::new(&registers) };
    request.encode(UNIT, &mut [0; 256]).unwrap().to_vec()
}

/// The requests and answers of the document's cycle.
fn cycle() -> Vec<(Vec<u8>, Vec<u8>)> {
    let text = include_str!("../MODBUS.md");
    let bytes = |hex: &str| hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    let said = |side: &'static str| text.lines().filter_map(move |line| line.strip_prefix(side)).map(bytes);
    said("PLC    ").zip(said("device ")).collect()
}

#[test]
fn the_cycle_of_the_document_byte_for_byte() {
    let mut bench = Bench::new();
    let mut open = None;
    let cycle = cycle();
    assert_eq!(cycle.len(), 8);
    for (at, (request, answer)) in cycle.into_iter().enumerate() {
        bench.now_ms = 10 * at as u64;
        // The device judged between the fifth and the sixth request.
        if at == 5
            && let Some(trigger) = open.take()
        {
            bench.concludes(trigger, pass(), 1);
        }
        let found = bench.asked(&request);
        let hex: Vec<String> = found.iter().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(found, answer, "request {at}:\ndevice {}", hex.join(" "));
        open = bench.triggered().or(open);
    }
    assert!(matches!(bench.events[..], [Event::PlcBack, Event::Delivered { verdict_seq: 1 }]), "{:?}", bench.events);
}

#[test]
fn a_part_from_trigger_to_acknowledgement() {
    let mut bench = Bench::ready();
    let trigger = bench.trigger(42, 1);
    let shown = bench.shown();
    assert!(shown.status.has(Status::BUSY) && !shown.status.has(Status::READY));
    assert_eq!((shown.part_id, shown.nonce, shown.verdict), (42, 1, NO_VERDICT));
    assert_eq!(shown.state, u16::from(State::SingleExecution.code().0));
    bench.now_ms = 40;
    bench.concludes(trigger, pass(), 0x1_0000_0005);
    bench.now_ms = 45;
    let shown = bench.shown();
    assert!(shown.status.has(Status::VALID));
    assert_eq!((shown.verdict, shown.sequence, shown.age_ms), (Verdict::Pass.register(), 5, 45));
    assert_eq!((shown.model, shown.image), (pass().model, pass().image));
    for wrong in [
        Command::Acknowledge { part_id: 42, nonce: 1, sequence: 6 },
        Command::Acknowledge { part_id: 43, nonce: 1, sequence: 5 },
        Command::Acknowledge { part_id: 42, nonce: 2, sequence: 5 },
    ] {
        bench.command(wrong);
        assert!(bench.shown().status.has(Status::VALID), "{wrong:?}");
    }
    bench.command(Command::Acknowledge { part_id: 42, nonce: 1, sequence: 5 });
    let shown = bench.shown();
    assert!(shown.status.has(Status::READY) && !shown.status.has(Status::VALID));
    assert_eq!((shown.verdict, shown.sequence), (NO_VERDICT, 5));
    assert!(matches!(bench.events.last(), Some(Event::Delivered { verdict_seq: 0x1_0000_0005 })));
}

#[test]
fn a_pass_is_shown_only_healthy_and_in_time_and_to_a_live_plc() {
    type Break = fn(&mut Bench);
    let breaks: [Break; 4] = [
        |bench| bench.healthy = false,
        |bench| bench.now_ms += 499,
        |bench| {
            let condition = Condition { mode: Mode::Operating, store_ok: false, degraded: false, backlog: 1 };
            bench.device.session().set_condition(condition);
        },
        |bench| {
            for _ in 0..11 {
                bench.now_ms += 100;
                bench.command(Command::None);
            }
        },
    ];
    for break_it in breaks {
        let mut bench = Bench::ready();
        let trigger = bench.trigger(42, 1);
        bench.now_ms = 40;
        bench.concludes(trigger, pass(), 5);
        assert_eq!(bench.shown().verdict, Verdict::Pass.register());
        bench.now_ms = 41;
        break_it(&mut bench);
        let shown = bench.shown();
        assert_eq!((shown.verdict, shown.status.has(Status::VALID)), (NO_VERDICT, false));
    }
}

#[test]
fn a_reject_is_shown_even_unhealthy() {
    let mut bench = Bench::ready();
    let trigger = bench.trigger(42, 1);
    bench.healthy = false;
    bench.concludes(trigger, Outcome::reject(ReasonCode::ENGINE_FAILED), 5);
    let shown = bench.shown();
    assert_eq!((shown.verdict, shown.reason), (Verdict::Reject.register(), ReasonCode::ENGINE_FAILED));
    assert_eq!(shown.score, ScoreE4::NONE);
}

/// Else a crash right then would leave an accepted part without a record.
#[test]
fn a_part_is_busy_only_once_its_acceptance_is_stored() {
    let mut bench = Bench::ready();
    let is_busy = |bench: &mut Bench| (bench.shown().part_id, bench.shown().status.has(Status::BUSY));
    bench.command(Command::Trigger { part_id: 42, nonce: 1, epoch: EPOCH });
    let trigger = bench.not_yet_accepted().unwrap();
    assert_eq!(is_busy(&mut bench), (42, false));
    bench.device.session().accept(&trigger);
    assert_eq!(is_busy(&mut bench), (42, true));
    // Nor where its time ends before.
    let mut bench = Bench::ready();
    bench.command(Command::Trigger { part_id: 43, nonce: 2, epoch: EPOCH });
    bench.now_ms = u64::from(DEADLINE_MS);
    assert_eq!(is_busy(&mut bench), (43, false));
    assert!(bench.events.iter().any(|event| matches!(event, Event::Concluded(_))), "{:?}", bench.events);
}

#[test]
fn a_refused_trigger_shows_why() {
    let mut bench = Bench::ready();
    bench.healthy = false;
    bench.command(Command::Trigger { part_id: 42, nonce: 1, epoch: EPOCH });
    assert!(bench.triggered().is_none());
    let shown = bench.shown();
    assert_eq!((shown.part_id, shown.nonce, shown.reason), (42, 1, ReasonCode::NOT_READY));
    assert_eq!((shown.verdict, shown.status.has(Status::BUSY)), (NO_VERDICT, false));
    bench.healthy = true;
    let _ = bench.trigger(42, 2);
    assert_eq!(bench.shown().reason, ReasonCode(0));
}

#[test]
fn a_trigger_while_one_is_in_hand_is_an_overrun_until_cleared() {
    let mut bench = Bench::ready();
    let trigger = bench.trigger(42, 1);
    bench.command(Command::Trigger { part_id: 43, nonce: 2, epoch: EPOCH });
    assert!(bench.triggered().is_none());
    let shown = bench.shown();
    assert!(shown.status.has(Status::OVERRUN));
    assert_eq!((shown.part_id, shown.nonce, shown.reason), (42, 1, ReasonCode(0)));
    bench.concludes(trigger, pass(), 5);
    assert_eq!(bench.shown().part_id, 42);
    bench.command(Command::Clear { nonce: 3 });
    assert!(!bench.shown().status.has(Status::OVERRUN));
}

#[test]
fn a_record_of_the_journal_is_shown_without_a_verdict_and_can_be_acknowledged() {
    let mut bench = Bench::ready();
    let trigger = bench.trigger(42, 1);
    let (now_ms, session) = (bench.now_ms, bench.device.session());
    let entry = session.conclude(now_ms, trigger, pass()).unwrap().entry();
    // The device restarts before it could send.
    let mut bench = Bench::ready();
    bench.device.session().send_record(entry.record(NonZeroU64::new(5).unwrap(), Origin::REPLAY));
    assert_eq!(bench.shown().sequence, 0);
    let shown = bench.shown();
    assert_eq!((shown.sequence, shown.part_id, shown.nonce, shown.verdict), (5, 42, 1, NO_VERDICT));
    assert!(!shown.status.has(Status::VALID));
    bench.command(Command::Acknowledge { part_id: 42, nonce: 1, sequence: 5 });
    let Some(Event::RecordAcknowledged(ack)) = bench.events.last() else { panic!("{:?}", bench.events) };
    assert_eq!((ack.verdict_seq, ack.part_id, ack.code), (5, 42, Verdict::Pass.code()));
    assert_eq!(bench.shown().sequence, 0);
}

#[test]
fn a_trigger_refused_as_busy_hides_nothing_of_the_part_in_hand() {
    let mut bench = Bench::ready();
    let trigger = bench.trigger(42, 1);
    bench.command(Command::Trigger { part_id: 43, nonce: 2, epoch: EPOCH });
    bench.healthy = false;
    bench.concludes(trigger, pass(), 5);
    for _ in 0..2 {
        let shown = bench.shown();
        assert_eq!((shown.part_id, shown.sequence, shown.reason), (42, 5, ReasonCode::SCORE_BELOW_REVIEW));
        assert!(shown.status.has(Status::DONE) && shown.status.has(Status::OVERRUN));
        assert_eq!(shown.verdict, NO_VERDICT);
    }
    bench.command(Command::Acknowledge { part_id: 42, nonce: 1, sequence: 5 });
    assert!(matches!(bench.events.last(), Some(Event::RecordAcknowledged(ack)) if ack.verdict_seq == 5));
    let shown = bench.shown();
    assert_eq!((shown.part_id, shown.sequence, shown.status.has(Status::DONE)), (42, 5, false));
}

#[test]
fn the_record_of_the_part_in_hand_comes_before_one_of_the_journal_and_a_refusal() {
    let mut bench = Bench::ready();
    let trigger = bench.trigger(42, 1);
    bench.healthy = false;
    bench.concludes(trigger, pass(), 5);
    let late = bench.shown();
    let session = bench.device.session();
    let record = session.snapshot(0, None).record.unwrap();
    session.send_record(Record { part_id: 41, nonce: 9, verdict_seq: 4, ..record });
    assert_eq!((bench.shown().sequence, late.sequence), (5, 5));
    bench.command(Command::Acknowledge { part_id: 42, nonce: 1, sequence: 5 });
    let shown = bench.shown();
    assert_eq!((shown.sequence, shown.part_id, shown.status.has(Status::DONE)), (4, 41, true));
    bench.command(Command::Acknowledge { part_id: 41, nonce: 9, sequence: 4 });
    let shown = bench.shown();
    assert_eq!((shown.sequence, shown.status.has(Status::DONE)), (5, false));
    // Too late for the first time, right for the second.
    bench.command(Command::Acknowledge { part_id: 41, nonce: 9, sequence: 4 });
    bench.device.session().send_record(Record { part_id: 41, nonce: 9, verdict_seq: 4, ..record });
    bench.command(Command::None);
    assert_eq!(bench.shown().sequence, 4);
    bench.command(Command::Acknowledge { part_id: 41, nonce: 9, sequence: 4 });
    assert_eq!(bench.shown().sequence, 5);
}

#[test]
fn bytes_beyond_the_kept_ones_cost_the_oldest() {
    let mut bench = Bench::ready();
    let mut out = [0; 256];
    let read = Request::ReadInput { address: 0, count: 32 }.encode(UNIT, &mut out).unwrap().to_vec();
    let mut bytes = vec![0xA5; 5_000];
    bytes.extend(&read);
    assert_eq!(bench.asked(&bytes), []);
    bench.now_ms = bench.device.poll_at_ms().unwrap();
    assert_eq!(bench.asked(&[]).len(), 69);
    for byte in &bytes[4_000..] {
        bench.device.feed(bench.now_ms, &[*byte]);
    }
    bench.asked(&[]);
    bench.now_ms += 20;
    assert_eq!(bench.asked(&[]).len(), 69);
    bench.device.feed(bench.now_ms, &read[..4]);
    bench.device.reopened();
    assert_eq!(bench.device.poll_at_ms(), None);
}

#[test]
fn flags_of_the_verdict_are_status_bits() {
    for (flags, bits) in
        [(Flags::SIMULATED, SIMULATED), (Flags::DEGRADED, Status::DEGRADED), (Flags(0x4000), Status::DEGRADED)]
    {
        let mut bench = Bench::ready();
        let trigger = bench.trigger(42, 1);
        bench.concludes(trigger, Outcome { flags, ..pass() }, 5);
        let shown = bench.shown();
        assert!(shown.status.has(bits), "{flags:?}");
        assert_eq!(shown.status.0 & (SIMULATED.0 | Status::DEGRADED.0), bits.0);
    }
}

#[test]
fn a_device_that_is_not_armed_is_not_ready() {
    let mut bench = Bench::new();
    bench.command(Command::Trigger { part_id: 42, nonce: 1, epoch: EPOCH });
    assert!(bench.triggered().is_none());
    let shown = bench.shown();
    assert!(!shown.status.has(Status::READY));
    assert_eq!(shown.state, u16::from(State::Initialized.code().0));
    bench.command(Command::None);
    let _ = bench.trigger(42, 1);
}

/// A gateway holds a trigger back while the device starts anew, and delivers it to the one that is ready again.
#[test]
fn a_trigger_that_is_held_back_through_a_start_is_judged_once() {
    let held_back = block(2, Command::Trigger { part_id: 42, nonce: 1, epoch: EPOCH });
    let mut rows = 0;
    let mut bench = Bench::ready();
    bench.asked(&held_back);
    let trigger = bench.triggered().unwrap();
    bench.concludes(trigger, pass(), 1);
    rows += 1;
    let mut bench = Bench::started(EPOCH + 1);
    bench.command(Command::None);
    assert!(bench.shown().status.has(Status::READY));
    for _ in 0..2 {
        bench.asked(&held_back);
        if let Some(trigger) = bench.triggered() {
            bench.concludes(trigger, pass(), 2);
            rows += 1;
        }
    }
    assert_eq!(rows, 1, "terminal rows of one part");
    let shown = bench.shown();
    assert_eq!((shown.part_id, shown.nonce, shown.reason), (42, 1, ReasonCode::EPOCH_MISMATCH));
    assert_eq!((shown.verdict, shown.sequence, shown.status.has(Status::BUSY)), (NO_VERDICT, 0, false));
    // The same part asked for anew is another matter.
    bench.command(Command::Trigger { part_id: 42, nonce: 1, epoch: EPOCH + 1 });
    assert!(bench.triggered().is_some() && bench.shown().reason == ReasonCode(0));
}

#[test]
fn a_trigger_of_another_epoch_disturbs_neither_the_part_in_hand_nor_its_verdict() {
    let mut bench = Bench::ready();
    let trigger = bench.trigger(42, 1);
    let stale = Command::Trigger { part_id: 41, nonce: 9, epoch: EPOCH - 1 };
    let is_told_of_42 = |bench: &mut Bench| {
        bench.command(stale);
        let shown = bench.shown();
        assert_eq!((shown.part_id, shown.nonce, shown.status.has(Status::OVERRUN)), (42, 1, false));
        shown
    };
    assert!(is_told_of_42(&mut bench).status.has(Status::BUSY));
    bench.concludes(trigger, pass(), 5);
    assert_eq!(is_told_of_42(&mut bench).verdict, Verdict::Pass.register());
}
