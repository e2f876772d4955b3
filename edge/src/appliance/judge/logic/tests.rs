use super::*;
use crate::acquire::{Arrival, Identity};
use cellgate_models::engine::WhitenedFeatures;
use cellgate_models::policy::{Calibration, OperatingPoint, Policy, Reference};
use proptest::prelude::*;

const LEAD: Duration = Duration::from_secs(1);

/// With three golden images, one every 600 s.
fn logic(matching: Matching, now: Instant) -> Logic {
    let settings = Settings {
        matching,
        lead: LEAD,
        prove_every: Duration::from_secs(1_800),
        golden_images: NonZeroU32::new(3).unwrap(),
        max_prove_wait: Duration::from_secs(2),
    };
    Logic::new(settings, now)
}

fn view(engine: EngineState) -> View {
    View { engine, is_running: engine.is_proven() || engine == EngineState::ProofGranted, is_stopping: false }
}

fn part(number: u64, triggered: Instant) -> Part {
    let deadline = triggered + Duration::from_millis(500);
    Part { number, part_id: number, is_reference: false, triggered, deadline }
}

/// A rule that differs from that of other parts in its offset.
fn rule(number: u64) -> Box<Rule> {
    let point = OperatingPoint::new([-1.0, 1.0], Calibration::IDENTITY).unwrap();
    let reference = Reference::estimate(&[[0.0, 1.0], [2.0, 3.0]], 2).unwrap();
    let policy = Policy::with_reference(point, point, reference);
    Box::new(policy.rule_with_offset(number as f64, WhitenedFeatures::ORIGIN).unwrap())
}

/// The part with this number was triggered.
fn triggered(number: u64, at: Instant) -> ToJudge {
    ToJudge::Part(part(number, at), rule(number))
}

fn image(number: u64, at: Instant) -> Arrival {
    let identity = Some(Identity::of_inode(number));
    Arrival { file: ImageFile::new(format!("scans/{number}.tif").into(), identity), at }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn the_engine_is_loaded_at_the_start_and_10_s_after_a_failure() {
    let start = Instant::now();
    let mut logic = logic(Matching::PartId, start);
    let mut effects = Vec::new();
    assert_eq!(logic.next(start, &view(EngineState::Starting), &mut effects), Next::Load);
    logic.proved(start, false);
    let failed = view(EngineState::Failed);
    assert_eq!(logic.next(start + PROVE_AGAIN - ms(1), &failed, &mut effects), Next::Wait(PAUSE));
    assert_eq!(logic.next(start + PROVE_AGAIN, &failed, &mut effects), Next::Load);
    let stopping = View { is_stopping: true, ..failed };
    assert_eq!(logic.next(start + PROVE_AGAIN, &stopping, &mut effects), Next::Wait(PAUSE));
    assert_eq!(logic.next(start + PROVE_AGAIN, &view(EngineState::Lost), &mut effects), Next::Wait(PAUSE));
    assert_eq!(effects, []);
}

#[test]
fn a_running_engine_is_proven_when_the_proof_is_granted_or_after_the_longest_wait() {
    let start = Instant::now();
    let mut logic = logic(Matching::PartId, start);
    let mut effects = Vec::new();
    logic.proved(start, true);
    let due = start + Duration::from_secs(600);
    assert_eq!(logic.next(due - ms(1), &view(EngineState::Proven), &mut effects), Next::Wait(PAUSE));
    assert_eq!(effects, []);
    assert_eq!(logic.next(due, &view(EngineState::Proven), &mut effects), Next::Wait(PAUSE));
    assert_eq!(effects, [Effect::RequestProof]);
    assert_eq!(logic.next(due, &view(EngineState::ProofGranted), &mut effects), Next::Prove { golden: 0 });
    assert_eq!(logic.next(due + ms(2_001), &view(EngineState::ProofDue), &mut effects), Next::Prove { golden: 1 });
    logic.on_message(triggered(1, due), due, &mut effects);
    assert!(matches!(logic.next(due, &view(EngineState::ProofGranted), &mut effects), Next::Wait(_)), "a part waits");
}

/// Runs the judge for `time` from `start` on. Each request for a proof is granted `gap` later, which is when the line has its next
/// gap. A proof takes `took`. Returns when each proof began, with its golden image.
fn proofs(logic: &mut Logic, start: Instant, time: Duration, gap: Duration, took: Duration) -> Vec<(Duration, u32)> {
    let (mut now, mut requested, mut proofs) = (start, None, Vec::new());
    while now < start + time {
        let mut effects = Vec::new();
        let is_gap = requested.is_some_and(|at| now >= at + gap);
        let engine = if is_gap { EngineState::ProofGranted } else { EngineState::Proven };
        match logic.next(now, &view(engine), &mut effects) {
            Next::Prove { golden } => {
                proofs.push((now - start, golden));
                now += took;
                requested = None;
                logic.proved(now, true);
            }
            Next::Wait(most) => now += most,
            other => panic!("{other:?}"),
        }
        if effects.contains(&Effect::RequestProof) {
            requested.get_or_insert(now);
        }
    }
    proofs
}

#[test]
fn each_golden_image_is_proven_once_in_the_configured_time() {
    let start = Instant::now();
    let mut logic = logic(Matching::PartId, start);
    logic.proved(start, true);
    // Two rounds, with gaps that come 1 s after each request.
    let proofs = proofs(&mut logic, start, Duration::from_secs(2 * 1_800 + 10), ms(1_000), ms(700));
    let images: Vec<_> = proofs.iter().map(|(_, golden)| *golden).collect();
    assert_eq!(images, [0, 1, 2, 0, 1, 2]);
    for (index, (at, _)) in (1..).zip(proofs) {
        let late = at - Duration::from_secs(600) * index;
        assert!(late >= ms(1_000) && late < ms(1_000) + 3 * PAUSE, "proof {index} is late by {late:?}");
    }
}

#[test]
fn without_a_gap_a_proof_begins_after_the_longest_wait() {
    let start = Instant::now();
    let mut logic = logic(Matching::PartId, start);
    logic.proved(start, true);
    let proofs = proofs(&mut logic, start, Duration::from_secs(1_300), ms(60_000), ms(700));
    let [(first, 0), (second, 1)] = proofs[..] else { panic!("{proofs:?}") };
    for (at, due) in [(first, 600), (second, 1_200)] {
        let late = at - Duration::from_secs(due);
        assert!(late > ms(2_000) && late < ms(2_000) + 3 * PAUSE, "late by {late:?}");
    }
}

/// Otherwise an engine whose proof takes longer than the interval would be proven without pause, and never judge.
#[test]
fn half_an_interval_without_proofs_follows_each_proof() {
    let start = Instant::now();
    let mut logic = logic(Matching::PartId, start);
    logic.proved(start, true);
    let took = Duration::from_secs(1_000);
    let proofs = proofs(&mut logic, start, Duration::from_secs(6_000), ms(0), took);
    assert!(proofs.len() > 3);
    for pair in proofs.windows(2) {
        let pause = pair[1].0 - pair[0].0 - took;
        assert!(pause >= Duration::from_secs(300) && pause < Duration::from_secs(301), "{pause:?}");
    }
}

#[test]
fn an_engine_that_fails_a_proof_is_loaded_10_s_later_and_its_proofs_begin_anew() {
    let start = Instant::now();
    let mut logic = logic(Matching::PartId, start);
    let mut effects = Vec::new();
    logic.proved(start, true);
    let due = start + Duration::from_secs(600);
    assert_eq!(logic.next(due, &view(EngineState::ProofGranted), &mut effects), Next::Prove { golden: 0 });
    logic.proved(due, false);
    let failed = view(EngineState::Failed);
    assert_eq!(logic.next(due + PROVE_AGAIN - ms(1), &failed, &mut effects), Next::Wait(PAUSE));
    let loading = due + PROVE_AGAIN;
    assert_eq!(logic.next(loading, &failed, &mut effects), Next::Load);
    logic.proved(loading + ms(500), true);
    let next = loading + Duration::from_secs(600);
    assert_eq!(logic.next(next - ms(1), &view(EngineState::Proven), &mut effects), Next::Wait(PAUSE));
    assert_eq!(logic.next(next, &view(EngineState::ProofGranted), &mut effects), Next::Prove { golden: 0 });
    assert_eq!(effects, []);
}

/// An engine that failed on a part is loaded at once, long before its next proof was due.
#[test]
fn the_time_of_the_next_proof_counts_from_the_loading_of_the_engine() {
    let start = Instant::now();
    let mut logic = logic(Matching::PartId, start);
    let mut effects = Vec::new();
    logic.proved(start, true);
    let loading = start + Duration::from_secs(100);
    assert_eq!(logic.next(loading, &view(EngineState::Starting), &mut effects), Next::Load);
    logic.proved(loading + ms(500), true);
    let next = loading + Duration::from_secs(600);
    assert_eq!(logic.next(next - ms(1), &view(EngineState::Proven), &mut effects), Next::Wait(PAUSE));
    assert_eq!(effects, []);
    assert_eq!(logic.next(next, &view(EngineState::Proven), &mut effects), Next::Wait(PAUSE));
    assert_eq!(effects, [Effect::RequestProof]);
}

#[test]
fn a_part_gets_its_image_or_is_rejected_100_ms_before_its_deadline() {
    let start = Instant::now();
    let proven = view(EngineState::Proven);
    let mut effects = Vec::new();
    let mut logic = logic(Matching::PartId, start);
    logic.proved(start, true);
    logic.on_message(ToJudge::Arrival(image(1, start)), start, &mut effects);
    logic.on_message(triggered(1, start + ms(5)), start + ms(5), &mut effects);
    let judge = logic.next(start + ms(7), &proven, &mut effects);
    assert_eq!(judge, Next::Judge { number: Some(1), rule: Some(rule(1)), file: image(1, start).file });
    assert_eq!(effects, [Effect::Found(ms(2))]);
    effects.clear();
    logic.on_message(triggered(2, start), start, &mut effects);
    assert_eq!(logic.next(start + ms(380), &proven, &mut effects), Next::Wait(ms(20)));
    assert_eq!(logic.next(start + ms(400), &proven, &mut effects), Next::Wait(ms(0)));
    let [Effect::Reject { number: 2, reason: ReasonCode::NO_IMAGE, .. }] = &effects[..] else { panic!("{effects:?}") };
}

#[test]
fn a_trigger_while_free_running_is_rejected_at_once() {
    let start = Instant::now();
    let mut effects = Vec::new();
    let mut logic = logic(Matching::FreeRunning, start);
    logic.proved(start, true);
    logic.on_message(triggered(1, start), start, &mut effects);
    assert!(matches!(&effects[..], [Effect::Reject { number: 1, reason: ReasonCode::NO_IMAGE, .. }]));
}

/// If several images were judged while the journal could not store, all results but one would be lost.
#[test]
fn an_image_without_a_trigger_waits_until_the_previous_one_is_recorded() {
    let start = Instant::now();
    let proven = view(EngineState::Proven);
    let mut effects = Vec::new();
    let mut logic = logic(Matching::FreeRunning, start);
    logic.proved(start, true);
    for number in [1, 2] {
        logic.on_message(ToJudge::Arrival(image(number, start)), start, &mut effects);
    }
    let judge = |number| Next::Judge { number: None, rule: None, file: image(number, start).file };
    assert_eq!(logic.next(start, &proven, &mut effects), judge(1));
    assert_eq!(logic.next(start + LEAD * 100, &proven, &mut effects), Next::Wait(PAUSE));
    logic.on_message(ToJudge::Recorded, start, &mut effects);
    let stopping = View { is_stopping: true, ..proven };
    assert_eq!(logic.next(start, &stopping, &mut effects), Next::Wait(PAUSE), "it is judged after the next start");
    assert_eq!(logic.next(start, &proven, &mut effects), judge(2));
    assert_eq!(effects, []);
}

#[derive(Debug, Clone, Copy)]
enum LogicEvent {
    Image,
    Trigger,
    Doubt,
    Pause(u64),
}

fn events() -> impl Strategy<Value = Vec<LogicEvent>> {
    let one = prop_oneof![
        4 => Just(LogicEvent::Image),
        4 => Just(LogicEvent::Trigger),
        1 => Just(LogicEvent::Doubt),
        3 => (1..600_u64).prop_map(LogicEvent::Pause),
        // Longer than `LEAD`, so that images and triggers are in step again.
        1 => (1_100..2_000_u64).prop_map(LogicEvent::Pause),
    ];
    proptest::collection::vec(one, 1..60)
}

proptest! {
    /// In any order of events, each image is judged once or set aside once, never both.
    #[test]
    fn an_image_is_judged_or_set_aside_once(
        events in events(),
        matching in prop_oneof![Just(Matching::PartId), Just(Matching::ImageFirst), Just(Matching::TriggerFirst)],
    ) {
        let start = Instant::now();
        let mut now = start;
        let mut logic = logic(matching, start);
        logic.proved(start, true);
        let proven = view(EngineState::Proven);
        let (mut images, mut triggers) = (0, 0);
        let (mut used, mut answered) = (Vec::new(), Vec::new());
        for event in events.into_iter().chain([LogicEvent::Pause(600), LogicEvent::Pause(1_500)]) {
            let mut effects = Vec::new();
            match event {
                LogicEvent::Image => {
                    images += 1;
                    logic.on_message(ToJudge::Arrival(image(images, now)), now, &mut effects);
                }
                LogicEvent::Trigger => {
                    triggers += 1;
                    logic.on_message(triggered(triggers, now), now, &mut effects);
                }
                LogicEvent::Doubt => logic.on_message(ToJudge::Doubt, now, &mut effects),
                LogicEvent::Pause(pause) => now += ms(pause),
            }
            loop {
                match logic.next(now, &proven, &mut effects) {
                    Next::Prove { .. } => logic.proved(now, true),
                    Next::Load => panic!("the engine runs"),
                    Next::Judge { number, rule: _, file } => {
                        answered.extend(number);
                        used.push(file);
                    }
                    Next::Wait(most) if most.is_zero() => {}
                    Next::Wait(_) => break,
                }
            }
            for effect in effects {
                match effect {
                    Effect::Reject { number, .. } => answered.push(number),
                    Effect::SetAside(files, _) => used.extend(files),
                    _ => {}
                }
            }
        }
        let mut paths: Vec<_> = used.iter().map(|file| file.path.clone()).collect();
        paths.sort();
        paths.dedup();
        prop_assert_eq!(paths.len(), used.len(), "judged or set aside twice");
        prop_assert_eq!(used.len() as u64 + logic.backlog() as u64, images, "lost");
        let mut parts = answered.clone();
        parts.dedup();
        prop_assert!(parts == answered && answered.is_sorted(), "answered twice: {:?}", answered);
        prop_assert!(logic.waiting.is_none(), "no answer by the deadline");
    }
}
