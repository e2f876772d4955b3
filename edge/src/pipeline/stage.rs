//! Names the stages of judging and holds their times.

use std::time::Duration;

/// A stage of judging that a supervisor must know about. Deciding is so short that it is not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Reading the file, decoding and measuring it, and waiting for its digest.
    Read,
    /// Converting the radiograph to the network's input.
    Convert,
    /// Running the network.
    Infer,
}

/// The time of each stage. Zero for a stage that was not reached.
#[derive(Debug, Default, Clone, Copy)]
pub struct Times {
    /// Reading the file, decoding and measuring it, and waiting for the digest after the score is known.
    pub read: Duration,
    /// The CPU's part of the copy to the GPU: copies the levels to pinned memory, and prepares the conversion for a new size. Zero if
    /// the CPU converts. The GPU copies at the same time. What it still has to copy at the end, at most 2 MiB, is in no stage's time.
    pub upload: Duration,
    /// Converting the radiograph to the network's input; on the GPU by its clock.
    pub convert: Duration,
    /// Running the network.
    pub infer: Duration,
    /// Applying the policy.
    pub decide: Duration,
}

impl Times {
    /// The sum of all stages.
    pub fn total(&self) -> Duration {
        self.read + self.upload + self.convert + self.infer + self.decide
    }
}
