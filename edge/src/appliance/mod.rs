//! The appliance: a trigger gets exactly one durable verdict.
//!
//! ```text
//!  scanner's folder --> watcher --> judge (sandbox, conversion, network, policy)
//!                                     |  result
//!  PLC <--> port: line (session, life of the part) <--> journal      archiver
//! ```
//!
//! | file | concept |
//! |---|---|
//! | `run` | all services together, until a signal ends them |
//! | `service` | the one shape of a service: run, shutdown, liveness |
//! | `messages` | the messages between services, and the bounded queues that carry them |
//! | `shared` | what all services share |
//! | `liveness` | signs of life; without them no PASS |
//! | `engine_state` | the state of the engine |
//! | `part/lifecycle` | the life of one part, without clock, channel and thread |
//! | `part/effect`, `part/judged` | what a life asks of the outside; the result of judging |
//! | `watcher` | service: which images are complete |
//! | `judge` | service: from a trigger and its image to a result |
//! | `judge/logic` | what the judge does next, without clock, channel and thread |
//! | `port` | service: the serial port, opened again when it was lost |
//! | `line` | the session with the PLC, the part in hand, verdicts that are not acknowledged; no input or output |
//! | `profile` | the session behind native frames or Modbus registers |
//! | `archiver` | service: images to the archive, old images and old verdicts away |
//! | `page` | service: metrics |
//!
//! The journal (`crate::journal`) has a thread of its own, which calls back when a request is done.
//!
//! While a worker that a PASS needs stands still, the heartbeat stops, and the PLC rejects. A worker that stays so, or panics,
//! ends the process with a status of its own, and the service manager starts it anew; the part that was in hand is then
//! recorded as REJECT/RESTARTED.

mod archiver;
mod engine_state;
mod judge;
mod line;
mod liveness;
mod messages;
mod page;
mod part;
mod port;
mod profile;
mod run;
mod service;
mod shared;
#[cfg(test)]
mod simulation;
mod watcher;

pub use run::{Ended, RunError, STUCK, activation, run};
