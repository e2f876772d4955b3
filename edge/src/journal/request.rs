//! Defines the requests of callers to the journal's thread.

use super::event::{EventEntry, EventRow};
use super::recorded_bundle::RecordedBundle;
use super::retention::Pruned;
use super::verdict_row::{AcceptanceReceipt, Answer, CommitReceipt, JournalTrigger, OpenPart, VerdictEntry};
use std::num::NonZeroU64;
use std::time::Instant;

/// Takes the answer to a request.
pub(super) type Reply<T> = Box<dyn FnOnce(Answer<T>) + Send>;

/// A request of a caller to the thread. The `Instant` is the time of the request. The number in `Prune` is the current time in
/// milliseconds since 1970.
pub(super) enum JournalRequest {
    Accept(JournalTrigger, Vec<EventEntry>, Instant, Reply<AcceptanceReceipt>),
    Commit(Box<VerdictEntry>, Instant, Reply<CommitReceipt>),
    Acknowledge(NonZeroU64),
    Record(Vec<EventEntry>, Reply<Vec<EventRow>>),
    RunningBundle(Reply<Option<RecordedBundle>>),
    OpenParts(Reply<Vec<OpenPart>>),
    Prune(i64, Reply<Pruned>),
}
