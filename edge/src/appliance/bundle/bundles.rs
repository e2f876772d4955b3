//! Decides which bundle a part belongs to, and what confirmations and requests change.

use super::BundleSettings;
use super::decide::{Decision, PLC};
use super::running::Running;
use crate::acquire::ReferenceImages;
use crate::control::{BundleAnswer, BundleRequest, BundleStatus, BundleStep, MAX_ANSWER_TIME, Who};
use crate::journal::figures::{self, Starter};
use crate::journal::{EventEntry, EventKind, EventRow, JournalError, RecordedBundle, VerdictRow};
use cellgate_models::policy::{NoPass, Rule};
use cellgate_protocol::bundle::{BundleState, Confirm, ConfirmResult};
use std::collections::VecDeque;

/// The most requests of people that wait for their turn. The session passes on one confirmation at a time.
const MAX_WAITING: usize = 16;

/// The bundle of a part, and the rule that it is judged by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::appliance) struct PartRule {
    /// The number of the bundle; 0: none.
    pub(in crate::appliance) bundle: u32,
    /// The rule.
    pub(in crate::appliance) rule: Rule,
    /// Whether the part can become a reference part.
    pub(in crate::appliance) is_reference: bool,
}

/// What a trigger leads to.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::appliance) struct Entry {
    /// The bundle of the part, and the rule that it is judged by.
    pub(in crate::appliance) part: PartRule,
    /// The events to record in the transaction of the part's acceptance. If there are any, the answer is [`Bundles::entered`].
    pub(in crate::appliance) events: Vec<EventEntry>,
}

/// The acceptance of a part whose trigger started or ended a bundle was not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::appliance) struct StartFailed;

/// An action that `Line` carries out for the bundle.
#[derive(Debug, PartialEq)]
pub(in crate::appliance) enum BundleEffect {
    /// Record these events in one transaction. The answer is [`Bundles::recorded`].
    Record(Vec<EventEntry>),
    /// Read the running bundle from the journal. The answer is [`Bundles::was_read`].
    Read,
    /// Answer a confirmation of the PLC.
    AnswerPlc(Confirm, ConfirmResult),
    /// Answer the request of a person with this number.
    AnswerPerson(u64, BundleAnswer),
}

/// A confirmation or a request that waits for its turn.
#[derive(Debug, Clone)]
enum Asked {
    Plc(Confirm),
    /// Nobody waits for the answer any more at `until_ms`.
    Person {
        number: u64,
        request: BundleRequest,
        who: Who,
        until_ms: u64,
    },
}

impl Asked {
    /// Whether this may end the running bundle.
    fn may_end_bundle(&self) -> bool {
        matches!(self, Self::Person { request: BundleRequest::Start { .. } | BundleRequest::End, .. })
    }
}

/// The appliance's state, as far as it decides what is due.
#[derive(Debug, Clone, Copy)]
pub(in crate::appliance) struct BundleView {
    /// The time in ms since the start of the appliance.
    pub(in crate::appliance) now_ms: u64,
    pub(in crate::appliance) is_journal_ready: bool,
    /// Whether a triggered part is in progress whose verdict was not passed to the journal yet.
    pub(in crate::appliance) is_part_in_progress: bool,
}

/// The running bundle, what is being stored about it, and who waits for an answer.
#[derive(Debug, Clone)]
pub(in crate::appliance) struct Bundles {
    settings: BundleSettings,
    /// The running bundle as it is stored.
    running: Option<Running>,
    /// The events of the request at the front of `waiting`, while they are being stored.
    recording: Vec<EventEntry>,
    /// Whether the events of a trigger are being stored with its acceptance.
    is_entering: bool,
    waiting: VecDeque<Asked>,
    /// Whether the journal may have other events or rows than `running` follows from, because it failed.
    is_doubted: bool,
    is_reading: bool,
}

impl Bundles {
    /// The bundle that was running when the appliance stopped, or none.
    pub(in crate::appliance) fn new(settings: BundleSettings, recorded: Option<&RecordedBundle>) -> Self {
        let running = recorded.and_then(|recorded| Running::restore(recorded, &settings));
        Self {
            settings,
            running,
            recording: Vec::new(),
            is_entering: false,
            waiting: VecDeque::new(),
            is_doubted: false,
            is_reading: false,
        }
    }

    /// Whether triggers may be accepted. Not while the journal may know another bundle than this value does.
    pub(in crate::appliance) fn is_ready(&self) -> bool {
        !self.is_doubted
    }

    /// The journal failed: the bundle must be read from it again.
    pub(in crate::appliance) fn doubt(&mut self) {
        self.is_doubted = true;
    }

    /// The running bundle as the PLC is shown it.
    pub(in crate::appliance) fn state(&self) -> BundleState {
        self.running.as_ref().map_or(BundleState::NONE, Running::state)
    }

    /// The running bundle as people are shown it.
    pub(in crate::appliance) fn status(&self) -> BundleStatus {
        self.running.as_ref().map_or_else(none, |running| running.status(&self.settings))
    }

    /// The images that the archive keeps for the running bundle, including those of parts whose confirmation is being stored. `None`
    /// while the journal may have other confirmations than this value: the archive goes on keeping what it kept.
    pub(in crate::appliance) fn reference_images(&self) -> Option<ReferenceImages> {
        if self.is_doubted {
            return None;
        }
        let mut images = self.running.as_ref().map(Running::reference_images).unwrap_or_default();
        images.confirmed.extend(self.recording.iter().filter_map(figures::confirmed_row));
        Some(images)
    }

    /// A trigger came that names this bundle, or 0.
    ///
    /// | trigger | the part belongs to |
    /// |---|---|
    /// | names the running bundle | that bundle; if it has had too many parts or is too old, it starts anew |
    /// | names another bundle | that bundle, which starts. The running one ends |
    /// | names none, and a person started the running bundle | the running bundle, as above |
    /// | names none otherwise | no bundle. The running one ends |
    pub(in crate::appliance) fn enter(&mut self, named: u32, now_unix_ms: i64) -> Entry {
        let Known { number: running, starter, over } = self.known(now_unix_ms);
        let number = if named == 0 && starter == Some(Starter::Person) { running } else { named };
        if number == running && over.is_none() {
            return Entry { part: self.part_rule(number), events: Vec::new() };
        }
        let why = over.filter(|_| number == running).map_or_else(
            || match named {
                0 => "a trigger named no bundle".to_owned(),
                named => format!("a trigger named the bundle {named}"),
            },
            str::to_owned,
        );
        let mut events = Vec::new();
        if running != 0 {
            events.push(self.decision().ended(running, (PLC.to_owned(), why.clone())));
        }
        if number != 0 {
            // A bundle that starts anew needs as many reference parts as before.
            let again = self.running.as_ref().filter(|before| before.number == number);
            let needed = again.map_or(self.settings.reference_parts, |before| before.needed);
            let by = starter.filter(|_| number == running).unwrap_or(Starter::Plc);
            events.push(self.decision().started(number, by, needed, (PLC.to_owned(), why)));
        }
        self.is_entering = true;
        Entry { part: self.fresh_rule(number), events }
    }

    /// The journal's answer to the events of a trigger.
    pub(in crate::appliance) fn entered(&mut self, events: Result<&[EventRow], StartFailed>) {
        self.is_entering = false;
        match events {
            Ok(events) => self.apply(events),
            Err(StartFailed) => self.doubt(),
        }
    }

    /// A verdict is stored.
    pub(in crate::appliance) fn judged(&mut self, row: &VerdictRow) {
        let model = self.settings.model;
        if let Some(running) = self.running.as_mut().filter(|running| running.number == row.trigger.bundle) {
            running.judged(row, model);
        }
    }

    /// The PLC confirms a reference part.
    pub(in crate::appliance) fn confirm(&mut self, confirm: Confirm) {
        self.waiting.push_back(Asked::Plc(confirm));
    }

    /// A person asks at `now_ms`. The answer has this number. The status is shown at once, also while the journal does not work.
    pub(in crate::appliance) fn ask(
        &mut self,
        number: u64,
        request: BundleRequest,
        who: Who,
        now_ms: u64,
        effects: &mut Vec<BundleEffect>,
    ) {
        if request == BundleRequest::Status {
            effects.push(self.shown(number));
        } else if self.waiting.len() < MAX_WAITING {
            let until_ms = now_ms + MAX_ANSWER_TIME.as_millis() as u64;
            self.waiting.push_back(Asked::Person { number, request, who, until_ms });
        } else {
            effects.push(refused(number, "too many requests wait; ask again"));
        }
    }

    /// Does what is due: answers confirmations and requests in order, each after what it changes is stored.
    ///
    /// A request that ends the running bundle waits until the part in progress has its verdict. Otherwise that part could pass in a
    /// bundle that has ended, or in the reference phase of the bundle that was started.
    pub(in crate::appliance) fn step(&mut self, view: BundleView, effects: &mut Vec<BundleEffect>) {
        let is_storing = self.is_entering || !self.recording.is_empty();
        if is_storing || self.is_reading {
            return;
        }
        self.drop_late(view.now_ms, effects);
        if self.is_doubted {
            if view.is_journal_ready {
                self.is_reading = true;
                effects.push(BundleEffect::Read);
            }
            return;
        }
        while let Some(asked) = self.waiting.front() {
            if view.is_part_in_progress && asked.may_end_bundle() {
                return;
            }
            let answer = match self.decide(asked) {
                Ok(events) if events.is_empty() => self.done(asked),
                Ok(events) => {
                    self.recording.clone_from(&events);
                    effects.push(BundleEffect::Record(events));
                    return;
                }
                Err(refusal) => refusal,
            };
            self.waiting.pop_front();
            effects.push(answer);
        }
    }

    /// Refuses the requests for whose answers nobody waits any more, so that a change that a person asked for long ago does not
    /// happen by surprise.
    fn drop_late(&mut self, now_ms: u64, effects: &mut Vec<BundleEffect>) {
        self.waiting.retain(|asked| match asked {
            &Asked::Person { number, until_ms, .. } if until_ms <= now_ms => {
                effects.push(refused(number, "the appliance could not carry out the request in time"));
                false
            }
            _ => true,
        });
    }

    /// The journal's answer to [`BundleEffect::Record`]: the stored events, or why they may not be stored. A confirmation of the PLC
    /// then waits until the bundle was read again, and is decided once more.
    pub(in crate::appliance) fn recorded(
        &mut self,
        events: Result<&[EventRow], &JournalError>,
        effects: &mut Vec<BundleEffect>,
    ) {
        self.recording.clear();
        match events {
            Ok(events) => {
                self.apply(events);
                if let Some(asked) = self.waiting.pop_front() {
                    effects.push(self.done(&asked));
                }
            }
            Err(error) => {
                self.doubt();
                if let Some(&Asked::Person { number, .. }) = self.waiting.front() {
                    self.waiting.pop_front();
                    let why = format!("the journal failed: {error}; see `cellgate-edge bundle status`, then ask again");
                    let answer = match error {
                        JournalError::Unknown { .. } => BundleAnswer::Unknown { why },
                        _ => BundleAnswer::Refused { why },
                    };
                    effects.push(BundleEffect::AnswerPerson(number, answer));
                }
            }
        }
    }

    /// The journal's answer to [`BundleEffect::Read`]: the running bundle if there is one, or `Err` if it can't be read.
    pub(in crate::appliance) fn was_read(&mut self, recorded: Result<Option<&RecordedBundle>, ()>) {
        self.is_reading = false;
        if let Ok(recorded) = recorded {
            self.is_doubted = false;
            self.running = recorded.and_then(|recorded| Running::restore(recorded, &self.settings));
        }
    }

    fn apply(&mut self, events: &[EventRow]) {
        for event in events {
            self.running = match self.running.take() {
                _ if event.kind == EventKind::BundleStarted.name() => Some(Running::start(event, &self.settings)),
                running => running.and_then(|running| running.after(event, &self.settings)),
            };
        }
    }

    /// The running bundle at `now_unix_ms`, with the events that are being stored.
    fn known(&self, now_unix_ms: i64) -> Known {
        let stored = self.running.as_ref().map_or(Known::NONE, |running| Known {
            number: running.number,
            starter: Some(running.starter),
            over: running.is_over(&self.settings, now_unix_ms),
        });
        self.recording.iter().fold(stored, |known, event| match event.kind {
            // Only a person's request starts a bundle this way.
            EventKind::BundleStarted => {
                Known { number: event.bundle, starter: Some(self.decision().starter(event.bundle)), over: None }
            }
            EventKind::BundleEnded => Known::NONE,
            EventKind::ReferenceConfirmed | EventKind::Offset => known,
        })
    }

    /// The rule of a part of the bundle that is running or is being started, or of no bundle.
    fn part_rule(&self, number: u32) -> PartRule {
        let is_starting = self.recording.iter().any(|event| event.kind == EventKind::BundleStarted);
        match self.running.as_ref().filter(|running| running.number == number && !is_starting) {
            Some(running) => {
                let (rule, is_reference) = running.rule(&self.settings.policy);
                PartRule { bundle: number, rule, is_reference }
            }
            None => self.fresh_rule(number),
        }
    }

    /// The rule of a part of a bundle that has just started, or of no bundle. While the end of a bundle is being stored, it is not
    /// certain that the bundle has ended, so no part of no bundle passes.
    fn fresh_rule(&self, number: u32) -> PartRule {
        let is_ending = self.recording.iter().any(|event| event.kind == EventKind::BundleEnded);
        let BundleSettings { policy, without, .. } = &self.settings;
        let is_reference = number != 0 && self.settings.has_reference();
        let rule = match number {
            0 if is_ending => without.without_pass(NoPass::ReferenceParts),
            0 => *without,
            _ if is_reference => policy.rule().without_pass(NoPass::ReferenceParts),
            _ => policy.rule(),
        };
        PartRule { bundle: number, rule, is_reference }
    }

    fn decision(&self) -> Decision<'_> {
        Decision { settings: &self.settings, running: self.running.as_ref() }
    }

    /// The events to store for a confirmation or request; none if there is nothing to store.
    ///
    /// # Errors
    /// The answer, if it is refused.
    fn decide(&self, asked: &Asked) -> Result<Vec<EventEntry>, BundleEffect> {
        match asked {
            Asked::Plc(confirm) => {
                self.decision().confirm(confirm).map_err(|result| BundleEffect::AnswerPlc(*confirm, result))
            }
            Asked::Person { number, request, who, .. } => {
                let (decision, who) = (self.decision(), who.to_string());
                let events = match request {
                    BundleRequest::Status => Ok(Vec::new()),
                    BundleRequest::Start { bundle, reference_parts } => decision.start(*bundle, *reference_parts, &who),
                    BundleRequest::Confirm { bundle, parts } => decision.confirm_parts(*bundle, parts, &who),
                    BundleRequest::End => decision.end(&who),
                };
                events.map_err(|why| refused(*number, &why))
            }
        }
    }

    /// The answer to a confirmation or request that is stored, or that has nothing to store.
    fn done(&self, asked: &Asked) -> BundleEffect {
        match asked {
            Asked::Plc(confirm) => BundleEffect::AnswerPlc(*confirm, ConfirmResult::CONFIRMED),
            Asked::Person { number, .. } => self.shown(*number),
        }
    }

    /// The answer to a person: the running bundle.
    fn shown(&self, number: u64) -> BundleEffect {
        BundleEffect::AnswerPerson(number, BundleAnswer::Done(Box::new(self.status())))
    }
}

/// The number of the running bundle, or 0; who started it; and why it must end before its next part.
#[derive(Debug, Clone, Copy)]
struct Known {
    number: u32,
    starter: Option<Starter>,
    over: Option<&'static str>,
}

impl Known {
    const NONE: Self = Self { number: 0, starter: None, over: None };
}

fn refused(number: u64, why: &str) -> BundleEffect {
    BundleEffect::AnswerPerson(number, BundleAnswer::Refused { why: why.to_owned() })
}

/// What people are shown if no bundle is running.
fn none() -> BundleStatus {
    BundleStatus {
        bundle: 0,
        step: BundleStep::None,
        reference_parts: 0,
        trained_for: 0,
        confirmed: Vec::new(),
        candidates: Vec::new(),
        offset: None,
        refused: None,
        parts: 0,
        started_unix_ms: 0,
        started_by: String::new(),
        started_why: String::new(),
        is_of_plc: false,
    }
}
