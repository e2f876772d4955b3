//! Decodes untrusted image files in a child process that can compute and use two pipes, and nothing else.
//!
//! The program starts itself again as a child process, the decode worker, and talks to it over two pipes: a
//! file's bytes go in, levels or a refusal come out. The parent never parses an image. It checks every answer, because a
//! hostile file may have taken over the decode worker. A decode worker that hangs, dies or sends an invalid answer is killed and
//! replaced.
//!
//! | file | content |
//! |---|---|
//! | `options.rs` | settings |
//! | `parent.rs` | sends one image after another, each with a deadline, and replaces a failed decode worker |
//! | `process.rs` | starts the decode worker's process, exchanges messages with it, and ends it |
//! | `timed.rs` | reads and writes pipes with a deadline |
//! | `wire.rs` | the format of the messages |
//! | `worker.rs` | the decode worker itself: what the child process does |
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
