//! Fits a whitening to normal training parts: principal components, scaled so that the parts of one bundle have the variance 1 in
//! every direction.

use super::linear::{MIN_VARIANCE, principal_components};
use super::{FitError, TrainingSet};
use crate::dataset::Label;
use crate::network::pooling::width;
use crate::network::{Block, Flips, Whitening};
use cellgate_models::engine::WhitenedFeatures;
use tch::{Device, Kind, Tensor};

/// The features that are whitened.
const BLOCKS: [Block; 1] = [Block::MEAN_3];

/// Smallest variance of a direction, as a share of the mean variance. It matters only for sets of a few parts, whose covariance has
/// directions without variance.
const SMALLEST_VARIANCE: f64 = 1e-3;

/// Fits a whitening to the normal parts of `training`. `flips` are the flip variants of an image that the network judges; the features
/// of a part are their mean. Uses no random numbers.
///
/// 1. Subtracts the mean of each bundle, and divides each feature by its standard deviation within bundles.
/// 2. Projects onto the first [`WhitenedFeatures::COUNT`] principal components, or onto fewer if there are fewer. The whitened features
///    that are left are 0.
/// 3. Multiplies by the inverse root of the covariance within bundles, which is shrunk as Ledoit and Wolf do.
/// 4. Subtracts the median of each whitened feature over the parts.
///
/// The components are those of the variation within bundles. With those of the whole variation, fewer abnormal parts of a new bundle
/// are beyond the largest distance.
///
/// If each bundle has only one normal part, all parts count as one bundle. If the parts of no bundle differ, or if there is only one part,
/// all whitened features are 0.
///
/// # Errors
/// [`FitError::OneClass`] if no part is normal, or [`FitError::Torch`] if libtorch fails.
pub fn whitening(training: &TrainingSet<'_>, flips: Flips) -> Result<Whitening, FitError> {
    let (parts, bundles) = normal_parts(training);
    if parts.is_empty() {
        return Err(FitError::OneClass { found: Label::Abnormal, missing: Label::Normal });
    }
    let variants = parts.iter().flat_map(|&part| (0..flips.count()).map(move |variant| (part, variant)));
    let features: Vec<f32> = variants.flat_map(|(part, variant)| training.features(part, variant, &BLOCKS)).collect();
    let count = i64::try_from(parts.len())?;
    let of_variants = Tensor::f_from_slice(&features)?.f_view([count, -1, i64::try_from(width(&BLOCKS))?])?;
    let rows = of_variants.f_mean_dim(&[1_i64][..], false, Kind::Double)?;

    let weight = Vec::<f64>::try_from(weight(&rows, &bundles)?.f_flatten(0, 1)?)?;
    let mut weight: Vec<f32> = weight.into_iter().map(|weight| weight as f32).collect();
    weight.resize(WhitenedFeatures::COUNT * width(&BLOCKS), 0.0);
    let uncentred = Whitening { blocks: BLOCKS.to_vec(), weight, bias: vec![0.0; WhitenedFeatures::COUNT] };
    let of_part = flips.count() * uncentred.width();
    let whitened: Vec<_> = features.chunks_exact(of_part).map(|features| uncentred.apply(features)).collect();
    let median = WhitenedFeatures::median(&whitened).unwrap_or(WhitenedFeatures::ORIGIN);
    Ok(Whitening { bias: median.components().iter().map(|median| -median).collect(), ..uncentred })
}

/// The positions of the normal parts in `training`, and the number of each part's bundle.
fn normal_parts(training: &TrainingSet<'_>) -> (Vec<usize>, Vec<usize>) {
    let labelled = training.labels().zip(training.bundles()).enumerate();
    let normal: Vec<(usize, &str)> =
        labelled.filter(|(_, (label, _))| *label == Label::Normal).map(|(part, (_, bundle))| (part, bundle)).collect();
    let mut names: Vec<&str> = normal.iter().map(|(_, bundle)| *bundle).collect();
    names.sort_unstable();
    names.dedup();
    let number = |bundle: &str| names.partition_point(|name| *name < bundle);
    normal.into_iter().map(|(part, bundle)| (part, number(bundle))).unzip()
}

/// The weights of the whitening of `rows` (N x D), C x D. C is [`WhitenedFeatures::COUNT`], or less if there are fewer components.
/// `bundles` has the number of each row's bundle.
fn weight(rows: &Tensor, bundles: &[usize]) -> Result<Tensor, FitError> {
    let (count, features) = rows.size2()?;
    let mut bundle_count = bundles.iter().max().map_or(0, |&last| last + 1);
    let is_one_bundle = bundle_count == bundles.len();
    if is_one_bundle {
        bundle_count = 1;
    }
    let degrees_of_freedom = count - i64::try_from(bundle_count)?;
    let within = centred(rows, if is_one_bundle { None } else { Some(bundles) })?;
    if within.f_abs()?.f_max()?.double_value(&[]) == 0.0 {
        return Ok(Tensor::f_zeros([0, features], (Kind::Double, Device::Cpu))?);
    }
    let scale = scale(&within, degrees_of_freedom)?;
    let within = within.f_mul(&scale)?;
    let components = leading_components(&within)?;
    // With this factor, the divisor N of `ledoit_wolf` becomes the number of degrees of freedom.
    let factor = (count as f64 / degrees_of_freedom as f64).sqrt();
    let projected = within.f_matmul(&components)?.f_mul_scalar(factor)?;
    let root = inverse_root(&ledoit_wolf(&projected)?)?;
    Ok(root.f_matmul(&components.f_tr()?)?.f_mul(&scale)?)
}

/// `rows` less the mean of their bundle, or less the mean of all rows without `bundles`.
fn centred(rows: &Tensor, bundles: Option<&[usize]>) -> Result<Tensor, FitError> {
    let Some(bundles) = bundles else {
        return Ok(rows.f_sub(&rows.f_mean_dim(&[0_i64][..], true, Kind::Double)?)?);
    };
    let numbers = bundles.iter().map(|&bundle| i64::try_from(bundle)).collect::<Result<Vec<_>, _>>()?;
    // One column for each bundle: 1 in the rows of the bundle.
    let members = Tensor::f_from_slice(&numbers)?.f_one_hot(-1)?.f_to_kind(Kind::Double)?;
    let sizes = members.f_sum_dim_intlist(&[0_i64][..], false, Kind::Double)?.f_unsqueeze(1)?;
    let means = members.f_tr()?.f_matmul(rows)?.f_div(&sizes)?;
    Ok(rows.f_sub(&members.f_matmul(&means)?)?)
}

/// One factor for each feature: 1 / s. Here s is the standard deviation of the feature within bundles, but at least a thousandth of the
/// largest one, so that a feature that hardly varies is not scaled up without limit.
fn scale(within: &Tensor, degrees_of_freedom: i64) -> Result<Tensor, FitError> {
    let squares = within.f_square()?.f_sum_dim_intlist(&[0_i64][..], false, Kind::Double)?;
    let deviations = squares.f_div_scalar(degrees_of_freedom)?.f_sqrt()?;
    let smallest = 1e-3 * deviations.f_max()?.double_value(&[]);
    Ok(deviations.f_clamp_min(smallest)?.f_reciprocal()?)
}

/// The principal components of `rows`, which have the mean 0, as columns: at most [`WhitenedFeatures::COUNT`], and none without variance.
fn leading_components(rows: &Tensor) -> Result<Tensor, FitError> {
    let components = principal_components(rows)?;
    let limit = components.size()[1].min(WhitenedFeatures::COUNT as i64);
    let components = components.f_narrow(1, 0, limit)?;
    let variances = rows.f_matmul(&components)?.f_square()?.f_sum_dim_intlist(&[0_i64][..], false, Kind::Double)?;
    let variances = Vec::<f64>::try_from(variances)?;
    let with_variance = variances.iter().take_while(|&&variance| variance > variances[0] * MIN_VARIANCE).count();
    Ok(components.f_narrow(1, 0, i64::try_from(with_variance)?)?)
}

/// The covariance of `rows` (N x P), which have the mean 0, with the divisor N: shrunk towards the mean variance times the identity
/// matrix. Source: Ledoit, Wolf: A well-conditioned estimator for large-dimensional covariance matrices, Journal of Multivariate
/// Analysis 88 (2004), section 3.3 (`S*` of equation 14; the names here are those of lemma 3.2 to 3.4).
///
/// scikit-learn computes the same with `ledoit_wolf(rows, assume_centered=True)`.
fn ledoit_wolf(rows: &Tensor) -> Result<Tensor, FitError> {
    let (count, width) = rows.size2()?;
    let square = |matrix: &Tensor| -> Result<f64, FitError> {
        Ok(matrix.f_square()?.f_sum(Kind::Double)?.double_value(&[]) / width as f64)
    };
    let sample = rows.f_tr()?.f_matmul(rows)?.f_div_scalar(count)?;
    let m = sample.f_trace()?.double_value(&[]) / width as f64;
    let target = Tensor::f_eye(width, (Kind::Double, Device::Cpu))?.f_mul_scalar(m)?;
    let d2 = square(&sample.f_sub(&target)?)?;
    // The sum of ||x x' - S||^2 over all rows x is the sum of ||x||^4, less N ||S||^2.
    let lengths2 = rows.f_square()?.f_sum_dim_intlist(&[1_i64][..], false, Kind::Double)?;
    let count = count as f64;
    let b2 = (square(&lengths2)? - count * square(&sample)?) / count.powi(2);
    let shrinkage = if d2 > 0.0 { (b2 / d2).clamp(0.0, 1.0) } else { 1.0 };
    Ok(sample.f_lerp(&target, shrinkage)?)
}

/// The symmetric inverse square root of a covariance.
fn inverse_root(covariance: &Tensor) -> Result<Tensor, FitError> {
    let (variances, vectors) = covariance.f_linalg_eigh("L")?;
    let smallest = SMALLEST_VARIANCE * variances.f_mean(Kind::Double)?.double_value(&[]);
    let scaled = vectors.f_mul(&variances.f_clamp_min(smallest)?.f_rsqrt()?)?;
    Ok(scaled.f_matmul(&vectors.f_tr()?)?)
}

#[cfg(test)]
mod tests;
