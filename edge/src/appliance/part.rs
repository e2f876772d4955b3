//! What is found out about a part, in the words of policy, wire and journal.

use crate::journal::{self, StageTimes};
use crate::pipeline::{Judgement, Times};
use cellgate_models::digest::Digest;
use cellgate_models::policy::Verdict;
use cellgate_protocol::code;
use cellgate_protocol::digest::DigestStart;
use cellgate_protocol::part::{self, Outcome};
use cellgate_protocol::reason::ReasonCode;
use cellgate_protocol::score::ScoreE4;
use cellgate_protocol::to_plc::{Flags, Origin, Record};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What the judge found out about a part.
#[derive(Debug, Clone)]
pub(super) struct Judged {
    verdict: Verdict,
    reason: ReasonCode,
    score: Option<f32>,
    image: Option<Digest>,
    /// The image's file, where there was one.
    pub(super) path: Option<PathBuf>,
    times: StageTimes,
    detail: String,
}

impl Judged {
    /// The verdict on the image at `path`.
    pub(super) fn of(judgement: Judgement, path: PathBuf) -> Self {
        // A reason that the wire has no number for can't be told, so it can't be a PASS either.
        let known = ReasonCode::from_name(judgement.decision.reason.name());
        let (verdict, reason) =
            known.map_or((Verdict::Reject, ReasonCode::INTERNAL), |reason| (judgement.decision.verdict, reason));
        Self {
            verdict,
            reason,
            score: judgement.score,
            image: judgement.image,
            path: Some(path),
            times: stage_times(&judgement.times),
            detail: judgement.detail.unwrap_or_default(),
        }
    }

    /// A part that could not be judged.
    pub(super) fn reject(reason: ReasonCode, detail: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Reject,
            reason,
            score: None,
            image: None,
            path: None,
            times: StageTimes::default(),
            detail: detail.into(),
        }
    }

    /// In the words of the wire; `model` judged.
    pub(super) fn outcome(&self, model: Digest) -> Outcome {
        Outcome {
            verdict: match self.verdict {
                Verdict::Pass => code::Verdict::Pass,
                Verdict::Review => code::Verdict::Review,
                Verdict::Reject => code::Verdict::Reject,
            },
            reason: self.reason,
            score: self.score.map_or(ScoreE4::NONE, ScoreE4::from_probability),
            model: DigestStart::of(model.as_bytes()),
            image: self.image.map_or(DigestStart::NONE, |image| DigestStart::of(image.as_bytes())),
            flags: Flags(0),
        }
    }

    /// In the words of the journal. `said` is what the session made of it: a part whose time is over is a TIMEOUT,
    /// whatever the image showed.
    pub(super) fn entry(&self, said: &Outcome, trigger: NonZeroU64, model: Digest, age: Duration) -> journal::Entry {
        let found = format!("{}/{}", self.verdict, reason_name(self.reason));
        let is_overruled = said.reason != self.reason;
        journal::Entry {
            trigger,
            verdict: match said.verdict {
                code::Verdict::Pass => Verdict::Pass,
                code::Verdict::Review => Verdict::Review,
                code::Verdict::Reject => Verdict::Reject,
            },
            reason: reason_name(said.reason),
            score: self.score,
            bundle: Some(model),
            image: self.image,
            image_name: self.path.as_deref().map(name).unwrap_or_default(),
            bounds: None,
            age_ms: u32::try_from(age.as_millis()).unwrap_or(u32::MAX),
            times: self.times,
            simulated: said.flags.has(Flags::SIMULATED),
            degraded: said.flags.has(Flags::DEGRADED),
            detail: if is_overruled { format!("found {found}. {}", self.detail) } else { self.detail.clone() },
        }
    }
}

/// A row of the journal as information for the PLC.
pub(super) fn record(row: &journal::Record, origin: Origin) -> Record {
    let entry = &row.entry;
    let mut flags = Flags(0);
    for (flag, is_set) in [(Flags::SIMULATED, entry.simulated), (Flags::DEGRADED, entry.degraded)] {
        flags = if is_set { flags.with(flag) } else { flags };
    }
    let outcome = Outcome {
        verdict: match entry.verdict {
            Verdict::Pass => code::Verdict::Pass,
            Verdict::Review => code::Verdict::Review,
            Verdict::Reject => code::Verdict::Reject,
        },
        reason: ReasonCode::from_name(&entry.reason).unwrap_or(ReasonCode::INTERNAL),
        score: entry.score.map_or(ScoreE4::NONE, ScoreE4::from_probability),
        model: entry.bundle.map_or(DigestStart::NONE, |model| DigestStart::of(model.as_bytes())),
        image: entry.image.map_or(DigestStart::NONE, |image| DigestStart::of(image.as_bytes())),
        flags,
    };
    let part =
        part::Entry { part_id: row.trigger.part, nonce: row.trigger.nonce, boot_epoch: row.boot_epoch.get(), outcome };
    part.record(row.seq, origin)
}

/// The stable name of a reason, or its number where this version has no name for it.
pub(super) fn reason_name(reason: ReasonCode) -> String {
    reason.name().map_or_else(|| format!("{:#06x}", reason.0), str::to_owned)
}

fn stage_times(times: &Times) -> StageTimes {
    let us = |time: Duration| u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
    StageTimes {
        read_us: us(times.read),
        convert_us: us(times.convert),
        infer_us: us(times.infer),
        decide_us: us(times.decide),
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A part that the PLC triggered, as the threads know it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// The line's own count of triggers: what is told of an earlier one is nobody's any more.
    pub(super) number: u64,
    /// Who it is.
    pub(super) part_id: u64,
    /// When the trigger was received.
    pub(super) triggered: Instant,
    /// Its last moment.
    pub(super) deadline: Instant,
}
