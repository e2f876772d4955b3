//! Thread: which images are complete. A folder that was lost is watched anew as soon as it is there again.

use super::beat::{PAUSE, Worker};
use super::judge::Work;
use super::keep::Chore;
use super::run::Shared;
use crate::acquire::{Unjudged, Watcher, present};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;

/// Runs until `stop`. While the folder can't be watched there is no sign of life, hence no PASS.
pub(super) fn run(folder: &Path, shared: &Shared, work: &Sender<Work>, chores: &Sender<Chore>) {
    let Shared { beats, stop, .. } = shared;
    let mut arrivals = Vec::new();
    while !stop.load(Ordering::Acquire) {
        let outcome = Watcher::new(folder).and_then(|mut watcher| {
            // Nobody knows whether what lies here already is whole, or whose it is.
            let _ = chores.send(Chore::SetAside { paths: present(folder)?, why: Unjudged::Unwatched });
            while !stop.load(Ordering::Acquire) {
                beats.idle(Worker::Watch);
                watcher.next(PAUSE, &mut arrivals)?;
                for arrival in arrivals.drain(..) {
                    let _ = work.send(Work::Arrival(arrival));
                }
            }
            Ok(())
        });
        if let Err(error) = outcome {
            tracing::error!(%error, "no images: trying again");
            std::thread::sleep(PAUSE);
        }
    }
}
