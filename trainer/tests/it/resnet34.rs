//! Compares the backbone with PyTorch: the same weights and input must give the same maps, for each format of a weights file.

use cellgate_trainer::network::resnet34::ResNet34;
use cellgate_trainer::network::weights::Weights;
use std::path::Path;
use tch::{Device, Tensor};

/// Largest allowed difference, relative to the largest absolute value in the maps of the stage.
const TOLERANCE: f64 = 1e-4;

/// An input of 3 x `height` x `width` values from -2 to 2. The values look random, because 7919 and 10,007 are prime numbers.
fn image(height: i64, width: i64) -> Vec<f32> {
    (0..3 * height * width).map(|index| ((index * 7919) % 10_007) as f32 / 2500.0 - 2.0).collect()
}

/// Checks the maps of all four stages for one input, against those that PyTorch computes with the weights file `weights`.
fn assert_equal_to_pytorch(weights: &Path, (height, width): (i64, i64)) {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("input.f32"), folder.path().join("output.f32"));
    let image = image(height, width);
    let bytes: Vec<u8> = image.iter().flat_map(|value| value.to_le_bytes()).collect();
    std::fs::write(&input, bytes).unwrap();
    let (height_text, width_text) = (height.to_string(), width.to_string());
    let paths = [weights, &input, &output].map(|path| path.to_str().unwrap());
    cellgate_test_support::oracle("resnet34.py", &["stages", paths[0], paths[1], &height_text, &width_text, paths[2]])
        .unwrap();
    let expected = std::fs::read(&output).unwrap();
    let expected: Vec<f32> = expected.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();

    let network = ResNet34::new(&Weights::read(weights).unwrap(), Device::Cpu).unwrap();
    let maps = network.forward(&Tensor::from_slice(&image).view([1, 3, height, width]), 4).unwrap();
    let mut rest = expected.as_slice();
    for (stage, maps) in maps.iter().enumerate() {
        let (expected, after) = rest.split_at(maps.numel());
        rest = after;
        let expected = Tensor::from_slice(expected).view_as(maps);
        let scale = expected.abs().max().double_value(&[]);
        let difference = (maps - &expected).abs().max().double_value(&[]) / scale;
        println!("{} {height}x{width} stage {}: {difference:.1e}", weights.display(), stage + 1);
        assert!(scale > 0.1 && difference <= TOLERANCE, "stage {}: {difference:e} of {scale}", stage + 1);
    }
    assert!(rest.is_empty());
}

#[test]
fn both_formats_of_torch_save_give_pytorchs_maps() {
    let folder = tempfile::tempdir().unwrap();
    let files = ["zip.pth", "legacy.pth"].map(|name| folder.path().join(name));
    cellgate_test_support::oracle(
        "resnet34.py",
        &["make-weights", "1", files[0].to_str().unwrap(), files[1].to_str().unwrap()],
    )
    .unwrap();
    assert_equal_to_pytorch(&files[0], (97, 75));
    assert_equal_to_pytorch(&files[1], (64, 128));
}

#[test]
fn the_shared_half_precision_weights_give_pytorchs_maps() {
    if let Some(weights) = cellgate_test_support::shared("weights/resnet34-standin-f16.safetensors") {
        assert_equal_to_pytorch(&weights, (224, 224));
    }
}
