//! Keeps the journal: a file with one durable, hash-chained terminal record for every accepted trigger.
//!
//! `JOURNAL.md` beside this crate's README documents the files, the hashed bytes, and what the chain proves.
//!
//! | call | when |
//! |---|---|
//! | [`Journal::open`] | at the start; records REJECT/RESTARTED for parts without a verdict before anything else is accepted |
//! | [`Journal::accept`] | before BUSY is sent |
//! | [`Journal::commit`] | before the verdict is sent |

mod anchor;
mod columns;
mod error;
mod export;
mod fields;
mod files;
mod handle;
mod hash;
mod holders;
mod index;
mod options;
mod place;
mod reader;
mod readonly;
mod retention;
mod room;
mod rows;
mod schema;
mod store;
mod time;
mod values;
mod verdict_row;
mod verify;
mod writer;

pub use anchor::Anchor;
pub use error::JournalError;
pub use export::ExportLine;
pub use fields::Exported;
pub(crate) use files::{files_of, folder_of, is_held};
pub use handle::Journal;
pub use options::{JournalHealth, JournalOptions, Recovery, Retention};
pub use reader::{Filter, Reader};
pub use readonly::Source;
pub use retention::Pruned;
pub use time::{ParseTimeError, format_utc_ms, now_unix_ms, parse_utc_ms};
pub use verdict_row::{
    AcceptanceReceipt, CommitReceipt, JournalTrigger, MAX_DETAIL_BYTES, MAX_NAME_BYTES, MAX_REASON_BYTES, OpenPart,
    RESTARTED, RowBounds, StageTimes, TriggerKind, VerdictEntry, VerdictRow,
};
pub use verify::{BadRow, Report};
