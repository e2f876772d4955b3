//! The PLC's program for bundles: which bundle a part belongs to, and which parts it confirms as reference parts.

use super::referee::{Parts, Wrong, chance};
use crate::random::Random;
use cellgate_protocol::{
    bundle::{Confirm, ConfirmResult, Confirmed},
    code::VerdictCode,
    reason::ReasonCode,
    session::plc::{PartEnd, PlcSession},
};
use std::collections::VecDeque;

/// The program's memory. It survives a restart of the PLC.
#[derive(Debug, Default)]
pub(super) struct BundleProgram {
    /// The bundle of the next part, or 0.
    bundle: u32,
    /// The highest bundle so far.
    newest: u32,
    /// How many parts of the bundle are still to come.
    parts_left: u64,
    waiting: VecDeque<Confirm>,
    /// The confirmation that the device has not answered yet.
    open: Option<Confirm>,
    /// How often the device answered with each result: 1, 2, 3.
    pub(super) answers: [u64; 3],
}

impl BundleProgram {
    /// The bundle of the next part. Most bundles are new; some were there before, and some parts between them have no bundle.
    pub(super) fn next(&mut self, random: &mut Random) -> u32 {
        if self.parts_left == 0 {
            self.parts_left = 1 + random.below(40);
            self.bundle = match random.below(8) {
                0 => 0,
                1 => self.newest.saturating_sub(random.below(3) as u32),
                _ => self.newest + 1,
            };
            self.newest = self.newest.max(self.bundle);
        }
        self.parts_left -= 1;
        self.bundle
    }

    /// A part ended. Most reference parts are confirmed, some twice. Sometimes the program confirms a REJECT or names another bundle;
    /// the device must not count these.
    pub(super) fn ended(&mut self, end: &PartEnd, parts: &mut Parts, random: &mut Random) {
        let (Some(verdict_seq), Some(part)) = (end.verdict_seq, parts.get_mut(&end.part_id)) else { return };
        let confirm = Confirm { verdict_seq, part_id: end.part_id, bundle: part.bundle };
        let is_reference = end.reason() == ReasonCode::REFERENCE_PART;
        let is_reject = end.claim.is_some_and(|claim| claim.code == VerdictCode::REJECT);
        if is_reference && chance(random, 80_000) {
            part.asked = true;
            let copies = if chance(random, 10_000) { 2 } else { 1 };
            self.waiting.extend([confirm; 2].into_iter().take(copies));
        } else if is_reference {
            self.waiting.push_back(Confirm { bundle: part.bundle + 1, ..confirm });
        } else if is_reject && part.bundle != 0 && chance(random, 20_000) {
            self.waiting.push_back(confirm);
        }
    }

    /// Hands the next confirmation to the session, if none is open.
    pub(super) fn poll(&mut self, now_ms: u64, session: &mut PlcSession) {
        if self.open.is_none()
            && let Some(confirm) = self.waiting.pop_front()
        {
            session.confirm(now_ms, confirm).expect("the PLC has bundles");
            self.open = Some(confirm);
        }
    }

    /// The device answered.
    pub(super) fn answered(&mut self, answer: &Confirmed, parts: &Parts, wrong: &mut Wrong) {
        let is_asked = self.open.take_if(|open| *open == answer.confirm).is_some();
        let is_counted = parts
            .get(&answer.confirm.part_id)
            .is_none_or(|part| part.confirmed == 1 && part.bundle == answer.confirm.bundle);
        let is_right = is_asked && (is_counted || answer.result != ConfirmResult::CONFIRMED);
        wrong.confirmations += u64::from(!is_right);
        self.answers[usize::from(answer.result.0) - 1] += 1;
    }

    /// The PLC restarted: its session has forgotten the open confirmation.
    pub(super) fn restarted(&mut self) {
        self.waiting.extend(self.open.take());
    }
}
