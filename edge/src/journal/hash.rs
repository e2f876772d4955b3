//! Computes the hashes of rows and anchors. The form of the hashed bytes never changes: a new form of row gets a new tag.

use super::anchor::Anchor;
use super::columns::COLUMNS;
use super::fields::Field as _;
use super::verdict_row::VerdictRow;
use cellgate_models::digest::Digest;

const GENESIS_TAG: &[u8] = b"cellgate journal 1 genesis\0";
const ROW_TAG: &[u8] = b"cellgate journal 1 row\0";
const ANCHOR_TAG: &[u8] = b"cellgate journal 1 anchor\0";

/// The previous hash of the first row and of the first anchor. It is a hash of this journal's identity.
pub(super) fn genesis(identity: &[u8; 16]) -> Digest {
    Digest::of(&[GENESIS_TAG, identity].concat())
}

/// The hash of a row, over all its values except the hash itself.
pub(super) fn of_row(record: &VerdictRow) -> Digest {
    Digest::of(&row_bytes(record))
}

/// The bytes of a row that are hashed, see JOURNAL.md.
pub(super) fn row_bytes(record: &VerdictRow) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    bytes.extend_from_slice(ROW_TAG);
    record.previous.hash(&mut bytes);
    COLUMNS.iter().for_each(|column| (column.hash)(record, &mut bytes));
    bytes
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
pub(super) mod tests {
    use super::super::verdict_row::{JournalTrigger, RowBounds, StageTimes, TriggerKind, VerdictEntry};
    use super::super::{columns, rows, schema};
    use super::*;
    use cellgate_models::policy::Verdict;
    use proptest::option::of;
    use proptest::prelude::*;
    use rusqlite::types::ToSqlOutput;
    use rusqlite::{Connection, ToSql};
    use std::collections::BTreeSet;
    use std::num::{NonZeroU32, NonZeroU64};

    /// A row with a different value in each field.
    pub(in super::super) fn row() -> VerdictRow {
        VerdictRow {
            seq: NonZeroU64::new(0x0102).unwrap(),
            boot_epoch: NonZeroU32::new(3).unwrap(),
            trigger: JournalTrigger {
                kind: TriggerKind::FreeRunning,
                part: u64::MAX - 4,
                nonce: 5,
                deadline_ms: 6,
                received_unix_ms: 7,
            },
            entry: VerdictEntry {
                trigger: NonZeroU64::new(8).unwrap(),
                verdict: Verdict::Review,
                reason: "SCORE_FROM_REVIEW".to_owned(),
                score: Some(0.5),
                model: Some([9; 32].into()),
                image: None,
                image_name: "10.tif".to_owned(),
                bounds: Some(RowBounds { low: 11, high: 12 }),
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
    fn the_hash_of_a_row_does_not_change() {
        assert_eq!(of_row(&row()).to_string(), GOLDEN);
    }

    /// A row that differs from [`row`] in each column.
    fn other_row() -> VerdictRow {
        VerdictRow {
            seq: NonZeroU64::new(0x0103).unwrap(),
            boot_epoch: NonZeroU32::new(4).unwrap(),
            trigger: JournalTrigger { kind: TriggerKind::Plc, part: 5, nonce: 6, deadline_ms: 7, received_unix_ms: 8 },
            entry: VerdictEntry {
                trigger: NonZeroU64::new(9).unwrap(),
                verdict: Verdict::Pass,
                reason: "SCORE_BELOW_REVIEW".to_owned(),
                score: Some(0.25),
                model: Some([10; 32].into()),
                image: Some([11; 32].into()),
                image_name: "11.tif".to_owned(),
                bounds: Some(RowBounds { low: 12, high: 13 }),
                age_ms: 14,
                times: StageTimes { read_us: 15, convert_us: 16, infer_us: 17, decide_us: 18 },
                simulated: false,
                degraded: true,
                detail: "nineteen".to_owned(),
            },
            committed_unix_ms: 20,
            previous: [21; 32].into(),
            hash: [1; 32].into(),
        }
    }

    #[test]
    fn the_hash_changes_with_each_column_except_its_own() {
        let (row, other) = (row(), other_row());
        let mut connection = Connection::open_in_memory().unwrap();
        schema::create(&mut connection).unwrap();
        connection.pragma_update(None, "ignore_check_constraints", true).unwrap();
        let changed = |name: &str, value: &dyn ToSql| {
            connection.execute("DELETE FROM verdict", []).unwrap();
            rows::insert_record(&connection, &row).unwrap();
            connection.execute(&format!("UPDATE verdict SET {name} = ?1"), [value]).unwrap();
            let sql = format!("SELECT {} FROM verdict", columns::names());
            of_row(&connection.query_row(&sql, [], columns::record).unwrap())
        };
        let mut hashes = BTreeSet::from([of_row(&row).to_string()]);
        for column in &COLUMNS {
            let (own, value) = ((column.store)(&row), (column.store)(&other));
            assert_ne!(own, value, "{}: give the other row another value", column.name);
            let hash = changed(column.name, &ToSqlOutput::Borrowed(value)).to_string();
            assert_eq!(hashes.insert(hash), column.name != "hash", "{}", column.name);
        }
        for name in ["score", "bundle", "bounds_low"] {
            assert!(hashes.insert(changed(name, &None::<i64>).to_string()), "{name}: no value");
        }
    }

    prop_compose! {
        fn any_row()(
            (seq, epoch, trigger, part) in (1..u64::MAX, 1..u32::MAX, 1..u64::MAX, any::<u64>()),
            (nonce, deadline_ms, received, committed) in any::<(u32, u32, i64, i64)>(),
            verdict in prop::sample::select(vec![Verdict::Pass, Verdict::Review, Verdict::Reject]),
            (reason, image_name, detail) in (".{0,80}", ".{0,300}", ".{0,600}"),
            score in of(any::<f32>()),
            (model, image, previous) in any::<(Option<[u8; 32]>, Option<[u8; 32]>, [u8; 32])>(),
            bounds in of(any::<(u16, u16)>()),
            (age_ms, times) in any::<(u32, [u32; 4])>(),
            (free_running, simulated, degraded) in any::<(bool, bool, bool)>(),
        ) -> VerdictRow {
            let entry = VerdictEntry {
                trigger: NonZeroU64::new(trigger).unwrap(),
                verdict, reason, score, image_name, age_ms, simulated, degraded, detail,
                model: model.map(Digest::from),
                image: image.map(Digest::from),
                bounds: bounds.map(|(low, high)| RowBounds { low, high }),
                times: StageTimes {
                    read_us: times[0], convert_us: times[1], infer_us: times[2], decide_us: times[3],
                },
            };
            let kind = if free_running { TriggerKind::FreeRunning } else { TriggerKind::Plc };
            let mut record = VerdictRow {
                // The store counts from 1, and SQLite's row numbers end at i64::MAX.
                seq: NonZeroU64::new(seq >> 1 | 1).unwrap(),
                boot_epoch: NonZeroU32::new(epoch).unwrap(),
                trigger: JournalTrigger { kind, part, nonce, deadline_ms, received_unix_ms: received },
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
            let sql = format!("SELECT {} FROM verdict", columns::names());
            let found = connection.query_row(&sql, [], columns::record).unwrap();
            prop_assert_eq!(&found, &record);
            prop_assert_eq!(of_row(&found), record.hash);
        }

        #[test]
        fn two_rows_that_differ_have_different_bytes(one in any_row(), other in any_row()) {
            prop_assert_eq!(one == other, row_bytes(&one) == row_bytes(&other));
        }
    }
}
