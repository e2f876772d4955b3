//! Renders batches ahead of the training, in threads. Each of n threads renders every n-th block of batches, so the order of
//! the batches does not depend on scheduling.

use super::PretrainError;
use super::stream::{Batch, Stream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The batches of a block, and the time that a thread took to render it.
type TimedBlock = (Vec<Batch>, Duration);

/// Batches in order, rendered ahead of the training.
pub(super) struct Feed {
    receivers: Vec<Receiver<Result<TimedBlock, PretrainError>>>,
    threads: Vec<JoinHandle<()>>,
    /// Index of the thread that renders the next block.
    next: usize,
    /// The batches of the current block that are still to come, in reverse order.
    batches: Vec<Batch>,
    /// The time of the current block's rendering, divided by its number of batches.
    time_each: Duration,
    /// How many batches of the next block are skipped.
    skipped: usize,
}

impl Feed {
    /// Renders the batches of `stream` from number `first` on. Uses `threads` threads, at least one. Each keeps at most one
    /// block.
    pub(super) fn new(stream: &Arc<Stream>, first: u64, threads: usize) -> Self {
        let block_len = stream.block_len() as u64;
        let skipped = (first % block_len) as usize;
        let (receivers, batches, time_each) = (Vec::new(), Vec::new(), Duration::ZERO);
        let mut feed = Self { receivers, threads: Vec::new(), next: 0, batches, time_each, skipped };
        for thread in 0..threads.max(1) {
            // Without a queue, a thread waits with its block until the feed takes it.
            let (sender, receiver) = sync_channel(0);
            let stream = Arc::clone(stream);
            feed.receivers.push(receiver);
            feed.threads.push(std::thread::spawn(move || {
                let numbers = (first / block_len + thread as u64..).step_by(threads.max(1));
                for number in numbers {
                    let start = Instant::now();
                    let block = stream.block(number);
                    // Sending fails once the feed is dropped.
                    if sender.send(block.map(|block| (block, start.elapsed()))).is_err() {
                        return;
                    }
                }
            }));
        }
        feed
    }

    /// Waits for the next batch. Also returns its share of the time that a thread took to render its block.
    ///
    /// # Errors
    /// Rendering failed, or the rendering thread panicked.
    pub(super) fn next(&mut self) -> Result<(Batch, Duration), PretrainError> {
        loop {
            if let Some(batch) = self.batches.pop() {
                return Ok((batch, self.time_each));
            }
            let receiver = &self.receivers[self.next];
            self.next = (self.next + 1) % self.receivers.len();
            let (mut block, took) = receiver.recv().map_err(|_| PretrainError::NoRenderer)??;
            self.time_each = took / block.len().max(1) as u32;
            block.reverse();
            block.truncate(block.len() - std::mem::take(&mut self.skipped));
            self.batches = block;
        }
    }
}

impl Drop for Feed {
    /// Waits until each thread has rendered its current block and ended.
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
    fn any_number_of_threads_and_any_start_give_the_same_order() {
        let stream = Arc::new(Stream::new(1, 2, Size { height: 32, width: 32 }, 3));
        let expected: Vec<Batch> = (0..4).flat_map(|number| stream.block(number).unwrap()).collect();
        for (threads, first) in [(1, 0), (3, 4), (2, 6)] {
            let mut feed = Feed::new(&stream, first, threads);
            for (number, expected) in expected.iter().enumerate().skip(first as usize) {
                assert!(feed.next().unwrap().0 == *expected, "{threads} {first} {number}");
            }
        }
    }
}
