//! The directions of stage 3 that stage 4 listens to most: what [`Pool::Covariance`](super::Pool::Covariance) is taken in.

use super::weights::Weights;
use tch::{Kind, TchError, Tensor};

/// Channels of stage 3.
pub(crate) const CHANNELS: i64 = 256;
/// Directions that are kept.
pub(crate) const RANK: i64 = 32;

/// The basis, [`RANK`] x [`CHANNELS`], f32 on the CPU, rows orthonormal.
///
/// Its rows are the right singular vectors, largest first, of all weights that stage 4 applies to stage 3 (the
/// convolutions `layer4.0.conv1` and `layer4.0.downsample.0`, a row each output and position). So it depends on the
/// backbone alone, not on any image: features can be computed once and shared by all folds. A vector and its negative
/// are both singular; the one whose largest entry is positive is taken, so every machine finds the same up to rounding.
pub(super) fn basis(weights: &Weights) -> Result<Tensor, TchError> {
    let rows = |name: &str| -> Result<Tensor, TchError> {
        weights.tensor(name).f_to_kind(Kind::Double)?.f_permute([0, 2, 3, 1])?.f_reshape([-1, CHANNELS])
    };
    let listened = Tensor::f_cat(&[rows("layer4.0.conv1.weight")?, rows("layer4.0.downsample.0.weight")?], 0)?;
    // Eigenvectors of the Gram matrix, eigenvalues ascending.
    let (_, vectors) = listened.f_tr()?.f_matmul(&listened)?.f_linalg_eigh("L")?;
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
        assert!(peaks.min().double_value(&[]) >= 0.0, "the largest entry by size is positive");
    }

    #[test]
    fn the_first_direction_is_the_one_that_carries_most() {
        let weights = Weights::random(1);
        let basis = basis(&weights).unwrap();
        let carried = |row: i64| {
            let listened = weights.tensor("layer4.0.downsample.0.weight").view([-1, CHANNELS]);
            let kernel = weights.tensor("layer4.0.conv1.weight").permute([0, 2, 3, 1]).reshape([-1, CHANNELS]);
            let direction = basis.narrow(0, row, 1).tr();
            Tensor::cat(&[kernel, listened], 0).matmul(&direction).square().sum(Kind::Float).double_value(&[])
        };
        assert!(carried(0) > carried(1) && carried(1) > carried(RANK - 1));
    }
}
