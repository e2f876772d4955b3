//! The serial link to the PLC: the session, the part in hand and the verdicts that the PLC has not acknowledged. It has no input or
//! output of its own: bytes come in and go out through [`super::port`].

mod backlog;
mod effects;
mod log;
mod memory;

pub(super) use backlog::Backlog;
pub(super) use memory::Memory;

use super::liveness::Worker;
use super::messages::{ArchiverQueue, JudgeQueue, LineQueue, ToJudge, ToLine};
use super::part::Part;
use super::part::judged::{self, Judged};
use super::part::lifecycle::{Input, Life, Moment, StoreOutcome};
use super::profile::PlcTransport;
use super::shared::Shared;
use crate::acquire::Unjudged;
use crate::appliance::engine_state::EngineState;
use crate::journal::{self, Journal, JournalError, TriggerKind, now_unix_ms};
use cellgate_models::digest::Digest;
use cellgate_protocol::part::Trigger;
use cellgate_protocol::reason::ReasonCode;
use cellgate_protocol::session::device::{Condition, DeviceEvent, DeviceSession, Mode};
use cellgate_protocol::state::DeviceState;
use cellgate_protocol::to_plc::Origin;
use memory::Kind;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the part in hand may take when the appliance is told to stop, before it stops without it.
pub(super) const MAX_FINISH_TIME: Duration = Duration::from_secs(10);
/// After this much of [`MAX_FINISH_TIME`] the part is rejected; the rest is left for storing and sending that.
const GIVE_UP_AFTER: Duration = Duration::from_secs(8);

/// The serial link to the PLC.
pub(super) struct Line {
    pub(super) transport: PlcTransport,
    pub(super) shared: Arc<Shared>,
    pub(super) journal: Arc<Journal>,
    /// The model that judges.
    pub(super) model: Digest,
    pub(super) judge: JudgeQueue,
    /// Where the journal's answers are sent.
    pub(super) answers: LineQueue,
    pub(super) archiver: ArchiverQueue,
    pub(super) backlog: Backlog,
    pub(super) memory: Memory,
}

impl Line {
    /// Bytes from the PLC.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.transport.feed(self.shared.clock.now_ms(), bytes);
    }

    /// The port was opened, for the first time or again.
    pub(super) fn reopened(&mut self) {
        self.transport.reopened();
        self.shared.metrics.link.opened();
    }

    /// The port was lost.
    pub(super) fn lost(&self) {
        self.shared.metrics.link.lost();
    }

    /// Whether the appliance is to end.
    pub(super) fn is_stopping(&self) -> bool {
        self.shared.is_stopping()
    }

    /// Does everything that is due now; bytes for the PLC are added to `out`.
    pub(super) fn step(&mut self, out: &mut Vec<u8>) {
        let (seen, most) = self.journal.progress();
        self.shared.liveness.seen(Worker::Journal, seen, most);
        self.shared.liveness.idle(Worker::Port);
        self.update_condition();
        self.give_up_at_the_end();
        self.input(Kind::InHand, Input::Tick);
        self.input(Kind::FreeRunning, Input::Tick);
        loop {
            let health = self.shared.liveness.health();
            let now_ms = self.shared.clock.now_ms();
            let event = self.transport.poll(now_ms, health.as_ref(), out);
            self.notify_judge();
            let Some(event) = event else { return };
            self.on_event(event);
        }
    }

    /// Whether the appliance may end: nothing is on its way from its trigger to its acknowledged verdict.
    ///
    /// The session's state alone does not tell: while the engine is not proven, it shows no part.
    pub(super) fn is_done(&mut self) -> bool {
        let Memory { in_hand, free_running, .. } = &self.memory;
        in_hand.is_none() && free_running.is_none() && self.session_state() != DeviceState::SingleExecution
    }

    /// A message from another service.
    pub(super) fn on_message(&mut self, message: ToLine) {
        match message {
            ToLine::Judged { number, judged } => match self.kind_of(number) {
                Some(kind) => self.input(kind, Input::Judged(judged)),
                // The part is over: refused, or decided without its image.
                None => self.archiver.set_aside(judged.file.into_iter().collect(), Unjudged::TooLate),
            },
            ToLine::FreeRunning { judged, at } => self.on_free_running(judged, at),
            ToLine::Accepted { number, accepted } => self.on_accepted(number, accepted),
            ToLine::Committed { number, committed } => self.on_committed(number, committed),
        }
    }

    fn session(&mut self) -> &mut DeviceSession {
        self.transport.session()
    }

    fn session_state(&mut self) -> DeviceState {
        let now_ms = self.shared.clock.now_ms();
        self.session().state(now_ms)
    }

    /// Tells the session how the appliance is, and sends records that are due.
    fn update_condition(&mut self) {
        if self.is_done() {
            self.shared.engine.grant_proof();
        }
        let mode = match self.shared.engine.get() {
            _ if self.shared.is_stopping() => Mode::Halted,
            EngineState::Failed => Mode::Failed,
            state if state.is_proven() => Mode::Operating,
            _ => Mode::Starting,
        };
        let journal = self.journal.health();
        let backlog = self.backlog.count();
        self.session().set_condition(Condition { mode, store_ok: journal.ready, degraded: false, backlog });
        let state = self.session_state();
        // Each part passes through SINGLE_EXECUTION; that it was judged is logged by itself.
        if state != DeviceState::SingleExecution && self.memory.logged.replace(state) != Some(state) {
            tracing::info!(%state, "state");
        }
        self.update_metrics(state, &journal);
        let now_ms = self.shared.clock.now_ms();
        let is_open = self.memory.in_hand.as_ref().is_some_and(Life::is_open);
        if !is_open
            && self.transport.is_open()
            && let Some(record) = self.backlog.next(now_ms)
        {
            self.session().send_record(record);
        }
    }

    fn update_metrics(&mut self, state: DeviceState, journal: &journal::JournalHealth) {
        let health = self.shared.liveness.health();
        let now_ms = self.shared.clock.now_ms();
        let heartbeat = self.session().snapshot(now_ms, health.as_ref()).heartbeat;
        let metrics = &self.shared.metrics;
        metrics.link.set(&self.transport.counts(heartbeat));
        metrics.device.set_state(state);
        metrics.parts.set_in_hand(self.memory.in_hand.as_ref().is_some_and(Life::is_open));
        metrics.store.set_journal(journal, self.backlog.len());
    }

    /// Rejects the part in hand where the appliance is to stop and judging takes too long.
    fn give_up_at_the_end(&mut self) {
        if !self.shared.is_stopping() {
            return;
        }
        let since = *self.memory.stopping.get_or_insert_with(Instant::now);
        let is_being_judged = self.memory.in_hand.as_ref().is_some_and(Life::is_being_judged);
        if since.elapsed() >= GIVE_UP_AFTER && is_being_judged {
            let judged =
                Judged::reject(ReasonCode::RESTARTED, "the appliance was asked to end before there was a result");
            self.input(Kind::InHand, Input::Judged(judged));
        }
    }

    /// Tells the judge that an image was recorded, and of refused triggers: their images must not be taken for another part's.
    /// Where its queue is full, with the next step.
    fn notify_judge(&mut self) {
        if self.memory.is_recorded && self.judge.try_send(ToJudge::Recorded) {
            self.memory.is_recorded = false;
        }
        let refused = *self.session().refused();
        self.memory.is_doubt_due |= std::mem::replace(&mut self.memory.refused, refused) != refused;
        self.send_doubt();
    }

    /// Whether the judge knows of every doubt.
    fn send_doubt(&mut self) -> bool {
        self.memory.is_doubt_due = self.memory.is_doubt_due && !self.judge.try_send(ToJudge::Doubt);
        !self.memory.is_doubt_due
    }

    fn on_event(&mut self, event: DeviceEvent) {
        match event {
            DeviceEvent::Triggered(token) => self.on_triggered(token),
            DeviceEvent::Concluded(pending) => self.input(Kind::InHand, Input::Concluded(pending)),
            DeviceEvent::Delivered { verdict_seq } => {
                self.input(Kind::InHand, Input::Delivered(verdict_seq));
                self.acknowledged(verdict_seq);
            }
            DeviceEvent::Undelivered { verdict_seq } => {
                // The row is in the backlog since it was committed.
                self.shared.metrics.parts.undelivered();
                self.input(Kind::InHand, Input::Undelivered(verdict_seq));
            }
            DeviceEvent::RecordAcknowledged(ack) => {
                if self.backlog.is_acknowledged_by(&ack) {
                    self.acknowledged(ack.verdict_seq);
                }
            }
            DeviceEvent::PlcSilent => {
                self.shared.metrics.link.plc_is_silent();
                tracing::warn!("the PLC is silent");
            }
            DeviceEvent::PlcBack => {
                self.shared.metrics.link.plc_is_back();
                tracing::info!("the PLC is there");
            }
        }
    }

    fn on_triggered(&mut self, token: Trigger) {
        self.shared.metrics.parts.triggered();
        let triggered = Instant::now();
        let deadline = self.shared.clock.instant(token.deadline_at_ms());
        let part = self.next_part(token.part_id(), triggered, deadline);
        let allowed = deadline.saturating_duration_since(triggered);
        let trigger = journal::AcceptedTrigger {
            kind: TriggerKind::Plc,
            part: part.part_id,
            nonce: token.nonce(),
            deadline_ms: u32::try_from(allowed.as_millis()).unwrap_or(u32::MAX),
            received_unix_ms: now_unix_ms(),
        };
        let mut effects = Vec::new();
        self.memory.in_hand = Some(Life::triggered(part, trigger, self.model, token, &mut effects));
        // Both at once: judging need not wait for the disk, only the answer to the PLC must.
        self.perform(Kind::InHand, &part, effects);
        // By order, a part that the judge does not know of, or learns of before an earlier doubt, leaves its image to the next.
        if self.memory.in_hand.is_some() && !(self.send_doubt() && self.judge.try_send(ToJudge::Part(part))) {
            self.memory.is_doubt_due = true;
            let judged = Judged::reject(ReasonCode::INTERNAL, "too many messages wait for the judge");
            self.input(Kind::InHand, Input::Judged(judged));
        }
    }

    /// An image without a trigger is recorded and sent as information.
    fn on_free_running(&mut self, judged: Judged, at: Instant) {
        let part = self.next_part(0, at, at);
        self.memory.free_runs = self.memory.free_runs.wrapping_add(1);
        let trigger = journal::AcceptedTrigger {
            kind: TriggerKind::FreeRunning,
            part: 0,
            // Tells the images from each other.
            nonce: self.memory.free_runs,
            deadline_ms: u32::MAX,
            received_unix_ms: now_unix_ms(),
        };
        let mut effects = Vec::new();
        self.memory.free_running = Some(Life::free_running(part, trigger, self.model, judged, &mut effects));
        self.perform(Kind::FreeRunning, &part, effects);
    }

    fn next_part(&mut self, part_id: u64, triggered: Instant, deadline: Instant) -> Part {
        self.memory.lives += 1;
        Part { number: self.memory.lives, part_id, triggered, deadline }
    }

    fn on_accepted(&mut self, number: u64, accepted: Result<journal::Accepted, JournalError>) {
        let id = match accepted {
            Ok(accepted) => {
                self.shared.metrics.parts.accepted(accepted.duration());
                Some(accepted.id())
            }
            // From an attempt whose outcome was unknown.
            Err(JournalError::AlreadyInHand { trigger, .. }) => Some(trigger),
            Err(error) => {
                tracing::error!(part = self.part_id_of(number), %error, "an acceptance could not be stored");
                None
            }
        };
        if let Some(kind) = self.kind_of(number) {
            self.input(kind, Input::Accepted(id));
        }
    }

    fn on_committed(&mut self, number: u64, committed: Result<Box<journal::CommitReceipt>, JournalError>) {
        let Some(kind) = self.kind_of(number) else { return };
        let stored = match committed {
            Ok(committed) => {
                self.count(kind, &committed);
                log::judged(&committed);
                match kind {
                    Kind::InHand => self.backlog.insert(committed.record().clone()),
                    Kind::FreeRunning => {
                        let record = judged::record(committed.record(), Origin::FREE_RUNNING);
                        self.session().send_record(record);
                    }
                }
                StoreOutcome::Committed(committed.seq())
            }
            Err(JournalError::AlreadyTerminal { seq, .. }) => {
                tracing::warn!(%seq, "the part has its verdict in the journal already");
                StoreOutcome::AlreadyTerminal
            }
            Err(error) => {
                tracing::error!(%error, "the verdict could not be stored and is not sent");
                StoreOutcome::Failed
            }
        };
        self.input(kind, Input::Stored(stored));
    }

    /// A row was acknowledged.
    fn acknowledged(&mut self, verdict_seq: u64) {
        if let Some(seq) = self.backlog.remove(verdict_seq) {
            // A lost acknowledgement costs one RECORD more.
            let _ = self.journal.acknowledge(seq);
        }
    }

    /// Which life has this number; none where it is over.
    fn kind_of(&self, number: u64) -> Option<Kind> {
        let has_number = |kind: &Kind| self.memory.life(*kind).is_some_and(|life| life.part().number == number);
        [Kind::InHand, Kind::FreeRunning].into_iter().find(has_number)
    }

    /// The PLC's identity of the part in hand, if it has this number.
    fn part_id_of(&self, number: u64) -> Option<u64> {
        self.memory.in_hand.as_ref().map(Life::part).filter(|part| part.number == number).map(|part| part.part_id)
    }

    /// The appliance ends: logs what was not finished.
    pub(super) fn log_unfinished(&self) {
        if let Some(life) = &self.memory.in_hand {
            let part = life.part().part_id;
            tracing::warn!(
                part,
                event = "unfinished",
                "the appliance ends before this part is finished; see the journal after the next start"
            );
        }
        if self.memory.free_running.is_some() {
            tracing::warn!(
                event = "unfinished",
                "the appliance ends before the image in hand is recorded: it stays in its folder and is judged after the next start"
            );
        }
    }

    /// Gives an input to a life, and does what follows from it.
    fn input(&mut self, kind: Kind, input: Input) {
        let slot = self.memory.slot(kind);
        let Some(life) = slot.take() else { return };
        let part = *life.part();
        let health = self.shared.liveness.health();
        // The clock is read after health, which is not valid before its own moment.
        let now = Instant::now();
        let moment = Moment {
            now,
            now_ms: self.shared.clock.at_ms(now),
            health: health.as_ref(),
            is_journal_ready: self.journal.health().ready,
        };
        let mut effects = Vec::new();
        *slot = life.next(input, &moment, self.transport.session(), &mut effects);
        let is_over = slot.is_none();
        self.perform(kind, &part, effects);
        self.memory.is_recorded |= is_over && kind == Kind::FreeRunning;
    }
}

#[cfg(test)]
mod tests;
