//! Service: finds complete images in the scanner's folder. If the folder is lost, the service watches it again as soon as
//! it is back.

use super::liveness::{PAUSE, Worker};
use super::messages::{ArchiverQueue, JudgeQueue, ToJudge};
use super::service::Service;
use super::shared::Shared;
use crate::acquire::{Arrival, FolderWatcher, Unjudged, WatchError};
use crate::config::Matching;
use cellgate_protocol::limits::MAX_WORKER_PAUSE_MS;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long reading the content of an image may take before the watcher counts as stuck.
const MAX_READ_TIME: Duration = Duration::from_millis(MAX_WORKER_PAUSE_MS);
/// How long the watcher waits after an image's arrival before it reads the content for the digest. Most images are judged and
/// archived by then, so that reading does not slow down judging.
const READ_DELAY: Duration = Duration::from_millis(100);

/// The watcher service.
pub(super) struct Watcher {
    pub(super) folder: PathBuf,
    pub(super) matching: Matching,
    pub(super) shared: Arc<Shared>,
    pub(super) judge: JudgeQueue,
    pub(super) archiver: ArchiverQueue,
}

impl Service for Watcher {
    fn name(&self) -> &'static str {
        Worker::Watcher.name()
    }

    /// Runs until the port has ended, because after a signal the part in progress still needs its image. While the folder can't be
    /// watched there is no health, so no part passes; the process continues.
    fn run(self) {
        let mut is_lost = false;
        while !self.shared.is_shut_down() {
            if let Err(error) = self.watch(&mut is_lost) {
                if !std::mem::replace(&mut is_lost, true) {
                    tracing::error!(
                        event = "folder_lost",
                        %error,
                        "not ready: the scanner's folder is lost; it is watched again once it is back"
                    );
                }
                self.shared.liveness.unable(Worker::Watcher);
                std::thread::sleep(PAUSE);
            }
        }
    }
}

impl Watcher {
    /// Watches until the folder is lost or the appliance shuts down. When the folder is lost, arrivals that are still unsent are
    /// dropped, because their files may have moved.
    fn watch(&self, is_lost: &mut bool) -> Result<(), WatchError> {
        let (mut watcher, already_there) = FolderWatcher::new(&self.folder)?;
        if std::mem::take(is_lost) {
            let folder = self.folder.display();
            tracing::info!(event = "folder_watched_again", %folder, "the scanner's folder is watched again");
        }
        // Images that are already there may be incomplete, and the trigger that they belong to can't be known.
        if self.matching == Matching::FreeRunning {
            watcher.settle(already_there);
        } else {
            self.archiver.set_aside(already_there, Unjudged::Unwatched);
        }
        let mut is_doubt_due = true;
        let (mut arrivals, mut unsent, mut unread) = (Vec::new(), Vec::new(), VecDeque::new());
        while !self.shared.is_shut_down() {
            is_doubt_due = is_doubt_due && !self.judge.try_send(ToJudge::Doubt);
            if is_doubt_due {
                // When matching by order, no part may be judged before the judge has received `ToJudge::Doubt`.
                self.shared.liveness.unable(Worker::Watcher);
            } else {
                self.shared.liveness.idle(Worker::Watcher);
                self.send(&mut unsent);
            }
            let due = |arrival: &Arrival| (arrival.at + READ_DELAY).saturating_duration_since(Instant::now());
            let pause = unread.front().map_or(PAUSE, |arrival| due(arrival).min(PAUSE));
            watcher.next(pause, &mut arrivals)?;
            for arrival in &mut arrivals {
                self.allow_reading(is_doubt_due);
                arrival.file.read_content_if_linked();
            }
            unread.extend(arrivals.iter().cloned());
            unsent.append(&mut arrivals);
            if !is_doubt_due {
                self.send(&mut unsent);
            }
            // A trigger may have reached the judge before these arrivals, so their order is in doubt.
            is_doubt_due |= !unsent.is_empty();
            // Read at most one image in each round of this loop, so that reading does not delay later images.
            if unread.front().is_some_and(|arrival| due(arrival).is_zero())
                && let Some(arrival) = unread.pop_front()
            {
                self.allow_reading(is_doubt_due);
                arrival.file.read_content();
            }
        }
        Ok(())
    }

    /// Gives a sign of life that allows the watcher the time that reading an image takes. Gives none while a doubt is due, because
    /// there must be no health then.
    fn allow_reading(&self, is_doubt_due: bool) {
        if !is_doubt_due {
            self.shared.liveness.busy(Worker::Watcher, MAX_READ_TIME);
        }
    }

    /// Sends arrivals in order until the judge's queue is full. The rest stays in `unsent`.
    fn send(&self, unsent: &mut Vec<Arrival>) {
        let is_sent = |arrival: &Arrival| self.judge.try_send(ToJudge::Arrival(arrival.clone()));
        let sent = unsent.iter().take_while(|arrival| is_sent(arrival)).count();
        unsent.drain(..sent);
    }
}
