//! Carries out what the running bundle needs: events for the journal, answers to the PLC and to people, metrics.

use super::{Line, log};
use crate::appliance::bundle::{BundleEffect, BundleView, StartFailed};
use crate::appliance::messages::ToLine;
use crate::appliance::part::lifecycle::Life;
use crate::control::{BundleAnswer, BundleRequest, Who};
use crate::journal::{AcceptanceReceipt, EventEntry, EventRow, JournalError, RecordedBundle};
use cellgate_protocol::bundle::ConfirmResult;
use std::sync::mpsc::SyncSender;

impl Line {
    /// Does what is due for the running bundle, and shows it to the PLC and in the metrics.
    pub(super) fn step_bundles(&mut self) {
        let mut effects = Vec::new();
        let view = BundleView {
            now_ms: self.shared.clock.now_ms(),
            is_journal_ready: self.journal.health().ready,
            is_part_in_progress: self.memory.triggered.as_ref().is_some_and(Life::is_before_commit),
        };
        self.bundles.step(view, &mut effects);
        // Before a confirmation can be stored.
        self.keep_reference_images();
        self.perform_for_bundle(effects);
        let state = self.bundles.state();
        self.session().set_bundle(state);
        self.shared.metrics.bundle.set(&state);
    }

    /// Shows the archiver which images it must not delete.
    pub(in crate::appliance) fn keep_reference_images(&self) {
        if let Some(images) = self.bundles.reference_images() {
            self.shared.keep_reference_images(images);
        }
    }

    /// A person asks about the running bundle, or changes it.
    pub(super) fn on_bundle_request(&mut self, request: BundleRequest, who: Who, answer: SyncSender<BundleAnswer>) {
        self.memory.requests += 1;
        let number = self.memory.requests;
        self.memory.answers.insert(number, answer);
        let mut effects = Vec::new();
        self.bundles.ask(number, request, who, self.shared.clock.now_ms(), &mut effects);
        self.perform_for_bundle(effects);
    }

    /// The acceptance of the part with this number is stored, or not. If its trigger started or ended a bundle, so did that.
    pub(super) fn on_entered(&mut self, number: u64, accepted: Result<&AcceptanceReceipt, ()>) {
        if self.memory.entering.take_if(|entering| *entering == number).is_none() {
            return;
        }
        match accepted {
            Ok(accepted) => {
                accepted.events().iter().for_each(log::bundle_event);
                self.bundles.entered(Ok(accepted.events()));
            }
            Err(()) => self.bundles.entered(Err(StartFailed)),
        }
    }

    /// The journal's answer to events of the running bundle.
    pub(super) fn on_recorded(&mut self, recorded: Result<Vec<EventRow>, JournalError>) {
        let mut effects = Vec::new();
        match recorded {
            Ok(events) => {
                events.iter().for_each(log::bundle_event);
                self.bundles.recorded(Ok(&events), &mut effects);
            }
            Err(error) => {
                tracing::error!(event = "bundle_not_stored", %error, "the change of the bundle could not be stored");
                self.bundles.recorded(Err(&error), &mut effects);
            }
        }
        self.perform_for_bundle(effects);
    }

    /// The journal's answer to the question which bundle is running.
    pub(super) fn on_bundle_read(&mut self, read: Result<Option<Box<RecordedBundle>>, JournalError>) {
        match read {
            Ok(recorded) => {
                self.bundles.was_read(Ok(recorded.as_deref()));
                let bundle = self.bundles.state().bundle;
                tracing::warn!(event = "bundle_read", bundle, "the running bundle was read from the journal again");
            }
            // The next step tries again.
            Err(error) => {
                tracing::warn!(event = "bundle_not_read", %error, "no trigger is accepted until the running bundle is read");
                self.bundles.was_read(Err(()));
            }
        }
    }

    fn perform_for_bundle(&mut self, effects: Vec<BundleEffect>) {
        for effect in effects {
            match effect {
                BundleEffect::Record(events) => self.record(events),
                BundleEffect::Read => self.read_bundle(),
                BundleEffect::AnswerPlc(confirm, result) => {
                    if result != ConfirmResult::CONFIRMED {
                        let (part, bundle) = (confirm.part_id, confirm.bundle);
                        tracing::warn!(
                            event = "confirmation_refused",
                            part,
                            bundle,
                            ?result,
                            "the PLC confirmed a part that can't be a reference part of the running bundle"
                        );
                    }
                    self.session().answer(&confirm, result);
                }
                BundleEffect::AnswerPerson(number, answer) => {
                    if let Some(asking) = self.memory.answers.remove(&number) {
                        // The send fails only if the person does not wait any more.
                        let _ = asking.try_send(answer);
                    }
                }
            }
        }
    }

    fn record(&mut self, events: Vec<EventEntry>) {
        let answers = self.answers.clone();
        let queued = self.journal.record_then(events, move |recorded| {
            answers.send(ToLine::Recorded(recorded));
        });
        if let Err(error) = queued {
            self.on_recorded(Err(error));
        }
    }

    fn read_bundle(&mut self) {
        let answers = self.answers.clone();
        let queued = self.journal.running_bundle_then(move |read| {
            answers.send(ToLine::BundleRead(read.map(|bundle| bundle.map(Box::new))));
        });
        if let Err(error) = queued {
            self.on_bundle_read(Err(error));
        }
    }
}
