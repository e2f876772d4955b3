//! Checks the written ONNX file: ONNX's own checker accepts it, and ONNX Runtime computes the same outputs as libtorch.

use cellgate_models::conversion::{ConversionSpec, Converter, Method, Size};
use cellgate_models::engine::{Engine, OnnxRuntime, OnnxRuntimeOptions, Output, WhitenedFeatures};
use cellgate_models::model::Precision;
use cellgate_models::radiograph::{self, RadiographLimits};
use cellgate_test_support::models::policy;
use cellgate_trainer::export::Differences;
use cellgate_trainer::network::head::{Activation, HeadError};
use cellgate_trainer::network::onnx::OnnxError;
use cellgate_trainer::network::{
    Backbone, Block, Flips, Head, Layer, Pool, Readout, ReadoutError, Stage4, Weights, Whitening, onnx,
};
use std::num::NonZeroUsize;
use tch::Device;

/// `count` values of a sine wave, `step` apart.
fn wave(count: usize, step: f32) -> Vec<f32> {
    (0..count).map(|index| (index as f32 * step).sin()).collect()
}

/// A head with all blocks and all kinds of layers, as an ensemble of two members. The features are standardised by
/// their means and variances over `images`, so that the logits are of moderate size.
fn head(backbone: &Backbone, images: &[Vec<f32>], size: Size, activation: Activation, flips: Flips) -> Head {
    let blocks = Block::ALL.to_vec();
    let features = |image: &Vec<f32>| backbone.features(image, size.height, size.width, &blocks).unwrap();
    let rows: Vec<Vec<f32>> = images.iter().map(features).collect();
    // An ensemble member takes `length` features from `start` on. The weights of its first affine layer standardise them.
    let member = |step: f32, start: usize, length: usize, is_rooted: bool| {
        let root = |value: f32| if is_rooted { value.signum() * value.abs().sqrt() } else { value };
        let mut weight: Vec<f32> = wave(length * 16, step).iter().map(|value| value / (length as f32).sqrt()).collect();
        let mut bias = wave(16, 0.3);
        for column in 0..length {
            let values: Vec<f32> = rows.iter().map(|row| root(row[start + column])).collect();
            let mean = values.iter().sum::<f32>() / values.len() as f32;
            let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / values.len() as f32;
            for (row, bias) in weight.chunks_exact_mut(length).zip(&mut bias) {
                row[column] /= variance.sqrt() + 0.05;
                *bias -= row[column] * mean;
            }
        }
        let outputs = activation.logits();
        let mut layers = vec![Layer::Slice { start, length }];
        layers.extend(is_rooted.then_some(Layer::SignedSqrt));
        layers.extend([
            Layer::Affine { inputs: length, outputs: 16, weight, bias },
            Layer::Relu,
            Layer::Affine { inputs: 16, outputs, weight: wave(16 * outputs, 1.7), bias: vec![0.0; outputs] },
        ]);
        layers
    };
    let means = Block::MEAN_3.width() + Block::MEAN_4.width();
    let members = vec![member(0.7, 0, means, false), member(1.9, means, Block::COVARIANCE_3.width(), true)];
    Head { blocks, members, activation, flips, stage_4: None }
}

/// A whitening of `blocks`. The features are standardised over `images`, so that the whitened features are of moderate size.
fn whitening(backbone: &Backbone, images: &[Vec<f32>], size: Size, blocks: &[Block]) -> Whitening {
    let features = |image: &Vec<f32>| backbone.features(image, size.height, size.width, blocks).unwrap();
    let rows: Vec<Vec<f32>> = images.iter().map(features).collect();
    let width = rows[0].len();
    let mut weight: Vec<f32> = wave(WhitenedFeatures::COUNT * width, 1.1);
    let mut bias = vec![0.0; WhitenedFeatures::COUNT];
    for column in 0..width {
        let values = || rows.iter().map(|row| row[column]);
        let mean = values().sum::<f32>() / rows.len() as f32;
        let variance = values().map(|value| (value - mean).powi(2)).sum::<f32>() / rows.len() as f32;
        for (row, bias) in weight.chunks_exact_mut(width).zip(&mut bias) {
            row[column] /= (variance.sqrt() + 1e-3) * (width as f32).sqrt();
            *bias -= row[column] * mean;
        }
    }
    Whitening { blocks: blocks.to_vec(), weight, bias }
}

/// Writes the network in f32 and in f16, and checks each with ONNX's checker and on `images`: the outputs of ONNX Runtime must be those
/// of libtorch, and each map must sum to its logit.
fn check(backbone: &Backbone, images: &[Vec<f32>], size: Size, activation: Activation, flips: Flips) {
    // The head does not use stage 2.
    let blocks = [Block { stage: 2, pool: Pool::Mean }, Block::MEAN_3, Block::MEAN_4];
    let whitening = whitening(backbone, images, size, &blocks);
    let head = head(backbone, images, size, activation, flips);
    check_readout(backbone, images, size, &Readout { head, whitening });
}

/// As [`check`], for this readout.
fn check_readout(backbone: &Backbone, images: &[Vec<f32>], size: Size, readout: &Readout) {
    let Head { activation, flips, .. } = readout.head;
    let folder = tempfile::tempdir().unwrap();
    let options = OnnxRuntimeOptions { library: None, threads: NonZeroUsize::new(1) };
    let with_head = backbone.with_head(&readout.head).unwrap();
    let output = |image: &Vec<f32>| with_head.output(image, size, &readout.whitening).unwrap();
    let expected: Vec<Output> = images.iter().map(output).collect();
    let infinity = f32::INFINITY;
    let logits = expected.iter().map(|output| output.logit);
    let (low, high) = logits.fold((infinity, -infinity), |(low, high), logit| (low.min(logit), high.max(logit)));
    println!(
        "{} images of {size}, {activation:?}, flips {flips}: libtorch's logits {low:.3} to {high:.3}",
        images.len()
    );
    assert!(high - low > 0.08 && low < 4.6 && high > -4.6, "the logits are too similar to compare");
    let distances = expected.iter().map(|output| output.features.distance(&WhitenedFeatures::ORIGIN));
    let (near, far) =
        distances.fold((f64::MAX, 0.0_f64), |(near, far), distance| (near.min(distance), far.max(distance)));
    println!("  libtorch's distances {near:.3} to {far:.3}");
    assert!(far > 1.0, "the features are too similar to compare");
    for precision in [Precision::F32, Precision::F16] {
        let metadata = [("cellgate.test", "yes".to_owned())];
        let network = onnx::write(backbone.network(), readout, size, precision, &metadata).unwrap();
        let path = folder.path().join(precision.member());
        std::fs::write(&path, &network).unwrap();
        let output = cellgate_test_support::oracle("onnx_check.py", &[path.to_str().unwrap()]).unwrap();
        assert!(output.contains("'cellgate.test': 'yes'"), "{output}");
        // In the f16 network, the weights and biases of the 36 convolutions are in f16: 72 tensors.
        assert_eq!(output.contains("'FLOAT16': 72"), precision == Precision::F16, "{output}");
        let mut engine = OnnxRuntime::new(&network, &options).unwrap();
        assert_eq!(engine.input_size(), size);
        let found: Vec<Output> = images.iter().map(|image| engine.run(image).unwrap()).collect();
        let differences = largest_differences(&found, &expected, far);
        let point = policy([-0.85, 0.85]).without();
        let tolerances = match precision {
            Precision::F32 => Differences::f32_tolerances(point),
            Precision::F16 => {
                let mut engine = OnnxRuntime::new(&onnx::emulate_f16(&network).unwrap(), &options).unwrap();
                let emulated: Vec<Output> = images.iter().map(|image| engine.run(image).unwrap()).collect();
                let emulated = largest_differences(&emulated, &expected, far);
                println!("  emulated f16: {emulated:?}");
                // Half precision has 11 bits.
                assert!(emulated.logit < 0.02 && emulated.map < 0.2 && emulated.features < 0.02, "{emulated:?}");
                emulated.f16_tolerances(point)
            }
        };
        println!("  {precision}: {differences:?}");
        assert_eq!(differences.max(tolerances), tolerances, "{precision}: {differences:?}");
        for Output { logit, map, .. } in found.iter().chain(&expected) {
            assert!(map.sums_to(*logit, tolerances.logit), "{precision}: sum {}, logit {logit}", map.sum());
        }
    }
}

/// The largest differences of the outputs. That of the features is divided by `distance`.
fn largest_differences(found: &[Output], expected: &[Output], distance: f64) -> Differences {
    let of = |(found, expected): (&Output, &Output)| Differences {
        logit: (found.logit - expected.logit).abs(),
        map: found.map.largest_difference(&expected.map).unwrap() / expected.map.largest_share(),
        features: (found.features.distance(&expected.features) / distance) as f32,
    };
    found.iter().zip(expected).map(of).fold(Differences::default(), Differences::max)
}

#[test]
fn onnx_runtime_equals_libtorch_on_random_weights_and_images() {
    let backbone = Backbone::new(&Weights::random(5), Device::Cpu).unwrap();
    let size = Size { height: 75, width: 98 };
    let image = |step: u16| {
        let step = f32::from(step);
        wave(3 * size.pixels(), 0.37 + step)
            .iter()
            .zip(wave(3 * size.pixels(), 0.01 * step))
            .map(|(a, b)| a + b)
            .collect()
    };
    let images: Vec<Vec<f32>> = (1..7).map(image).collect();
    check(&backbone, &images, size, Activation::Softmax, Flips::One);
    check(&backbone, &images[..3], size, Activation::Sigmoid, Flips::Two);
    check(&backbone, &images[..3], size, Activation::Softmax, Flips::Four);

    // The weights of stage 4 that the head has replace those of the backbone.
    let mut head = head(&backbone, &images, size, Activation::Sigmoid, Flips::Two);
    let logit = |head: &Head| backbone.with_head(head).unwrap().logit_and_map(&images[0], size).unwrap().0;
    let frozen = logit(&head);
    let changed = |(name, values): (&String, &Vec<f32>)| {
        let change = wave(values.len(), 0.9);
        (name.clone(), values.iter().zip(change).map(|(value, change)| value * (1.0 + 0.3 * change)).collect())
    };
    let own = Stage4::of(backbone.network()).unwrap();
    head.stage_4 = Some(Stage4::new(own.values().iter().map(changed).collect()));
    let tuned = logit(&head);
    assert!((tuned - frozen).abs() > 0.01, "{tuned} {frozen}");
    let whitening = whitening(&backbone, &images, size, &[Block { stage: 2, pool: Pool::Mean }, Block::MEAN_3]);
    check_readout(&backbone, &images, size, &Readout { head, whitening });
}

#[test]
fn onnx_runtime_equals_libtorch_on_shared_weights_and_radiographs() {
    let (Some(weights), Some(folder)) = (
        cellgate_test_support::shared("weights/resnet34-standin-f16.safetensors"),
        cellgate_test_support::shared("data/elpv12/images"),
    ) else {
        return;
    };
    let backbone = Backbone::open(&weights, Device::Cpu).unwrap();
    let size = Size { height: 224, width: 224 };
    let mut converter = Converter::new(&ConversionSpec::new(Method::Local).with_size(size)).unwrap();
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let images: Vec<Vec<f32>> = paths
        .iter()
        .step_by(paths.len() / 10)
        .map(|path| {
            let mut tensor = vec![0.0; 3 * size.pixels()];
            converter.to_tensor(&radiograph::read(path, &RadiographLimits::default()).unwrap(), &mut tensor).unwrap();
            tensor
        })
        .collect();
    check(&backbone, &images, size, Activation::Sigmoid, Flips::One);
}

#[test]
fn an_inconsistent_head_is_refused_and_unused_stages_are_left_out() {
    let backbone = Backbone::new(&Weights::random(5), Device::Cpu).unwrap();
    let size = Size { height: 64, width: 64 };
    let block = |stage| Block { stage, pool: Pool::Mean };
    let head = |inputs| Head {
        blocks: vec![block(1)],
        members: vec![vec![Layer::Affine { inputs, outputs: 1, weight: vec![1.0; inputs], bias: vec![0.0] }]],
        activation: Activation::Sigmoid,
        flips: Flips::One,
        stage_4: None,
    };
    let whitening = |stage| {
        let (blocks, width) = (vec![block(stage)], block(stage).width());
        Whitening {
            blocks,
            weight: wave(WhitenedFeatures::COUNT * width, 0.1),
            bias: wave(WhitenedFeatures::COUNT, 0.1),
        }
    };
    let write = |head: Head, whitening: Whitening| {
        onnx::write(backbone.network(), &Readout { head, whitening }, size, Precision::F32, &[])
    };
    let error = write(head(65), whitening(1)).unwrap_err();
    assert!(
        matches!(&error, OnnxError::Readout(ReadoutError::Head(HeadError { place, .. })) if place == "ensemble member 0, layer 0"),
        "{error}"
    );
    let error = write(head(64), Whitening { bias: vec![], ..whitening(1) }).unwrap_err();
    assert!(matches!(&error, OnnxError::Readout(ReadoutError::Whitening(_))), "{error}");
    // Head and whitening use stage 1 only, so the file does not hold the other three stages.
    assert!(write(head(64), whitening(1)).unwrap().len() < 2_000_000);
    // The second stage has 1.1 million weights of four bytes.
    assert!(write(head(64), whitening(2)).unwrap().len() > 4_000_000);
}
