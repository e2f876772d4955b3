//! Compares the verdicts of an appliance with the labels that people gave to the same parts.
//!
//! A verdict is assigned to the part whose image file has the same digest. File names and part numbers do not matter.

use crate::dataset::{Label, Part};
use crate::results::Confusion;
use crate::stats::{BundleBootstrap, Rate, Scored, auroc};
use cellgate_models::digest::Digest;
use cellgate_models::policy::{Reason, Verdict};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};

/// One verdict: a line of text that `cellgate-edge journal export --format jsonl` or `cellgate-edge inspect` prints. Other JSON
/// fields of the text are ignored.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Judged {
    /// The image file's digest; `None` if no image arrived or it could not be read.
    #[serde(deserialize_with = "present")]
    pub image: Option<Digest>,
    /// The verdict.
    pub verdict: Verdict,
    /// The verdict's reason.
    pub reason: String,
    /// The network's score, 0..=1; `None` if the network did not run.
    #[serde(deserialize_with = "present")]
    pub score: Option<f64>,
    /// The digest of the model that judged; `None` if the journal names no model.
    pub model: Option<Digest>,
    /// The part's number on the line; `None` if the verdict has no number, as in the output of `inspect`.
    pub part: Option<u64>,
}

/// Deserialises a JSON field that may be null but must be present.
fn present<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(from)
}

/// A line of text that is not a verdict.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {source}; expected a line of `journal export --format jsonl` or of `inspect`")]
pub struct VerdictError {
    /// The line's number, counted from 1.
    pub line: usize,
    /// Why the line can't be parsed.
    pub source: serde_json::Error,
}

/// Reads one verdict per line of `text`. Empty lines of text are skipped.
///
/// # Errors
/// [`VerdictError`] for the first line of text that is not a verdict.
pub fn read_verdicts(text: &str) -> Result<Vec<Judged>, VerdictError> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(at, line)| serde_json::from_str(line).map_err(|source| VerdictError { line: at + 1, source })).collect()
}

/// A labelled part and the verdict on it.
#[derive(Debug, Clone, Serialize)]
pub struct AuditedPart {
    /// The image's path in the data set.
    pub image: String,
    /// The part's number on the line; `None` if the verdict has no number.
    pub part: Option<u64>,
    /// The part's bundle.
    pub bundle: String,
    /// The label that people gave the part.
    pub label: Label,
    /// The anomalies that the part shows, where known.
    pub anomalies: Vec<String>,
    /// The appliance's verdict.
    pub verdict: Verdict,
    /// The verdict's reason.
    pub reason: String,
    /// The network's score, 0..=1; `None` if the network did not run.
    pub score: Option<f64>,
}

impl AuditedPart {
    /// Whether the part is abnormal and was passed.
    #[must_use]
    pub fn is_escape(&self) -> bool {
        self.label == Label::Abnormal && self.verdict == Verdict::Pass
    }

    /// Whether the score passes the part, but its distance is above the largest distance, so that it is reviewed.
    #[must_use]
    pub fn is_unlike_training(&self) -> bool {
        self.verdict == Verdict::Review && self.reason == Reason::UnlikeTraining.name()
    }

    /// Whether the part was reviewed because the reference parts of its bundle were being judged, or because it had no bundle.
    #[must_use]
    pub fn is_of_reference_phase(&self) -> bool {
        self.verdict == Verdict::Review && self.reason == Reason::ReferencePart.name()
    }

    /// Whether the part is normal and was rejected.
    #[must_use]
    pub fn is_overkill(&self) -> bool {
        self.label == Label::Normal && self.verdict == Verdict::Reject
    }
}

/// Number of parts of one label, by verdict.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Calls {
    /// Number of parts with the verdict PASS.
    pub pass: u64,
    /// Number of parts with the verdict REVIEW.
    pub review: u64,
    /// Number of parts with the verdict REJECT.
    pub reject: u64,
}

impl Calls {
    fn total(self) -> u64 {
        self.pass + self.review + self.reject
    }
}

/// The verdicts compared with the labels. This is what `audit --json` prints.
#[derive(Debug, Clone, Serialize)]
pub struct Audit {
    /// Parts with a verdict, in the order of the data set.
    pub parts: Vec<AuditedPart>,
    /// Images of reference parts. No rate counts them.
    pub reference: Vec<String>,
    /// Those of the reference parts that are labelled abnormal. Reference parts should be good.
    pub abnormal_reference: Vec<String>,
    /// Number of reference images that are not in the data set.
    pub other_references: usize,
    /// Images of the data set without a verdict, apart from those of reference parts.
    pub not_judged: Vec<String>,
    /// Number of verdicts on images that are not in the data set.
    pub on_others: usize,
    /// Number of verdicts without an image: no image arrived, or it could not be read. They can't be assigned to a part, so no
    /// rate counts them.
    pub without_image: usize,
    /// Number of verdicts that a later verdict on the same image replaced.
    pub superseded: usize,
    /// Number of replaced verdicts that were a PASS on an abnormal part. Without the later verdict, each would be an escape.
    pub superseded_escapes: usize,
    /// Number of different models that gave the verdicts on images of the data set. Replaced verdicts do not count.
    pub models: usize,
    /// Normal parts by verdict.
    pub normal: Calls,
    /// Abnormal parts by verdict.
    pub abnormal: Calls,
    /// Abnormal parts that were passed; `None` if no abnormal part has a verdict.
    pub escapes: Option<Rate>,
    /// Normal parts that were rejected; `None` if no normal part has a verdict.
    pub overkill: Option<Rate>,
    /// Parts with the verdict REVIEW; `None` if no part has a verdict.
    pub reviews: Option<Rate>,
    /// Normal parts that were reviewed only because of their distance: false reviews.
    pub unlike_normal: usize,
    /// Abnormal parts that were reviewed only because of their distance. Without this check, they would be escapes.
    pub unlike_abnormal: usize,
    /// Parts that were reviewed because the reference parts of their bundle were being judged, or because they had no bundle. The model
    /// may have passed them.
    pub of_reference_phase: usize,
    /// Balanced accuracy, 0..=1. PASS counts as normal, REVIEW and REJECT as abnormal. `None` without parts of both labels.
    pub balanced_accuracy: Option<f64>,
    /// The 95 % interval of the balanced accuracy, from a bootstrap over whole bundles. `None` if fewer than two bundles have
    /// verdicts, or if no resample has parts of both labels.
    pub balanced_accuracy95: Option<[f64; 2]>,
    /// Area under the ROC curve of the scores, over the parts that have a score. `None` if these parts are not of both labels.
    pub auroc: Option<f64>,
}

impl Audit {
    /// Compares `verdicts`, oldest first, with the labels of `parts`. The last verdict on an image counts. Parts whose image has
    /// one of the digests `references` are reference parts. They are left out, because a person knew their label before the
    /// appliance judged them.
    #[must_use]
    pub fn new(parts: &[Part], verdicts: &[Judged], references: &HashSet<Digest>) -> Self {
        let mut newest: HashMap<Digest, &Judged> = HashMap::new();
        let labels: HashMap<Digest, Label> = parts.iter().map(|part| (part.digest, part.label)).collect();
        let (mut on_others, mut without_image, mut superseded, mut superseded_escapes) = (0, 0, 0, 0);
        for verdict in verdicts {
            let Some(image) = verdict.image else {
                without_image += 1;
                continue;
            };
            let Some(label) = labels.get(&image) else {
                on_others += 1;
                continue;
            };
            if let Some(before) = newest.insert(image, verdict) {
                superseded += 1;
                superseded_escapes += usize::from(*label == Label::Abnormal && before.verdict == Verdict::Pass);
            }
        }
        let models: HashSet<Digest> = newest.values().filter_map(|verdict| verdict.model).collect();
        let (mut judged, mut not_judged) = (Vec::new(), Vec::new());
        let (mut reference, mut abnormal_reference) = (Vec::new(), Vec::new());
        for part in parts {
            if references.contains(&part.digest) {
                reference.push(part.image.clone());
                if part.label == Label::Abnormal {
                    abnormal_reference.push(part.image.clone());
                }
                continue;
            }
            match newest.get(&part.digest) {
                None => not_judged.push(part.image.clone()),
                Some(verdict) => judged.push(AuditedPart {
                    image: part.image.clone(),
                    part: verdict.part,
                    bundle: part.bundle.clone(),
                    label: part.label,
                    anomalies: part.anomalies.clone(),
                    verdict: verdict.verdict,
                    reason: verdict.reason.clone(),
                    score: verdict.score,
                }),
            }
        }
        let (mut normal, mut abnormal) = (Calls::default(), Calls::default());
        let mut by_bundle: BTreeMap<&str, Confusion> = BTreeMap::new();
        for part in &judged {
            let calls = if part.label == Label::Abnormal { &mut abnormal } else { &mut normal };
            match part.verdict {
                Verdict::Pass => calls.pass += 1,
                Verdict::Review => calls.review += 1,
                Verdict::Reject => calls.reject += 1,
            }
            by_bundle.entry(&part.bundle).or_default().record(part.label, part.verdict != Verdict::Pass);
        }
        let bundles: Vec<Confusion> = by_bundle.into_values().collect();
        let scored: Vec<Scored> =
            judged.iter().filter_map(|part| Some(Scored { score: part.score?, label: part.label })).collect();
        let unlike =
            |label: Label| judged.iter().filter(|part| part.label == label && part.is_unlike_training()).count();
        let of_parts: HashSet<&Digest> = parts.iter().map(|part| &part.digest).collect();
        Self {
            reference,
            abnormal_reference,
            other_references: references.iter().filter(|digest| !of_parts.contains(digest)).count(),
            not_judged,
            on_others,
            without_image,
            superseded,
            superseded_escapes,
            models: models.len(),
            normal,
            abnormal,
            escapes: Rate::new(abnormal.pass, abnormal.total()),
            overkill: Rate::new(normal.reject, normal.total()),
            reviews: Rate::new(normal.review + abnormal.review, judged.len() as u64),
            unlike_normal: unlike(Label::Normal),
            unlike_abnormal: unlike(Label::Abnormal),
            of_reference_phase: judged.iter().filter(|part| part.is_of_reference_phase()).count(),
            balanced_accuracy: bundles.iter().sum::<Confusion>().balanced_accuracy(),
            balanced_accuracy95: BundleBootstrap::default().balanced_accuracy(&bundles).map(|found| found.interval95),
            auroc: auroc(&scored),
            parts: judged,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, bundle: &str, label: Label) -> Part {
        Part {
            image: name.into(),
            path: name.into(),
            digest: Digest::of(name.as_bytes()),
            bundle: bundle.into(),
            label,
            anomalies: Vec::new(),
            experts: Vec::new(),
        }
    }

    /// A line of `journal export`, with some of the columns that are not read.
    fn verdict(image: &str, verdict: &str, score: &str) -> String {
        let (image, model) = (Digest::of(image.as_bytes()), Digest::of(b"model"));
        format!(
            r#"{{"image":"{image}","verdict":"{verdict}","reason":"R","score":{score},"model":"{model}","part":7,"bundle":3,"raw_logit":-1.5,"regions":[]}}"#
        )
    }

    #[test]
    fn verdicts_are_assigned_by_the_digest_of_the_image() {
        let parts = [
            part("a", "1", Label::Normal),
            part("b", "1", Label::Abnormal),
            part("c", "2", Label::Normal),
            part("d", "2", Label::Abnormal),
            part("e", "2", Label::Abnormal),
        ];
        let lines = [
            verdict("a", "PASS", "0.1"),
            verdict("b", "REVIEW", "0.4"),
            verdict("c", "REJECT", "0.8"),
            verdict("d", "REJECT", "0.9"),
            verdict("stranger", "PASS", "0.1"),
            r#"{"image":null,"verdict":"REJECT","reason":"NO_IMAGE","score":null}"#.to_owned(),
            verdict("d", "PASS", "0.05"),
            String::new(),
        ];
        let audit = Audit::new(&parts, &read_verdicts(&lines.join("\n")).unwrap(), &HashSet::new());
        assert_eq!((audit.parts.len(), audit.not_judged.len()), (4, 1));
        assert_eq!((audit.on_others, audit.without_image), (1, 1));
        assert_eq!((audit.superseded, audit.superseded_escapes, audit.models), (1, 0, 1));
        assert_eq!(audit.normal, Calls { pass: 1, review: 0, reject: 1 });
        assert_eq!(audit.abnormal, Calls { pass: 1, review: 1, reject: 0 });
        assert_eq!(audit.escapes.map(|rate| (rate.count, rate.of)), Some((1, 2)));
        assert_eq!(audit.overkill.map(|rate| (rate.count, rate.of)), Some((1, 2)));
        assert_eq!(audit.reviews.map(|rate| (rate.count, rate.of)), Some((1, 4)));
        assert_eq!(audit.balanced_accuracy, Some(0.5));
        assert_eq!(audit.auroc, Some(0.25));
        let marks: Vec<_> = audit.parts.iter().map(|part| (part.is_escape(), part.is_overkill())).collect();
        assert_eq!(marks, [(false, false), (false, false), (false, true), (true, false)]);
    }

    #[test]
    fn reviews_of_parts_unlike_the_training_are_counted_by_label() {
        let parts = ["a", "b", "c", "d"].map(|name| part(name, "1", Label::Abnormal));
        let mut lines = parts[..3].iter().map(|part| verdict(&part.image, "REVIEW", "0.1")).collect::<Vec<_>>();
        lines.push(verdict("d", "REJECT", "0.9"));
        for line in [0, 1, 3] {
            lines[line] = lines[line].replace(r#""reason":"R""#, r#""reason":"UNLIKE_TRAINING""#);
        }
        let audit = |parts: &[Part]| Audit::new(parts, &read_verdicts(&lines.join("\n")).unwrap(), &HashSet::new());
        let found = audit(&parts);
        assert_eq!((found.unlike_normal, found.unlike_abnormal, found.abnormal.review), (0, 2, 3));
        let [mut a, b, c, d] = parts;
        a.label = Label::Normal;
        let found = audit(&[a, b, c, d]);
        assert_eq!((found.unlike_normal, found.unlike_abnormal), (1, 1));
    }

    #[test]
    fn parts_of_the_reference_phase_are_reviews_and_counted() {
        let parts = ["a", "b", "c"].map(|name| part(name, "1", Label::Normal));
        let mut lines = parts.iter().map(|part| verdict(&part.image, "REVIEW", "0.1")).collect::<Vec<_>>();
        lines[2] = lines[2].replace(r#""reason":"R""#, r#""reason":"REFERENCE_PART""#);
        let found = Audit::new(&parts, &read_verdicts(&lines.join("\n")).unwrap(), &HashSet::new());
        assert_eq!((found.of_reference_phase, found.normal.review), (1, 3));
    }

    #[test]
    fn reference_parts_are_in_no_rate() {
        let parts = [part("a", "1", Label::Normal), part("b", "1", Label::Abnormal), part("c", "1", Label::Normal)];
        let lines = [verdict("a", "REJECT", "0.9"), verdict("b", "REJECT", "0.9")];
        let references = HashSet::from(["a", "c"].map(|name| Digest::of(name.as_bytes())));
        let audit = Audit::new(&parts, &read_verdicts(&lines.join("\n")).unwrap(), &references);
        assert_eq!((audit.parts.len(), audit.overkill, audit.reference), (1, None, vec!["a".into(), "c".into()]));
        assert!(audit.not_judged.is_empty() && audit.abnormal_reference.is_empty());
        let references = HashSet::from(["b", "stranger"].map(|name| Digest::of(name.as_bytes())));
        let audit = Audit::new(&parts, &[], &references);
        assert_eq!((audit.abnormal_reference, audit.other_references), (vec!["b".to_owned()], 1));
    }

    #[test]
    fn there_are_no_rates_without_verdicts() {
        let audit = Audit::new(&[part("a", "1", Label::Normal)], &[], &HashSet::new());
        assert_eq!((audit.escapes, audit.balanced_accuracy, audit.auroc), (None, None, None));
        assert_eq!(audit.not_judged, ["a"]);
    }

    #[test]
    fn a_line_that_is_not_a_verdict_is_reported_with_its_number() {
        let error = |text: &str| read_verdicts(text).unwrap_err();
        let without_image = error(r#"{"verdict":"PASS","reason":"R","score":0.1}"#);
        assert!(without_image.line == 1 && without_image.source.to_string().contains("`image`"), "{without_image}");
        let unknown = error("\n{\"image\":null,\"score\":null,\"verdict\":\"MAYBE\",\"reason\":\"\"}");
        assert!(unknown.line == 2 && unknown.source.to_string().contains("MAYBE"), "{unknown}");
    }
}
