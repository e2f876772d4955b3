//! Keeps the state of the engine. The judge changes the state. `Line` reports it to the PLC, and grants the proofs that
//! the judge requests.

use std::sync::atomic::{AtomicU8, Ordering};

/// The state of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum EngineState {
    /// The engine is being loaded or proven.
    Starting,
    /// The engine passed its last proof.
    Proven,
    /// The engine is proven, and a new proof is due as soon as no part is in progress.
    ProofDue,
    /// No part is in progress, so the judge may start the proof that is due. No trigger is accepted until it ends.
    ProofGranted,
    /// The engine could not be loaded or failed its proof.
    Failed,
    /// The GPU is lost, and only a new process can run the engine again.
    Lost,
}

impl EngineState {
    const ALL: [Self; 6] = [Self::Starting, Self::Proven, Self::ProofDue, Self::ProofGranted, Self::Failed, Self::Lost];

    /// Whether the engine's scores may be used in this state.
    pub(super) fn is_proven(self) -> bool {
        matches!(self, Self::Proven | Self::ProofDue)
    }
}

/// The state of the engine, shared between threads. [`EngineState::Lost`] is final.
#[derive(Debug, Default)]
pub(super) struct EngineCell(AtomicU8);

impl EngineCell {
    /// The current state.
    pub(super) fn get(&self) -> EngineState {
        // Only discriminants of the enum are stored.
        EngineState::ALL[usize::from(self.0.load(Ordering::Acquire))]
    }

    /// Replaces the state by what `change` returns for it. `None` leaves the state as it is.
    fn update(&self, change: impl Fn(EngineState) -> Option<EngineState>) {
        let change = |state: u8| change(EngineState::ALL[usize::from(state)]).map(|state| state as u8);
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, change);
    }

    fn set(&self, state: EngineState) {
        self.update(|now| (now != EngineState::Lost).then_some(state));
    }

    /// The judge begins to load or to prove the engine.
    pub(super) fn set_starting(&self) {
        self.set(EngineState::Starting);
    }

    /// The engine passed its proof.
    pub(super) fn set_proven(&self) {
        self.set(EngineState::Proven);
    }

    /// The engine could not be loaded or failed its proof.
    pub(super) fn set_failed(&self) {
        self.set(EngineState::Failed);
    }

    /// The GPU is lost, and only a new process can run the engine again.
    pub(super) fn set_lost(&self) {
        self.set(EngineState::Lost);
    }

    /// The judge wants to prove a proven engine again.
    pub(super) fn request_proof(&self) {
        self.update(|now| (now == EngineState::Proven).then_some(EngineState::ProofDue));
    }

    /// No part is in progress: a proof that is due may start.
    pub(super) fn grant_proof(&self) {
        self.update(|now| (now == EngineState::ProofDue).then_some(EngineState::ProofGranted));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_is_read_back_as_stored() {
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
        assert!(cell.get().is_proven(), "until no part is in progress");
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
