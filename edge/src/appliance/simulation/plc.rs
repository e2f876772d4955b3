//! Simulates the PLC. It triggers one part after the other over a link with injected faults.

use super::judge::bundle_of;
use super::{DEADLINE_MS, LEAD, SimulatedEvent, Simulation, ms};
use crate::config::Matching;
use cellgate_protocol::bundle::Confirm;
use cellgate_protocol::code::VerdictCode;
use cellgate_protocol::reason::ReasonCode;
use cellgate_protocol::to_device::{Ack, TriggerRequest};
use cellgate_protocol::to_plc::{ToPlc, VerdictMessage};
use rand::RngExt as _;

/// An action of the PLC.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// The PLC sends its heartbeat.
    Heartbeat,
    /// The next part comes.
    Next,
    /// The PLC triggers a part of this bundle.
    Trigger(TriggerRequest, u32),
    /// The PLC confirms a reference part.
    Confirm(Confirm),
    /// The PLC acknowledges a verdict.
    Acknowledge(Ack),
    /// The time of the part with this number is over.
    Over(u64),
}

/// The state of the PLC.
#[derive(Debug, Default)]
pub(super) struct SimulatedPlc {
    /// The number of the current part.
    part: u64,
    /// The counter of the PLC's heartbeat.
    counter: u32,
    /// Until this time the PLC sends no heartbeat.
    silent_until_ms: u64,
    /// Whether the line must pause, because the order of images and triggers is lost.
    is_order_lost: bool,
    /// No more parts come.
    pub(super) is_at_rest: bool,
}

impl SimulatedPlc {
    /// The current part.
    pub(super) fn part(&self) -> u64 {
        self.part
    }
}

impl Simulation {
    pub(super) fn plc_does(&mut self, step: Step) {
        match step {
            Step::Heartbeat => {
                if self.goes_wrong_per_mille(5) {
                    self.plc.silent_until_ms = self.now_ms + self.random.random_range(100..1_500);
                }
                if self.now_ms >= self.plc.silent_until_ms {
                    self.plc.counter = self.plc.counter.wrapping_add(1);
                    self.session.plc_heartbeat(self.now_ms, self.plc.counter);
                }
                self.after(100, SimulatedEvent::Plc(Step::Heartbeat));
            }
            Step::Next if self.plc.is_at_rest => {}
            Step::Next => self.next_part(),
            Step::Trigger(request, bundle) => self.session.trigger(self.now_ms, &request, bundle),
            Step::Confirm(confirm) => self.session.confirm(&confirm),
            Step::Acknowledge(ack) => self.session.acknowledge(&ack, ReasonCode::NONE),
            Step::Over(part) if part == self.plc.part => self.next_after_pause(),
            Step::Over(_) => {}
        }
    }

    /// Schedules the next part. If the order of images and triggers is lost, the line pauses first.
    fn next_after_pause(&mut self) {
        let order_ms = if std::mem::take(&mut self.plc.is_order_lost) { 2 * ms(LEAD) } else { 0 };
        let pause_ms = order_ms + self.random.random_range(1..20);
        self.after(pause_ms, SimulatedEvent::Plc(Step::Next));
    }

    fn next_part(&mut self) {
        self.plc.part += 1;
        let part = self.plc.part;
        let nonce = self.random.random();
        let request = TriggerRequest { part_id: part, nonce, deadline_ms: DEADLINE_MS };
        let bundle = if self.names_bundles { bundle_of(part) } else { 0 };
        let (trigger_ms, image_ms) = match self.matching {
            Matching::ImageFirst => (30..50, 0..30),
            Matching::TriggerFirst => (0..20, 30..90),
            Matching::PartId | Matching::FreeRunning => (0..20, 0..60),
        };
        // Without part numbers, a lost trigger together with a lost image goes unnoticed, and the next image is
        // assigned to the wrong part. So lost triggers and doubled images are injected only when matching by part
        // number.
        let is_by_number = self.matching == Matching::PartId;
        let triggers =
            if self.matching == Matching::FreeRunning { 0 } else { 1 + usize::from(self.goes_wrong_per_mille(30)) };
        for _ in 0..triggers {
            if !(is_by_number && self.goes_wrong_per_mille(10)) {
                let delay_ms = self.random.random_range(trigger_ms.clone());
                self.after(delay_ms, SimulatedEvent::Plc(Step::Trigger(request, bundle)));
            }
        }
        for _ in 0..=usize::from(is_by_number && self.goes_wrong_per_mille(20)) {
            if !self.goes_wrong_per_mille(20) {
                // 500 ms is longer than the deadline.
                let late_ms = if self.goes_wrong_per_mille(20) { 500 } else { 0 };
                let delay_ms = late_ms + self.random.random_range(image_ms.clone());
                self.after(delay_ms, SimulatedEvent::Image(part));
            }
        }
        self.after(u64::from(DEADLINE_MS) + 60, SimulatedEvent::Plc(Step::Over(part)));
    }

    pub(super) fn plc_receives(&mut self, message: ToPlc) {
        let ack = match &message {
            ToPlc::Verdict(sent) => Ack { verdict_seq: sent.verdict_seq(), part_id: sent.part_id(), code: sent.code() },
            ToPlc::Record(sent) => Ack { verdict_seq: sent.verdict_seq, part_id: sent.part_id, code: sent.code },
            _ => return,
        };
        if let ToPlc::Verdict(sent) = &message {
            let is_without_image = [ReasonCode::IMAGE_MISMATCH, ReasonCode::NO_IMAGE].contains(&sent.reason());
            self.plc.is_order_lost = self.matching.is_by_order() && is_without_image;
        }
        if let ToPlc::Verdict(sent) = &message {
            self.confirm(sent);
        }
        if self.goes_wrong_per_mille(20) {
            return;
        }
        let wrong = Ack { code: VerdictCode(!ack.code.0), ..ack };
        let sent_ack = if self.goes_wrong_per_mille(10) { wrong } else { ack };
        for _ in 0..=usize::from(self.goes_wrong_per_mille(20)) {
            let delay_ms = self.random.random_range(1..15);
            self.after(delay_ms, SimulatedEvent::Plc(Step::Acknowledge(sent_ack)));
        }
        if matches!(message, ToPlc::Verdict(_)) && ack.part_id == self.plc.part {
            // Leaves out a part number. So this part's later `Over` has no effect, and the part does not end twice.
            self.plc.part += 1;
            self.next_after_pause();
        }
    }

    /// Confirms most reference parts. Confirmations are lost, doubled, late, or name a wrong part or bundle.
    fn confirm(&mut self, sent: &VerdictMessage) {
        let is_reference = sent.reason() == ReasonCode::REFERENCE_PART;
        let is_wrong = self.goes_wrong_per_mille(10);
        if !self.names_bundles || !(is_reference || is_wrong) || self.goes_wrong_per_mille(50) {
            return;
        }
        let bundle = bundle_of(sent.part_id()) + u32::from(is_reference && is_wrong);
        let confirm = Confirm { verdict_seq: sent.verdict_seq(), part_id: sent.part_id(), bundle };
        for _ in 0..=usize::from(self.goes_wrong_per_mille(50)) {
            // 3 s later the PLC has triggered the next parts, perhaps of another bundle.
            let late_ms = if self.goes_wrong_per_mille(50) { 3_000 } else { 0 };
            let delay_ms = late_ms + self.random.random_range(1..100);
            self.after(delay_ms, SimulatedEvent::Plc(Step::Confirm(confirm)));
        }
    }
}
