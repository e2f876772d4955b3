//! Defines the messages between services, and the bounded queues that carry them.
//!
//! | queue | from | to | when it is full |
//! |---|---|---|---|
//! | [`JudgeQueue`], 256 | watcher, port | judge | an arrival: the watcher keeps it and tries again, and there is no health until the queue has space. A part: it is REJECT/INTERNAL. `Doubt` and `Recorded`: the sender tries again |
//! | [`LineQueue`], 64 | judge, journal, control | port | judge and journal block and give no sign of life: no part passes, and in the end the process restarts. Control does not block: the request is refused |
//! | [`ArchiverQueue`], 1024 | watcher, judge, port | archiver | the images stay in the scanner's folder; each is logged and counted |
//! | the journal's own, 16 | port, archiver | journal | the request fails: `JournalError::Overloaded` |
//!
//! `Line` (module `line`) runs in the port's thread and handles one part at a time. So its queue and the journal's queue hold a few
//! messages at most. The services also keep images outside the queues:
//!
//! - The watcher keeps images that are not complete, not sent or not read yet. On a file system whose changes the Linux kernel does
//!   not report completely, the watcher keeps all images that are in the scanner's folder.
//! - The judge keeps images that wait for a trigger: at most 256. When free-running, their number is not limited.
//! - The archiver keeps images that could not be moved: at most 10,000, with the PNG files of their maps (a few KB each) in memory.

use super::part::Part;
use super::part::judged::Judged;
use super::shared::Shared;
use crate::acquire::{Arrival, ImageFile, Unjudged};
use crate::control::{BundleAnswer, BundleRequest, Who};
use crate::journal::{AcceptanceReceipt, CommitReceipt, EventRow, JournalError, RecordedBundle};
use cellgate_models::engine::LogitMap;
use cellgate_models::policy::Rule;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Instant;
use tokio::sync::mpsc;

/// The capacity of the judge's queue.
const MAX_JUDGE_MESSAGES: usize = 256;
/// The capacity of `Line`'s queue.
const MAX_LINE_MESSAGES: usize = 64;
/// The capacity of the archiver's queue.
const MAX_ARCHIVER_MESSAGES: usize = 1024;

/// A message to the judge.
#[derive(Debug)]
pub(super) enum ToJudge {
    /// A part was triggered. It is judged by this rule.
    Part(Part, Box<Rule>),
    /// An image is complete.
    Arrival(Arrival),
    /// A trigger was refused, a part or an image was not queued in time, or the folder was not watched for a while. When matching
    /// by order, the next image can no longer be assigned to a trigger.
    Doubt,
    /// The image without a trigger is recorded, so the next one may be judged.
    Recorded,
}

/// A message to `Line`.
#[derive(Debug)]
pub(super) enum ToLine {
    /// The result for a part.
    Judged {
        /// The part's [`Part::number`].
        number: u64,
        /// The result of judging the part.
        judged: Judged,
    },
    /// The result for an image without a trigger.
    FreeRunning {
        /// The result of judging the image.
        judged: Judged,
        /// When judging the image ended.
        at: Instant,
    },
    /// The journal's answer to an acceptance.
    Accepted {
        /// The part's [`Part::number`].
        number: u64,
        /// The receipt of the stored acceptance, or why it was not stored.
        accepted: Result<AcceptanceReceipt, JournalError>,
    },
    /// The journal's answer to a verdict.
    Committed {
        /// The part's [`Part::number`].
        number: u64,
        /// The stored row, or why it was not stored.
        committed: Result<Box<CommitReceipt>, JournalError>,
    },
    /// The journal's answer to events of the running bundle.
    Recorded(Result<Vec<EventRow>, JournalError>),
    /// The running bundle as the journal has it.
    BundleRead(Result<Option<Box<RecordedBundle>>, JournalError>),
    /// A command about the running bundle, from the control socket.
    Bundle {
        /// The command.
        request: BundleRequest,
        /// Who gave it.
        who: Who,
        /// Where the answer goes, once everything that the command changed is durable. There is room for one answer. The receiver may
        /// have given up waiting.
        answer: SyncSender<BundleAnswer>,
    },
}

/// A message to the archiver.
#[derive(Debug)]
pub(super) enum ToArchiver {
    /// Move the image of a recorded part to the archive.
    Archive {
        /// The image's file.
        image: ImageFile,
        /// The image's name in the archive: record number, part, verdict.
        name: String,
        /// The map of the image, if the network judged it.
        map: Option<LogitMap>,
    },
    /// Move images that will not be judged to the archive, under a name that starts with `unjudged-`.
    SetAside {
        /// The images' files.
        images: Vec<ImageFile>,
        /// Why the images will not be judged.
        why: Unjudged,
    },
}

/// The sending end of the judge's queue.
#[derive(Debug, Clone)]
pub(super) struct JudgeQueue(SyncSender<ToJudge>);

impl JudgeQueue {
    /// The sending and the receiving end.
    pub(super) fn new() -> (Self, Receiver<ToJudge>) {
        let (sender, receiver) = sync_channel(MAX_JUDGE_MESSAGES);
        (Self(sender), receiver)
    }

    /// Queues `message`. Returns false if the queue is full or the judge has ended.
    pub(super) fn try_send(&self, message: ToJudge) -> bool {
        self.0.try_send(message).is_ok()
    }
}

/// The sending end of `Line`'s queue.
#[derive(Debug, Clone)]
pub(super) struct LineQueue(mpsc::Sender<ToLine>);

impl LineQueue {
    /// The sending and the receiving end.
    pub(super) fn new() -> (Self, mpsc::Receiver<ToLine>) {
        let (sender, receiver) = mpsc::channel(MAX_LINE_MESSAGES);
        (Self(sender), receiver)
    }

    /// Queues `message` and blocks while the queue is full. Returns false if the port, which owns the receiving end, has ended. The
    /// port's thread must not call this: it would wait for itself.
    pub(super) fn send(&self, message: ToLine) -> bool {
        self.0.blocking_send(message).is_ok()
    }

    /// Queues `message`. Returns false if the queue is full or the port has ended.
    pub(super) fn try_send(&self, message: ToLine) -> bool {
        self.0.try_send(message).is_ok()
    }
}

/// The sending end of the archiver's queue.
#[derive(Debug, Clone)]
pub(super) struct ArchiverQueue {
    sender: SyncSender<ToArchiver>,
    shared: Arc<Shared>,
}

impl ArchiverQueue {
    /// The sending and the receiving end.
    pub(super) fn new(shared: Arc<Shared>) -> (Self, Receiver<ToArchiver>) {
        let (sender, receiver) = sync_channel(MAX_ARCHIVER_MESSAGES);
        (Self { sender, shared }, receiver)
    }

    /// Queues the image of a recorded part, with its map.
    pub(super) fn archive(&self, image: ImageFile, name: String, map: Option<LogitMap>) {
        self.send(ToArchiver::Archive { image, name, map });
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
            tracing::error!(
                event = "archiver_queue_full",
                %image,
                "the image stays in the scanner's folder: the archiver is too slow or has ended"
            );
        }
    }
}
