//! Trains a head by the paper's recipe (section 2.4). The head begins with ResNet-34's own last layer, 512 -> 1000; training
//! starts from this layer's weights in the weights file. Fully connected layers with 512, 256 and 2 outputs and a softmax
//! follow. The loss is cross-entropy. Every image is flipped at random in each epoch.

use super::{FitError, TrainingSet};
use crate::dataset::Label;
use crate::network::backbone::VARIANTS;
use crate::network::head::Activation;
use crate::network::{Block, Flips, Head, Layer, Pool};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tch::nn::{self, OptimizerConfig};
use tch::{Device, Kind, Tensor};

/// Numbers of outputs of the fully connected layers: ImageNet's 1000 classes, the paper's two layers, and the two labels.
const WIDTHS: [i64; 4] = [1000, 512, 256, 2];

/// ResNet-34's own last layer, 512 -> 1000, from the weights file. Training starts with it as the first layer of the head.
#[derive(Debug, Clone, PartialEq)]
pub struct Classifier {
    /// 1000 x 512 numbers, row by row.
    pub weight: Vec<f32>,
    /// 1000 numbers.
    pub bias: Vec<f32>,
}

/// Settings of the paper's recipe. Where the paper gives no value, the field's documentation says so and gives ours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaperRecipe {
    /// Passes over the training images; 50 in the paper.
    pub epochs: u32,
    /// Learning rate of the first epoch; 0.001 in the paper.
    pub learning_rate: f64,
    /// Each time after this number of epochs, the learning rate is multiplied by `decay_factor`; 10 in the paper.
    pub decay_epochs: u32,
    /// The factor that the learning rate is multiplied by. Not given in the paper; 0.1 here.
    pub decay_factor: f64,
    /// Images per step. Not given in the paper; 32 here.
    pub batch: usize,
    /// The flip variants of an image that the head judges. The paper judges the image as it is, which is the default.
    #[serde(default)]
    pub flips: Flips,
}

impl Default for PaperRecipe {
    fn default() -> Self {
        Self { epochs: 50, learning_rate: 0.001, decay_epochs: 10, decay_factor: 0.1, batch: 32, flips: Flips::One }
    }
}

impl PaperRecipe {
    /// Trains a head on the mean of the frozen backbone's last stage. The optimizer is Adam, and ReLU is between the
    /// layers; the paper names neither an optimizer nor an activation.
    ///
    /// The batch normalisations are frozen, so an image has exactly four feature vectors, one for each flip. Choosing
    /// one of these vectors at random gives the same result as flipping the image at random and running the network.
    ///
    /// # Errors
    /// The training set is empty, or libtorch fails.
    pub fn head(&self, training: &TrainingSet<'_>, classifier: &Classifier, seed: u64) -> Result<Head, FitError> {
        if training.is_empty() {
            return Err(FitError::NoImages);
        }
        let blocks = vec![Block { stage: 4, pool: Pool::Mean }];
        let images = features(training, &blocks)?;
        let labels: Vec<i64> = training.labels().map(|label| i64::from(label == Label::Abnormal)).collect();
        let labels = Tensor::f_from_slice(&labels)?;

        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let variables = nn::VarStore::new(Device::Cpu);
        let layers = layers(&variables.root(), classifier, &mut random)?;
        let mut optimizer = nn::Adam::default().build(&variables, self.learning_rate)?;
        let mut order: Vec<i64> = (0..i64::try_from(training.len())?).collect();
        for epoch in 0..self.epochs {
            let decays = i32::try_from(epoch / self.decay_epochs.max(1))?;
            optimizer.set_lr(self.learning_rate * self.decay_factor.powi(decays));
            order.shuffle(&mut random);
            for batch in order.chunks(self.batch.max(1)) {
                let flips: Vec<i64> = batch.iter().map(|_| random.random_range(0..VARIANTS as i64)).collect();
                let (rows, flips) = (Tensor::f_from_slice(batch)?, Tensor::f_from_slice(&flips)?);
                let inputs = images.f_index(&[Some(rows.shallow_clone()), Some(flips)])?;
                let outputs = forward(&layers, &inputs)?;
                // -100 is PyTorch's default for a label to ignore, which does not occur here. 0.0 is no label smoothing.
                let loss = outputs.f_cross_entropy_loss::<Tensor>(
                    &labels.f_index_select(0, &rows)?,
                    None,
                    tch::Reduction::Mean,
                    -100,
                    0.0,
                )?;
                optimizer.backward_step(&loss);
            }
        }
        into_head(blocks, &layers, self.flips)
    }
}

/// The features of the training images: images x variants x features.
fn features(training: &TrainingSet<'_>, blocks: &[Block]) -> Result<Tensor, FitError> {
    let rows = (0..training.len()).flat_map(|part| (0..VARIANTS).map(move |variant| (part, variant)));
    let values: Vec<f32> = rows.flat_map(|(part, variant)| training.features(part, variant, blocks)).collect();
    let shape = [i64::try_from(training.len())?, VARIANTS as i64, -1];
    Ok(Tensor::f_from_slice(&values)?.f_view(shape)?)
}

/// The initial layers of the head. The first is `classifier`. The other layers are initialised as
/// PyTorch does it: uniformly between -1/sqrt(inputs) and 1/sqrt(inputs).
fn layers(root: &nn::Path<'_>, classifier: &Classifier, random: &mut ChaCha8Rng) -> Result<Vec<nn::Linear>, FitError> {
    let mut inputs = 512;
    let mut layers = Vec::new();
    for (index, outputs) in WIDTHS.into_iter().enumerate() {
        let bound = 1.0 / (inputs as f32).sqrt();
        let mut new = |count: i64| -> Vec<f32> { (0..count).map(|_| random.random_range(-bound..bound)).collect() };
        let (weight, bias) = match index {
            0 => (classifier.weight.clone(), classifier.bias.clone()),
            _ => (new(inputs * outputs), new(outputs)),
        };
        let root = root / index;
        layers.push(nn::Linear {
            ws: root.var_copy("weight", &Tensor::f_from_slice(&weight)?.f_view([outputs, inputs])?),
            bs: Some(root.var_copy("bias", &Tensor::f_from_slice(&bias)?)),
        });
        inputs = outputs;
    }
    Ok(layers)
}

/// The logits of `inputs`: the layers one after the other, with ReLU between them.
fn forward(layers: &[nn::Linear], inputs: &Tensor) -> Result<Tensor, FitError> {
    let mut values = inputs.shallow_clone();
    for (index, layer) in layers.iter().enumerate() {
        values = values.f_linear(&layer.ws, layer.bs.as_ref())?;
        if index + 1 < layers.len() {
            values = values.f_relu()?;
        }
    }
    Ok(values)
}

/// Makes a head of the trained layers.
fn into_head(blocks: Vec<Block>, trained: &[nn::Linear], flips: Flips) -> Result<Head, FitError> {
    let mut layers = Vec::new();
    for layer in trained {
        if !layers.is_empty() {
            layers.push(Layer::Relu);
        }
        let numbers = |tensor: &Tensor| -> Result<Vec<f32>, FitError> {
            Ok(Vec::<f32>::try_from(tensor.f_detach()?.f_to_kind(Kind::Float)?.f_contiguous()?.f_view([-1])?)?)
        };
        let (outputs, inputs) = layer.ws.size2()?;
        layers.push(Layer::Affine {
            inputs: usize::try_from(inputs)?,
            outputs: usize::try_from(outputs)?,
            weight: numbers(&layer.ws)?,
            bias: layer.bs.as_ref().map(numbers).transpose()?.unwrap_or_default(),
        });
    }
    Ok(Head { blocks, members: vec![layers], activation: Activation::Softmax, flips, stage_4: None })
}
