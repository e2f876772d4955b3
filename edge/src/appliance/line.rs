//! The session with the PLC: what to do with its events and with what the threads tell. No input or output of its own: bytes
//! come in and go out by [`super::port`].

mod delivery;

use super::beat::Worker;
use super::judge::Work;
use super::keep::Chore;
use super::part::{self, Judged, Part};
use super::profile::DeviceEnd;
use super::record::{Commit, Request};
use super::run::Shared;
use crate::acquire::Unjudged;
use crate::journal::{self, Journal, TriggerKind, now_unix_ms};
use cellgate_models::digest::Digest;
use cellgate_protocol::part::{Committed, Pending, Trigger};
use cellgate_protocol::reason::ReasonCode;
use cellgate_protocol::session::device::{Condition, DeviceSession, Event, Mode};
use cellgate_protocol::session::refused::Refused;
use cellgate_protocol::state::State;
use cellgate_protocol::to_plc::Origin;
use delivery::Delivery;
use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

/// How long the part in hand may take when the appliance is told to stop, before it stops without it.
pub(super) const FINISH_MOST: Duration = Duration::from_secs(10);
/// After how much of that the part is rejected, so that the rest is left for storing and saying it.
const GIVE_UP_AFTER: Duration = Duration::from_secs(8);

/// What the threads tell the line.
#[derive(Debug)]
pub(super) enum Told {
    /// What was found out about a part.
    Judged {
        /// The line's count of triggers.
        number: u64,
        /// What it is.
        judged: Judged,
    },
    /// Whether a trigger's acceptance is durable.
    Accepted {
        /// The line's count of triggers.
        number: u64,
        /// Its number in the journal, if it is.
        accepted: Option<NonZeroU64>,
    },
    /// A verdict is durable.
    Committed {
        /// What may be sent.
        committed: Committed,
        /// Its row.
        row: Box<journal::Record>,
        /// When its trigger was received.
        received: Instant,
    },
    /// A verdict is not.
    StoreFailed(Box<Commit>),
    /// The journal holds the part's verdict under another row.
    Settled(Pending),
    /// An image without a trigger was recorded.
    Free(Box<journal::Record>),
}

/// The part that the session waits for.
struct InHand {
    part: Part,
    trigger: journal::Trigger,
    /// The session's token, until the part is concluded.
    token: Option<Trigger>,
    /// Concluded by the session itself, as its time was nearly over.
    concluded: Option<Pending>,
    judged: Option<Judged>,
    /// Its number in the journal; `Some(None)`: the journal could not store it.
    accepted: Option<Option<NonZeroU64>>,
}

/// What the line works with.
pub(super) struct Line {
    pub(super) end: DeviceEnd,
    pub(super) shared: Arc<Shared>,
    pub(super) journal: Arc<Journal>,
    pub(super) model: Digest,
    pub(super) work: Sender<Work>,
    pub(super) requests: Sender<Request>,
    pub(super) chores: Sender<Chore>,
    /// Rows that the PLC has not acknowledged, by number.
    pub(super) undelivered: BTreeMap<u64, journal::Record>,
    pub(super) memory: Memory,
}

/// What the line remembers from one step to the next.
#[derive(Default)]
pub(super) struct Memory {
    in_hand: Option<InHand>,
    triggers: u64,
    shown: Option<State>,
    /// Refused triggers that the judge knows of.
    refused: Refused,
    delivery: Delivery,
    /// When the signal to end was seen.
    stopping: Option<Instant>,
}

impl Line {
    /// Bytes that came from the PLC.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.end.feed(self.shared.clock.now_ms(), bytes);
    }

    /// The port was lost and opened again.
    pub(super) fn reopened(&mut self) {
        self.end.reopened();
    }

    /// Does everything that is to do now; bytes for the PLC are added to `out`.
    pub(super) fn step(&mut self, out: &mut Vec<u8>) {
        let (seen, most) = self.journal.progress();
        self.shared.beats.seen(Worker::Journal, seen, most);
        self.shared.beats.idle(Worker::Line);
        self.look_around();
        self.give_up_at_the_end();
        self.send_held();
        loop {
            let health = self.shared.beats.health();
            let now_ms = self.shared.clock.now_ms();
            let event = self.end.poll(now_ms, health.as_ref(), out);
            self.tell_refused();
            let Some(event) = event else { return };
            self.on_event(event);
        }
    }

    /// Whether nothing is in hand, so that the appliance may end.
    pub(super) fn is_done(&mut self) -> bool {
        !self.has_in_hand()
    }

    /// Whether a part is on its way from its trigger to its acknowledged verdict. While the engine is not proven, what the
    /// session still says is not known here.
    fn has_in_hand(&mut self) -> bool {
        let Memory { in_hand, delivery, .. } = &self.memory;
        in_hand.is_some() || delivery.is_held() || self.session_state() == State::SingleExecution
    }

    /// A signal asked the appliance to end, and the part in hand takes too long: it is rejected while that can still be
    /// stored and said.
    fn give_up_at_the_end(&mut self) {
        if !self.shared.stop.load(Ordering::Acquire) {
            return;
        }
        let since = *self.memory.stopping.get_or_insert_with(Instant::now);
        if since.elapsed() >= GIVE_UP_AFTER
            && let Some(in_hand) = self.memory.in_hand.as_mut().filter(|in_hand| in_hand.judged.is_none())
        {
            let detail = "the appliance was asked to end before anything was found out";
            in_hand.judged = Some(Judged::reject(ReasonCode::RESTARTED, detail));
            self.advance();
        }
    }

    fn session(&mut self) -> &mut DeviceSession {
        self.end.session()
    }

    fn session_state(&mut self) -> State {
        let now_ms = self.shared.clock.now_ms();
        self.session().state(now_ms)
    }

    /// How the appliance is, and records that wait to be told.
    fn look_around(&mut self) {
        if !self.has_in_hand() {
            self.shared.engine.let_prove();
        }
        let mode = if self.shared.stop.load(Ordering::Acquire) {
            Mode::Halted
        } else if self.shared.engine.has_failed() {
            Mode::Failed
        } else if self.shared.engine.is_proven() {
            Mode::Operating
        } else {
            Mode::Starting
        };
        let backlog = u16::try_from(self.undelivered.len()).unwrap_or(u16::MAX);
        let journal = self.journal.health();
        let store_ok = journal.ready;
        self.session().set_condition(Condition { mode, store_ok, degraded: false, backlog });
        let state = self.session_state();
        // Each part passes through SINGLE_EXECUTION; that it was judged is logged by itself.
        if state != State::SingleExecution && self.memory.shown.replace(state) != Some(state) {
            tracing::info!(%state, "state");
        }
        self.show(state, &journal);
        self.replay();
    }

    /// Figures that are kept elsewhere.
    fn show(&mut self, state: State, journal: &journal::Health) {
        let health = self.shared.beats.health();
        let now_ms = self.shared.clock.now_ms();
        let heartbeat = self.session().snapshot(now_ms, health.as_ref()).heartbeat;
        let metrics = &self.shared.metrics;
        metrics.line.show(&self.end.counts(heartbeat));
        metrics.device.show_state(state);
        metrics.parts.show_in_hand(self.memory.in_hand.is_some());
        metrics.store.show_journal(journal, self.undelivered.len());
    }

    /// The image of a part whose trigger was refused may be taken for no other's.
    fn tell_refused(&mut self) {
        let refused = *self.session().refused();
        if std::mem::replace(&mut self.memory.refused, refused) != refused {
            let _ = self.work.send(Work::Doubt);
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Triggered(token) => self.on_triggered(token),
            Event::Concluded(pending) => {
                if let Some(in_hand) = &mut self.memory.in_hand {
                    in_hand.token = None;
                    in_hand.concluded = Some(pending);
                }
                self.advance();
            }
            Event::Delivered { verdict_seq } => self.on_delivered(verdict_seq),
            Event::Undelivered { verdict_seq } => self.on_undelivered(verdict_seq),
            Event::RecordAcknowledged(ack) => self.on_record_acknowledged(&ack),
            Event::PlcSilent => {
                self.shared.metrics.line.plc_is_silent();
                tracing::warn!("the PLC is silent");
            }
            Event::PlcBack => {
                self.shared.metrics.line.plc_is_back();
                tracing::info!("the PLC is there");
            }
        }
    }

    fn on_triggered(&mut self, token: Trigger) {
        self.memory.triggers += 1;
        self.shared.metrics.parts.triggered();
        let part = Part {
            number: self.memory.triggers,
            part_id: token.part_id(),
            triggered: Instant::now(),
            deadline: self.shared.clock.instant(token.deadline_at_ms()),
        };
        let allowed = part.deadline.saturating_duration_since(part.triggered);
        let trigger = journal::Trigger {
            kind: TriggerKind::Plc,
            part: token.part_id(),
            nonce: token.nonce(),
            deadline_ms: u32::try_from(allowed.as_millis()).unwrap_or(u32::MAX),
            received_unix_ms: now_unix_ms(),
        };
        // Both at once: judging need not wait for the disk, only the answer to the PLC must.
        let _ = self.requests.send(Request::Accept { number: part.number, trigger });
        let _ = self.work.send(Work::Part(part));
        let in_hand = InHand { part, trigger, token: Some(token), concluded: None, judged: None, accepted: None };
        self.memory.in_hand = Some(in_hand);
    }

    /// What a thread tells.
    pub(super) fn on_told(&mut self, told: Told) {
        match told {
            Told::Judged { number, judged } => {
                match self.memory.in_hand.as_mut().filter(|in_hand| in_hand.part.number == number) {
                    Some(in_hand) if in_hand.judged.is_none() => in_hand.judged = Some(judged),
                    // What was found out comes too late: the part was refused, or its TIMEOUT is recorded.
                    _ => self.set_aside(judged),
                }
            }
            Told::Accepted { number, accepted } => self.on_accepted(number, accepted),
            Told::Committed { committed, row, received } => self.on_committed(committed, *row, received),
            Told::StoreFailed(verdict) => {
                let owed = Commit { pending: self.session().store_failed(verdict.pending), ..*verdict };
                let _ = self.requests.send(Request::Owe(Box::new(owed)));
            }
            Told::Settled(pending) => self.session().settle(pending),
            Told::Free(row) => {
                let record = part::record(&row, Origin::FREE_RUNNING);
                self.session().send_record(record);
            }
        }
        self.advance();
    }

    fn on_accepted(&mut self, number: u64, accepted: Option<NonZeroU64>) {
        let Some(in_hand) = self.memory.in_hand.as_mut().filter(|in_hand| in_hand.part.number == number) else {
            return;
        };
        in_hand.accepted = Some(accepted);
        if accepted.is_some() {
            if let Some(token) = &in_hand.token {
                self.end.session().accept(token);
            }
        } else if let Some(token) = in_hand.token.take() {
            self.end.session().refuse(token, ReasonCode::STORE_FAILED);
            if let Some(judged) = self.memory.in_hand.take().and_then(|in_hand| in_hand.judged) {
                self.set_aside(judged);
            }
        }
    }

    /// An image that no record will name goes to the archive all the same.
    fn set_aside(&self, judged: Judged) {
        if let Some(image) = judged.file {
            let _ = self.chores.send(Chore::SetAside { images: vec![image], why: Unjudged::TooLate });
        }
    }

    /// Sends the part in hand to the journal, once it is concluded and its acceptance is known to be stored or not.
    fn advance(&mut self) {
        let now_ms = self.shared.clock.now_ms();
        let Some(in_hand) = &mut self.memory.in_hand else { return };
        let Some(accepted) = in_hand.accepted else { return };
        let concluded = match (in_hand.concluded.take(), in_hand.judged.is_some()) {
            (Some(pending), _) => Some(pending),
            (None, true) => in_hand.token.take().and_then(|token| {
                let outcome = in_hand.judged.as_ref()?.outcome(self.model);
                self.end.session().conclude(now_ms, token, outcome).ok()
            }),
            (None, false) => None,
        };
        let Some(pending) = concluded else { return };
        let (trigger, received) = (in_hand.trigger, in_hand.part.triggered);
        let unknown = || Judged::reject(ReasonCode::TIMEOUT, "nothing was found out in time");
        let judged = in_hand.judged.take().unwrap_or_else(unknown);
        self.memory.in_hand = None;
        let verdict = Commit { pending, judged, trigger, accepted, received };
        let _ = self.requests.send(Request::Commit(Box::new(verdict)));
    }
}

#[cfg(test)]
mod tests;
