//! From the stored verdict to the PLC's acknowledgement: it is said once, and told as a record until the PLC has it.

use super::Line;
use crate::appliance::part;
use crate::appliance::record::Request;
use crate::journal;
use cellgate_models::policy::Verdict;
use cellgate_protocol::part::Committed;
use cellgate_protocol::session::device::Dispatch;
use cellgate_protocol::to_device::Ack;
use cellgate_protocol::to_plc::Origin;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

/// Pause between two records from the journal that the PLC has not acknowledged.
const REPLAY_EVERY_MS: u64 = 250;
/// Records that are kept to be told again, at most; the journal keeps all.
const MOST_UNDELIVERED: usize = 1000;
/// How long a PASS waits for the sign of life of a worker that is a moment late; then it goes out as a record.
const HOLD_MOST: Duration = Duration::from_millis(300);

/// What the line remembers of verdicts that are stored.
#[derive(Default)]
pub(super) struct Delivery {
    held: Option<Held>,
    sent: Option<Sent>,
    /// The newest verdict that went out as information only, so that nothing was there to acknowledge.
    never_said: Option<u64>,
    replay_due_ms: u64,
    /// The number of the row that was told last.
    replayed: u64,
}

impl Delivery {
    /// Whether a verdict is stored and not said yet.
    pub(super) fn is_held(&self) -> bool {
        self.held.is_some()
    }
}

/// A verdict that is stored and not said yet.
struct Held {
    committed: Committed,
    /// A PASS may not be said while a worker is a moment late; until then it is held.
    until: Instant,
    received: Instant,
}

/// The verdict that went out last.
struct Sent {
    seq: u64,
    received: Instant,
    at: Instant,
}

impl Line {
    /// A verdict is durable.
    pub(super) fn on_committed(&mut self, committed: Committed, row: journal::Record, received: Instant) {
        let is_pass = row.entry.verdict == Verdict::Pass;
        self.undelivered.insert(row.seq.get(), row);
        while self.undelivered.len() > MOST_UNDELIVERED {
            self.undelivered.pop_first();
        }
        let until = Instant::now() + if is_pass { HOLD_MOST } else { Duration::ZERO };
        self.memory.delivery.held = Some(Held { committed, until, received });
        self.send_held();
    }

    /// Sends the verdict that was stored last, unless it has to wait.
    pub(super) fn send_held(&mut self) {
        let health = self.shared.beats.health();
        let is_due = |held: &mut Held| health.is_some() || Instant::now() >= held.until;
        let Some(Held { committed, received, .. }) = self.memory.delivery.held.take_if(is_due) else { return };
        let (now_ms, seq) = (self.shared.clock.now_ms(), committed.verdict_seq());
        match self.session().send_verdict(now_ms, committed, health.as_ref()) {
            Dispatch::Verdict => {
                self.shared.metrics.parts.sent(received.elapsed());
                self.memory.delivery.sent = Some(Sent { seq: seq.get(), received, at: Instant::now() });
            }
            Dispatch::Record(origin) => {
                self.memory.delivery.never_said = Some(seq.get());
                tracing::warn!(%seq, why = why_record(origin), "the verdict goes out as information only");
            }
        }
        // The part's own verdict comes first.
        self.memory.delivery.replay_due_ms = now_ms + REPLAY_EVERY_MS;
    }

    /// The PLC acknowledged the verdict that it was told.
    pub(super) fn on_delivered(&mut self, verdict_seq: u64) {
        if let Some(sent) = self.memory.delivery.sent.take_if(|sent| sent.seq == verdict_seq) {
            self.shared.metrics.parts.acknowledged(sent.received.elapsed(), sent.at.elapsed());
        }
        self.acknowledged(verdict_seq);
    }

    /// It did not in time. The row is among the undelivered ones since it was committed.
    pub(super) fn on_undelivered(&mut self, verdict_seq: u64) {
        self.shared.metrics.parts.undelivered();
        if self.memory.delivery.never_said != Some(verdict_seq) {
            tracing::warn!(seq = verdict_seq, "the PLC did not acknowledge in time");
        }
    }

    /// Tells one of the rows that the PLC has not acknowledged, one after the other, as information.
    pub(super) fn replay(&mut self) {
        let now_ms = self.shared.clock.now_ms();
        if now_ms < self.memory.delivery.replay_due_ms || self.memory.in_hand.is_some() || !self.end.is_open() {
            return;
        }
        let next =
            self.undelivered.range(self.memory.delivery.replayed + 1..).next().or(self.undelivered.first_key_value());
        if let Some((&seq, row)) = next {
            let record = part::record(row, Origin::REPLAY);
            self.memory.delivery.replayed = seq;
            self.memory.delivery.replay_due_ms = now_ms + REPLAY_EVERY_MS;
            self.session().send_record(record);
        }
    }

    /// The PLC acknowledged a record.
    pub(super) fn on_record_acknowledged(&mut self, ack: &Ack) {
        let told = self.undelivered.get(&ack.verdict_seq).map(|row| part::record(row, Origin::REPLAY));
        if told.is_some_and(|record| (record.part_id, record.code) == (ack.part_id, ack.code)) {
            self.acknowledged(ack.verdict_seq);
        }
    }

    fn acknowledged(&mut self, verdict_seq: u64) {
        self.undelivered.remove(&verdict_seq);
        if let Some(seq) = NonZeroU64::new(verdict_seq) {
            let _ = self.requests.send(Request::Acknowledge(seq));
        }
    }
}

/// Why a verdict is information only, in words.
fn why_record(origin: Origin) -> &'static str {
    match origin {
        Origin::LATE => "the part's deadline was over when it was stored",
        Origin::UNHEALTHY => "a PASS, and a worker stood still, the PLC was silent, or the appliance was not ready",
        _ => "there is nothing to act on",
    }
}
