//! Simulates how `Line` carries out what the running bundle needs, and a person who starts, confirms and ends bundles.

use super::judge::policy;
use super::{SimulatedEvent, Simulation, ToJournal};
use crate::appliance::bundle::{BundleEffect, BundleSettings, BundleView};
use crate::appliance::part::lifecycle::Life;
use crate::config::BundleConfig;
use crate::control::{BundleAnswer, BundleRequest, Candidate, Who};
use cellgate_models::digest::Digest;
use cellgate_models::policy::Verdict;
use rand::RngExt as _;
use std::num::NonZeroU32;

impl Simulation {
    pub(super) fn serve_bundles(&mut self) {
        let mut effects = Vec::new();
        let view = BundleView {
            now_ms: self.now_ms,
            is_journal_ready: self.journal.is_ready(self.now_ms),
            is_part_in_progress: self.life.as_ref().is_some_and(Life::is_before_commit),
        };
        self.bundles.step(view, &mut effects);
        self.perform_for_bundle(effects);
        self.session.set_bundle(self.bundles.state());
    }

    pub(super) fn perform_for_bundle(&mut self, effects: Vec<BundleEffect>) {
        for effect in effects {
            let answer_ms = self.random.random_range(1..20);
            match effect {
                BundleEffect::Record(events) => {
                    let fate = self.fate();
                    self.ask_journal(ToJournal::Record(events), fate, answer_ms);
                }
                BundleEffect::Read => {
                    let fate = self.fate();
                    self.ask_journal(ToJournal::ReadBundle, fate, answer_ms);
                }
                BundleEffect::AnswerPlc(confirm, result) => self.session.answer(&confirm, result),
                BundleEffect::AnswerPerson(_, BundleAnswer::Done(status)) => {
                    self.answered += u64::from(status.bundle != 0);
                }
                BundleEffect::AnswerPerson(_, BundleAnswer::Refused { .. } | BundleAnswer::Unknown { .. }) => {}
            }
        }
    }

    /// Queues a request to the journal. It answers the requests in their order.
    pub(super) fn ask_journal(&mut self, request: ToJournal, fate: super::journal::Fate, answer_ms: u64) {
        // The queue of the journal, and then that of `Line`, keep the order.
        self.journal_asked_ms = self.journal_asked_ms.max(self.now_ms + 1);
        let at_ms = self.journal_asked_ms;
        self.journal_answers_ms = self.journal_answers_ms.max(at_ms + answer_ms);
        let answer_ms = self.journal_answers_ms - at_ms;
        self.after(at_ms - self.now_ms, SimulatedEvent::ToJournal { request, fate, answer_ms });
    }

    /// A person does something about bundles, at random: mostly confirms parts, else starts or ends a bundle.
    pub(super) fn person_acts(&mut self) {
        let status = self.bundles.status();
        // A person knows that a part is bad: in this simulation every REJECT by the score is.
        let is_good = |part: &&Candidate| part.verdict == Verdict::Review.name();
        let candidates: Vec<u64> = status.candidates.iter().filter(is_good).map(|part| part.part_id).collect();
        let request = match self.random.random_range(0..10) {
            0 => BundleRequest::End,
            1 => BundleRequest::Start {
                bundle: NonZeroU32::new(self.random.random_range(1..1_000_000)).unwrap(),
                reference_parts: Some(self.random.random_range(1..4)),
            },
            2 if status.bundle == 0 => BundleRequest::Start {
                bundle: NonZeroU32::new(self.random.random_range(1..1_000_000)).unwrap(),
                reference_parts: None,
            },
            // A part of another bundle, or none.
            3 => BundleRequest::Confirm { bundle: None, parts: vec![self.plc.part().saturating_sub(100)] },
            _ => BundleRequest::Confirm { bundle: NonZeroU32::new(status.bundle), parts: candidates },
        };
        let who = Who { uid: 1000, pid: 42, name: "operator".to_owned() };
        let mut effects = Vec::new();
        self.bundles.ask(0, request, who, self.now_ms, &mut effects);
        self.perform_for_bundle(effects);
    }
}

/// Bundles of at most 40 parts, and of the model whose policy the judge has.
pub(super) fn settings() -> BundleSettings {
    let config = BundleConfig { max_parts: NonZeroU32::new(40).unwrap(), ..BundleConfig::default() };
    BundleSettings::new(&config, &policy(), Digest::of(b"model"))
}
