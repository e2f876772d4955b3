//! The stages of judging, and how long each took.

use std::time::Duration;

/// A stage of judging that takes time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The file to memory, and decoding.
    Read,
    /// The radiograph to the network's input.
    Convert,
    /// The network.
    Infer,
}

/// How long each stage took; zero for a stage that was not reached.
#[derive(Debug, Default, Clone, Copy)]
pub struct Times {
    /// The file to memory, decoding, and what of its digest is left when the score is there.
    pub read: Duration,
    /// The radiograph to the network's input.
    pub convert: Duration,
    /// The network.
    pub infer: Duration,
    /// The thresholds.
    pub decide: Duration,
}

impl Times {
    /// All stages.
    pub fn total(&self) -> Duration {
        self.read + self.convert + self.infer + self.decide
    }
}
