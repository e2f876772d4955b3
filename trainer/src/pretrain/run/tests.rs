use super::*;
use crate::network::Weights;
use cellgate_models::conversion::Size;
use std::sync::atomic::AtomicBool;

const CONFIG: PretrainConfig =
    PretrainConfig { seed: 3, batch: 2, crop: Size { height: 64, width: 64 }, learning_rate: 1e-3 };

fn pretrain(out: &Path, config: PretrainConfig, steps: u64) -> Result<Summary, PretrainError> {
    let stop = AtomicBool::new(false);
    let budget = Budget::Steps(steps);
    run(&Run { out, config, budget, device: Device::Cpu, stop: &stop, command: "pretrain" })
}

#[test]
fn a_pre_training_is_continued_from_its_checkpoint_and_its_weights_are_a_backbone() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    assert_eq!(pretrain(out, CONFIG, 1).unwrap().steps, 1);
    let (state, network, optimizer) = checkpoint::read(&out.join(checkpoint::FILE), Device::Cpu).unwrap().unwrap();
    assert_eq!((state.steps, optimizer.steps), (1, 1));
    assert!(optimizer.moments["head.map3.weight"][1].max().double_value(&[]) > 0.0);

    // One more step by hand, as the continued pre-training should do it: batch 1 of the stream, with the saved moments.
    let mut optimizer = optimizer;
    let block = Stream::of_training(&CONFIG).block(0).unwrap();
    let batch = block[1].tensors(Device::Cpu).unwrap();
    let images = normalised(&batch.levels).unwrap();
    loss(&network.forward(&images, true).unwrap(), &batch).unwrap().total.backward();
    optimizer.step(&network.tensors, |_| CONFIG.learning_rate * rate(0.5)).unwrap();

    let summary = pretrain(out, CONFIG, 2).unwrap();
    assert_eq!((summary.steps, summary.images, summary.finished), (2, 4, true));
    let (_, continued, _) = checkpoint::read(&out.join(checkpoint::FILE), Device::Cpu).unwrap().unwrap();
    for name in ["conv1.weight", "fc.weight", "layer4.2.bn2.running_var", "head.map3.bias"] {
        let error = (&network.tensors[name] - &continued.tensors[name]).abs().max().double_value(&[]);
        assert!(error < 1e-6, "{name}: {error}");
    }

    let weights = Weights::read(&summary.weights).unwrap();
    assert!(weights.fc().is_some());
    let error = (weights.tensor("layer1.0.conv1.weight") - &continued.tensors["layer1.0.conv1.weight"]).abs().max();
    assert!(error.double_value(&[]) < 1e-3);
    // The weights file has 43.6 MB.
    assert_eq!(std::fs::metadata(&summary.weights).unwrap().len().div_ceil(1_000_000), 44);
    let card = std::fs::read_to_string(out.join("model-card.md")).unwrap();
    // These figures and names depend on the machine.
    let filters = vec![
        (r"[0-9a-f]{64}", "DIGEST"),
        (r"\| time \| .* \|", "| time | TIME |"),
        (r"\| machine \| .* \|", "| machine | MACHINE |"),
        (r"\d+\.\d{3} \|", "FIGURE |"),
    ];
    insta::with_settings!({ filters => filters }, { insta::assert_snapshot!("model_card", card) });
}

#[test]
fn a_damaged_checkpoint_and_one_with_other_settings_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(checkpoint::FILE);
    let refused = |config| pretrain(folder.path(), config, 1).unwrap_err();
    let is_damaged =
        |error: &PretrainError| matches!(error, PretrainError::Checkpoint { path: found, .. } if *found == path);
    std::fs::write(&path, b"not a checkpoint").unwrap();
    assert!(is_damaged(&refused(CONFIG)), "{}", refused(CONFIG));
    let network = TrainableNetwork::random(1, Device::Cpu).unwrap();
    let optimizer = optimizer(&network).unwrap();
    checkpoint::write(&path, &State::new(CONFIG), &network, &optimizer).unwrap();
    let error = refused(PretrainConfig { seed: 4, ..CONFIG });
    let PretrainError::OtherRun { found, expected, .. } = &error else { panic!("{error}") };
    assert!(found.contains("seed: 3") && expected.contains("seed: 4"), "{error}");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 1000]).unwrap();
    assert!(is_damaged(&refused(CONFIG)), "{}", refused(CONFIG));
}

#[test]
fn a_stopped_pre_training_writes_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let stop = AtomicBool::new(true);
    let budget = Budget::Minutes(5.0);
    let config = CONFIG;
    let stopped =
        run(&Run { out: folder.path(), config, budget, device: Device::Cpu, stop: &stop, command: "pretrain" })
            .unwrap();
    assert_eq!((stopped.steps, stopped.finished), (0, false));
    assert!(checkpoint::read(&folder.path().join(checkpoint::FILE), Device::Cpu).unwrap().is_some());
}

#[test]
fn a_folder_with_other_files_is_refused_and_keeps_all_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let temporary = folder.path().join(format!("{}x", files::TEMPORARY));
    std::fs::write(&temporary, b"of another program").unwrap();
    std::fs::write(folder.path().join("thesis.tex"), b"").unwrap();
    let error = pretrain(folder.path(), CONFIG, 1).unwrap_err();
    assert!(matches!(error, PretrainError::OtherFiles { .. }), "{error}");
    assert!(temporary.exists());
    // Without the other file, the folder is that of a pre-training that was killed before its first checkpoint.
    std::fs::remove_file(folder.path().join("thesis.tex")).unwrap();
    drop(lock(folder.path()).unwrap());
    assert!(!temporary.exists());
}
