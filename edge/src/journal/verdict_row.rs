//! What is recorded of a part.

use super::JournalError;
use cellgate_models::digest::Digest;
use cellgate_models::policy::Verdict;
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

/// Most bytes of [`VerdictEntry::detail`]; the rest is cut off.
pub const MAX_DETAIL_BYTES: usize = 1000;
/// Most bytes of [`VerdictEntry::image_name`]; the rest is cut off.
pub const MAX_NAME_BYTES: usize = 255;
/// Most bytes of [`VerdictEntry::reason`]; the rest is cut off.
pub const MAX_REASON_BYTES: usize = 64;
/// The reason of a part that was in hand when the appliance stopped: always a REJECT.
pub const RESTARTED: &str = "RESTARTED";

/// Who asked for a part to be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TriggerKind {
    /// The PLC.
    Plc,
    /// An image that arrived by itself.
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
pub struct AcceptedTrigger {
    /// Who asks.
    pub kind: TriggerKind,
    /// The part's identity.
    pub part: u64,
    /// Tells two triggers of one part from each other.
    pub nonce: u32,
    /// Milliseconds from receipt until the verdict is due.
    pub deadline_ms: u32,
    /// When it was received: milliseconds since 1970, UTC.
    pub received_unix_ms: i64,
}

/// A trigger whose acceptance is durable: BUSY may go out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    pub(super) id: NonZeroU64,
    pub(super) duration: Duration,
}

impl Accepted {
    /// The trigger's number in this journal: rises, never used again.
    #[must_use]
    pub fn id(&self) -> NonZeroU64 {
        self.id
    }

    /// From asking to durable.
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
    /// In which boot epoch it was accepted.
    pub boot_epoch: NonZeroU32,
    /// What was asked.
    pub trigger: AcceptedTrigger,
}

/// The bounds in 16-bit levels that the conversion used, where it has any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowBounds {
    /// Lowest level.
    pub low: u16,
    /// Highest level.
    pub high: u16,
}

/// Time of each stage in microseconds; 0 for a stage not reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StageTimes {
    /// Reading and decoding.
    pub read_us: u32,
    /// Converting to 8 bits and resizing.
    pub convert_us: u32,
    /// The network.
    pub infer_us: u32,
    /// The thresholds.
    pub decide_us: u32,
}

/// What was decided about an accepted trigger; part, nonce and time of receipt come from its acceptance.
#[derive(Debug, Clone, PartialEq)]
pub struct VerdictEntry {
    /// The trigger's number, of [`Accepted::id`].
    pub trigger: NonZeroU64,
    /// The verdict.
    pub verdict: Verdict,
    /// Why, by a stable name of at most [`MAX_REASON_BYTES`].
    pub reason: String,
    /// Probability of "abnormal"; one that is no finite number is recorded as none.
    pub score: Option<f32>,
    /// The model that judged.
    pub model: Option<Digest>,
    /// The very bytes that were judged.
    pub image: Option<Digest>,
    /// The image's file name, at most [`MAX_NAME_BYTES`]; empty where there was none.
    pub image_name: String,
    /// The conversion's bounds.
    pub bounds: Option<RowBounds>,
    /// Milliseconds from receipt to this commit, by a clock that is never set.
    pub age_ms: u32,
    /// Time of each stage.
    pub times: StageTimes,
    /// A simulated image or engine: never to be acted on.
    pub simulated: bool,
    /// Judged with something missing: never a PASS at the gate.
    pub degraded: bool,
    /// What went wrong, in words, at most [`MAX_DETAIL_BYTES`]; empty where nothing did.
    pub detail: String,
}

impl VerdictEntry {
    /// The same entry within the limits of the format.
    pub(super) fn bounded(mut self) -> Self {
        cut(&mut self.reason, MAX_REASON_BYTES);
        cut(&mut self.image_name, MAX_NAME_BYTES);
        cut(&mut self.detail, MAX_DETAIL_BYTES);
        // SQLite knows no negative zero.
        self.score = self.score.filter(|score| score.is_finite()).map(|score| score + 0.0);
        self
    }

    /// The terminal record of a part that was in hand when the appliance stopped.
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
            detail: format!("in hand in boot epoch {}, which ended before its verdict", part.boot_epoch),
        }
    }
}

/// Cuts `text` to at most `bytes`, between two characters. Many readers of SQLite end a text at a NUL, so none gets in.
fn cut(text: &mut String, bytes: usize) {
    text.retain(|character| character != '\0');
    text.truncate(text.floor_char_boundary(bytes));
}

/// A row of the journal: the one terminal record of an accepted trigger.
#[derive(Debug, Clone, PartialEq)]
pub struct VerdictRow {
    /// Its place: 1, 2, 3, ... without a gap.
    pub seq: NonZeroU64,
    /// The start of the appliance that wrote it.
    pub boot_epoch: NonZeroU32,
    /// What was asked.
    pub trigger: AcceptedTrigger,
    /// What was decided.
    pub entry: VerdictEntry,
    /// When: milliseconds since 1970, UTC, by a clock that may be set.
    pub committed_unix_ms: i64,
    /// Hash of the row before, of the journal's identity for the first.
    pub previous: Digest,
    /// Hash of this row.
    pub hash: Digest,
}

/// The receipt of a durable record; only the journal makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct CommitReceipt {
    pub(super) record: VerdictRow,
    pub(super) duration: Duration,
}

impl CommitReceipt {
    /// The record's place in the journal.
    #[must_use]
    pub fn seq(&self) -> NonZeroU64 {
        self.record.seq
    }

    /// The record, as it is on the disk.
    #[must_use]
    pub fn record(&self) -> &VerdictRow {
        &self.record
    }

    /// From asking to durable.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.duration
    }
}

/// What every request to the journal gives.
pub(super) type Answer<T> = Result<T, JournalError>;
