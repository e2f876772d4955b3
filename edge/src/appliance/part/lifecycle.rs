//! The life of one part, from its trigger to the PLC's acknowledgement. It is a state machine: [`Life::next`] turns an input and
//! the current time into the next stage and effects. It has no channel, clock or thread, so tests run it in simulated time.
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
//! | special case | next stage |
//! |---|---|
//! | the session (crate protocol) concludes the part, because its time is nearly over | as if the part were judged |
//! | the acceptance can't be stored, and the part is not concluded | over; the trigger is refused |
//! | the acceptance can't be stored, and the part is concluded | `Owed` |
//! | the result comes after the session concluded the part, but before the session's event | `WaitingForConclusion`, until the event comes |
//! | the verdict can only be sent as a RECORD | over |
//! | the journal already has a verdict for this trigger | over |

use super::Part;
use super::effect::Effect;
use super::judged::Judged;
use crate::journal::{EventEntry, JournalTrigger, TriggerKind};
use cellgate_models::digest::Digest;
use cellgate_protocol::code::WireVerdict;
use cellgate_protocol::health::Health;
use cellgate_protocol::part::{Committed, Pending, Trigger};
use cellgate_protocol::reason::ReasonCode;
use cellgate_protocol::session::device::{DeviceSession, Dispatch};
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

/// How long a PASS waits for health, in case a supervised thread's sign of life is a little late. After that the PASS is sent as a
/// RECORD.
const MAX_HOLD: Duration = Duration::from_millis(300);
/// The pause between two attempts to store a verdict that is owed, while the journal reports that it is ready.
const RETRY_AFTER: Duration = Duration::from_millis(40);
/// How long after the deadline a sent verdict waits for the session to report whether it was acknowledged.
const MAX_NOTICE_DELAY: Duration = Duration::from_secs(1);

/// The life of one triggered part, or of one image without a trigger.
#[derive(Debug)]
pub(in crate::appliance) struct Life {
    subject: Subject,
    stage: LifeStage,
}

/// The data that stays the same during a life.
#[derive(Debug)]
struct Subject {
    part: Part,
    journal_trigger: JournalTrigger,
    /// The digest of the model that judges.
    model: Digest,
}

/// The stage of a life.
#[derive(Debug)]
enum LifeStage {
    /// The acceptance is being stored, and the part is being judged.
    WaitingForBoth { trigger: Trigger },
    /// The part is judged or concluded, and its acceptance is being stored.
    WaitingForAcceptance(Decided),
    /// The acceptance is durable, as trigger `id` of the journal, and the part is being judged.
    WaitingForJudgement { trigger: Trigger, id: NonZeroU64 },
    /// The part is judged, but the session concluded it earlier. The session's event, [`Input::Concluded`], has not arrived yet.
    WaitingForConclusion { id: NonZeroU64, judged: Judged },
    /// The verdict is being stored.
    Committing { id: NonZeroU64, verdict: UnstoredVerdict },
    /// The verdict is durable and not sent yet.
    Held { committed: Committed, until: Instant },
    /// The verdict was sent.
    Sent { seq: NonZeroU64, at: Instant },
    /// The verdict could not be stored. As soon as the journal is ready, a REJECT is stored in its place, or for an image
    /// without a trigger the same verdict. `id` is `None` if the acceptance was not stored either.
    Owed { id: Option<NonZeroU64>, verdict: UnstoredVerdict, retry_at: Instant },
}

/// The result for a part whose acceptance is still being stored.
#[derive(Debug)]
enum Decided {
    /// The part is judged. The session still waits for the result, so the trigger can still be refused.
    Judged { trigger: Trigger, judged: Judged },
    /// The session concluded the part, or this is an image without a trigger, which is already judged.
    Concluded(UnstoredVerdict),
}

/// A verdict that is to be stored.
#[derive(Debug)]
struct UnstoredVerdict {
    judged: Judged,
    /// The session's hold on this part: the session takes no other trigger until this value is used up. `None` for an image without
    /// a trigger.
    pending: Option<Pending>,
    /// Whether an attempt to store the verdict has failed.
    is_owed: bool,
}

/// An input to a life.
#[derive(Debug)]
pub(in crate::appliance) enum Input {
    /// The journal's answer to [`Effect::Accept`]: the number of the durable trigger, or `None` if it was not stored.
    Accepted(Option<NonZeroU64>),
    /// The judge's result.
    Judged(Judged),
    /// The session concluded the part, because its time is nearly over.
    Concluded(Pending),
    /// The journal's answer to [`Effect::Commit`].
    Stored(StoreOutcome),
    /// The PLC acknowledged the verdict with this number.
    Delivered(u64),
    /// The verdict with this number is information only: it was not acknowledged in time, or it was sent only as a RECORD.
    Undelivered(u64),
    /// Time passed.
    Tick,
}

/// The outcome of storing a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::appliance) enum StoreOutcome {
    /// The verdict is durable under this number.
    Committed(NonZeroU64),
    /// The journal already has a terminal record of the same trigger.
    AlreadyTerminal,
    /// The verdict was not stored, or the outcome is unknown.
    Failed,
}

/// The current time and conditions, as a life needs them.
#[derive(Debug)]
pub(in crate::appliance) struct Moment<'a> {
    /// The current time.
    pub(in crate::appliance) now: Instant,
    /// The current time on the session's clock.
    pub(in crate::appliance) now_ms: u64,
    /// The health token. Without it no PASS is sent.
    pub(in crate::appliance) health: Option<&'a Health>,
    /// Whether the journal can store.
    pub(in crate::appliance) is_journal_ready: bool,
}

impl Life {
    /// The life of a part that the PLC triggered. The caller stores the acceptance together with `events` (see `effects`) and has the
    /// part judged.
    pub(in crate::appliance) fn triggered(
        part: Part,
        (journal_trigger, events): (JournalTrigger, Vec<EventEntry>),
        model: Digest,
        trigger: Trigger,
        effects: &mut Vec<Effect>,
    ) -> Self {
        effects.push(Effect::Accept { trigger: journal_trigger, events });
        Self { subject: Subject { part, journal_trigger, model }, stage: LifeStage::WaitingForBoth { trigger } }
    }

    /// The life of an image without a trigger that is already judged. Its verdict is stored and sent for information only.
    pub(in crate::appliance) fn free_running(
        part: Part,
        journal_trigger: JournalTrigger,
        model: Digest,
        judged: Judged,
        effects: &mut Vec<Effect>,
    ) -> Self {
        effects.push(Effect::Accept { trigger: journal_trigger, events: Vec::new() });
        let verdict = UnstoredVerdict { judged, pending: None, is_owed: false };
        let stage = LifeStage::WaitingForAcceptance(Decided::Concluded(verdict));
        Self { subject: Subject { part, journal_trigger, model }, stage }
    }

    /// The part.
    pub(in crate::appliance) fn part(&self) -> &Part {
        &self.subject.part
    }

    /// The trigger as stored in the journal.
    #[cfg(test)]
    pub(in crate::appliance) fn journal_trigger(&self) -> &JournalTrigger {
        &self.subject.journal_trigger
    }

    /// Whether the part is neither judged nor concluded yet.
    pub(in crate::appliance) fn is_being_judged(&self) -> bool {
        matches!(self.stage, LifeStage::WaitingForBoth { .. } | LifeStage::WaitingForJudgement { .. })
    }

    /// Whether the verdict has not been passed to the journal yet.
    pub(in crate::appliance) fn is_before_commit(&self) -> bool {
        let is_waiting =
            matches!(self.stage, LifeStage::WaitingForAcceptance(_) | LifeStage::WaitingForConclusion { .. });
        is_waiting || self.is_being_judged()
    }

    /// Returns the next stage after `input`, or `None` if the life is over. Adds the actions to carry out to `effects`.
    ///
    /// An input that does not fit the stage changes nothing. The image of a result that comes too late is set aside.
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
            (LifeStage::WaitingForBoth { trigger }, input) => step.waiting_for_both(trigger, input),
            (LifeStage::WaitingForAcceptance(decided), input) => step.waiting_for_acceptance(decided, input),
            (LifeStage::WaitingForJudgement { trigger, id }, Input::Judged(judged)) => step.judged(trigger, id, judged),
            (LifeStage::WaitingForJudgement { id, .. }, Input::Concluded(pending)) => {
                step.commit(id, UnstoredVerdict::timeout(pending))
            }
            (LifeStage::WaitingForConclusion { id, judged }, Input::Concluded(pending)) => {
                step.commit(id, UnstoredVerdict { judged, pending: Some(pending), is_owed: false })
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

impl UnstoredVerdict {
    /// The verdict on a part that the session concluded before it was judged.
    fn timeout(pending: Pending) -> Self {
        let judged = Judged::reject(ReasonCode::TIMEOUT, "no result in time");
        Self { judged, pending: Some(pending), is_owed: false }
    }
}

/// The context of one step of a life.
struct Transition<'a, 'm> {
    subject: &'a Subject,
    moment: &'a Moment<'m>,
    session: &'a mut DeviceSession,
    effects: &'a mut Vec<Effect>,
}

impl Transition<'_, '_> {
    fn waiting_for_both(&mut self, trigger: Trigger, input: Input) -> Option<LifeStage> {
        Some(match input {
            Input::Accepted(Some(id)) => {
                self.session.accept(&trigger);
                LifeStage::WaitingForJudgement { trigger, id }
            }
            Input::Accepted(None) => return self.refuse(trigger),
            Input::Judged(judged) => LifeStage::WaitingForAcceptance(Decided::Judged { trigger, judged }),
            Input::Concluded(pending) => {
                LifeStage::WaitingForAcceptance(Decided::Concluded(UnstoredVerdict::timeout(pending)))
            }
            _ => LifeStage::WaitingForBoth { trigger },
        })
    }

    fn waiting_for_acceptance(&mut self, decided: Decided, input: Input) -> Option<LifeStage> {
        match (decided, input) {
            (Decided::Judged { trigger, judged }, Input::Accepted(Some(id))) => {
                self.session.accept(&trigger);
                self.judged(trigger, id, judged)
            }
            (Decided::Judged { trigger, judged }, Input::Accepted(None)) => {
                self.set_aside(judged);
                self.refuse(trigger)
            }
            (Decided::Judged { judged, .. }, Input::Concluded(pending)) => {
                let verdict = UnstoredVerdict { judged, pending: Some(pending), is_owed: false };
                Some(LifeStage::WaitingForAcceptance(Decided::Concluded(verdict)))
            }
            (Decided::Concluded(verdict), Input::Accepted(Some(id))) => self.commit(id, verdict),
            (Decided::Concluded(verdict), Input::Accepted(None)) => Some(self.store_failed(None, verdict)),
            (decided, _) => Some(LifeStage::WaitingForAcceptance(decided)),
        }
    }

    /// Refuses a trigger whose acceptance can't be stored: the PLC gets a NAK and no RECORD.
    fn refuse(&mut self, trigger: Trigger) -> Option<LifeStage> {
        self.session.refuse(trigger, ReasonCode::STORE_FAILED);
        None
    }

    fn judged(&mut self, trigger: Trigger, id: NonZeroU64, judged: Judged) -> Option<LifeStage> {
        let outcome = judged.outcome(self.subject.model);
        match self.session.conclude(self.moment.now_ms, trigger, outcome) {
            Ok(pending) => self.commit(id, UnstoredVerdict { judged, pending: Some(pending), is_owed: false }),
            Err(_) => Some(LifeStage::WaitingForConclusion { id, judged }),
        }
    }

    fn commit(&mut self, id: NonZeroU64, verdict: UnstoredVerdict) -> Option<LifeStage> {
        let Subject { part, model, .. } = *self.subject;
        let outcome = match &verdict.pending {
            Some(pending) => pending.entry().outcome,
            None => verdict.judged.outcome(model),
        };
        let age = self.moment.now.saturating_duration_since(part.triggered);
        let mut entry = verdict.judged.entry(&outcome, id, model, age);
        entry.features = entry.features.filter(|_| part.is_reference);
        self.effects.push(Effect::Commit(Box::new(entry)));
        Some(LifeStage::Committing { id, verdict })
    }

    fn stored(&mut self, id: NonZeroU64, mut verdict: UnstoredVerdict, stored: StoreOutcome) -> Option<LifeStage> {
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

    fn archive(&mut self, seq: NonZeroU64, verdict: &mut UnstoredVerdict, code: Option<WireVerdict>) {
        let Some(image) = verdict.judged.file.take() else { return };
        let code = code.unwrap_or_else(|| verdict.judged.outcome(self.subject.model).verdict);
        let name = match self.subject.journal_trigger.kind {
            TriggerKind::Plc => format!("{seq:010}-{}-{code}", self.subject.journal_trigger.part),
            TriggerKind::FreeRunning => format!("{seq:010}-free-{code}"),
        };
        self.effects.push(Effect::Archive { image, name, map: verdict.judged.map.take() });
    }

    fn store_failed(&mut self, id: Option<NonZeroU64>, mut verdict: UnstoredVerdict) -> LifeStage {
        verdict.pending = verdict.pending.map(|pending| self.session.store_failed(pending));
        if !std::mem::replace(&mut verdict.is_owed, true) {
            self.effects.push(Effect::Owed { image: verdict.judged.file.clone() });
        }
        LifeStage::Owed { id, verdict, retry_at: self.moment.now + RETRY_AFTER }
    }

    fn owed(&mut self, id: Option<NonZeroU64>, verdict: UnstoredVerdict, retry_at: Instant) -> Option<LifeStage> {
        if !self.moment.is_journal_ready || self.moment.now < retry_at {
            return Some(LifeStage::Owed { id, verdict, retry_at });
        }
        match id {
            Some(id) => self.commit(id, verdict),
            None => {
                let trigger = self.subject.journal_trigger;
                self.effects.push(Effect::Accept { trigger, events: Vec::new() });
                Some(LifeStage::WaitingForAcceptance(Decided::Concluded(verdict)))
            }
        }
    }

    /// Sends the stored verdict. Without health, the verdict waits until `until`, which is in the future only for a PASS.
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
            // The session never reported whether the verdict was acknowledged, because its queue of events was full.
            Input::Tick if self.moment.now > self.subject.part.deadline + MAX_NOTICE_DELAY => None,
            _ => Some(LifeStage::Sent { seq, at }),
        }
    }

    fn set_aside(&mut self, judged: Judged) {
        self.effects.extend(judged.file.map(Effect::SetAside));
    }
}
