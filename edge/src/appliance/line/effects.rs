//! What follows from the life of a part: requests to the journal, images to the archive, log lines and metrics.

use super::memory::Kind;
use super::{Line, log};
use crate::acquire::Unjudged;
use crate::appliance::messages::ToLine;
use crate::appliance::part::Part;
use crate::appliance::part::effect::Effect;
use crate::journal::{self, AcceptedTrigger, JournalError, VerdictEntry};

impl Line {
    /// Does what follows from the life of `part`.
    pub(super) fn perform(&mut self, kind: Kind, part: &Part, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Accept(trigger) => self.accept(part.number, trigger),
                Effect::Commit(entry) => self.commit(part.number, *entry),
                Effect::Archive { image, name } => self.archiver.archive(image, name),
                Effect::SetAside(image) => self.archiver.set_aside(vec![image], Unjudged::TooLate),
                Effect::Sent => {
                    self.shared.metrics.parts.sent(part.triggered.elapsed());
                    self.backlog.give_way(self.shared.clock.now_ms());
                }
                Effect::SentAsRecord { seq, origin } => {
                    tracing::warn!(%seq, why = log::why_record(origin), "the verdict goes out as information only");
                    self.backlog.give_way(self.shared.clock.now_ms());
                }
                Effect::Acknowledged(after) => {
                    self.shared.metrics.parts.acknowledged(part.triggered.elapsed(), after);
                }
                Effect::NotAcknowledged(seq) => tracing::warn!(%seq, "the PLC did not acknowledge in time"),
                Effect::Owed { image } => {
                    let image = image.map(|image| image.path.display().to_string()).unwrap_or_default();
                    let part = (kind == Kind::InHand).then_some(part.part_id);
                    tracing::error!(
                        part,
                        image,
                        event = "verdict_owed",
                        "the verdict is kept and will be stored as soon as the journal is ready again"
                    );
                }
            }
        }
    }

    fn accept(&mut self, number: u64, trigger: AcceptedTrigger) {
        let answers = self.answers.clone();
        let asked = self.journal.accept_then(trigger, move |accepted| {
            answers.send(ToLine::Accepted { number, accepted });
        });
        if let Err(error) = asked {
            self.on_message(ToLine::Accepted { number, accepted: Err(error) });
        }
    }

    fn commit(&mut self, number: u64, entry: VerdictEntry) {
        let answers = self.answers.clone();
        let asked = self.journal.commit_then(entry, move |committed: Result<_, JournalError>| {
            answers.send(ToLine::Committed { number, committed: committed.map(Box::new) });
        });
        if let Err(error) = asked {
            self.on_message(ToLine::Committed { number, committed: Err(error) });
        }
    }

    /// Counts a row.
    pub(super) fn count(&self, kind: Kind, committed: &journal::CommitReceipt) {
        let Some(life) = self.memory.life(kind) else { return };
        let (row, age) = (committed.record(), life.part().triggered.elapsed());
        let metrics = &self.shared.metrics;
        metrics.parts.committed(row.trigger.kind, &row.entry, committed.duration(), age);
        metrics.store.committed();
    }
}
