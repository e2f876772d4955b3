//! Carries out the effects of a part's life: requests to the journal and the archiver, log lines and metrics.

use super::memory::Kind;
use super::{Line, log};
use crate::acquire::Unjudged;
use crate::appliance::messages::ToLine;
use crate::appliance::part::Part;
use crate::appliance::part::effect::Effect;
use crate::journal::{self, EventEntry, JournalError, JournalTrigger, VerdictEntry};

impl Line {
    /// Carries out the effects of the life of `part`.
    pub(super) fn perform(&mut self, kind: Kind, part: &Part, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Accept { trigger, events } => self.accept(part.number, trigger, events),
                Effect::Commit(entry) => self.commit(part.number, *entry),
                Effect::Archive { image, name, map } => self.archiver.archive(image, name, map),
                Effect::SetAside(image) => self.archiver.set_aside(vec![image], Unjudged::TooLate),
                Effect::Sent => self.shared.metrics.parts.sent(part.triggered.elapsed()),
                Effect::SentAsRecord { seq, origin } => {
                    let why = log::why_record(origin);
                    tracing::warn!(event = "verdict_sent_as_record", %seq, why, "the verdict is sent as information only");
                    self.backlog.postpone(self.shared.clock.now_ms());
                }
                Effect::Acknowledged(after) => {
                    self.shared.metrics.parts.acknowledged(part.triggered.elapsed(), after);
                }
                Effect::NotAcknowledged(seq) => {
                    self.backlog.postpone(self.shared.clock.now_ms());
                    tracing::warn!(event = "verdict_not_acknowledged", %seq, "the PLC did not acknowledge the verdict in time");
                }
                Effect::Owed { image } => {
                    let image = image.map(|image| image.path.display().to_string()).unwrap_or_default();
                    let part = (kind == Kind::Triggered).then_some(part.part_id);
                    tracing::error!(
                        event = "verdict_owed",
                        part,
                        image,
                        "the verdict is kept and will be stored as soon as the journal is ready again"
                    );
                }
            }
        }
    }

    fn accept(&mut self, number: u64, trigger: JournalTrigger, events: Vec<EventEntry>) {
        let answers = self.answers.clone();
        let queued = self.journal.accept_then(trigger, events, move |accepted| {
            answers.send(ToLine::Accepted { number, accepted });
        });
        if let Err(error) = queued {
            self.on_message(ToLine::Accepted { number, accepted: Err(error) });
        }
    }

    fn commit(&mut self, number: u64, entry: VerdictEntry) {
        let answers = self.answers.clone();
        let queued = self.journal.commit_then(entry, move |committed: Result<_, JournalError>| {
            answers.send(ToLine::Committed { number, committed: committed.map(Box::new) });
        });
        if let Err(error) = queued {
            self.on_message(ToLine::Committed { number, committed: Err(error) });
        }
    }

    /// Counts a stored verdict in the metrics.
    pub(super) fn count(&self, kind: Kind, committed: &journal::CommitReceipt) {
        let Some(life) = self.memory.life(kind) else { return };
        let (row, age) = (committed.record(), life.part().triggered.elapsed());
        let metrics = &self.shared.metrics;
        metrics.parts.committed(row.trigger.kind, &row.entry, committed.duration(), age);
        metrics.store.committed();
    }
}
