//! Computes how far annotators agree: shares, Cohen's and Fleiss' kappa, and the parts on which they disagree.

use super::{Entry, Label};
use serde::Serialize;

/// The agreement of annotators on the parts that they judged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Agreement {
    /// The annotators' column names, in the order in which they first occur.
    pub annotators: Vec<String>,
    /// The agreement of each pair of annotators.
    pub pairs: Vec<PairAgreement>,
    /// Number of parts that all annotators judged.
    pub judged_by_all: usize,
    /// Fleiss' kappa over the parts that all annotators judged. `None` with fewer than three annotators, if they
    /// judged no part in common, or if only one label was used.
    pub fleiss_kappa: Option<f64>,
    /// Parts on which annotators disagree.
    pub disputed: Vec<Dispute>,
    /// Images whose label differs from the label that most annotators gave.
    pub against_majority: Vec<String>,
}

/// The agreement of two annotators.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PairAgreement {
    /// The column name of one annotator.
    pub first: String,
    /// The column name of the other annotator.
    pub second: String,
    /// Number of parts that both annotators judged.
    pub parts: usize,
    /// Share, 0..=1, of these parts to which both gave the same label; `None` if there are no such parts.
    pub agreement: Option<f64>,
    /// Cohen's kappa over these parts, -1..=1; `None` if there are no such parts, or if only one label was used.
    pub cohen_kappa: Option<f64>,
}

/// A part on which annotators disagree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dispute {
    /// The path of the part's image.
    pub image: String,
    /// The part's label in the data set.
    pub label: Label,
    /// Number of annotators who call the part normal.
    pub normal: usize,
    /// Number of annotators who call the part abnormal.
    pub abnormal: usize,
}

impl Agreement {
    /// The agreement of the annotators of `entries`; `None` if no part was judged by two annotators.
    #[must_use]
    pub fn of(entries: &[Entry]) -> Option<Self> {
        if entries.iter().all(|entry| entry.experts.len() < 2) {
            return None;
        }
        let mut annotators = Vec::<String>::new();
        for (name, _) in entries.iter().flat_map(|entry| &entry.experts) {
            if !annotators.contains(name) {
                annotators.push(name.clone());
            }
        }
        let votes: Vec<_> = entries.iter().map(votes).collect();
        let complete: Vec<_> =
            votes.iter().copied().filter(|(normal, abnormal)| normal + abnormal == annotators.len()).collect();
        let mut pairs = Vec::new();
        for (index, first) in annotators.iter().enumerate() {
            pairs.extend(annotators[index + 1..].iter().map(|second| PairAgreement::of(entries, first, second)));
        }
        let with_votes = || entries.iter().zip(&votes);
        Some(Self {
            pairs,
            judged_by_all: complete.len(),
            fleiss_kappa: (annotators.len() >= 3).then(|| fleiss_kappa(&complete)).flatten(),
            disputed: with_votes()
                .filter(|(_, (normal, abnormal))| *normal > 0 && *abnormal > 0)
                .map(|(entry, &(normal, abnormal))| Dispute {
                    image: entry.image.clone(),
                    label: entry.label,
                    normal,
                    abnormal,
                })
                .collect(),
            against_majority: with_votes()
                .filter(|(entry, (normal, abnormal))| match entry.label {
                    Label::Normal => abnormal > normal,
                    Label::Abnormal => normal > abnormal,
                })
                .map(|(entry, _)| entry.image.clone())
                .collect(),
            annotators,
        })
    }
}

impl PairAgreement {
    fn of(entries: &[Entry], first: &str, second: &str) -> Self {
        let label =
            |entry: &Entry, name: &str| entry.experts.iter().find(|(other, _)| other == name).map(|(_, label)| *label);
        let judged = entries.iter().filter_map(|entry| Some((label(entry, first)?, label(entry, second)?)));
        let judged: Vec<_> = judged.collect();
        let count = |wanted: fn(&(Label, Label)) -> bool| judged.iter().filter(|pair| wanted(pair)).count() as f64;
        let parts = judged.len() as f64;
        let observed = count(|(first, second)| first == second) / parts;
        let first_abnormal = count(|(first, _)| *first == Label::Abnormal) / parts;
        let second_abnormal = count(|(_, second)| *second == Label::Abnormal) / parts;
        let expected = first_abnormal * second_abnormal + (1.0 - first_abnormal) * (1.0 - second_abnormal);
        Self {
            first: first.to_owned(),
            second: second.to_owned(),
            parts: judged.len(),
            agreement: (!judged.is_empty()).then_some(observed),
            cohen_kappa: kappa(observed, expected).filter(|_| !judged.is_empty()),
        }
    }
}

/// The number of annotators who call `entry` normal, and the number of those who call it abnormal.
fn votes(entry: &Entry) -> (usize, usize) {
    let abnormal = entry.experts.iter().filter(|(_, label)| *label == Label::Abnormal).count();
    (entry.experts.len() - abnormal, abnormal)
}

/// Fleiss' kappa (1971). `votes` holds the numbers of normal and abnormal votes per part; each part has the same number of votes,
/// at least two.
fn fleiss_kappa(votes: &[(usize, usize)]) -> Option<f64> {
    let (normal, abnormal) = votes.first()?;
    let annotators = (normal + abnormal) as f64;
    let parts = votes.len() as f64;
    let agreeing = |votes: usize| votes as f64 * (votes as f64 - 1.0);
    let observed = votes.iter().map(|&(normal, abnormal)| agreeing(normal) + agreeing(abnormal)).sum::<f64>()
        / (parts * annotators * (annotators - 1.0));
    let abnormal = votes.iter().map(|(_, abnormal)| *abnormal as f64).sum::<f64>() / (parts * annotators);
    kappa(observed, abnormal * abnormal + (1.0 - abnormal) * (1.0 - abnormal))
}

/// Kappa: the agreement beyond chance, as a share of the largest possible agreement beyond chance. `observed` is the agreement,
/// `expected` the agreement by chance. `None` if `expected` is 1.
fn kappa(observed: f64, expected: f64) -> Option<f64> {
    (expected < 1.0).then(|| (observed - expected) / (1.0 - expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries from strings of letters, each with the number of its copies. The first letter is the label, each
    /// later letter is one annotator's vote: `n` normal, `a` abnormal, `-` no vote.
    fn entries(parts: &[(&str, usize)]) -> Vec<Entry> {
        let label = |letter| match letter {
            'n' => Some(Label::Normal),
            'a' => Some(Label::Abnormal),
            _ => None,
        };
        let entry = |letters: &str, index: usize| Entry {
            image: format!("{letters}{index}"),
            bundle: "1".into(),
            label: letters.chars().next().and_then(label).unwrap(),
            anomalies: Vec::new(),
            masks: None,
            experts: letters
                .chars()
                .skip(1)
                .enumerate()
                .filter_map(|(expert, letter)| Some((format!("expert_{expert}"), label(letter)?)))
                .collect(),
        };
        parts.iter().flat_map(|(letters, count)| (0..*count).map(|index| entry(letters, index))).collect()
    }

    #[test]
    fn cohens_kappa_matches_a_textbook_example() {
        // Two readers judge 50 proposals. Both say yes to 20, and both say no to 15, so they agree on 0.7 of the proposals. By
        // chance they would agree on 0.5, so kappa is (0.7 - 0.5) / (1 - 0.5) = 0.4.
        let agreement = Agreement::of(&entries(&[("naa", 20), ("nan", 5), ("nna", 10), ("nnn", 15)])).unwrap();
        let pair = &agreement.pairs[0];
        assert_eq!((pair.parts, pair.agreement), (50, Some(0.7)));
        assert!((pair.cohen_kappa.unwrap() - 0.4).abs() < 1e-12);
        assert_eq!(agreement.fleiss_kappa, None);
    }

    #[test]
    fn fleiss_kappa_matches_a_calculation_by_hand() {
        // Four parts, three annotators. The observed agreement is (1 + 1 + 1/3 + 1/3) / 4 = 2/3. 6 of 12 votes are abnormal, so
        // the agreement by chance is 1/2.
        let agreement = Agreement::of(&entries(&[("naaa", 1), ("nnnn", 1), ("naan", 1), ("nann", 1)])).unwrap();
        assert!((agreement.fleiss_kappa.unwrap() - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(agreement.pairs.len(), 3);
    }

    #[test]
    fn disputes_and_labels_against_the_majority_are_found() {
        let agreement =
            Agreement::of(&entries(&[("nnnn", 1), ("nnaa", 1), ("aann", 1), ("an-a", 1), ("aaa-", 1)])).unwrap();
        let disputed: Vec<_> = agreement.disputed.iter().map(|dispute| dispute.image.as_str()).collect();
        assert_eq!(disputed, ["nnaa0", "aann0", "an-a0"]);
        assert_eq!((agreement.disputed[2].normal, agreement.disputed[2].abnormal), (1, 1));
        assert_eq!(agreement.against_majority, ["nnaa0", "aann0"]);
        assert_eq!(agreement.judged_by_all, 3);
    }

    #[test]
    fn there_is_no_kappa_for_one_label_and_no_agreement_without_two_votes() {
        let agreement = Agreement::of(&entries(&[("nnnn", 4)])).unwrap();
        assert_eq!((agreement.fleiss_kappa, agreement.pairs[0].cohen_kappa), (None, None));
        assert_eq!(agreement.pairs[0].agreement, Some(1.0));
        assert_eq!(Agreement::of(&entries(&[("nn--", 2), ("a", 1)])), None);
    }
}
