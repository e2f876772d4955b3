//! The control socket: a Unix socket over which a person on the device gives the running appliance commands.
//!
//! A client connects, sends one request as a line of JSON, and gets one line of JSON as the answer. `edge/README.md` describes the
//! fields. Connections are served one after the other by a thread with the lowest priority. Bytes and times are bounded, so a slow,
//! greedy or hostile client can only delay other clients. The mode of the socket's file decides who may connect.
//!
//! | file | concept |
//! |---|---|
//! | `bundle` | the commands about the running bundle, and what the appliance answers |
//! | `message` | a request and its answer as a line of JSON |
//! | `peer` | who sent a request |
//! | `place` | the socket's file: its lock, its mode, its removal |
//! | `transfer` | reads and writes one line of limited length |
//! | `server` | the appliance's side |
//! | `client` | the side of the command line |
//! | `error` | why the appliance can't listen |

mod bundle;
mod client;
mod error;
mod message;
mod peer;
mod place;
mod server;
mod transfer;

pub use bundle::{BundleAnswer, BundleRequest, BundleStatus, BundleStep, Candidate};
pub use client::{AskError, ask};
pub use error::ControlError;
pub use message::{Answer, Request, RequestError, VERSION};
pub use peer::Who;
pub(crate) use place::is_held;
pub use server::{MAX_ANSWER_TIME, MAX_REQUEST_BYTES, MAX_REQUEST_TIME, Server};
