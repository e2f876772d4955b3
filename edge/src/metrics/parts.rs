//! Creates and sets the metrics of verdicts, and of how long parts and their stages take.

use super::make::{Family, counter, counters, gauge, histograms};
use crate::acquire::Unjudged;
use crate::journal::{TriggerKind, VerdictEntry};
use crate::pipeline::Times;
use crate::verdict_mapping::recorded_reason;
use cellgate_protocol::reason::{ReasonCode, Role};
use prometheus::{Histogram, IntCounter, IntGauge, Registry, Result};
use std::time::Duration;

/// Every reason of a verdict, with the texts of its two labels: the verdict, and the reason's name.
fn verdicts() -> impl Iterator<Item = (ReasonCode, [&'static str; 2])> {
    ReasonCode::ALL.iter().filter_map(|reason| Some((*reason, [reason.role()?.verdict()?.name(), reason.name()?])))
}

/// Every reason of the gate's own, with the text of its label. [`ReasonCode::NONE`] stands for all other reasons.
fn gate_reasons() -> impl Iterator<Item = (ReasonCode, [&'static str; 1])> {
    let own = ReasonCode::ALL.iter().filter(|reason| reason.role() == Some(Role::Gate));
    own.filter_map(|reason| Some((*reason, [reason.name()?]))).chain([(ReasonCode::NONE, ["OTHER"])])
}

/// A stage between a part's trigger and its acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    WaitForImage,
    Read,
    Upload,
    Convert,
    Infer,
    Decide,
    JournalAcceptance,
    JournalVerdict,
    Acknowledgement,
}

/// The point in a part's life at which a measured duration ends. Each of these durations begins at the trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    Committed,
    Sent,
    Acknowledged,
}

/// The metrics of verdicts, and of how long parts take.
#[derive(Debug)]
pub struct PartFigures {
    triggers: IntCounter,
    verdicts: Family<ReasonCode, IntCounter>,
    undelivered: IntCounter,
    gate_differences: Family<ReasonCode, IntCounter>,
    until: Family<Until, Histogram>,
    stages: Family<Stage, Histogram>,
    in_hand: IntGauge,
    waiting: IntGauge,
    unjudged: Family<Unjudged, IntCounter>,
}

impl PartFigures {
    pub(super) fn new(registry: &Registry, deadline: Duration) -> Result<Self> {
        Ok(Self {
            triggers: counter(registry, "cellgate_triggers_total", "Accepted triggers. Each gets one verdict.")?,
            verdicts: counters(
                registry,
                "cellgate_verdicts_total",
                "Verdicts stored since the start, including those of images without a trigger.",
                ["verdict", "reason"],
                verdicts(),
            )?,
            undelivered: counter(
                registry,
                "cellgate_verdicts_undelivered_total",
                "Verdicts sent for information only: not acknowledged in time, or a PASS while the appliance was not healthy.",
            )?,
            gate_differences: counters(
                registry,
                "cellgate_gate_differences_total",
                "Acknowledged verdicts that the PLC's gate did not follow, by the gate's reason. OTHER: not one of the gate's own reasons. \
                 A PLC that does not send the gate's reason is not counted.",
                ["reason"],
                gate_reasons(),
            )?,
            until: histograms(
                registry,
                "cellgate_part_duration_seconds",
                "Time from a trigger until its verdict is stored (committed), first sent, or acknowledged.",
                "until",
                deadline,
                [(Until::Committed, ["committed"]), (Until::Sent, ["sent"]), (Until::Acknowledged, ["acknowledged"])],
            )?,
            stages: histograms(
                registry,
                "cellgate_stage_duration_seconds",
                "Time of a stage. A journal stage ends when the row is durable; acknowledgement starts when the verdict is sent.",
                "stage",
                deadline,
                [
                    (Stage::WaitForImage, ["wait_for_image"]),
                    (Stage::Read, ["read"]),
                    (Stage::Upload, ["upload"]),
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
                "Parts that were triggered and are not concluded yet: 0 or 1.",
            )?,
            waiting: gauge(registry, "cellgate_images_waiting", "Images that wait for their trigger.")?,
            unjudged: counters(
                registry,
                "cellgate_images_set_aside_total",
                "Images archived without being judged. no_trigger: no trigger in time; out_of_order: the order of images and \
                 triggers was lost; too_late: the part was decided without it; unwatched: it came while nothing watched the \
                 folder.",
                ["why"],
                Unjudged::ALL.map(|why| (why, [why.name()])),
            )?,
        })
    }

    /// Counts a trigger whose acceptance is durable.
    pub fn triggered(&self) {
        self.triggers.inc();
    }

    /// Notes that an acceptance is durable. The journal needed the time `journal` to store it.
    pub fn accepted(&self, journal: Duration) {
        self.took(Stage::JournalAcceptance, journal);
    }

    /// Notes that the image was found, `waited` after the trigger.
    pub fn found_image(&self, waited: Duration) {
        self.took(Stage::WaitForImage, waited);
    }

    /// Notes the times of a judged image. Stages that were not reached are left out.
    pub fn judged(&self, times: &Times) {
        let Times { read, upload, convert, infer, decide } = *times;
        let stages = [
            (Stage::Read, read),
            (Stage::Upload, upload),
            (Stage::Convert, convert),
            (Stage::Infer, infer),
            (Stage::Decide, decide),
        ];
        for (stage, time) in stages {
            if !time.is_zero() {
                self.took(stage, time);
            }
        }
    }

    /// Notes that a verdict is durable, `age` after its trigger. The journal needed the time `journal` to store it. Without
    /// a trigger, `age` is not used.
    pub fn committed(&self, kind: TriggerKind, entry: &VerdictEntry, journal: Duration, age: Duration) {
        self.has_verdict(entry);
        self.took(Stage::JournalVerdict, journal);
        if kind == TriggerKind::Plc {
            self.reached(Until::Committed, age);
        }
    }

    /// Counts a verdict that the journal stored. [`Self::committed`] calls it. At the start it is called directly for a part
    /// that was in progress when the appliance ended.
    pub fn has_verdict(&self, entry: &VerdictEntry) {
        let reason = recorded_reason(&entry.reason);
        if let Some(count) = self.verdicts.get(&reason).or_else(|| self.verdicts.get(&ReasonCode::INTERNAL)) {
            count.inc();
        }
    }

    /// Notes that a verdict is sent for the first time, `age` after its trigger.
    pub fn sent(&self, age: Duration) {
        self.reached(Until::Sent, age);
    }

    /// Notes that the PLC acknowledged a verdict, `age` after its trigger and `waited` after it was sent.
    pub fn acknowledged(&self, age: Duration, waited: Duration) {
        self.reached(Until::Acknowledged, age);
        self.took(Stage::Acknowledgement, waited);
    }

    /// Counts the verdict of a triggered part that was sent for information only.
    pub fn undelivered(&self) {
        self.undelivered.inc();
    }

    /// Counts a verdict that the PLC's gate did not follow, but decided on the part with the reason `gate`.
    pub fn gate_differs(&self, gate: ReasonCode) {
        if let Some(count) = self.gate_differences.get(&gate).or_else(|| self.gate_differences.get(&ReasonCode::NONE)) {
            count.inc();
        }
    }

    /// Sets whether a part is triggered and not concluded.
    pub fn set_in_hand(&self, is_in_hand: bool) {
        self.in_hand.set(i64::from(is_in_hand));
    }

    /// Sets the number of images that wait for their trigger.
    pub fn set_waiting(&self, images: usize) {
        self.waiting.set(i64::try_from(images).unwrap_or(i64::MAX));
    }

    /// Counts images that are archived without being judged.
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
