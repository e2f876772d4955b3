//! Runs conversion and network on the GPU, without a copy back to the host between them.
#![expect(unsafe_code, reason = "hands GPU memory and a stream to TensorRT")]

use super::{GpuError, GpuScorerError};
use crate::convert::cuda::{CudaConverter, CudaError};
use crate::pipeline::{
    Activation, ActivationError, Alive, NoScore, Pipeline, Scorer, SetupError, Stage, Times, unwatched,
};
use cellgate_models::conversion::{ConversionSpec, Size};
use cellgate_models::engine::EngineError;
use cellgate_models::model::Model;
use cellgate_models::plan::cache::AuthenticPlan;
use cellgate_models::plan::{PlanEngine, PlanError};
use cellgate_models::policy::Reason;
use cellgate_models::radiograph::RadiographView;
use cudarc::driver::sys::CUevent_flags;
use cudarc::driver::{CudaEvent, CudaSlice, CudaStream, DevicePtr as _, DriverError, PinnedHostSlice, result};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time limit of the first run, in which TensorRT for RTX compiles its kernels for this machine's GPU.
const MAX_FIRST_RUN_TIME: Duration = Duration::from_secs(60);
/// Time limit of any later run.
const MAX_RUN_TIME: Duration = Duration::from_secs(2);
/// How long the scorer sleeps between two looks at the GPU: much shorter than a run, and long enough for other threads to get the
/// processor.
const POLL_INTERVAL: Duration = Duration::from_micros(50);

/// Scores on the GPU: copies a radiograph's levels to the GPU, and the score back.
///
/// After a run that fails for another reason than the image, the scorer gives up the GPU: it holds `None` and never scores again.
/// The process can't create another context, because TensorRT holds the old one too. Freeing GPU memory would wait for a GPU
/// that may never answer. So everything on the GPU is leaked.
pub(super) struct GpuScorer<N>(Option<OnGpu<N>>);

/// Everything that a scorer has on the GPU.
struct OnGpu<N> {
    // Declared in this order, so that each field is dropped before the fields that it uses.
    network: N,
    score: Score,
    converter: CudaConverter,
}

/// A network that reads its input from GPU memory and writes its score there.
pub(super) trait Network {
    /// Height and width of the input in pixels.
    fn input_size(&self) -> Size;

    /// Sets the addresses of input and score in GPU memory.
    ///
    /// # Safety
    /// `input` must point to 3 x height x width f32 values in GPU memory, and `output` to one f32 value there. Both must stay
    /// valid while runs are queued.
    unsafe fn bind(&mut self, input: u64, output: u64) -> Result<(), PlanError>;

    /// Queues a run on `stream` and does not wait for its end.
    ///
    /// # Safety
    /// `stream` must belong to the context that the network was loaded in. The memory that was passed to [`bind`](Self::bind)
    /// must exist until the stream has executed the run.
    unsafe fn enqueue(&mut self, stream: &CudaStream) -> Result<(), PlanError>;
}

impl Network for PlanEngine {
    fn input_size(&self) -> Size {
        Self::input_size(self)
    }

    unsafe fn bind(&mut self, input: u64, output: u64) -> Result<(), PlanError> {
        // SAFETY: as this function demands.
        unsafe { Self::bind(self, input, output) }
    }

    unsafe fn enqueue(&mut self, stream: &CudaStream) -> Result<(), PlanError> {
        // SAFETY: as this function demands.
        unsafe { Self::enqueue(self, stream.cu_stream().cast()) }
    }
}

/// The score's memory on GPU and host, and CUDA's events, which show the GPU's progress.
struct Score {
    gpu: CudaSlice<f32>,
    host: PinnedHostSlice<f32>,
    started: CudaEvent,
    converted: CudaEvent,
    inferred: CudaEvent,
}

impl<N: Network> GpuScorer<N> {
    /// Allocates all memory for images of up to `max_pixels` pixels, calls `load` to load the network into the current context,
    /// and runs the network once. Calls `alive` between these steps.
    pub(super) fn new(
        conversion: &ConversionSpec,
        max_pixels: usize,
        load: impl FnOnce() -> Result<N, PlanError>,
        alive: &Alive,
    ) -> Result<Self, GpuScorerError> {
        let mut converter = CudaConverter::new(conversion, max_pixels)?;
        let _ = alive();
        let mut network = load()?;
        let _ = alive();
        let size = network.input_size();
        if conversion.size != Some(size) {
            return Err(SetupError::Size { conversion: conversion.size, network: size }.into());
        }
        let dark = RadiographView::new(1, 1, &[0]).expect("one pixel has one level");
        let tensor = converter.convert(dark)?;
        let score = Score::new(tensor.stream).map_err(|error| CudaError::from_driver("allocating memory", error))?;
        let address = score.gpu.device_ptr(tensor.stream).0;
        // SAFETY: the tensor has 3 x height x width values of f32, because the sizes are equal. The addresses of tensor and score
        // stay valid while this value lives, and `Drop` waits before they are freed.
        unsafe { network.bind(tensor.address, address) }?;
        let mut scorer = Self(Some(OnGpu { network, score, converter }));
        scorer.run(dark, MAX_FIRST_RUN_TIME, &mut Times::default(), &mut |_| {})?;
        Ok(scorer)
    }

    fn run(
        &mut self,
        radiograph: RadiographView<'_>,
        most: Duration,
        times: &mut Times,
        begins: &mut dyn FnMut(Stage),
    ) -> Result<f32, NoScore> {
        let Some(on_gpu) = &mut self.0 else {
            return Err(EngineError::Run { message: "the GPU failed earlier".to_owned() }.into());
        };
        let score = on_gpu.run(radiograph, most, times, begins);
        if score.as_ref().is_err_and(|error| error.reason() == Reason::EngineFailed) {
            std::mem::forget(self.0.take());
        }
        score
    }
}

impl<N: Network> Scorer for GpuScorer<N> {
    fn logit(
        &mut self,
        radiograph: RadiographView<'_>,
        times: &mut Times,
        begins: &mut dyn FnMut(Stage),
    ) -> Result<f32, NoScore> {
        self.run(radiograph, MAX_RUN_TIME, times, begins)
    }

    fn is_lost(&self) -> bool {
        self.0.is_none()
    }
}

impl<N: Network> OnGpu<N> {
    /// Queues conversion, network and the score's copy, then waits for them.
    fn run(
        &mut self,
        radiograph: RadiographView<'_>,
        most: Duration,
        times: &mut Times,
        begins: &mut dyn FnMut(Stage),
    ) -> Result<f32, NoScore> {
        let Self { network, score, converter } = self;
        let deadline = Instant::now() + most;
        begins(Stage::Convert);
        let stream = Arc::clone(converter.stream());
        let while_doing = |doing, result: Result<(), DriverError>| {
            result.map_err(|error| NoScore::from(CudaError::from_driver(doing, error)))
        };
        while_doing("recording the start", score.started.record(&stream))?;
        converter.convert(radiograph)?;
        while_doing("recording the end of the conversion", score.converted.record(&stream))?;
        while_doing("clearing the score", score.clear(&stream))?;
        // SAFETY: the stream belongs to the context that the network was loaded in; the bound memory exists until `Drop`.
        unsafe { network.enqueue(&stream) }.map_err(|error| EngineError::Run { message: error.to_string() })?;
        while_doing("copying the score to the host", score.fetch(&stream))?;
        while_doing("recording the end of the network", score.inferred.record(&stream))?;
        wait(&score.converted, deadline)?;
        times.convert = between(&score.started, &score.converted)?;
        begins(Stage::Infer);
        wait(&score.inferred, deadline)?;
        times.infer = between(&score.converted, &score.inferred)?;
        score.value().map_err(|error| CudaError::from_driver("reading the score", error).into())
    }
}

impl Pipeline {
    /// A proven pipeline that runs `plan`, even on a GPU that TensorRT does not list.
    pub(crate) fn of_plan(
        model: &Model,
        activation: &Activation,
        plan: &AuthenticPlan,
    ) -> Result<Self, ActivationError> {
        let libraries = activation.engine.tensorrt.libraries.as_deref();
        let (network, alive) = (|| PlanEngine::new(plan, libraries), unwatched());
        let scorer =
            GpuScorer::new(model.conversion(), activation.max_pixels(), network, &alive).map_err(GpuError::from)?;
        Self::of_scorer(Box::new(scorer), model, activation, &alive)
    }
}

impl<N> Drop for OnGpu<N> {
    fn drop(&mut self) {
        // Returns at once, because all runs have ended: after a run that did not end, this value is leaked and never dropped.
        let _ = self.converter.wait();
    }
}

impl Score {
    fn new(stream: &Arc<CudaStream>) -> Result<Self, DriverError> {
        let context = stream.context();
        // SAFETY: this memory is read only after a copy to it is complete.
        let host = unsafe { context.alloc_pinned::<f32>(1) }?;
        let gpu = stream.alloc_zeros(1)?;
        let event = || context.new_event(Some(CUevent_flags::CU_EVENT_DEFAULT));
        Ok(Self { gpu, host, started: event()?, converted: event()?, inferred: event()? })
    }

    /// Sets both values to NaN, so that a network that writes no score can't repeat the previous one. No policy accepts a NaN.
    fn clear(&mut self, stream: &Arc<CudaStream>) -> Result<(), DriverError> {
        self.host.as_mut_slice()?[0] = f32::NAN;
        let place = self.gpu.device_ptr(stream).0;
        // SAFETY: the memory holds one value of four bytes; all bits set is a NaN.
        unsafe { result::memset_d8_async(place, 0xff, size_of::<f32>(), stream.cu_stream()) }
    }

    /// Queues the copy of the score to the host.
    fn fetch(&mut self, stream: &Arc<CudaStream>) -> Result<(), DriverError> {
        let from = self.gpu.device_ptr(stream).0;
        let to = self.host.as_mut_slice()?;
        // SAFETY: source and target hold one value each, and exist until the stream has executed the copy: `Drop` of the scorer
        // waits for it.
        unsafe { result::memcpy_dtoh_async(to, from, stream.cu_stream()) }
    }

    /// The score after the last copy.
    fn value(&self) -> Result<f32, DriverError> {
        self.host.as_slice().map(|values| values[0])
    }
}

/// Waits until the GPU has reached `event`, at most until `deadline`.
fn wait(event: &CudaEvent, deadline: Instant) -> Result<(), NoScore> {
    while !event.try_is_complete().map_err(|error| CudaError::from_driver("waiting for the GPU", error))? {
        if Instant::now() >= deadline {
            return Err(EngineError::Run { message: "the GPU did not answer in time".to_owned() }.into());
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    Ok(())
}

/// The time between two events that the GPU has reached, by the GPU's clock.
fn between(start: &CudaEvent, end: &CudaEvent) -> Result<Duration, NoScore> {
    let ms = start.elapsed_ms(end).map_err(|error| CudaError::from_driver("reading a time", error))?;
    Ok(Duration::try_from_secs_f32(ms / 1e3).unwrap_or_default())
}

#[cfg(test)]
mod tests;
