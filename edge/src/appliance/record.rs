//! Thread: acceptance and verdict into the journal, and what follows when that fails: the part is not forgotten, its
//! REJECT/STORE_FAILED is stored as soon as the journal works again.

use super::beat::{PAUSE, Worker};
use super::keep::Chore;
use super::line::Told;
use super::part::Judged;
use super::run::Shared;
use crate::acquire::Unjudged;
use crate::journal::{self, Journal, JournalError, TriggerKind, now_unix_ms};
use cellgate_models::digest::Digest;
use cellgate_protocol::part::Pending;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;

/// What a request to the journal may take until this thread counts as stuck; it reports an error earlier by itself.
const REQUEST_MOST: Duration = Duration::from_millis(200);

/// Something to store.
#[derive(Debug)]
pub(super) enum Request {
    /// A trigger, before BUSY goes out.
    Accept {
        /// The line's count of triggers.
        number: u64,
        /// What was asked.
        trigger: journal::Trigger,
    },
    /// A verdict, before it goes out.
    Commit(Box<Commit>),
    /// The REJECT of a part whose verdict could not be stored: as soon as the journal works again.
    Owe(Box<Commit>),
    /// The PLC has it.
    Acknowledge(NonZeroU64),
    /// An image that came by itself.
    Free {
        /// What was found out.
        judged: Judged,
        /// When.
        at: Instant,
    },
}

/// A verdict on its way into the journal.
#[derive(Debug)]
pub(super) struct Commit {
    /// Holds the session's window.
    pub(super) pending: Pending,
    /// What was found out.
    pub(super) judged: Judged,
    /// What was asked.
    pub(super) trigger: journal::Trigger,
    /// The trigger's number in the journal, where its acceptance is known to be stored.
    pub(super) accepted: Option<NonZeroU64>,
    /// When the trigger was received.
    pub(super) received: Instant,
}

/// What the recorder works with.
pub(super) struct Recorder {
    pub(super) journal: Arc<Journal>,
    pub(super) model: Digest,
    pub(super) shared: Arc<Shared>,
    pub(super) requests: Receiver<Request>,
    pub(super) told: UnboundedSender<Told>,
    pub(super) chores: Sender<Chore>,
    /// A verdict that could not be stored, as REJECT/STORE_FAILED.
    pub(super) owed: Option<Box<Commit>>,
    /// Images without a trigger so far: tells them apart.
    pub(super) free: u32,
}

impl Recorder {
    /// Runs until the last sender is gone.
    pub(super) fn run(mut self) {
        loop {
            self.shared.beats.idle(Worker::Record);
            let request = match self.requests.recv_timeout(PAUSE) {
                Ok(request) => Some(request),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            self.shared.beats.busy(Worker::Record, REQUEST_MOST);
            match request {
                Some(Request::Accept { number, trigger }) => self.accept(number, trigger),
                Some(Request::Commit(verdict)) => self.commit(verdict),
                Some(Request::Owe(verdict)) => self.owed = Some(verdict),
                Some(Request::Acknowledge(seq)) => {
                    // A lost acknowledgement costs one RECORD more.
                    let _ = self.journal.acknowledge(seq);
                }
                Some(Request::Free { judged, at }) => self.free(judged, at),
                None => {
                    if self.journal.health().ready
                        && let Some(owed) = self.owed.take()
                    {
                        self.commit(owed);
                    }
                }
            }
        }
    }

    fn accept(&self, number: u64, trigger: journal::Trigger) {
        let accepted = self.accept_once(trigger);
        if let Err(error) = &accepted {
            tracing::error!(part = trigger.part, %error, "the trigger could not be stored");
        }
        let _ = self.told.send(Told::Accepted { number, accepted: accepted.ok() });
    }

    /// The trigger's number in the journal; one that is in hand there already, from a try whose outcome was unknown, keeps
    /// its own.
    fn accept_once(&self, trigger: journal::Trigger) -> Result<NonZeroU64, JournalError> {
        match self.journal.accept(trigger) {
            Ok(accepted) => {
                self.shared.metrics.parts.accepted(accepted.duration());
                Ok(accepted.id())
            }
            Err(JournalError::AlreadyInHand { trigger, .. }) => Ok(trigger),
            Err(error) => Err(error),
        }
    }

    fn commit(&mut self, mut verdict: Box<Commit>) {
        let stored = self.store(&mut verdict);
        let Commit { pending, judged, received, .. } = *verdict;
        match stored {
            Ok(committed) => {
                let row = committed.record();
                self.counted(&committed, received);
                if let Some(image) = judged.file {
                    let name = format!("{:010}-{}-{}", row.seq, row.trigger.part, row.entry.verdict);
                    let _ = self.chores.send(Chore::Archive { image, name });
                }
                tell(&committed);
                let row = Box::new(row.clone());
                let _ =
                    self.told.send(Told::Committed { committed: pending.committed(committed.seq()), row, received });
            }
            Err(JournalError::AlreadyTerminal { seq, .. }) => {
                tracing::warn!(%seq, "the part has its verdict in the journal already");
                if let Some(image) = judged.file {
                    let _ = self.chores.send(Chore::SetAside { images: vec![image], why: Unjudged::TooLate });
                }
                let _ = self.told.send(Told::Settled(pending));
            }
            Err(error) => {
                tracing::error!(%error, "the verdict could not be stored and is not sent");
                let owed = Commit { pending, judged, ..*verdict };
                let _ = self.told.send(Told::StoreFailed(Box::new(owed)));
            }
        }
    }

    fn counted(&self, committed: &journal::Committed, received: Instant) {
        let row = committed.record();
        let metrics = &self.shared.metrics;
        metrics.parts.committed(row.trigger.kind, &row.entry, committed.duration(), received.elapsed());
        metrics.store.committed();
    }

    fn store(&self, verdict: &mut Commit) -> Result<journal::Committed, JournalError> {
        let id = match verdict.accepted {
            Some(id) => id,
            None => self.accept_once(verdict.trigger)?,
        };
        verdict.accepted = Some(id);
        let said = verdict.pending.entry().outcome;
        self.journal.commit(verdict.judged.entry(&said, id, self.model, verdict.received.elapsed()))
    }

    /// An image without a trigger: recorded, told as information, nothing to act on.
    fn free(&mut self, judged: Judged, at: Instant) {
        self.free = self.free.wrapping_add(1);
        let trigger = journal::Trigger {
            kind: TriggerKind::FreeRunning,
            part: 0,
            nonce: self.free,
            deadline_ms: u32::MAX,
            received_unix_ms: now_unix_ms(),
        };
        let outcome = judged.outcome(self.model);
        let stored = self
            .accept_once(trigger)
            .and_then(|id| self.journal.commit(judged.entry(&outcome, id, self.model, at.elapsed())));
        match stored {
            Ok(committed) => {
                let row = committed.record();
                self.counted(&committed, at);
                tell(&committed);
                if let Some(image) = judged.file {
                    let name = format!("{:010}-free-{}", row.seq, row.entry.verdict);
                    let _ = self.chores.send(Chore::Archive { image, name });
                }
                let _ = self.told.send(Told::Free(Box::new(row.clone())));
            }
            // The image stays in its folder, unrecorded; it is judged anew after the next start.
            Err(error) => tracing::error!(%error, "an image was judged and could not be recorded"),
        }
    }
}

/// A line of the log for each row; one to be looked at where there is no score.
fn tell(committed: &journal::Committed) {
    let row = committed.record();
    let (entry, part) = (&row.entry, row.trigger.part);
    let journal::Entry { verdict, reason, score, image_name: image, age_ms, detail, .. } = entry;
    let journal_us = committed.duration().as_micros();
    match score {
        Some(score) => {
            tracing::info!(seq = row.seq, part, image, %verdict, reason, score, age_ms, journal_us, "judged");
        }
        None => tracing::warn!(seq = row.seq, part, image, %verdict, reason, detail, age_ms, journal_us, "judged"),
    }
}
