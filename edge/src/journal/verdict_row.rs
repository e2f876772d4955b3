//! Defines the types of accepted triggers, verdicts and rows.

use super::JournalError;
use super::event::EventRow;
use super::form::RowForm;
use super::row_features::RowFeatures;
use super::row_regions::RowRegions;
use super::row_rule::RowRule;
use cellgate_models::digest::Digest;
use cellgate_models::policy::Verdict;
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

/// Maximum length of [`VerdictEntry::detail`] in bytes; a longer text is cut.
pub const MAX_DETAIL_BYTES: usize = 1000;
/// Maximum length of [`VerdictEntry::image_name`] in bytes; a longer name is cut.
pub const MAX_NAME_BYTES: usize = 255;
/// Maximum length of [`VerdictEntry::reason`] in bytes; a longer name is cut.
pub const MAX_REASON_BYTES: usize = 64;
/// The reason for a part that was being judged when the appliance stopped. The verdict is always REJECT.
pub const RESTARTED: &str = "RESTARTED";

/// What triggered the judging of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TriggerKind {
    /// The PLC.
    Plc,
    /// An image that arrived without a trigger.
    FreeRunning,
}

impl TriggerKind {
    /// The stable name: `PLC` or `FREE_RUNNING`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plc => "PLC",
            Self::FreeRunning => "FREE_RUNNING",
        }
    }
}

/// A request to judge one part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalTrigger {
    /// What triggered the judging.
    pub kind: TriggerKind,
    /// The part's number from the PLC; 0 for an image without a trigger.
    pub part: u64,
    /// Distinguishes two triggers of one part.
    pub nonce: u32,
    /// Milliseconds from receipt until the verdict is due; `u32::MAX` for an image without a trigger.
    pub deadline_ms: u32,
    /// When the trigger was received, in milliseconds since 1970, UTC.
    pub received_unix_ms: i64,
    /// The number of the bundle that the part belongs to; 0: none. In a row of form 1 always 0.
    pub bundle: u32,
}

/// Shows that a trigger's acceptance is durable, with the events that were recorded together with it: BUSY may go out.
#[derive(Debug, Clone, PartialEq)]
pub struct AcceptanceReceipt {
    pub(super) id: NonZeroU64,
    pub(super) events: Vec<EventRow>,
    pub(super) duration: Duration,
}

impl AcceptanceReceipt {
    /// The trigger's number in this journal. Numbers rise and are never reused.
    #[must_use]
    pub fn id(&self) -> NonZeroU64 {
        self.id
    }

    /// The events that were recorded in the same transaction.
    #[must_use]
    pub fn events(&self) -> &[EventRow] {
        &self.events
    }

    /// The time from the request until the acceptance was durable.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.duration
    }
}

/// An accepted trigger without a terminal record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenPart {
    /// The trigger's number in this journal.
    pub id: NonZeroU64,
    /// The boot epoch in which the trigger was accepted.
    pub boot_epoch: NonZeroU32,
    /// The trigger as it was accepted.
    pub trigger: JournalTrigger,
}

/// The bounds of the conversion, in 16-bit levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowBounds {
    /// Lower bound.
    pub low: u16,
    /// Upper bound.
    pub high: u16,
}

/// The time of each stage in microseconds; 0 for a stage that was not reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StageTimes {
    /// Reading and decoding, and waiting for the digest.
    pub read_us: u32,
    /// Copying the levels for the GPU, if one converts, and converting the radiograph to the network's input.
    pub convert_us: u32,
    /// Running the network.
    pub infer_us: u32,
    /// Applying the policy.
    pub decide_us: u32,
}

/// The verdict for an accepted trigger. Part, nonce and time of receipt come from its acceptance.
#[derive(Debug, Clone, PartialEq)]
pub struct VerdictEntry {
    /// The trigger's number, from [`AcceptanceReceipt::id`].
    pub trigger: NonZeroU64,
    /// The verdict.
    pub verdict: Verdict,
    /// The reason's stable name, at most [`MAX_REASON_BYTES`].
    pub reason: String,
    /// The network's score, 0 to 1. A score that is not finite is recorded as `None`.
    pub score: Option<f32>,
    /// Digest of the manifest of the model that the appliance judges with. `None` for a part that was being judged when
    /// the appliance stopped.
    pub model: Option<Digest>,
    /// Digest of the bytes that were judged. `None` if no bytes were read.
    pub image: Option<Digest>,
    /// The image's file name, at most [`MAX_NAME_BYTES`]; empty if there was no image.
    pub image_name: String,
    /// The bounds of the conversion, if they are the same for every image of the model and the image has a score.
    pub bounds: Option<RowBounds>,
    /// Milliseconds from the receipt of the trigger until the verdict was handed to the journal, by a monotonic clock.
    /// For a part that was being judged when the appliance stopped, by the system's clock.
    pub age_ms: u32,
    /// The time of each stage.
    pub times: StageTimes,
    /// Whether image or engine were simulated. Such a verdict is never acted on.
    pub simulated: bool,
    /// Whether the appliance worked with less than it should have. Such a part never passes the gate.
    pub degraded: bool,
    /// A text that says what went wrong, at most [`MAX_DETAIL_BYTES`]; empty if nothing did.
    pub detail: String,
    /// The network's raw logit. `None` if the network did not run. A logit that is not finite is recorded as `None`: then there is a
    /// rule, and the reason is `SCORE_INVALID`.
    pub raw_logit: Option<f32>,
    /// The rule that judged; `None` if the network did not run.
    pub rule: Option<RowRule>,
    /// The distance of the part by the rule. `None` if the network did not run. A distance that is not finite is recorded as `None`,
    /// like a raw logit that is not finite.
    pub distance: Option<f64>,
    /// The regions of evidence for a REJECT; `None` if the network did not run, or if a share of its map is not finite.
    pub regions: Option<RowRegions>,
    /// The whitened features of a part that was judged while its bundle's reference parts were being judged; `None` for any other
    /// part, or if the network did not run.
    pub features: Option<RowFeatures>,
}

impl VerdictEntry {
    /// The entry with values that the journal can store: texts are cut to their limits, and numbers that are not finite become
    /// `None`.
    pub(super) fn bounded(mut self) -> Self {
        cut(&mut self.reason, MAX_REASON_BYTES);
        cut(&mut self.image_name, MAX_NAME_BYTES);
        cut(&mut self.detail, MAX_DETAIL_BYTES);
        // SQLite stores -0.0 as 0.0, which would change the hash.
        let single = |number: Option<f32>| number.filter(|number| number.is_finite()).map(|number| number + 0.0);
        (self.score, self.raw_logit) = (single(self.score), single(self.raw_logit));
        self.distance = self.distance.filter(|distance| distance.is_finite());
        self.rule = self.rule.filter(|rule| rule.offset.is_finite());
        self
    }

    /// The verdict for a part that was being judged when the appliance stopped.
    pub(super) fn restarted(part: &OpenPart, now_unix_ms: i64) -> Self {
        let age_ms = now_unix_ms.saturating_sub(part.trigger.received_unix_ms);
        Self {
            trigger: part.id,
            verdict: Verdict::Reject,
            reason: RESTARTED.to_owned(),
            score: None,
            model: None,
            image: None,
            image_name: String::new(),
            bounds: None,
            age_ms: u32::try_from(age_ms.max(0)).unwrap_or(u32::MAX),
            times: StageTimes::default(),
            simulated: false,
            degraded: false,
            detail: format!("accepted in boot epoch {}, which ended before the verdict", part.boot_epoch),
            raw_logit: None,
            rule: None,
            distance: None,
            regions: None,
            features: None,
        }
    }
}

/// Cuts `text` to at most `bytes`, between two characters. Removes NULs, as many readers of SQLite end a text there.
pub(super) fn cut(text: &mut String, bytes: usize) {
    text.retain(|character| character != '\0');
    text.truncate(text.floor_char_boundary(bytes));
}

/// A row of the journal: the one terminal record of an accepted trigger.
#[derive(Debug, Clone, PartialEq)]
pub struct VerdictRow {
    /// The form of the row.
    pub form: RowForm,
    /// The row's sequence number: 1, 2, 3, ... without a gap.
    pub seq: NonZeroU64,
    /// The number of the appliance's start that wrote the row.
    pub boot_epoch: NonZeroU32,
    /// The trigger as it was accepted.
    pub trigger: JournalTrigger,
    /// The verdict.
    pub entry: VerdictEntry,
    /// When the row was committed, in milliseconds since 1970, UTC, by the system's clock, which may be changed.
    pub committed_unix_ms: i64,
    /// Hash of the previous row; for the first row a hash of the journal's identity.
    pub previous: Digest,
    /// Hash of this row.
    pub hash: Digest,
}

/// The receipt of a durable record. Only the journal creates one.
#[derive(Debug, Clone, PartialEq)]
pub struct CommitReceipt {
    pub(super) record: VerdictRow,
    pub(super) duration: Duration,
}

impl CommitReceipt {
    /// The record's number in the journal.
    #[must_use]
    pub fn seq(&self) -> NonZeroU64 {
        self.record.seq
    }

    /// The record, as it is on the disk.
    #[must_use]
    pub fn record(&self) -> &VerdictRow {
        &self.record
    }

    /// The time from the request until the record was durable.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.duration
    }
}

/// The answer to a request to the journal.
pub(super) type Answer<T> = Result<T, JournalError>;
