//! A model of what an appliance stores about the running bundle: its reference parts, and whether its offset is known.

use cellgate_protocol::{
    bundle::{BundleState, Confirm, ConfirmResult, StepCode},
    code::WireVerdict,
    digest::DigestStart,
    part::Outcome,
    reason::ReasonCode,
};

/// A part that was judged while the bundle's reference parts were being judged.
#[derive(Debug)]
struct Candidate {
    verdict_seq: u64,
    part_id: u64,
    /// It has an image and is no REJECT.
    is_possible: bool,
    is_confirmed: bool,
}

/// The running bundle. It survives a restart of the device.
#[derive(Debug)]
pub struct BundleModel {
    /// How many reference parts must be confirmed.
    needed: u16,
    /// 0 if no bundle is running.
    bundle: u32,
    candidates: Vec<Candidate>,
}

impl BundleModel {
    /// No bundle. The reference parts of a bundle are complete when `needed` are confirmed.
    pub fn new(needed: u16) -> Self {
        Self { needed, bundle: 0, candidates: Vec::new() }
    }

    /// A trigger that names this bundle was accepted. Another bundle than the running one starts anew.
    pub fn enter(&mut self, bundle: u32) {
        if bundle != self.bundle {
            (self.bundle, self.candidates) = (bundle, Vec::new());
        }
    }

    fn confirmed(&self) -> u16 {
        self.candidates.iter().filter(|part| part.is_confirmed).count() as u16
    }

    /// How far the bundle is. The reference parts of each seventh bundle are unlike those of the training.
    pub fn step(&self) -> StepCode {
        match self.bundle {
            0 => StepCode::NONE,
            _ if self.confirmed() < self.needed => StepCode::REFERENCE,
            bundle if bundle.is_multiple_of(7) => StepCode::UNLIKE_TRAINING,
            _ => StepCode::OFFSET,
        }
    }

    /// What the PLC is shown.
    pub fn state(&self) -> BundleState {
        let confirmed = self.confirmed();
        BundleState { bundle: self.bundle, step: self.step(), confirmed, missing: self.missing(confirmed) }
    }

    fn missing(&self, confirmed: u16) -> u16 {
        if self.bundle == 0 { 0 } else { self.needed.saturating_sub(confirmed) }
    }

    /// The outcome of a part that is judged now: no part passes without an offset, unless no bundle is running. A REJECT keeps its
    /// reason.
    pub fn limited(&self, outcome: Outcome) -> Outcome {
        let reason = match self.step() {
            StepCode::REFERENCE => ReasonCode::REFERENCE_PART,
            StepCode::UNLIKE_TRAINING => ReasonCode::BUNDLE_UNLIKE_TRAINING,
            _ => return outcome,
        };
        if outcome.verdict == WireVerdict::Reject {
            return outcome;
        }
        Outcome { verdict: WireVerdict::Review, reason, ..outcome }
    }

    /// The verdict of a part was stored under this number.
    pub fn judged(&mut self, verdict_seq: u64, part_id: u64, verdict: WireVerdict, image: DigestStart) {
        if self.step() == StepCode::REFERENCE {
            let is_possible = verdict != WireVerdict::Reject && image != DigestStart::NONE;
            self.candidates.push(Candidate { verdict_seq, part_id, is_possible, is_confirmed: false });
        }
    }

    /// Confirms a reference part. The result, and whether the part was not confirmed before.
    pub fn confirm(&mut self, confirm: &Confirm) -> (ConfirmResult, bool) {
        let open = self.step() == StepCode::REFERENCE;
        let bundle = self.bundle;
        let named = |part: &&mut Candidate| confirm.names(part.verdict_seq, part.part_id, bundle);
        match self.candidates.iter_mut().find(named) {
            None => (ConfirmResult::NOT_IN_BUNDLE, false),
            Some(part) if part.is_confirmed => (ConfirmResult::CONFIRMED, false),
            Some(part) if open && part.is_possible => {
                part.is_confirmed = true;
                (ConfirmResult::CONFIRMED, true)
            }
            Some(_) => (ConfirmResult::REFUSED, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_confirmed_once_and_another_bundle_starts_anew() {
        let mut model = BundleModel::new(2);
        model.enter(3);
        let image = DigestStart([1; 8]);
        for (seq, verdict) in [(1, WireVerdict::Review), (2, WireVerdict::Reject), (3, WireVerdict::Review)] {
            model.judged(seq, 10 + seq, verdict, image);
        }
        let confirm = |verdict_seq| Confirm { verdict_seq, part_id: 10 + verdict_seq, bundle: 3 };
        assert_eq!(model.confirm(&confirm(1)), (ConfirmResult::CONFIRMED, true));
        assert_eq!(model.confirm(&confirm(1)), (ConfirmResult::CONFIRMED, false));
        assert_eq!(model.confirm(&confirm(2)), (ConfirmResult::REFUSED, false));
        assert_eq!(model.confirm(&confirm(4)), (ConfirmResult::NOT_IN_BUNDLE, false));
        assert_eq!(model.state(), BundleState { bundle: 3, step: StepCode::REFERENCE, confirmed: 1, missing: 1 });
        assert_eq!(model.confirm(&confirm(3)), (ConfirmResult::CONFIRMED, true));
        assert_eq!(model.step(), StepCode::OFFSET);
        model.enter(4);
        model.enter(3);
        assert_eq!(model.step(), StepCode::REFERENCE);
        // A delayed copy of a confirmation of the first run counts for nothing.
        assert_eq!(model.confirm(&confirm(1)), (ConfirmResult::NOT_IN_BUNDLE, false));
    }
}
