//! What is wrong or doubtful in a data set.

use super::finding::{Finding, FindingKind};
use super::{Agreement, BundleParts, ImageFacts, Label, Listing, odd};
use crate::dataset::LeftOut;
use crate::dataset::folders::EXPECTED;
use crate::dataset::names::look_alikes;
use cellgate_models::radiograph::ReadError;

/// From this share of saturated pixels on an image is named.
const SATURATED_SHARE: f64 = 0.001;
/// A side that differs from the median by more than this share is named.
const ODD_SIDE_SHARE: f64 = 0.1;

/// Unreadable, flat, saturated and oddly sized images, and those that are unlike the others.
pub(super) fn of_images(listing: &Listing, images: &[Result<ImageFacts, ReadError>]) -> Vec<Finding> {
    let median = |side: fn(&ImageFacts) -> u32| {
        let mut sides: Vec<_> = images.iter().flatten().map(side).collect();
        sides.sort_unstable();
        f64::from(sides.get(sides.len() / 2).copied().unwrap_or_default())
    };
    let (height, width) = (median(|facts| facts.height), median(|facts| facts.width));
    let is_odd = |side: u32, median: f64| (f64::from(side) - median).abs() > ODD_SIDE_SHARE * median;

    let (mut findings, mut looks) = (Vec::new(), Vec::new());
    for (entry, image) in listing.entries.iter().zip(images) {
        let name = &entry.image;
        let mut add = |kind, message| findings.push(Finding::new(kind, message, vec![name.clone()]));
        let facts = match image {
            Err(error) => {
                add(FindingKind::Unreadable, error.to_string());
                continue;
            }
            Ok(facts) => facts,
        };
        let (lo, hi) = facts.percentiles;
        let is_saturated = facts.saturated > SATURATED_SHARE;
        if lo.round_ties_even() >= hi.round_ties_even() {
            add(
                FindingKind::Flat,
                format!("{name}: 99.98 % of the levels are {lo:.0}, the local conversion shows nothing"),
            );
        } else {
            looks.push(odd::Image { name, look: &facts.look, is_saturated });
        }
        if is_saturated {
            let percent = facts.saturated * 100.0;
            add(
                FindingKind::Saturated,
                format!("{name}: {percent:.2} % of the pixels are at the top of the detector's range"),
            );
        }
        if is_odd(facts.height, height) || is_odd(facts.width, width) {
            let size = format!("{} x {}", facts.height, facts.width);
            add(
                FindingKind::OddSize,
                format!("{name}: {size} pixels (height x width), the median is {height} x {width}"),
            );
        }
    }
    findings.extend(odd::of_looks(&looks));
    findings
}

/// Classes and bundles that are missing.
pub(super) fn of_balance(bundles: &[BundleParts], all: &BundleParts) -> Vec<Finding> {
    let only = |bundle: &BundleParts| if bundle.normal > 0 { Label::Normal } else { Label::Abnormal };
    let mut findings = Vec::new();
    if all.has_one_class() {
        let message = format!("{}: nothing can be learnt from one class", all_are(all, only(all)));
        findings.push(Finding::new(FindingKind::OneClass, message, Vec::new()));
        return findings;
    }
    if let [bundle] = bundles {
        let message = format!("`{}` is the only bundle: cross-validation needs two, to leave one out", bundle.name);
        findings.push(Finding::new(FindingKind::OneBundle, message, Vec::new()));
    } else if let Some(left_out) = bundles.iter().find(|bundle| !can_choose_without(bundle, bundles)) {
        let both = bundles.iter().filter(|bundle| !bundle.has_one_class()).count();
        let message = format!(
            "found both classes in {both} of {} bundles, expected three with both for the default recipe: without `{}` it \
             has too little to train on",
            bundles.len(),
            left_out.name
        );
        findings.push(Finding::new(FindingKind::FewBundles, message, Vec::new()));
    }
    for bundle in bundles.iter().filter(|bundle| bundle.has_one_class()) {
        let message = format!("`{}`: {}, so it has no balanced accuracy", bundle.name, all_are(bundle, only(bundle)));
        findings.push(Finding::new(FindingKind::OneClassBundle, message, Vec::new()));
    }
    findings
}

fn all_are(bundle: &BundleParts, label: Label) -> String {
    match bundle.parts.len() {
        1 => format!("the only image is {label}"),
        images => format!("all {images} images are {label}"),
    }
}

/// Whether the default recipe can be trained on all `bundles` but `left_out`: it chooses its operating point in those of
/// them without which both classes are still there.
fn can_choose_without(left_out: &BundleParts, bundles: &[BundleParts]) -> bool {
    let both_classes = |bundles: &[&BundleParts]| {
        bundles.iter().any(|bundle| bundle.normal > 0) && bundles.iter().any(|bundle| bundle.abnormal > 0)
    };
    let training: Vec<_> = bundles.iter().filter(|bundle| bundle.name != left_out.name).collect();
    let without = |name: &str| training.iter().copied().filter(|bundle| bundle.name != name).collect::<Vec<_>>();
    let scored: Vec<_> = training.iter().copied().filter(|bundle| both_classes(&without(&bundle.name))).collect();
    both_classes(&scored)
}

/// Bundles whose names a reader takes for one.
pub(super) fn of_names(bundles: &[BundleParts]) -> Vec<Finding> {
    let names: Vec<_> = bundles.iter().map(|bundle| bundle.name.as_str()).collect();
    let groups = look_alikes(&names).into_iter();
    groups
        .map(|names| {
            // As Rust writes text: what has no width or is put on the character before it is seen.
            let named = names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
            let message = format!(
                "{named}: {} bundles whose names look alike; expected one name, if they are one bundle, or names that differ to \
                 a reader",
                names.len()
            );
            Finding::new(FindingKind::SimilarNames, message, Vec::new())
        })
        .collect()
}

/// Bundles whose names are written in two Unicode forms.
pub(super) fn of_forms(bundles: &[String]) -> impl Iterator<Item = Finding> {
    bundles.iter().map(|bundle| {
        let message = format!("`{bundle}`: written in two Unicode forms (NFC and another one), taken as one bundle");
        Finding::new(FindingKind::TwoForms, message, Vec::new())
    })
}

/// Images that would be no part of the data set.
pub(super) fn of_left_out(left_out: &[LeftOut]) -> impl Iterator<Item = Finding> {
    left_out.iter().map(|image| {
        let message = format!("{}: left out: {}; expected {EXPECTED}", image.path, image.reason);
        Finding::new(FindingKind::LeftOut, message, vec![image.path.clone()])
    })
}

/// Files that nobody reads.
pub(super) fn of_passed_by(paths: &[String]) -> Option<Finding> {
    let first = paths.first()?;
    let files = if paths.len() == 1 { "1 file is" } else { &format!("{} files are", paths.len()) };
    let message = format!("{files} passed by, such as {first}: expected {EXPECTED}");
    Some(Finding::new(FindingKind::PassedBy, message, Vec::new()))
}

/// Disputed parts, and labels against the majority.
pub(super) fn of_agreement(agreement: &Agreement) -> Vec<Finding> {
    let against = &agreement.against_majority;
    let mut findings: Vec<_> = against
        .iter()
        .map(|image| {
            let message = format!("{image}: most annotators call it otherwise than its label");
            Finding::new(FindingKind::AgainstMajority, message, vec![image.clone()])
        })
        .collect();
    findings.extend(agreement.disputed.iter().map(|dispute| {
        let (image, label) = (&dispute.image, dispute.label);
        let votes = format!("{} normal, {} abnormal", dispute.normal, dispute.abnormal);
        Finding::new(
            FindingKind::Disputed,
            format!("{image}: labelled {label}, annotators: {votes}"),
            vec![image.clone()],
        )
    }));
    findings
}
