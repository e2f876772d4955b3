use super::*;
use crate::acquire::{ImageFile, ReferenceImages};
use crate::appliance::bundle::tests::settings;
use crate::appliance::messages::ToArchiver;
use crate::appliance::shared::tests::shared;
use crate::config::{Config, Profile};
use crate::control::{BundleAnswer, BundleRequest, Who};
use cellgate_protocol::session::device::{DeviceAction, DeviceSessionConfig};
use cellgate_protocol::to_device::{Ack, TriggerRequest};
use cellgate_protocol::to_plc::ToPlc;
use cellgate_protocol::version::Schema;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};

/// A `Line` with a real journal, but without the services around it. The tests take the place of port, judge and archiver.
struct LineBench {
    line: Line,
    messages: tokio::sync::mpsc::Receiver<ToLine>,
    to_judge: Receiver<ToJudge>,
    to_archiver: Receiver<ToArchiver>,
    _folder: tempfile::TempDir,
}

impl LineBench {
    fn new() -> Self {
        Self::with_profile(Profile::Native)
    }

    fn with_profile(profile: Profile) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::parse(Config::EXAMPLE, &folder.path().join("edge.toml")).unwrap();
        config.plc.profile = profile;
        let (journal, _) = Journal::open(&config.journal.path, journal::JournalOptions::default()).unwrap();
        let session = DeviceSession::new(DeviceSessionConfig {
            device: 1,
            boot_epoch: 1,
            first_wait_ms: 50,
            schema: Schema::Two,
        });
        let (judge, to_judge) = JudgeQueue::new();
        let (answers, messages) = LineQueue::new();
        let shared = Arc::new(shared());
        let (archiver, to_archiver) = ArchiverQueue::new(Arc::clone(&shared));
        let line = Line {
            transport: PlcTransport::new(session, &config.plc),
            shared,
            journal: Arc::new(journal),
            model: Digest::of(b"model"),
            judge,
            answers,
            archiver,
            backlog: Backlog::default(),
            bundles: Bundles::new(settings(), None),
            memory: Memory::default(),
        };
        Self { line, messages, to_judge, to_archiver, _folder: folder }
    }

    /// The PLC triggers part 7 with this deadline.
    fn trigger(&mut self, deadline_ms: u32) {
        let health = self.line.shared.liveness.health();
        let now_ms = self.line.shared.clock.now_ms();
        let session = self.line.transport.session();
        session.set_condition(Condition { mode: Mode::Operating, store_ok: true, degraded: false, backlog: 0 });
        session.link_opened(now_ms);
        while session.poll(now_ms, health.as_ref()).is_some() {}
        session.trigger(now_ms, &TriggerRequest { part_id: 7, nonce: 1, deadline_ms }, 0);
        let Some(DeviceAction::Event(event)) = session.poll(now_ms, health.as_ref()) else { panic!("not accepted") };
        self.line.on_event(event);
        assert!(matches!(self.to_judge.try_recv(), Ok(ToJudge::Part(Part { part_id: 7, .. }, _))));
    }

    /// The journal's next answer reaches `Line`.
    fn answer(&mut self) {
        let message = self.messages.blocking_recv().unwrap();
        self.line.on_message(message);
    }

    /// The result for part 7, a REJECT, reaches `Line`.
    fn judged(&mut self) {
        let judged = Judged::reject(ReasonCode::INTERNAL, "").with_file(ImageFile::at("scans/7.tif".into()));
        self.line.on_message(ToLine::Judged { number: 1, judged });
    }

    /// Whether the image of part 7 was set aside as too late.
    fn is_set_aside(&self) -> bool {
        self.to_archiver.try_iter().any(|message| {
            matches!(message, ToArchiver::SetAside { images, why: Unjudged::TooLate } if images == [ImageFile::at("scans/7.tif".into())])
        })
    }

    /// Whether a RECORD is due now and is sent.
    fn sends_record(&mut self) -> bool {
        self.line.update_condition();
        let now_ms = self.line.shared.clock.now_ms();
        let session = self.line.transport.session();
        std::iter::from_fn(|| session.poll(now_ms, None))
            .any(|action| matches!(action, DeviceAction::Send(ToPlc::Record(_))))
    }

    /// The number of accepted triggers on the metrics page.
    fn accepted_triggers(&self) -> String {
        let page = self.line.shared.metrics.page().unwrap();
        page.lines().find_map(|line| line.strip_prefix("cellgate_triggers_total ")).unwrap().to_owned()
    }

    /// Whether a proof that is requested now is granted.
    fn may_prove(&mut self) -> bool {
        self.line.shared.engine.request_proof();
        self.line.update_condition();
        self.line.shared.engine.get() == EngineState::ProofGranted
    }
}

#[test]
fn a_longer_deadline_than_configured_is_shortened() {
    let config = Config::parse(Config::EXAMPLE, Path::new("edge.toml")).unwrap();
    let longest = config.plc.deadline_ms.get();
    let deadline = |ms| {
        let mut bench = LineBench::new();
        bench.trigger(ms);
        bench.answer();
        bench.line.journal.open_parts().unwrap()[0].trigger.deadline_ms
    };
    // The stored deadline is shorter by the ms that have passed since the trigger.
    assert!((longest - 1_000..=longest).contains(&deadline(10 * longest)));
    assert!((1_000..=2_000).contains(&deadline(2_000)), "a shorter deadline is kept");
}

/// The answer waits for the event, and the next part without a named bundle belongs to the bundle.
#[test]
fn a_person_starts_a_bundle() {
    let mut bench = LineBench::new();
    let (answer, answers) = sync_channel(1);
    let request = BundleRequest::Start { bundle: NonZeroU32::new(7).unwrap(), reference_parts: None };
    let who = Who { uid: 1000, pid: 42, name: "operator".to_owned() };
    bench.line.on_message(ToLine::Bundle { request, who, answer });
    bench.line.step(&mut Vec::new());
    assert!(answers.try_recv().is_err(), "the event is being stored");
    bench.answer();
    assert!(matches!(answers.try_recv(), Ok(BundleAnswer::Done(status)) if status.bundle == 7));
    bench.line.step(&mut Vec::new());
    assert_eq!(bench.line.session().bundle().bundle, 7);
    bench.trigger(2_000);
    bench.answer();
    assert_eq!(bench.line.journal.open_parts().unwrap()[0].trigger.bundle, 7);
}

/// Otherwise the archiver could delete the image of a part that is confirmed next.
#[test]
fn the_archiver_knows_the_reference_phase_before_it_gets_the_first_image() {
    let mut bench = LineBench::new();
    let (answer, _answers) = sync_channel(1);
    let request = BundleRequest::Start { bundle: NonZeroU32::new(7).unwrap(), reference_parts: None };
    let who = Who { uid: 1000, pid: 42, name: "operator".to_owned() };
    bench.line.on_message(ToLine::Bundle { request, who, answer });
    bench.line.step(&mut Vec::new());
    bench.answer();
    bench.trigger(2_000);
    bench.answer();
    bench.judged();
    assert_eq!(bench.line.shared.reference_images(), ReferenceImages::default());
    bench.answer();
    assert!(matches!(bench.to_archiver.try_recv(), Ok(ToArchiver::Archive { .. })));
    assert_eq!(bench.line.shared.reference_images().phase_from, Some(1));
}

/// The verdict is REJECT/INTERNAL.
#[test]
fn a_verdict_that_the_gate_did_not_follow_is_counted_once_by_the_gates_reason() {
    let unknown = ReasonCode(0x7777);
    for (gate, counted) in [
        (ReasonCode::NONE, None),
        (ReasonCode::INTERNAL, None),
        (ReasonCode::LATE, Some("LATE")),
        (ReasonCode::SCORE_BELOW_REVIEW, Some("OTHER")),
        (unknown, Some("OTHER")),
    ] {
        let mut bench = LineBench::new();
        bench.trigger(2_000);
        bench.judged();
        bench.answer();
        bench.answer();
        let record = bench.line.backlog.next(u64::MAX / 2).unwrap();
        let ack = Ack { verdict_seq: record.verdict_seq, part_id: 7, code: record.code };
        for _ in 0..2 {
            bench.line.on_event(DeviceEvent::RecordAcknowledged { ack, gate });
        }
        assert_eq!(bench.line.backlog.len(), 0);
        let page = bench.line.shared.metrics.page().unwrap();
        let of_gate = |line: &&str| line.starts_with("cellgate_gate_differences_total{") && !line.ends_with(" 0");
        let expected = counted.map(|reason| format!("cellgate_gate_differences_total{{reason=\"{reason}\"}} 1"));
        assert_eq!(page.lines().filter(of_gate).collect::<Vec<_>>(), Vec::from_iter(expected), "{gate}");
    }
}

/// A proof while a part is in progress would prevent its PASS.
#[test]
fn a_proof_that_is_due_waits_for_the_part_in_progress() {
    let mut bench = LineBench::new();
    bench.line.shared.engine.set_proven();
    bench.trigger(2_000);
    assert!(!bench.may_prove(), "being judged");
    bench.judged();
    assert!(!bench.may_prove(), "its acceptance is being stored");
    bench.answer();
    assert!(!bench.may_prove(), "its verdict is being stored");
    bench.answer();
    assert!(!bench.may_prove() && bench.line.shared.engine.get().is_proven(), "being sent");
    // At this time, far in the future, the next RECORD is due.
    let record = bench.line.backlog.next(u64::MAX / 2).unwrap();
    let ack = Ack { verdict_seq: record.verdict_seq, part_id: 7, code: record.code };
    bench.line.session().acknowledge(&ack, ReasonCode::NONE);
    bench.line.step(&mut Vec::new());
    assert!(bench.may_prove(), "acknowledged");
    assert_eq!(bench.line.backlog.len(), 0);
}

/// Regression: 250 ms after a VERDICT was first sent, its own RECORD was sent between its repetitions, and the PLC rejected the part.
#[test]
fn no_record_is_sent_before_the_part_is_over() {
    // In this profile a RECORD can be sent without a HELLO of the PLC.
    let mut bench = LineBench::with_profile(Profile::Modbus);
    bench.trigger(5_000);
    bench.judged();
    assert!(!bench.sends_record(), "its acceptance is being stored");
    bench.answer();
    assert!(!bench.sends_record(), "its verdict is being stored");
    bench.answer();
    let longer_than_the_pause_between_records = Duration::from_millis(260);
    std::thread::sleep(longer_than_the_pause_between_records);
    assert!(!bench.sends_record() && bench.line.backlog.len() == 1, "its VERDICT is being repeated");
    bench.line.on_event(DeviceEvent::Undelivered { verdict_seq: 1 });
    assert!(!bench.sends_record(), "the session has just sent the RECORD");
    std::thread::sleep(longer_than_the_pause_between_records);
    assert!(bench.sends_record(), "over");
}

#[test]
fn the_image_of_a_part_that_was_refused_or_timed_out_is_set_aside() {
    for judged_first in [true, false] {
        let mut bench = LineBench::new();
        bench.trigger(2_000);
        if judged_first {
            bench.judged();
        }
        bench.line.on_message(ToLine::Accepted { number: 1, accepted: Err(JournalError::Closed) });
        if !judged_first {
            bench.judged();
        }
        assert!(bench.is_set_aside(), "refused, judged first: {judged_first}");
        assert_eq!(bench.accepted_triggers(), "0");
    }
    let mut bench = LineBench::new();
    bench.trigger(2_000);
    bench.answer();
    assert_eq!(bench.accepted_triggers(), "1");
    // About 10 ms before the deadline: the session concludes a part 50 ms before it.
    let later_ms = bench.line.shared.clock.now_ms() + 1_990;
    let concluded =
        std::iter::from_fn(|| bench.line.transport.session().poll(later_ms, None)).find_map(|action| match action {
            DeviceAction::Event(event @ DeviceEvent::Concluded(_)) => Some(event),
            _ => None,
        });
    bench.line.on_event(concluded.unwrap());
    bench.answer();
    bench.judged();
    assert!(bench.is_set_aside(), "timed out");
}

/// Without the doubt the judge would assign the image of the refused part to the next part.
#[test]
fn the_judge_is_informed_of_a_refused_trigger_even_after_its_queue_was_full() {
    let mut bench = LineBench::new();
    bench.line.shared.engine.set_proven();
    while bench.line.judge.try_send(ToJudge::Recorded) {}
    // The session refuses this trigger, because it is not ready.
    let request = TriggerRequest { part_id: 7, nonce: 1, deadline_ms: 0 };
    bench.line.session().trigger(0, &request, 0);
    bench.line.step(&mut Vec::new());
    while bench.to_judge.try_recv().is_ok() {}
    bench.line.step(&mut Vec::new());
    assert!(matches!(bench.to_judge.try_recv(), Ok(ToJudge::Doubt)));
    bench.line.step(&mut Vec::new());
    assert!(bench.to_judge.try_recv().is_err(), "once");
}

/// Regression: when storing failed, an image without a trigger got no row, because storing was not tried again.
#[test]
fn an_untriggered_image_is_recorded_once_the_journal_is_ready_again() {
    let mut bench = LineBench::new();
    let judged = Judged::reject(ReasonCode::INTERNAL, "").with_file(ImageFile::at("scans/free.tif".into()));
    bench.line.on_message(ToLine::FreeRunning { judged, at: Instant::now() });
    let accepted = bench.messages.blocking_recv().unwrap();
    let ToLine::Accepted { number, accepted: Ok(_) } = accepted else { panic!("{accepted:?}") };
    bench.line.on_message(ToLine::Accepted { number, accepted: Err(JournalError::NotReady { why: String::new() }) });
    bench.line.step(&mut Vec::new());
    assert!(!bench.line.is_done() && bench.to_judge.try_recv().is_err(), "owed");
    // Longer than the pause between two attempts to store the verdict.
    std::thread::sleep(Duration::from_millis(50));
    bench.line.step(&mut Vec::new());
    bench.answer();
    bench.answer();
    assert!(bench.line.is_done());
    bench.line.step(&mut Vec::new());
    assert!(matches!(bench.to_judge.try_recv(), Ok(ToJudge::Recorded)));
    let archived = bench.to_archiver.try_recv().unwrap();
    assert!(matches!(archived, ToArchiver::Archive { name, .. } if name == "0000000001-free-REJECT"));
}
