use super::super::columns::COLUMNS;
use super::super::event::tests::event;
use super::super::form::Schema;
use super::super::row_features::RowFeatures;
use super::super::row_regions::RowRegions;
use super::super::row_rule::RowRule;
use super::super::verdict_row::{JournalTrigger, RowBounds, StageTimes, TriggerKind, VerdictEntry};
use super::super::{event_columns, rows, schema};
use super::*;
use cellgate_models::engine::WhitenedFeatures;
use cellgate_models::evidence::{Pixel, Region};
use cellgate_models::policy::{Calibration, OperatingPoint, Verdict};
use proptest::option::of;
use proptest::prelude::*;
use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, ToSql};
use std::collections::BTreeSet;
use std::num::{NonZeroU32, NonZeroU64};

/// A rule with these numbers: offset, thresholds, slope and intercept, largest distance.
pub(in super::super) fn rule(
    offset: f64,
    thresholds: [f64; 2],
    [slope, intercept]: [f64; 2],
    largest: Option<f64>,
) -> RowRule {
    let point = OperatingPoint::new(thresholds, Calibration { slope, intercept }).unwrap();
    let checked = |largest| point.with_largest_distance(largest).unwrap();
    RowRule { offset, operating_point: largest.map_or(point, checked) }
}

/// Features with this first component, and zeros.
fn features_of(first: f32) -> RowFeatures {
    let mut components = [0.0; WhitenedFeatures::COUNT];
    components[0] = first;
    RowFeatures::from(&WhitenedFeatures::new(components))
}

/// A row of form 2 with a different value in each field.
pub(in super::super) fn row() -> VerdictRow {
    let region = Region { x: 23, y: 24, width: 25, height: 26, share: 0.75, peak: Pixel { x: 28, y: 29 } };
    VerdictRow {
        form: RowForm::Two,
        seq: NonZeroU64::new(0x0102).unwrap(),
        boot_epoch: NonZeroU32::new(3).unwrap(),
        trigger: JournalTrigger {
            kind: TriggerKind::FreeRunning,
            part: u64::MAX - 4,
            nonce: 5,
            deadline_ms: 6,
            received_unix_ms: 7,
            bundle: u32::MAX,
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
            raw_logit: Some(-1.25),
            rule: Some(rule(0.1, [-2.5, 3.5], [0.75, 0.3], Some(22.5))),
            distance: Some(21.5),
            regions: Some(RowRegions::new(&[region])),
            features: Some(features_of(30.5)),
        },
        committed_unix_ms: -19,
        previous: [20; 32].into(),
        hash: [0; 32].into(),
    }
}

/// The same row in form 1.
pub(in super::super) fn row_of_form_1() -> VerdictRow {
    let row = row();
    let entry =
        VerdictEntry { raw_logit: None, rule: None, distance: None, regions: None, features: None, ..row.entry };
    VerdictRow { form: RowForm::One, trigger: JournalTrigger { bundle: 0, ..row.trigger }, entry, ..row }
}

// Computed in Python (struct, hashlib) from the tables in JOURNAL.md alone: `tests/oracle/journal.py --golden`. Never to be edited.
const GOLDEN_1: &str = "4da6b004c9369b72fce7a7519c25e2a0d837e8b8a825dd7c50132abef019e186";
const GOLDEN_2: &str = "366d139cdc7772e2d0cd6d99d06156dd79f2636ba6674bc8aac47237da598465";
const GOLDEN_2_WITHOUT_NUMBERS: &str = "3ef2b114e29fdd5fab5b37043ed407dd7cc9e2df6666131459082832da1cf404";
const GOLDEN_EVENT: &str = "c31e5f540830bcaeae8ab3e36057ec3b0a32dd54e3e5f10490d016929d53fac6";
const GOLDEN_EVENT_GENESIS: &str = "d114225123d2e7b49efef998eaaeb2c7c41aa02881ee3e9dc0b059a2a7fb16ea";

#[test]
fn the_hashes_of_rows_and_events_do_not_change() {
    let without = row_of_form_1().entry;
    let entry = VerdictEntry { score: None, bounds: None, ..without };
    let without = VerdictRow { trigger: JournalTrigger { bundle: 0, ..row().trigger }, entry, ..row() };
    let found =
        [of_row(&row_of_form_1()), of_row(&row()), of_row(&without), of_event(&event()), event_genesis(&[7; 16])];
    let golden = [GOLDEN_1, GOLDEN_2, GOLDEN_2_WITHOUT_NUMBERS, GOLDEN_EVENT, GOLDEN_EVENT_GENESIS];
    assert_eq!(found.map(|hash| hash.to_string()), golden);
}

/// A row that differs from [`row`] in each column.
fn other_row() -> VerdictRow {
    VerdictRow {
        form: RowForm::One,
        seq: NonZeroU64::new(0x0103).unwrap(),
        boot_epoch: NonZeroU32::new(4).unwrap(),
        trigger: JournalTrigger {
            kind: TriggerKind::Plc,
            part: 5,
            nonce: 6,
            deadline_ms: 7,
            received_unix_ms: 8,
            bundle: 22,
        },
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
            raw_logit: Some(1.25),
            rule: Some(rule(0.2, [-3.5, 4.5], [0.5, 0.4], Some(23.5))),
            distance: Some(22.5),
            regions: Some(RowRegions::new(&[])),
            features: Some(features_of(31.5)),
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
        let sql = format!("SELECT {} FROM verdict", columns::names(Schema::Two));
        connection.query_row(&sql, [], columns::record).map(|record| of_row(&record))
    };
    let mut hashes = BTreeSet::from([of_row(&row).to_string()]);
    for column in &COLUMNS {
        let (own, value) = ((column.store)(&row), (column.store)(&other));
        assert_ne!(own, value, "{}: give the other row another value", column.name);
        let hash = changed(column.name, &ToSqlOutput::Borrowed(value));
        if column.name == "form" {
            assert!(hash.is_err(), "a row of form 1 has no bundle");
        } else {
            assert_eq!(hashes.insert(hash.unwrap().to_string()), column.name != "hash", "{}", column.name);
        }
    }
    for name in ["score", "model", "bounds_low", "raw_logit", "distance", "largest_distance", "regions", "features"] {
        assert!(hashes.insert(changed(name, &None::<i64>).unwrap().to_string()), "{name}: no value");
    }
    for name in ["offset", "review_from", "reject_from", "slope", "intercept"] {
        assert!(changed(name, &None::<i64>).is_err(), "{name}: NULL beside other numbers of the rule");
        assert!(changed(name, &f64::INFINITY).is_err(), "{name}: infinite");
    }
    assert!(changed("review_from", &4.0).is_err() && changed("slope", &0.0).is_err(), "no operating point");
}

#[test]
fn the_hash_of_an_event_changes_with_each_column_except_its_own() {
    let event = event();
    let other = EventRow {
        number: NonZeroU64::new(0x0103).unwrap(),
        committed_unix_ms: -4,
        boot_epoch: NonZeroU32::new(5).unwrap(),
        kind: "A_KIND_OF_A_LATER_VERSION".to_owned(),
        bundle: 6,
        model: None,
        model_before: Some([7; 32].into()),
        who: "eight".to_owned(),
        why: "nine".to_owned(),
        figures: "{}".to_owned(),
        newest_seq: 12,
        newest_hash: [13; 32].into(),
        previous: [14; 32].into(),
        hash: [1; 32].into(),
    };
    let mut connection = Connection::open_in_memory().unwrap();
    schema::create(&mut connection).unwrap();
    let mut hashes = BTreeSet::from([of_event(&event).to_string()]);
    for column in &EVENT_COLUMNS {
        connection.execute("DELETE FROM event", []).unwrap();
        rows::insert_event(&connection, &event).unwrap();
        let (own, value) = ((column.store)(&event), (column.store)(&other));
        assert_ne!(own, value, "{}: give the other event another value", column.name);
        let sql = format!("UPDATE event SET {} = ?1", column.name);
        connection.execute(&sql, [&ToSqlOutput::Borrowed(value)]).unwrap();
        let sql = format!("SELECT {} FROM event", event_columns::names());
        let found = connection.query_row(&sql, [], event_columns::event).unwrap();
        assert_eq!(hashes.insert(of_event(&found).to_string()), column.name != "hash", "{}", column.name);
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
        (is_old, bundle, raw_logit, distance) in any::<(bool, u32, Option<f32>, Option<f64>)>(),
        numbers in of((any::<f64>(), any::<f64>(), any::<f64>(), f64::MIN_POSITIVE..1e9, -1e9..1e9, of(f64::MIN_POSITIVE..1e9))),
        regions in of(0..6_u32),
        features in of(any::<f32>()),
    ) -> VerdictRow {
        let numbers = numbers.filter(|(offset, low, high, ..)| [offset, low, high].iter().all(|number| number.is_finite()));
        let rule = numbers.map(|(offset, a, b, slope, intercept, largest)| {
            rule(offset, [a.min(b), a.max(b)], [slope, intercept], largest)
        });
        let region = |x| Region { x, y: 1, width: 2, height: 3, share: 1.0 / f64::from(x + 1), peak: Pixel { x, y: 1 } };
        let regions = regions.map(|count| RowRegions::new(&(0..count).map(region).collect::<Vec<_>>()));
        let features = features.map(features_of);
        let entry = VerdictEntry {
            trigger: NonZeroU64::new(trigger).unwrap(),
            verdict, reason, score, image_name, age_ms, simulated, degraded, detail, raw_logit, rule, distance, regions, features,
            model: model.map(Digest::from),
            image: image.map(Digest::from),
            bounds: bounds.map(|(low, high)| RowBounds { low, high }),
            times: StageTimes {
                read_us: times[0], convert_us: times[1], infer_us: times[2], decide_us: times[3],
            },
        };
        let kind = if free_running { TriggerKind::FreeRunning } else { TriggerKind::Plc };
        let entry = if is_old {
            VerdictEntry { raw_logit: None, rule: None, distance: None, regions: None, features: None, ..entry }
        } else {
            entry
        };
        let mut record = VerdictRow {
            form: if is_old { RowForm::One } else { RowForm::Two },
            // The store counts from 1, and SQLite's row numbers end at i64::MAX.
            seq: NonZeroU64::new(seq >> 1 | 1).unwrap(),
            boot_epoch: NonZeroU32::new(epoch).unwrap(),
            trigger: JournalTrigger { kind, part, nonce, deadline_ms, received_unix_ms: received, bundle: if is_old { 0 } else { bundle } },
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
        let sql = format!("SELECT {} FROM verdict", columns::names(Schema::Two));
        let found = connection.query_row(&sql, [], columns::record).unwrap();
        prop_assert_eq!(&found, &record);
        prop_assert_eq!(of_row(&found), record.hash);
    }

    #[test]
    fn two_rows_that_differ_have_different_bytes(one in any_row(), other in any_row()) {
        prop_assert_eq!(one == other, row_bytes(&one) == row_bytes(&other));
    }
}
