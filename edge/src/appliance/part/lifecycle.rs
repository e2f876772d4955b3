//! The life of one part, from its trigger to the PLC's acknowledgement: one enum, and one function from an input and the
//! time to the next stage and its effects. It has no channel, no clock and no thread, so tests run it in simulated time.
//!
//! ```text
//!                    accepted                          judged
//! WaitingForBoth ------------> WaitingForJudgement ------------+
//!       | judged                                               v            stored
//!       +--------> WaitingForAcceptance ------------------> Committing ---------------> Held --> Sent --> (over)
//!                             ^     accepted               |        ^
//!                             |              store failed  v        | journal ready
//!                             +--------------------------- Owed ----+
//! ```
//!
//! The session (crate protocol) may conclude a part by itself when its time is nearly over; it then counts as judged. A part
//! whose acceptance can't be stored is over, unless it is concluded: then it is owed. So is one whose verdict the journal holds
//! already.

use super::Part;
use super::effect::Effect;
use super::judged::Judged;
use crate::journal::{AcceptedTrigger, TriggerKind};
use cellgate_models::digest::Digest;
use cellgate_protocol::code::WireVerdict;
use cellgate_protocol::health::Health;
use cellgate_protocol::part::{Committed, Pending, Trigger};
use cellgate_protocol::reason::ReasonCode;
use cellgate_protocol::session::device::{DeviceSession, Dispatch};
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

/// How long a PASS waits for a worker whose sign of life is a moment late; then it goes out as a RECORD.
const MAX_HOLD: Duration = Duration::from_millis(300);
/// Pause between two attempts to store a verdict that is owed, while the journal says that it is ready.
const RETRY_AFTER: Duration = Duration::from_millis(40);
/// How long after its deadline a verdict that was sent may wait for the session's notice of how that ended.
const MAX_NOTICE_DELAY: Duration = Duration::from_secs(1);

/// One part from its trigger, or one image without a trigger, until nothing is left to do for it.
#[derive(Debug)]
pub(in crate::appliance) struct Life {
    subject: Subject,
    stage: LifeStage,
}

/// What does not change during a life.
#[derive(Debug)]
struct Subject {
    part: Part,
    trigger: AcceptedTrigger,
    /// The model that judges.
    model: Digest,
}

/// Where a life stands.
#[derive(Debug)]
enum LifeStage {
    /// Its acceptance is being stored, and it is being judged.
    WaitingForBoth { token: Trigger },
    /// It is judged or concluded; its acceptance is being stored.
    WaitingForAcceptance(Decided),
    /// Its acceptance is durable, as trigger `id` of the journal; it is being judged.
    WaitingForJudgement { token: Trigger, id: NonZeroU64 },
    /// It is judged, and the session has concluded it by itself: that event is still on its way.
    WaitingForConclusion { id: NonZeroU64, judged: Judged },
    /// Its verdict is being stored.
    Committing { id: NonZeroU64, verdict: OwnedVerdict },
    /// Its verdict is durable and not sent yet.
    Held { committed: Committed, until: Instant },
    /// Its verdict was sent.
    Sent { seq: NonZeroU64, at: Instant },
    /// Its verdict could not be stored: a REJECT is stored as soon as the journal is ready. `id` as far as it is known.
    Owed { id: Option<NonZeroU64>, verdict: OwnedVerdict, retry_at: Instant },
}

/// What is decided about a part whose acceptance is still being stored.
#[derive(Debug)]
enum Decided {
    /// Judged. The session still waits for it, so the trigger can still be refused.
    Judged { token: Trigger, judged: Judged },
    /// Concluded.
    Concluded(OwnedVerdict),
}

/// A verdict on its way into the journal.
#[derive(Debug)]
struct OwnedVerdict {
    judged: Judged,
    /// Holds the session's window; none for an image without a trigger.
    pending: Option<Pending>,
    /// An attempt to store it failed.
    is_owed: bool,
}

/// What happens to a part.
#[derive(Debug)]
pub(in crate::appliance) enum Input {
    /// The journal's answer to [`Effect::Accept`]: durable under this number, or not stored.
    Accepted(Option<NonZeroU64>),
    /// The judge's result.
    Judged(Judged),
    /// The session concluded the part, as its time is nearly over.
    Concluded(Pending),
    /// The journal's answer to [`Effect::Commit`].
    Stored(StoreOutcome),
    /// The PLC acknowledged the verdict with this number.
    Delivered(u64),
    /// The verdict with this number is information only: it was not acknowledged in time, or never sent as a verdict.
    Undelivered(u64),
    /// Time passed.
    Tick,
}

/// How storing a verdict ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::appliance) enum StoreOutcome {
    /// It is durable under this number.
    Committed(NonZeroU64),
    /// The journal holds another terminal record of the same trigger already.
    AlreadyTerminal,
    /// It is not stored, or that is not known.
    Failed,
}

/// What a life needs to know of the present.
#[derive(Debug)]
pub(in crate::appliance) struct Moment<'a> {
    /// Now.
    pub(in crate::appliance) now: Instant,
    /// Now, on the session's clock.
    pub(in crate::appliance) now_ms: u64,
    /// The token without which nothing is a PASS.
    pub(in crate::appliance) health: Option<&'a Health>,
    /// Whether the journal can store.
    pub(in crate::appliance) is_journal_ready: bool,
}

impl Life {
    /// The life of a part that the PLC triggered. Its acceptance is to be stored, and it is to be judged.
    pub(in crate::appliance) fn triggered(
        part: Part,
        trigger: AcceptedTrigger,
        model: Digest,
        token: Trigger,
        effects: &mut Vec<Effect>,
    ) -> Self {
        effects.push(Effect::Accept(trigger));
        Self { subject: Subject { part, trigger, model }, stage: LifeStage::WaitingForBoth { token } }
    }

    /// The life of an image without a trigger, judged already. It is to be stored; nothing is sent to act on.
    pub(in crate::appliance) fn free_running(
        part: Part,
        trigger: AcceptedTrigger,
        model: Digest,
        judged: Judged,
        effects: &mut Vec<Effect>,
    ) -> Self {
        effects.push(Effect::Accept(trigger));
        let verdict = OwnedVerdict { judged, pending: None, is_owed: false };
        let stage = LifeStage::WaitingForAcceptance(Decided::Concluded(verdict));
        Self { subject: Subject { part, trigger, model }, stage }
    }

    /// The part.
    pub(in crate::appliance) fn part(&self) -> &Part {
        &self.subject.part
    }

    /// The trigger, as the journal knows it.
    #[cfg(test)]
    pub(in crate::appliance) fn trigger(&self) -> &AcceptedTrigger {
        &self.subject.trigger
    }

    /// Whether the part is neither judged nor concluded.
    pub(in crate::appliance) fn is_being_judged(&self) -> bool {
        matches!(self.stage, LifeStage::WaitingForBoth { .. } | LifeStage::WaitingForJudgement { .. })
    }

    /// Whether its verdict is not on its way to the journal yet.
    pub(in crate::appliance) fn is_open(&self) -> bool {
        let is_waiting =
            matches!(self.stage, LifeStage::WaitingForAcceptance(_) | LifeStage::WaitingForConclusion { .. });
        is_waiting || self.is_being_judged()
    }

    /// The next stage after `input`; none once nothing is left to do. What is to be done is added to `effects`.
    ///
    /// An input that does not fit the stage changes nothing; the image of a result that comes too late is set aside.
    pub(in crate::appliance) fn next(
        self,
        input: Input,
        moment: &Moment<'_>,
        session: &mut DeviceSession,
        effects: &mut Vec<Effect>,
    ) -> Option<Self> {
        let is_being_judged = self.is_being_judged();
        let Self { subject, stage } = self;
        let mut step = Transition { subject: &subject, moment, session, effects };
        let stage = match (stage, input) {
            (stage, Input::Judged(judged)) if !is_being_judged => {
                step.set_aside(judged);
                Some(stage)
            }
            (LifeStage::WaitingForBoth { token }, input) => step.waiting_for_both(token, input),
            (LifeStage::WaitingForAcceptance(decision), input) => step.waiting_for_acceptance(decision, input),
            (LifeStage::WaitingForJudgement { token, id }, Input::Judged(judged)) => step.judged(token, id, judged),
            (LifeStage::WaitingForJudgement { id, .. }, Input::Concluded(pending)) => {
                step.commit(id, OwnedVerdict::timeout(pending))
            }
            (LifeStage::WaitingForConclusion { id, judged }, Input::Concluded(pending)) => {
                step.commit(id, OwnedVerdict { judged, pending: Some(pending), is_owed: false })
            }
            (LifeStage::Committing { id, verdict }, Input::Stored(stored)) => step.stored(id, verdict, stored),
            (LifeStage::Held { committed, until }, Input::Tick) => step.send(committed, until),
            (LifeStage::Sent { seq, at }, input) => step.sent(seq, at, &input),
            (LifeStage::Owed { id, verdict, retry_at }, Input::Tick) => step.owed(id, verdict, retry_at),
            (stage, _) => Some(stage),
        };
        stage.map(|stage| Self { subject, stage })
    }
}

impl OwnedVerdict {
    /// Of a part that the session concluded before it was judged.
    fn timeout(pending: Pending) -> Self {
        let judged = Judged::reject(ReasonCode::TIMEOUT, "no result in time");
        Self { judged, pending: Some(pending), is_owed: false }
    }
}

/// One step of one life.
struct Transition<'a, 'm> {
    subject: &'a Subject,
    moment: &'a Moment<'m>,
    session: &'a mut DeviceSession,
    effects: &'a mut Vec<Effect>,
}

impl Transition<'_, '_> {
    fn waiting_for_both(&mut self, token: Trigger, input: Input) -> Option<LifeStage> {
        Some(match input {
            Input::Accepted(Some(id)) => {
                self.session.accept(&token);
                LifeStage::WaitingForJudgement { token, id }
            }
            Input::Accepted(None) => return self.refuse(token),
            Input::Judged(judged) => LifeStage::WaitingForAcceptance(Decided::Judged { token, judged }),
            Input::Concluded(pending) => {
                LifeStage::WaitingForAcceptance(Decided::Concluded(OwnedVerdict::timeout(pending)))
            }
            _ => LifeStage::WaitingForBoth { token },
        })
    }

    fn waiting_for_acceptance(&mut self, decision: Decided, input: Input) -> Option<LifeStage> {
        match (decision, input) {
            (Decided::Judged { token, judged }, Input::Accepted(Some(id))) => {
                self.session.accept(&token);
                self.judged(token, id, judged)
            }
            (Decided::Judged { token, judged }, Input::Accepted(None)) => {
                self.set_aside(judged);
                self.refuse(token)
            }
            (Decided::Judged { judged, .. }, Input::Concluded(pending)) => {
                let verdict = OwnedVerdict { judged, pending: Some(pending), is_owed: false };
                Some(LifeStage::WaitingForAcceptance(Decided::Concluded(verdict)))
            }
            (Decided::Concluded(verdict), Input::Accepted(Some(id))) => self.commit(id, verdict),
            (Decided::Concluded(verdict), Input::Accepted(None)) => Some(self.store_failed(None, verdict)),
            (decision, _) => Some(LifeStage::WaitingForAcceptance(decision)),
        }
    }

    /// The trigger can't be accepted: the PLC gets a NAK, and no record follows.
    fn refuse(&mut self, token: Trigger) -> Option<LifeStage> {
        self.session.refuse(token, ReasonCode::STORE_FAILED);
        None
    }

    fn judged(&mut self, token: Trigger, id: NonZeroU64, judged: Judged) -> Option<LifeStage> {
        let outcome = judged.outcome(self.subject.model);
        match self.session.conclude(self.moment.now_ms, token, outcome) {
            Ok(pending) => self.commit(id, OwnedVerdict { judged, pending: Some(pending), is_owed: false }),
            Err(_) => Some(LifeStage::WaitingForConclusion { id, judged }),
        }
    }

    fn commit(&mut self, id: NonZeroU64, verdict: OwnedVerdict) -> Option<LifeStage> {
        let model = self.subject.model;
        let said = match &verdict.pending {
            Some(pending) => pending.entry().outcome,
            None => verdict.judged.outcome(model),
        };
        let age = self.moment.now.saturating_duration_since(self.subject.part.triggered);
        self.effects.push(Effect::Commit(Box::new(verdict.judged.entry(&said, id, model, age))));
        Some(LifeStage::Committing { id, verdict })
    }

    fn stored(&mut self, id: NonZeroU64, mut verdict: OwnedVerdict, stored: StoreOutcome) -> Option<LifeStage> {
        match stored {
            StoreOutcome::Committed(seq) => {
                let code = verdict.pending.as_ref().map(|pending| pending.entry().outcome.verdict);
                self.archive(seq, &mut verdict, code);
                let is_pass = code == Some(WireVerdict::Pass);
                let until = self.moment.now + if is_pass { MAX_HOLD } else { Duration::ZERO };
                self.send(verdict.pending?.committed(seq), until)
            }
            StoreOutcome::AlreadyTerminal => {
                self.set_aside(verdict.judged);
                self.session.settle(verdict.pending?);
                None
            }
            StoreOutcome::Failed => Some(self.store_failed(Some(id), verdict)),
        }
    }

    fn archive(&mut self, seq: NonZeroU64, verdict: &mut OwnedVerdict, code: Option<WireVerdict>) {
        let Some(image) = verdict.judged.file.take() else { return };
        let code = code.unwrap_or_else(|| verdict.judged.outcome(self.subject.model).verdict);
        let name = match self.subject.trigger.kind {
            TriggerKind::Plc => format!("{seq:010}-{}-{code}", self.subject.trigger.part),
            TriggerKind::FreeRunning => format!("{seq:010}-free-{code}"),
        };
        self.effects.push(Effect::Archive { image, name });
    }

    fn store_failed(&mut self, id: Option<NonZeroU64>, mut verdict: OwnedVerdict) -> LifeStage {
        verdict.pending = verdict.pending.map(|pending| self.session.store_failed(pending));
        if !std::mem::replace(&mut verdict.is_owed, true) {
            self.effects.push(Effect::Owed { image: verdict.judged.file.clone() });
        }
        LifeStage::Owed { id, verdict, retry_at: self.moment.now + RETRY_AFTER }
    }

    fn owed(&mut self, id: Option<NonZeroU64>, verdict: OwnedVerdict, retry_at: Instant) -> Option<LifeStage> {
        if !self.moment.is_journal_ready || self.moment.now < retry_at {
            return Some(LifeStage::Owed { id, verdict, retry_at });
        }
        match id {
            Some(id) => self.commit(id, verdict),
            None => {
                self.effects.push(Effect::Accept(self.subject.trigger));
                Some(LifeStage::WaitingForAcceptance(Decided::Concluded(verdict)))
            }
        }
    }

    /// Sends the stored verdict. A PASS waits until `until` for health.
    fn send(&mut self, committed: Committed, until: Instant) -> Option<LifeStage> {
        let Moment { now, now_ms, health, .. } = *self.moment;
        if health.is_none() && now < until {
            return Some(LifeStage::Held { committed, until });
        }
        let seq = committed.verdict_seq();
        match self.session.send_verdict(now_ms, committed, health) {
            Dispatch::Verdict => {
                self.effects.push(Effect::Sent);
                Some(LifeStage::Sent { seq, at: now })
            }
            Dispatch::Record(origin) => {
                self.effects.push(Effect::SentAsRecord { seq, origin });
                None
            }
        }
    }

    fn sent(&mut self, seq: NonZeroU64, at: Instant, input: &Input) -> Option<LifeStage> {
        match input {
            Input::Delivered(delivered) if *delivered == seq.get() => {
                self.effects.push(Effect::Acknowledged(self.moment.now.saturating_duration_since(at)));
                None
            }
            Input::Undelivered(undelivered) if *undelivered == seq.get() => {
                self.effects.push(Effect::NotAcknowledged(seq));
                None
            }
            // The session's queue was full and lost its notice.
            Input::Tick if self.moment.now > self.subject.part.deadline + MAX_NOTICE_DELAY => None,
            _ => Some(LifeStage::Sent { seq, at }),
        }
    }

    fn set_aside(&mut self, judged: Judged) {
        self.effects.extend(judged.file.map(Effect::SetAside));
    }
}
