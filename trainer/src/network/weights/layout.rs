//! Finds ResNet-34 among the tensors of a file. Training scripts put a network into dictionaries (`state_dict`,
//! `model`) and modules (`module.`, `backbone.`, `encoder.`). The names of these dictionaries and modules become a
//! prefix of the tensors' names.

use crate::network::architecture;
use std::collections::{BTreeMap, BTreeSet};

/// The first tensor of every ResNet.
const FIRST: &str = "conv1.weight";
/// Number of residual blocks in each stage of ResNet-34.
const BLOCKS: [usize; 4] = [3, 4, 6, 3];
/// A file with at least this share of ResNet-34's tensors counts as ResNet-34 with missing tensors. The caller's error
/// then names a missing tensor.
const NEARLY: f64 = 0.9;
/// Largest number of tensors that an error lists.
const MAX_NAMED: usize = 3;

/// The prefix of ResNet-34's tensors. `tensors` holds the names and shapes of all tensors in a file.
///
/// # Errors
/// A description of the file's content, for people.
pub(super) fn prefix(tensors: &BTreeMap<String, Vec<i64>>) -> Result<String, String> {
    let names = architecture::tensors();
    let held = |prefix: &str| {
        let is_there = |name: &str| tensors.contains_key(&format!("{prefix}{name}"));
        names.iter().filter(|(name, _)| is_there(name)).count()
    };
    let prefixes = tensors.keys().filter_map(|name| name.strip_suffix(FIRST));
    // Each prefix, with the number of ResNet-34's tensors that have it.
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
            return Err(format!("{} ResNet-34 networks, with the prefixes {}", complete.len(), quoted.join(" and ")));
        }
    }
    let Some((prefix, held)) = prefixes.into_iter().max_by_key(|(_, held)| *held) else {
        return Err(listed(tensors, ""));
    };
    let with_prefix = if prefix.is_empty() { String::new() } else { format!(" with the prefix `{prefix}`") };
    // With one tensor only, conv1.weight, nothing shows that it is a residual network.
    if !is_resnet34(tensors, prefix) && held > 1 {
        return Err(format!("{}{with_prefix}", name_of(tensors, prefix)));
    }
    if (held as f64) < NEARLY * names.len() as f64 {
        return Err(format!(
            "{held} of the {} tensors of ResNet-34{with_prefix}: {}",
            names.len(),
            listed(tensors, prefix)
        ));
    }
    Ok(prefix.to_owned())
}

/// Whether the network with this prefix has as many residual blocks as ResNet-34.
fn is_resnet34(tensors: &BTreeMap<String, Vec<i64>>, prefix: &str) -> bool {
    blocks(tensors, prefix) == (BLOCKS, false)
}

/// The number of residual blocks in each stage, and whether any of them is a bottleneck, as in ResNet-50. A bottleneck
/// has three convolutions.
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

/// The name of the residual network with this prefix.
fn name_of(tensors: &BTreeMap<String, Vec<i64>>, prefix: &str) -> String {
    match blocks(tensors, prefix) {
        ([2, 2, 2, 2], false) => "ResNet-18".into(),
        // Wide ResNets and ResNeXts have the same blocks, with other widths.
        ([3, 4, 6, 3], true) => "ResNet-50 or a variant of it".into(),
        ([3, 4, 23, 3], true) => "ResNet-101 or a variant of it".into(),
        ([3, 8, 36, 3], true) => "ResNet-152 or a variant of it".into(),
        (blocks, bottleneck) => {
            let kind = if bottleneck { "bottleneck" } else { "basic" };
            format!("a residual network with {blocks:?} {kind} blocks")
        }
    }
}

/// The number of tensors with this prefix, and the first of them.
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

    /// Tensors of a residual network with `blocks` residual blocks in the four stages. Each block has this number of
    /// `convolutions`. All names begin with `prefix`.
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
    fn resnet34_is_found_with_any_prefix_and_among_other_tensors() {
        for expected in ["", "module.", "state_dict.module.", "model.encoder.backbone."] {
            let mut tensors = resnet34(expected);
            tensors.insert("optimizer.step".into(), vec![]);
            tensors.insert("head.conv1.weight".into(), vec![3]);
            assert_eq!(prefix(&tensors), Ok(expected.to_owned()));
        }
    }

    #[test]
    fn a_file_with_one_missing_tensor_counts_as_resnet34() {
        let mut tensors = resnet34("module.");
        tensors.remove("module.bn1.bias");
        assert_eq!(prefix(&tensors), Ok("module.".to_owned()));
    }

    #[test]
    fn other_content_is_described() {
        let mut two_networks = resnet34("state_dict.");
        two_networks.extend(resnet34("state_dict_ema."));
        let contents = [
            two_networks,
            network("module.", [2, 2, 2, 2], 2),
            network("module.", [3, 4, 6, 3], 3),
            network("module.", [3, 4, 23, 3], 3),
            network("module.", [3, 8, 36, 3], 3),
            network("module.", [1, 1, 1, 1], 2),
            BTreeMap::from([("a.conv1.weight".to_owned(), vec![64, 3, 7, 7])]),
            (0..9).map(|layer| (format!("features.{layer}.weight"), vec![64])).collect(),
            BTreeMap::new(),
        ];
        let descriptions = contents.iter().map(|tensors| format!("{}\n", prefix(tensors).unwrap_err()));
        insta::assert_snapshot!("other_content", descriptions.collect::<String>());
    }
}
