//! Conversion and network on the GPU, with no way back to the host between them.
#![expect(unsafe_code, reason = "hands device memory and a stream to TensorRT")]

use super::scorer::Scorer;
use super::{NoScore, SetupError, Stage, Times};
use crate::convert::OutputType;
use crate::convert::cuda::{CudaConverter, CudaError, CudaOptions};
use cellgate_models::conversion::ConversionSpec;
use cellgate_models::engine::EngineError;
use cellgate_models::plan::cache::AuthenticPlan;
use cellgate_models::plan::{PlanEngine, PlanError};
use cellgate_models::radiograph::RadiographView;
use cudarc::driver::{CudaEvent, CudaSlice, CudaStream, DevicePtr as _, DriverError, PinnedHostSlice, result};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the first run may take: TensorRT for RTX compiles its kernels for the GPU at hand then.
const FIRST_MOST: Duration = Duration::from_secs(60);
/// What any later run may take.
const MOST: Duration = Duration::from_secs(2);
/// Between two looks at the GPU: short beside what it is waited for, and it leaves the processor to others.
const LOOK_EVERY: Duration = Duration::from_micros(50);

/// On the GPU: levels go there, a score comes back.
pub(super) struct GpuScorer {
    // In this order, so that each is dropped before what it uses.
    engine: PlanEngine,
    score: Score,
    converter: CudaConverter,
}

/// Where the score comes to, and how far the GPU is.
struct Score {
    device: CudaSlice<f32>,
    host: PinnedHostSlice<f32>,
    converted: CudaEvent,
    inferred: CudaEvent,
}

impl GpuScorer {
    /// Takes all memory for images of up to `max_pixels` pixels, deserialises `plan`, and runs it once.
    pub(super) fn new(
        conversion: &ConversionSpec,
        max_pixels: usize,
        plan: &AuthenticPlan,
        libraries: Option<&Path>,
    ) -> Result<Self, GpuScorerError> {
        let mut converter = CudaConverter::new(conversion, max_pixels, OutputType::F32, &CudaOptions::default())?;
        let mut engine = PlanEngine::new(plan, libraries)?;
        let size = engine.input_size();
        if conversion.size != Some(size) {
            return Err(SetupError::Size { conversion: conversion.size, network: size }.into());
        }
        let dark = RadiographView::new(1, 1, &[0]).expect("one pixel has one level");
        let tensor = converter.convert(dark)?;
        let score = Score::new(tensor.stream).map_err(|error| CudaError::from_driver("taking memory", error))?;
        let address = score.device.device_ptr(tensor.stream).0;
        // SAFETY: the tensor has 3 x height x width values of f32, as the sizes are equal; it and the score's place stay
        // where they are for as long as this is there, and `Drop` waits before they go.
        unsafe { engine.bind(tensor.address, address) }?;
        let mut scorer = Self { engine, score, converter };
        scorer.run(dark, FIRST_MOST, &mut Times::default(), &mut |_| {})?;
        Ok(scorer)
    }

    /// Starts everything, then waits for it.
    fn run(
        &mut self,
        radiograph: RadiographView<'_>,
        most: Duration,
        times: &mut Times,
        begins: &mut dyn FnMut(Stage),
    ) -> Result<f32, NoScore> {
        let Self { engine, score, converter } = self;
        let start = Instant::now();
        begins(Stage::Convert);
        let stream = Arc::clone(converter.convert(radiograph)?.stream);
        let while_doing = |doing, result: Result<(), DriverError>| {
            result.map_err(|error| NoScore::from(CudaError::from_driver(doing, error)))
        };
        while_doing("marking the end of the conversion", score.converted.record(&stream))?;
        while_doing("clearing the score", score.clear(&stream))?;
        // SAFETY: the stream is of the context that the plan was deserialised in; what is bound is there until `Drop`.
        unsafe { engine.enqueue(stream.cu_stream().cast()) }
            .map_err(|error| EngineError::Run { message: error.to_string() })?;
        while_doing("starting the score's way back", score.fetch(&stream))?;
        while_doing("marking the end of the network", score.inferred.record(&stream))?;
        wait(&score.converted, start + most)?;
        times.convert = start.elapsed();
        begins(Stage::Infer);
        wait(&score.inferred, start + most)?;
        times.infer = start.elapsed() - times.convert;
        score.value().map_err(|error| CudaError::from_driver("reading the score", error).into())
    }
}

impl Scorer for GpuScorer {
    fn score(
        &mut self,
        radiograph: RadiographView<'_>,
        times: &mut Times,
        begins: &mut dyn FnMut(Stage),
    ) -> Result<f32, NoScore> {
        self.run(radiograph, MOST, times, begins)
    }
}

impl Drop for GpuScorer {
    fn drop(&mut self) {
        // What went wrong was told where it came from. A GPU that never answers stands still here, and is found by whoever
        // watches this thread.
        let _ = self.converter.wait();
    }
}

impl Score {
    fn new(stream: &Arc<CudaStream>) -> Result<Self, DriverError> {
        let context = stream.context();
        // SAFETY: it is read only after a copy to it has ended.
        let host = unsafe { context.alloc_pinned::<f32>(1) }?;
        let device = stream.alloc_zeros(1)?;
        Ok(Self { device, host, converted: context.new_event(None)?, inferred: context.new_event(None)? })
    }

    /// Makes both places no number: a score that nobody wrote is not the one before, and no policy takes it.
    fn clear(&mut self, stream: &Arc<CudaStream>) -> Result<(), DriverError> {
        self.host.as_mut_slice()?[0] = f32::NAN;
        let place = self.device.device_ptr(stream).0;
        // SAFETY: the place holds one value of four bytes; all ones is a NaN.
        unsafe { result::memset_d8_async(place, 0xff, size_of::<f32>(), stream.cu_stream()) }
    }

    /// Starts the copy to the host.
    fn fetch(&mut self, stream: &Arc<CudaStream>) -> Result<(), DriverError> {
        let from = self.device.device_ptr(stream).0;
        let to = self.host.as_mut_slice()?;
        // SAFETY: both hold one value, and are there until the stream has come so far: `Drop` of the scorer waits for it.
        unsafe { result::memcpy_dtoh_async(to, from, stream.cu_stream()) }
    }

    /// What the last copy brought.
    fn value(&self) -> Result<f32, DriverError> {
        self.host.as_slice().map(|values| values[0])
    }
}

/// Waits until the GPU has come as far as `event`.
fn wait(event: &CudaEvent, deadline: Instant) -> Result<(), NoScore> {
    while !event.try_is_complete().map_err(|error| CudaError::from_driver("waiting for the GPU", error))? {
        if Instant::now() >= deadline {
            return Err(EngineError::Run { message: "the GPU did not answer in time".to_owned() }.into());
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

/// Why the GPU does not score.
#[derive(Debug, thiserror::Error)]
pub enum GpuScorerError {
    /// CUDA, or the conversion on it.
    #[error(transparent)]
    Cuda(#[from] CudaError),
    /// TensorRT, or the plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Conversion and network don't fit together.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The first run.
    #[error("the first run on the GPU: {0}")]
    First(#[from] NoScore),
}
