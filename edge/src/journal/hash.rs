//! Computes the hashes of rows, events and anchors. The forms of the hashed bytes never change: a new form gets a new tag.

use super::anchor::Anchor;
use super::event::EventRow;
use super::event_columns::EVENT_COLUMNS;
use super::form::RowForm;
use super::verdict_row::VerdictRow;
use super::{column, columns};
use cellgate_models::digest::Digest;

const GENESIS_TAG: &[u8] = b"cellgate journal 1 genesis\0";
const ROW_TAG_1: &[u8] = b"cellgate journal 1 row\0";
const ROW_TAG_2: &[u8] = b"cellgate journal 2 row\0";
const ANCHOR_TAG: &[u8] = b"cellgate journal 1 anchor\0";
const EVENT_GENESIS_TAG: &[u8] = b"cellgate journal 2 event genesis\0";
const EVENT_TAG: &[u8] = b"cellgate journal 2 event\0";

/// The previous hash of the first row and of the first anchor. It is a hash of this journal's identity.
pub(super) fn genesis(identity: &[u8; 16]) -> Digest {
    Digest::of(&[GENESIS_TAG, identity].concat())
}

/// The previous hash of the first event. It is another hash of this journal's identity.
pub(super) fn event_genesis(identity: &[u8; 16]) -> Digest {
    Digest::of(&[EVENT_GENESIS_TAG, identity].concat())
}

/// The hash of a row, over all its values except the hash itself.
pub(super) fn of_row(record: &VerdictRow) -> Digest {
    Digest::of(&row_bytes(record))
}

/// The bytes of a row that are hashed, see JOURNAL.md.
fn row_bytes(record: &VerdictRow) -> Vec<u8> {
    let tag = match record.form {
        RowForm::One => ROW_TAG_1,
        RowForm::Two => ROW_TAG_2,
    };
    column::bytes(tag, &record.previous, columns::of_form(record.form), record)
}

/// The hash of an event, over all its values except the hash itself.
pub(super) fn of_event(event: &EventRow) -> Digest {
    Digest::of(&column::bytes(EVENT_TAG, &event.previous, &EVENT_COLUMNS, event))
}

/// The hash of an anchor, over all its values except the hash itself.
pub(super) fn of_anchor(anchor: &Anchor) -> Digest {
    let Anchor { number, previous, first_kept, last_pruned, pruned_rows, pruned_unix_ms, hash: _ } = anchor;
    let mut bytes = ANCHOR_TAG.to_vec();
    bytes.extend_from_slice(previous.as_bytes());
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes.extend_from_slice(&first_kept.get().to_le_bytes());
    bytes.extend_from_slice(last_pruned.as_bytes());
    bytes.extend_from_slice(&pruned_rows.to_le_bytes());
    bytes.extend_from_slice(&pruned_unix_ms.to_le_bytes());
    Digest::of(&bytes)
}

#[cfg(test)]
pub(super) mod tests;
