//! Code that tests of several crates share: paths, the product's programs, models with tiny networks, processes, simulated CUDA
//! drivers, sizes of images, a journal of schema 1, a reader of Prometheus' text format.
#![expect(missing_docs, reason = "helpers of tests, explained where they are used")]
#![expect(clippy::unwrap_used, reason = "clippy allows it in tests, but not in their helpers")]

pub mod exposition;
mod help_texts;
pub mod journal_1;
pub mod memory;
pub mod models;
mod place;
pub mod pretended;
pub mod process;
mod programs;
mod sizes;
mod skipped;
mod transcript;

pub use help_texts::help_texts;
pub use place::{root, shared};
pub use programs::{oracle, program, run, stdout_of};
pub use sizes::changing_sizes;
pub use skipped::skipped;
pub use transcript::transcript;
