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

#[cfg(test)]
mod tests {
    use super::super::record::{Bounds, Entry, StageTimes, Trigger};
    use super::super::{rows, schema};
    use super::*;
    use proptest::option::of;
    use proptest::prelude::*;
    use rusqlite::Connection;
    use std::num::{NonZeroU32, NonZeroU64};

    /// A row with a different value in each field.
    fn row() -> Record {
        Record {
            seq: NonZeroU64::new(0x0102).unwrap(),
            boot_epoch: NonZeroU32::new(3).unwrap(),
            trigger: Trigger {
                kind: TriggerKind::FreeRunning,
                part: u64::MAX - 4,
                nonce: 5,
                deadline_ms: 6,
                received_unix_ms: 7,
            },
            entry: Entry {
                trigger: NonZeroU64::new(8).unwrap(),
                verdict: Verdict::Review,
                reason: "SCORE_FROM_REVIEW".to_owned(),
                score: Some(0.5),
                bundle: Some([9; 32].into()),
                image: None,
                image_name: "10.tif".to_owned(),
                bounds: Some(Bounds { low: 11, high: 12 }),
                age_ms: 13,
                times: StageTimes { read_us: 14, convert_us: 15, infer_us: 16, decide_us: 17 },
                simulated: true,
                degraded: false,
                detail: "eighteen".to_owned(),
            },
            committed_unix_ms: -19,
            previous: [20; 32].into(),
            hash: [0; 32].into(),
        }
    }

    /// Computed in Python (struct, hashlib) from the table in JOURNAL.md alone. Never to be edited.
    const GOLDEN: &str = "4da6b004c9369b72fce7a7519c25e2a0d837e8b8a825dd7c50132abef019e186";

    #[test]
    fn the_hash_of_a_row_never_drifts() {
        assert_eq!(of_row(&row()).to_string(), GOLDEN);
    }

    prop_compose! {
        fn any_row()(
            (seq, epoch, trigger, part) in (1..u64::MAX, 1..u32::MAX, 1..u64::MAX, any::<u64>()),
            (nonce, deadline_ms, received, committed) in any::<(u32, u32, i64, i64)>(),
            verdict in prop::sample::select(vec![Verdict::Pass, Verdict::Review, Verdict::Reject]),
            (reason, image_name, detail) in (".{0,80}", ".{0,300}", ".{0,600}"),
            score in of(any::<f32>()),
            (bundle, image, previous) in any::<(Option<[u8; 32]>, Option<[u8; 32]>, [u8; 32])>(),
            bounds in of(any::<(u16, u16)>()),
            (age_ms, times) in any::<(u32, [u32; 4])>(),
            (free_running, simulated, degraded) in any::<(bool, bool, bool)>(),
        ) -> Record {
            let entry = Entry {
                trigger: NonZeroU64::new(trigger).unwrap(),
                verdict, reason, score, image_name, age_ms, simulated, degraded, detail,
                bundle: bundle.map(Digest::from),
                image: image.map(Digest::from),
                bounds: bounds.map(|(low, high)| Bounds { low, high }),
                times: StageTimes {
                    read_us: times[0], convert_us: times[1], infer_us: times[2], decide_us: times[3],
                },
            };
            let kind = if free_running { TriggerKind::FreeRunning } else { TriggerKind::Plc };
            let mut record = Record {
                // The store counts from 1; a journal of more than i64::MAX rows can't be.
                seq: NonZeroU64::new(seq >> 1 | 1).unwrap(),
                boot_epoch: NonZeroU32::new(epoch).unwrap(),
                trigger: Trigger { kind, part, nonce, deadline_ms, received_unix_ms: received },
                entry: entry.bounded(),
                committed_unix_ms: committed,
                previous: previous.into(),
                hash: previous.into(),
            };
            record.hash = of_row(&record);
            record
        }
    }

    proptest! {
        #[test]
        fn a_row_survives_the_table_with_its_hash(record in any_row()) {
            let mut connection = Connection::open_in_memory().unwrap();
            schema::create(&mut connection).unwrap();
            rows::insert_record(&connection, &record).unwrap();
            let sql = format!("SELECT {} FROM verdict", rows::VERDICT_COLUMNS);
            let found = connection.query_row(&sql, [], rows::record).unwrap();
            prop_assert_eq!(&found, &record);
            prop_assert_eq!(of_row(&found), record.hash);
        }

        #[test]
        fn two_rows_that_differ_have_different_bytes(one in any_row(), other in any_row()) {
            prop_assert_eq!(one == other, row_bytes(&one) == row_bytes(&other));
        }
    }
}
