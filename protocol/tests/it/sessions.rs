//! Tests the sessions of both sides, in simulated time. Each test checks one rule.

mod bundles;
mod links;

use crate::support::{actions, healthy, ready_session, trigger};
use cellgate_protocol::{
    code::{VerdictCode, WireVerdict},
    digest::DigestStart,
    gate::GateDecision,
    limits::{CONCLUDE_BEFORE_MS, HEARTBEAT_MS, PLC_SILENT_MS},
    part::Outcome,
    reason::ReasonCode,
    score::ScoreE4,
    session::{
        device::{AlreadyConcluded, Condition, DeviceAction, DeviceEvent, DeviceSession, Dispatch, Mode},
        plc::{PlcAction, PlcEvent, PlcSession, PlcSessionConfig},
    },
    state::{DeviceState, Status},
    to_device::{Ack, ToDevice, TriggerRequest},
    to_plc::{Busy, DeviceHeartbeat, Flags, Nak, Origin, ToPlc},
    version::Schema,
};
use std::num::NonZeroU64;

const REQUEST: TriggerRequest = TriggerRequest { part_id: 5, nonce: 6, deadline_ms: 400 };
const MODEL: DigestStart = DigestStart([7; 8]);

fn outcome(verdict: WireVerdict) -> Outcome {
    let reason = ReasonCode::SCORE_BELOW_REVIEW;
    Outcome { verdict, reason, score: ScoreE4(1), model: MODEL, image: MODEL, flags: Flags::default() }
}

/// A session that got a committed verdict at `now_ms`, and how the session sends it.
fn session_with_verdict(verdict: WireVerdict, now_ms: u64, is_healthy: bool) -> (DeviceSession, Dispatch) {
    let mut session = ready_session(0);
    let token = trigger(&mut session, 0, &REQUEST);
    session.plc_heartbeat(now_ms, 1);
    let pending = session.conclude(now_ms, token, outcome(verdict)).expect("the part is not concluded yet");
    let health = healthy(now_ms).filter(|_| is_healthy);
    let dispatch = session.send_verdict(now_ms, pending.committed(NonZeroU64::MIN), health.as_ref());
    (session, dispatch)
}

/// How many VERDICTs the session sends now.
fn verdicts(session: &mut DeviceSession, now_ms: u64, is_healthy: bool) -> usize {
    let health = healthy(now_ms).filter(|_| is_healthy);
    let all = actions(session, now_ms, health.as_ref());
    all.iter().filter(|action| matches!(action, DeviceAction::Send(ToPlc::Verdict(_)))).count()
}

#[test]
fn a_pass_is_sent_only_while_healthy_and_a_reject_always() {
    assert_eq!(session_with_verdict(WireVerdict::Pass, 100, true).1, Dispatch::Verdict);
    assert_eq!(session_with_verdict(WireVerdict::Pass, 100, false).1, Dispatch::Record(Origin::UNHEALTHY));
    assert_eq!(session_with_verdict(WireVerdict::Reject, 100, false).1, Dispatch::Verdict);
    assert_eq!(session_with_verdict(WireVerdict::Review, 100, false).1, Dispatch::Verdict);
}

#[test]
fn a_verdict_after_its_deadline_is_a_record_with_reject() {
    let (mut session, dispatch) = session_with_verdict(WireVerdict::Pass, 401, true);
    assert_eq!(dispatch, Dispatch::Record(Origin::LATE));
    let record = actions(&mut session, 401, None).into_iter().find_map(|action| match action {
        DeviceAction::Send(ToPlc::Record(record)) => Some(record),
        _ => None,
    });
    let record = record.unwrap();
    assert_eq!((record.code, record.reason), (VerdictCode::REJECT, ReasonCode::TIMEOUT));
}

#[test]
fn a_verdict_is_repeated_at_growing_intervals_and_then_recorded() {
    let (mut session, _) = session_with_verdict(WireVerdict::Pass, 0, true);
    let mut sent_at = Vec::new();
    for now_ms in 0..=400 {
        session.plc_heartbeat(now_ms, now_ms as u32 + 10);
        sent_at.extend((0..verdicts(&mut session, now_ms, true)).map(|_| now_ms));
    }
    // The waits are 66, 99 and 149 ms.
    assert_eq!(sent_at, [0, 66, 165, 314]);
    let after = actions(&mut session, 401, healthy(401).as_ref());
    assert!(matches!(after[0], DeviceAction::Event(DeviceEvent::Undelivered { verdict_seq: 1 })), "{after:?}");
    assert!(matches!(after[1], DeviceAction::Send(ToPlc::Record(record)) if record.origin == Origin::LATE));
    assert_eq!(verdicts(&mut session, 1_000, true), 0);
}

#[test]
fn a_pass_is_not_repeated_while_a_worker_stands_still_or_the_device_needs_repair() {
    let (mut session, _) = session_with_verdict(WireVerdict::Pass, 0, true);
    assert_eq!(verdicts(&mut session, 0, true), 1);
    assert_eq!(verdicts(&mut session, 70, false), 0);
    assert!(session.snapshot(70, None).verdict.is_none());
    assert_eq!(verdicts(&mut session, 80, true), 1);
    assert!(session.snapshot(80, healthy(80).as_ref()).status.has(Status::VALID));
    session.set_condition(Condition { mode: Mode::Failed, store_ok: true, degraded: false, backlog: 0 });
    assert_eq!(verdicts(&mut session, 300, true), 0);
}

#[test]
fn only_an_ack_of_the_right_part_code_and_number_ends_the_repetition() {
    let (mut session, _) = session_with_verdict(WireVerdict::Pass, 0, true);
    let right = Ack { verdict_seq: 1, part_id: 5, code: VerdictCode::PASS };
    session.acknowledge(&Ack { part_id: 6, ..right }, ReasonCode::LATE);
    session.acknowledge(&Ack { code: VerdictCode::REJECT, ..right }, ReasonCode::LATE);
    session.acknowledge(&Ack { verdict_seq: 2, ..right }, ReasonCode::LATE);
    assert_eq!(session.bad_acks(), 2);
    assert_eq!(verdicts(&mut session, 0, true), 1);
    session.acknowledge(&right, ReasonCode::LATE);
    assert!(matches!(
        actions(&mut session, 1, healthy(1).as_ref())[..],
        [DeviceAction::Event(DeviceEvent::Delivered { verdict_seq: 1, gate: ReasonCode::LATE })]
    ));
    assert_eq!(verdicts(&mut session, 300, true), 0);
    // A repeated trigger gets the same verdict again. The part is not judged again.
    session.trigger(300, &REQUEST, 0);
    assert_eq!(verdicts(&mut session, 300, true), 1);
    session.plc_heartbeat(401, 2);
    session.trigger(401, &REQUEST, 0);
    let nak = actions(&mut session, 401, healthy(401).as_ref()).pop();
    assert!(matches!(nak, Some(DeviceAction::Send(ToPlc::Nak(Nak { reason: ReasonCode::EXPIRED, .. })))), "{nak:?}");
}

#[test]
fn the_session_concludes_a_forgotten_part_once() {
    let mut session = ready_session(0);
    let token = trigger(&mut session, 0, &REQUEST);
    let at_ms = 400 - CONCLUDE_BEFORE_MS;
    assert!(actions(&mut session, at_ms - 1, None).is_empty());
    let Some(DeviceAction::Event(DeviceEvent::Concluded(pending))) = actions(&mut session, at_ms, None).pop() else {
        panic!("the session has to ask for a commit");
    };
    assert_eq!(pending.entry().outcome, Outcome::reject(ReasonCode::TIMEOUT));
    // The acceptance is not stored yet, so a repeated trigger gets no BUSY.
    session.trigger(at_ms, &REQUEST, 0);
    assert!(actions(&mut session, at_ms, None).is_empty());
    assert_eq!(session.conclude(at_ms, token, outcome(WireVerdict::Pass)).unwrap_err(), AlreadyConcluded);
    assert_eq!(session.send_verdict(at_ms, pending.committed(NonZeroU64::MIN), None), Dispatch::Verdict);
    assert_eq!(verdicts(&mut session, at_ms, false), 1);
}

#[test]
fn a_second_part_is_refused_while_one_is_open() {
    let mut session = ready_session(0);
    let token = trigger(&mut session, 0, &REQUEST);
    session.accept(&token);
    session.trigger(1, &REQUEST, 0);
    session.trigger(1, &TriggerRequest { nonce: 7, ..REQUEST }, 0);
    let sent_messages = actions(&mut session, 1, healthy(1).as_ref());
    let busy = Busy { part_id: 5, nonce: 6 };
    assert!(matches!(sent_messages[0], DeviceAction::Send(ToPlc::Busy(found)) if found == busy));
    assert!(matches!(sent_messages[1], DeviceAction::Send(ToPlc::Busy(found)) if found == busy));
    assert!(
        matches!(sent_messages[2], DeviceAction::Send(ToPlc::Nak(nak)) if nak.reason == ReasonCode::BUSY && nak.nonce == 7)
    );
    assert_eq!(sent_messages.len(), 3);
    assert!(session.snapshot(1, None).status.has(Status::OVERRUN));
    session.clear();
    assert!(!session.snapshot(1, None).status.has(Status::OVERRUN));
}

#[test]
fn a_silent_plc_makes_the_device_hold() {
    let mut session = ready_session(0);
    assert_eq!(session.snapshot(0, healthy(0).as_ref()).state, DeviceState::Ready);
    for now_ms in (0..=PLC_SILENT_MS).step_by(50) {
        session.plc_heartbeat(now_ms, 1); // The counter does not change, so the PLC's program stands still.
    }
    let now_ms = PLC_SILENT_MS;
    assert!(matches!(
        actions(&mut session, now_ms, healthy(now_ms).as_ref())[..],
        [DeviceAction::Event(DeviceEvent::PlcSilent)]
    ));
    assert_eq!(session.state(now_ms), DeviceState::Initialized);
    session.trigger(now_ms, &REQUEST, 0);
    let nak = actions(&mut session, now_ms, healthy(now_ms).as_ref()).pop();
    assert!(matches!(nak, Some(DeviceAction::Send(ToPlc::Nak(Nak { reason: ReasonCode::NOT_READY, .. })))));
    session.plc_heartbeat(now_ms, 2);
    assert!(matches!(
        actions(&mut session, now_ms, healthy(now_ms).as_ref())[..],
        [DeviceAction::Event(DeviceEvent::PlcBack)]
    ));
}

#[test]
fn the_heartbeat_advances_only_while_healthy() {
    let mut session = ready_session(0);
    let mut counters = Vec::new();
    for beat in 1..=6 {
        let now_ms = beat * HEARTBEAT_MS;
        let health = healthy(now_ms).filter(|_| beat <= 3);
        while let Some(action) = session.poll(now_ms, health.as_ref()) {
            if let DeviceAction::Send(ToPlc::BundleHeartbeat(sent)) = action {
                counters.push(sent.heartbeat.counter);
            }
        }
    }
    // `ready_session` has polled heartbeat 1 already.
    assert_eq!(counters, [2, 3, 4, 4, 4, 4]);
}

#[test]
fn a_failed_store_is_a_nak_at_once_and_a_reject_later() {
    let mut session = ready_session(0);
    let token = trigger(&mut session, 0, &REQUEST);
    let pending = session.conclude(10, token, outcome(WireVerdict::Pass)).unwrap();
    let pending = session.store_failed(pending);
    assert_eq!(pending.entry().outcome, Outcome::reject(ReasonCode::STORE_FAILED));
    let nak = actions(&mut session, 10, healthy(10).as_ref()).pop();
    assert!(matches!(nak, Some(DeviceAction::Send(ToPlc::Nak(Nak { reason: ReasonCode::STORE_FAILED, .. })))));
    assert!(!session.snapshot(10, healthy(10).as_ref()).status.has(Status::STORE_OK));
    session.settle(pending);
    assert_eq!(session.state(10), DeviceState::Error);
}

fn plc_session() -> PlcSession {
    let mut config = PlcSessionConfig { allowed_models: Default::default(), first_wait_ms: 66, schema: Schema::One };
    config.allowed_models.push(MODEL).expect("one model fits");
    PlcSession::new(config)
}

/// The device's heartbeat with this counter arrives.
fn beat(plc: &mut PlcSession, now_ms: u64, counter: u32) {
    let state = DeviceState::Ready.code();
    plc.receive(now_ms, &ToPlc::Heartbeat(DeviceHeartbeat { counter, state, status: Status::READY, backlog: 0 }));
}

/// The decisions that the PLC's session returns now.
fn decided(plc: &mut PlcSession, now_ms: u64) -> Vec<GateDecision> {
    let all = std::iter::from_fn(|| plc.poll(now_ms));
    let ends = all.filter_map(|action| match action {
        PlcAction::Event(PlcEvent::Decided(end)) => Some(end.decision),
        _ => None,
    });
    ends.collect()
}

#[test]
fn a_verdict_passes_once_and_is_acknowledged_each_time() {
    let mut plc = plc_session();
    plc.device_found(0, 3);
    beat(&mut plc, 0, 1);
    beat(&mut plc, 90, 2);
    plc.trigger(90, 5, 6, 400).unwrap();
    assert!(decided(&mut plc, 90).is_empty());
    let verdict = ToPlc::Verdict(crate::support::verdict(&REQUEST, outcome(WireVerdict::Pass), NonZeroU64::MIN, 20));
    plc.receive(120, &verdict);
    plc.receive(130, &verdict);
    let all: Vec<_> = std::iter::from_fn(|| plc.poll(130)).collect();
    let acks = all.iter().filter(|action| matches!(action, PlcAction::Send(ToDevice::Ack(ack)) if ack.part_id == 5));
    assert_eq!(acks.count(), 2);
    let passes = all
        .iter()
        .filter(|action| matches!(action, PlcAction::Event(PlcEvent::Decided(end)) if end.decision.is_pass()));
    assert_eq!((passes.count(), plc.duplicates()), (1, 1));
}

#[test]
fn no_part_passes_before_the_heartbeat_of_the_device_has_changed() {
    let mut plc = plc_session();
    plc.device_found(0, 3);
    beat(&mut plc, 0, 1);
    plc.trigger(0, 5, 6, 400).unwrap();
    decided(&mut plc, 0);
    plc.receive(
        30,
        &ToPlc::Verdict(crate::support::verdict(&REQUEST, outcome(WireVerdict::Pass), NonZeroU64::MIN, 20)),
    );
    assert_eq!(decided(&mut plc, 30), [GateDecision::Reject(ReasonCode::STALE_HEARTBEAT)]);
}

#[test]
fn a_part_is_rejected_if_no_answer_comes_or_the_device_restarts_or_is_incompatible() {
    let mut plc = plc_session();
    plc.trigger(0, 5, 6, 400).unwrap();
    assert!(decided(&mut plc, 400).is_empty());
    assert_eq!(decided(&mut plc, 401), [GateDecision::Reject(ReasonCode::LATE)]);
    plc.device_found(500, 3);
    plc.trigger(500, 6, 7, 400).unwrap();
    assert!(decided(&mut plc, 500).is_empty());
    plc.device_found(510, 4);
    assert_eq!(decided(&mut plc, 510), [GateDecision::Reject(ReasonCode::RESTARTED)]);
    plc.trigger(600, 7, 8, 400).unwrap();
    plc.device_incompatible(610);
    assert_eq!(decided(&mut plc, 610), [GateDecision::Reject(ReasonCode::INCOMPATIBLE)]);
}
