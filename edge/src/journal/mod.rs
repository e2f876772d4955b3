//! Keeps the journal: a file with one durable, hash-chained terminal record for every accepted trigger, and with the events of the
//! bundles.
//!
//! `JOURNAL.md` beside this crate's README documents the files, the hashed bytes, and what the chain proves.
//!
//! | call | when |
//! |---|---|
//! | [`Journal::open`] | at the start; records REJECT/RESTARTED for parts without a verdict before anything else is accepted |
//! | [`Journal::accept`] | before BUSY is sent |
//! | [`Journal::commit`] | before the verdict is sent |
//! | [`Journal::record_then`] | before an event has an effect |

mod anchor;
mod bad_row;
mod column;
mod columns;
mod error;
mod event;
mod event_columns;
mod export;
mod exported;
mod fields;
pub(crate) mod figures;
mod files;
mod form;
mod handle;
mod hash;
mod holders;
mod index;
mod options;
mod place;
mod reader;
mod readonly;
mod recompute;
mod recorded_bundle;
mod replay;
mod request;
mod retention;
mod room;
mod row_features;
mod row_regions;
mod row_rule;
mod rows;
mod rule_columns;
mod schema;
mod store;
mod take_over;
mod time;
mod values;
mod verdict_row;
mod verify;
mod verify_events;
mod writer;

pub use anchor::Anchor;
pub use bad_row::BadRow;
pub use error::JournalError;
pub use event::{EventEntry, EventKind, EventRow, MAX_FIGURES_BYTES, MAX_WHO_BYTES, MAX_WHY_BYTES};
pub use export::{ExportLine, exported_event_columns, exported_row_columns};
pub use exported::Exported;
pub(crate) use files::{files_of, folder_of, is_held, lock_of};
pub use form::RowForm;
pub use handle::Journal;
pub use options::{JournalHealth, JournalOptions, Recovery, Retention};
pub use reader::{Filter, Reader, Scope};
pub use readonly::Source;
pub use recompute::Recomputed;
pub use recorded_bundle::RecordedBundle;
pub use retention::Pruned;
pub use row_features::RowFeatures;
pub use row_regions::RowRegions;
pub use row_rule::RowRule;
pub use time::{ParseTimeError, format_utc_ms, now_unix_ms, parse_utc_ms};
pub use verdict_row::{
    AcceptanceReceipt, CommitReceipt, JournalTrigger, MAX_DETAIL_BYTES, MAX_NAME_BYTES, MAX_REASON_BYTES, OpenPart,
    RESTARTED, RowBounds, StageTimes, TriggerKind, VerdictEntry, VerdictRow,
};
pub use verify::Report;
