//! Finds the problems of a data set for `check`. There is one function for each topic.

use super::finding::{Finding, FindingKind};
use super::{Agreement, BundleParts, ImageFacts, Label, Listing, odd};
use crate::dataset::LeftOut;
use crate::dataset::folders::EXPECTED;
use crate::dataset::names::look_alikes;
use cellgate_models::radiograph::ReadError;

/// An image with a larger share of saturated pixels is a finding.
const SATURATED_SHARE: f64 = 0.001;
/// An image whose width or height differs from the median by more than this share is a finding.
const ODD_SIDE_SHARE: f64 = 0.1;
/// The smallest number of bundles with normal images, and with abnormal images, for a cross-validation of the default recipe. One
/// bundle is the test bundle. The recipe scores another bundle to choose its operating point, and trains on a third bundle.
const MIN_BUNDLES_OF_A_LABEL: usize = 3;

/// Finds images that are unreadable, flat, saturated, of an odd size, or unlike the other images.
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
                format!("{name}: 99.98 % of the pixels have the level {lo:.0}, so the local conversion shows nothing"),
            );
        } else {
            looks.push(odd::Image { name, look: &facts.look, is_saturated });
        }
        if is_saturated {
            let percent = facts.saturated * 100.0;
            add(
                FindingKind::Saturated,
                format!("{name}: {percent:.2} % of the pixels are at the top of the detector's range (saturated)"),
            );
        }
        if is_odd(facts.height, height) || is_odd(facts.width, width) {
            let size = format!("{} x {}", facts.height, facts.width);
            add(
                FindingKind::OddSize,
                format!("{name}: the size (height x width) is {size} pixels, the median is {height} x {width}"),
            );
        }
    }
    findings.extend(odd::of_looks(&looks));
    findings
}

/// Finds out whether classes or bundles are missing.
pub(super) fn of_balance(bundles: &[BundleParts], all: &BundleParts) -> Vec<Finding> {
    // The label of all parts of a bundle that has one class.
    let only = |bundle: &BundleParts| if bundle.normal > 0 { Label::Normal } else { Label::Abnormal };
    let mut findings = Vec::new();
    if all.has_one_class() {
        let message = format!("{}; training needs normal and abnormal images", all_are(all, only(all)));
        findings.push(Finding::new(FindingKind::OneClass, message, Vec::new()));
        return findings;
    }
    if let [bundle] = bundles {
        let message = format!("`{}` is the only bundle; cross-validation needs at least two", bundle.name);
        findings.push(Finding::new(FindingKind::OneBundle, message, Vec::new()));
    } else {
        let normal = bundles.iter().filter(|bundle| bundle.normal > 0).count();
        let abnormal = bundles.iter().filter(|bundle| bundle.abnormal > 0).count();
        if normal.min(abnormal) < MIN_BUNDLES_OF_A_LABEL {
            let message = format!(
                "bundles with normal images: {normal}, with abnormal images: {abnormal}; the default recipe needs at least \
                 {MIN_BUNDLES_OF_A_LABEL} of each to choose its operating point"
            );
            findings.push(Finding::new(FindingKind::FewBundles, message, Vec::new()));
        }
    }
    for bundle in bundles.iter().filter(|bundle| bundle.has_one_class()) {
        let message = format!("`{}`: {}, so it has no balanced accuracy", bundle.name, all_are(bundle, only(bundle)));
        findings.push(Finding::new(FindingKind::OneClassBundle, message, Vec::new()));
    }
    findings
}

/// Says that all images of `bundle` have the label `label`.
fn all_are(bundle: &BundleParts, label: Label) -> String {
    match bundle.parts.len() {
        1 => format!("the only image is {label}"),
        images => format!("all {images} images are {label}"),
    }
}

/// Finds bundles whose names look alike.
pub(super) fn of_names(bundles: &[BundleParts]) -> Vec<Finding> {
    let names: Vec<_> = bundles.iter().map(|bundle| bundle.name.as_str()).collect();
    let groups = look_alikes(&names).into_iter();
    groups
        .map(|names| {
            // Debug formatting makes characters without width and combining characters visible.
            let named = names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
            let message = format!(
                "{named}: the names of {} bundles look alike; expected the same name if they are one bundle, else names that a \
                 reader can distinguish",
                names.len()
            );
            Finding::new(FindingKind::SimilarNames, message, Vec::new())
        })
        .collect()
}

/// Reports `bundles`, whose names are written in two Unicode forms.
pub(super) fn of_forms(bundles: &[String]) -> impl Iterator<Item = Finding> {
    bundles.iter().map(|bundle| {
        let message = format!(
            "`{bundle}`: the name is written in two Unicode forms (NFC and another); both are read as one bundle"
        );
        Finding::new(FindingKind::TwoForms, message, Vec::new())
    })
}

/// Reports images that are not in the data set.
pub(super) fn of_left_out(left_out: &[LeftOut]) -> impl Iterator<Item = Finding> {
    left_out.iter().map(|image| {
        let message = format!("{}: not part of the data set: {}; expected {EXPECTED}", image.path, image.reason);
        Finding::new(FindingKind::LeftOut, message, vec![image.path.clone()])
    })
}

/// Reports the `paths` of files and folders that were skipped.
pub(super) fn of_skipped(paths: &[String]) -> Option<Finding> {
    let first = paths.first()?;
    let message = match paths.len() {
        1 => format!("1 file was skipped: {first}; expected {EXPECTED}"),
        count => format!("{count} files were skipped, such as {first}; expected {EXPECTED}"),
    };
    Some(Finding::new(FindingKind::PassedBy, message, Vec::new()))
}

/// Reports disputed parts, and labels against the majority of the annotators.
pub(super) fn of_agreement(agreement: &Agreement) -> Vec<Finding> {
    let against = &agreement.against_majority;
    let mut findings: Vec<_> = against
        .iter()
        .map(|image| {
            let message = format!("{image}: the label differs from that of most annotators");
            Finding::new(FindingKind::AgainstMajority, message, vec![image.clone()])
        })
        .collect();
    findings.extend(agreement.disputed.iter().map(|dispute| {
        let (image, label) = (&dispute.image, dispute.label);
        let votes = format!("{} normal, {} abnormal", dispute.normal, dispute.abnormal);
        Finding::new(
            FindingKind::Disputed,
            format!("{image}: annotators disagree: {votes}; the label is {label}"),
            vec![image.clone()],
        )
    }));
    findings
}
