//! Checkpoints of PyTorch as `--backbone`: those of training scripts are read, others are named for what they hold, and none runs
//! code.

use cellgate_test_support::oracle;
use cellgate_trainer::network::Weights;
use cellgate_trainer::network::weights::{NoWeights, WeightsError};
use std::process::Command;

#[test]
fn checkpoints_are_read_or_named_for_what_they_hold() {
    let folder = tempfile::tempdir().unwrap();
    oracle("checkpoints.py", &[folder.path().to_str().unwrap()]).unwrap();
    let read = |name: &str| Weights::read(&folder.path().join(name));

    let (expected, bias) = read("plain.pth").unwrap().fc().unwrap();
    assert_eq!((expected.len(), bias.len()), (512_000, 1000));
    for name in ["legacy.pth", "example.pth"] {
        assert!(read(name).unwrap().fc().unwrap().0 == expected, "{name}");
    }
    assert!(read("encoder.ckpt").unwrap().fc().is_none());

    let other_network = |name: &str| match read(name).unwrap_err() {
        WeightsError::NotResNet34 { found, other, .. } => (found, other),
        error => panic!("{name}: {error}"),
    };
    let (found, _) = other_network("resnet18.pth");
    assert_eq!(found, "ResNet-18 below `module.`");
    let (found, other) = other_network("one.pth");
    assert!(found.starts_with("1 of ") && found.contains("below `state_dict.module.`"), "{found}");
    assert!(other.contains(&"arch 'resnet34'".to_owned()), "{other:?}");
    assert!(other_network("ema.pth").0.contains("below `state_dict.` and `state_dict_ema.`"));

    for name in ["sparse.pth", "quantised.pth", "integers.pth", "meta.pth"] {
        let error = read(name).unwrap_err();
        let WeightsError::NotPlain { tensors, .. } = &error else { panic!("{name}: {error}") };
        assert!(matches!(&tensors[..], [one] if one.starts_with("conv1.weight (")), "{name}: {error}");
    }
    let script = read("script.pt").unwrap_err();
    assert!(matches!(script, WeightsError::NoWeights { found: NoWeights::TorchScript, .. }), "{script}");

    for (name, object) in
        [("code.pth", "posix.mkdir"), ("code.pkl", "posix.mkdir"), ("module.pth", "torch.nn.modules.linear.Linear")]
    {
        let error = read(name).unwrap_err();
        assert!(matches!(&error, WeightsError::Unsupported { found, .. } if found.contains(object)), "{name}: {error}");
        // PyTorch's own advice.
        assert!(!error.to_string().contains("weights_only"), "{name}: {error}");
    }
    assert!(!folder.path().join("code").exists());
    for name in ["bomb.pth", "torn.pth"] {
        let error = read(name).unwrap_err();
        assert!(matches!(error, WeightsError::Malformed { .. }), "{name}: {error}");
    }
}

#[test]
fn a_missing_python_and_one_without_torch_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("x.pth");
    std::fs::write(&checkpoint, b"PK\x03\x04").unwrap();
    let image = folder.path().join("data/b1/normal/1.tif");
    std::fs::create_dir_all(image.parent().unwrap()).unwrap();
    std::fs::write(&image, "").unwrap();
    for (python, expected) in
        [("/nowhere/python3", "found none at /nowhere/python3"), ("/bin/cat", "/bin/cat could not read it")]
    {
        let output = Command::new(env!("CARGO_BIN_EXE_cellgate-trainer"))
            .args(["features", "--backbone"])
            .args([&checkpoint, &folder.path().join("data")])
            .env("CELLGATE_PYTHON", python)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && said.contains(expected), "{said}");
        assert!(said.contains("scripts/setup") && said.contains("CELLGATE_PYTHON"), "{said}");
    }
}
