//! Tests the device's session behind registers: the cycle in `MODBUS.md` byte for byte, and faults.

#![expect(clippy::unwrap_used, reason = "clippy allows unwrap in tests, but not in their helpers")]

mod bench;
mod bundles;
mod records;
mod triggers;

use bench::{Bench, UNIT, pass};
use cellgate_protocol::code::WireVerdict;
use cellgate_protocol::modbus::codec::Request;
use cellgate_protocol::modbus::command::Command;
use cellgate_protocol::modbus::snapshot::{NO_VERDICT, SIMULATED};
use cellgate_protocol::part::Outcome;
use cellgate_protocol::reason::ReasonCode;
use cellgate_protocol::score::ScoreE4;
use cellgate_protocol::session::device::{Condition, DeviceEvent, Mode};
use cellgate_protocol::state::{DeviceState, Status};
use cellgate_protocol::to_plc::Flags;

/// The requests and answers of the document's cycle with this number, from 1.
fn cycle(number: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
    let text = include_str!("../../MODBUS.md").split("```text\n").nth(number).unwrap();
    let text = text.split("```").next().unwrap();
    let bytes = |hex: &str| hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    let lines_of = |side: &'static str| text.lines().filter_map(move |line| line.strip_prefix(side)).map(bytes);
    lines_of("PLC    ").zip(lines_of("device ")).collect()
}

#[test]
fn the_device_answers_the_cycle_of_the_document_byte_for_byte() {
    let mut bench = Bench::new();
    let mut open = None;
    let cycle = cycle(1);
    assert_eq!(cycle.len(), 8);
    for (at, (request, answer)) in cycle.into_iter().enumerate() {
        bench.now_ms = 10 * at as u64;
        // The device judged between the fifth and the sixth request.
        if at == 5
            && let Some(trigger) = open.take()
        {
            bench.conclude(trigger, pass(), 1);
        }
        let found = bench.exchange(&request);
        let hex: Vec<String> = found.iter().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(found, answer, "request {at}:\ndevice {}", hex.join(" "));
        open = bench.accept_trigger().or(open);
    }
    assert!(
        matches!(bench.events[..], [DeviceEvent::PlcBack, DeviceEvent::Delivered { verdict_seq: 1, .. }]),
        "{:?}",
        bench.events
    );
}

#[test]
fn a_part_is_shown_from_its_trigger_to_its_acknowledgement() {
    let mut bench = Bench::ready();
    let trigger = bench.trigger(42, 1);
    let shown = bench.read();
    assert!(shown.status.has(Status::BUSY) && !shown.status.has(Status::READY));
    assert_eq!((shown.part_id, shown.nonce, shown.verdict), (42, 1, NO_VERDICT));
    assert_eq!(shown.state, u16::from(DeviceState::SingleExecution.code().0));
    bench.now_ms = 40;
    bench.conclude(trigger, pass(), 0x1_0000_0005);
    bench.now_ms = 45;
    let shown = bench.read();
    assert!(shown.status.has(Status::VALID));
    assert_eq!((shown.verdict, shown.sequence, shown.age_ms), (WireVerdict::Pass.register(), 5, 45));
    assert_eq!((shown.model, shown.image), (pass().model, pass().image));
    for wrong in [
        Command::Acknowledge { part_id: 42, nonce: 1, sequence: 6 },
        Command::Acknowledge { part_id: 43, nonce: 1, sequence: 5 },
        Command::Acknowledge { part_id: 42, nonce: 2, sequence: 5 },
    ] {
        bench.command(wrong);
        assert!(bench.read().status.has(Status::VALID), "{wrong:?}");
    }
    bench.command(Command::Acknowledge { part_id: 42, nonce: 1, sequence: 5 });
    let shown = bench.read();
    assert!(shown.status.has(Status::READY) && !shown.status.has(Status::VALID));
    assert_eq!((shown.verdict, shown.sequence), (NO_VERDICT, 5));
    assert!(matches!(bench.events.last(), Some(DeviceEvent::Delivered { verdict_seq: 0x1_0000_0005, .. })));
}

#[test]
fn a_pass_is_shown_only_while_healthy_in_time_and_with_a_live_plc_and_a_working_store() {
    type Break = fn(&mut Bench);
    let breaks: [Break; 4] = [
        |bench| bench.healthy = false,
        // The PLC's last heartbeat was at 0 ms. At 540 ms the PLC counts as silent.
        |bench| bench.now_ms += 499,
        |bench| {
            let condition = Condition { mode: Mode::Operating, store_ok: false, degraded: false, backlog: 1 };
            bench.device.session().set_condition(condition);
        },
        // The PLC is live, but the deadline of 1 s is over.
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
        bench.conclude(trigger, pass(), 5);
        assert_eq!(bench.read().verdict, WireVerdict::Pass.register());
        bench.now_ms = 41;
        break_it(&mut bench);
        let shown = bench.read();
        assert_eq!((shown.verdict, shown.status.has(Status::VALID)), (NO_VERDICT, false));
    }
}

#[test]
fn a_reject_is_shown_even_while_unhealthy() {
    let mut bench = Bench::ready();
    let trigger = bench.trigger(42, 1);
    bench.healthy = false;
    bench.conclude(trigger, Outcome::reject(ReasonCode::ENGINE_FAILED), 5);
    let shown = bench.read();
    assert_eq!((shown.verdict, shown.reason), (WireVerdict::Reject.register(), ReasonCode::ENGINE_FAILED));
    assert_eq!(shown.score, ScoreE4::NONE);
}

#[test]
fn flags_of_the_verdict_are_status_bits() {
    for (flags, bits) in
        [(Flags::SIMULATED, SIMULATED), (Flags::DEGRADED, Status::DEGRADED), (Flags(0x4000), Status::DEGRADED)]
    {
        let mut bench = Bench::ready();
        let trigger = bench.trigger(42, 1);
        bench.conclude(trigger, Outcome { flags, ..pass() }, 5);
        let shown = bench.read();
        assert!(shown.status.has(bits), "{flags:?}");
        assert_eq!(shown.status.0 & (SIMULATED.0 | Status::DEGRADED.0), bits.0);
    }
}

#[test]
fn only_the_last_512_bytes_are_kept() {
    let mut bench = Bench::ready();
    let mut out = [0; 256];
    let read = Request::ReadInput { address: 0, count: 32 }.encode(UNIT, &mut out).unwrap().to_vec();
    let mut bytes = vec![0xA5; 5_000];
    bytes.extend(&read);
    assert_eq!(bench.exchange(&bytes), []);
    bench.now_ms = bench.device.poll_at_ms().unwrap();
    assert_eq!(bench.exchange(&[]).len(), 69);
    for byte in &bytes[4_000..] {
        bench.device.feed(bench.now_ms, &[*byte]);
    }
    bench.exchange(&[]);
    bench.now_ms += 20;
    assert_eq!(bench.exchange(&[]).len(), 69);
}

#[test]
fn reopening_forgets_received_bytes() {
    let mut bench = Bench::ready();
    let mut out = [0; 256];
    let read = Request::ReadInput { address: 0, count: 32 }.encode(UNIT, &mut out).unwrap();
    assert_eq!(bench.exchange(&read[..2]), []);
    bench.device.feed(bench.now_ms, &read[2..4]);
    assert!(bench.device.poll_at_ms().is_some());
    bench.device.reopened();
    assert_eq!(bench.device.poll_at_ms(), None);
}
