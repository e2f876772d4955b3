//! The messages between services, and the bounded queues that carry them.
//!
//! | queue | from | to | when it is full |
//! |---|---|---|---|
//! | [`JudgeQueue`], 256 | watcher, port | judge | the watcher keeps arrivals and tries again, with no health until they are sent; a part is REJECT/INTERNAL; a doubt and that an image is recorded are sent with the next step |
//! | [`LineQueue`], 64 | judge, journal | port | the sender waits, which stops its sign of life: no PASS, and the process starts anew |
//! | [`ArchiverQueue`], 1024 | watcher, judge, port | archiver | the images stay in the scanner's folder; each is logged and counted |
//! | the journal's own, 16 | port, archiver | journal | the request fails: `JournalError::Overloaded` |
//!
//! The line has one part in hand, so the queues to it and to the journal hold a few messages at most. What waits outside of
//! queues is a path for each image in the scanner's folder: with the watcher, and free-running with the judge.

use super::part::Part;
use super::part::judged::Judged;
use super::shared::Shared;
use crate::acquire::{Arrival, ImageFile, Unjudged};
use crate::journal::{Accepted, CommitReceipt, JournalError};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Instant;
use tokio::sync::mpsc;

/// Messages that wait for the judge, at most.
const MAX_JUDGE_MESSAGES: usize = 256;
/// Messages that wait for the line, at most.
const MAX_LINE_MESSAGES: usize = 64;
/// Messages that wait for the archiver, at most.
const MAX_ARCHIVER_MESSAGES: usize = 1024;

/// A message to the judge.
#[derive(Debug)]
pub(super) enum ToJudge {
    /// A part was triggered.
    Part(Part),
    /// An image is complete.
    Arrival(Arrival),
    /// A trigger was refused, or images were not watched: by order, it is no longer known which image is whose.
    Doubt,
    /// The image that came without a trigger is recorded: the next one may be judged.
    Recorded,
}

/// A message to the line.
#[derive(Debug)]
pub(super) enum ToLine {
    /// The result for a part.
    Judged {
        /// The part's number.
        number: u64,
        /// Its result.
        judged: Judged,
    },
    /// The result for an image without a trigger.
    FreeRunning {
        /// Its result.
        judged: Judged,
        /// When judging it ended.
        at: Instant,
    },
    /// The journal's answer on an acceptance.
    Accepted {
        /// The part's number.
        number: u64,
        /// Its trigger in the journal, or why it was not stored.
        accepted: Result<Accepted, JournalError>,
    },
    /// The journal's answer on a verdict.
    Committed {
        /// The part's number.
        number: u64,
        /// The row, or why it was not stored.
        committed: Result<Box<CommitReceipt>, JournalError>,
    },
}

/// A message to the archiver.
#[derive(Debug)]
pub(super) enum ToArchiver {
    /// Move the image of a recorded part to the archive.
    Archive {
        /// The image's file.
        image: ImageFile,
        /// Its name in the archive: number of the record, part, verdict.
        name: String,
    },
    /// Move images that will not be judged there too, marked as such.
    SetAside {
        /// Their files.
        images: Vec<ImageFile>,
        /// Why.
        why: Unjudged,
    },
}

/// Sends to the judge.
#[derive(Debug, Clone)]
pub(super) struct JudgeQueue(SyncSender<ToJudge>);

impl JudgeQueue {
    /// A queue and its end at the judge.
    pub(super) fn new() -> (Self, Receiver<ToJudge>) {
        let (sender, receiver) = sync_channel(MAX_JUDGE_MESSAGES);
        (Self(sender), receiver)
    }

    /// Queues `message`; false where the queue is full, or the judge has ended.
    pub(super) fn try_send(&self, message: ToJudge) -> bool {
        self.0.try_send(message).is_ok()
    }
}

/// Sends to the line.
#[derive(Debug, Clone)]
pub(super) struct LineQueue(mpsc::Sender<ToLine>);

impl LineQueue {
    /// A queue and its end at the line.
    pub(super) fn new() -> (Self, mpsc::Receiver<ToLine>) {
        let (sender, receiver) = mpsc::channel(MAX_LINE_MESSAGES);
        (Self(sender), receiver)
    }

    /// Queues `message`, waiting while the queue is full; false once the line has ended. Never to be called by the line itself.
    pub(super) fn send(&self, message: ToLine) -> bool {
        self.0.blocking_send(message).is_ok()
    }
}

/// Sends to the archiver.
#[derive(Debug, Clone)]
pub(super) struct ArchiverQueue {
    sender: SyncSender<ToArchiver>,
    shared: Arc<Shared>,
}

impl ArchiverQueue {
    /// A queue and its end at the archiver.
    pub(super) fn new(shared: Arc<Shared>) -> (Self, Receiver<ToArchiver>) {
        let (sender, receiver) = sync_channel(MAX_ARCHIVER_MESSAGES);
        (Self { sender, shared }, receiver)
    }

    /// Queues the image of a recorded part.
    pub(super) fn archive(&self, image: ImageFile, name: String) {
        self.send(ToArchiver::Archive { image, name });
    }

    /// Queues images that will not be judged.
    pub(super) fn set_aside(&self, images: Vec<ImageFile>, why: Unjudged) {
        if !images.is_empty() {
            self.send(ToArchiver::SetAside { images, why });
        }
    }

    fn send(&self, message: ToArchiver) {
        let Err(TrySendError::Full(message) | TrySendError::Disconnected(message)) = self.sender.try_send(message)
        else {
            return;
        };
        let images = match message {
            ToArchiver::Archive { image, .. } => vec![image],
            ToArchiver::SetAside { images, .. } => images,
        };
        for image in images {
            self.shared.metrics.store.archive_failed();
            let image = image.path.display();
            tracing::error!(%image, "an image stays in the scanner's folder: the archiver is too far behind, or has ended");
        }
    }
}
