//! Where in a file ResNet-34 is: training scripts put a network into dictionaries (`state_dict`, `model`) and modules
//! (`module.`, `backbone.`, `encoder.`), which prefix its tensors' names.

use crate::network::architecture;
use std::collections::{BTreeMap, BTreeSet};

/// What every ResNet begins with.
const FIRST: &str = "conv1.weight";
/// Blocks of the four stages of ResNet-34.
const BLOCKS: [usize; 4] = [3, 4, 6, 3];
/// From this share of ResNet-34's tensors on, a file is taken for one with some missing, which are then named.
const NEARLY: f64 = 0.9;
/// Most tensors that are named of a file that holds something else.
const MAX_NAMED: usize = 3;

/// The prefix of ResNet-34's tensors among tensors with the names and shapes `tensors`.
///
/// # Errors
/// What the file holds instead, for people.
pub(super) fn prefix(tensors: &BTreeMap<String, Vec<i64>>) -> Result<String, String> {
    let names = architecture::tensors();
    let held = |prefix: &str| {
        let is_there = |name: &str| tensors.contains_key(&format!("{prefix}{name}"));
        names.iter().filter(|(name, _)| is_there(name)).count()
    };
    let prefixes = tensors.keys().filter_map(|name| name.strip_suffix(FIRST));
    let prefixes: Vec<(&str, usize)> = prefixes
        .filter(|prefix| prefix.is_empty() || prefix.ends_with('.'))
        .map(|prefix| (prefix, held(prefix)))
        .collect();
    let complete: Vec<_> =
        prefixes.iter().filter(|(prefix, held)| *held == names.len() && is_resnet34(tensors, prefix)).collect();
    match complete[..] {
        [(prefix, _)] => return Ok((*prefix).to_owned()),
        [] => {}
        [..] => {
            let quoted: Vec<_> = complete.iter().map(|(prefix, _)| format!("`{prefix}`")).collect();
            return Err(format!("{} networks of ResNet-34's layers, below {}", complete.len(), quoted.join(" and ")));
        }
    }
    let Some((prefix, held)) = prefixes.into_iter().max_by_key(|(_, held)| *held) else {
        return Err(listed(tensors, ""));
    };
    let place = if prefix.is_empty() { String::new() } else { format!(" below `{prefix}`") };
    if !is_resnet34(tensors, prefix) && held > 1 {
        return Err(format!("{}{place}", name_of(tensors, prefix)));
    }
    if (held as f64) < NEARLY * names.len() as f64 {
        return Err(format!("{held} of {} tensors of ResNet-34{place}: {}", names.len(), listed(tensors, prefix)));
    }
    Ok(prefix.to_owned())
}

/// Whether the residual network below `prefix` has ResNet-34's blocks.
fn is_resnet34(tensors: &BTreeMap<String, Vec<i64>>, prefix: &str) -> bool {
    blocks(tensors, prefix) == (BLOCKS, false)
}

/// The number of blocks in each stage, and whether they are bottlenecks.
fn blocks(tensors: &BTreeMap<String, Vec<i64>>, prefix: &str) -> ([usize; 4], bool) {
    let mut found = [(); 4].map(|()| BTreeSet::new());
    let mut bottleneck = false;
    for name in tensors.keys().filter_map(|name| name.strip_prefix(prefix)?.strip_prefix("layer")) {
        let mut pieces = name.split('.');
        let number = pieces.next().and_then(|stage| stage.parse::<usize>().ok());
        let stage = number.and_then(|stage| found.get_mut(stage.wrapping_sub(1)));
        if let (Some(stage), Some(block)) = (stage, pieces.next()) {
            stage.insert(block);
            bottleneck |= pieces.next() == Some("conv3");
        }
    }
    (found.map(|blocks| blocks.len()), bottleneck)
}

/// The name of the residual network below `prefix`.
fn name_of(tensors: &BTreeMap<String, Vec<i64>>, prefix: &str) -> String {
    match blocks(tensors, prefix) {
        ([2, 2, 2, 2], false) => "ResNet-18".into(),
        ([3, 4, 6, 3], true) => "ResNet-50, or a network of its layers".into(),
        ([3, 4, 23, 3], true) => "ResNet-101, or a network of its layers".into(),
        ([3, 8, 36, 3], true) => "ResNet-152, or a network of its layers".into(),
        (blocks, bottleneck) => {
            let kind = if bottleneck { "bottleneck" } else { "basic" };
            format!("a residual network with {blocks:?} {kind} blocks")
        }
    }
}

/// The number of tensors below `prefix`, and the first of them.
fn listed(tensors: &BTreeMap<String, Vec<i64>>, prefix: &str) -> String {
    let below: Vec<_> = tensors.iter().filter(|(name, _)| name.starts_with(prefix)).collect();
    let first =
        below.iter().take(MAX_NAMED).map(|(name, shape)| format!("{name} {shape:?}")).collect::<Vec<_>>().join(", ");
    match below.len() {
        0 => "no tensors".into(),
        count if count <= MAX_NAMED => first,
        count => format!("{count} tensors, such as {first}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tensors of a residual network with `blocks`, below `prefix`.
    fn network(prefix: &str, blocks: [usize; 4], convolutions: usize) -> BTreeMap<String, Vec<i64>> {
        let mut names = vec![FIRST.to_owned()];
        names.extend(
            architecture::tensors().into_iter().map(|(name, _)| name).filter(|name| !name.starts_with("layer")),
        );
        for (stage, count) in blocks.into_iter().enumerate() {
            for block in 0..count {
                let of_block = |convolution| format!("layer{}.{block}.conv{convolution}.weight", stage + 1);
                names.extend((1..=convolutions).map(of_block));
            }
        }
        names.into_iter().map(|name| (format!("{prefix}{name}"), vec![1])).collect()
    }

    fn resnet34(prefix: &str) -> BTreeMap<String, Vec<i64>> {
        architecture::tensors().into_iter().map(|(name, shape)| (format!("{prefix}{name}"), shape)).collect()
    }

    #[test]
    fn resnet34_is_found_below_any_prefix_and_among_others() {
        for expected in ["", "module.", "state_dict.module.", "model.encoder.backbone."] {
            let mut tensors = resnet34(expected);
            tensors.insert("optimizer.step".into(), vec![]);
            tensors.insert("head.conv1.weight".into(), vec![3]);
            assert_eq!(prefix(&tensors), Ok(expected.to_owned()));
        }
    }

    #[test]
    fn a_file_with_a_tensor_missing_is_still_one() {
        let mut tensors = resnet34("module.");
        tensors.remove("module.bn1.bias");
        assert_eq!(prefix(&tensors), Ok("module.".to_owned()));
    }

    #[test]
    fn two_networks_are_not_chosen_between() {
        let mut tensors = resnet34("state_dict.");
        tensors.extend(resnet34("state_dict_ema."));
        let expected = "2 networks of ResNet-34's layers, below `state_dict.` and `state_dict_ema.`";
        assert_eq!(prefix(&tensors), Err(expected.to_owned()));
    }

    #[test]
    fn other_networks_are_named() {
        for (blocks, convolutions, expected) in [
            ([2, 2, 2, 2], 2, "ResNet-18 below `module.`"),
            ([3, 4, 6, 3], 3, "ResNet-50, or a network of its layers below `module.`"),
            ([3, 4, 23, 3], 3, "ResNet-101, or a network of its layers below `module.`"),
            ([1, 1, 1, 1], 2, "a residual network with [1, 1, 1, 1] basic blocks below `module.`"),
        ] {
            assert_eq!(prefix(&network("module.", blocks, convolutions)), Err(expected.to_owned()));
        }
        let one = BTreeMap::from([("a.conv1.weight".to_owned(), vec![64, 3, 7, 7])]);
        let total = architecture::tensors().len();
        assert_eq!(
            prefix(&one),
            Err(format!("1 of {total} tensors of ResNet-34 below `a.`: a.conv1.weight [64, 3, 7, 7]"))
        );
        let vgg = (0..9).map(|layer| (format!("features.{layer}.weight"), vec![64])).collect();
        let expected = "9 tensors, such as features.0.weight [64], features.1.weight [64], features.2.weight [64]";
        assert_eq!(prefix(&vgg), Err(expected.to_owned()));
        assert_eq!(prefix(&BTreeMap::new()), Err("no tensors".to_owned()));
    }
}
