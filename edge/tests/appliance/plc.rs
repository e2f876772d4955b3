//! Runs a PLC in a thread of the test. The PLC keeps the changes of the device's heartbeat, the accepted parts and the outcomes.

use crate::plant::{Plant, wait_for};
use cellgate_edge::config::{ParityConfig, Profile};
use cellgate_edge::plc_sim::{PlcEnd, SimulatorOptions};
use cellgate_edge::serial::{Happened, SerialPort};
use cellgate_models::model::{Model, ModelLimits};
use cellgate_protocol::bundle::{BundleState, Confirm, ConfirmResult, Confirmed};
use cellgate_protocol::code::WireVerdict;
use cellgate_protocol::digest::DigestStart;
use cellgate_protocol::link::plc::Ends;
use cellgate_protocol::modbus::unit::Unit;
use cellgate_protocol::session::plc::{PartEnd, PlcEvent, PlcSession, PlcSessionConfig};
use cellgate_protocol::session::repeat::first_wait_ms;
use cellgate_protocol::version::Schema;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const BAUD: u32 = 115_200;
/// How often the PLC checks its timers and tries to open a lost port.
const TICK: Duration = Duration::from_millis(5);

/// The PLC's observations so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// Each change of the device's heartbeat: when the PLC saw it, and the new counter.
    pub(crate) heartbeats: Vec<(Instant, u32)>,
    /// Since when the device has been ready to accept a trigger. `None` while it is not ready.
    pub(crate) ready: Option<Instant>,
    /// The parts that the device answered BUSY for.
    pub(crate) accepted: Vec<u64>,
    /// The outcomes of the parts, each with the time of the decision.
    pub(crate) outcomes: Vec<(Instant, PartEnd)>,
    /// The device's answers to confirmations.
    pub(crate) confirmed: Vec<Confirmed>,
    /// The running bundle as the device shows it.
    pub(crate) bundle: BundleState,
}

impl Seen {
    /// Checks that each of the `parts` parts has one outcome and at most one row, that the row has the verdict that the PLC received,
    /// and that each accepted part has a row.
    pub(crate) fn assert_agrees_with(&self, rows: &[Value], parts: u64) {
        let numbers: BTreeSet<u64> = rows.iter().map(|row| row["part"].as_u64().unwrap()).collect();
        assert_eq!(numbers.len(), rows.len(), "a part has two rows");
        assert!(self.accepted.iter().all(|part| numbers.contains(part)), "an accepted part has no row");
        assert_eq!(self.outcomes.len() as u64, parts, "each part has one outcome");
        for (_, outcome) in &self.outcomes {
            let row = rows.iter().find(|row| row["part"] == outcome.part_id);
            let received = outcome.claim.map(|claim| claim.code.verdict().name());
            assert!(
                received.is_none_or(|verdict| row.is_some_and(|row| row["verdict"] == verdict)),
                "{outcome:?} {row:?}"
            );
        }
    }
}

/// What the test asks of the PLC.
enum Order {
    /// Trigger a part of this bundle.
    Trigger { id: u64, deadline_ms: u32, bundle: u32 },
    /// Confirm a reference part.
    Confirm(Confirm),
}

/// A running PLC. Dropping this value ends the PLC's thread.
pub(crate) struct Plc {
    seen: Arc<Mutex<Seen>>,
    orders: Sender<Order>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Plc {
    /// Starts a PLC at the other end of the plant's cable.
    pub(crate) fn new(plant: &Plant, profile: &str) -> Self {
        Self::of_schema(Schema::Two, plant, profile)
    }

    /// Starts a PLC that speaks this schema.
    pub(crate) fn of_schema(schema: Schema, plant: &Plant, profile: &str) -> Self {
        let model = Model::open(&plant.path("model"), &ModelLimits::default()).unwrap();
        Self::with(plant, profile, schema, DigestStart::of(model.digest().as_bytes()))
    }

    /// Like [`Self::new`], but the gate allows this model instead of the plant's.
    pub(crate) fn with_allowed_model(plant: &Plant, profile: &str, allowed: DigestStart) -> Self {
        Self::with(plant, profile, Schema::Two, allowed)
    }

    fn with(plant: &Plant, profile: &str, schema: Schema, allowed: DigestStart) -> Self {
        let options = SimulatorOptions {
            port: plant.path("plc"),
            profile: if profile == "modbus" { Profile::Modbus } else { Profile::Native },
            unit: Unit::FIRST,
            baud: BAUD,
            parity: ParityConfig::Even,
            models: vec![allowed],
            first_part: 0,
            parts: 0,
            schema,
            bundle: 0,
            confirm: Vec::new(),
            every: Duration::ZERO,
            deadline_ms: 0,
            scan_after: None,
            patience: Duration::ZERO,
        };
        let (orders, received) = channel();
        let (seen, stop) = (Arc::default(), Arc::default());
        let (shared_seen, shared_stop) = (Arc::clone(&seen), Arc::clone(&stop));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let thread = std::thread::spawn(move || runtime.block_on(run(&options, &shared_seen, &received, &shared_stop)));
        Self { seen, orders, stop, thread: Some(thread) }
    }

    /// A copy of the PLC's observations so far.
    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }

    /// Triggers a part.
    pub(crate) fn trigger(&self, id: u64, deadline_ms: u32) {
        self.trigger_in_bundle(id, deadline_ms, 0);
    }

    /// Triggers a part of this bundle.
    pub(crate) fn trigger_in_bundle(&self, id: u64, deadline_ms: u32, bundle: u32) {
        self.orders.send(Order::Trigger { id, deadline_ms, bundle }).unwrap();
    }

    /// Confirms a reference part. Returns the device's answer.
    pub(crate) fn confirm(&self, confirm: Confirm) -> ConfirmResult {
        self.confirm_through(confirm, || {})
    }

    /// Confirms a reference part, and does `meanwhile` before it waits for the device's answer. The PLC repeats the confirmation until it
    /// gets the answer, which is returned.
    pub(crate) fn confirm_through(&self, confirm: Confirm, meanwhile: impl FnOnce()) -> ConfirmResult {
        let answers = self.seen().confirmed.len();
        self.orders.send(Order::Confirm(confirm)).unwrap();
        meanwhile();
        wait_for("the answer to a confirmation", || self.seen.lock().unwrap().confirmed.len() > answers);
        let answer = self.seen().confirmed[answers];
        assert_eq!(answer.confirm, confirm);
        answer.result
    }

    /// Waits until a trigger would be accepted.
    pub(crate) fn wait_ready(&self) {
        wait_for("readiness", || self.seen.lock().unwrap().ready.is_some());
    }

    /// Waits until no trigger would be accepted.
    pub(crate) fn wait_not_ready(&self) {
        wait_for("no readiness", || self.seen.lock().unwrap().ready.is_none());
    }

    /// Waits until the device has become ready after `moment`. Returns when it became ready.
    pub(crate) fn wait_ready_after(&self, moment: Instant) -> Instant {
        let mut since = None;
        wait_for("readiness after a start", || {
            since = self.seen.lock().unwrap().ready.filter(|&since| since > moment);
            since.is_some()
        });
        since.unwrap()
    }

    /// The time of the heartbeat's first change at or after `moment`.
    pub(crate) fn first_heartbeat_since(&self, moment: Instant) -> Option<Instant> {
        let seen = self.seen.lock().unwrap();
        seen.heartbeats.iter().rev().map(|&(at, _)| at).take_while(|&at| at >= moment).last()
    }

    /// Waits until the device has answered BUSY for a part.
    pub(crate) fn wait_accepted(&self, id: u64) {
        wait_for("BUSY", || self.seen.lock().unwrap().accepted.contains(&id));
    }

    /// Waits for the outcome of a part.
    pub(crate) fn outcome(&self, id: u64) -> (Instant, PartEnd) {
        let mut found = None;
        wait_for("the part's outcome", || {
            let seen = self.seen.lock().unwrap();
            found = seen.outcomes.iter().find(|(_, outcome)| outcome.part_id == id).copied();
            found.is_some()
        });
        found.unwrap()
    }

    /// Runs a part with a good image and checks that it passes.
    pub(crate) fn pass(&self, plant: &Plant, id: u64) {
        self.wait_ready();
        plant.scan(id, &plant.images[0]);
        self.trigger(id, 5_000);
        let (_, outcome) = self.outcome(id);
        assert_eq!(outcome.decision.verdict(), WireVerdict::Pass, "{outcome:?}");
    }
}

impl Drop for Plc {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Runs the PLC until `stop`. Carries out `orders`, and writes observations to `seen`.
async fn run(options: &SimulatorOptions, seen: &Mutex<Seen>, orders: &Receiver<Order>, stop: &AtomicBool) {
    let start = Instant::now();
    let now_ms = || start.elapsed().as_millis() as u64;
    let first_wait_ms = first_wait_ms(BAUD);
    let allowed_models = options.models.iter().copied().collect();
    let session = PlcSession::new(PlcSessionConfig { allowed_models, first_wait_ms, schema: options.schema });
    let ends = Ends { plc: 1, device: None, first_link_id: std::process::id(), first_wait_ms };
    let mut link = PlcEnd::new(0, session, options, ends);
    let mut port = SerialPort::new(&options.port, options.baud, options.parity);
    let mut tick = tokio::time::interval(TICK);
    let mut nonce = 0;
    while !stop.load(Ordering::Acquire) {
        tokio::select! {
            happened = port.next() => match happened {
                Happened::Opened => link.reopened(),
                Happened::Received(bytes) => link.feed(now_ms(), bytes),
                Happened::Refused(_) | Happened::Sent | Happened::Lost(_) => {}
            },
            _ = tick.tick() => {}
        }
        let mut seen = seen.lock().unwrap();
        while let Some(event) = link.poll(now_ms(), port.out()) {
            match event {
                PlcEvent::Accepted { part_id } => seen.accepted.push(part_id),
                PlcEvent::Decided(outcome) => seen.outcomes.push((Instant::now(), outcome)),
                PlcEvent::Confirmed(answer) => seen.confirmed.push(answer),
                PlcEvent::Information(_) => {}
            }
        }
        seen.bundle = link.session().bundle().unwrap_or_default();
        let counter = link.session().device_heartbeat().map(|heartbeat| heartbeat.counter);
        if let Some(counter) =
            counter.filter(|&counter| seen.heartbeats.last().is_none_or(|&(_, last)| last != counter))
        {
            seen.heartbeats.push((Instant::now(), counter));
        }
        let is_ready = link.session().is_device_ready(now_ms());
        seen.ready = is_ready.then(|| seen.ready.unwrap_or_else(Instant::now));
        match orders.try_recv() {
            Ok(Order::Trigger { id, deadline_ms, bundle }) => {
                nonce += 1;
                link.session().trigger_in_bundle(now_ms(), id, nonce, deadline_ms, bundle).unwrap();
            }
            Ok(Order::Confirm(confirm)) => link.session().confirm(now_ms(), confirm).unwrap(),
            Err(_) => {}
        }
    }
}
