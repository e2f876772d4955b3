//! The state of the engine, shared by the judge, which changes it, and the line, which reports it to the PLC.

use std::sync::atomic::{AtomicU8, Ordering};

/// The state of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum EngineState {
    /// It is being loaded, or asked for the golden images' scores.
    Starting,
    /// It gave the golden images their scores.
    Proven,
    /// Proven, and to be asked again as soon as the line has nothing in hand.
    ProofDue,
    /// The line has nothing in hand: the judge may ask again. No trigger is accepted until it did.
    ProofGranted,
    /// It did not give the golden images their scores, or could not be loaded.
    Failed,
    /// Only a new process can run it again.
    Lost,
}

impl EngineState {
    const ALL: [Self; 6] = [Self::Starting, Self::Proven, Self::ProofDue, Self::ProofGranted, Self::Failed, Self::Lost];

    /// Whether its scores count.
    pub(super) fn is_proven(self) -> bool {
        matches!(self, Self::Proven | Self::ProofDue)
    }
}

/// The state of the engine as threads share it. A lost engine stays lost.
#[derive(Debug, Default)]
pub(super) struct EngineCell(AtomicU8);

impl EngineCell {
    /// The state now.
    pub(super) fn get(&self) -> EngineState {
        // Only discriminants of the enum are ever stored.
        EngineState::ALL[usize::from(self.0.load(Ordering::Acquire))]
    }

    /// Changes the state as `change` says; it stays where `change` gives none.
    fn update(&self, change: impl Fn(EngineState) -> Option<EngineState>) {
        let change = |state: u8| change(EngineState::ALL[usize::from(state)]).map(|state| state as u8);
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, change);
    }

    fn set(&self, state: EngineState) {
        self.update(|now| (now != EngineState::Lost).then_some(state));
    }

    /// The judge loads it, or asks it for the golden images' scores.
    pub(super) fn set_starting(&self) {
        self.set(EngineState::Starting);
    }

    /// It gave the golden images their scores.
    pub(super) fn set_proven(&self) {
        self.set(EngineState::Proven);
    }

    /// It did not.
    pub(super) fn set_failed(&self) {
        self.set(EngineState::Failed);
    }

    /// From now on only a new process can run it.
    pub(super) fn set_lost(&self) {
        self.set(EngineState::Lost);
    }

    /// The judge wants to ask a proven engine again.
    pub(super) fn request_proof(&self) {
        self.update(|now| (now == EngineState::Proven).then_some(EngineState::ProofDue));
    }

    /// The line has nothing in hand: if the judge wants to ask again, it may.
    pub(super) fn grant_proof(&self) {
        self.update(|now| (now == EngineState::ProofDue).then_some(EngineState::ProofGranted));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_is_read_as_it_was_stored() {
        for (number, state) in EngineState::ALL.into_iter().enumerate() {
            assert_eq!(number, state as usize);
            let cell = EngineCell::default();
            assert_eq!(cell.get(), EngineState::Starting);
            cell.set(state);
            assert_eq!(cell.get(), state);
        }
    }

    #[test]
    fn a_proof_is_granted_only_when_it_was_requested_of_a_proven_engine() {
        let cell = EngineCell::default();
        cell.request_proof();
        cell.grant_proof();
        assert_eq!(cell.get(), EngineState::Starting);
        cell.set_proven();
        cell.grant_proof();
        assert_eq!(cell.get(), EngineState::Proven);
        cell.request_proof();
        assert!(cell.get().is_proven(), "until the line has nothing in hand");
        cell.grant_proof();
        assert!(cell.get() == EngineState::ProofGranted && !cell.get().is_proven());
    }

    #[test]
    fn a_lost_engine_stays_lost() {
        let cell = EngineCell::default();
        cell.set_lost();
        cell.set_starting();
        cell.set_proven();
        cell.set_failed();
        cell.request_proof();
        cell.grant_proof();
        assert_eq!(cell.get(), EngineState::Lost);
    }
}
