//! Runs the logic of bundles with a journal in memory.

use super::super::bundles::BundleEffect::{AnswerPerson, AnswerPlc, Record};
use super::super::*;
use crate::config::BundleConfig;
use crate::control::{BundleAnswer, BundleRequest, BundleStatus, Who};
use crate::journal::{
    EventEntry, EventKind, EventRow, JournalError, JournalTrigger, RecordedBundle, RowFeatures, RowForm, StageTimes,
    TriggerKind, VerdictEntry, VerdictRow,
};
use cellgate_models::digest::Digest;
use cellgate_models::engine::WhitenedFeatures;
use cellgate_models::policy::{Calibration, OperatingPoint, Policy, Reason, Reference, Rule, Verdict};
use cellgate_protocol::bundle::{Confirm, ConfirmResult};
use std::num::{NonZeroU32, NonZeroU64};

pub(super) const ORIGIN: WhitenedFeatures = WhitenedFeatures::ORIGIN;

/// A model that needs three reference parts: PASS below -1 without them, and below 3 with them. The mean of its training bundles is 0.
pub(super) fn policy() -> Policy {
    let point = |thresholds| OperatingPoint::new(thresholds, Calibration::IDENTITY).unwrap();
    let bundles: Vec<Vec<f64>> = (0..12).map(|bundle| vec![f64::from(bundle) - 5.6, f64::from(bundle) - 5.4]).collect();
    Policy::with_reference(point([-1.0, 1.0]), point([3.0, 4.0]), Reference::estimate(&bundles, 3).unwrap())
}

/// An appliance without a part in progress, whose journal works.
pub(super) const READY: BundleView = BundleView { now_ms: 0, is_journal_ready: true, is_part_in_progress: false };

/// The error of a journal that does not know whether it stored the events.
pub(super) fn unknown() -> JournalError {
    JournalError::Unknown { why: "disk".to_owned() }
}

/// The settings of the default configuration with this model.
pub(in crate::appliance) fn settings() -> BundleSettings {
    BundleSettings::new(&BundleConfig::default(), &policy(), Digest::of(b"model"))
}

/// The logic with a journal that stores everything.
pub(super) struct BundleBench {
    pub(super) settings: BundleSettings,
    pub(super) bundles: Bundles,
    pub(super) events: Vec<EventRow>,
    pub(super) rows: Vec<VerdictRow>,
    pub(super) now_ms: i64,
}

impl BundleBench {
    pub(super) fn new(settings: BundleSettings) -> Self {
        let bundles = Bundles::new(settings.clone(), None);
        Self { settings, bundles, events: Vec::new(), rows: Vec::new(), now_ms: 1_000 }
    }

    pub(super) fn store(&mut self, entries: &[EventEntry]) -> Vec<EventRow> {
        let stored: Vec<EventRow> = entries
            .iter()
            .zip(self.events.len() as u64 + 1..)
            .map(|(entry, number)| entry.without_hashes(number, self.now_ms, self.rows.len() as u64))
            .collect();
        self.events.extend_from_slice(&stored);
        stored
    }

    /// The names of the events since the last call.
    pub(super) fn kinds(&mut self) -> Vec<String> {
        let kinds = self.events.iter().map(|event| format!("{} {}", event.kind, event.bundle)).collect();
        self.events.clear();
        kinds
    }

    /// A trigger names this bundle, and its acceptance is stored.
    pub(super) fn enter(&mut self, named: u32) -> PartRule {
        let Entry { part, events } = self.bundles.enter(named, self.now_ms);
        if !events.is_empty() {
            let stored = self.store(&events);
            self.bundles.entered(Ok(&stored));
        }
        part
    }

    /// A trigger of this part names this bundle, and the part is judged. Returns its row and its reason.
    pub(super) fn part(&mut self, part_id: u64, named: u32, logit: f32) -> (NonZeroU64, Reason) {
        let part = self.enter(named);
        let reason = part.rule.decide(logit, &ORIGIN).reason;
        let row = self.row(part_id, part.bundle, (logit, reason), &part.rule, part.is_reference);
        self.bundles.judged(&row);
        (row.seq, reason)
    }

    pub(super) fn row(
        &mut self,
        part_id: u64,
        bundle: u32,
        (logit, reason): (f32, Reason),
        rule: &Rule,
        is_reference: bool,
    ) -> VerdictRow {
        let row = VerdictRow {
            form: RowForm::Two,
            seq: NonZeroU64::new(self.rows.len() as u64 + 1).unwrap(),
            boot_epoch: NonZeroU32::MIN,
            trigger: JournalTrigger {
                kind: TriggerKind::Plc,
                part: part_id,
                nonce: 1,
                deadline_ms: 500,
                received_unix_ms: 0,
                bundle,
            },
            entry: VerdictEntry {
                trigger: NonZeroU64::MIN,
                verdict: reason.verdict(),
                reason: reason.name().to_owned(),
                score: None,
                model: Some(self.settings.model),
                image: None,
                image_name: String::new(),
                bounds: None,
                age_ms: 0,
                times: StageTimes::default(),
                simulated: false,
                degraded: false,
                detail: String::new(),
                raw_logit: Some(logit),
                rule: Some(rule.into()),
                distance: None,
                regions: None,
                features: is_reference.then(|| RowFeatures::from(&ORIGIN)),
            },
            committed_unix_ms: 0,
            previous: [0; 32].into(),
            hash: [0; 32].into(),
        };
        self.rows.push(row.clone());
        row
    }

    /// The effects that are due now, after the journal stored what it was asked to.
    pub(super) fn effects(&mut self) -> Vec<BundleEffect> {
        let (mut due, mut effects) = (Vec::new(), Vec::new());
        self.bundles.step(READY, &mut due);
        while !due.is_empty() {
            for effect in std::mem::take(&mut due) {
                match effect {
                    Record(entries) => {
                        let stored = self.store(&entries);
                        self.bundles.recorded(Ok(&stored), &mut due);
                    }
                    other => effects.push(other),
                }
            }
            self.bundles.step(READY, &mut due);
        }
        effects
    }

    /// The PLC confirms the part with this row. Returns the answer.
    pub(super) fn confirm(&mut self, seq: NonZeroU64, part_id: u64, bundle: u32) -> ConfirmResult {
        let confirm = Confirm { verdict_seq: seq.get(), part_id, bundle };
        self.bundles.confirm(confirm);
        match &self.effects()[..] {
            [AnswerPlc(answered, result)] if *answered == confirm => *result,
            other => panic!("{other:?}"),
        }
    }

    /// A person asks. Returns the answer.
    pub(super) fn ask(&mut self, request: BundleRequest) -> Result<BundleStatus, String> {
        let mut effects = Vec::new();
        self.bundles.ask(1, request, who(), 0, &mut effects);
        effects.extend(self.effects());
        match effects.pop() {
            Some(AnswerPerson(1, BundleAnswer::Done(status))) => Ok(*status),
            Some(AnswerPerson(1, BundleAnswer::Refused { why })) => Err(why),
            other => panic!("{other:?}"),
        }
    }

    /// The events and rows of the journal that belong to the running bundle.
    pub(super) fn recorded(&self) -> Option<RecordedBundle> {
        let is = |event: &EventRow, kind: EventKind| event.kind == kind.name();
        let start = self.events.iter().rposition(|event| is(event, EventKind::BundleStarted))?;
        let (started, events) = (self.events[start].clone(), self.events[start + 1..].to_vec());
        if events.iter().any(|event| is(event, EventKind::BundleEnded)) {
            return None;
        }
        let is_own = |row: &&VerdictRow| row.seq.get() > started.newest_seq && row.trigger.bundle == started.bundle;
        let own: Vec<VerdictRow> = self.rows.iter().filter(is_own).cloned().collect();
        let parts = own.len() as u64;
        let is_kept = |row: &VerdictRow| row.entry.features.is_some() || row.entry.verdict == Verdict::Reject;
        let kept: Vec<VerdictRow> = own.into_iter().filter(is_kept).collect();
        let rows = kept[kept.len().saturating_sub(RecordedBundle::MAX_ROWS)..].to_vec();
        Some(RecordedBundle { started, events, rows, parts })
    }

    /// The appliance restarts.
    pub(super) fn restart(&mut self) {
        self.bundles = Bundles::new(self.settings.clone(), self.recorded().as_ref());
    }
}

pub(super) fn who() -> Who {
    Who { uid: 1000, pid: 42, name: "operator".to_owned() }
}
