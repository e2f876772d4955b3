//! Simulates the line's device: its session, a program that judges (the application), and a journal that survives restarts.

use super::profile::{DeviceTransport, Profile};
use super::referee::{BAUD, Faults, Parts, Wrong, chance};
use crate::bundle::BundleModel;
use crate::random::Random;
use cellgate_protocol::{
    bundle::{Confirm, ConfirmResult},
    code::WireVerdict,
    digest::DigestStart,
    health::{Health, WorkerProgress},
    link::Output,
    modbus::framer::FRAME_MAX,
    part::{Outcome, Pending, Trigger},
    reason::ReasonCode,
    score::ScoreE4,
    session::{
        device::{Condition, DeviceEvent, DeviceSession, DeviceSessionConfig, Dispatch, Mode},
        repeat::first_wait_ms,
    },
    to_plc::{Flags, Origin, Record},
    version::Schema,
};
use std::{collections::VecDeque, num::NonZeroU64};

/// The model that judges.
pub const MODEL: DigestStart = DigestStart(*b"modelnr1");
/// The interval at which a record of the backlog is sent again.
const REPLAY_MS: u64 = 500;
/// How many reference parts of a bundle must be confirmed.
const REFERENCE_PARTS: u16 = 3;

/// The program's current step for the open part, and when the step ends.
enum Job {
    Idle,
    /// The journal is storing the acceptance.
    Opening(Trigger, u64),
    Judging(Trigger, u64, Outcome),
    /// The journal is storing the verdict. `true`: the store will report a failure.
    Committing(Pending, u64, bool),
    /// The store reported a failure. `true`: the journal has stored the verdict all the same.
    Repairing(Pending, u64, bool),
}

/// The state that survives a restart.
struct Journal {
    boot_epoch: u32,
    verdict_seq: u64,
    bundle: BundleModel,
    /// Part, nonce and boot epoch of accepted parts without a terminal record.
    open: Vec<(u64, u32, u32)>,
    /// Verdicts that the PLC has not acknowledged.
    backlog: VecDeque<Record>,
}

impl Journal {
    /// Stores a terminal record durably under the next number. Returns the number.
    fn commit(&mut self, now_ms: u64, record: Record, parts: &mut Parts) -> NonZeroU64 {
        self.verdict_seq += 1;
        self.open.retain(|(part_id, ..)| *part_id != record.part_id);
        self.backlog.push_back(Record { verdict_seq: self.verdict_seq, ..record });
        self.bundle.judged(self.verdict_seq, record.part_id, record.code.verdict(), record.image);
        if let Some(part) = parts.get_mut(&record.part_id) {
            // The session may conclude a part before its acceptance was stored. Then one row has acceptance and verdict.
            part.opened = part.opened.max(1);
            part.terminal += 1;
            if record.code.verdict() == WireVerdict::Pass {
                part.pass = Some((record.nonce, record.boot_epoch, now_ms));
            }
        }
        NonZeroU64::new(self.verdict_seq).expect("counted up from 0")
    }

    /// Stores the confirmation of a reference part durably. Returns the answer.
    fn confirm(&mut self, confirm: &Confirm, parts: &mut Parts, wrong: &mut Wrong) -> ConfirmResult {
        let (result, is_new) = self.bundle.confirm(confirm);
        if is_new {
            wrong.confirmations += parts.get_mut(&confirm.part_id).map_or(1, |part| {
                part.confirmed += 1;
                u64::from(part.confirmed > 1 || !part.asked || part.bundle != confirm.bundle)
            });
        }
        result
    }
}

/// The device. It is down while `link` is `None`.
pub struct Device {
    profile: Profile,
    /// The highest schema that the device speaks.
    schema: Schema,
    journal: Journal,
    link: Option<DeviceTransport>,
    job: Job,
    /// The confirmation that the journal is storing, and until when.
    confirming: Option<(Confirm, u64)>,
    /// What the referee found wrong on the device.
    pub wrong: Wrong,
    /// Acknowledgements that came with the gate's reason.
    pub gates: u64,
    /// When the power is cut next.
    restart_ms: Option<u64>,
    /// How long the device is down after the next power cut.
    down_for_ms: u64,
    /// When the device starts after the last power cut.
    up_ms: u64,
    /// The worker hangs until this time.
    hung_until_ms: u64,
    /// When a record of the backlog was last sent.
    replayed_ms: u64,
}

impl Device {
    /// A device that is down and starts at once.
    pub fn new(profile: Profile, schema: Schema) -> Self {
        let bundle = BundleModel::new(REFERENCE_PARTS);
        Self {
            profile,
            schema,
            journal: Journal { boot_epoch: 0, verdict_seq: 0, bundle, open: Vec::new(), backlog: VecDeque::new() },
            link: None,
            job: Job::Idle,
            confirming: None,
            wrong: Wrong::default(),
            gates: 0,
            restart_ms: None,
            down_for_ms: 0,
            up_ms: 0,
            hung_until_ms: 0,
            replayed_ms: 0,
        }
    }

    /// Cuts the power at `at_ms` for `down_for_ms`.
    pub fn restart_at(&mut self, at_ms: u64, down_for_ms: u64) {
        self.restart_ms = Some(at_ms);
        self.down_for_ms = down_for_ms;
    }

    /// Feeds received bytes. They are lost while the device is down.
    pub fn feed(&mut self, now_ms: u64, bytes: &[u8]) {
        if let Some(link) = &mut self.link {
            link.feed(now_ms, bytes);
        }
    }

    /// Does everything that is due now.
    pub fn run(
        &mut self,
        now_ms: u64,
        random: &mut Random,
        faults: &Faults,
        parts: &mut Parts,
        mut send: impl FnMut(&[u8], &mut Random),
    ) {
        if self.restart_ms.is_some_and(|at_ms| at_ms <= now_ms) {
            self.power_cut(now_ms, random, parts);
        }
        if self.link.is_none() && now_ms >= self.up_ms {
            self.start(now_ms, parts);
        }
        let Some(mut link) = self.link.take() else { return };
        self.work(now_ms, random, parts, &mut link);
        self.work_on_bundle(now_ms, parts, link.session());
        self.replay(now_ms, &mut link);
        let mut out = [0; FRAME_MAX];
        loop {
            let worker =
                WorkerProgress { last_ms: if now_ms < self.hung_until_ms { 0 } else { now_ms }, allowed_ms: 100 };
            let health = Health::attest(now_ms, &[worker]);
            match link.poll(now_ms, health.as_ref(), &mut out) {
                Some(Output::Bytes(bytes)) => send(bytes, random),
                Some(Output::Event(event)) => self.handle(now_ms, event, random, faults, parts),
                None => break,
            }
        }
        self.link = Some(link);
    }

    /// Loses everything but the journal. A commit in progress may or may not have become durable.
    fn power_cut(&mut self, now_ms: u64, random: &mut Random, parts: &mut Parts) {
        let job = std::mem::replace(&mut self.job, Job::Idle);
        if let Job::Committing(pending, ..) = job
            && chance(random, 50_000)
        {
            self.journal.commit(now_ms, pending.entry().record(NonZeroU64::MIN, Origin::REPLAY), parts);
        }
        if let Some((confirm, _)) = self.confirming.take()
            && chance(random, 50_000)
        {
            self.journal.confirm(&confirm, parts, &mut self.wrong);
        }
        (self.link, self.restart_ms, self.up_ms) = (None, None, now_ms + self.down_for_ms);
    }

    /// Starts the device. Parts that were open get their terminal record before anything is sent.
    fn start(&mut self, now_ms: u64, parts: &mut Parts) {
        for (part_id, nonce, boot_epoch) in self.journal.open.clone() {
            let outcome = Outcome::reject(ReasonCode::RESTARTED);
            let entry = cellgate_protocol::part::PartEntry { part_id, nonce, boot_epoch, outcome };
            self.journal.commit(now_ms, entry.record(NonZeroU64::MIN, Origin::REPLAY), parts);
        }
        self.journal.boot_epoch += 1;
        let (boot_epoch, first_wait_ms) = (self.journal.boot_epoch, first_wait_ms(BAUD));
        let config = DeviceSessionConfig { device: 7, boot_epoch, first_wait_ms, schema: self.schema };
        let mut session = DeviceSession::new(config);
        session.set_condition(condition(true));
        self.link = Some(DeviceTransport::new(self.profile, session));
    }

    /// The program's work on the open part.
    fn work(&mut self, now_ms: u64, random: &mut Random, parts: &mut Parts, link: &mut DeviceTransport) {
        let health = Health::attest(now_ms, &[WorkerProgress { last_ms: now_ms, allowed_ms: 1 }]);
        let health = health.filter(|_| now_ms >= self.hung_until_ms);
        let session = link.session();
        self.job = match std::mem::replace(&mut self.job, Job::Idle) {
            Job::Opening(trigger, until_ms) if now_ms >= until_ms => {
                let boot_epoch = self.journal.boot_epoch;
                self.journal.open.push((trigger.part_id(), trigger.nonce(), boot_epoch));
                if let Some(part) = parts.get_mut(&trigger.part_id()) {
                    part.opened += 1;
                }
                session.accept(&trigger);
                self.journal.bundle.enter(trigger.bundle());
                let (takes_ms, outcome) = judged(random);
                let outcome = self.journal.bundle.limited(outcome);
                let state = self.journal.bundle.state();
                self.wrong.offsets += u64::from(state.bundle != trigger.bundle());
                if let Some(part) = parts.get_mut(&trigger.part_id()) {
                    part.judged = Some((state.bundle, state.step));
                }
                Job::Judging(trigger, now_ms + takes_ms, outcome)
            }
            Job::Judging(trigger, until_ms, outcome) if now_ms >= until_ms => {
                match session.conclude(now_ms, trigger, outcome) {
                    Ok(pending) => Job::Committing(pending, now_ms + random.below(8), chance(random, 200)),
                    Err(_) => Job::Idle,
                }
            }
            Job::Committing(pending, until_ms, fails) if now_ms >= until_ms => {
                // In half of the failures, the journal has stored the verdict all the same.
                let durable = !fails || chance(random, 50_000);
                if fails {
                    let original = pending.entry();
                    let pending = session.store_failed(pending);
                    if durable {
                        self.journal.commit(now_ms, original.record(NonZeroU64::MIN, Origin::REPLAY), parts);
                    }
                    Job::Repairing(pending, now_ms + 200, durable)
                } else {
                    self.commit(now_ms, pending, session, health.as_ref(), parts)
                }
            }
            Job::Repairing(pending, until_ms, durable) if now_ms >= until_ms => {
                session.set_condition(condition(true));
                if durable {
                    session.settle(pending);
                    Job::Idle
                } else {
                    self.commit(now_ms, pending, session, health.as_ref(), parts)
                }
            }
            job => job,
        };
    }

    fn commit(
        &mut self,
        now_ms: u64,
        pending: Pending,
        session: &mut DeviceSession,
        health: Option<&Health>,
        parts: &mut Parts,
    ) -> Job {
        let record = pending.entry().record(NonZeroU64::MIN, Origin::REPLAY);
        let verdict_seq = self.journal.commit(now_ms, record, parts);
        let _: Dispatch = session.send_verdict(now_ms, pending.committed(verdict_seq), health);
        Job::Idle
    }

    /// Shows the running bundle, and answers the confirmation that the journal has stored.
    fn work_on_bundle(&mut self, now_ms: u64, parts: &mut Parts, session: &mut DeviceSession) {
        if let Some((confirm, _)) = self.confirming.take_if(|(_, until_ms)| now_ms >= *until_ms) {
            let result = self.journal.confirm(&confirm, parts, &mut self.wrong);
            session.answer(&confirm, result);
        }
        if self.schema == Schema::Two {
            session.set_bundle(self.journal.bundle.state());
        }
    }

    /// Sends the oldest unacknowledged verdict of an earlier start as a record.
    fn replay(&mut self, now_ms: u64, link: &mut DeviceTransport) {
        if let Some(record) = self.journal.backlog.front()
            && record.boot_epoch != self.journal.boot_epoch
            && link.is_open()
            && now_ms >= self.replayed_ms + REPLAY_MS
        {
            link.session().send_record(*record);
            self.replayed_ms = now_ms;
        }
    }

    fn handle(&mut self, now_ms: u64, event: DeviceEvent, random: &mut Random, faults: &Faults, parts: &Parts) {
        match event {
            DeviceEvent::Triggered(trigger) => {
                let named = parts.get(&trigger.part_id()).map(|part| part.bundle);
                self.wrong.bundles += u64::from(named != Some(trigger.bundle()));
                if chance(random, faults.appliance) {
                    self.hung_until_ms = now_ms + random.below(800);
                }
                self.job = Job::Opening(trigger, now_ms + random.below(8));
            }
            DeviceEvent::Concluded(pending) => {
                self.job = Job::Committing(pending, now_ms + random.below(8), false);
            }
            DeviceEvent::Delivered { verdict_seq, gate } => {
                self.check_gate(verdict_seq, gate, parts);
                self.journal.backlog.retain(|r| r.verdict_seq != verdict_seq);
            }
            DeviceEvent::RecordAcknowledged { ack, gate } => {
                let is_same =
                    |r: &Record| (r.verdict_seq, r.part_id, r.code) == (ack.verdict_seq, ack.part_id, ack.code);
                if self.journal.backlog.iter().any(is_same) {
                    self.check_gate(ack.verdict_seq, gate, parts);
                }
                self.journal.backlog.retain(|r| !is_same(r));
            }
            DeviceEvent::Confirm(confirm) => self.confirming = Some((confirm, now_ms + random.below(8))),
            DeviceEvent::Undelivered { .. } | DeviceEvent::PlcSilent | DeviceEvent::PlcBack => {}
        }
    }

    /// The reason with an acknowledgement must be that of the gate's decision, or none.
    fn check_gate(&mut self, verdict_seq: u64, gate: ReasonCode, parts: &Parts) {
        let record = self.journal.backlog.iter().find(|record| record.verdict_seq == verdict_seq);
        let decided = record.and_then(|record| parts.get(&record.part_id)).and_then(|part| part.gate);
        self.wrong.gates += u64::from(gate != ReasonCode::NONE && Some(gate) != decided);
        self.gates += u64::from(gate != ReasonCode::NONE);
    }
}

fn condition(store_ok: bool) -> Condition {
    Condition { mode: Mode::Operating, store_ok, degraded: false, backlog: 0 }
}

/// The time in milliseconds that judging a part takes, and its outcome. Most parts are judged quickly and are good; some are
/// judged too late.
fn judged(random: &mut Random) -> (u64, Outcome) {
    let takes_ms = if chance(random, 2_000) { random.below(1_000) } else { 5 + random.below(20) };
    let (verdict, reason) = match random.below(10) {
        0 => (WireVerdict::Review, ReasonCode::SCORE_FROM_REVIEW),
        1 | 2 => (WireVerdict::Reject, ReasonCode::SCORE_FROM_REJECT),
        _ => (WireVerdict::Pass, ReasonCode::SCORE_BELOW_REVIEW),
    };
    let image = DigestStart(random.next_u64().to_le_bytes());
    (takes_ms, Outcome { verdict, reason, score: ScoreE4(1_234), model: MODEL, image, flags: Flags::default() })
}
