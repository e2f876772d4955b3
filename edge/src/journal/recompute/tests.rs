use super::super::event::tests::event;
use super::super::hash::tests::{row, row_of_form_1, rule};
use super::super::verdict_row::{RESTARTED, VerdictRow};
use super::super::{hash, rows, verify};
use super::*;
use cellgate_models::digest::Digest;
use cellgate_models::evidence::Pixel;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use std::num::NonZeroU64;

/// The largest distance of [`numbers`].
const LARGEST: f64 = 3.0;

/// An entry whose verdict, reason and score follow from these numbers: PASS below -1, REJECT from 2 on, and the offset 0.25.
fn numbers(raw_logit: Option<f32>, distance: Option<f64>) -> VerdictEntry {
    let rule = rule(0.25, [-1.0, 2.0], [0.8, -0.3], Some(LARGEST));
    let logit = raw_logit.map_or(f64::NAN, |raw| f64::from(raw) - 0.25);
    let reason = rule.operating_point.reason(logit, distance.unwrap_or(f64::NAN));
    VerdictEntry {
        verdict: reason.verdict(),
        reason: reason.name().to_owned(),
        score: raw_logit.map(|_| rule.operating_point.calibration().score(logit) as f32),
        raw_logit,
        rule: Some(rule),
        distance,
        ..row().entry
    }
}

/// An entry for a part that did not reach the network.
fn without_numbers(reason: &str) -> VerdictEntry {
    let verdict = Verdict::Reject;
    let entry = VerdictEntry { verdict, reason: reason.to_owned(), score: None, ..row().entry };
    VerdictEntry { raw_logit: None, rule: None, distance: None, regions: None, ..entry }
}

/// The same numbers with another verdict and reason.
fn other(verdict: Verdict, reason: &str, entry: VerdictEntry) -> VerdictEntry {
    VerdictEntry { verdict, reason: reason.to_owned(), ..entry }
}

/// One entry of each kind.
fn entries() -> Vec<VerdictEntry> {
    vec![
        numbers(Some(-2.0), Some(1.0)),
        numbers(Some(-0.5), Some(1.0)),
        numbers(Some(2.5), Some(1.0)),
        numbers(Some(-2.0), Some(3.5)),
        numbers(None, Some(1.0)),
        numbers(Some(-2.0), None),
        other(Verdict::Review, "BUNDLE_UNLIKE_TRAINING", numbers(Some(-2.0), Some(1.0))),
        other(Verdict::Review, "REASON_OF_A_LATER_VERSION", numbers(Some(-0.5), Some(1.0))),
        other(Verdict::Reject, "TIMEOUT", numbers(Some(-2.0), Some(1.0))),
        VerdictEntry { score: None, ..other(Verdict::Reject, "ENGINE_FAILED", numbers(Some(-2.0), Some(1.0))) },
        without_numbers("NO_IMAGE"),
        without_numbers(RESTARTED),
    ]
}

#[test]
fn a_verdict_that_follows_from_its_row_is_accepted() {
    use Verdict::{Pass, Reject, Review};
    let verdicts: Vec<Verdict> = entries().iter().map(|entry| entry.verdict).collect();
    assert_eq!(verdicts[..6], [Pass, Review, Reject, Review, Reject, Reject]);
    for entry in entries() {
        assert_eq!(check(&entry), Ok(()), "{entry:?}");
    }
}

#[test]
fn a_verdict_that_can_not_follow_from_its_row_is_named() {
    let below = || numbers(Some(-2.0), Some(1.0));
    let above = || numbers(Some(2.5), Some(1.0));
    let wrong = [
        other(Verdict::Pass, "SCORE_BELOW_REVIEW", without_numbers("")),
        other(Verdict::Pass, "TIMEOUT", below()),
        other(Verdict::Pass, "BUNDLE_UNLIKE_TRAINING", below()),
        other(Verdict::Pass, "REASON_OF_A_LATER_VERSION", below()),
        other(Verdict::Review, "BUNDLE_UNLIKE_TRAINING", above()),
        other(Verdict::Review, "BUNDLE_UNLIKE_TRAINING", without_numbers("")),
        other(Verdict::Review, "REASON_OF_A_LATER_VERSION", without_numbers("")),
        other(Verdict::Review, "NO_IMAGE", without_numbers("")),
        other(Verdict::Reject, "SCORE_BELOW_REVIEW", below()),
        VerdictEntry { score: Some(0.5), ..without_numbers("NO_IMAGE") },
        VerdictEntry { score: Some(0.5), ..other(Verdict::Reject, "TIMEOUT", below()) },
        VerdictEntry { raw_logit: Some(-2.0), ..without_numbers("NO_IMAGE") },
        VerdictEntry { distance: Some(1.0), ..without_numbers("NO_IMAGE") },
        VerdictEntry { regions: Some(RowRegions::new(&[])), ..without_numbers("NO_IMAGE") },
        VerdictEntry { rule: None, ..below() },
    ];
    let found: Vec<String> = wrong.iter().map(|entry| check(entry).expect_err(&format!("{entry:?}"))).collect();
    insta::assert_snapshot!("wrong_verdicts", found.join("\n"));
}

#[test]
fn regions_that_can_not_be_are_named() {
    let region = |share| Region { x: 10, y: 20, width: 30, height: 40, share, peak: Pixel { x: 10, y: 59 } };
    let found = |text: RowRegions| check(&VerdictEntry { regions: Some(text), ..numbers(Some(-2.0), Some(1.0)) });
    let with = |change: &dyn Fn(&mut Region)| {
        let mut regions = [region(0.5), region(0.25)];
        change(&mut regions[0]);
        found(RowRegions::new(&regions))
    };
    assert_eq!(with(&|_| ()), Ok(()));
    assert_eq!(found(RowRegions::new(&[region(0.2); 5])), Ok(()));
    let wrong = [
        with(&|region| region.share = 0.2),
        with(&|region| region.share = 0.8),
        with(&|region| region.share = -0.5),
        with(&|region| region.width = 0),
        with(&|region| region.peak.x = 40),
        with(&|region| region.peak.y = 19),
        with(&|region| region.x = u32::MAX),
        with(&|region| region.height = u32::MAX),
        found(RowRegions::new(&[region(0.1); 6])),
        found(RowRegions::stored("[1]".to_owned())),
        found(RowRegions::stored(r#"[{"x":1}]"#.to_owned())),
    ];
    let wrong: Vec<String> = wrong.into_iter().map(Result::unwrap_err).collect();
    insta::assert_snapshot!("wrong_regions", wrong.join("\n"));
}

/// An event of the bundle of [`row`], before the first row. `hashes` are the hash before the first row, and that of the event before.
fn event_of(number: u64, kind: &str, figures: &str, (newest_hash, previous): (Digest, Digest)) -> EventRow {
    let mut event = EventRow {
        number: NonZeroU64::new(number).unwrap(),
        kind: kind.to_owned(),
        bundle: row().trigger.bundle,
        model: row().entry.model,
        figures: figures.to_owned(),
        boot_epoch: row().boot_epoch,
        newest_seq: 0,
        newest_hash,
        previous,
        ..event()
    };
    event.hash = hash::of_event(&event);
    event
}

/// A journal with the offset 0.25 of their bundle and these entries as rows, with a new chain over all of them, as someone would write it who changes a row and computes
/// all hashes again.
fn chained(entries: &[VerdictEntry]) -> Connection {
    let mut connection = Connection::open_in_memory().unwrap();
    schema::create(&mut connection).unwrap();
    connection.execute("UPDATE state SET boot_epoch = 3", []).unwrap();
    let identity = connection.query_row("SELECT identity FROM state", [], |row| row.get::<_, [u8; 16]>(0)).unwrap();
    let mut previous = hash::genesis(&identity);
    let (offset, guard) =
        (r#"{"parts":[],"offset":0.25,"centre":null,"refused":null}"#, hash::event_genesis(&identity));
    let started = event_of(1, "BUNDLE_STARTED", r#"{"by":"PLC","reference_parts":0}"#, (previous, guard));
    let offset = event_of(2, "OFFSET", offset, (previous, started.hash));
    [started, offset].iter().for_each(|event| rows::insert_event(&connection, event).unwrap());
    for (entry, seq) in entries.iter().zip(1..) {
        let seq = NonZeroU64::new(seq).unwrap();
        let entry = VerdictEntry { trigger: seq, ..entry.clone() };
        let mut record = VerdictRow { seq, entry: entry.bounded(), previous, ..row() };
        record.hash = hash::of_row(&record);
        previous = record.hash;
        rows::insert_record(&connection, &record).unwrap();
    }
    connection
}

/// The verdict, reason and score that the numbers of the entry give; `None` if there are no such numbers.
fn expected(entry: &VerdictEntry) -> Option<(Verdict, String, Option<u32>)> {
    let RowRule { offset, operating_point } = entry.rule?;
    let logit = entry.raw_logit.map_or(f64::NAN, |raw| f64::from(raw) - offset);
    let reason = operating_point.reason(logit, entry.distance.unwrap_or(f64::NAN));
    let score = entry.raw_logit.map(|_| (operating_point.calibration().score(logit) as f32).to_bits());
    Some((reason.verdict(), reason.name().to_owned(), score))
}

/// The entry with a flipped bit in its field `field`, or with another verdict or reason. `None` if that changes nothing that can be
/// stored.
fn flipped(entry: &VerdictEntry, field: usize, bit: u32) -> Option<VerdictEntry> {
    let mut entry = entry.clone();
    let double = |number: f64| Some(f64::from_bits(number.to_bits() ^ 1 << bit)).filter(|number| number.is_finite());
    let single =
        |number: f32| Some(f32::from_bits(number.to_bits() ^ 1 << (bit % 32))).filter(|number| number.is_finite());
    let RowRule { offset, operating_point: point } = entry.rule?;
    let mut rule_numbers = [offset, point.review_from(), point.reject_from(), LARGEST];
    match field {
        0 => entry.raw_logit = Some(single(entry.raw_logit?)?),
        1..=4 => {
            rule_numbers[field - 1] = double(rule_numbers[field - 1])?;
            let [offset, review_from, reject_from, largest] = rule_numbers;
            let calibration = point.calibration();
            let point = cellgate_models::policy::OperatingPoint::new([review_from, reject_from], calibration).ok()?;
            let operating_point = point.with_largest_distance(largest).ok()?;
            entry.rule = Some(RowRule { offset, operating_point });
        }
        5 => entry.distance = Some(double(entry.distance?)?),
        6 => entry.score = Some(single(entry.score?)?),
        7 => {
            let verdicts = [Verdict::Pass, Verdict::Review, Verdict::Reject];
            entry.verdict = verdicts.into_iter().filter(|verdict| *verdict != entry.verdict).nth(bit as usize % 2)?;
        }
        _ => {
            let reasons = entries()[..4].iter().map(|entry| entry.reason.clone()).collect::<Vec<_>>();
            entry.reason = reasons.into_iter().filter(|reason| *reason != entry.reason).nth(bit as usize % 3)?;
        }
    }
    Some(entry)
}

/// A change of one number, verdict or reason, with all hashes computed again, is found whenever the row contradicts itself or the
/// stored offset of its bundle. What can't be seen is a change after which the verdict and the score still follow from the numbers.
#[test]
fn a_changed_number_with_a_new_chain_is_found_if_the_verdict_or_the_score_does_not_follow_from_it() {
    const TRIES: u32 = 1000;
    let (mut found, mut unseen) = (0, 0);
    let mut runner = TestRunner::deterministic();
    while found < TRIES {
        let strategy = (0..6_usize, 0..9_usize, 0..64_u32);
        let (at, field, bit) = strategy.new_tree(&mut runner).unwrap().current();
        let mut entries = entries();
        let Some(changed) = flipped(&entries[at], field, bit) else { continue };
        let stored = (changed.verdict, changed.reason.clone(), changed.score.map(f32::to_bits));
        let is_offset_wrong = changed.rule.is_some_and(|rule| rule.offset != 0.25);
        let contradicts = is_offset_wrong || expected(&changed) != Some(stored);
        entries[at] = changed;
        let connection = chained(&entries);
        let path = Path::new("test");
        assert!(verify::verify(&connection, path, u64::MAX).unwrap().is_ok(), "the new chain is sound");
        let place = recompute(&connection, path).unwrap().err().map(|bad| bad.place);
        assert_eq!(
            place,
            contradicts.then(|| format!("row {}", at + 1)),
            "field {field}, bit {bit}: {:?}",
            entries[at]
        );
        if contradicts { found += 1 } else { unseen += 1 }
    }
    println!("{found} of {TRIES} contradictions found; {unseen} other changes leave verdict and score as they are");
}

#[test]
fn rows_of_form_1_are_counted() {
    let connection = chained(&entries());
    let mut old = row_of_form_1();
    old.seq = NonZeroU64::new(99).unwrap();
    old.entry.trigger = old.seq;
    rows::insert_record(&connection, &old).unwrap();
    let recomputed = recompute(&connection, Path::new("test")).unwrap().unwrap();
    assert_eq!(recomputed, Recomputed { rows: entries().len() as u64, of_form_1: 1 });
}
