//! Runs the appliance, which gives each trigger exactly one durable verdict.
//!
//! ```text
//!  scanner's folder --> watcher --> judge (sandbox, conversion, network, policy)
//!                                     |  result
//!  PLC <--> port: Line (session, life of the part) <--> journal
//!                                     |  judged image
//!                                  archiver
//! ```
//!
//! Watcher, judge and port also send the archiver the images that decide no verdict.
//!
//! | file | concept |
//! |---|---|
//! | `run` | starts all services and waits until a signal ends them |
//! | `service` | the interface of every service: run, shutdown, liveness |
//! | `messages` | the messages between services, and the bounded queues that carry them |
//! | `shared` | the state that all services share |
//! | `liveness` | signs of life of the workers, which are the supervised threads; without them no part passes |
//! | `engine_state` | the state of the engine |
//! | `part/lifecycle` | the life of one part; pure logic without clock, channel or thread |
//! | `part/effect` | requests of a life to the journal and the archiver |
//! | `part/judged` | the result of judging a part |
//! | `bundle` | the running bundle, its reference parts, and the rule of each part; pure logic without clock, channel or thread |
//! | `watcher` | service: finds complete images |
//! | `judge` | service: judges the image of each trigger |
//! | `judge/logic` | what the judge does next; pure logic without clock, channel or thread |
//! | `port` | service: the serial port, reopened after a loss |
//! | `line` | the type `Line`, the appliance's side of the link: the session with the PLC, the part in progress, verdicts that the PLC has not acknowledged; no I/O of its own |
//! | `profile` | carries the session over native frames or Modbus registers |
//! | `archiver` | service: moves images to the archive, deletes old images and old verdicts |
//! | `page` | service: serves the metrics for Prometheus |
//! | `control` | service: passes commands from the control socket to `line` |
//!
//! The journal (`crate::journal`) has its own thread, which calls back when a request is done.
//!
//! The heartbeat stops while a worker that a PASS depends on is stuck. The PLC then rejects every part. If the worker stays stuck
//! or panics, the process ends with exit status 70 and the service manager restarts it. The part that was in progress is then
//! recorded as REJECT/RESTARTED.

mod archiver;
mod bundle;
mod control;
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
