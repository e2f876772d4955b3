//! Keeps the running bundle: which bundle each part belongs to, by which rule it is judged, and which of its parts are confirmed as
//! reference parts. This is pure logic without clock, thread or I/O. `Line` stores the events and reports the answers.
//!
//! ```text
//!            a trigger names the bundle, or a person starts it
//! no bundle ---------------------------------------------------> Reference --- enough parts confirmed --+--> Offset
//!     ^                                                              ^                                  |
//!     |  a trigger names no bundle, or a person ends it              |  too many parts, too old         +--> UnlikeTraining
//!     +------------------------------- from each step ---------------+                                    (the guard refused)
//! ```
//!
//! | promise | how it is kept |
//! |---|---|
//! | No part is judged with the offset of another bundle than its own | A part gets its bundle and its rule when its trigger comes, and carries both to the judge and into the journal |
//! | While reference parts are judged, no part passes | The rule of this phase lets no part pass. A bundle is not ended by hand while a part of it is in progress |
//! | No start is lost | The events of a start are in the same transaction as the acceptance of the first part |
//! | An offset applies only when it is stored | The state changes by events that the journal confirmed, and by nothing else |
//! | After a restart, the bundle is as before | The state follows from events and rows of the journal. After a failure of the journal it is read again before the next trigger is accepted |
//!
//! | file | concept |
//! |---|---|
//! | `bundles` | keeps the bundle and who waits for an answer, and decides which bundle a part belongs to |
//! | `decide` | decides about confirmations and requests |
//! | `running` | the running bundle, which follows from events and rows |
//! | `settings` | the settings, from configuration and model |

mod bundles;
mod decide;
mod running;
mod settings;

pub(super) use bundles::{BundleEffect, BundleView, Bundles, Entry, PartRule, StartFailed};
pub(super) use settings::BundleSettings;

#[cfg(test)]
pub(super) mod tests;
