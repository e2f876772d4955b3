//! Decodes untrusted image files in a child process that can only compute.
//!
//! The program starts itself again as `decode-worker`. Over two pipes it sends the bytes of a file and receives levels or a
//! refusal. The parent never parses an image. A hostile file may take over the worker, so the parent checks every answer. A
//! worker that hangs, dies or sends an impossible answer is killed and replaced.
//!
//! | file | concept |
//! |---|---|
//! | `options.rs` | options |
//! | `parent.rs` | one image after another, each with a deadline |
//! | `process.rs` | the worker as the parent sees it: start, exchange, end |
//! | `timed.rs` | reading and writing pipes with a deadline |
//! | `wire.rs` | the messages on the pipes |
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
