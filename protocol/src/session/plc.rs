//! The PLC's side: sends triggers, receives verdicts, applies the gate. Every part ends with exactly one [`PartEnd`].

use super::repeat::Repeat;
use crate::{
    code::VerdictCode,
    digest::DigestStart,
    gate::{self, Claim, GateDecision, Known},
    limits::{ALLOWED_MODELS, HEARTBEAT_MS},
    reason::ReasonCode,
    state::Status,
    to_device::{Ack, PlcHeartbeat, ToDevice, TriggerRequest},
    to_plc::{DeviceHeartbeat, Record, ToPlc, VerdictMessage},
};
use heapless::{Deque, Vec};

/// Settings that do not change while a PLC runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlcSessionConfig {
    /// The models that may let a part pass.
    pub allowed_models: Vec<DigestStart, ALLOWED_MODELS>,
    /// The wait before a trigger is repeated, computed by [`super::repeat::first_wait_ms`].
    pub first_wait_ms: u64,
}

/// How a part ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartEnd {
    /// The part's number.
    pub part_id: u64,
    /// The nonce of the part's trigger.
    pub nonce: u32,
    /// The decision of the gate.
    pub decision: GateDecision,
    /// The verdict that the gate judged. `None` if the part ended without a verdict.
    pub claim: Option<Claim>,
    /// The device's boot epoch at the decision. `None` if no device was found yet.
    pub boot_epoch: Option<u32>,
    /// Milliseconds from the first trigger to the decision.
    pub elapsed_ms: u64,
}

/// An event for the PLC's program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlcEvent {
    /// The device accepted the trigger.
    Accepted {
        /// The part's number.
        part_id: u64,
    },
    /// The part ended: open the gate or keep it shut.
    Decided(PartEnd),
    /// A record of another part than the one in front of the gate.
    Information(Record),
}

/// What the caller of [`PlcSession::poll`] has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlcAction {
    /// Send this message.
    Send(ToDevice),
    /// Handle this event.
    Event(PlcEvent),
}

/// A part is still open. A session handles one part at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartOpen;

/// The part in front of the gate.
#[derive(Debug)]
struct OpenPart {
    part_id: u64,
    nonce: u32,
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
    /// The greatest number of a verdict that was received.
    verdict_seq: u64,
}

/// The PLC's session. After each input, and at least every 10 ms, call [`PlcSession::poll`] until it returns `None`.
#[derive(Debug)]
pub struct PlcSession {
    config: PlcSessionConfig,
    part: Option<OpenPart>,
    device: Option<Device>,
    acks: Deque<Ack, 4>,
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
            acks: Deque::new(),
            events: Deque::new(),
            heartbeat: 0,
            heartbeat_due_ms: 0,
            duplicates: 0,
        }
    }

    /// The device's last heartbeat in its current boot epoch.
    #[must_use]
    pub fn device_heartbeat(&self) -> Option<&DeviceHeartbeat> {
        self.device.as_ref().and_then(|device| device.last.as_ref())
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
            let fresh = Device { boot_epoch, counter: None, changed_ms: None, last: None, verdict_seq: 0 };
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

    /// Triggers the part in front of the gate. `nonce` must never have been used before. `deadline_ms` is the time allowed for
    /// the part.
    ///
    /// # Errors
    /// [`PartOpen`] until [`PlcSession::poll`] has returned all events, including the previous part's [`PlcEvent::Decided`].
    pub fn trigger(&mut self, now_ms: u64, part_id: u64, nonce: u32, deadline_ms: u32) -> Result<(), PartOpen> {
        if self.part.is_some() || !self.events.is_empty() {
            return Err(PartOpen);
        }
        let repeat = Repeat::from(now_ms, self.config.first_wait_ms);
        let accepted = false;
        let part = OpenPart { part_id, nonce, deadline_ms, started_ms: now_ms, accepted, asked_in: None, repeat };
        self.part = Some(part);
        Ok(())
    }

    /// Handles a message of the device on the open link.
    pub fn receive(&mut self, now_ms: u64, message: &ToPlc) {
        match message {
            ToPlc::Heartbeat(heartbeat) => self.heartbeat_received(now_ms, heartbeat),
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
                self.acknowledge(record.verdict_seq, record.part_id, record.code);
                if self.part.as_ref().is_some_and(|part| part.matches(record.part_id, record.nonce)) {
                    self.decide(now_ms, GateDecision::Reject(ReasonCode::RECORD_ONLY), None);
                } else {
                    let _ = self.events.push_back(PlcEvent::Information(*record));
                }
            }
            // `link::plc` handles these messages before the session.
            ToPlc::HelloAck(_) | ToPlc::Error(_) => {}
        }
    }

    /// The next action. Call it until it returns `None`.
    pub fn poll(&mut self, now_ms: u64) -> Option<PlcAction> {
        if let Some(ack) = self.acks.pop_front() {
            return Some(PlcAction::Send(ToDevice::Ack(ack)));
        }
        if self.part.as_ref().is_some_and(|part| part.elapsed_ms(now_ms) > u64::from(part.deadline_ms)) {
            self.decide(now_ms, GateDecision::Reject(ReasonCode::LATE), None);
        }
        if let Some(event) = self.events.pop_front() {
            return Some(PlcAction::Event(event));
        }
        self.poll_trigger(now_ms).or_else(|| self.poll_heartbeat(now_ms)).map(PlcAction::Send)
    }

    /// The trigger, repeated until the device accepts it or the part ends.
    fn poll_trigger(&mut self, now_ms: u64) -> Option<ToDevice> {
        let boot_epoch = self.device?.boot_epoch;
        let part = self.part.as_mut().filter(|part| !part.accepted && part.repeat.is_due(now_ms))?;
        part.repeat.sent(now_ms);
        part.asked_in = Some(boot_epoch);
        let left_ms = u64::from(part.deadline_ms).saturating_sub(part.elapsed_ms(now_ms));
        let deadline_ms = u32::try_from(left_ms).unwrap_or(part.deadline_ms);
        Some(ToDevice::Trigger(TriggerRequest { part_id: part.part_id, nonce: part.nonce, deadline_ms }))
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
    fn heartbeat_received(&mut self, now_ms: u64, heartbeat: &DeviceHeartbeat) {
        let Some(device) = &mut self.device else { return };
        if device.counter.is_some_and(|before| before != heartbeat.counter) {
            device.changed_ms = Some(now_ms);
        }
        device.counter = Some(heartbeat.counter);
        device.last = Some(*heartbeat);
    }

    /// Acknowledges every verdict. Judges a verdict once, and only if it is for the part in front of the gate.
    fn verdict(&mut self, now_ms: u64, verdict: &VerdictMessage) {
        self.acknowledge(verdict.verdict_seq, verdict.part_id, verdict.code);
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
            self.decide(now_ms, decision, Some(claim));
        }
    }

    /// Ends the open part. A full queue loses its oldest event. That is never a decision, because [`PlcSession::trigger`]
    /// requires an empty queue.
    fn decide(&mut self, now_ms: u64, decision: GateDecision, claim: Option<Claim>) {
        if let Some(part) = self.part.take() {
            let OpenPart { part_id, nonce, .. } = part;
            let elapsed_ms = part.elapsed_ms(now_ms);
            let boot_epoch = self.device.map(|device| device.boot_epoch);
            let end = PartEnd { part_id, nonce, decision, claim, boot_epoch, elapsed_ms };
            if self.events.is_full() {
                self.events.pop_front();
            }
            let _ = self.events.push_back(PlcEvent::Decided(end));
        }
    }

    /// Queues an acknowledgement. A full queue loses its oldest acknowledgement; the device then repeats the verdict or record.
    fn acknowledge(&mut self, verdict_seq: u64, part_id: u64, code: VerdictCode) {
        if self.acks.is_full() {
            self.acks.pop_front();
        }
        let _ = self.acks.push_back(Ack { verdict_seq, part_id, code });
    }
}
