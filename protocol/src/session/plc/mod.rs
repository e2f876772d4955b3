//! The PLC's side: sends triggers, receives verdicts, applies the gate. Every part ends with exactly one [`PartEnd`].

mod event;

pub use event::{NotSent, PartEnd, PlcAction, PlcEvent, PlcSessionConfig};

use super::repeat::Repeat;
use crate::{
    bundle::{BundleState, Confirm},
    code::VerdictCode,
    gate::{self, Claim, GateDecision, Known},
    limits::HEARTBEAT_MS,
    reason::ReasonCode,
    state::Status,
    to_device::{Ack, BundleTrigger, GateAck, PlcHeartbeat, ToDevice, TriggerRequest},
    to_plc::{BundleHeartbeat, DeviceHeartbeat, ToPlc, VerdictMessage},
    version::Schema,
};
use heapless::Deque;

/// The part in front of the gate.
#[derive(Debug)]
struct OpenPart {
    part_id: u64,
    nonce: u32,
    bundle: u32,
    deadline_ms: u32,
    started_ms: u64,
    accepted: bool,
    /// The device's boot epoch in which the part's trigger was last sent. `None` if it was not sent yet.
    asked_in: Option<u32>,
    repeat: Repeat,
}

impl OpenPart {
    fn elapsed_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.started_ms)
    }

    fn matches(&self, part_id: u64, nonce: u32) -> bool {
        self.part_id == part_id && self.nonce == nonce
    }
}

/// What the PLC knows about the device.
#[derive(Debug, Clone, Copy)]
struct Device {
    boot_epoch: u32,
    /// The counter of the last heartbeat.
    counter: Option<u32>,
    /// When the counter last changed. `None` until two different counters were received.
    changed_ms: Option<u64>,
    /// The last heartbeat.
    last: Option<DeviceHeartbeat>,
    /// The bundle in the last heartbeat.
    bundle: BundleState,
    /// The greatest number of a verdict that was received.
    verdict_seq: u64,
}

/// The PLC's session. After each input, and at least every 10 ms, call [`PlcSession::poll`] until it returns `None`.
#[derive(Debug)]
pub struct PlcSession {
    config: PlcSessionConfig,
    part: Option<OpenPart>,
    device: Option<Device>,
    /// Part, nonce and reason of the last part that ended.
    ended: Option<(u64, u32, ReasonCode)>,
    /// The confirmation that is repeated until the device answers it.
    confirm: Option<(Confirm, Repeat)>,
    acks: Deque<GateAck, 4>,
    events: Deque<PlcEvent, 8>,
    heartbeat: u32,
    heartbeat_due_ms: u64,
    duplicates: u32,
}

impl PlcSession {
    /// A session without a part and a device.
    #[must_use]
    pub const fn new(config: PlcSessionConfig) -> Self {
        Self {
            config,
            part: None,
            device: None,
            ended: None,
            confirm: None,
            acks: Deque::new(),
            events: Deque::new(),
            heartbeat: 0,
            heartbeat_due_ms: 0,
            duplicates: 0,
        }
    }

    /// The settings of the session.
    #[must_use]
    pub const fn config(&self) -> &PlcSessionConfig {
        &self.config
    }

    /// The device's last heartbeat in its current boot epoch.
    #[must_use]
    pub fn device_heartbeat(&self) -> Option<&DeviceHeartbeat> {
        self.device.as_ref().and_then(|device| device.last.as_ref())
    }

    /// The bundle that the device reported last in its current boot epoch. `None` before the device's first heartbeat.
    #[must_use]
    pub fn bundle(&self) -> Option<BundleState> {
        self.device.filter(|device| device.last.is_some()).map(|device| device.bundle)
    }

    /// Milliseconds since the device's heartbeat last changed. `u64::MAX` if it has not changed in the device's current boot epoch.
    #[must_use]
    pub fn heartbeat_age_ms(&self, now_ms: u64) -> u64 {
        let changed_ms = self.device.and_then(|device| device.changed_ms);
        changed_ms.map_or(u64::MAX, |changed_ms| now_ms.saturating_sub(changed_ms))
    }

    /// Does the device report that it would accept a trigger, and is its heartbeat fresh?
    #[must_use]
    pub fn is_device_ready(&self, now_ms: u64) -> bool {
        self.heartbeat_age_ms(now_ms) <= crate::limits::DEVICE_STALE_MS
            && self.device_heartbeat().is_some_and(|heartbeat| heartbeat.status.has(Status::READY))
    }

    /// How many verdicts were repetitions of earlier verdicts, wrapping.
    #[must_use]
    pub const fn duplicates(&self) -> u32 {
        self.duplicates
    }

    /// Call this when a link to the device in this boot epoch is open. A part that was triggered in another epoch ends as REJECT:
    /// the device may have forgotten the part, and must not be asked to judge it twice.
    pub fn device_found(&mut self, now_ms: u64, boot_epoch: u32) {
        if self.device.is_none_or(|device| device.boot_epoch != boot_epoch) {
            let fresh = Device {
                boot_epoch,
                counter: None,
                changed_ms: None,
                last: None,
                bundle: BundleState::NONE,
                verdict_seq: 0,
            };
            self.device = Some(fresh);
        }
        let Some(part) = &mut self.part else { return };
        if part.asked_in.is_some_and(|asked| asked != boot_epoch) {
            self.decide(now_ms, GateDecision::Reject(ReasonCode::RESTARTED), None);
        } else {
            part.repeat.make_due(now_ms);
        }
    }

    /// Call this when the device speaks another version, or is another device than expected. An open part ends as REJECT.
    pub fn device_incompatible(&mut self, now_ms: u64) {
        self.decide(now_ms, GateDecision::Reject(ReasonCode::INCOMPATIBLE), None);
    }

    /// Triggers the part in front of the gate without naming a bundle. `nonce` must never have been used before. `deadline_ms` is the
    /// time allowed for the part.
    ///
    /// # Errors
    /// [`NotSent::PartOpen`] until [`PlcSession::poll`] has returned all events, including the previous part's [`PlcEvent::Decided`].
    pub fn trigger(&mut self, now_ms: u64, part_id: u64, nonce: u32, deadline_ms: u32) -> Result<(), NotSent> {
        self.trigger_in_bundle(now_ms, part_id, nonce, deadline_ms, 0)
    }

    /// Triggers the part in front of the gate, as [`PlcSession::trigger`] does, and names its bundle. 0 names none.
    ///
    /// # Errors
    /// Those of [`PlcSession::trigger`], and [`NotSent::NoBundles`].
    pub fn trigger_in_bundle(
        &mut self,
        now_ms: u64,
        part_id: u64,
        nonce: u32,
        deadline_ms: u32,
        bundle: u32,
    ) -> Result<(), NotSent> {
        if bundle != 0 && self.config.schema == Schema::One {
            return Err(NotSent::NoBundles);
        }
        if self.part.is_some() || !self.events.is_empty() {
            return Err(NotSent::PartOpen);
        }
        let repeat = Repeat::from(now_ms, self.config.first_wait_ms);
        let (started_ms, accepted, asked_in) = (now_ms, false, None);
        self.part = Some(OpenPart { part_id, nonce, bundle, deadline_ms, started_ms, accepted, asked_in, repeat });
        Ok(())
    }

    /// Says that a judged part is a good reference part, until the device answers. A confirmation that the device has not answered yet
    /// is given up.
    ///
    /// # Errors
    /// [`NotSent::NoBundles`].
    pub fn confirm(&mut self, now_ms: u64, confirm: Confirm) -> Result<(), NotSent> {
        if self.config.schema == Schema::One {
            return Err(NotSent::NoBundles);
        }
        self.confirm = Some((confirm, Repeat::from(now_ms, self.config.first_wait_ms)));
        Ok(())
    }

    /// Handles a message of the device on the open link.
    pub fn receive(&mut self, now_ms: u64, message: &ToPlc) {
        match message {
            ToPlc::Heartbeat(heartbeat) => self.heartbeat_received(now_ms, heartbeat, BundleState::NONE),
            ToPlc::BundleHeartbeat(BundleHeartbeat { heartbeat, bundle }) => {
                self.heartbeat_received(now_ms, heartbeat, *bundle);
            }
            ToPlc::Confirmed(confirmed) => {
                // A full queue loses the answer; the device answers again when the confirmation is repeated.
                if self.confirm.is_some_and(|(confirm, _)| confirm == confirmed.confirm)
                    && self.events.push_back(PlcEvent::Confirmed(*confirmed)).is_ok()
                {
                    self.confirm = None;
                }
            }
            ToPlc::Busy(busy) => {
                if let Some(part) = &mut self.part
                    && part.matches(busy.part_id, busy.nonce)
                    && !part.accepted
                {
                    part.accepted = true;
                    let _ = self.events.push_back(PlcEvent::Accepted { part_id: busy.part_id });
                }
            }
            ToPlc::Nak(nak) => {
                let is_open = self.part.as_ref().is_some_and(|part| part.matches(nak.part_id, nak.nonce));
                // A busy device is asked again until the part's time is over.
                if is_open && nak.reason != ReasonCode::BUSY {
                    self.decide(now_ms, GateDecision::Reject(nak.reason), None);
                }
            }
            ToPlc::Verdict(verdict) => self.verdict(now_ms, verdict),
            ToPlc::Record(record) => {
                if self.part.as_ref().is_some_and(|part| part.matches(record.part_id, record.nonce)) {
                    self.decide(now_ms, GateDecision::Reject(ReasonCode::RECORD_ONLY), None);
                } else {
                    let _ = self.events.push_back(PlcEvent::Information(*record));
                }
                self.acknowledge(record.verdict_seq, record.part_id, record.nonce, record.code);
            }
            // `link::plc` handles these messages before the session.
            ToPlc::HelloAck(_) | ToPlc::Error(_) => {}
        }
    }

    /// The next action. Call it until it returns `None`.
    pub fn poll(&mut self, now_ms: u64) -> Option<PlcAction> {
        if let Some(ack) = self.acks.pop_front() {
            let has_gate = self.config.schema == Schema::Two;
            return Some(PlcAction::Send(if has_gate { ToDevice::GateAck(ack) } else { ToDevice::Ack(ack.ack) }));
        }
        if self.part.as_ref().is_some_and(|part| part.elapsed_ms(now_ms) > u64::from(part.deadline_ms)) {
            self.decide(now_ms, GateDecision::Reject(ReasonCode::LATE), None);
        }
        if let Some(event) = self.events.pop_front() {
            return Some(PlcAction::Event(event));
        }
        let message = self.poll_trigger(now_ms).or_else(|| self.poll_confirm(now_ms));
        message.or_else(|| self.poll_heartbeat(now_ms)).map(PlcAction::Send)
    }

    /// The trigger, repeated until the device accepts it or the part ends.
    fn poll_trigger(&mut self, now_ms: u64) -> Option<ToDevice> {
        let boot_epoch = self.device?.boot_epoch;
        let part = self.part.as_mut().filter(|part| !part.accepted && part.repeat.is_due(now_ms))?;
        part.repeat.sent(now_ms);
        part.asked_in = Some(boot_epoch);
        let left_ms = u64::from(part.deadline_ms).saturating_sub(part.elapsed_ms(now_ms));
        let deadline_ms = u32::try_from(left_ms).unwrap_or(part.deadline_ms);
        let trigger = TriggerRequest { part_id: part.part_id, nonce: part.nonce, deadline_ms };
        Some(match self.config.schema {
            Schema::One => ToDevice::Trigger(trigger),
            Schema::Two => ToDevice::BundleTrigger(BundleTrigger { trigger, bundle: part.bundle }),
        })
    }

    /// The confirmation, repeated until the device answers it.
    fn poll_confirm(&mut self, now_ms: u64) -> Option<ToDevice> {
        let (confirm, repeat) = self.confirm.as_mut().filter(|(_, repeat)| repeat.is_due(now_ms))?;
        repeat.sent(now_ms);
        Some(ToDevice::Confirm(*confirm))
    }

    fn poll_heartbeat(&mut self, now_ms: u64) -> Option<ToDevice> {
        if now_ms < self.heartbeat_due_ms {
            return None;
        }
        self.heartbeat_due_ms = now_ms + HEARTBEAT_MS;
        self.heartbeat = self.heartbeat.wrapping_add(1);
        Some(ToDevice::Heartbeat(PlcHeartbeat { counter: self.heartbeat, status: Status::default() }))
    }

    /// Only a changed counter is a sign of life. The first heartbeat does not show whether the counter changes.
    fn heartbeat_received(&mut self, now_ms: u64, heartbeat: &DeviceHeartbeat, bundle: BundleState) {
        let Some(device) = &mut self.device else { return };
        if device.counter.is_some_and(|before| before != heartbeat.counter) {
            device.changed_ms = Some(now_ms);
        }
        device.counter = Some(heartbeat.counter);
        (device.last, device.bundle) = (Some(*heartbeat), bundle);
    }

    /// Acknowledges every verdict. Judges a verdict once, and only if it is for the part in front of the gate.
    fn verdict(&mut self, now_ms: u64, verdict: &VerdictMessage) {
        self.judge(now_ms, verdict);
        self.acknowledge(verdict.verdict_seq, verdict.part_id, verdict.nonce, verdict.code);
    }

    fn judge(&mut self, now_ms: u64, verdict: &VerdictMessage) {
        let Some(device) = &mut self.device else { return };
        if verdict.verdict_seq <= device.verdict_seq {
            self.duplicates = self.duplicates.wrapping_add(1);
            return;
        }
        device.verdict_seq = verdict.verdict_seq;
        if let Some(part) = self.part.as_ref().filter(|part| part.matches(verdict.part_id, verdict.nonce)) {
            let claim = Claim::from(verdict);
            let known = Known {
                part_id: part.part_id,
                nonce: part.nonce,
                deadline_ms: part.deadline_ms,
                elapsed_ms: part.elapsed_ms(now_ms),
                heartbeat_age_ms: self.heartbeat_age_ms(now_ms),
                allowed_models: &self.config.allowed_models,
            };
            let decision = gate::judge(&claim, &known);
            self.decide(now_ms, decision, Some((verdict.verdict_seq, claim)));
        }
    }

    /// Ends the open part. A full queue loses its oldest event. That is never a decision, because [`PlcSession::trigger`]
    /// requires an empty queue.
    fn decide(&mut self, now_ms: u64, decision: GateDecision, judged: Option<(u64, Claim)>) {
        if let Some(part) = self.part.take() {
            let OpenPart { part_id, nonce, .. } = part;
            let elapsed_ms = part.elapsed_ms(now_ms);
            let boot_epoch = self.device.map(|device| device.boot_epoch);
            let (verdict_seq, claim) = judged.unzip();
            let end = PartEnd { part_id, nonce, decision, claim, verdict_seq, boot_epoch, elapsed_ms };
            self.ended = Some((part_id, nonce, end.reason()));
            if self.events.is_full() {
                self.events.pop_front();
            }
            let _ = self.events.push_back(PlcEvent::Decided(end));
        }
    }

    /// Queues an acknowledgement. A full queue loses its oldest acknowledgement; the device then repeats the verdict or record.
    fn acknowledge(&mut self, verdict_seq: u64, part_id: u64, nonce: u32, code: VerdictCode) {
        let gate = self.gate_reason(part_id, nonce);
        if self.acks.is_full() {
            self.acks.pop_front();
        }
        let _ = self.acks.push_back(GateAck { ack: Ack { verdict_seq, part_id, code }, gate });
    }

    /// The reason with which the gate decided on this part. [`ReasonCode::NONE`] if it is not the last part that ended.
    pub(crate) fn gate_reason(&self, part_id: u64, nonce: u32) -> ReasonCode {
        let same = self.ended.filter(|(ended, its_nonce, _)| (*ended, *its_nonce) == (part_id, nonce));
        same.map_or(ReasonCode::NONE, |(.., reason)| reason)
    }
}
