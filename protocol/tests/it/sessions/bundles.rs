//! Tests what both sessions and the native link do about bundles: triggers that name one, confirmations, the gate's reason.

use super::{MODEL, REQUEST, beat, decided, links, outcome, plc_session};
use crate::support::{actions, healthy, ready_session, ready_session_of, trigger};
use cellgate_protocol::{
    bundle::{BundleState, Confirm, ConfirmResult, Confirmed, StepCode},
    code::WireVerdict,
    gate::GateDecision,
    link::device::DeviceLink,
    reason::ReasonCode,
    session::{
        device::{DeviceAction, DeviceEvent, DeviceSession},
        plc::{NotSent, PlcAction, PlcEvent, PlcSession, PlcSessionConfig},
    },
    to_device::{BundleTrigger, GateAck, ToDevice, TriggerRequest},
    to_plc::{BundleHeartbeat, Nak, ToPlc},
    version::Schema,
};
use links::{feed, header, hello, sent_by};
use std::num::NonZeroU64;

const CONFIRM: Confirm = Confirm { verdict_seq: 9, part_id: 5, bundle: 3 };

/// The events and messages of a session now.
fn now(session: &mut DeviceSession) -> Vec<DeviceAction> {
    actions(session, 0, healthy(0).as_ref())
}

#[test]
fn a_trigger_is_handed_up_with_its_bundle() {
    let mut session = ready_session(0);
    session.trigger(0, &REQUEST, 77);
    assert!(matches!(&now(&mut session)[..], [DeviceAction::Event(DeviceEvent::Triggered(new))] if new.bundle() == 77));
    assert_eq!(trigger(&mut ready_session(0), 0, &REQUEST).bundle(), 0);
}

#[test]
fn the_same_part_and_nonce_with_another_bundle_is_refused_and_changes_nothing() {
    let mut session = ready_session(0);
    session.trigger(0, &REQUEST, 77);
    let Some(DeviceAction::Event(DeviceEvent::Triggered(token))) = now(&mut session).pop() else { panic!("a trigger") };
    session.accept(&token);
    now(&mut session);
    for bundle in [0, 76, 78] {
        session.trigger(0, &REQUEST, bundle);
        let sent = now(&mut session);
        let mismatch = Nak { part_id: 5, nonce: 6, reason: ReasonCode::BUNDLE_MISMATCH };
        assert!(matches!(sent[..], [DeviceAction::Send(ToPlc::Nak(nak))] if nak == mismatch), "{sent:?}");
    }
    session.trigger(0, &REQUEST, 77);
    assert!(matches!(now(&mut session)[..], [DeviceAction::Send(ToPlc::Busy(_))]));
    assert!(session.conclude(0, token, outcome(WireVerdict::Pass)).is_ok());
}

#[test]
fn a_confirmation_is_handed_up_once_until_it_is_answered() {
    let mut session = ready_session(0);
    let other = Confirm { part_id: 6, ..CONFIRM };
    for confirm in [CONFIRM, CONFIRM, other] {
        session.confirm(&confirm);
    }
    assert!(matches!(now(&mut session)[..], [DeviceAction::Event(DeviceEvent::Confirm(CONFIRM))]));
    session.confirm(&CONFIRM);
    session.answer(&other, ConfirmResult::CONFIRMED);
    assert!(now(&mut session).is_empty(), "another confirmation was answered");
    session.answer(&CONFIRM, ConfirmResult::CONFIRMED);
    session.answer(&CONFIRM, ConfirmResult::REFUSED);
    let answer = Confirmed { confirm: CONFIRM, result: ConfirmResult::CONFIRMED };
    assert!(matches!(now(&mut session)[..], [DeviceAction::Send(ToPlc::Confirmed(sent))] if sent == answer));
    // The answer was lost, and the PLC repeats the confirmation.
    session.confirm(&CONFIRM);
    assert!(matches!(now(&mut session)[..], [DeviceAction::Event(DeviceEvent::Confirm(CONFIRM))]));
}

/// Part id and nonce of the device's open part.
fn part(link: &mut DeviceLink) -> Option<(u64, u32)> {
    link.session().snapshot(0, healthy(0).as_ref()).part
}

#[test]
fn a_link_carries_only_messages_of_its_schema() {
    let old = TriggerRequest { part_id: 1, nonce: 1, deadline_ms: 100 };
    let new = ToDevice::BundleTrigger(BundleTrigger { trigger: old, bundle: 3 });
    for (schema, foreign, own) in [(1, new, ToDevice::Trigger(old)), (2, ToDevice::Trigger(old), new)] {
        let mut link = DeviceLink::new(ready_session(0));
        feed(&mut link, header(9, 1), hello(schema));
        feed(&mut link, header(9, 2), foreign);
        assert_eq!((link.counters().dropped, part(&mut link)), (1, None), "schema {schema}");
        // The dropped frame does not count as received.
        feed(&mut link, header(9, 2), own);
        assert_eq!(part(&mut link), Some((1, 1)), "schema {schema}");
    }
}

#[test]
fn a_link_of_schema_1_carries_neither_the_bundle_nor_an_answer_to_an_earlier_confirmation() {
    let mut link = DeviceLink::new(ready_session(0));
    feed(&mut link, header(9, 1), hello(2));
    feed(&mut link, header(9, 2), ToDevice::Confirm(CONFIRM));
    sent_by(&mut link);
    feed(&mut link, header(10, 3), hello(1));
    link.session().answer(&CONFIRM, ConfirmResult::CONFIRMED);
    assert!(matches!(sent_by(&mut link)[..], [(_, ToPlc::HelloAck(answer))] if answer.schema == 1));
    let state = BundleState { bundle: 3, step: StepCode::OFFSET, confirmed: 5, missing: 0 };
    link.session().set_bundle(state);
    assert!(matches!(links::heartbeat(&mut link, 200), ToPlc::Heartbeat(_)));
    feed(&mut link, header(11, 4), hello(2));
    assert!(matches!(
        links::heartbeat(&mut link, 400),
        ToPlc::BundleHeartbeat(BundleHeartbeat { bundle, .. }) if bundle == state
    ));
}

#[test]
fn the_gate_reason_of_an_acknowledgement_is_handed_up() {
    let (mut session, _) = super::session_with_verdict(WireVerdict::Reject, 0, true);
    let ack = cellgate_protocol::to_device::Ack { verdict_seq: 1, part_id: 5, code: WireVerdict::Reject.code() };
    session.acknowledge(&ack, ReasonCode::SCORE_FROM_REJECT);
    let delivered = now(&mut session);
    assert!(
        matches!(
            delivered[..],
            [DeviceAction::Event(DeviceEvent::Delivered { verdict_seq: 1, gate: ReasonCode::SCORE_FROM_REJECT })]
        ),
        "{delivered:?}"
    );
    session.acknowledge(&cellgate_protocol::to_device::Ack { verdict_seq: 7, ..ack }, ReasonCode::RECORD_ONLY);
    let gate = ReasonCode::RECORD_ONLY;
    assert!(matches!(
        now(&mut session)[..],
        [DeviceAction::Event(DeviceEvent::RecordAcknowledged { ack, gate: found })] if ack.verdict_seq == 7 && found == gate
    ));
}

#[test]
fn a_device_of_schema_1_still_answers_old_triggers() {
    let mut link = DeviceLink::new(ready_session_of(Schema::One, 0));
    feed(&mut link, header(9, 1), hello(1));
    feed(&mut link, header(9, 2), ToDevice::Confirm(CONFIRM));
    feed(&mut link, header(9, 2), ToDevice::Trigger(REQUEST));
    assert_eq!(part(&mut link), Some((5, 6)));
}

/// A PLC with bundles, with a device whose heartbeat is fresh.
fn plc_with_bundles() -> PlcSession {
    let mut config = PlcSessionConfig { allowed_models: Default::default(), first_wait_ms: 66, schema: Schema::Two };
    config.allowed_models.push(MODEL).expect("one model fits");
    let mut plc = PlcSession::new(config);
    plc.device_found(0, 3);
    beat(&mut plc, 0, 1);
    beat(&mut plc, 90, 2);
    plc
}

/// The gate's reasons of the acknowledgements that the PLC sends now.
fn acknowledged(plc: &mut PlcSession, now_ms: u64) -> Vec<ReasonCode> {
    let all = std::iter::from_fn(|| plc.poll(now_ms));
    all.filter_map(|action| match action {
        PlcAction::Send(ToDevice::GateAck(GateAck { gate, .. })) => Some(gate),
        _ => None,
    })
    .collect()
}

#[test]
fn an_acknowledgement_carries_the_reason_of_the_gate_each_time() {
    let verdict = |verdict, seq: u64| {
        let seq = NonZeroU64::new(seq).expect("not 0");
        ToPlc::Verdict(crate::support::verdict(&REQUEST, outcome(verdict), seq, 20))
    };
    let mut plc = plc_with_bundles();
    plc.trigger_in_bundle(90, 5, 6, 400, 3).unwrap();
    let sent = plc.poll(90);
    let expected = BundleTrigger { trigger: REQUEST, bundle: 3 };
    assert_eq!(sent, Some(PlcAction::Send(ToDevice::BundleTrigger(expected))));
    for _ in 0..2 {
        plc.receive(120, &verdict(WireVerdict::Pass, 1));
    }
    assert_eq!(acknowledged(&mut plc, 120), [ReasonCode::SCORE_BELOW_REVIEW; 2]);
    // The part ended before its verdict came.
    let mut plc = plc_with_bundles();
    plc.trigger(90, 5, 6, 30).unwrap();
    assert_eq!(decided(&mut plc, 121), [GateDecision::Reject(ReasonCode::LATE)]);
    plc.receive(122, &verdict(WireVerdict::Pass, 1));
    assert_eq!(acknowledged(&mut plc, 122), [ReasonCode::LATE]);
    // The PLC does not know the part.
    let mut plc = plc_with_bundles();
    plc.receive(122, &verdict(WireVerdict::Pass, 1));
    assert_eq!(acknowledged(&mut plc, 122), [ReasonCode::NONE]);
}

#[test]
fn a_confirmation_is_repeated_until_it_is_answered() {
    let mut plc = plc_with_bundles();
    plc.confirm(100, CONFIRM).unwrap();
    let sent_at = |plc: &mut PlcSession, until_ms| {
        let times: Vec<u64> = (100..until_ms)
            .filter(|now_ms| {
                std::iter::from_fn(|| plc.poll(*now_ms))
                    .any(|action| action == PlcAction::Send(ToDevice::Confirm(CONFIRM)))
            })
            .collect();
        times
    };
    assert_eq!(sent_at(&mut plc, 300), [100, 166, 265]);
    let answer = |confirm| ToPlc::Confirmed(Confirmed { confirm, result: ConfirmResult::REFUSED });
    plc.receive(300, &answer(Confirm { bundle: 4, ..CONFIRM }));
    plc.receive(300, &answer(CONFIRM));
    plc.receive(300, &answer(CONFIRM));
    let events = std::iter::from_fn(|| plc.poll(300)).filter(|action| matches!(action, PlcAction::Event(_)));
    let expected = PlcEvent::Confirmed(Confirmed { confirm: CONFIRM, result: ConfirmResult::REFUSED });
    assert!(events.eq([PlcAction::Event(expected)]));
    assert!(sent_at(&mut plc, 900).is_empty());
}

#[test]
fn a_plc_of_schema_1_has_no_bundles() {
    let mut plc = plc_session();
    assert_eq!(plc.trigger_in_bundle(0, 5, 6, 400, 3), Err(NotSent::NoBundles));
    assert_eq!(plc.confirm(0, CONFIRM), Err(NotSent::NoBundles));
    assert_eq!(plc.trigger_in_bundle(0, 5, 6, 400, 0), Ok(()));
}

#[test]
fn the_plc_knows_the_bundle_of_the_last_heartbeat() {
    let mut plc = plc_with_bundles();
    let heartbeat = *plc.device_heartbeat().unwrap();
    let bundle = BundleState { bundle: 3, step: StepCode::REFERENCE, confirmed: 1, missing: 4 };
    assert_eq!(plc.bundle(), Some(BundleState::NONE));
    plc.receive(100, &ToPlc::BundleHeartbeat(BundleHeartbeat { heartbeat, bundle }));
    assert_eq!(plc.bundle(), Some(bundle));
    plc.device_found(110, 4);
    assert_eq!(plc.bundle(), None);
}
