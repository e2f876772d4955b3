//! `export` from a run's folder to a verified model, by the program itself.

use cellgate_models::model::{Model, Limits, Precision, Recipe};
use cellgate_models::conversion::{ConversionSpec, Converter, Method, Size};
use cellgate_models::digest::Digest;
use cellgate_models::policy::Policy;
use cellgate_models::radiograph::{self, Radiograph};
use cellgate_trainer::dataset::Label;
use cellgate_trainer::export::{BackboneFile, GoldenImage, TrainingRun};
use cellgate_trainer::network::head::Activation;
use cellgate_trainer::network::{Backbone, Block, Head, Layer};
use cellgate_trainer::results::DatasetSummary;
use std::path::Path;
use std::process::{Command, Output};

/// A run with random backbone weights and a head that ignores the image: its score is the bias's.
fn run(folder: &Path, bias: f32) -> TrainingRun {
    let files = ["zip.pth", "legacy.pth"].map(|name| folder.join(name));
    cellgate_test_support::oracle(
        "resnet34.py",
        &["make-weights", "1", files[0].to_str().unwrap(), files[1].to_str().unwrap()],
    )
    .unwrap();
    let image = folder.join("golden image.tif");
    let levels = (0..60 * 50).map(|pixel| 1700 + pixel % 900).collect();
    radiograph::write(&image, &Radiograph::new(60, 50, levels).unwrap()).unwrap();
    let digest = Digest::of(b"a data set");
    let weight: Vec<f32> = (0..512).map(|index| (index as f32).sin() * 1e-3).collect();
    let head = Head {
        blocks: vec![Block::MEAN_4],
        members: vec![vec![Layer::Affine { inputs: 512, outputs: 1, weight, bias: vec![bias] }]],
        activation: Activation::Sigmoid,
    };
    let conversion = ConversionSpec::new(Method::Local).with_size(Size { height: 64, width: 48 });
    let model = TrainingRun {
        version: TrainingRun::VERSION,
        golden: vec![GoldenImage {
            digest: Digest::of_file(&image).unwrap(),
            score: score(&image, &files[0], &head, &conversion),
            path: "golden image.tif".into(),
            label: Label::Abnormal,
        }],
        conversion,
        policy: Policy::new(0.3, 0.7).unwrap(),
        backbone: BackboneFile { path: "zip.pth".into(), digest: Digest::of_file(&files[0]).unwrap() },
        dataset: DatasetSummary { images: 9, bundles: 2, normal: 6, abnormal: 3, digest },
        recipe: Recipe { name: "recommended".into(), config: serde_json::json!({"epochs": 3}) },
        seed: 7,
        metrics: serde_json::from_str(r#"{"overall": {"balanced_accuracy": 0.8125, "interval95": [0.75, 0.875]}}"#)
            .unwrap(),
    };
    model.save(folder, &head).unwrap();
    assert_eq!(TrainingRun::load(folder).unwrap(), (model.clone(), head));
    model
}

/// libtorch's score of the file `image`.
fn score(image: &Path, weights: &Path, head: &Head, conversion: &ConversionSpec) -> f32 {
    let radiograph = radiograph::read(image, &radiograph::Limits::default()).unwrap();
    let mut tensor = vec![0.0; 3 * 64 * 48];
    Converter::new(conversion).unwrap().to_tensor(&radiograph, &mut tensor).unwrap();
    let backbone = Backbone::open(weights, tch::Device::Cpu).unwrap();
    head.score(&backbone.features(&tensor, 64, 48, &head.blocks).unwrap())
}

fn export(run: &Path, out: &Path) -> Output {
    export_with(run, out, &[])
}

fn export_with(run: &Path, out: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cellgate-trainer"));
    command.arg("export").arg(run).arg("--out").arg(out).args(["--precision", "f32,f16"]).args(more).output().unwrap()
}

#[test]
fn a_run_becomes_a_model_only_if_all_is_as_at_training() {
    let folder = tempfile::tempdir().unwrap();
    let (run_folder, out) = (folder.path().join("run"), folder.path().join("model"));
    std::fs::create_dir(&run_folder).unwrap();
    let trained = run(&run_folder, 2.0);

    let output = export(&run_folder, &out);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(summary["parity"]["f16"]["largest_difference"].as_f64().unwrap() < 5e-3, "{summary}");
    let model = Model::open(&out, &Limits::default()).unwrap();
    assert_eq!(summary["digest"], model.digest().to_string());
    assert_eq!((model.conversion(), model.policy()), (&trained.conversion, &trained.policy));
    assert!(model.network(Precision::F32).unwrap().len() > model.network(Precision::F16).unwrap().len());
    assert_eq!(model.golden().len(), 1);
    for part in [
        "9 images of 2 bundles",
        "overall.balanced_accuracy | 0.8125",
        "below 0.3 is PASS",
        "Limits of use",
        "trained on is unknown",
    ] {
        assert!(model.model_card().contains(part), "{part}: {}", model.model_card());
    }

    let output = export(&run_folder, &out);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(1) && said.contains("exists already; give another --out, or --replace"),
        "{said}"
    );

    // Another image in the place of the golden one, another backbone, an unfinished run: no model.
    let refused = |expected: &str| {
        let out = folder.path().join("refused");
        let output = export(&run_folder, &out);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && said.contains(expected), "{said}");
        assert!(!out.exists());
    };
    let image = run_folder.join("golden image.tif");
    let bytes = std::fs::read(&image).unwrap();
    std::fs::write(&image, b"another").unwrap();
    refused("expected the golden image of SHA-256");
    std::fs::write(&image, bytes).unwrap();
    std::fs::copy(run_folder.join("legacy.pth"), run_folder.join("zip.pth")).unwrap();
    refused("which the model was trained with");
    std::fs::remove_file(run_folder.join("run.json")).unwrap();
    refused("expected the folder of a finished `train` run");
}

#[cfg(not(feature = "tensorrt"))]
#[test]
fn without_the_feature_plans_are_refused_with_how_to_get_them() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), 2.0);
    let out = folder.path().join("model");
    let output = export_with(folder.path(), &out, &["--tensorrt", "sm86"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("--features tensorrt"), "{said}");
    assert!(!out.exists());
}

/// Real TensorRT for RTX builds plans of the exported networks, for two architectures, on a machine without a GPU.
#[cfg(feature = "tensorrt")]
#[test]
fn plans_stand_beside_the_model_with_the_conversion() {
    let folder = tempfile::tempdir().unwrap();
    let model = run(folder.path(), 2.0);
    let out = folder.path().join("model");
    let plans = folder.path().join("model-plans");

    let refused = |targets: &str, expected: &str| {
        let output = export_with(folder.path(), &out, &["--tensorrt", targets]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && said.contains(expected), "{said}");
        assert!(!out.exists());
    };
    refused("sm86,sm90", "builds no plan for sm90; it builds for: sm75, sm80, sm86, sm89, sm120, sm121");
    refused("ampere", "expected a compute capability such as sm86 or sm120, found `ampere`");
    std::fs::create_dir(&plans).unwrap();
    refused("sm86", "exists already");
    std::fs::remove_dir(&plans).unwrap();

    let output = export_with(folder.path(), &out, &["--tensorrt", "sm86,sm89"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let model = Model::open(&out, &Limits::default()).unwrap();
    let read = |name: &str| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(plans.join(name)).unwrap()).unwrap()
    };
    let index = read("plans.json");
    assert_eq!(index["model"], model.digest().to_string());
    let conversion: ConversionSpec = serde_json::from_value(read("conversion.json")).unwrap();
    assert_eq!(conversion, model.conversion);
    let lines = index["plans"].as_array().unwrap();
    assert_eq!(lines.len(), 4);
    for (line, (target, precision)) in
        lines.iter().zip([("sm86", "f32"), ("sm86", "f16"), ("sm89", "f32"), ("sm89", "f16")])
    {
        assert_eq!(line["file"], format!("{target}-{precision}.plan"));
        assert_eq!((line["target"].as_str(), line["precision"].as_str()), (Some(target), Some(precision)));
        assert_eq!(line["inputs"], serde_json::json!(["`image` f32 [1, 3, 64, 48]"]));
        assert!(line["outputs"][0].as_str().unwrap().starts_with("`score` f32 [1"), "{line}");
        let plan = std::fs::read(plans.join(line["file"].as_str().unwrap())).unwrap();
        assert_eq!(line["sha256"], Digest::of(&plan).to_string());
        let faults = cellgate_models::plan::faults(&plan, None).unwrap();
        assert!(faults.is_empty(), "{faults:?}");
        // Its weights are inside: 21 million, of two or four bytes, the zeros among them packed.
        let weights = if precision == "f16" { 42_000_000 } else { 84_000_000 };
        assert!((weights / 2..2 * weights).contains(&plan.len()), "{line}");
        eprintln!("{}: {} bytes", line["file"], plan.len());
    }
    // A second time, in the place of the first.
    let output = export_with(folder.path(), &out, &["--tensorrt", "sm80", "--replace"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(read("plans.json")["plans"].as_array().unwrap().len(), 2);
}
