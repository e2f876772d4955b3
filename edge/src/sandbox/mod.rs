//! Decoding of untrusted image files in a child process that may do nothing but compute.
//!
//! The program starts itself again as `decode-worker` and talks with it over two pipes: bytes of a file in, levels or a
//! refusal out. The parent never parses an image. Whatever the worker answers is checked, since it is trusted no longer
//! once it has seen a hostile file; a worker that hangs, dies or answers nonsense is killed and replaced.
//!
//! | file | concept |
//! |---|---|
//! | `options.rs` | what may be set |
//! | `parent.rs` | one image after another, each with a deadline |
//! | `process.rs` | the worker as the parent sees it: start, exchange, end |
//! | `timed.rs` | pipes read and written up to a deadline |
//! | `wire.rs` | what goes over the pipes |
//! | `worker.rs` | the child's side |
//! | `protect/` | what the child gives up before the first image |
//! | `error.rs` | what can go wrong |

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
