//! Thread: which images are complete. A folder that was lost is watched anew as soon as it is there again.

use super::beat::{PAUSE, Worker};
use super::judge::Work;
use super::keep::Chore;
use super::run::Shared;
use crate::acquire::{Settling, Unjudged, Watcher, present};
use crate::config::Matching;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::time::Instant;

/// Runs until the line has ended: after a signal the part in hand still needs its image. While the folder can't be watched there is no sign of life, hence no PASS.
pub(super) fn run(folder: &Path, matching: Matching, shared: &Shared, work: &Sender<Work>, chores: &Sender<Chore>) {
    let Shared { beats, line_ended, .. } = shared;
    let mut arrivals = Vec::new();
    while !line_ended.load(Ordering::Acquire) {
        let outcome = Watcher::new(folder).and_then(|mut watcher| {
            // Nobody knows yet whether what lies here already is whole, nor ever which trigger it came for.
            let lying = present(folder)?;
            let mut settling = Settling::default();
            if matching == Matching::FreeRunning {
                settling = Settling::new(lying, Instant::now());
            } else {
                let _ = chores.send(Chore::SetAside { paths: lying, why: Unjudged::Unwatched });
            }
            while !line_ended.load(Ordering::Acquire) {
                beats.idle(Worker::Watch);
                watcher.next(PAUSE, &mut arrivals)?;
                settling.look(Instant::now(), &mut arrivals);
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
