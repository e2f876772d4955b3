mod bench;

pub(in crate::appliance) use bench::settings;

use super::bundles::BundleEffect::{AnswerPerson, AnswerPlc, Read, Record};
use super::*;
use crate::config::{BundleConfig, WithoutBundle};
use crate::control::{BundleAnswer, BundleRequest, BundleStep, MAX_ANSWER_TIME};
use bench::{BundleBench, ORIGIN, READY, policy, unknown, who};
use cellgate_models::digest::Digest;
use cellgate_models::policy::{Policy, Reason};
use cellgate_protocol::bundle::{BundleState, Confirm, ConfirmResult, StepCode};
use proptest::prelude::*;
use std::num::{NonZeroU32, NonZeroU64};

const HOUR_MS: i64 = 3_600_000;

fn state(bundle: u32, step: StepCode, confirmed: u16, missing: u16) -> BundleState {
    BundleState { bundle, step, confirmed, missing }
}

fn start(bundle: u32, reference_parts: Option<u32>) -> BundleRequest {
    BundleRequest::Start { bundle: NonZeroU32::new(bundle).unwrap(), reference_parts }
}

fn confirm(parts: &[u64]) -> BundleRequest {
    BundleRequest::Confirm { bundle: None, parts: parts.to_vec() }
}

/// The rows whose images are never deleted, and the first row whose images are deleted last.
fn kept(bench: &BundleBench) -> (Vec<u64>, Option<u64>) {
    let images = bench.bundles.reference_images().unwrap();
    (images.confirmed.into_iter().collect(), images.phase_from)
}

#[test]
fn images_of_reference_parts_are_kept_from_their_confirmation_until_the_bundle_ends() {
    let mut bench = BundleBench::new(settings());
    bench.part(1, 0, -2.0);
    assert_eq!(kept(&bench), (vec![], None), "no bundle");
    let parts: Vec<_> = (2..=5).map(|part| bench.part(part, 7, -2.0).0).collect();
    assert_eq!(kept(&bench), (vec![], Some(2)));
    assert_eq!(bench.confirm(parts[1], 3, 7), ConfirmResult::CONFIRMED);
    assert_eq!(kept(&bench), (vec![3], Some(2)));
    bench.restart();
    assert_eq!(kept(&bench), (vec![3], Some(2)), "after a restart");
    for (row, part) in [(0, 2), (3, 5)] {
        assert_eq!(bench.confirm(parts[row], part, 7), ConfirmResult::CONFIRMED);
    }
    bench.part(6, 7, -2.0);
    assert_eq!(kept(&bench), (vec![2, 3, 5], None), "with the offset the phase is over");
    bench.restart();
    assert_eq!(kept(&bench), (vec![2, 3, 5], None), "after a restart");
    bench.part(7, 8, -2.0);
    assert_eq!(kept(&bench), (vec![], Some(7)), "another bundle");
    bench.ask(BundleRequest::End).unwrap();
    assert_eq!(kept(&bench), (vec![], None));
}

#[test]
fn an_image_is_kept_before_the_confirmation_of_its_part_is_stored_and_while_that_is_uncertain() {
    let mut bench = BundleBench::new(settings());
    let (seq, _) = bench.part(1, 7, -2.0);
    bench.bundles.confirm(Confirm { verdict_seq: seq.get(), part_id: 1, bundle: 7 });
    let mut effects = Vec::new();
    bench.bundles.step(READY, &mut effects);
    assert!(matches!(effects[..], [Record(_)]), "{effects:?}");
    assert_eq!(kept(&bench), (vec![1], Some(1)));
    bench.bundles.recorded(Err(&unknown()), &mut effects);
    assert_eq!(bench.bundles.reference_images(), None, "the archive goes on keeping what it kept");
    bench.bundles.step(READY, &mut effects);
    let recorded = bench.recorded();
    bench.bundles.was_read(Ok(recorded.as_ref()));
    assert_eq!(kept(&bench), (vec![], Some(1)), "the confirmation was not stored");
}

#[test]
fn a_bundle_gets_its_offset_from_confirmed_parts_and_no_part_passes_before() {
    let mut bench = BundleBench::new(settings());
    let parts: Vec<_> = (1..=4).map(|part| bench.part(part, 7, -2.0)).collect();
    assert!(parts.iter().all(|(_, reason)| *reason == Reason::ReferencePart));
    assert_eq!(bench.part(5, 7, 2.0).1, Reason::ScoreFromReject);
    assert_eq!(bench.bundles.state(), state(7, StepCode::REFERENCE, 0, 3));
    for (at, confirmed) in [(0, 1), (2, 2), (3, 3)] {
        assert_eq!(bench.confirm(parts[at].0, at as u64 + 1, 7), ConfirmResult::CONFIRMED);
        assert_eq!(bench.bundles.state().confirmed, confirmed);
    }
    assert_eq!(bench.bundles.state(), state(7, StepCode::OFFSET, 3, 0));
    let status = bench.bundles.status();
    assert_eq!((status.step, &status.confirmed[..], status.parts), (BundleStep::Offset, &[1, 3, 4][..], 5));
    let offset = policy().rule_with_reference(&[(-2.0, ORIGIN); 3]).unwrap().offset();
    assert_eq!(status.offset, Some(offset));
    assert!((offset + 2.0).abs() < 0.01);
    assert_eq!(bench.part(6, 7, 0.5).1, Reason::ScoreBelowReview, "0.5 less the offset is below 3");
    assert_eq!(
        bench.kinds(),
        ["BUNDLE_STARTED 7", "REFERENCE_CONFIRMED 7", "REFERENCE_CONFIRMED 7", "REFERENCE_CONFIRMED 7", "OFFSET 7"]
    );
}

#[test]
fn confirmations_are_answered_by_the_part_they_name() {
    let mut bench = BundleBench::new(settings());
    let (first, _) = bench.part(1, 7, -2.0);
    let rule = bench.enter(7).rule;
    let rejected = bench.row(2, 7, (2.0, Reason::EngineFailed), &rule, true);
    bench.bundles.judged(&rejected);
    let rejected = rejected.seq;
    let (again, _) = bench.part(1, 7, -2.0);
    assert_eq!(bench.confirm(first, 1, 8), ConfirmResult::NOT_IN_BUNDLE, "another bundle");
    assert_eq!(bench.confirm(first, 3, 7), ConfirmResult::NOT_IN_BUNDLE, "another part");
    assert_eq!(bench.confirm(rejected, 2, 7), ConfirmResult::REFUSED, "a REJECT, not by its score");
    assert_eq!(bench.kinds(), ["BUNDLE_STARTED 7"]);
    for _ in 0..2 {
        assert_eq!(bench.confirm(first, 1, 7), ConfirmResult::CONFIRMED, "a copy");
    }
    assert_eq!(bench.confirm(again, 1, 7), ConfirmResult::REFUSED, "a part counts once");
    assert_eq!(bench.kinds(), ["REFERENCE_CONFIRMED 7"]);
    let rest: Vec<_> = (3..=5).map(|part| bench.part(part, 7, -2.0).0).collect();
    assert_eq!(bench.confirm(rest[0], 3, 7), ConfirmResult::CONFIRMED);
    assert_eq!(bench.confirm(rest[1], 4, 7), ConfirmResult::CONFIRMED);
    assert_eq!(bench.confirm(rest[2], 5, 7), ConfirmResult::REFUSED, "the reference parts are complete");
    assert_eq!(bench.confirm(first, 1, 7), ConfirmResult::CONFIRMED, "a late copy");
}

#[test]
fn refused_reference_parts_let_no_part_pass_until_the_bundle_is_started_anew() {
    let mut bench = BundleBench::new(settings());
    for part in 1..=3 {
        let (seq, _) = bench.part(part, 7, -50.0);
        assert_eq!(bench.confirm(seq, part, 7), ConfirmResult::CONFIRMED);
    }
    assert_eq!(bench.bundles.state(), state(7, StepCode::UNLIKE_TRAINING, 3, 0));
    assert!(bench.bundles.status().refused.unwrap().contains("median logit"));
    assert_eq!(bench.part(4, 7, -50.0).1, Reason::BundleUnlikeTraining);
    bench.restart();
    assert_eq!(bench.part(5, 7, -50.0).1, Reason::BundleUnlikeTraining, "also after a restart");
    assert_eq!(bench.ask(start(7, None)).unwrap().step, BundleStep::Reference);
    assert_eq!(bench.part(6, 7, -50.0).1, Reason::ReferencePart);
}

/// The bundle that a part belongs to, and the events that its trigger leads to.
#[test]
fn a_trigger_chooses_the_bundle_of_its_part() {
    let mut bench = BundleBench::new(settings());
    let mut enter = |named| {
        let part = bench.enter(named);
        (part.bundle, bench.kinds())
    };
    let none: [&str; 0] = [];
    assert_eq!(enter(0), (0, none.map(str::to_owned).to_vec()));
    assert_eq!(enter(7), (7, vec!["BUNDLE_STARTED 7".to_owned()]));
    assert_eq!(enter(7), (7, Vec::new()));
    assert_eq!(enter(8), (8, vec!["BUNDLE_ENDED 7".to_owned(), "BUNDLE_STARTED 8".to_owned()]));
    assert_eq!(enter(0), (0, vec!["BUNDLE_ENDED 8".to_owned()]));
    bench.ask(start(9, None)).unwrap();
    assert_eq!(bench.kinds(), ["BUNDLE_STARTED 9"]);
    assert_eq!(bench.enter(0).bundle, 9, "a person started it");
    assert_eq!(bench.enter(9).bundle, 9);
    assert_eq!(bench.kinds(), none);
    assert_eq!(bench.ask(BundleRequest::End).unwrap().step, BundleStep::None);
    assert_eq!(bench.enter(0).bundle, 0);
    assert_eq!(bench.kinds(), ["BUNDLE_ENDED 9"]);
    assert!(bench.ask(BundleRequest::End).is_err());
}

#[test]
fn a_part_without_a_bundle_passes_only_if_the_configuration_allows_it() {
    for (without, reason) in
        [(WithoutBundle::Judge, Reason::ScoreBelowReview), (WithoutBundle::Review, Reason::ReferencePart)]
    {
        let config = BundleConfig { without, ..BundleConfig::default() };
        let mut bench = BundleBench::new(BundleSettings::new(&config, &policy(), Digest::of(b"model")));
        assert_eq!(bench.part(1, 0, -2.0).1, reason);
        assert_eq!(bench.part(2, 0, 2.0).1, Reason::ScoreFromReject);
    }
}

#[test]
fn after_its_last_part_or_hour_a_bundle_starts_anew_without_its_offset() {
    let config = BundleConfig { max_parts: NonZeroU32::new(5).unwrap(), ..BundleConfig::default() };
    let limited = BundleSettings::new(&config, &policy(), Digest::of(b"model"));
    for (age_ms, expected) in [(0, 2), (24 * HOUR_MS - 1, 2), (24 * HOUR_MS, 0), (-1, 0)] {
        let mut bench = BundleBench::new(limited.clone());
        bench.ask(start(7, None)).unwrap();
        for part in 1..=3 {
            let (seq, _) = bench.part(part, 0, -2.0);
            bench.confirm(seq, part, 7);
        }
        bench.kinds();
        bench.now_ms += age_ms;
        let passes = |bench: &mut BundleBench, part| bench.part(part, 0, 0.5).1 == Reason::ScoreBelowReview;
        let found = (4..=9).take_while(|part| passes(&mut bench, *part)).count();
        assert_eq!(found, expected, "{age_ms}");
        assert_eq!(bench.kinds(), ["BUNDLE_ENDED 7", "BUNDLE_STARTED 7"]);
        assert_eq!(bench.bundles.state(), state(7, StepCode::REFERENCE, 0, 3));
        assert_eq!(bench.enter(0).bundle, 7, "it still belongs to the person");
    }
}

#[test]
fn a_model_without_reference_parts_has_bundles_without_a_reference_phase() {
    let plain = Policy::without_reference(policy().without());
    let settings = BundleSettings::new(&BundleConfig::default(), &plain, Digest::of(b"model"));
    let mut bench = BundleBench::new(settings);
    assert_eq!(bench.part(1, 7, -2.0).1, Reason::ScoreBelowReview);
    assert_eq!(bench.bundles.state(), state(7, StepCode::OFFSET, 0, 0));
    assert_eq!(bench.bundles.status().step, BundleStep::WithoutReference);
    insta::assert_snapshot!("start_without_reference", bench.ask(start(7, Some(5))).unwrap_err());
    bench.restart();
    assert_eq!(bench.bundles.status().step, BundleStep::WithoutReference);
}

#[test]
fn a_person_confirms_all_parts_or_none() {
    let mut bench = BundleBench::new(settings());
    assert!(bench.ask(confirm(&[1])).unwrap_err().contains("no bundle"));
    for bad in [0, 1001] {
        assert!(bench.ask(start(7, Some(bad))).is_err());
    }
    bench.ask(start(7, Some(2))).unwrap();
    for (part, reason) in [(1, Reason::ReferencePart), (2, Reason::EngineFailed), (3, Reason::ReferencePart)] {
        let rule = bench.enter(0).rule;
        let row = bench.row(part, 7, (-2.0, reason), &rule, true);
        bench.bundles.judged(&row);
    }
    let refusals = [[1, 2], [1, 9]].map(|parts| bench.ask(confirm(&parts)).unwrap_err());
    insta::assert_snapshot!("parts_that_can_not_be_confirmed", refusals.join("\n"));
    let status = bench.ask(BundleRequest::Status).unwrap();
    assert_eq!((status.confirmed.len(), status.candidates.len()), (0, 2));
    let status = bench.ask(confirm(&[3, 1, 3])).unwrap();
    assert_eq!((status.step, &status.confirmed[..]), (BundleStep::Offset, &[1, 3][..]));
    bench.ask(confirm(&[1])).expect("it is confirmed already");
    bench.part(4, 0, -2.0);
    assert!(bench.ask(confirm(&[4])).unwrap_err().contains("complete"));
    let by: Vec<&str> = bench.events.iter().map(|event| &event.who[..]).collect();
    assert_eq!(by, ["operator (uid 1000, pid 42)"; 4]);
}

#[test]
fn parts_of_another_bundle_are_not_confirmed() {
    let mut bench = BundleBench::new(settings());
    bench.part(1, 7, -2.0);
    bench.part(1, 8, -2.0);
    let of = |bundle| BundleRequest::Confirm { bundle: NonZeroU32::new(bundle), parts: vec![1] };
    insta::assert_snapshot!("confirmation_of_another_bundle", bench.ask(of(7)).unwrap_err());
    assert_eq!(bench.ask(of(8)).unwrap().confirmed, [1]);
}

/// The good parts of a bundle that is unlike the training may all be rejected. Then the bundle needs the offset most.
#[test]
fn a_part_that_was_rejected_by_its_score_can_be_a_reference_part() {
    let mut bench = BundleBench::new(settings());
    for part in 1..=3 {
        let (seq, reason) = bench.part(part, 7, 2.5);
        assert_eq!(reason, Reason::ScoreFromReject);
        assert_eq!(bench.confirm(seq, part, 7), ConfirmResult::CONFIRMED);
    }
    assert_eq!(bench.bundles.state(), state(7, StepCode::OFFSET, 3, 0));
    assert_eq!(bench.part(4, 7, 2.5).1, Reason::ScoreBelowReview);
    // Its image is unlike the training images, as its detail says.
    let rule = bench.enter(8).rule;
    let mut row = bench.row(5, 8, (2.5, Reason::ScoreFromReject), &rule, true);
    row.entry.detail = "sharpness".to_owned();
    bench.bundles.judged(&row);
    assert_eq!(bench.confirm(row.seq, 5, 8), ConfirmResult::REFUSED);
}

/// Its levels or its sharpness are other than those of the training images, so the network's outputs mean little.
#[test]
fn an_image_unlike_the_training_images_is_no_reference_part() {
    let mut bench = BundleBench::new(settings());
    let part = bench.enter(7);
    let row = bench.row(1, 7, (-2.0, Reason::ImageUnlikeTraining), &part.rule, true);
    bench.bundles.judged(&row);
    assert_eq!(bench.confirm(row.seq, 1, 7), ConfirmResult::REFUSED);
    assert!(bench.ask(confirm(&[1])).is_err());
    assert_eq!(bench.bundles.status().candidates, []);
}

/// A part in progress was given its rule before, so it could pass in a bundle whose reference parts are being judged.
#[test]
fn a_bundle_is_ended_by_hand_only_between_parts() {
    let in_progress = BundleView { is_part_in_progress: true, ..READY };
    for request in [start(7, None), start(8, None), BundleRequest::End] {
        let mut bench = BundleBench::new(settings());
        let (seq, _) = bench.part(1, 7, -2.0);
        let mut effects = Vec::new();
        bench.bundles.ask(5, request, who(), 0, &mut effects);
        bench.bundles.step(in_progress, &mut effects);
        assert_eq!(effects, []);
        bench.bundles.step(READY, &mut effects);
        assert!(matches!(effects[..], [Record(_)]), "{effects:?}");
        let mut bench = BundleBench::new(settings());
        bench.part(1, 7, -2.0);
        bench.bundles.confirm(Confirm { verdict_seq: seq.get(), part_id: 1, bundle: 7 });
        let mut effects = Vec::new();
        bench.bundles.step(in_progress, &mut effects);
        assert!(matches!(effects[..], [Record(_)]), "a confirmation does not wait: {effects:?}");
    }
}

#[test]
fn a_request_that_nobody_waits_for_any_more_changes_nothing() {
    let mut bench = BundleBench::new(settings());
    bench.part(1, 7, -2.0);
    bench.bundles.doubt();
    let (mut effects, most_ms) = (Vec::new(), MAX_ANSWER_TIME.as_millis() as u64);
    bench.bundles.ask(5, BundleRequest::End, who(), 1000, &mut effects);
    let broken = |now_ms| BundleView { now_ms, is_journal_ready: false, ..READY };
    bench.bundles.step(broken(999 + most_ms), &mut effects);
    assert_eq!(effects, []);
    bench.bundles.step(broken(1000 + most_ms), &mut effects);
    assert!(matches!(effects[..], [AnswerPerson(5, BundleAnswer::Refused { .. })]), "{effects:?}");
    bench.bundles.was_read(Ok(bench.recorded().as_ref()));
    assert_eq!(bench.effects(), []);
    assert_eq!(bench.bundles.status().bundle, 7);
}

/// The end may not be stored in the end, so the part may belong to the bundle.
#[test]
fn while_a_bundle_is_being_ended_no_part_without_a_bundle_passes() {
    let mut bench = BundleBench::new(settings());
    bench.ask(start(7, None)).unwrap();
    let mut effects = Vec::new();
    bench.bundles.ask(5, BundleRequest::End, who(), 0, &mut effects);
    bench.bundles.step(READY, &mut effects);
    let [Record(entries)] = &effects[..] else { panic!("{effects:?}") };
    let during = bench.bundles.enter(0, bench.now_ms).part;
    assert_eq!((during.bundle, during.rule.decide(-2.0, &ORIGIN).reason), (0, Reason::ReferencePart));
    let stored = bench.store(entries);
    bench.bundles.recorded(Ok(&stored), &mut Vec::new());
    assert_eq!(bench.part(1, 0, -2.0).1, Reason::ScoreBelowReview);
}

/// The PLC has left the bundle: its parts without a bundle must not get the bundle's offset.
#[test]
fn a_bundle_of_the_plc_that_a_person_starts_again_stays_that_of_the_plc() {
    let mut bench = BundleBench::new(settings());
    bench.part(1, 7, -2.0);
    bench.ask(start(7, None)).unwrap();
    bench.restart();
    assert_eq!(bench.enter(7).bundle, 7);
    assert_eq!(bench.enter(0).bundle, 0);
    assert_eq!(bench.bundles.status().step, BundleStep::None);
}

#[test]
fn of_many_unconfirmed_parts_the_newest_can_be_confirmed() {
    let mut bench = BundleBench::new(settings());
    let (first, _) = bench.part(0, 7, -2.0);
    assert_eq!(bench.confirm(first, 0, 7), ConfirmResult::CONFIRMED);
    let rows: Vec<_> = (1..=1001).map(|part| bench.part(part, 7, -2.0).0).collect();
    for _ in 0..2 {
        assert_eq!(bench.bundles.status().candidates.len(), 1000);
        assert_eq!(bench.confirm(rows[0], 1, 7), ConfirmResult::NOT_IN_BUNDLE);
        assert_eq!(bench.confirm(first, 0, 7), ConfirmResult::CONFIRMED, "a copy");
        bench.restart();
    }
    assert_eq!(bench.confirm(rows[1], 2, 7), ConfirmResult::CONFIRMED);
}

/// The logits of another model mean nothing to this one.
#[test]
fn with_another_model_the_reference_phase_begins_again() {
    let mut bench = BundleBench::new(settings());
    let rows: Vec<_> = (1..=3).map(|part| bench.part(part, 7, -2.0).0).collect();
    for (seq, part) in rows.iter().zip(1..) {
        bench.confirm(*seq, part, 7);
    }
    bench.settings.model = Digest::of(b"another model");
    bench.restart();
    assert_eq!(bench.bundles.state(), state(7, StepCode::REFERENCE, 0, 3));
    assert_eq!(bench.part(4, 7, -2.0).1, Reason::ReferencePart);
    assert_eq!(bench.confirm(rows[0], 1, 7), ConfirmResult::REFUSED);
    assert_eq!(bench.confirm(NonZeroU64::new(4).unwrap(), 4, 7), ConfirmResult::CONFIRMED);
}

#[test]
fn a_start_that_is_not_stored_changes_nothing_and_the_bundle_is_read_again() {
    let mut bench = BundleBench::new(settings());
    bench.part(1, 7, -2.0);
    assert_eq!(bench.bundles.enter(8, bench.now_ms).part.bundle, 8);
    bench.bundles.entered(Err(StartFailed));
    assert!(!bench.bundles.is_ready());
    assert_eq!(bench.bundles.state().bundle, 7);
    let mut effects = Vec::new();
    bench.bundles.step(BundleView { is_journal_ready: false, ..READY }, &mut effects);
    assert_eq!(effects, [], "the journal does not work yet");
    assert_eq!(bench.effects(), [Read]);
    bench.bundles.was_read(Err(()));
    assert_eq!(bench.effects(), [Read], "once more");
    bench.bundles.was_read(Ok(bench.recorded().as_ref()));
    assert!(bench.bundles.is_ready());
    assert_eq!(bench.bundles.state(), state(7, StepCode::REFERENCE, 0, 3));
}

/// The confirmation may be stored or not: the journal shows it, and it is stored once.
#[test]
fn a_confirmation_whose_outcome_is_unknown_is_answered_after_the_bundle_was_read_again() {
    for is_stored in [false, true] {
        let mut bench = BundleBench::new(settings());
        bench.part(1, 7, -2.0);
        let (seq, _) = bench.part(2, 8, -2.0);
        bench.bundles.confirm(Confirm { verdict_seq: seq.get(), part_id: 2, bundle: 8 });
        let mut effects = Vec::new();
        bench.bundles.step(READY, &mut effects);
        let [Record(entries)] = &effects[..] else { panic!("{effects:?}") };
        if is_stored {
            bench.store(entries);
        }
        let mut answers = Vec::new();
        bench.bundles.recorded(Err(&unknown()), &mut answers);
        assert_eq!((answers, bench.effects()), (vec![], vec![Read]));
        bench.bundles.was_read(Ok(bench.recorded().as_ref()));
        assert!(matches!(bench.effects()[..], [AnswerPlc(_, ConfirmResult::CONFIRMED)]));
        let kinds = ["BUNDLE_STARTED 7", "BUNDLE_ENDED 7", "BUNDLE_STARTED 8", "REFERENCE_CONFIRMED 8"];
        assert_eq!(bench.kinds(), kinds);
        let mut answers = Vec::new();
        bench.bundles.ask(5, BundleRequest::End, who(), 0, &mut answers);
        bench.bundles.step(READY, &mut answers);
        assert!(matches!(answers[..], [Record(_)]));
        answers.clear();
        bench.bundles.recorded(Err(&unknown()), &mut answers);
        assert!(matches!(answers[..], [AnswerPerson(5, BundleAnswer::Unknown { .. })]));
    }
}

/// Until the offset is stored, parts of the bundle are judged as reference parts.
#[test]
fn an_offset_that_is_being_stored_does_not_apply_yet() {
    let mut bench = BundleBench::new(settings());
    let rows: Vec<_> = (1..=3).map(|part| bench.part(part, 7, -2.0).0).collect();
    bench.confirm(rows[0], 1, 7);
    bench.confirm(rows[1], 2, 7);
    bench.bundles.confirm(Confirm { verdict_seq: rows[2].get(), part_id: 3, bundle: 7 });
    let mut effects = Vec::new();
    bench.bundles.step(READY, &mut effects);
    let [Record(entries)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(entries.len(), 2, "the confirmation and the offset are one transaction");
    assert!(bench.enter(7).is_reference);
    let stored = bench.store(entries);
    bench.bundles.recorded(Ok(&stored), &mut Vec::new());
    assert!(!bench.enter(7).is_reference);
}

#[derive(Debug, Clone)]
enum Happens {
    Part { named: u32, logit: f32 },
    Confirm(usize),
    Ask(BundleRequest),
    Passes(i64),
}

fn happens() -> impl Strategy<Value = Happens> {
    let parts = prop::collection::vec(1_u64..30, 0..4);
    prop_oneof![
        8 => (prop::sample::select(vec![0, 7, 7, 7, 8]), -4.0_f32..2.0)
            .prop_map(|(named, logit)| Happens::Part { named, logit }),
        8 => (0_usize..30).prop_map(Happens::Confirm),
        1 => (7_u32..9, prop::option::of(1_u32..4)).prop_map(|(bundle, parts)| Happens::Ask(start(bundle, parts))),
        1 => parts.prop_map(|parts| Happens::Ask(confirm(&parts))),
        1 => Just(Happens::Ask(BundleRequest::End)),
        1 => (0..20 * HOUR_MS).prop_map(Happens::Passes),
    ]
}

proptest! {
    /// Whatever happens, a restart changes nothing, and a part of a bundle passes only with the bundle's stored offset.
    #[test]
    fn a_restart_goes_on_where_the_bundle_was(happened in prop::collection::vec(happens(), 0..60)) {
        let mut bench = BundleBench::new(settings());
        let mut part_id = 0;
        for happens in happened {
            match happens {
                Happens::Part { named, logit } => {
                    part_id += 1;
                    let (seq, reason) = bench.part(part_id, named, logit);
                    let bundle = bench.rows[seq.get() as usize - 1].trigger.bundle;
                    let status = bench.bundles.status();
                    prop_assert!(named == 0 || named == bundle);
                    prop_assert!(reason != Reason::ScoreBelowReview || bundle == 0 || status.step == BundleStep::Offset);
                }
                Happens::Confirm(at) => {
                    if let Some(row) = bench.rows.get(at) {
                        let (seq, part, bundle) = (row.seq, row.trigger.part, row.trigger.bundle);
                        bench.confirm(seq, part, bundle);
                    }
                }
                Happens::Ask(request) => drop(bench.ask(request)),
                Happens::Passes(ms) => bench.now_ms += ms,
            }
            let (before, rule) = (bench.bundles.status(), bench.bundles.clone().enter(7, bench.now_ms).part);
            bench.restart();
            prop_assert_eq!(bench.bundles.status(), before);
            prop_assert_eq!(bench.bundles.clone().enter(7, bench.now_ms).part, rule);
        }
    }
}
