//! Makes sessions and messages for tests. Even in tests, only a session can make a verdict.

use cellgate_protocol::{
    health::{Health, WorkerProgress},
    part::{Outcome, Trigger},
    session::device::{Condition, DeviceAction, DeviceEvent, DeviceSession, DeviceSessionConfig, Mode},
    to_device::TriggerRequest,
    to_plc::{ToPlc, VerdictMessage},
    version::Schema,
};
use std::num::NonZeroU64;

/// A session of device 7 in boot epoch 3 that would accept a trigger at `now_ms`. The device speaks both schemas.
pub fn ready_session(now_ms: u64) -> DeviceSession {
    ready_session_of(Schema::Two, now_ms)
}

/// A session like that of [`ready_session`], of a device with this highest schema.
pub fn ready_session_of(schema: Schema, now_ms: u64) -> DeviceSession {
    let mut session = DeviceSession::new(DeviceSessionConfig { device: 7, boot_epoch: 3, first_wait_ms: 66, schema });
    session.set_condition(Condition { mode: Mode::Operating, store_ok: true, degraded: false, backlog: 0 });
    session.link_opened(now_ms);
    while session.poll(now_ms, healthy(now_ms).as_ref()).is_some() {}
    session
}

/// A health token attested at `now_ms`.
pub fn healthy(now_ms: u64) -> Option<Health> {
    Health::attest(now_ms, &[WorkerProgress { last_ms: now_ms, allowed_ms: 0 }])
}

/// The actions of a session now, without heartbeats.
pub fn actions(session: &mut DeviceSession, now_ms: u64, health: Option<&Health>) -> Vec<DeviceAction> {
    let all = std::iter::from_fn(|| session.poll(now_ms, health));
    all.filter(|action| !matches!(action, DeviceAction::Send(ToPlc::BundleHeartbeat(_)))).collect()
}

/// The token of a trigger that a ready session accepts.
pub fn trigger(session: &mut DeviceSession, now_ms: u64, request: &TriggerRequest) -> Trigger {
    session.trigger(now_ms, request, 0);
    match actions(session, now_ms, healthy(now_ms).as_ref()).pop() {
        Some(DeviceAction::Event(DeviceEvent::Triggered(trigger))) => trigger,
        other => panic!("expected a trigger, found {other:?}"),
    }
}

/// The verdict that a session sends `age_ms` after the trigger.
pub fn verdict(request: &TriggerRequest, outcome: Outcome, seq: NonZeroU64, age_ms: u32) -> VerdictMessage {
    let mut session = ready_session(1_000);
    let token = trigger(&mut session, 1_000, request);
    let now_ms = 1_000 + u64::from(age_ms);
    session.plc_heartbeat(now_ms, 1);
    let pending = session.conclude(now_ms, token, outcome).expect("the part is not concluded yet");
    session.send_verdict(now_ms, pending.committed(seq), healthy(now_ms).as_ref());
    actions(&mut session, now_ms, healthy(now_ms).as_ref())
        .into_iter()
        .find_map(|action| match action {
            DeviceAction::Send(ToPlc::Verdict(verdict)) => Some(verdict),
            _ => None,
        })
        .expect("the session sends its verdict")
}
