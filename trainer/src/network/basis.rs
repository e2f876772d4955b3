//! Computes the directions of stage 3 that stage 4 weighs most. A direction is a combination of stage 3's channels.
//! [`Pool::Covariance`](super::Pool::Covariance) is the covariance of these directions.

use super::weights::Weights;
use tch::{Kind, TchError, Tensor};

/// Number of channels of stage 3.
pub(crate) const CHANNELS: i64 = 256;
/// Number of directions that are kept.
pub(crate) const RANK: i64 = 32;

/// The basis: [`RANK`] x [`CHANNELS`], f32 on the CPU, with orthonormal rows.
///
/// Its rows are the right singular vectors of one matrix, for the [`RANK`] largest singular values in descending order.
/// The matrix holds all weights that stage 4 applies to stage 3, in the convolutions `layer4.0.conv1` and
/// `layer4.0.downsample.0`, with one row for each output and each position in the filter. The basis depends only on the
/// backbone, not on any image. Features can therefore be computed once and shared by all folds.
///
/// The negative of a singular vector is a singular vector too. Of the two, the one whose largest entry by magnitude is
/// positive is taken, so that all machines find the same basis up to rounding.
pub(super) fn basis(weights: &Weights) -> Result<Tensor, TchError> {
    let rows = |name: &str| -> Result<Tensor, TchError> {
        weights.tensor(name).f_to_kind(Kind::Double)?.f_permute([0, 2, 3, 1])?.f_reshape([-1, CHANNELS])
    };
    let weights = Tensor::f_cat(&[rows("layer4.0.conv1.weight")?, rows("layer4.0.downsample.0.weight")?], 0)?;
    // The right singular vectors are the eigenvectors of the Gram matrix. linalg_eigh returns them as columns, by
    // ascending eigenvalue.
    let (_, vectors) = weights.f_tr()?.f_matmul(&weights)?.f_linalg_eigh("L")?;
    let largest = vectors.f_narrow(1, CHANNELS - RANK, RANK)?.f_tr()?.f_flip([0])?;
    let peak = largest.f_gather(1, &largest.f_abs()?.f_argmax(1, true)?, false)?;
    largest.f_mul(&peak.f_sign()?)?.f_to_kind(Kind::Float)?.f_contiguous()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_orthonormal_with_a_positive_peak() {
        let basis = basis(&Weights::random(1)).unwrap();
        assert_eq!(basis.size(), [RANK, CHANNELS]);
        let gram = basis.matmul(&basis.tr());
        let error = (gram - Tensor::eye(RANK, (Kind::Float, tch::Device::Cpu))).abs().max();
        assert!(error.double_value(&[]) < 1e-5);
        let peaks = basis.amax([1], false) + basis.amin([1], false);
        assert!(peaks.min().double_value(&[]) >= 0.0, "the largest entry by magnitude must be positive");
    }

    #[test]
    fn directions_are_sorted_by_their_weight_in_stage_4() {
        let weights = Weights::random(1);
        let basis = basis(&weights).unwrap();
        let energy = |row: i64| {
            let downsample = weights.tensor("layer4.0.downsample.0.weight").view([-1, CHANNELS]);
            let kernel = weights.tensor("layer4.0.conv1.weight").permute([0, 2, 3, 1]).reshape([-1, CHANNELS]);
            let direction = basis.narrow(0, row, 1).tr();
            Tensor::cat(&[kernel, downsample], 0).matmul(&direction).square().sum(Kind::Float).double_value(&[])
        };
        assert!(energy(0) > energy(1) && energy(1) > energy(RANK - 1));
    }
}
