//! Service: finds out which images are complete. A folder that was lost is watched anew as soon as it is there again.

use super::liveness::{PAUSE, Worker};
use super::messages::{ArchiverQueue, JudgeQueue, ToJudge};
use super::service::Service;
use super::shared::Shared;
use crate::acquire::{Arrival, FolderWatcher, Unjudged, WatchError};
use crate::config::Matching;
use std::path::PathBuf;
use std::sync::Arc;

/// The service that watches the scanner's folder.
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

    /// Runs until the port has ended: after a signal the part in hand still needs its image. While the folder can't be watched
    /// there is no health, hence no PASS; the process lives on.
    fn run(self) {
        let mut is_lost = false;
        while !self.shared.is_shut_down() {
            if let Err(error) = self.watch(&mut is_lost) {
                if !std::mem::replace(&mut is_lost, true) {
                    tracing::error!(%error, "not ready: the scanner's folder is lost; it is watched again once it is back");
                }
                self.shared.liveness.unable(Worker::Watcher);
                std::thread::sleep(PAUSE);
            }
        }
    }
}

impl Watcher {
    /// Watches until the folder is lost. Arrivals that were not sent by then are dropped: their files may have moved.
    fn watch(&self, is_lost: &mut bool) -> Result<(), WatchError> {
        let (mut watcher, lying) = FolderWatcher::new(&self.folder)?;
        if std::mem::take(is_lost) {
            tracing::info!(folder = %self.folder.display(), "the scanner's folder is watched again");
        }
        // Whether an image that lies here already is whole is not known yet, and which trigger it came for never will be.
        if self.matching == Matching::FreeRunning {
            watcher.settle(lying);
        } else {
            self.archiver.set_aside(lying, Unjudged::Unwatched);
        }
        let mut is_doubt_due = true;
        let (mut arrivals, mut unsent) = (Vec::new(), Vec::new());
        while !self.shared.is_shut_down() {
            is_doubt_due = is_doubt_due && !self.judge.try_send(ToJudge::Doubt);
            if is_doubt_due {
                // By order, a part must not be judged before the judge knows of the doubt.
                self.shared.liveness.unable(Worker::Watcher);
            } else {
                self.shared.liveness.idle(Worker::Watcher);
                self.send(&mut unsent);
            }
            watcher.next(PAUSE, &mut arrivals)?;
            unsent.append(&mut arrivals);
            if !is_doubt_due {
                self.send(&mut unsent);
            }
            // A trigger may have overtaken them.
            is_doubt_due |= !unsent.is_empty();
        }
        Ok(())
    }

    /// Sends arrivals in their order; those that find the judge's queue full stay.
    fn send(&self, unsent: &mut Vec<Arrival>) {
        let is_sent = |arrival: &Arrival| self.judge.try_send(ToJudge::Arrival(arrival.clone()));
        let sent = unsent.iter().take_while(|arrival| is_sent(arrival)).count();
        unsent.drain(..sent);
    }
}
