//! Conversion and network on the GPU, with no way back to the host between them.
#![expect(unsafe_code, reason = "hands device memory and a stream to TensorRT")]

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

/// What the first run may take: TensorRT for RTX compiles its kernels for the GPU at hand then.
const MAX_FIRST_RUN_TIME: Duration = Duration::from_secs(60);
/// What any later run may take.
const MAX_RUN_TIME: Duration = Duration::from_secs(2);
/// Between two looks at the GPU: short beside what it is waited for, and it leaves the processor to others.
const LOOK_EVERY: Duration = Duration::from_micros(50);

/// On the GPU: levels go there, a score comes back.
///
/// Whatever goes wrong there while it runs, it is given up: a context can't be made anew in the same process, as TensorRT holds
/// it too, and a GPU that does not answer can't be waited for. So what is on it is left as it is, never freed.
pub(super) struct GpuScorer<N>(Option<Parts<N>>);

struct Parts<N> {
    // In this order, so that each is dropped before what it uses.
    network: N,
    score: Score,
    converter: CudaConverter,
}

/// A network that takes its input on the GPU, and leaves its score there.
pub(super) trait Network {
    /// Height and width of the input in pixels.
    fn input_size(&self) -> Size;

    /// Says where on the device the input and the score lie.
    ///
    /// # Safety
    /// `input` must be the address of 3 x height x width values of f32 in device memory, `output` that of one, both for as long
    /// as anything is started.
    unsafe fn bind(&mut self, input: u64, output: u64) -> Result<(), PlanError>;

    /// Starts on `stream`; does not wait.
    ///
    /// # Safety
    /// `stream` must be of the context that the network was loaded in, and [`bind`](Self::bind)'s memory must be there until it
    /// has come so far.
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

/// Where the score comes to, and how far the GPU is.
struct Score {
    device: CudaSlice<f32>,
    host: PinnedHostSlice<f32>,
    started: CudaEvent,
    converted: CudaEvent,
    inferred: CudaEvent,
}

impl<N: Network> GpuScorer<N> {
    /// Takes all memory for images of up to `max_pixels` pixels, has `load` load the network into the context that is current
    /// then, and runs it once. `alive` is called after each step.
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
        let score = Score::new(tensor.stream).map_err(|error| CudaError::from_driver("taking memory", error))?;
        let address = score.device.device_ptr(tensor.stream).0;
        // SAFETY: the tensor has 3 x height x width values of f32, as the sizes are equal; it and the score's place stay
        // where they are for as long as this is there, and `Drop` waits before they go.
        unsafe { network.bind(tensor.address, address) }?;
        let mut scorer = Self(Some(Parts { network, score, converter }));
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
        let Some(parts) = &mut self.0 else {
            return Err(EngineError::Run { message: "the GPU failed before".to_owned() }.into());
        };
        let score = parts.run(radiograph, most, times, begins);
        if score.as_ref().is_err_and(|error| error.reason() == Reason::EngineFailed) {
            std::mem::forget(self.0.take());
        }
        score
    }
}

impl<N: Network> Scorer for GpuScorer<N> {
    fn score(
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

impl<N: Network> Parts<N> {
    /// Starts everything, then waits for it.
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
        while_doing("marking the start", score.started.record(&stream))?;
        converter.convert(radiograph)?;
        while_doing("marking the end of the conversion", score.converted.record(&stream))?;
        while_doing("clearing the score", score.clear(&stream))?;
        // SAFETY: the stream is of the context that the network was loaded in; what is bound is there until `Drop`.
        unsafe { network.enqueue(&stream) }.map_err(|error| EngineError::Run { message: error.to_string() })?;
        while_doing("starting the score's way back", score.fetch(&stream))?;
        while_doing("marking the end of the network", score.inferred.record(&stream))?;
        wait(&score.converted, deadline)?;
        times.convert = between(&score.started, &score.converted)?;
        begins(Stage::Infer);
        wait(&score.inferred, deadline)?;
        times.infer = between(&score.converted, &score.inferred)?;
        score.value().map_err(|error| CudaError::from_driver("reading the score", error).into())
    }
}

impl Pipeline {
    /// A pipeline that runs `plan`, whatever is known of its GPU, once it has proven itself.
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

impl<N> Drop for Parts<N> {
    fn drop(&mut self) {
        // Everything that was started has ended, or this would have been left as it is.
        let _ = self.converter.wait();
    }
}

impl Score {
    fn new(stream: &Arc<CudaStream>) -> Result<Self, DriverError> {
        let context = stream.context();
        // SAFETY: it is read only after a copy to it has ended.
        let host = unsafe { context.alloc_pinned::<f32>(1) }?;
        let device = stream.alloc_zeros(1)?;
        let event = || context.new_event(Some(CUevent_flags::CU_EVENT_DEFAULT));
        Ok(Self { device, host, started: event()?, converted: event()?, inferred: event()? })
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

/// The time between two events that are over, by the GPU's clock.
fn between(start: &CudaEvent, end: &CudaEvent) -> Result<Duration, NoScore> {
    let ms = start.elapsed_ms(end).map_err(|error| CudaError::from_driver("taking a time", error))?;
    Ok(Duration::try_from_secs_f32(ms / 1e3).unwrap_or_default())
}

#[cfg(test)]
mod tests;
