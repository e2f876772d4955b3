//! Writes a model with a tiny network of the paper's input size, 2000x1000: `stand_in_model FOLDER`. It stands in for a trained
//! model where only the conversion matters. `scripts/gpu-check pack --small` packs it.

use cellgate_models::conversion::{Bounds, ConversionSpec, Method, Size};
use cellgate_models::model::{Existing, Expectation, Precision, write};
use cellgate_test_support::models::{DARK, contents, equal_shares, mean_logit};
use std::path::PathBuf;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(folder), None) = (arguments.next(), arguments.next()) else {
        anyhow::bail!("usage: stand_in_model FOLDER");
    };
    // The golden image is dark in both the naive and the global conversion, so its logit is the same with either.
    let logit = mean_logit(DARK);
    let mut contents = contents("mean_large.onnx", logit);
    contents.conversion =
        ConversionSpec::new(Method::Global).with_bounds("1700,2800".parse::<Bounds>()?).with_size(Size::PAPER);
    // The network adds up millions of values in f32. The sum is no more precise than this tolerance.
    let expected = Expectation { logit, tolerance: 1e-2, map_tolerance: 1e-5, features_tolerance: 1e-2 };
    contents.golden[0].expected.insert(Precision::F32, expected);
    contents.golden[0].map = equal_shares(Size::PAPER, logit);
    write(&folder, &contents, Existing::Refuse)?;
    Ok(())
}
