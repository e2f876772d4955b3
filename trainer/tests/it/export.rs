//! Tests the export of training runs as models, through the library and by running the program.

use cellgate_models::conversion::{ConversionSpec, Converter, Method, Size};
use cellgate_models::digest::Digest;
use cellgate_models::engine::WhitenedFeatures;
use cellgate_models::model::{Existing, Model, ModelLimits, Precision, RecipeRecord};
use cellgate_models::radiograph::{self, Radiograph};
use cellgate_trainer::dataset::Label;
use cellgate_trainer::export::{
    BackboneFile, Candidate, ExportError, ExportOptions, TrainingRun, TrainingRunError, export,
};
use cellgate_trainer::network::head::Activation;
use cellgate_trainer::network::{Backbone, Block, Flips, Head, Layer, Readout, Whitening};
use cellgate_trainer::results::DatasetSummary;
use std::path::Path;
use std::process::{Command, Output};

/// Writes a training run into `folder`. The backbone has random weights. The head hardly depends on the image: its score is
/// about sigmoid(`bias`). The whitened features are means of channels of stage 3, which the head does not use.
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
        flips: Flips::One,
        stage_4: None,
    };
    let mut weight = vec![0.0; 64 * 256];
    weight.iter_mut().step_by(257).for_each(|weight| *weight = 1.0);
    let readout = Readout { head, whitening: Whitening { blocks: vec![Block::MEAN_3], weight, bias: vec![0.0; 64] } };
    let conversion = ConversionSpec::new(Method::Local).with_size(Size { height: 64, width: 48 });
    let (logit, distance) = logit_and_distance(&image, &files[0], &readout, &conversion);
    let run = TrainingRun {
        version: TrainingRun::VERSION,
        candidates: vec![Candidate {
            digest: Digest::of_file(&image).unwrap(),
            logit,
            distance,
            path: "golden image.tif".into(),
            label: Label::Abnormal,
        }],
        conversion,
        policy: cellgate_test_support::models::policy([-0.85, 0.85]),
        envelope: cellgate_test_support::models::open_envelope(),
        backbone: BackboneFile { path: "zip.pth".into(), digest: Digest::of_file(&files[0]).unwrap() },
        dataset: DatasetSummary { images: 9, bundles: 2, normal: 6, abnormal: 3, digest },
        recipe: RecipeRecord { name: "recommended".into(), config: serde_json::json!({"epochs": 3}) },
        seed: 7,
        metrics: serde_json::from_str(r#"{"overall": {"balanced_accuracy": 0.8125, "interval95": [0.75, 0.875]}}"#)
            .unwrap(),
    };
    run.save(folder, &readout).unwrap();
    assert_eq!(TrainingRun::load(folder).unwrap(), (run.clone(), readout));
    run
}

/// The logit and the distance that libtorch computes for the file `image`.
fn logit_and_distance(image: &Path, weights: &Path, readout: &Readout, conversion: &ConversionSpec) -> (f32, f64) {
    let radiograph = radiograph::read(image, &radiograph::RadiographLimits::default()).unwrap();
    let mut tensor = vec![0.0; 3 * 64 * 48];
    Converter::new(conversion).unwrap().to_tensor(&radiograph, &mut tensor).unwrap();
    let backbone = Backbone::open(weights, tch::Device::Cpu).unwrap();
    let features = |blocks: &[Block]| backbone.features(&tensor, 64, 48, blocks).unwrap();
    let Readout { head, whitening } = readout;
    let whitened = whitening.apply(&features(&whitening.blocks));
    (head.logit(&features(&head.blocks)), whitened.distance(&WhitenedFeatures::ORIGIN))
}

/// Runs `cellgate-trainer export` for the training run in `run`.
fn export_with(run: &Path, out: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cellgate-trainer"));
    command.arg("export").arg(run).arg("--out").arg(out).args(["--precision", "f32,f16"]).args(more).output().unwrap()
}

/// Exports through the library, which must refuse and must not write a model. Returns the error.
fn refused(run: &Path, out: &Path) -> ExportError {
    let precisions = vec![Precision::F32];
    let error =
        export(run, out, &ExportOptions { backbone: None, precisions, existing: Existing::Refuse }).unwrap_err();
    assert!(!out.exists());
    error
}

#[test]
fn a_run_is_exported_only_if_its_files_are_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let (run_folder, out) = (folder.path().join("run"), folder.path().join("model"));
    std::fs::create_dir(&run_folder).unwrap();
    let trained = run(&run_folder, 2.0);

    let output = export_with(&run_folder, &out, &["--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let warning = String::from_utf8(output.stderr).unwrap();
    assert!(warning.starts_with("warning: only 1 candidate(s) for golden images, expected at least 4"), "{warning}");
    assert_eq!(summary["golden"]["is_tight"], true, "{summary}");
    let figure = |precision: &str, name: &str| summary["parity"][precision][name].as_f64().unwrap();
    // ONNX Runtime rounds only the weights of the f16 network. The emulation rounds every result.
    assert!(figure("f16", "emulated_difference") > 1e-7, "{summary}");
    let model = Model::open(&out, &ModelLimits::default()).unwrap();
    assert_eq!(summary["digest"], model.digest().to_string());
    assert_eq!(
        (model.conversion(), model.policy(), model.envelope()),
        (&trained.conversion, &trained.policy, &trained.envelope)
    );
    assert!(model.network(Precision::F32).unwrap().len() > model.network(Precision::F16).unwrap().len());
    assert_eq!(model.golden().len(), 1);
    let features = model.golden().next().unwrap().features().components().to_owned();
    assert!(features.iter().all(|&mean| mean >= 0.0) && features.iter().any(|&mean| mean > 0.01), "{features:?}");
    // The tolerances that the emulation gave are those that a device proves its engine with.
    let expected = |precision| model.golden().next().unwrap().expected(precision).unwrap();
    for (precision, of) in [("f32", expected(Precision::F32)), ("f16", expected(Precision::F16))] {
        assert_eq!(f64::from(of.tolerance), figure(precision, "tolerance"), "{summary}");
    }
    let [of_f32, of_f16] = ["f32", "f16"].map(|precision| figure(precision, "features_tolerance"));
    let emulated = figure("f16", "emulated_features_difference");
    assert!(of_f16 > of_f32 && (of_f16 - 3.0 * emulated).abs() < 1e-6, "{summary}");
    // Digests of weights depend on PyTorch's version, and differences of scores depend on the machine.
    let filters = vec![(r"[0-9a-f]{64}", "DIGEST"), (r"\d\.\de-?\d+", "DIFFERENCE")];
    insta::with_settings!({ filters => filters }, { insta::assert_snapshot!("model_card", model.model_card()) });

    // An existing model stays unless `--replace` is given.
    let output = export_with(&run_folder, &out, &[]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && stderr.contains("--replace"), "{stderr}");
    assert_eq!(Model::open(&out, &ModelLimits::default()).unwrap().digest(), model.digest());

    let output = export_with(&run_folder, &out, &["--replace"]);
    let text = String::from_utf8(output.stdout).unwrap().replace(&folder.path().display().to_string(), "FOLDER");
    let difference = (r"\d\.\de-?\d+", "DIFFERENCE");
    let filters = vec![(r"[0-9a-f]{64}", "DIGEST"), difference];
    insta::with_settings!({ filters => filters }, { insta::assert_snapshot!("text", text) });

    let out = folder.path().join("refused");
    let image = run_folder.join("golden image.tif");
    let bytes = std::fs::read(&image).unwrap();
    std::fs::write(&image, b"another").unwrap();
    let mut errors = vec![refused(&run_folder, &out)];
    assert!(matches!(&errors[0], ExportError::Golden { path, .. } if *path == image), "{}", errors[0]);
    let output = export_with(&run_folder, &out, &[]);
    assert!(output.status.code() == Some(1) && !out.exists());
    std::fs::write(&image, bytes).unwrap();

    let backbone = run_folder.join("zip.pth");
    std::fs::copy(run_folder.join("legacy.pth"), &backbone).unwrap();
    errors.push(refused(&run_folder, &out));
    assert!(matches!(&errors[1], ExportError::Backbone { path, .. } if *path == backbone), "{}", errors[1]);

    let run_json = run_folder.join("run.json");
    let text = std::fs::read_to_string(&run_json).unwrap();
    std::fs::write(&run_json, text.replacen("\"version\": 3", "\"version\": 4", 1)).unwrap();
    errors.push(refused(&run_folder, &out));
    std::fs::remove_file(&run_json).unwrap();
    errors.push(refused(&run_folder, &out));
    for error in &errors[2..] {
        assert!(matches!(error, ExportError::TrainingRun(_)), "{error}");
    }
    let lines = errors.iter().map(|error| format!("{error}\n")).collect::<String>();
    let lines = lines.replace(&folder.path().display().to_string(), "FOLDER");
    insta::with_settings!({ filters => vec![(r"[0-9a-f]{64}", "DIGEST")] }, { insta::assert_snapshot!("errors", lines) });
}

/// `scripts/gpu_check_small.py` reads the files run.json and manifest.json and the output of `export --json`.
#[test]
fn gpu_check_reads_what_a_training_and_an_export_write() {
    let folder = tempfile::tempdir().unwrap();
    let (run_folder, out) = (folder.path().join("run"), folder.path().join("model"));
    std::fs::create_dir(&run_folder).unwrap();
    let mut trained = run(&run_folder, 2.0);
    let output = export_with(&run_folder, &out, &["--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let json = folder.path().join("export.json");
    std::fs::write(&json, &output.stdout).unwrap();

    // As if the export had selected the second one of two candidates, and the training had computed another logit for it.
    let other = Candidate { digest: Digest::of(b"another image"), logit: -3.0, ..trained.candidates[0].clone() };
    trained.candidates[0].logit += 0.25;
    trained.candidates.insert(0, other);
    let (_, readout) = TrainingRun::load(&run_folder).unwrap();
    trained.save(&run_folder, &readout).unwrap();
    let script = "import json, sys, gpu_check_small\n\
                  print(json.dumps(gpu_check_small.parity(*(json.load(open(path)) for path in sys.argv[1:]))))";
    let mut python = Command::new("python3");
    python.args(["-c", script]).args([run_folder.join("run.json"), out.join("manifest.json"), json]);
    // The script's folder must not get compiled modules.
    python.env("PYTHONPATH", cellgate_test_support::root().join("scripts")).env("PYTHONDONTWRITEBYTECODE", "1");
    let output = python.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let figures: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!((figures["largest_difference"].as_f64().unwrap() - 0.25).abs() < 0.01, "{figures}");
    assert_eq!(figures["images"], 1);
    let tolerance = summary["parity"]["f32"]["tolerance"].as_f64().unwrap();
    assert!((figures["tolerance"].as_f64().unwrap() - tolerance).abs() < 1e-3 * tolerance, "{figures} {summary}");
    for precision in ["f32", "f16"] {
        assert_eq!(figures["onnxruntime"][precision], summary["parity"][precision]["largest_difference"], "{summary}");
        assert!(figures["onnxruntime"][precision].is_f64(), "{figures}");
    }
}

/// The margin from the thresholds depends on the precision.
#[test]
fn a_run_whose_only_candidate_is_near_a_threshold_is_exported_in_f32_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (run_folder, out) = (folder.path().join("run"), folder.path().join("model"));
    std::fs::create_dir(&run_folder).unwrap();
    let mut trained = run(&run_folder, 2.0);
    // The logit must depend on the image, so that f16 changes it.
    let (_, mut readout) = TrainingRun::load(&run_folder).unwrap();
    let Layer::Affine { weight, .. } = &mut readout.head.members[0][0] else { panic!("the head is one affine layer") };
    weight.iter_mut().for_each(|weight| *weight *= 300.0);
    let files = ["golden image.tif", "zip.pth"].map(|name| run_folder.join(name));
    let (logit, _) = logit_and_distance(&files[0], &files[1], &readout, &trained.conversion);
    trained.candidates[0].logit = logit;
    trained.save(&run_folder, &readout).unwrap();
    let export = |precisions: Vec<Precision>| {
        export(&run_folder, &out, &ExportOptions { backbone: None, precisions, existing: Existing::Replace })
    };
    let exported = export(vec![Precision::F32, Precision::F16]).unwrap();
    let [of_f32, of_f16] = [0, 1].map(|index| f64::from(exported.parity[index].tolerances.logit));
    assert!(of_f16 > 1.5 * of_f32, "{exported:?}");
    assert_eq!(exported.selection.margins.logit, 2.0 * of_f16);

    let near = f64::from(logit) + 1.9 * of_f16;
    trained.policy = cellgate_test_support::models::policy([near, near]);
    trained.save(&run_folder, &readout).unwrap();
    let error = export(vec![Precision::F32, Precision::F16]).unwrap_err();
    let is_named = matches!(
        error,
        ExportError::NoneSuitable { candidates: 1, precision: Precision::F16, farthest, .. }
            if (farthest - 1.9 * of_f16).abs() < of_f32
    );
    assert!(is_named, "{error}");
    let exported = export(vec![Precision::F32]).unwrap();
    assert_eq!((exported.selection.golden, exported.parity[0].emulated), (1, None));

    // Without f16, a candidate that is not selected is not read.
    let missing = Candidate { logit: near as f32, path: "missing.tif".into(), ..trained.candidates[0].clone() };
    trained.candidates.push(missing);
    trained.save(&run_folder, &readout).unwrap();
    let selection = export(vec![Precision::F32]).unwrap().selection;
    assert_eq!((selection.golden, selection.suitable, selection.candidates), (1, 1, 2));
    let error = export(vec![Precision::F32, Precision::F16]).unwrap_err();
    assert!(matches!(&error, ExportError::Golden { path, .. } if path.ends_with("missing.tif")), "{error}");
}

#[test]
fn a_run_that_cannot_be_written_gives_an_error_of_writing() {
    let folder = tempfile::tempdir().unwrap();
    let trained = run(folder.path(), 2.0);
    let (_, readout) = TrainingRun::load(folder.path()).unwrap();
    let full = folder.path().join("full");
    // A file can't replace a folder.
    std::fs::create_dir_all(full.join("run.json")).unwrap();
    let error = trained.save(&full, &readout).unwrap_err();
    assert!(matches!(error, TrainingRunError::Write(_)), "{error}");
}

#[cfg(not(feature = "tensorrt"))]
#[test]
fn without_the_feature_tensorrt_plans_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), 2.0);
    let out = folder.path().join("model");
    let output = export_with(folder.path(), &out, &["--tensorrt", "sm86"]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && stderr.contains("--features"), "{stderr}");
    assert!(!out.exists());
}

/// The real TensorRT for RTX builds plans of the exported networks for two GPU architectures. Building plans needs no GPU.
#[cfg(feature = "tensorrt")]
#[test]
fn plans_are_written_beside_the_model_with_the_conversion() {
    let folder = tempfile::tempdir().unwrap();
    let trained = run(folder.path(), 2.0);
    let out = folder.path().join("model");
    let plans = folder.path().join("model-plans");

    let refused = |targets: &str, expected: &[&str]| {
        let output = export_with(folder.path(), &out, &["--tensorrt", targets]);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && expected.iter().all(|token| stderr.contains(token)), "{stderr}");
        assert!(!out.exists());
    };
    refused("sm86,sm90", &["sm90", "sm75", "sm80", "sm86", "sm89", "sm120", "sm121"]);
    refused("ampere", &["`ampere`"]);
    std::fs::create_dir(&plans).unwrap();
    refused("sm86", &["model-plans", "--replace"]);
    std::fs::remove_dir(&plans).unwrap();

    let output = export_with(folder.path(), &out, &["--tensorrt", "sm86,sm89"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let model = Model::open(&out, &ModelLimits::default()).unwrap();
    let read = |name: &str| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(plans.join(name)).unwrap()).unwrap()
    };
    let index = read("plans.json");
    assert_eq!(index["model"], model.digest().to_string());
    let conversion: ConversionSpec = serde_json::from_value(read("conversion.json")).unwrap();
    assert_eq!(conversion, trained.conversion);
    let lines = index["plans"].as_array().unwrap();
    assert_eq!(lines.len(), 4);
    for (line, (target, precision)) in
        lines.iter().zip([("sm86", "f32"), ("sm86", "f16"), ("sm89", "f32"), ("sm89", "f16")])
    {
        assert_eq!(line["file"], format!("{target}-{precision}.plan"));
        assert_eq!((line["target"].as_str(), line["precision"].as_str()), (Some(target), Some(precision)));
        assert_eq!(line["inputs"], serde_json::json!(["`image` f32 [1, 3, 64, 48]"]));
        assert!(line["outputs"][0].as_str().unwrap().starts_with("`logit` f32 [1"), "{line}");
        let plan = std::fs::read(plans.join(line["file"].as_str().unwrap())).unwrap();
        assert_eq!(line["sha256"], Digest::of(&plan).to_string());
        let faults = cellgate_models::plan::faults(&plan, None).unwrap();
        assert!(faults.is_empty(), "{faults:?}");
        // A plan contains the 21 million weights, of two or four bytes each. TensorRT may store zeros in fewer bytes,
        // so the size is only roughly known.
        let weights = if precision == "f16" { 42_000_000 } else { 84_000_000 };
        assert!((weights / 2..2 * weights).contains(&plan.len()), "{line}");
        eprintln!("{}: {} bytes", line["file"], plan.len());
    }
    // An export with `--replace` replaces the model and the plans.
    let output = export_with(folder.path(), &out, &["--tensorrt", "sm80", "--replace"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(read("plans.json")["plans"].as_array().unwrap().len(), 2);
}
