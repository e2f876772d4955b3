//! Divides the training bundles into groups. Each group is left out once.

use crate::dataset::Label;
use std::collections::BTreeMap;

/// Largest number of groups.
const GROUPS: usize = 4;

/// Numbers of normal and abnormal parts.
type Counts = [usize; 2];

/// Divides whole bundles into at most four groups with about the same share of the normal and of the abnormal parts. `parts` are pairs
/// of bundle and label. Returns the positions of each group's parts.
///
/// The bundles are assigned from the largest to the smallest, each to the group in which the squares of the shares grow least. A class
/// that is in several bundles is in several groups. So if both classes are, the rest has both, whichever group is left out.
pub(super) fn divide<'a>(parts: impl Iterator<Item = (&'a str, Label)>) -> Vec<Vec<usize>> {
    let mut bundles: BTreeMap<&str, (Counts, Vec<usize>)> = BTreeMap::new();
    for (position, (bundle, label)) in parts.enumerate() {
        let (counts, positions) = bundles.entry(bundle).or_default();
        counts[usize::from(label == Label::Abnormal)] += 1;
        positions.push(position);
    }
    let mut bundles: Vec<_> = bundles.into_values().collect();
    let totals: Counts = [0, 1].map(|class| bundles.iter().map(|(counts, _)| counts[class]).sum());
    // A stable sort: bundles of the same size stay in the order of their names.
    bundles.sort_by_key(|(_, positions)| std::cmp::Reverse(positions.len()));
    let mut groups: Vec<(Counts, Vec<usize>)> = vec![Default::default(); GROUPS.min(bundles.len())];
    for (counts, positions) in bundles {
        let existing: Vec<Counts> = groups.iter().map(|(counts, _)| *counts).collect();
        let price = |group: &usize| (only_holder(&existing, *group, counts), growth(existing[*group], counts, totals));
        let cheapest = (0..groups.len()).min_by(|left, right| {
            let ((left_only, left), (right_only, right)) = (price(left), price(right));
            left_only.cmp(&right_only).then(left.total_cmp(&right))
        });
        let Some(cheapest) = cheapest else { continue };
        let (sums, members) = &mut groups[cheapest];
        (0..2).for_each(|class| sums[class] += counts[class]);
        members.extend(positions);
    }
    let mut groups: Vec<Vec<usize>> = groups.into_iter().map(|(_, positions)| positions).collect();
    groups.iter_mut().for_each(|positions| positions.sort_unstable());
    groups
}

/// In how many of the classes that the bundle has `group` is the only group so far. Another group should get the bundle.
fn only_holder(groups: &[Counts], group: usize, bundle: Counts) -> usize {
    let is_only = |class: usize| {
        let others = groups.iter().enumerate().filter(|(other, _)| *other != group);
        bundle[class] > 0 && groups[group][class] > 0 && others.into_iter().all(|(_, counts)| counts[class] == 0)
    };
    (0..2).filter(|&class| is_only(class)).count()
}

/// By how much the sum of the squares of the group's shares grows if the bundle is added.
fn growth(group: Counts, bundle: Counts, totals: Counts) -> f64 {
    let share = |class: usize, count: usize| (count as f64 / totals[class].max(1) as f64).powi(2);
    (0..2).map(|class| share(class, group[class] + bundle[class]) - share(class, group[class])).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Parts of bundles `0`, `1`, .. with these numbers of normal and abnormal parts.
    fn parts(bundles: &[Counts]) -> Vec<(String, Label)> {
        let of = |(number, [normal, abnormal]): (usize, &Counts)| {
            let labels = [vec![Label::Normal; *normal], vec![Label::Abnormal; *abnormal]].concat();
            labels.into_iter().map(move |label| (number.to_string(), label))
        };
        bundles.iter().enumerate().flat_map(of).collect()
    }

    fn divided(bundles: &[Counts]) -> Vec<Vec<usize>> {
        divide(parts(bundles).iter().map(|(bundle, label)| (bundle.as_str(), *label)))
    }

    #[test]
    fn groups_have_like_numbers_of_both_classes() {
        let bundles = [[20, 2], [20, 2], [10, 6], [10, 6], [10, 1], [10, 1], [5, 4], [5, 4]];
        let all = parts(&bundles);
        let groups = divided(&bundles);
        assert_eq!(groups.len(), 4);
        for group in &groups {
            let abnormal = group.iter().filter(|&&part| all[part].1 == Label::Abnormal).count();
            assert!((5..=8).contains(&abnormal), "{abnormal} {groups:?}");
            assert!((15..=30).contains(&(group.len() - abnormal)), "{groups:?}");
        }
        // The order of the parts does not matter.
        assert_eq!(divided(&bundles), groups);
    }

    #[test]
    fn few_bundles_are_groups_of_their_own() {
        assert_eq!(divided(&[[2, 1], [1, 1]]), [vec![0, 1, 2], vec![3, 4]]);
        assert_eq!(divided(&[[1, 1]]), [vec![0, 1]]);
        assert!(divided(&[]).is_empty());
    }

    /// By the shares alone, the last bundle would join the first one, and the other groups would have no abnormal part.
    #[test]
    fn a_class_that_is_in_two_bundles_is_in_two_groups() {
        let groups = divided(&[[5, 100], [30, 0], [30, 0], [30, 0], [10, 1]]);
        let group_of = |part: usize| groups.iter().position(|group| group.contains(&part)).unwrap();
        assert_ne!(group_of(0), group_of(205));
    }

    proptest! {
        #[test]
        fn bundles_stay_whole_and_both_classes_are_always_left(
            bundles in proptest::collection::vec((0_usize..20, 0_usize..4), 1..12),
        ) {
            let bundles: Vec<Counts> = bundles.into_iter().map(|(normal, abnormal)| [normal, abnormal]).collect();
            let all = parts(&bundles);
            let groups = divided(&bundles);
            let mut seen: Vec<usize> = groups.concat();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..all.len()).collect::<Vec<_>>());
            let in_two = (0..2).all(|class| bundles.iter().filter(|counts| counts[class] > 0).count() >= 2);
            for group in &groups {
                let rest: Vec<_> = (0..all.len()).filter(|part| !group.contains(part)).collect();
                prop_assert!(group.iter().all(|&part| rest.iter().all(|&other| all[other].0 != all[part].0)));
                if in_two {
                    for label in [Label::Normal, Label::Abnormal] {
                        prop_assert!(rest.iter().any(|&part| all[part].1 == label), "{:?}", groups);
                    }
                }
            }
        }
    }
}
