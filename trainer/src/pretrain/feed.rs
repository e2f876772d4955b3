//! Renders batches ahead of the training, in threads. Each of n threads renders every n-th batch, so the order of the
//! batches does not depend on scheduling.

use super::PretrainError;
use super::stream::{Batch, Stream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Capacity of each thread's queue of finished batches. A thread whose queue is full keeps one more finished batch and
/// waits.
const QUEUE: usize = 2;

/// A batch, and the time that its thread took to render it.
type TimedBatch = (Batch, Duration);

/// Batches in order, rendered ahead of the training.
pub(super) struct Feed {
    receivers: Vec<Receiver<Result<TimedBatch, PretrainError>>>,
    threads: Vec<JoinHandle<()>>,
    /// Index of the thread that renders the next batch.
    next: usize,
}

impl Feed {
    /// Renders the batches of `stream` from number `first` on. Uses `threads` threads, at least one.
    pub(super) fn new(stream: &Arc<Stream>, first: u64, threads: usize) -> Self {
        let mut feed = Self { receivers: Vec::new(), threads: Vec::new(), next: 0 };
        for thread in 0..threads.max(1) {
            let (sender, receiver) = sync_channel(QUEUE);
            let stream = Arc::clone(stream);
            feed.receivers.push(receiver);
            feed.threads.push(std::thread::spawn(move || {
                let numbers = (first + thread as u64..).step_by(threads.max(1));
                for number in numbers {
                    let start = Instant::now();
                    let batch = stream.batch(number);
                    // Sending fails once the feed is dropped.
                    if sender.send(batch.map(|batch| (batch, start.elapsed()))).is_err() {
                        return;
                    }
                }
            }));
        }
        feed
    }

    /// Waits for the next batch.
    ///
    /// # Errors
    /// Rendering failed, or the rendering thread panicked.
    pub(super) fn next(&mut self) -> Result<TimedBatch, PretrainError> {
        let receiver = &self.receivers[self.next];
        self.next = (self.next + 1) % self.receivers.len();
        receiver.recv().map_err(|_| PretrainError::NoRenderer)?
    }
}

impl Drop for Feed {
    /// Waits until each thread has rendered its current batch and ended.
    fn drop(&mut self) {
        self.receivers.clear();
        for thread in self.threads.drain(..) {
            // A panic was already reported on stderr.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cellgate_models::conversion::Size;

    #[test]
    fn any_number_of_threads_gives_the_same_order() {
        let stream = Arc::new(Stream::new(1, 2, Size { height: 32, width: 32 }));
        for threads in [1, 3] {
            let mut feed = Feed::new(&stream, 4, threads);
            for number in 4..9 {
                assert!(feed.next().unwrap().0 == stream.batch(number).unwrap(), "{threads} {number}");
            }
        }
    }
}
