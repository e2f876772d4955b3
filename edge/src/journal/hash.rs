//! The bytes that are hashed, and the hashes. This never changes: a new form of row gets a new tag.

use super::record::{Record, TriggerKind};
use super::verify::Anchor;
use cellgate_models::digest::Digest;
use cellgate_models::policy::Verdict;

const GENESIS_TAG: &[u8] = b"cellgate journal 1 genesis\0";
const ROW_TAG: &[u8] = b"cellgate journal 1 row\0";
const ANCHOR_TAG: &[u8] = b"cellgate journal 1 anchor\0";

/// What the first row, and the first anchor, have as the hash before: bound to this journal's identity.
pub(super) fn genesis(identity: &[u8; 16]) -> Digest {
    Digest::of(&[GENESIS_TAG, identity].concat())
}

/// The hash of a row, over everything that it says but the hash itself.
pub(super) fn of_row(record: &Record) -> Digest {
    Digest::of(&row_bytes(record))
}

/// The canonical bytes of a row, see JOURNAL.md.
pub(super) fn row_bytes(record: &Record) -> Vec<u8> {
    let Record { seq, boot_epoch, trigger, entry, committed_unix_ms, previous, hash: _ } = record;
    let mut bytes = Vec::with_capacity(512);
    bytes.extend_from_slice(ROW_TAG);
    bytes.extend_from_slice(previous.as_bytes());
    bytes.extend_from_slice(&seq.get().to_le_bytes());
    bytes.extend_from_slice(&boot_epoch.get().to_le_bytes());
    bytes.extend_from_slice(&entry.trigger.get().to_le_bytes());
    bytes.push(match trigger.kind {
        TriggerKind::Plc => 1,
        TriggerKind::FreeRunning => 2,
    });
    bytes.extend_from_slice(&trigger.part.to_le_bytes());
    bytes.extend_from_slice(&trigger.nonce.to_le_bytes());
    bytes.extend_from_slice(&trigger.deadline_ms.to_le_bytes());
    bytes.extend_from_slice(&trigger.received_unix_ms.to_le_bytes());
    bytes.extend_from_slice(&committed_unix_ms.to_le_bytes());
    bytes.extend_from_slice(&entry.age_ms.to_le_bytes());
    bytes.push(match entry.verdict {
        Verdict::Pass => 1,
        Verdict::Review => 2,
        Verdict::Reject => 3,
    });
    text(&mut bytes, &entry.reason);
    optional(&mut bytes, entry.score.map(|score| score.to_bits().to_le_bytes()).as_ref().map(|b| &b[..]));
    optional(&mut bytes, entry.bundle.as_ref().map(|digest| &digest.as_bytes()[..]));
    optional(&mut bytes, entry.image.as_ref().map(|digest| &digest.as_bytes()[..]));
    text(&mut bytes, &entry.image_name);
    let bounds = entry.bounds.map(|b| [b.low.to_le_bytes(), b.high.to_le_bytes()].concat());
    optional(&mut bytes, bounds.as_deref());
    for time in [entry.times.read_us, entry.times.convert_us, entry.times.infer_us, entry.times.decide_us] {
        bytes.extend_from_slice(&time.to_le_bytes());
    }
    bytes.push(u8::from(entry.simulated) | u8::from(entry.degraded) << 1);
    text(&mut bytes, &entry.detail);
    bytes
}

/// The hash of an anchor, over everything that it says but the hash itself.
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

/// A text: its length in bytes, 4 bytes, then the bytes.
fn text(bytes: &mut Vec<u8>, text: &str) {
    // Texts are bounded far below 4 GiB when they enter, and a row that holds more can't have been written here.
    bytes.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

/// Something of known length that may be absent: a byte 0, or a byte 1 and the bytes.
fn optional(bytes: &mut Vec<u8>, value: Option<&[u8]>) {
    bytes.push(u8::from(value.is_some()));
    bytes.extend_from_slice(value.unwrap_or_default());
}
