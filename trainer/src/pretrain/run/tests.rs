use super::*;
use crate::network::Weights;
use cellgate_models::conversion::Size;
use std::sync::atomic::AtomicBool;

const CONFIG: PretrainConfig =
    PretrainConfig { seed: 3, batch: 2, crop: Size { height: 64, width: 64 }, learning_rate: 1e-3 };

fn go(out: &Path, config: PretrainConfig, steps: u64) -> Result<Summary, PretrainError> {
    let stop = AtomicBool::new(false);
    let budget = Budget::Steps(steps);
    run(&Run { out, config, budget, device: Device::Cpu, stop: &stop, command: "pretrain" })
}

#[test]
fn a_run_goes_on_where_it_was_and_its_weights_are_a_backbone() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    assert_eq!(go(out, CONFIG, 1).unwrap().steps, 1);
    let (state, network, optimizer) = checkpoint::read(&out.join(checkpoint::FILE), Device::Cpu).unwrap().unwrap();
    assert_eq!((state.steps, optimizer.steps), (1, 1));
    assert!(optimizer.moments["head.map3.weight"][1].max().double_value(&[]) > 0.0);

    // By hand one step further, as the run itself should go on: batch 1 of the stream, the same moments.
    let mut optimizer = optimizer;
    let answers = Stream::new(3, 2, CONFIG.crop).batch(1).unwrap().tensors(Device::Cpu).unwrap();
    let images = normalised(&answers.levels).unwrap();
    loss(&network.forward(&images, true).unwrap(), &answers).unwrap().total.backward();
    optimizer.step(&network, CONFIG.learning_rate * rate(0.5)).unwrap();

    let summary = go(out, CONFIG, 2).unwrap();
    assert_eq!((summary.steps, summary.images, summary.finished), (2, 4, true));
    let (_, gone_on, _) = checkpoint::read(&out.join(checkpoint::FILE), Device::Cpu).unwrap().unwrap();
    for name in ["conv1.weight", "fc.weight", "layer4.2.bn2.running_var", "head.map3.bias"] {
        let error = (&network.tensors[name] - &gone_on.tensors[name]).abs().max().double_value(&[]);
        assert!(error < 1e-6, "{name}: {error}");
    }

    let weights = Weights::read(&summary.weights).unwrap();
    assert!(weights.fc().is_some());
    let error = (weights.tensor("layer1.0.conv1.weight") - &gone_on.tensors["layer1.0.conv1.weight"]).abs().max();
    assert!(error.double_value(&[]) < 1e-3);
    assert_eq!(std::fs::metadata(&summary.weights).unwrap().len().div_ceil(1_000_000), 44);
    let card = std::fs::read_to_string(out.join("model-card.md")).unwrap();
    assert!(card.contains("| seed | 3 |") && card.contains("| steps | 2 of 2 crops of 64x64"), "{card}");
}

#[test]
fn what_is_no_checkpoint_of_this_run_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(checkpoint::FILE);
    let refused = |config| format!("{:#}", go(folder.path(), config, 1).unwrap_err());
    std::fs::write(&path, b"nothing of the kind").unwrap();
    assert!(refused(CONFIG).contains("no checkpoint to go on from"), "{}", refused(CONFIG));
    let network = TrainableNetwork::random(1, Device::Cpu).unwrap();
    let optimizer = Optimizer::new(&network).unwrap();
    checkpoint::write(&path, &State::new(CONFIG), &network, &optimizer).unwrap();
    let other = refused(PretrainConfig { seed: 4, ..CONFIG });
    assert!(other.contains("seed: 3") && other.contains("seed: 4") && other.contains("name another folder"), "{other}");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 1000]).unwrap();
    assert!(refused(CONFIG).contains("no checkpoint to go on from"), "{}", refused(CONFIG));
}

#[test]
fn a_stop_ends_the_run_with_a_checkpoint() {
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
