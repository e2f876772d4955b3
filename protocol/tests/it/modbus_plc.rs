//! Tests the PLC's end of the Modbus profile. The test plays the device.

#![expect(clippy::unwrap_used, reason = "clippy allows unwrap in tests, but not in their helpers")]

mod bundles;

use cellgate_protocol::{
    code::WireVerdict,
    digest::DigestStart,
    gate::GateDecision,
    link::{Output, plc::Ends},
    modbus::{
        codec::{Request, Response, open},
        command::{Command, CommandBlock},
        map::COMMAND_ADDRESS,
        plc::{ANSWER_MS, ModbusPlc, READ_EVERY_MS},
        registers::Registers,
        snapshot::{ModbusSnapshot, SnapshotRegisters},
    },
    reason::ReasonCode,
    session::plc::{PartEnd, PlcEvent, PlcSession, PlcSessionConfig},
    state::Status,
    version::Schema,
};

const UNIT: u8 = 9;
const MODEL: DigestStart = DigestStart([7; 8]);
/// A nonce with more than 16 bits. The registers have only its low half.
const NONCE: u32 = 0x3_0005;

/// A request of the PLC.
#[derive(Debug, PartialEq, Eq)]
enum Sent {
    Read,
    Wrote(CommandBlock),
}

/// A PLC, and the registers that its device shows.
struct Bench {
    plc: ModbusPlc,
    now_ms: u64,
    shown: ModbusSnapshot,
    events: Vec<PlcEvent>,
}

impl Bench {
    fn new() -> Self {
        let mut config =
            PlcSessionConfig { allowed_models: Default::default(), first_wait_ms: 66, schema: Schema::One };
        config.allowed_models.push(MODEL).unwrap();
        let ends = Ends { plc: 0, device: Some(7), first_link_id: 0, first_wait_ms: 66 };
        let plc = ModbusPlc::new(0, PlcSession::new(config), UNIT.try_into().unwrap(), ends);
        let shown = ModbusSnapshot { device: 7, epoch: 3, status: Status::STORE_OK, ..ModbusSnapshot::EMPTY };
        Self { plc, now_ms: 0, shown, events: Vec::new() }
    }

    /// The device is armed and ready, its heartbeat is fresh, and no request is pending.
    fn ready() -> Self {
        let mut bench = Self::new();
        for _ in 0..8 {
            bench.turn();
        }
        bench.shown.status = bench.shown.status.with(Status::READY, true);
        bench.turn();
        bench
    }

    /// The PLC's next request at the current time. Events on the way are kept.
    fn next_request(&mut self) -> Option<Sent> {
        let mut out = [0; 256];
        loop {
            match self.plc.poll(self.now_ms, &mut out)? {
                Output::Event(event) => self.events.push(event),
                Output::Bytes(bytes) => {
                    let (unit, request) = open(bytes).unwrap();
                    assert_eq!(unit, UNIT);
                    return Some(match Request::decode(request).unwrap() {
                        Request::ReadInput { address: 0, count: 32 } => Sent::Read,
                        Request::WriteMultiple { address: COMMAND_ADDRESS, values } => {
                            Sent::Wrote(CommandBlock::from_registers(&values.to_array().unwrap()).unwrap())
                        }
                        other => panic!("{other:?}"),
                    });
                }
            }
        }
    }

    fn answer(&mut self, registers: &SnapshotRegisters) {
        let mut out = [0; 256];
        let response = Response::Registers(Registers::new(registers));
        self.plc.feed(self.now_ms, response.encode(UNIT, 0x04, &mut out).unwrap());
    }

    fn confirm_write(&mut self) {
        let mut out = [0; 256];
        let response = Response::WrittenMultiple { address: COMMAND_ADDRESS, count: 13 };
        self.plc.feed(self.now_ms, response.encode(UNIT, 0x10, &mut out).unwrap());
    }

    /// Waits for the next request and answers it.
    fn turn(&mut self) -> Sent {
        let request = loop {
            match self.next_request() {
                Some(request) => break request,
                None => self.now_ms += 1,
            }
        };
        self.now_ms += 7;
        match request {
            Sent::Read => {
                // The heartbeat changes every 30 ms.
                self.shown.heartbeat = (self.now_ms / 30) as u16;
                let registers = self.shown.to_registers();
                self.answer(&registers);
            }
            Sent::Wrote(_) => self.confirm_write(),
        }
        request
    }

    /// Waits for the next read and does not answer it.
    fn until_read(&mut self) {
        loop {
            match self.next_request() {
                Some(Sent::Read) => break,
                Some(Sent::Wrote(_)) => self.confirm_write(),
                None => self.now_ms += 1,
            }
        }
    }

    /// The next command other than 0 within this number of requests.
    fn command(&mut self, requests: usize) -> Option<Command> {
        (0..requests).find_map(|_| match self.turn() {
            Sent::Wrote(CommandBlock { command, .. }) if command != Command::None => Some(command),
            _ => None,
        })
    }

    fn trigger(&mut self, part_id: u64) {
        self.plc.session().trigger(self.now_ms, part_id, NONCE, 1_000).unwrap();
    }

    /// How the part ended. `None` if it is still open.
    fn decided(&mut self) -> Option<PartEnd> {
        self.next_request();
        self.events.iter().find_map(|event| match event {
            PlcEvent::Decided(end) => Some(*end),
            _ => None,
        })
    }

    /// The registers with a PASS for this part.
    fn pass(&self, part_id: u64) -> ModbusSnapshot {
        ModbusSnapshot {
            status: Status::VALID.with(Status::DONE, true).with(Status::STORE_OK, true),
            sequence: 77,
            part_id,
            nonce: NONCE as u16,
            verdict: WireVerdict::Pass.register(),
            reason: ReasonCode::SCORE_BELOW_REVIEW,
            model: MODEL,
            ..self.shown
        }
    }
}

#[test]
fn the_plc_reads_first_then_arms_the_device_and_triggers_it_only_when_it_is_ready() {
    let mut bench = Bench::new();
    bench.trigger(42);
    assert_eq!(bench.turn(), Sent::Read);
    assert_eq!(bench.turn(), Sent::Wrote(CommandBlock { heartbeat: 1, command: Command::None }));
    assert_eq!(bench.command(6), None);
    bench.shown.status = bench.shown.status.with(Status::READY, true);
    assert_eq!(bench.command(3), Some(Command::Trigger { part_id: 42, nonce: NONCE as u16, epoch: 3 }));
}

#[test]
fn a_request_is_sent_again_after_its_time_out() {
    let mut bench = Bench::new();
    assert_eq!(bench.next_request(), Some(Sent::Read));
    bench.now_ms = ANSWER_MS - 1;
    assert_eq!(bench.next_request(), None);
    bench.now_ms = ANSWER_MS;
    assert_eq!((bench.next_request(), bench.plc.unanswered()), (Some(Sent::Read), 1));
    // An answer directly after noise is found at the next silence, 20 ms later.
    bench.plc.feed(bench.now_ms, &[0xFF]);
    let shown = bench.shown.to_registers();
    bench.answer(&shown);
    bench.now_ms += 19;
    assert_eq!((bench.next_request(), bench.plc.boot_epoch(bench.now_ms)), (None, None));
    bench.now_ms += 1;
    assert!(matches!(bench.next_request(), Some(Sent::Wrote(_))) && bench.plc.boot_epoch(bench.now_ms) == Some(3));
    bench.plc.reopened();
    assert_eq!(bench.next_request(), Some(Sent::Read));
}

#[test]
fn the_heartbeat_changes_with_each_block_and_comes_every_100_ms() {
    let mut bench = Bench::ready();
    let (mut blocks, mut reads, begin_ms) = (Vec::new(), 0, bench.now_ms);
    while bench.now_ms < begin_ms + 1_000 {
        match bench.turn() {
            Sent::Wrote(block) => blocks.push(block.heartbeat),
            Sent::Read => reads += 1,
        }
    }
    assert!((9..=11).contains(&blocks.len()) && blocks.is_sorted_by(|a, b| *b == *a + 1), "{blocks:?}");
    assert!((1_000 / READ_EVERY_MS / 2..=1_000 / READ_EVERY_MS + 1).contains(&reads), "{reads}");
}

#[test]
fn a_pass_of_the_part_opens_the_gate_and_the_decision_has_the_complete_nonce() {
    let mut bench = Bench::ready();
    bench.trigger(42);
    assert!(matches!(bench.command(4), Some(Command::Trigger { part_id: 42, .. })));
    bench.shown = bench.pass(42);
    assert_eq!(bench.turn(), Sent::Read);
    let end = bench.decided().unwrap();
    assert_eq!((end.decision, end.nonce, end.boot_epoch), (GateDecision::Pass, NONCE, Some(3)));
}

#[test]
fn an_acknowledgement_goes_before_the_next_trigger() {
    let mut bench = Bench::ready();
    bench.trigger(42);
    bench.command(4);
    bench.shown = ModbusSnapshot { status: Status::READY.with(Status::VALID, true), ..bench.pass(42) };
    bench.turn();
    while bench.plc.session().trigger(bench.now_ms, 43, 6, 300).is_err() {
        let mut out = [0; 256];
        let Some(Output::Event(_)) = bench.plc.poll(bench.now_ms, &mut out) else { panic!("the decision comes first") };
    }
    let acknowledge = Command::Acknowledge { part_id: 42, nonce: NONCE as u16, sequence: 77 };
    assert_eq!(bench.command(4), Some(acknowledge));
    bench.shown = ModbusSnapshot { status: Status::READY, ..bench.shown };
    assert_eq!(bench.command(4), Some(Command::Trigger { part_id: 43, nonce: 6, epoch: 3 }));
}

#[test]
fn registers_with_a_wrong_crc_are_dropped() {
    let mut bench = Bench::ready();
    bench.trigger(42);
    bench.command(4);
    let dropped = bench.plc.counters().dropped;
    let right = bench.pass(42).to_registers();
    for at in 0..32 {
        bench.until_read();
        let mut wrong = right;
        wrong[at] ^= 1;
        bench.answer(&wrong);
    }
    assert_eq!(bench.plc.counters().dropped - dropped, 32);
    assert_eq!(bench.decided(), None);
}

#[test]
fn a_waiting_trigger_is_dropped_when_its_part_ends() {
    let mut bench = Bench::ready();
    bench.shown.status = Status::STORE_OK;
    bench.turn();
    bench.trigger(42);
    while bench.now_ms < 1_500 {
        assert!(!matches!(bench.turn(), Sent::Wrote(CommandBlock { command: Command::Trigger { .. }, .. })));
    }
    assert_eq!(bench.decided().unwrap().decision, GateDecision::Reject(ReasonCode::LATE));
    bench.shown.status = Status::READY;
    assert_eq!(bench.command(10), None);
}

#[test]
fn after_a_restart_of_the_device_its_part_is_rejected_and_command_0_comes_first() {
    let mut bench = Bench::ready();
    bench.trigger(42);
    assert!(bench.command(4).is_some());
    bench.shown = ModbusSnapshot { epoch: 4, ..bench.pass(42) };
    while bench.turn() != Sent::Read {}
    assert_eq!(bench.decided().unwrap().decision, GateDecision::Reject(ReasonCode::RESTARTED));
    // `decided` polled a write of command 0 and did not answer it, so the write times out and is repeated.
    bench.now_ms += ANSWER_MS;
    assert_eq!(bench.turn(), Sent::Read);
    assert!(matches!(bench.turn(), Sent::Wrote(CommandBlock { command: Command::None, .. })));
    assert!(matches!(bench.command(4), Some(Command::Acknowledge { sequence: 77, .. })));
    // The next part's trigger names the new boot epoch.
    bench.trigger(43);
    bench.shown = ModbusSnapshot { status: Status::READY, ..bench.shown };
    assert_eq!(bench.command(8), Some(Command::Trigger { part_id: 43, nonce: NONCE as u16, epoch: 4 }));
}

#[test]
fn refusals_and_records_end_the_part() {
    let waiting = Status::STORE_OK;
    let cases = [
        (waiting, 0, ReasonCode::NOT_READY, ReasonCode::NOT_READY),
        (waiting.with(Status::BUSY, true), 0, ReasonCode::STORE_FAILED, ReasonCode::STORE_FAILED),
        (waiting.with(Status::DONE, true), 5, ReasonCode::SCORE_BELOW_REVIEW, ReasonCode::RECORD_ONLY),
    ];
    for (status, sequence, reason, expected) in cases {
        let mut bench = Bench::ready();
        bench.trigger(42);
        bench.command(4);
        let nonce = NONCE as u16;
        bench.shown = ModbusSnapshot { status, sequence, reason, part_id: 42, nonce, ..bench.shown };
        while bench.turn() != Sent::Read {}
        assert_eq!(bench.decided().unwrap().decision, GateDecision::Reject(expected));
    }
}

#[test]
fn a_delayed_answer_is_dropped() {
    let mut bench = Bench::ready();
    bench.trigger(42);
    bench.command(4);
    let past = ModbusSnapshot { heartbeat: bench.shown.heartbeat.wrapping_sub(1), ..bench.pass(42) };
    bench.until_read();
    bench.answer(&past.to_registers());
    assert_eq!(bench.decided(), None);
}

#[test]
fn an_answer_of_another_device_ends_the_part_as_incompatible() {
    let mut bench = Bench::ready();
    bench.trigger(42);
    bench.command(4);
    bench.shown = ModbusSnapshot { device: 8, ..bench.pass(42) };
    while bench.turn() != Sent::Read {}
    assert_eq!(bench.decided().unwrap().decision, GateDecision::Reject(ReasonCode::INCOMPATIBLE));
    assert_eq!(bench.plc.counters().incompatible, 1);
}
