//! Judges the parts of one bundle.

use super::reference::MAX_PARTS;
use super::{Decision, OperatingPoint, Policy, Reason, RefusedReference, Verdict};
use crate::engine::WhitenedFeatures;

/// How the parts of one bundle are judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    operating_point: OperatingPoint,
    offset: f64,
    /// The place that distances are measured from.
    centre: WhitenedFeatures,
    refused: Option<RefusedReference>,
    no_pass: Option<NoPass>,
}

/// Why no part passes by a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPass {
    /// The guard refused the bundle's reference parts: [`Reason::BundleUnlikeTraining`].
    BundleUnlikeTraining,
    /// The bundle's reference parts are being judged, or the part belongs to no bundle and such parts must not pass:
    /// [`Reason::ReferencePart`].
    ReferenceParts,
}

impl NoPass {
    /// The reason of a part that would get PASS or REVIEW.
    fn reason(self) -> Reason {
        match self {
            Self::BundleUnlikeTraining => Reason::BundleUnlikeTraining,
            Self::ReferenceParts => Reason::ReferencePart,
        }
    }
}

/// Reference parts that no rule can be made from.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum ReferenceError {
    /// The model has no thresholds for bundles with reference parts.
    #[error(
        "the model was trained without reference parts; train again with `cellgate-trainer train --reference 5` and export it"
    )]
    NotTrained,
    /// There are no reference parts.
    #[error("found no reference part, expected at least one")]
    NoParts,
    /// There are more reference parts than anyone looks at.
    #[error("found {found} reference parts, expected at most {MAX_PARTS}")]
    TooMany {
        /// The number of reference parts.
        found: usize,
    },
    /// The network's output for a reference part is NaN or infinite.
    #[error("found the network output {found} for a reference part, expected a finite number")]
    NotFinite {
        /// The output.
        found: f32,
    },
}

impl Policy {
    /// The rule for a bundle without reference parts.
    #[must_use]
    pub fn rule(&self) -> Rule {
        let (operating_point, centre) = (self.without(), WhitenedFeatures::ORIGIN);
        Rule { operating_point, offset: 0.0, centre, refused: None, no_pass: None }
    }

    /// The rule that [`Self::rule_with_reference`] gave for reference parts that the guard accepted, from its [`Rule::offset`] and its
    /// [`Rule::centre`]. `None` if the model was trained without reference parts, or a number is not finite.
    #[must_use]
    pub fn rule_with_offset(&self, offset: f64, centre: WhitenedFeatures) -> Option<Rule> {
        let (operating_point, _) = self.with().filter(|_| offset.is_finite() && centre.are_finite())?;
        Some(Rule { operating_point, offset, centre, refused: None, no_pass: None })
    }

    /// The rule for the bundle whose reference parts have the raw logits and whitened features `parts`. Distances are measured from the
    /// median of these features.
    ///
    /// If the guard refuses the reference parts, no part of the bundle passes: parts are judged as without reference parts, but a
    /// part that would get PASS or REVIEW gets REVIEW with [`Reason::BundleUnlikeTraining`].
    ///
    /// # Errors
    /// [`ReferenceError`]: the model was trained without reference parts, `parts` is empty or has more than 1000 items, or a logit or a
    /// feature is not finite.
    pub fn rule_with_reference(&self, parts: &[(f32, WhitenedFeatures)]) -> Result<Rule, ReferenceError> {
        let (operating_point, reference) = self.with().ok_or(ReferenceError::NotTrained)?;
        if parts.len() > MAX_PARTS as usize {
            return Err(ReferenceError::TooMany { found: parts.len() });
        }
        let (logits, features): (Vec<f32>, Vec<WhitenedFeatures>) = parts.iter().copied().unzip();
        let centre = WhitenedFeatures::median(&features).ok_or(ReferenceError::NoParts)?;
        let components = features.iter().flat_map(WhitenedFeatures::components);
        if let Some(&found) = logits.iter().chain(components).find(|output| !output.is_finite()) {
            return Err(ReferenceError::NotFinite { found });
        }
        let logits: Vec<f64> = logits.into_iter().map(f64::from).collect();
        Ok(match reference.refusal(&logits, &centre, self.without().largest_distance()) {
            refused @ Some(_) => Rule { refused, ..self.rule().without_pass(NoPass::BundleUnlikeTraining) },
            None => Rule { operating_point, offset: reference.offset(&logits), centre, refused: None, no_pass: None },
        })
    }
}

impl Rule {
    /// The same rule, by which no part passes because of `why`: a part that would get PASS or REVIEW gets REVIEW with the reason of
    /// `why`, and a REJECT keeps its reason. A rule by which no part passes already keeps its own cause.
    ///
    /// The image comes before all of this: a PASS or REVIEW of an image that is unlike the training images is
    /// [`Reason::ImageUnlikeTraining`], see [`Decision::of_unlike_image`].
    #[must_use]
    pub fn without_pass(self, why: NoPass) -> Self {
        Self { no_pass: self.no_pass.or(Some(why)), ..self }
    }

    /// The operating point that the parts are judged by: without reference parts, or if the guard refused them, the one for bundles
    /// without reference parts.
    #[must_use]
    pub fn operating_point(&self) -> OperatingPoint {
        self.operating_point
    }

    /// The bundle's offset in logits.
    #[must_use]
    pub fn offset(&self) -> f64 {
        self.offset
    }

    /// The place that distances are measured from: the median of the bundle's reference parts; without them the median of the normal
    /// training parts.
    #[must_use]
    pub fn centre(&self) -> &WhitenedFeatures {
        &self.centre
    }

    /// The reject threshold as a raw logit: that of the operating point plus the bundle's offset.
    #[must_use]
    pub fn reject_from(&self) -> f64 {
        self.operating_point.reject_from() + self.offset
    }

    /// Why the guard refused the reference parts; `None` if it accepted them, or if the bundle has no reference parts.
    #[must_use]
    pub fn refused(&self) -> Option<RefusedReference> {
        self.refused
    }

    /// The distance of a part from the median of the bundle's reference parts. Without reference parts, or if the guard refused them, it
    /// is the distance from the median of the normal training parts. Not finite if a component of `features` is NaN or infinite.
    #[must_use]
    pub fn distance(&self, features: &WhitenedFeatures) -> f64 {
        features.distance(&self.centre)
    }

    /// The largest distance of a part that passes. `None` if distances are not checked.
    #[must_use]
    pub fn largest_distance(&self) -> Option<f64> {
        self.operating_point.largest_distance()
    }

    /// The verdict on a part with the raw logit `raw` and the whitened features `features`.
    #[must_use]
    pub fn decide(&self, raw: f32, features: &WhitenedFeatures) -> Decision {
        let reason = self.operating_point.reason(f64::from(raw) - self.offset, self.distance(features));
        match (reason.verdict(), self.no_pass) {
            (Verdict::Pass | Verdict::Review, Some(why)) => why.reason().into(),
            _ => reason.into(),
        }
    }

    /// The score of a part with the raw logit `raw`, 0..=1. `None` if the logit is not finite.
    #[must_use]
    pub fn score(&self, raw: f32) -> Option<f32> {
        self.operating_point.score(raw, self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Calibration, Reference};
    use proptest::prelude::*;

    const ORIGIN: WhitenedFeatures = WhitenedFeatures::ORIGIN;

    /// Features with this first component, and zeros.
    fn features(first: f32) -> WhitenedFeatures {
        let mut components = [0.0; WhitenedFeatures::COUNT];
        components[0] = first;
        WhitenedFeatures::new(components)
    }

    fn point(thresholds: [f64; 2]) -> OperatingPoint {
        OperatingPoint::new(thresholds, Calibration { slope: 2.0, intercept: 0.5 }).unwrap()
    }

    /// The mean of the training bundles is 0, and an offset is about the median of the reference parts.
    fn policy() -> Policy {
        let bundles: Vec<Vec<f64>> =
            (0..12).map(|bundle| vec![f64::from(bundle) - 5.6, f64::from(bundle) - 5.4]).collect();
        let reference = Reference::estimate(&bundles, 5).unwrap();
        Policy::with_reference(point([-1.0, 1.0]), point([3.0, 4.0]), reference)
    }

    #[test]
    fn without_reference_parts_the_raw_logit_is_compared() {
        let rule = policy().rule();
        let found = [-1.5, -0.5, 1.5].map(|raw| rule.decide(raw, &ORIGIN).verdict);
        assert_eq!(found, [Verdict::Pass, Verdict::Review, Verdict::Reject]);
        assert_eq!(rule.score(-0.25), Some(0.5));
        assert_eq!(rule.reject_from(), 1.0);
    }

    #[test]
    fn with_reference_parts_the_offset_is_subtracted_and_the_other_thresholds_apply() {
        let rule = policy().rule_with_reference(&[(-2.0, ORIGIN); 5]).unwrap();
        assert!((rule.offset() + 2.0).abs() < 0.01, "{}", rule.offset());
        let found = [0.5, 1.5, 2.5].map(|raw| rule.decide(raw, &ORIGIN).reason);
        assert_eq!(found, [Reason::ScoreBelowReview, Reason::ScoreFromReview, Reason::ScoreFromReject]);
        assert!((rule.score(-2.25).unwrap() - 0.5).abs() < 0.01);
        assert_eq!(rule.reject_from(), 4.0 + rule.offset());
    }

    #[test]
    fn refused_reference_parts_let_no_part_pass() {
        let rule = policy().rule_with_reference(&[(-50.0, ORIGIN); 5]).unwrap();
        assert!(rule.refused().is_some() && rule.offset() == 0.0);
        assert_eq!(rule.reject_from(), policy().rule().reject_from());
        let found = [-60.0, -0.5, 1.5, f32::NAN].map(|raw| rule.decide(raw, &ORIGIN).reason);
        use Reason::{BundleUnlikeTraining, ScoreFromReject, ScoreInvalid};
        assert_eq!(found, [BundleUnlikeTraining, BundleUnlikeTraining, ScoreFromReject, ScoreInvalid]);
        assert_eq!(BundleUnlikeTraining.verdict(), Verdict::Review);
    }

    #[test]
    fn while_reference_parts_are_judged_no_part_passes_and_a_reject_keeps_its_reason() {
        use Reason::{BundleUnlikeTraining, ReferencePart, ScoreFromReject, ScoreInvalid};
        let reasons = |rule: Rule| [-1.5, -0.5, 1.5, f32::NAN].map(|raw| rule.decide(raw, &ORIGIN).reason);
        let rule = policy().rule().without_pass(NoPass::ReferenceParts);
        assert_eq!(reasons(rule), [ReferencePart, ReferencePart, ScoreFromReject, ScoreInvalid]);
        assert_eq!(ReferencePart.verdict(), Verdict::Review);
        let refused = policy().rule().without_pass(NoPass::BundleUnlikeTraining).without_pass(NoPass::ReferenceParts);
        assert_eq!(reasons(refused), [BundleUnlikeTraining, BundleUnlikeTraining, ScoreFromReject, ScoreInvalid]);
    }

    #[test]
    fn a_rule_is_restored_from_its_offset_and_centre() {
        let rule = checking().rule_with_reference(&[6.0, 2.0, 3.0].map(|first| (-2.0, features(first)))).unwrap();
        assert_eq!(checking().rule_with_offset(rule.offset(), *rule.centre()), Some(rule));
        assert_eq!(checking().rule_with_offset(f64::NAN, ORIGIN), None);
        assert_eq!(checking().rule_with_offset(0.0, features(f32::INFINITY)), None);
        assert_eq!(Policy::without_reference(point([-1.0, 1.0])).rule_with_offset(0.0, ORIGIN), None);
    }

    #[test]
    fn unusable_reference_parts_are_an_error() {
        let without = Policy::without_reference(point([-1.0, 1.0]));
        assert_eq!(without.rule_with_reference(&[(0.0, ORIGIN)]), Err(ReferenceError::NotTrained));
        assert_eq!(policy().rule_with_reference(&[]), Err(ReferenceError::NoParts));
        let many = vec![(0.0, ORIGIN); MAX_PARTS as usize + 1];
        assert_eq!(policy().rule_with_reference(&many), Err(ReferenceError::TooMany { found: MAX_PARTS as usize + 1 }));
        for part in [(f32::INFINITY, ORIGIN), (0.0, features(f32::INFINITY))] {
            let infinite = policy().rule_with_reference(&[(0.0, ORIGIN), part]);
            assert_eq!(infinite, Err(ReferenceError::NotFinite { found: f32::INFINITY }));
        }
    }

    /// A policy that checks distances: at most 3 without reference parts, and at most 2 with them.
    fn checking() -> Policy {
        let (with, reference) = policy().with().unwrap();
        let [without, with] =
            [(policy().without(), 3.0), (with, 2.0)].map(|(point, most)| point.with_largest_distance(most).unwrap());
        Policy::with_reference(without, with, reference)
    }

    #[test]
    fn a_distant_part_is_reviewed_in_place_of_a_pass() {
        use Reason::{ScoreBelowReview, ScoreFromReject, ScoreFromReview, ScoreInvalid, UnlikeTraining};
        let rule = checking().rule();
        assert_eq!((rule.largest_distance(), rule.distance(&features(-4.0))), (Some(3.0), 4.0));
        let found = [-3.0, 3.5, f32::NAN, f32::INFINITY].map(|first| rule.decide(-1.5, &features(first)).reason);
        assert_eq!(found, [ScoreBelowReview, UnlikeTraining, ScoreInvalid, ScoreInvalid]);
        let found = [-0.5, 1.5].map(|raw| rule.decide(raw, &features(3.5)).reason);
        assert_eq!(found, [ScoreFromReview, ScoreFromReject]);
        assert_eq!(policy().rule().decide(-1.5, &features(1e6)).reason, ScoreBelowReview);
        assert_eq!(policy().rule().decide(-1.5, &features(f32::NAN)).reason, ScoreInvalid);
    }

    #[test]
    fn with_reference_parts_the_distance_is_that_from_their_median() {
        let parts = [6.0, 2.0, 3.0].map(|first| (-2.0, features(first)));
        let rule = checking().rule_with_reference(&parts).unwrap();
        assert_eq!((rule.refused(), rule.largest_distance(), rule.distance(&features(1.5))), (None, Some(2.0), 1.5));
        let found = [-3.0, 0.5, 4.5, 5.5].map(|first| rule.decide(-2.0, &features(first)).reason);
        use Reason::{ScoreBelowReview, UnlikeTraining};
        assert_eq!(found, [UnlikeTraining, UnlikeTraining, ScoreBelowReview, UnlikeTraining]);
    }

    #[test]
    fn the_guard_comes_before_the_distance() {
        let refused = checking().rule_with_reference(&[(-50.0, features(9.0)); 5]).unwrap();
        assert_eq!(refused.distance(&features(9.0)), 9.0, "measured as without reference parts");
        assert_eq!(refused.decide(-60.0, &features(9.0)).reason, Reason::BundleUnlikeTraining);
    }

    /// Their logits are ordinary, and their median is 0.5 too far from the normal training parts.
    #[test]
    fn reference_parts_of_another_product_let_no_part_pass() {
        let parts = [3.5, 9.0, 0.0].map(|first| (-2.0, features(first)));
        let rule = checking().rule_with_reference(&parts).unwrap();
        assert_eq!(rule.refused(), Some(RefusedReference::Distance { found: 3.5, limit: 3.0 }));
        assert_eq!((rule.offset(), rule.distance(&features(3.5)), rule.largest_distance()), (0.0, 3.5, Some(3.0)));
        let found =
            [(-2.0, 3.5), (-2.0, 0.0), (1.5, 3.5)].map(|(raw, first)| rule.decide(raw, &features(first)).reason);
        use Reason::{BundleUnlikeTraining, ScoreFromReject};
        assert_eq!(found, [BundleUnlikeTraining, BundleUnlikeTraining, ScoreFromReject]);
    }

    proptest! {
        #[test]
        fn an_output_that_is_not_finite_is_rejected_and_has_no_score(bits: u32, references in 0usize..2) {
            let raw = f32::from_bits(bits);
            let rule = match references {
                0 => policy().rule(),
                _ => policy().rule_with_reference(&[(1.0, ORIGIN); 5]).unwrap(),
            };
            prop_assert_eq!(rule.decide(raw, &ORIGIN).reason == Reason::ScoreInvalid, !raw.is_finite());
            prop_assert_eq!(rule.score(raw).is_some(), raw.is_finite());
            prop_assert!(rule.score(raw).is_none_or(|score| (0.0..=1.0).contains(&score)));
        }
    }
}
