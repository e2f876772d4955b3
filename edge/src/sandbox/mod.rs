//! Decodes untrusted image files in a child process that can only compute.
//!
//! The program starts itself again as `decode-worker` and talks to it over two pipes: a file's bytes go in, levels or a refusal
//! come out. The parent never parses an image. It checks every answer, because a hostile file may have taken over the worker.
//! A worker that hangs, dies or sends an invalid answer is killed and replaced.
//!
//! | file | concept |
//! |---|---|
//! | `options.rs` | settings |
//! | `parent.rs` | one image after another, each with a deadline |
//! | `process.rs` | the worker's process: start, exchange, end |
//! | `timed.rs` | reading and writing pipes with a deadline |
//! | `wire.rs` | the format of the messages |
//! | `worker.rs` | the child's side |
//! | `protect/` | the rights that the child gives up before the first image |
//! | `error.rs` | errors |

mod error;
mod options;
mod parent;
mod process;
pub mod protect;
mod timed;
mod wire;
pub mod worker;

pub use error::{SandboxError, SandboxFailure};
pub use options::{OWN_PROGRAM, SandboxOptions};
pub use parent::Sandbox;
pub use protect::{Protection, Protections};
