use super::*;
use crate::acquire::ImageFile;
use crate::appliance::beat::{Beats, Clock};
use crate::appliance::judge::EngineState;
use crate::config::Config;
use crate::metrics::{About, Metrics};
use cellgate_protocol::session::device::{Action, DeviceConfig};
use cellgate_protocol::to_device::{Ack, TriggerRequest};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, channel};

/// A line without port and threads, and what it asks of them.
struct Bench {
    line: Line,
    requests: Receiver<Request>,
    chores: Receiver<Chore>,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::parse(Config::EXAMPLE, &folder.path().join("edge.toml")).unwrap();
        let (journal, _) = Journal::open(&config.journal.path, journal::Options::default()).unwrap();
        let clock = Clock::start();
        let about = About { device: 1, bundle: String::new(), profile: "native" };
        let shared = Shared {
            clock,
            beats: Beats::new(clock),
            engine: EngineState::default(),
            metrics: Metrics::new(&about, Duration::from_secs(5), &[]).unwrap(),
            stop: Arc::default(),
            line_ended: AtomicBool::new(false),
        };
        let session = DeviceSession::new(DeviceConfig { device: 1, boot_epoch: 1, first_wait_ms: 50 });
        let (requests, requests_receiver) = channel();
        let (chores, chores_receiver) = channel();
        let line = Line {
            end: DeviceEnd::new(session, &config.plc),
            shared: Arc::new(shared),
            journal: Arc::new(journal),
            model: Digest::of(b"model"),
            work: channel().0,
            requests,
            chores,
            undelivered: BTreeMap::new(),
            memory: Memory::default(),
        };
        Self { line, requests: requests_receiver, chores: chores_receiver, _folder: folder }
    }

    /// The PLC triggers part 7 with this deadline; what the journal is asked to accept.
    fn trigger(&mut self, deadline_ms: u32) -> journal::Trigger {
        let Shared { clock, beats, .. } = &*self.line.shared;
        Worker::NEEDED.into_iter().for_each(|worker| beats.busy(worker, Duration::from_secs(60)));
        let health = beats.health();
        let now_ms = clock.now_ms();
        let session = self.line.end.session();
        session.set_condition(Condition { mode: Mode::Operating, store_ok: true, degraded: false, backlog: 0 });
        session.link_opened(now_ms);
        while session.poll(now_ms, health.as_ref()).is_some() {}
        session.trigger(now_ms, &TriggerRequest { part_id: 7, nonce: 1, deadline_ms });
        let Some(Action::Event(event)) = session.poll(now_ms, health.as_ref()) else { panic!("not accepted") };
        self.line.on_event(event);
        match self.requests.recv().unwrap() {
            Request::Accept { number: 1, trigger } => trigger,
            other => panic!("{other:?}"),
        }
    }

    /// The judge tells what it found out about part 7.
    fn judged(&mut self) {
        let judged = Judged::reject(ReasonCode::INTERNAL, "").with_file(ImageFile::at("scans/7.tif".into()));
        self.line.on_told(Told::Judged { number: 1, judged });
    }

    fn is_set_aside(&self) -> bool {
        self.chores.try_iter().any(|chore| {
            matches!(chore, Chore::SetAside { images, why: Unjudged::TooLate } if images == [ImageFile::at("scans/7.tif".into())])
        })
    }
}

#[test]
fn a_plc_that_allows_more_time_than_configured_gets_the_configured_one() {
    let config = Config::parse(Config::EXAMPLE, Path::new("edge.toml")).unwrap();
    let longest = config.plc.deadline_ms.get();
    let deadline = |ms| Bench::new().trigger(ms).deadline_ms;
    assert!((longest - 1_000..=longest).contains(&deadline(10 * longest)));
    assert!((1_000..=2_000).contains(&deadline(2_000)), "less is as asked");
}

/// A proof in the middle of a part would take its PASS away.
#[test]
fn a_proof_that_is_due_waits_for_the_part_in_hand() {
    let mut bench = Bench::new();
    bench.line.shared.engine.set(EngineState::PROVEN);
    let may_prove = |bench: &mut Bench| {
        bench.line.look_around();
        bench.line.shared.engine.may_prove()
    };
    let trigger = bench.trigger(2_000);
    assert!(!may_prove(&mut bench) && !may_prove(&mut bench), "being judged");
    bench.judged();
    let id = bench.line.journal.accept(trigger).unwrap().id();
    bench.line.on_told(Told::Accepted { number: 1, accepted: Some(id) });
    let Request::Commit(commit) = bench.requests.recv().unwrap() else { panic!("nothing to commit") };
    assert!(!may_prove(&mut bench), "being stored");
    let Commit { pending, judged, received, .. } = *commit;
    let entry = judged.entry(&pending.entry().outcome, id, bench.line.model, Duration::ZERO);
    let committed = bench.line.journal.commit(entry).unwrap();
    let row = Box::new(committed.record().clone());
    bench.line.on_told(Told::Committed { committed: pending.committed(committed.seq()), row, received });
    assert!(!may_prove(&mut bench), "being said");
    assert!(bench.line.shared.engine.is_proven());
    let code = part::record(committed.record(), Origin::REPLAY).code;
    bench.line.session().acknowledge(&Ack { verdict_seq: committed.seq().get(), part_id: 7, code });
    assert!(may_prove(&mut bench), "acknowledged");
    assert!(!bench.line.shared.engine.is_proven());
}

#[test]
fn the_image_of_a_part_that_was_refused_or_timed_out_is_set_aside() {
    for judged_first in [true, false] {
        let mut bench = Bench::new();
        bench.trigger(2_000);
        if judged_first {
            bench.judged();
        }
        bench.line.on_told(Told::Accepted { number: 1, accepted: None });
        if !judged_first {
            bench.judged();
        }
        assert!(bench.is_set_aside(), "refused, judged first: {judged_first}");
    }
    let mut bench = Bench::new();
    bench.trigger(2_000);
    bench.line.on_told(Told::Accepted { number: 1, accepted: Some(NonZeroU64::MIN) });
    let later_ms = bench.line.shared.clock.now_ms() + 1_990;
    let concluded =
        std::iter::from_fn(|| bench.line.end.session().poll(later_ms, None)).find_map(|action| match action {
            Action::Event(event @ Event::Concluded(_)) => Some(event),
            _ => None,
        });
    bench.line.on_event(concluded.unwrap());
    assert!(matches!(bench.requests.recv().unwrap(), Request::Commit(_)));
    bench.judged();
    assert!(bench.is_set_aside(), "timed out");
}
