//! The appliance: a trigger gets exactly one durable verdict.
//!
//! ```text
//!  scanner's folder --> watch --> judge (sandbox, conversion, network, policy)
//!                                   |  what was found out
//!  PLC <--> port <--> line (session) <--> record (journal)      keep (archive, retention)
//! ```
//!
//! | file | concept |
//! |---|---|
//! | `beat` | signs of life; without them no PASS |
//! | `part` | what is found out about a part, in the words of policy, wire and journal |
//! | `watch` | thread: which images are complete |
//! | `judge` | thread: from a trigger and its image to what was found out |
//! | `record` | thread: acceptance and verdict into the journal, and what follows when that fails |
//! | `keep` | thread: images to the archive, old ones and old verdicts away |
//! | `line` | the session with the PLC, fed bytes, times and what the threads tell; no input or output |
//! | `line/delivery` | from the stored verdict to the PLC's acknowledgement |
//! | `profile` | the session behind native frames or Modbus registers |
//! | `port` | the serial port: bytes in and out, opened again when it was lost |
//! | `run` | all of them together, until a signal ends them |
//!
//! A thread that stands still takes the heartbeat with it, and the PLC rejects. One that stays so, or panics, ends the
//! process with a status of its own, and the service manager starts it anew; what was in hand is then recorded as
//! REJECT/RESTARTED.

mod beat;
mod judge;
mod keep;
mod line;
mod part;
mod port;
mod profile;
mod record;
mod run;
mod watch;

pub use run::{Ended, RunError, STUCK, activation, run};
