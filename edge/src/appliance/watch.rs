//! Thread: which images are complete. A folder that was lost is watched anew as soon as it is there again.

use super::beat::{PAUSE, Worker};
use super::judge::Work;
use super::keep::Chore;
use super::run::Shared;
use crate::acquire::{Unjudged, Watcher};
use crate::config::Matching;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;

/// Runs until the line has ended: after a signal the part in hand still needs its image. While the folder can't be watched the
/// heartbeat stands still, hence no PASS; the process lives on.
pub(super) fn run(folder: &Path, matching: Matching, shared: &Shared, work: &Sender<Work>, chores: &Sender<Chore>) {
    let Shared { beats, line_ended, .. } = shared;
    let mut arrivals = Vec::new();
    let mut is_lost = false;
    while !line_ended.load(Ordering::Acquire) {
        let outcome = Watcher::new(folder).and_then(|(mut watcher, lying)| {
            let _ = work.send(Work::Doubt);
            if std::mem::take(&mut is_lost) {
                tracing::info!(folder = %folder.display(), "the scanner's folder is watched again");
            }
            // Nobody knows yet whether what lies here already is whole, nor ever which trigger it came for.
            if matching == Matching::FreeRunning {
                watcher.settle(lying);
            } else {
                let _ = chores.send(Chore::SetAside { images: lying, why: Unjudged::Unwatched });
            }
            while !line_ended.load(Ordering::Acquire) {
                beats.idle(Worker::Watch);
                watcher.next(PAUSE, &mut arrivals)?;
                for arrival in arrivals.drain(..) {
                    let _ = work.send(Work::Arrival(arrival));
                }
            }
            Ok(())
        });
        if let Err(error) = outcome {
            // What it told of last may be at another place.
            arrivals.clear();
            if !std::mem::replace(&mut is_lost, true) {
                tracing::error!(%error, "not ready: the scanner's folder is lost; it is watched again once it is back");
            }
            beats.unable(Worker::Watch);
            std::thread::sleep(PAUSE);
        }
    }
}
