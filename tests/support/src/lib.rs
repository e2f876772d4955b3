//! What tests of several crates share: where things are, our programs, models with tiny networks, processes, a CUDA driver that
//! only pretends, a reader of Prometheus' text.
#![expect(missing_docs, reason = "what a test reads stands with the test")]
#![expect(clippy::unwrap_used, reason = "clippy knows the tests themselves, not their helpers")]

pub mod exposition;
pub mod memory;
pub mod models;
mod place;
pub mod pretended;
pub mod process;
mod programs;
mod skipped;
mod transcript;

pub use place::{root, shared};
pub use programs::{oracle, program, run, stdout_of};
pub use skipped::skipped;
pub use transcript::transcript;
