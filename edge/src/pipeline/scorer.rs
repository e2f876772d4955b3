//! Converts a radiograph and runs the network on it.

use super::{NoScore, SetupError, Stage, Times};
use cellgate_models::conversion::{ConversionSpec, Converter};
use cellgate_models::engine::{Engine, Output};
use cellgate_models::radiograph::RadiographView;
use std::time::{Duration, Instant};

/// Computes the network's outputs for radiographs, on the CPU or on the GPU.
pub(crate) trait Scorer {
    /// Converts the radiograph and runs the network on it. Writes the time of each stage into `times` and calls `begins`
    /// before each stage. An error of `begins` is returned, and the outputs of the network are not.
    fn run(
        &mut self,
        radiograph: RadiographView<'_>,
        times: &mut Times,
        begins: &mut dyn FnMut(Stage) -> Result<(), NoScore>,
    ) -> Result<Output, NoScore>;

    /// Whether the GPU failed so that only a new process can use it again. Always false on the CPU.
    fn is_lost(&self) -> bool {
        false
    }
}

/// Converts and runs the network on the CPU.
pub(super) struct CpuScorer {
    converter: Converter,
    engine: Box<dyn Engine>,
    /// The network's input, 3 x height x width.
    tensor: Vec<f32>,
}

impl CpuScorer {
    /// Checks that the output of `conversion` fits the input of `engine`, and allocates the tensor.
    pub(super) fn new(conversion: &ConversionSpec, engine: Box<dyn Engine>) -> Result<Self, SetupError> {
        let size = engine.input_size();
        if conversion.size != Some(size) {
            return Err(SetupError::Size { conversion: conversion.size, network: size });
        }
        let tensor = vec![0.0; 3 * size.height as usize * size.width as usize];
        Ok(Self { converter: Converter::new(conversion)?, engine, tensor })
    }
}

impl Scorer for CpuScorer {
    fn run(
        &mut self,
        radiograph: RadiographView<'_>,
        times: &mut Times,
        begins: &mut dyn FnMut(Stage) -> Result<(), NoScore>,
    ) -> Result<Output, NoScore> {
        begins(Stage::Convert)?;
        timed(&mut times.convert, || self.converter.to_tensor(radiograph, &mut self.tensor))?;
        begins(Stage::Infer)?;
        Ok(timed(&mut times.infer, || self.engine.run(&self.tensor))?)
    }
}

/// Runs `stage` and writes its time into `time`, also if it fails.
fn timed<T>(time: &mut Duration, stage: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = stage();
    *time = start.elapsed();
    result
}
