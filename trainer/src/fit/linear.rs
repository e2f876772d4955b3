//! Fits a linear scorer: standardises the features, projects them onto principal components, and fits a logistic
//! regression.

use super::FitError;
use crate::dataset::Label;
use std::collections::BTreeMap;
use tch::{Device, Kind, Tensor};

/// Largest change of a logit in one Newton step. Without this limit, the first steps could overshoot.
const LARGEST_STEP: f64 = 8.0;
/// Newton's method stops once no logit changes by more than this.
const CONVERGED: f64 = 1e-2;
/// Largest number of Newton steps.
const MAX_STEPS: usize = 25;

/// A principal component whose variance is below this share of the largest variance counts as rounding error.
pub(super) const MIN_VARIANCE: f64 = 1e-12;

/// Settings of [`fit`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Settings {
    /// Largest number of principal components that are kept.
    pub(super) components: i64,
    /// L2 penalty of the logistic regression, for features whose variances sum to 1.
    pub(super) penalty: f64,
}

/// `logit = weight * x + bias`, scaled so that the training rows' logits have a standard deviation of 1.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Linear {
    pub(super) weight: Vec<f64>,
    pub(super) bias: f64,
}

/// Fits a linear scorer to `rows` (N x D, f64).
///
/// 1. Standardises each feature. Each of the `blocks` (widths that sum to D) gets the same share of the variance.
/// 2. Projects the rows onto the first `settings.components` principal components.
/// 3. Fits a logistic regression by Newton's method. `targets` (N numbers) are 1 for abnormal and 0 for normal rows.
///    `weights` (N numbers with a mean of 1) are the weights of the rows.
///
/// # Errors
/// libtorch runs out of memory, or a decomposition does not converge.
pub(super) fn fit(
    rows: &Tensor,
    blocks: &[usize],
    targets: &Tensor,
    weights: &Tensor,
    settings: Settings,
) -> Result<Linear, FitError> {
    let (mean, scale) = standardisation(rows, blocks)?;
    let standard = rows.f_sub(&mean)?.f_mul(&scale)?;
    let components = principal_components(&standard)?;
    let kept = settings.components.min(components.size()[1]);
    let components = components.f_narrow(1, 0, kept)?;
    let ones = Tensor::f_ones([standard.size()[0], 1], (Kind::Double, Device::Cpu))?;
    let design = Tensor::f_cat(&[standard.f_matmul(&components)?, ones], 1)?;
    let theta = newton(&design, targets, weights, settings.penalty)?;

    let deviation = design.f_matmul(&theta)?.f_std(false)?.double_value(&[]).max(1e-12);
    let theta = theta.f_div_scalar(deviation)?;
    let weight = components.f_matmul(&theta.f_narrow(0, 0, kept)?)?.f_mul(&scale)?;
    let bias = theta.double_value(&[kept]) - mean.f_dot(&weight)?.double_value(&[]);
    Ok(Linear { weight: Vec::try_from(weight)?, bias })
}

/// The principal components of `rows` (N x D) as columns, largest variance first. Their number is at most min(N, D).
///
/// The mean of each column must be 0. If N >= D, the components are the singular vectors of the covariance matrix (D x D).
/// Otherwise the smaller Gram matrix (N x N) is decomposed, and the transposed rows map its singular vectors to components.
/// The Gram matrix yields no components without variance, because they would consist of rounding errors.
pub(super) fn principal_components(rows: &Tensor) -> Result<Tensor, FitError> {
    let (count, width) = rows.size2()?;
    if count >= width {
        return Ok(symmetric_svd(&rows.f_tr()?.f_matmul(rows)?)?.0);
    }
    let (vectors, values) = symmetric_svd(&rows.f_matmul(&rows.f_tr()?)?)?;
    let values = Vec::<f64>::try_from(values)?;
    let with_variance = values.iter().take_while(|&&value| value > values[0] * MIN_VARIANCE).count();
    let with_variance = i64::try_from(with_variance)?;
    let lengths = Tensor::f_from_slice(&values)?.f_narrow(0, 0, with_variance)?.f_sqrt()?;
    Ok(rows.f_tr()?.f_matmul(&vectors.f_narrow(1, 0, with_variance)?)?.f_div(&lengths)?)
}

/// Singular vectors (as columns) and singular values of a symmetric matrix without negative eigenvalues, largest first.
///
/// LAPACK's symmetric eigensolver is twice as fast as the general decomposition. But the eigensolver does not converge
/// on some covariances of dark images, where many features are always 0. The general decomposition is used for these.
fn symmetric_svd(matrix: &Tensor) -> Result<(Tensor, Tensor), FitError> {
    if let Ok((values, vectors)) = matrix.f_linalg_eigh("L") {
        return Ok((vectors.f_flip([1])?, values.f_flip([0])?));
    }
    let (vectors, values, _) = matrix.f_svd(true, true)?;
    Ok((vectors, values))
}

/// The mean and the scale of each feature. A feature is standardised by subtracting the mean and multiplying by the scale.
///
/// The scale is 1 / (s + 0.001 b), times a factor for each block. Here s is the feature's standard deviation and b that of its
/// whole block, so a feature that hardly varies is not scaled up without limit. The factors give all blocks the same total variance,
/// and all features together a variance of 1.
fn standardisation(rows: &Tensor, blocks: &[usize]) -> Result<(Tensor, Tensor), FitError> {
    let mut scales = Vec::new();
    let mut start = 0;
    for &width in blocks {
        let length = i64::try_from(width)?;
        let block = rows.f_narrow(1, start, length)?;
        let floor = block.f_std(false)?.f_mul_scalar(1e-3)?.f_add_scalar(1e-12)?;
        let deviation = block.f_std_dim(&[0_i64][..], false, false)?.f_add(&floor)?;
        scales.push(deviation.f_mul_scalar((length as f64 * blocks.len() as f64).sqrt())?.f_reciprocal()?);
        start += length;
    }
    Ok((rows.f_mean_dim(&[0_i64][..], false, Kind::Double)?, Tensor::f_cat(&scales, 0)?))
}

/// Logistic regression by Newton's method. Returns one coefficient for each column of `design`. The last column must be
/// all 1; its coefficient is the bias, which has no penalty.
pub(super) fn newton(design: &Tensor, targets: &Tensor, weights: &Tensor, penalty: f64) -> Result<Tensor, FitError> {
    let (count, width) = design.size2()?;
    let options = (Kind::Double, Device::Cpu);
    let penalties = Tensor::f_full([width], penalty * count as f64, options)?;
    let _ = penalties.f_narrow(0, width - 1, 1)?.f_fill_(0.0)?;
    // The floors of 1e-9 and, in the loop, of 1e-5 keep the Hessian matrix invertible.
    let curvature_floor = penalties.f_add_scalar(1e-9)?.f_diag(0)?;
    let mut theta = Tensor::f_zeros([width], options)?;
    for _ in 0..MAX_STEPS {
        let probability = design.f_matmul(&theta)?.f_sigmoid()?;
        let residual = probability.f_sub(targets)?.f_mul(weights)?;
        let gradient = design.f_tr()?.f_matmul(&residual)?.f_add(&penalties.f_mul(&theta)?)?;
        let variance = probability.f_mul(&probability.f_neg()?.f_add_scalar(1.0)?)?.f_clamp_min(1e-5)?;
        let curvature = variance.f_mul(weights)?.f_unsqueeze(1)?;
        let hessian = design.f_mul(&curvature)?.f_tr()?.f_matmul(design)?.f_add(&curvature_floor)?;
        let step = Tensor::f_linalg_solve(&hessian, &gradient, true)?;
        let change = design.f_matmul(&step)?.f_abs()?.f_max()?.double_value(&[]);
        theta = theta.f_sub(&step.f_mul_scalar((LARGEST_STEP / change).min(1.0))?)?;
        if change < CONVERGED {
            break;
        }
    }
    Ok(theta)
}

/// A weight for each of `parts`, which are pairs of bundle and label. The mean weight is 1. Both classes have the same total
/// weight. Within a class, the total weight of a bundle is proportional to the square root of the bundle's number of parts
/// in this class. This is a compromise between equal weights for parts and equal weights for bundles.
///
/// # Errors
/// [`FitError::OneClass`].
pub(super) fn weights<'a>(parts: impl Iterator<Item = (&'a str, Label)> + Clone) -> Result<Vec<f64>, FitError> {
    let mut groups: BTreeMap<(Label, &str), f64> = BTreeMap::new();
    for (bundle, label) in parts.clone() {
        *groups.entry((label, bundle)).or_default() += 1.0;
    }
    let total = |label: Label| groups.iter().filter(|((of, _), _)| *of == label).map(|(_, count)| count.sqrt()).sum();
    let totals: [f64; 2] = [total(Label::Normal), total(Label::Abnormal)];
    if totals.contains(&0.0) {
        let (missing, found) =
            if totals[0] == 0.0 { (Label::Normal, Label::Abnormal) } else { (Label::Abnormal, Label::Normal) };
        return Err(FitError::OneClass { found, missing });
    }
    let count = parts.clone().count() as f64;
    let weight = |(bundle, label): (&'a str, Label)| {
        let total = totals[usize::from(label == Label::Abnormal)];
        count / 2.0 / (groups[&(label, bundle)].sqrt() * total)
    };
    Ok(parts.map(weight).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit_rows(rows: &[f64], width: usize, targets: &[f64]) -> Linear {
        let rows = Tensor::from_slice(rows).view([-1, width as i64]);
        let weights = Tensor::ones([targets.len() as i64], (Kind::Double, Device::Cpu));
        let settings = Settings { components: 100, penalty: 1e-5 };
        fit(&rows, &[width / 2, width / 2], &Tensor::from_slice(targets), &weights, settings).unwrap()
    }

    fn logits(scorer: &Linear, rows: &[f64]) -> Vec<f64> {
        let product = |row: &[f64]| row.iter().zip(&scorer.weight).map(|(value, weight)| value * weight).sum::<f64>();
        rows.chunks_exact(scorer.weight.len()).map(|row| product(row) + scorer.bias).collect()
    }

    #[test]
    fn features_that_are_always_zero_get_no_weight() {
        // Features 0, 3, 6 ... are always 0. Features 2, 5, 8 ... are higher in rows with the target 1, which is every fourth row.
        let targets: Vec<f64> = (0..40).map(|row| f64::from(row % 4 == 0)).collect();
        let row = |row: usize| {
            (0..60).map(move |feature: usize| match feature % 3 {
                0 => 0.0,
                1 => ((row * 7 + feature * 3) % 11) as f64,
                _ => ((row + feature) % 5) as f64 + targets_of(row),
            })
        };
        fn targets_of(row: usize) -> f64 {
            if row.is_multiple_of(4) { 3.0 } else { 0.0 }
        }
        let rows: Vec<f64> = (0..40).flat_map(row).collect();
        let scorer = fit_rows(&rows, 60, &targets);
        assert!(scorer.weight.iter().step_by(3).all(|weight| weight.abs() < 1e-9), "{:?}", scorer.weight);
        let ranked = logits(&scorer, &rows);
        for (logit, target) in ranked.iter().zip(&targets) {
            assert_eq!(*logit > 0.0, *target > 0.5, "{ranked:?}");
        }
    }

    #[test]
    fn the_gram_matrix_gives_the_components_of_the_covariance() {
        // Prime numbers, so that the values repeat only after 1009 steps.
        let value = |at: i64| ((at * 7919) % 1009) as f64 / 1009.0;
        // The rank is 5, because the sixth row is the mean of the first two.
        let mut rows: Vec<f64> = (0..5 * 12).map(value).collect();
        rows.extend((0..12).map(|at| (value(at) + value(12 + at)) / 2.0));
        let rows = Tensor::from_slice(&rows).view([6, 12]);
        // 6 rows of 12 features are decomposed by the Gram matrix. The same 6 rows, each twice, are decomposed by the covariance.
        let few = principal_components(&rows).unwrap();
        assert_eq!(few.size(), [12, 5]);
        let many = principal_components(&rows.repeat([2, 1])).unwrap().narrow(1, 0, 5);
        let alike = few.tr().matmul(&many).abs() - Tensor::eye(5, (Kind::Double, Device::Cpu));
        assert!(alike.abs().max().double_value(&[]) < 1e-9, "{alike}");
    }

    #[test]
    fn identical_parts_get_identical_scores() {
        let rows: Vec<f64> = (0..20).flat_map(|_| (0..60).map(|feature| f64::from(feature % 7))).collect();
        let targets: Vec<f64> = (0..20).map(|row| f64::from(row % 2)).collect();
        let found = logits(&fit_rows(&rows, 60, &targets), &rows);
        assert!(found.iter().all(|logit| logit.is_finite() && (logit - found[0]).abs() < 1e-6), "{found:?}");
    }
}
