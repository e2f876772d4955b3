//! Runs the appliance's side of the link to the PLC: the session, the part in progress and the verdicts that the PLC has not
//! acknowledged. [`Line`] has no I/O of its own: [`super::port`] passes bytes in and out.

mod backlog;
mod bundles;
mod effects;
mod log;
mod memory;

pub(super) use backlog::Backlog;
pub(super) use memory::Memory;

use super::bundle::{Bundles, Entry, PartRule};
use super::liveness::Worker;
use super::messages::{ArchiverQueue, JudgeQueue, LineQueue, ToJudge, ToLine};
use super::part::Part;
use super::part::judged::{self, Judged};
use super::part::lifecycle::{Input, Life, Moment, StoreOutcome};
use super::profile::PlcTransport;
use super::shared::Shared;
use crate::acquire::Unjudged;
use crate::appliance::engine_state::EngineState;
use crate::journal::{self, Journal, JournalError, TriggerKind, VerdictRow, now_unix_ms};
use crate::verdict_mapping::recorded_reason;
use cellgate_models::digest::Digest;
use cellgate_protocol::part::Trigger;
use cellgate_protocol::reason::ReasonCode;
use cellgate_protocol::session::device::{Condition, DeviceEvent, DeviceSession, Mode};
use cellgate_protocol::state::DeviceState;
use cellgate_protocol::to_plc::Origin;
use memory::Kind;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the part in progress may take after a request to stop. After this time the appliance ends without finishing the part.
pub(super) const MAX_FINISH_TIME: Duration = Duration::from_secs(10);
/// The part in progress is rejected this long after a request to stop. The rest of [`MAX_FINISH_TIME`] is for storing and sending
/// the REJECT.
const GIVE_UP_AFTER: Duration = Duration::from_secs(8);

/// The appliance's side of the link, with the part in progress and the unacknowledged verdicts.
pub(super) struct Line {
    pub(super) transport: PlcTransport,
    pub(super) shared: Arc<Shared>,
    pub(super) journal: Arc<Journal>,
    /// The digest of the model that judges.
    pub(super) model: Digest,
    pub(super) judge: JudgeQueue,
    /// `Line`'s own queue, for the journal's answers.
    pub(super) answers: LineQueue,
    pub(super) archiver: ArchiverQueue,
    pub(super) backlog: Backlog,
    pub(super) bundles: Bundles,
    pub(super) memory: Memory,
}

impl Line {
    /// Takes bytes from the PLC.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.transport.feed(self.shared.clock.now_ms(), bytes);
    }

    /// The port was opened, for the first time or after a loss.
    pub(super) fn reopened(&mut self) {
        self.transport.reopened();
        self.shared.metrics.link.opened();
    }

    /// The port was lost.
    pub(super) fn lost(&self) {
        self.shared.metrics.link.lost();
    }

    /// Whether the appliance is stopping.
    pub(super) fn is_stopping(&self) -> bool {
        self.shared.is_stopping()
    }

    /// Does everything that is due now and adds bytes for the PLC to `out`.
    pub(super) fn step(&mut self, out: &mut Vec<u8>) {
        let (seen, most) = self.journal.progress();
        self.shared.liveness.seen(Worker::Journal, seen, most);
        self.shared.liveness.idle(Worker::Port);
        self.step_bundles();
        self.update_condition();
        self.reject_when_stopping();
        self.input(Kind::Triggered, Input::Tick);
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

    /// Whether the appliance may end: no part is in progress, and no image without a trigger is being recorded.
    ///
    /// The session's state alone is not enough: while the engine is not proven, the state does not show that a part is in progress.
    pub(super) fn is_done(&mut self) -> bool {
        let Memory { triggered, free_running, .. } = &self.memory;
        triggered.is_none() && free_running.is_none() && self.session_state() != DeviceState::SingleExecution
    }

    /// Handles a message from another service.
    pub(super) fn on_message(&mut self, message: ToLine) {
        match message {
            ToLine::Judged { number, judged } => match self.kind_of(number) {
                Some(kind) => self.input(kind, Input::Judged(judged)),
                // The part is over, because its trigger was refused or it was decided without its image.
                None => self.archiver.set_aside(judged.file.into_iter().collect(), Unjudged::TooLate),
            },
            ToLine::FreeRunning { judged, at } => self.on_free_running(judged, at),
            ToLine::Accepted { number, accepted } => self.on_accepted(number, accepted),
            ToLine::Committed { number, committed } => self.on_committed(number, committed),
            ToLine::Recorded(recorded) => self.on_recorded(recorded),
            ToLine::BundleRead(read) => self.on_bundle_read(read),
            ToLine::Bundle { request, who, answer } => self.on_bundle_request(request, who, answer),
        }
    }

    fn session(&mut self) -> &mut DeviceSession {
        self.transport.session()
    }

    fn session_state(&mut self) -> DeviceState {
        let now_ms = self.shared.clock.now_ms();
        self.session().state(now_ms)
    }

    /// Grants a proof that is due if nothing is in progress, updates the session with the appliance's condition, updates the
    /// metrics, and sends the RECORD that is due.
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
        // While it is not certain which bundle is running, no trigger is accepted.
        let store_ok = journal.ready && self.bundles.is_ready();
        self.session().set_condition(Condition { mode, store_ok, degraded: false, backlog });
        let state = self.session_state();
        // Each part passes through SINGLE_EXECUTION. This state is not logged, because each verdict has its own log line.
        if state != DeviceState::SingleExecution && self.memory.logged.replace(state) != Some(state) {
            tracing::info!(event = "state_changed", %state, "the state changed");
        }
        self.update_metrics(state, &journal);
        let now_ms = self.shared.clock.now_ms();
        // The PLC ends its open part as REJECT when it gets a RECORD of that part. So no RECORD is sent until the part is over.
        if self.memory.triggered.is_none()
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
        metrics.parts.set_in_hand(self.memory.triggered.as_ref().is_some_and(Life::is_before_commit));
        metrics.store.set_journal(journal, self.backlog.len());
    }

    /// Rejects the part in progress if the appliance is stopping and judging takes too long.
    fn reject_when_stopping(&mut self) {
        if !self.shared.is_stopping() {
            return;
        }
        let since = *self.memory.stopping.get_or_insert_with(Instant::now);
        let is_being_judged = self.memory.triggered.as_ref().is_some_and(Life::is_being_judged);
        if since.elapsed() >= GIVE_UP_AFTER && is_being_judged {
            let judged = Judged::reject(ReasonCode::RESTARTED, "the appliance stopped before there was a result");
            self.input(Kind::Triggered, Input::Judged(judged));
        }
    }

    /// Informs the judge of recorded images and refused triggers, so that it does not assign the image of a refused trigger to
    /// another part. If the judge's queue is full, the next step tries again.
    fn notify_judge(&mut self) {
        if self.memory.is_recorded_due && self.judge.try_send(ToJudge::Recorded) {
            self.memory.is_recorded_due = false;
        }
        let refused = *self.session().refused();
        self.memory.is_doubt_due |= std::mem::replace(&mut self.memory.refused, refused) != refused;
        self.send_doubt();
    }

    /// Sends [`ToJudge::Doubt`] if it is due. Returns whether the judge is informed.
    fn send_doubt(&mut self) -> bool {
        self.memory.is_doubt_due = self.memory.is_doubt_due && !self.judge.try_send(ToJudge::Doubt);
        !self.memory.is_doubt_due
    }

    fn on_event(&mut self, event: DeviceEvent) {
        match event {
            DeviceEvent::Triggered(trigger) => self.on_triggered(trigger),
            DeviceEvent::Concluded(pending) => self.input(Kind::Triggered, Input::Concluded(pending)),
            DeviceEvent::Delivered { verdict_seq, gate } => {
                self.input(Kind::Triggered, Input::Delivered(verdict_seq));
                self.acknowledged(verdict_seq, gate);
            }
            DeviceEvent::Undelivered { verdict_seq } => {
                // The row has been in the backlog since it was committed.
                self.shared.metrics.parts.undelivered();
                self.input(Kind::Triggered, Input::Undelivered(verdict_seq));
            }
            DeviceEvent::RecordAcknowledged { ack, gate } => {
                if self.backlog.is_acknowledged_by(&ack) {
                    self.acknowledged(ack.verdict_seq, gate);
                }
            }
            DeviceEvent::Confirm(confirm) => self.bundles.confirm(confirm),
            DeviceEvent::PlcSilent => {
                self.shared.metrics.link.plc_is_silent();
                tracing::warn!(event = "plc_silent", "the PLC is silent");
            }
            DeviceEvent::PlcBack => {
                self.shared.metrics.link.plc_is_back();
                tracing::info!(event = "plc_back", "the PLC sends heartbeats");
            }
        }
    }

    fn on_triggered(&mut self, trigger: Trigger) {
        if !self.bundles.is_ready() {
            self.session().refuse(trigger, ReasonCode::STORE_FAILED);
            return;
        }
        let now = Instant::now();
        let deadline = self.shared.clock.instant(trigger.deadline_at_ms());
        let Entry { part: PartRule { bundle, rule, is_reference }, events } =
            self.bundles.enter(trigger.bundle(), now_unix_ms());
        let part = Part { is_reference, ..self.next_part(trigger.part_id(), now, deadline) };
        self.memory.entering = (!events.is_empty()).then_some(part.number);
        let allowed = deadline.saturating_duration_since(now);
        let journal_trigger = journal::JournalTrigger {
            kind: TriggerKind::Plc,
            part: part.part_id,
            nonce: trigger.nonce(),
            deadline_ms: u32::try_from(allowed.as_millis()).unwrap_or(u32::MAX),
            received_unix_ms: now_unix_ms(),
            bundle,
        };
        let mut effects = Vec::new();
        let accepted = (journal_trigger, events);
        self.memory.triggered = Some(Life::triggered(part, accepted, self.model, trigger, &mut effects));
        // Storing and judging start together: only the answer to the PLC has to wait for the disk.
        self.perform(Kind::Triggered, &part, effects);
        // When matching by order, the judge must get an earlier doubt before this part, and it must get this part. Otherwise the
        // next part would get this part's image.
        if self.memory.triggered.is_some()
            && !(self.send_doubt() && self.judge.try_send(ToJudge::Part(part, Box::new(rule))))
        {
            self.memory.is_doubt_due = true;
            let judged = Judged::reject(ReasonCode::INTERNAL, "the judge's queue is full");
            self.input(Kind::Triggered, Input::Judged(judged));
        }
    }

    /// Records an image without a trigger and sends its verdict as information.
    fn on_free_running(&mut self, judged: Judged, at: Instant) {
        let part = self.next_part(0, at, at);
        self.memory.free_runs = self.memory.free_runs.wrapping_add(1);
        let journal_trigger = journal::JournalTrigger {
            kind: TriggerKind::FreeRunning,
            part: 0,
            // Distinguishes images without a trigger, which all have the part number 0.
            nonce: self.memory.free_runs,
            deadline_ms: u32::MAX,
            received_unix_ms: now_unix_ms(),
            bundle: 0,
        };
        let mut effects = Vec::new();
        self.memory.free_running = Some(Life::free_running(part, journal_trigger, self.model, judged, &mut effects));
        self.perform(Kind::FreeRunning, &part, effects);
    }

    fn next_part(&mut self, part_id: u64, triggered: Instant, deadline: Instant) -> Part {
        self.memory.lives += 1;
        Part { number: self.memory.lives, part_id, is_reference: false, triggered, deadline }
    }

    fn on_accepted(&mut self, number: u64, accepted: Result<journal::AcceptanceReceipt, JournalError>) {
        self.on_entered(number, accepted.as_ref().map_err(|_| ()));
        let id = match accepted {
            Ok(accepted) => {
                self.shared.metrics.parts.accepted(accepted.duration());
                Some(accepted.id())
            }
            // An earlier attempt, whose outcome was unknown, did store the acceptance.
            Err(JournalError::AlreadyInHand { trigger, .. }) => Some(trigger),
            Err(error) => {
                let part = self.part_id_of(number);
                tracing::error!(event = "acceptance_not_stored", part, %error, "the acceptance could not be stored");
                None
            }
        };
        if let Some(kind) = self.kind_of(number) {
            if kind == Kind::Triggered && id.is_some() {
                self.shared.metrics.parts.triggered();
            }
            self.input(kind, Input::Accepted(id));
        }
    }

    fn on_committed(&mut self, number: u64, committed: Result<Box<journal::CommitReceipt>, JournalError>) {
        let Some(kind) = self.kind_of(number) else { return };
        let stored = match committed {
            Ok(committed) => {
                self.bundles.judged(committed.record());
                // Before the image reaches the archive.
                self.keep_reference_images();
                self.count(kind, &committed);
                log::judged(&committed);
                match kind {
                    Kind::Triggered => self.backlog.insert(committed.record().clone()),
                    Kind::FreeRunning => {
                        let record = judged::record(committed.record(), Origin::FREE_RUNNING);
                        self.session().send_record(record);
                    }
                }
                StoreOutcome::Committed(committed.seq())
            }
            Err(JournalError::AlreadyTerminal { seq, .. }) => {
                tracing::warn!(event = "already_recorded", %seq, "the journal already has a verdict for this part");
                StoreOutcome::AlreadyTerminal
            }
            Err(error) => {
                // The verdict may be stored all the same.
                self.bundles.doubt();
                tracing::error!(event = "verdict_not_stored", %error, "the verdict could not be stored and is not sent");
                StoreOutcome::Failed
            }
        };
        self.input(kind, Input::Stored(stored));
    }

    /// The PLC acknowledged the verdict in the row with this number. `gate` is the reason with which its gate decided on the part, or
    /// [`ReasonCode::NONE`].
    fn acknowledged(&mut self, verdict_seq: u64, gate: ReasonCode) {
        let Some(seq) = NonZeroU64::new(verdict_seq) else { return };
        let differs = |row: &VerdictRow| gate != ReasonCode::NONE && gate != recorded_reason(&row.entry.reason);
        if let Some(row) = self.backlog.remove(seq).filter(differs) {
            log::gate_differs(&row, gate);
            self.shared.metrics.parts.gate_differs(gate);
        }
        // If this acknowledgement is lost, the row is sent as a RECORD once more.
        let _ = self.journal.acknowledge(seq);
    }

    /// Which of the two lives has this number. `None` if that life is over.
    fn kind_of(&self, number: u64) -> Option<Kind> {
        let has_number = |kind: &Kind| self.memory.life(*kind).is_some_and(|life| life.part().number == number);
        [Kind::Triggered, Kind::FreeRunning].into_iter().find(has_number)
    }

    /// The part number that the PLC sent, if `number` is the [`Part::number`] of the triggered part.
    fn part_id_of(&self, number: u64) -> Option<u64> {
        self.memory.triggered.as_ref().map(Life::part).filter(|part| part.number == number).map(|part| part.part_id)
    }

    /// Logs the parts that are unfinished when the appliance ends.
    pub(super) fn log_unfinished(&self) {
        if let Some(life) = &self.memory.triggered {
            let part = life.part().part_id;
            tracing::warn!(
                event = "unfinished",
                part,
                "the appliance ends before this part is finished; see the journal after the next start"
            );
        }
        if self.memory.free_running.is_some() {
            tracing::warn!(
                event = "unfinished",
                "the appliance ends before the image is recorded: it stays in its folder and is judged after the next start"
            );
        }
    }

    /// Passes an input to a life and carries out its effects.
    fn input(&mut self, kind: Kind, input: Input) {
        let slot = self.memory.slot(kind);
        let Some(life) = slot.take() else { return };
        let part = *life.part();
        let health = self.shared.liveness.health();
        // Read the clock after health: a health token is not valid before the moment of its issue.
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
        self.memory.is_recorded_due |= is_over && kind == Kind::FreeRunning;
    }
}

#[cfg(test)]
mod tests;
