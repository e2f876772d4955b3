//! Holds the result of judging a part, and converts it for the wire and for the journal.

use crate::acquire::ImageFile;
use crate::journal::{self, RowFeatures, RowRegions, RowRule, StageTimes};
use crate::pipeline::{Judgement, Times};
use crate::verdict_mapping::{policy_verdict, recorded_reason, wire_reason, wire_verdict};
use cellgate_models::conversion::ConversionSpec;
use cellgate_models::digest::Digest;
use cellgate_models::engine::LogitMap;
use cellgate_models::evidence::Evidence;
use cellgate_models::policy::{Decision, Rule, Verdict};
use cellgate_protocol::digest::DigestStart;
use cellgate_protocol::part::{self, Outcome};
use cellgate_protocol::reason::ReasonCode;
use cellgate_protocol::score::ScoreE4;
use cellgate_protocol::to_plc::{Flags, Origin, Record};
use std::num::NonZeroU64;
use std::path::Path;
use std::time::Duration;

/// The result of judging a part.
#[derive(Debug, Clone)]
pub(in crate::appliance) struct Judged {
    verdict: Verdict,
    reason: ReasonCode,
    score: Option<f32>,
    image: Option<Digest>,
    /// The image's file, if there was one.
    pub(in crate::appliance) file: Option<ImageFile>,
    /// The map of the image, if the network judged it.
    pub(in crate::appliance) map: Option<LogitMap>,
    /// The conversion's bounds, if the model fixes them and the image was converted.
    bounds: Option<journal::RowBounds>,
    times: StageTimes,
    detail: String,
    /// The network's outputs and how they were judged, if the network ran.
    numbers: Option<Box<Numbers>>,
}

/// The numbers behind a verdict.
#[derive(Debug, Clone)]
struct Numbers {
    raw_logit: f32,
    rule: RowRule,
    distance: Option<f64>,
    /// `None` if the map of the logit is not finite.
    regions: Option<RowRegions>,
    features: RowFeatures,
}

/// The regions of evidence of an image that was judged by `rule`. `None` if the network did not run, or if its map is not finite.
pub(in crate::appliance) fn regions(
    judgement: &Judgement,
    rule: &Rule,
    conversion: &ConversionSpec,
) -> Option<RowRegions> {
    let evidence = Evidence::new(&judgement.output.as_ref()?.map, rule.reject_from())?;
    Some(RowRegions::new(&evidence.regions(conversion.size?, judgement.size?)))
}

impl Judged {
    /// The result for the image in `file`, which was converted according to `conversion` and judged by `rule`. `regions` are its
    /// regions of evidence.
    pub(in crate::appliance) fn of(
        judgement: Judgement,
        file: ImageFile,
        conversion: &ConversionSpec,
        rule: &Rule,
        regions: Option<RowRegions>,
    ) -> Self {
        let bounds = conversion.bounds.filter(|_| judgement.output.is_some());
        let Decision { verdict, reason } = judgement.decision;
        let numbers = judgement.output.as_ref().map(|output| {
            Box::new(Numbers {
                raw_logit: output.logit,
                rule: rule.into(),
                distance: judgement.distance,
                regions,
                features: (&output.features).into(),
            })
        });
        Self {
            verdict,
            reason: wire_reason(reason),
            score: judgement.score,
            image: judgement.image,
            file: Some(file),
            map: judgement.output.map(|output| output.map),
            bounds: bounds.map(|bounds| journal::RowBounds { low: bounds.lo(), high: bounds.hi() }),
            times: stage_times(&judgement.times),
            detail: judgement.detail.unwrap_or_default(),
            numbers,
        }
    }

    /// The REJECT of a part that could not be judged.
    pub(in crate::appliance) fn reject(reason: ReasonCode, detail: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Reject,
            reason,
            score: None,
            image: None,
            file: None,
            map: None,
            bounds: None,
            times: StageTimes::default(),
            detail: detail.into(),
            numbers: None,
        }
    }

    /// The same result with the image's file.
    pub(in crate::appliance) fn with_file(self, file: ImageFile) -> Self {
        Self { file: Some(file), ..self }
    }

    /// Whether the file was not the one that had arrived for the part.
    pub(in crate::appliance) fn is_mismatch(&self) -> bool {
        self.reason == ReasonCode::IMAGE_MISMATCH
    }

    /// The result on the wire. `model` is the digest of the model that judged.
    pub(in crate::appliance) fn outcome(&self, model: Digest) -> Outcome {
        Outcome {
            verdict: wire_verdict(self.verdict),
            reason: self.reason,
            score: score(self.score),
            model: digest_start(Some(model)),
            image: digest_start(self.image),
            flags: Flags(0),
        }
    }

    /// The result for the journal. `concluded` is the session's outcome. Its verdict, reason and flags take precedence over this
    /// result: a part whose time is over is a TIMEOUT, whatever its image showed. The entry has the features of the part; the journal
    /// keeps them only for a part that can become a reference part.
    pub(in crate::appliance) fn entry(
        &self,
        concluded: &Outcome,
        trigger: NonZeroU64,
        model: Digest,
        age: Duration,
    ) -> journal::VerdictEntry {
        let found = format!("{}/{}", self.verdict, self.reason);
        let is_overruled = concluded.reason != self.reason;
        journal::VerdictEntry {
            trigger,
            verdict: policy_verdict(concluded.verdict),
            reason: concluded.reason.to_string(),
            score: self.score,
            model: Some(model),
            image: self.image,
            image_name: self.file.as_ref().map(|file| name(&file.path)).unwrap_or_default(),
            bounds: self.bounds,
            age_ms: u32::try_from(age.as_millis()).unwrap_or(u32::MAX),
            times: self.times,
            simulated: concluded.flags.has(Flags::SIMULATED),
            degraded: concluded.flags.has(Flags::DEGRADED),
            detail: if is_overruled { format!("found {found}. {}", self.detail) } else { self.detail.clone() },
            raw_logit: self.numbers.as_ref().map(|numbers| numbers.raw_logit),
            rule: self.numbers.as_ref().map(|numbers| numbers.rule),
            distance: self.numbers.as_ref().and_then(|numbers| numbers.distance),
            regions: self.numbers.as_ref().and_then(|numbers| numbers.regions.clone()),
            features: self.numbers.as_ref().map(|numbers| numbers.features.clone()),
        }
    }
}

/// A row of the journal as a RECORD for the PLC, for information only.
pub(in crate::appliance) fn record(row: &journal::VerdictRow, origin: Origin) -> Record {
    let entry = &row.entry;
    let mut flags = Flags(0);
    for (flag, is_set) in [(Flags::SIMULATED, entry.simulated), (Flags::DEGRADED, entry.degraded)] {
        flags = if is_set { flags.with(flag) } else { flags };
    }
    let outcome = Outcome {
        verdict: wire_verdict(entry.verdict),
        reason: recorded_reason(&entry.reason),
        score: score(entry.score),
        model: digest_start(entry.model),
        image: digest_start(entry.image),
        flags,
    };
    let part = part::PartEntry {
        part_id: row.trigger.part,
        nonce: row.trigger.nonce,
        boot_epoch: row.boot_epoch.get(),
        outcome,
    };
    part.record(row.seq, origin)
}

fn score(score: Option<f32>) -> ScoreE4 {
    score.map_or(ScoreE4::NONE, ScoreE4::from_probability)
}

fn digest_start(digest: Option<Digest>) -> DigestStart {
    digest.map_or(DigestStart::NONE, |digest| DigestStart::of(digest.as_bytes()))
}

fn stage_times(times: &Times) -> StageTimes {
    let us = |time: Duration| u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
    StageTimes {
        read_us: us(times.read),
        convert_us: us(times.upload + times.convert),
        infer_us: us(times.infer),
        decide_us: us(times.decide),
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cellgate_models::conversion::{Bounds, Method, Size};
    use cellgate_models::engine::{Output, WhitenedFeatures};
    use cellgate_models::evidence::{Pixel, Region};
    use cellgate_models::policy::{Calibration, OperatingPoint, Policy, Reason};

    fn output(logit: f32) -> Output {
        let map = LogitMap::new(Size { height: 1, width: 1 }, vec![logit]).unwrap();
        Output { logit, map, features: WhitenedFeatures::ORIGIN }
    }

    fn rule() -> Rule {
        Policy::without_reference(OperatingPoint::new([-1.0, 0.5], Calibration::IDENTITY).unwrap()).rule()
    }

    fn entry(judged: &Judged) -> journal::VerdictEntry {
        let outcome = judged.outcome(Digest::of(b"model"));
        judged.entry(&outcome, NonZeroU64::MIN, Digest::of(b"model"), Duration::ZERO)
    }

    #[test]
    fn a_row_has_the_bounds_of_its_images_conversion() {
        let global = ConversionSpec::new(Method::Global).with_bounds(Bounds::new(1_700, 2_800).unwrap());
        let bounds = |conversion: &ConversionSpec, score: Option<f32>| {
            let reason = if score.is_some() { Reason::ScoreBelowReview } else { Reason::ImageMalformed };
            let judgement = Judgement {
                decision: reason.into(),
                score,
                output: score.map(output),
                distance: None,
                size: None,
                measures: None,
                image: None,
                detail: None,
                detail_without_path: None,
                times: Times::default(),
            };
            entry(&Judged::of(judgement, ImageFile::at("7.tif".into()), conversion, &rule(), None)).bounds
        };
        assert_eq!(bounds(&global, Some(0.1)), Some(journal::RowBounds { low: 1_700, high: 2_800 }));
        assert_eq!(bounds(&global, None), None);
        assert_eq!(bounds(&ConversionSpec::new(Method::Naive), Some(0.1)), None);
    }

    #[test]
    fn a_row_has_the_numbers_behind_its_verdict() {
        let input = Size { height: 16, width: 32 };
        let conversion = ConversionSpec { size: Some(input), ..ConversionSpec::new(Method::Naive) };
        let judged = |shares: [f32; 2], logit: f32| {
            let map = LogitMap::new(Size { height: 1, width: 2 }, shares.to_vec()).unwrap();
            let features = WhitenedFeatures::ORIGIN;
            let judgement = Judgement {
                decision: rule().decide(logit, &features),
                score: rule().score(logit),
                output: Some(Output { logit, map, features }),
                distance: Some(2.5),
                size: Some(Size { height: 32, width: 64 }),
                measures: None,
                image: None,
                detail: None,
                detail_without_path: None,
                times: Times::default(),
            };
            let regions = regions(&judgement, &rule(), &conversion);
            entry(&Judged::of(judgement, ImageFile::at("7.tif".into()), &conversion, &rule(), regions))
        };
        let row = judged([0.0, 2.0], 2.0);
        let region = Region { x: 17, y: 0, width: 47, height: 32, share: 1.0, peak: Pixel { x: 33, y: 1 } };
        assert_eq!(row.regions.unwrap().regions().unwrap(), [region]);
        assert_eq!((row.raw_logit, row.rule, row.distance), (Some(2.0), Some((&rule()).into()), Some(2.5)));
        assert_eq!(row.features, Some((&WhitenedFeatures::ORIGIN).into()));
        assert_eq!(judged([-9.0, -9.0], -18.0).regions, Some(RowRegions::new(&[])));
        let invalid = judged([f32::NAN, 0.0], f32::NAN);
        assert!(invalid.regions.is_none() && invalid.raw_logit.unwrap().is_nan() && invalid.rule.is_some());
        let rejected = entry(&Judged::reject(ReasonCode::NO_IMAGE, ""));
        assert_eq!((rejected.raw_logit, rejected.rule, rejected.distance, rejected.regions), (None, None, None, None));
    }
}
