//! Runs conversion and network on the GPU, without a copy back to the host between them.
#![expect(unsafe_code, reason = "hands GPU memory and a stream to TensorRT")]

use super::{GpuError, GpuScorerError};
use crate::convert::cuda::{CudaConverter, CudaError};
use crate::pipeline::{
    Activation, ActivationError, Alive, NoScore, Pipeline, Scorer, SetupError, Stage, Times, unwatched,
};
use cellgate_models::conversion::{ConversionSpec, Size};
use cellgate_models::engine::{EngineError, LogitMap, Output, WhitenedFeatures};
use cellgate_models::model::Model;
use cellgate_models::plan::cache::AuthenticPlan;
use cellgate_models::plan::{Addresses, PlanEngine, PlanError};
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

/// Scores on the GPU: copies a radiograph's levels to the GPU, and the network's outputs back.
///
/// After a run that fails for another reason than the image, the scorer gives up the GPU: it holds `None` and never scores again.
/// The process can't create another context, because TensorRT holds the old one too. Freeing GPU memory would wait for a GPU
/// that may never answer. So everything on the GPU is leaked.
pub(super) struct GpuScorer<N>(Option<OnGpu<N>>);

/// Everything that a scorer has on the GPU.
struct OnGpu<N> {
    // Declared in this order, so that each field is dropped before the fields that it uses.
    network: N,
    outputs: Outputs,
    converter: CudaConverter,
}

/// A network that reads its input from GPU memory and writes its outputs there.
pub(super) trait Network {
    /// Height and width of the input in pixels.
    fn input_size(&self) -> Size;

    /// Sets the addresses of input and outputs in GPU memory.
    ///
    /// # Safety
    /// All addresses of `tensors` must point to GPU memory that is as large as [`Addresses`] says, and stay valid while runs are queued.
    unsafe fn bind(&mut self, tensors: Addresses) -> Result<(), PlanError>;

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

    unsafe fn bind(&mut self, tensors: Addresses) -> Result<(), PlanError> {
        // SAFETY: as this function demands.
        unsafe { Self::bind(self, tensors) }
    }

    unsafe fn enqueue(&mut self, stream: &CudaStream) -> Result<(), PlanError> {
        // SAFETY: as this function demands.
        unsafe { Self::enqueue(self, stream.cu_stream().cast()) }
    }
}

/// The memory of all outputs, and CUDA's events, which show the GPU's progress.
struct Outputs {
    logit: OutputMemory,
    map: OutputMemory,
    features: OutputMemory,
    map_size: Size,
    /// Reached when the levels are in GPU memory.
    started: CudaEvent,
    converted: CudaEvent,
    inferred: CudaEvent,
}

/// The memory of one output on GPU and host.
struct OutputMemory {
    gpu: CudaSlice<f32>,
    host: PinnedHostSlice<f32>,
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
        let outputs = Outputs::new(tensor.stream, LogitMap::size_for(size))
            .map_err(|error| CudaError::from_driver("allocating memory", error))?;
        let address = |memory: &OutputMemory| memory.gpu.device_ptr(tensor.stream).0;
        let (logit, map, features) = (address(&outputs.logit), address(&outputs.map), address(&outputs.features));
        // SAFETY: the tensor has 3 x height x width values of f32, because the sizes are equal. Each output has the number of values
        // that it needs. The addresses of tensor and outputs stay valid while this value lives, and `Drop` waits before they are freed.
        unsafe { network.bind(Addresses { input: tensor.address, logit, map, features }) }?;
        let mut scorer = Self(Some(OnGpu { network, outputs, converter }));
        scorer.run_within(dark, MAX_FIRST_RUN_TIME, &mut Times::default(), &mut |_| Ok(()))?;
        Ok(scorer)
    }

    fn run_within(
        &mut self,
        radiograph: RadiographView<'_>,
        most: Duration,
        times: &mut Times,
        begins: &mut dyn FnMut(Stage) -> Result<(), NoScore>,
    ) -> Result<Output, NoScore> {
        let Some(on_gpu) = &mut self.0 else {
            return Err(EngineError::Run { message: "the GPU failed earlier".to_owned() }.into());
        };
        let output = on_gpu.run(radiograph, most, times, begins);
        if output.as_ref().is_err_and(|error| error.reason() == Reason::EngineFailed) {
            std::mem::forget(self.0.take());
        }
        output
    }
}

impl<N: Network> Scorer for GpuScorer<N> {
    fn run(
        &mut self,
        radiograph: RadiographView<'_>,
        times: &mut Times,
        begins: &mut dyn FnMut(Stage) -> Result<(), NoScore>,
    ) -> Result<Output, NoScore> {
        self.run_within(radiograph, MAX_RUN_TIME, times, begins)
    }

    fn is_lost(&self) -> bool {
        self.0.is_none()
    }
}

impl<N: Network> OnGpu<N> {
    /// Queues conversion, network and the copies of the outputs, then waits for them.
    fn run(
        &mut self,
        radiograph: RadiographView<'_>,
        most: Duration,
        times: &mut Times,
        begins: &mut dyn FnMut(Stage) -> Result<(), NoScore>,
    ) -> Result<Output, NoScore> {
        let Self { network, outputs, converter } = self;
        let deadline = Instant::now() + most;
        begins(Stage::Convert)?;
        let stream = Arc::clone(converter.stream());
        let while_doing = |doing, result: Result<(), DriverError>| {
            result.map_err(|error| NoScore::from(CudaError::from_driver(doing, error)))
        };
        let start = Instant::now();
        let uploaded = converter.upload(radiograph, deadline)?;
        times.upload = start.elapsed();
        while_doing("recording the start", outputs.started.record(&stream))?;
        uploaded.start()?;
        while_doing("recording the end of the conversion", outputs.converted.record(&stream))?;
        while_doing("clearing the outputs", outputs.each(|memory| memory.clear(&stream)))?;
        // SAFETY: the stream belongs to the context that the network was loaded in; the bound memory exists until `Drop`.
        unsafe { network.enqueue(&stream) }.map_err(|error| EngineError::Run { message: error.to_string() })?;
        while_doing("copying the outputs to the host", outputs.each(|memory| memory.fetch(&stream)))?;
        while_doing("recording the end of the network", outputs.inferred.record(&stream))?;
        wait(&outputs.converted, deadline)?;
        times.convert = between(&outputs.started, &outputs.converted)?;
        let may_infer = begins(Stage::Infer);
        // The network runs already. The next run may only begin when it has ended.
        wait(&outputs.inferred, deadline)?;
        may_infer?;
        times.infer = between(&outputs.converted, &outputs.inferred)?;
        outputs.values().map_err(|error| CudaError::from_driver("reading the outputs", error).into())
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

impl Outputs {
    /// Allocates the memory of the outputs, with a map of `map_size` cells.
    fn new(stream: &Arc<CudaStream>, map_size: Size) -> Result<Self, DriverError> {
        let event = || stream.context().new_event(Some(CUevent_flags::CU_EVENT_DEFAULT));
        Ok(Self {
            logit: OutputMemory::new(stream, 1)?,
            map: OutputMemory::new(stream, map_size.pixels())?,
            features: OutputMemory::new(stream, WhitenedFeatures::COUNT)?,
            map_size,
            started: event()?,
            converted: event()?,
            inferred: event()?,
        })
    }

    /// Calls `with` for the memory of each output.
    fn each(&mut self, mut with: impl FnMut(&mut OutputMemory) -> Result<(), DriverError>) -> Result<(), DriverError> {
        [&mut self.logit, &mut self.map, &mut self.features].into_iter().try_for_each(&mut with)
    }

    /// The outputs after the last copy.
    fn values(&self) -> Result<Output, DriverError> {
        let shares = self.map.host.as_slice()?.to_vec();
        let map = LogitMap::new(self.map_size, shares).expect("the memory has one value for each cell");
        let features = self.features.host.as_slice()?.try_into().expect("the memory has one value for each component");
        Ok(Output { logit: self.logit.host.as_slice()?[0], map, features: WhitenedFeatures::new(features) })
    }
}

impl OutputMemory {
    /// Allocates memory for `values` values.
    fn new(stream: &Arc<CudaStream>, values: usize) -> Result<Self, DriverError> {
        // No flags: the default of cudarc is write-combined memory, which the processor reads slowly.
        // SAFETY: this memory is read only after a copy to it is complete.
        let host = unsafe { stream.context().alloc_pinned_with_flags::<f32>(values, 0) }?;
        Ok(Self { gpu: stream.alloc_zeros(values)?, host })
    }

    /// Sets all values on GPU and host to NaN, so that a network that writes no output can't repeat the previous one. No policy
    /// accepts a NaN.
    fn clear(&mut self, stream: &Arc<CudaStream>) -> Result<(), DriverError> {
        self.host.as_mut_slice()?.fill(f32::NAN);
        let place = self.gpu.device_ptr(stream).0;
        // SAFETY: the memory holds this number of bytes; four bytes with all bits set are a NaN.
        unsafe { result::memset_d8_async(place, 0xff, self.gpu.num_bytes(), stream.cu_stream()) }
    }

    /// Queues the copy to the host.
    fn fetch(&mut self, stream: &Arc<CudaStream>) -> Result<(), DriverError> {
        let from = self.gpu.device_ptr(stream).0;
        let to = self.host.as_mut_slice()?;
        // SAFETY: source and target hold the same number of values, and exist until the stream has executed the copy: `Drop` of the
        // scorer waits for it.
        unsafe { result::memcpy_dtoh_async(to, from, stream.cu_stream()) }
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
mod lazy_tests;
#[cfg(test)]
mod tests;
