//! Verdicts, and how long parts and their stages take.

use super::make::{Family, counter, counters, gauge, histograms};
use crate::acquire::Unjudged;
use crate::journal::{TriggerKind, VerdictEntry};
use crate::pipeline::Times;
use crate::words::recorded_reason;
use cellgate_protocol::reason::ReasonCode;
use prometheus::{Histogram, IntCounter, IntGauge, Registry, Result};
use std::time::Duration;

/// Every verdict that the journal may hold: a reason belongs to one.
fn verdicts() -> impl Iterator<Item = (ReasonCode, [&'static str; 2])> {
    ReasonCode::ALL.iter().filter_map(|reason| Some((*reason, [reason.role()?.verdict()?.name(), reason.name()?])))
}

/// A stage of a part's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    WaitForImage,
    Read,
    Convert,
    Infer,
    Decide,
    JournalAcceptance,
    JournalVerdict,
    Acknowledgement,
}

/// How far a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    Committed,
    Sent,
    Acknowledged,
}

/// Verdicts, and how long parts take.
#[derive(Debug)]
pub struct PartFigures {
    triggers: IntCounter,
    verdicts: Family<ReasonCode, IntCounter>,
    undelivered: IntCounter,
    until: Family<Until, Histogram>,
    stages: Family<Stage, Histogram>,
    in_hand: IntGauge,
    waiting: IntGauge,
    unjudged: Family<Unjudged, IntCounter>,
}

impl PartFigures {
    pub(super) fn new(registry: &Registry, deadline: Duration) -> Result<Self> {
        Ok(Self {
            triggers: counter(registry, "cellgate_triggers_total", "Triggers that were taken: each gets one verdict.")?,
            verdicts: counters(
                registry,
                "cellgate_verdicts_total",
                "Verdicts in the journal since the start, also of images without a trigger.",
                ["verdict", "reason"],
                verdicts(),
            )?,
            undelivered: counter(
                registry,
                "cellgate_verdicts_undelivered_total",
                "Verdicts that went out as information only: not acknowledged in time, or a PASS without health.",
            )?,
            until: histograms(
                registry,
                "cellgate_part_duration_seconds",
                "Time from a trigger until its verdict is in the journal, goes out for the first time, is acknowledged.",
                "until",
                deadline,
                [(Until::Committed, ["committed"]), (Until::Sent, ["sent"]), (Until::Acknowledged, ["acknowledged"])],
            )?,
            stages: histograms(
                registry,
                "cellgate_stage_duration_seconds",
                "Time of a stage; of a journal's stage until it is durable, of the acknowledgement since the verdict went out.",
                "stage",
                deadline,
                [
                    (Stage::WaitForImage, ["wait_for_image"]),
                    (Stage::Read, ["read"]),
                    (Stage::Convert, ["convert"]),
                    (Stage::Infer, ["infer"]),
                    (Stage::Decide, ["decide"]),
                    (Stage::JournalAcceptance, ["journal_acceptance"]),
                    (Stage::JournalVerdict, ["journal_verdict"]),
                    (Stage::Acknowledgement, ["acknowledgement"]),
                ],
            )?,
            in_hand: gauge(
                registry,
                "cellgate_parts_in_hand",
                "Parts that were triggered and not concluded yet: 0 or 1.",
            )?,
            waiting: gauge(registry, "cellgate_images_waiting", "Images that wait for their trigger.")?,
            unjudged: counters(
                registry,
                "cellgate_images_set_aside_total",
                "Images that went to the archive unjudged: no trigger in time, the order of images and triggers lost, their part \
                 decided without them, there before anybody watched.",
                ["why"],
                Unjudged::ALL.map(|why| (why, [why.name()])),
            )?,
        })
    }

    /// A trigger was taken.
    pub fn triggered(&self) {
        self.triggers.inc();
    }

    /// Its acceptance is durable, `journal` after it was asked for.
    pub fn accepted(&self, journal: Duration) {
        self.took(Stage::JournalAcceptance, journal);
    }

    /// Its image was there so long after the trigger.
    pub fn found_image(&self, waited: Duration) {
        self.took(Stage::WaitForImage, waited);
    }

    /// An image was judged. A stage that it did not reach took no time.
    pub fn judged(&self, times: &Times) {
        let Times { read, convert, infer, decide } = *times;
        let stages = [(Stage::Read, read), (Stage::Convert, convert), (Stage::Infer, infer), (Stage::Decide, decide)];
        for (stage, time) in stages {
            if !time.is_zero() {
                self.took(stage, time);
            }
        }
    }

    /// A verdict is durable, `journal` after it was asked for and `age` after its trigger.
    pub fn committed(&self, kind: TriggerKind, entry: &VerdictEntry, journal: Duration, age: Duration) {
        self.has_verdict(entry);
        self.took(Stage::JournalVerdict, journal);
        if kind == TriggerKind::Plc {
            self.reached(Until::Committed, age);
        }
    }

    /// A verdict is in the journal: at the start that of a part that was in hand before.
    pub fn has_verdict(&self, entry: &VerdictEntry) {
        let reason = recorded_reason(&entry.reason);
        if let Some(count) = self.verdicts.get(&reason).or_else(|| self.verdicts.get(&ReasonCode::INTERNAL)) {
            count.inc();
        }
    }

    /// A verdict goes out for the first time, `age` after its trigger.
    pub fn sent(&self, age: Duration) {
        self.reached(Until::Sent, age);
    }

    /// The PLC has a verdict, `age` after its trigger and `waited` after it went out.
    pub fn acknowledged(&self, age: Duration, waited: Duration) {
        self.reached(Until::Acknowledged, age);
        self.took(Stage::Acknowledgement, waited);
    }

    /// A verdict went out as information only.
    pub fn undelivered(&self) {
        self.undelivered.inc();
    }

    /// Whether a part is triggered and not concluded.
    pub fn set_in_hand(&self, is_in_hand: bool) {
        self.in_hand.set(i64::from(is_in_hand));
    }

    /// How many images wait for their trigger.
    pub fn set_waiting(&self, images: usize) {
        self.waiting.set(i64::try_from(images).unwrap_or(i64::MAX));
    }

    /// So many images go to the archive unjudged.
    pub fn set_aside(&self, why: Unjudged, images: usize) {
        if let Some(count) = self.unjudged.get(&why) {
            count.inc_by(images as u64);
        }
    }

    fn took(&self, stage: Stage, time: Duration) {
        if let Some(histogram) = self.stages.get(&stage) {
            histogram.observe(time.as_secs_f64());
        }
    }

    fn reached(&self, until: Until, age: Duration) {
        if let Some(histogram) = self.until.get(&until) {
            histogram.observe(age.as_secs_f64());
        }
    }
}
