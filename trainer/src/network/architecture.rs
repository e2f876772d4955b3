//! Lists the layers of ResNet-34 with torchvision's names, as data. The code for the weights, for libtorch and for ONNX
//! uses this list.
//!
//! Source: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", 2015, table 1.

/// Number of residual blocks of each stage.
const DEPTHS: [usize; 4] = [3, 4, 6, 3];
/// Number of output channels of each stage.
pub(crate) const CHANNELS: [i64; 4] = [64, 128, 256, 512];
/// Batch normalisation adds this number to the variance.
pub(crate) const NORM_EPSILON: f64 = 1e-5;
/// Number of inputs and outputs of the last layer. The outputs are ImageNet's classes.
pub(crate) const FC: [i64; 2] = [512, 1000];

/// A convolution without bias, and the batch normalisation that follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConvSpec {
    /// Name of the convolution, such as `layer1.0.conv1`.
    pub(crate) name: String,
    /// Name of the batch normalisation, such as `layer1.0.bn1`.
    pub(crate) norm: String,
    /// Input channels.
    pub(crate) inputs: i64,
    /// Output channels.
    pub(crate) outputs: i64,
    /// Height and width of the filter (torchvision's `kernel_size`); an odd number.
    pub(crate) kernel: i64,
    /// Step between positions, in both directions.
    pub(crate) stride: i64,
}

impl ConvSpec {
    /// Number of rows or columns of zeros that are added on each of the four sides. With this padding, a stride of 1
    /// keeps the size.
    pub(crate) fn padding(&self) -> i64 {
        self.kernel / 2
    }
}

/// A residual block: `relu(second(relu(first(x))) + shortcut(x))`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResidualSpec {
    pub(crate) first: ConvSpec,
    pub(crate) second: ConvSpec,
    /// The convolution of the shortcut in a block that changes the size. `None` if the shortcut is x itself.
    pub(crate) downsample: Option<ConvSpec>,
}

/// The first convolution. A max pooling over 3 x 3 with stride 2 and padding 1 follows it.
pub(crate) fn stem() -> ConvSpec {
    ConvSpec { name: "conv1".into(), norm: "bn1".into(), inputs: 3, outputs: 64, kernel: 7, stride: 2 }
}

/// The residual blocks of `stage`, 0..=3. Stage 0 is torchvision's `layer1`.
pub(crate) fn residuals(stage: usize) -> Vec<ResidualSpec> {
    let outputs = CHANNELS[stage];
    let stage_inputs = if stage == 0 { 64 } else { CHANNELS[stage - 1] };
    let residual = |index: usize| {
        let (inputs, stride) = if index > 0 || stage == 0 { (outputs, 1) } else { (stage_inputs, 2) };
        let prefix = format!("layer{}.{index}", stage + 1);
        let conv = |number: u32, inputs, stride| ConvSpec {
            name: format!("{prefix}.conv{number}"),
            norm: format!("{prefix}.bn{number}"),
            inputs,
            outputs,
            kernel: 3,
            stride,
        };
        let downsample = (stride != 1).then(|| ConvSpec {
            name: format!("{prefix}.downsample.0"),
            norm: format!("{prefix}.downsample.1"),
            inputs,
            outputs,
            kernel: 1,
            stride,
        });
        ResidualSpec { first: conv(1, inputs, stride), second: conv(2, outputs, 1), downsample }
    };
    (0..DEPTHS[stage]).map(residual).collect()
}

/// All 36 convolutions, in the order of the forward pass.
pub(crate) fn convolutions() -> Vec<ConvSpec> {
    let residuals = (0..4).flat_map(residuals);
    let inner = residuals.flat_map(|block| [Some(block.first), Some(block.second), block.downsample]).flatten();
    std::iter::once(stem()).chain(inner).collect()
}

/// Names and shapes of all tensors that a weights file must hold. The last layer (`fc`) may be missing, so it is not
/// listed.
pub(crate) fn tensors() -> Vec<(String, Vec<i64>)> {
    let mut tensors = Vec::new();
    for conv in convolutions() {
        tensors.push((format!("{}.weight", conv.name), vec![conv.outputs, conv.inputs, conv.kernel, conv.kernel]));
        for suffix in ["weight", "bias", "running_mean", "running_var"] {
            tensors.push((format!("{}.{suffix}", conv.norm), vec![conv.outputs]));
        }
    }
    tensors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_parameters_is_torchvisions() {
        // torchvision.models.resnet34 has 21,797,672 parameters. Running means and variances do not count.
        let parameters = tensors().into_iter().filter(|(name, _)| !name.contains("running"));
        let count: i64 = parameters.map(|(_, shape)| shape.iter().product::<i64>()).sum();
        assert_eq!(count + FC[0] * FC[1] + FC[1], 21_797_672);
    }

    #[test]
    fn downsampling_occurs_where_the_size_changes() {
        let names: Vec<String> = convolutions().into_iter().map(|conv| conv.name).collect();
        assert_eq!(names.len(), 36);
        let downsampling: Vec<&str> = names.iter().map(String::as_str).filter(|n| n.contains("downsample")).collect();
        assert_eq!(downsampling, ["layer2.0.downsample.0", "layer3.0.downsample.0", "layer4.0.downsample.0"]);
    }
}
