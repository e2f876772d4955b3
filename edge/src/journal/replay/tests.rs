use super::super::event::tests::event;
use super::super::hash::tests::{row, rule};
use super::super::verdict_row::VerdictEntry;
use super::super::{RowFeatures, rows, schema};
use super::*;
use cellgate_models::engine::WhitenedFeatures;
use std::num::NonZeroU64;

const MODEL: [u8; 32] = [9; 32];

/// A replay with a journal of rows.
struct Bench {
    connection: Connection,
    replay: BundleReplay,
    events: u64,
    rows: u64,
}

impl Bench {
    fn new() -> Self {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::create(&mut connection).unwrap();
        Self { connection, replay: BundleReplay::default(), events: 0, rows: 0 }
    }

    /// The next event, about this bundle and by this model.
    fn event(&mut self, kind: EventKind, bundle: u32, model: [u8; 32], figures: &str) -> Result<(), String> {
        self.events += 1;
        let event = EventRow {
            number: NonZeroU64::new(self.events).unwrap(),
            kind: kind.name().to_owned(),
            bundle,
            model: Some(model.into()),
            figures: figures.to_owned(),
            newest_seq: self.rows,
            ..event()
        };
        self.replay.event(&self.connection, &event).map_err(|stop| match stop {
            Stop::Bad(bad) => bad.to_string(),
            Stop::Unreadable(error) => panic!("{error}"),
        })
    }

    fn start(&mut self, bundle: u32, reference_parts: u32) {
        let figures = format!(r#"{{"by":"PLC","reference_parts":{reference_parts}}}"#);
        self.event(EventKind::BundleStarted, bundle, MODEL, &figures).unwrap();
    }

    fn end(&mut self, bundle: u32) {
        self.event(EventKind::BundleEnded, bundle, MODEL, r#"{"parts":1}"#).unwrap();
    }

    fn confirm(&mut self, bundle: u32, model: [u8; 32], (seq, part, logit): (u64, u64, f32)) -> Result<(), String> {
        let features = serde_json::to_string(&vec![0.0_f32; 64]).unwrap();
        let figures = format!(r#"{{"seq":{seq},"part":{part},"raw_logit":{logit},"features":{features}}}"#);
        self.event(EventKind::ReferenceConfirmed, bundle, model, &figures)
    }

    fn offset(&mut self, bundle: u32, model: [u8; 32], parts: &[u64], offset: f64) -> Result<(), String> {
        let figures = format!(r#"{{"parts":{parts:?},"offset":{offset},"centre":null,"refused":null}}"#);
        self.event(EventKind::Offset, bundle, model, &figures)
    }

    /// The next row.
    fn row(&mut self, bundle: u32, model: [u8; 32], verdict: Verdict, offset: f64) -> Result<(), String> {
        self.rows += 1;
        let seq = NonZeroU64::new(self.rows).unwrap();
        let entry = VerdictEntry {
            trigger: seq,
            verdict,
            model: Some(model.into()),
            raw_logit: Some(-2.0),
            rule: Some(rule(offset, [-1.0, 2.0], [1.0, 0.0], None)),
            features: (verdict == Verdict::Review).then(|| RowFeatures::from(&WhitenedFeatures::ORIGIN)),
            ..row().entry
        };
        let mut record = VerdictRow { seq, entry, ..row() };
        (record.trigger.bundle, record.trigger.part) = (bundle, 10 * self.rows);
        rows::insert_record(&self.connection, &record).unwrap();
        self.replay.row(&record)
    }

    /// Bundle 7 needs one reference part, has one, and the offset 0.25.
    fn with_offset() -> Self {
        let mut bench = Self::new();
        bench.start(7, 1);
        bench.row(7, MODEL, Verdict::Review, 0.0).unwrap();
        bench.confirm(7, MODEL, (1, 10, -2.0)).unwrap();
        bench.offset(7, MODEL, &[1], 0.25).unwrap();
        bench
    }
}

#[test]
fn what_an_appliance_writes_is_accepted() {
    let mut bench = Bench::with_offset();
    for verdict in [Verdict::Pass, Verdict::Review, Verdict::Reject] {
        bench.row(7, MODEL, verdict, 0.25).unwrap();
    }
    bench.row(7, MODEL, Verdict::Reject, 0.0).expect("it was rejected before the network ran");
    bench.end(7);
    bench.row(0, MODEL, Verdict::Pass, 0.0).expect("a part of no bundle");
    bench.row(7, MODEL, Verdict::Reject, 0.0).expect("a part that was rejected at a restart");
    bench.start(8, 0);
    bench.row(8, MODEL, Verdict::Pass, 0.0).expect("a model without reference parts");
    bench.row(8, [1; 32], Verdict::Pass, 0.0).expect("another one");
    bench.start(9, 1);
    bench.row(9, [1; 32], Verdict::Pass, 0.0).expect("a model without reference parts, after the start");
    bench.event(EventKind::BundleEnded, 3, MODEL, r#"{"parts":0}"#).expect("its start was not stored");
}

#[test]
fn rows_that_do_not_fit_their_bundle_are_named() {
    let pass = |bench: &mut Bench, bundle, offset| bench.row(bundle, MODEL, Verdict::Pass, offset).unwrap_err();
    let mut bench = Bench::new();
    let mut found = vec![pass(&mut bench, 7, 0.0), pass(&mut bench, 0, 0.25)];
    bench.start(7, 1);
    found.extend([pass(&mut bench, 7, 0.0), pass(&mut bench, 7, 0.25), pass(&mut bench, 8, 0.0)]);
    let mut bench = Bench::with_offset();
    found.extend([pass(&mut bench, 7, 0.0), pass(&mut bench, 7, 0.5), pass(&mut bench, 8, 0.25)]);
    found.push(bench.row(7, MODEL, Verdict::Reject, 0.5).unwrap_err());
    found.push(bench.row(7, [1; 32], Verdict::Pass, 0.25).unwrap_err());
    bench.start(7, 1);
    found.push(pass(&mut bench, 7, 0.25));
    let mut bench = Bench::with_offset();
    bench.end(7);
    found.push(pass(&mut bench, 7, 0.25));
    insta::assert_snapshot!("wrong_rows", found.join("\n"));
}

#[test]
fn events_that_do_not_fit_their_rows_are_named() {
    let mut bench = Bench::with_offset();
    bench.row(7, MODEL, Verdict::Reject, 0.0).unwrap();
    bench.row(7, [1; 32], Verdict::Review, 0.0).unwrap();
    bench.row(8, MODEL, Verdict::Review, 0.0).unwrap();
    let mut found = Vec::new();
    for of in [(1, 11, -2.0), (1, 10, -2.5), (2, 20, -2.0), (3, 30, -2.0), (4, 40, -2.0)] {
        found.push(bench.confirm(7, MODEL, of).unwrap_err());
    }
    found.push(bench.confirm(8, MODEL, (4, 40, -2.0)).unwrap_err());
    found.push(bench.offset(7, MODEL, &[2], 0.5).unwrap_err());
    found.push(bench.offset(7, MODEL, &[], 0.5).unwrap_err());
    found.push(bench.event(EventKind::Offset, 7, MODEL, "{}").unwrap_err());
    bench.connection.execute("UPDATE verdict SET features = ?1 WHERE seq = 1", [[1_u8; 256]]).unwrap();
    found.push(bench.confirm(7, MODEL, (1, 10, -2.0)).unwrap_err());
    insta::assert_snapshot!("wrong_events", found.join("\n"));
}
