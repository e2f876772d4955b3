//! Threads that render ahead of the training. Each makes every n-th batch whole, so their order is the stream's, however
//! the threads are scheduled.

use super::PretrainError;
use super::stream::{Batch, Stream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Batches that wait for the training, at most, for each thread.
const QUEUE: usize = 2;

/// A batch, and what it took on its thread.
type TimedBatch = (Batch, Duration);

/// Batches in order, rendered ahead.
pub(super) struct Feed {
    receivers: Vec<Receiver<Result<TimedBatch, PretrainError>>>,
    threads: Vec<JoinHandle<()>>,
    next: usize,
}

impl Feed {
    /// The batches of `stream` from number `first` on, rendered by `threads` threads, at least one.
    pub(super) fn new(stream: &Arc<Stream>, first: u64, threads: usize) -> Self {
        let mut feed = Self { receivers: Vec::new(), threads: Vec::new(), next: 0 };
        for thread in 0..threads.max(1) {
            let (sender, receiver) = sync_channel(QUEUE);
            let stream = Arc::clone(stream);
            feed.receivers.push(receiver);
            feed.threads.push(std::thread::spawn(move || {
                let numbers = (first + thread as u64..).step_by(threads.max(1));
                // Sending fails once nobody wants any more.
                for number in numbers {
                    let start = Instant::now();
                    let batch = stream.batch(number);
                    if sender.send(batch.map(|batch| (batch, start.elapsed()))).is_err() {
                        return;
                    }
                }
            }));
        }
        feed
    }

    /// The next batch, as soon as it is there.
    ///
    /// # Errors
    /// Rendering failed.
    pub(super) fn next(&mut self) -> Result<TimedBatch, PretrainError> {
        let receiver = &self.receivers[self.next];
        self.next = (self.next + 1) % self.receivers.len();
        receiver.recv().map_err(|_| PretrainError::NoRenderer)?
    }
}

impl Drop for Feed {
    /// Waits for the batches that are being rendered.
    fn drop(&mut self) {
        self.receivers.clear();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so itself.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cellgate_models::conversion::Size;

    #[test]
    fn any_number_of_threads_gives_the_streams_order() {
        let stream = Arc::new(Stream::new(1, 2, Size { height: 32, width: 32 }));
        for threads in [1, 3] {
            let mut feed = Feed::new(&stream, 4, threads);
            for number in 4..9 {
                assert!(feed.next().unwrap().0 == stream.batch(number).unwrap(), "{threads} {number}");
            }
        }
    }
}
