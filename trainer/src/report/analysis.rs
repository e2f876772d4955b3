//! Analyses the results for the report: makes calls from predictions and thresholds, checks that the calls give the counts
//! of the results, compares pairs of methods, and finds images that may be mislabelled.

use super::ReportError;
use crate::dataset::Label;
use crate::results::{Confusion, MethodResults, Prediction, Results, bundle_names};
use crate::stats::{BundleBootstrap, PairedCalls, Scored, holm, is_called_abnormal, log_odds};
use std::collections::HashMap;

/// The analysed results of a cross-validation. All sections of the report are made from this struct.
pub(super) struct Analysis<'a> {
    pub(super) results: &'a Results,
    /// The bundles in the data set's order.
    pub(super) bundles: Vec<&'a str>,
    /// The parts, in the order in which the predictions first name them.
    pub(super) parts: Vec<PartCalls<'a>>,
    /// Each pair of methods.
    pub(super) pairs: Vec<Pair>,
}

/// A part with the call of each method.
pub(super) struct PartCalls<'a> {
    pub(super) image: &'a str,
    pub(super) bundle: &'a str,
    pub(super) label: Label,
    /// One call per method, in the results' order. `None` if the method did not judge the part.
    pub(super) calls: Vec<Option<Call>>,
}

/// The call of one method on a part.
#[derive(Clone, Copy)]
pub(super) struct Call {
    pub(super) score: f64,
    pub(super) threshold: f64,
    pub(super) is_right: bool,
}

impl Call {
    /// How wrong the call is: the logistic loss of the distance, in log odds, between score and threshold. The loss is
    /// large if the score lies far on the wrong side of the threshold.
    fn loss(&self, label: Label) -> f64 {
        let score = Scored { score: self.score, label }.rank_score();
        let margin = log_odds(score) - log_odds(self.threshold);
        let error_margin = if label == Label::Abnormal { -margin } else { margin };
        error_margin.exp().ln_1p()
    }
}

impl PartCalls<'_> {
    /// The number of methods that judged the part wrongly, and the number of methods that judged it.
    pub(super) fn wrong_of(&self) -> (usize, usize) {
        let judged = self.calls.iter().flatten();
        (judged.clone().filter(|call| !call.is_right).count(), judged.count())
    }

    /// The mean loss over the methods that judged the part.
    fn mean_loss(&self) -> f64 {
        let losses: Vec<f64> = self.calls.iter().flatten().map(|call| call.loss(self.label)).collect();
        losses.iter().sum::<f64>() / losses.len().max(1) as f64
    }
}

/// Two methods compared on the same parts.
pub(super) struct Pair {
    /// Index of the first method.
    pub(super) first: usize,
    /// Index of the second method.
    pub(super) second: usize,
    pub(super) calls: PairedCalls,
    /// McNemar's exact p value.
    pub(super) p_value: f64,
    /// The p value after Holm's correction over all pairs.
    pub(super) p_corrected: f64,
    /// Balanced accuracy of the first method minus that of the second method.
    pub(super) difference: Option<f64>,
    /// The 95 % interval of this difference.
    pub(super) interval95: Option<[f64; 2]>,
}

/// The conclusion from comparing a pair of methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// Both McNemar's test and the interval of the difference show that the method with this index is better.
    Better(usize),
    /// Only the test or only the interval shows a difference, or the two favour different methods. The text says which.
    Hint(&'static str),
    /// Neither the test nor the interval shows a difference.
    NotShown,
}

impl Pair {
    pub(super) fn reading(&self) -> Reading {
        let by_test = self.p_corrected < 0.05;
        let by_bundles = match self.interval95 {
            Some([lo, _]) if lo > 0.0 => Some(self.first),
            Some([_, hi]) if hi < 0.0 => Some(self.second),
            _ => None,
        };
        let fewer_errors =
            if self.calls.only_first_right >= self.calls.only_second_right { self.first } else { self.second };
        match by_bundles {
            Some(better) if by_test && better == fewer_errors => Reading::Better(better),
            Some(_) if by_test => Reading::Hint("the test and the interval favour different methods"),
            Some(_) => Reading::Hint("only the interval over bundles excludes 0, the test finds no difference"),
            None if by_test => Reading::Hint("only the test finds a difference, the bundles vary too much"),
            None => Reading::NotShown,
        }
    }
}

impl<'a> Analysis<'a> {
    /// Joins `results` and `predictions`.
    ///
    /// # Errors
    /// [`ReportError::Inconsistent`] if a prediction names an unknown method or bundle, an image has two labels, two
    /// bundles or two scores for one method, or the counts at the thresholds differ from those of the results.
    pub(super) fn new(results: &'a Results, predictions: &'a [Prediction]) -> Result<Self, ReportError> {
        let parts = join(results, predictions)?;
        for (index, method) in results.methods.iter().enumerate() {
            check_counts(method, index, &parts)?;
        }
        let bundles = bundle_names(results);
        let pairs = pairs(results, &bundles, &parts);
        Ok(Self { results, bundles, parts, pairs })
    }

    pub(super) fn methods(&self) -> &'a [MethodResults] {
        &self.results.methods
    }

    /// Index of the method with the best balanced accuracy over all bundles. If several methods are equally good, the first
    /// of them. `None` if no method was run.
    pub(super) fn best_method(&self) -> Option<usize> {
        let figure = |index: &usize| self.methods()[*index].overall.balanced_accuracy.unwrap_or(-1.0);
        // `max_by` returns the last of equal elements, so the order is reversed.
        (0..self.methods().len()).rev().max_by(|left, right| figure(left).total_cmp(&figure(right)))
    }

    /// The scores of one method.
    pub(super) fn scored(&self, method: usize) -> Vec<Scored> {
        self.parts
            .iter()
            .filter_map(|part| Some(Scored { score: part.calls[method]?.score, label: part.label }))
            .collect()
    }

    /// The parts that more than half of the methods judged wrongly, sorted by mean loss, largest first. Only the first
    /// `count` of these parts are returned.
    pub(super) fn suspects(&self, count: usize) -> Vec<&PartCalls<'a>> {
        let mut suspects: Vec<_> = self
            .parts
            .iter()
            .filter(|part| {
                let (wrong, judged) = part.wrong_of();
                wrong * 2 > judged
            })
            .map(|part| (part.mean_loss(), part))
            .collect();
        suspects.sort_by(|left, right| right.0.total_cmp(&left.0).then_with(|| left.1.image.cmp(right.1.image)));
        suspects.into_iter().take(count).map(|(_, part)| part).collect()
    }
}

/// Joins each prediction with the threshold of its method and bundle.
fn join<'a>(results: &'a Results, predictions: &'a [Prediction]) -> Result<Vec<PartCalls<'a>>, ReportError> {
    let inconsistent = |found: String, expected: &str| ReportError::Inconsistent { found, expected: expected.into() };
    // By method and bundle: the method's index, and the threshold.
    let mut thresholds = HashMap::new();
    for (index, method) in results.methods.iter().enumerate() {
        for bundle in &method.bundles {
            thresholds.insert((method.method.as_str(), bundle.bundle.as_str()), (index, bundle.threshold));
        }
    }
    let mut parts: Vec<PartCalls<'a>> = Vec::new();
    let mut index_of: HashMap<&str, usize> = HashMap::new();
    for row in predictions.iter().filter(|row| row.reference == Prediction::NO_REFERENCE) {
        let key = (row.method.as_str(), row.bundle.as_str());
        let &(method, threshold) = thresholds.get(&key).ok_or_else(|| {
            inconsistent(
                format!("method `{}` with bundle `{}`", row.method, row.bundle),
                "a method and a bundle of the results",
            )
        })?;
        let index = *index_of.entry(&row.image).or_insert_with(|| {
            let calls = vec![None; results.methods.len()];
            parts.push(PartCalls { image: &row.image, bundle: &row.bundle, label: row.label, calls });
            parts.len() - 1
        });
        let part = &mut parts[index];
        if part.label != row.label || part.bundle != row.bundle {
            return Err(inconsistent(
                format!("image `{}` with two labels or bundles", row.image),
                "one label and one bundle for each image",
            ));
        }
        let is_right = is_called_abnormal(row.score, threshold) == (row.label == Label::Abnormal);
        if part.calls[method].replace(Call { score: row.score, threshold, is_right }).is_some() {
            return Err(inconsistent(
                format!("image `{}` twice with method `{}`", row.image, row.method),
                "one score for each image and method",
            ));
        }
    }
    Ok(parts)
}

/// Checks that the calls of a method on the parts of each bundle give the counts in the results.
fn check_counts(method: &MethodResults, index: usize, parts: &[PartCalls<'_>]) -> Result<(), ReportError> {
    let mut counts: HashMap<&str, Confusion> = HashMap::new();
    for part in parts {
        if let Some(call) = part.calls[index] {
            let called_abnormal = call.is_right == (part.label == Label::Abnormal);
            counts.entry(part.bundle).or_default().record(part.label, called_abnormal);
        }
    }
    for bundle in &method.bundles {
        let found = counts.get(bundle.bundle.as_str()).copied().unwrap_or_default();
        if found != bundle.confusion {
            return Err(ReportError::Inconsistent {
                found: format!("{} for method `{}`, bundle `{}`", counts_text(found), method.method, bundle.bundle),
                expected: counts_text(bundle.confusion),
            });
        }
    }
    Ok(())
}

fn counts_text(counts: Confusion) -> String {
    let Confusion { tp, fp, tn, fn_ } = counts;
    format!("{tp} true and {fp} false positives, {tn} true and {fn_} false negatives")
}

/// Compares each method with each later one.
fn pairs(results: &Results, bundles: &[&str], parts: &[PartCalls<'_>]) -> Vec<Pair> {
    let counts: Vec<Vec<Confusion>> = results
        .methods
        .iter()
        .map(|method| {
            bundles
                .iter()
                .map(|bundle| method.bundle(bundle).map_or_else(Confusion::default, |found| found.confusion))
                .collect()
        })
        .collect();
    let mut pairs = Vec::new();
    for first in 0..results.methods.len() {
        for second in first + 1..results.methods.len() {
            let mut calls = PairedCalls::default();
            for part in parts {
                if let (Some(left), Some(right)) = (part.calls[first], part.calls[second]) {
                    calls.record(left.is_right, right.is_right);
                }
            }
            let figure = |method: usize| results.methods[method].overall.balanced_accuracy;
            let bootstrap = BundleBootstrap::default().difference(&counts[first], &counts[second]);
            pairs.push(Pair {
                first,
                second,
                calls,
                p_value: calls.p_value(),
                p_corrected: 1.0, // set below, once all p values are known
                difference: figure(first).zip(figure(second)).map(|(left, right)| left - right),
                interval95: bootstrap.map(|found| found.interval95),
            });
        }
    }
    let corrected = holm(&pairs.iter().map(|pair| pair.p_value).collect::<Vec<_>>());
    for (pair, p_corrected) in pairs.iter_mut().zip(corrected) {
        pair.p_corrected = p_corrected;
    }
    pairs
}
