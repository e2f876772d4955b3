//! Converts images to tensors on the GPU.

use super::gpu::OpenGpu;
use super::{CudaError, GpuInfo};
use crate::convert::LaunchSequence;
use cellgate_models::conversion::{ConversionSpec, Size};
use cellgate_models::radiograph::RadiographView;
use cudarc::driver::{CudaGraph, CudaStream};
use std::sync::Arc;
use std::time::{Duration, Instant};
use zerocopy::IntoBytes as _;

/// How long comparisons and measurements wait for an earlier copy to the GPU. NVIDIA's compute-sanitizer and Nsight Compute slow a GPU
/// down by orders of magnitude.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// A conversion that is ready to run on a GPU. Each thread needs one of its own.
///
/// `new` allocates all memory that [`convert`](Self::convert) uses. An image of the previous image's size costs a copy of its
/// levels and one graph launch. For an image of another size the host also computes the resize weights and the mapping of levels
/// between the bounds (`Spread`), in less than a millisecond, and the kernels are launched one by one.
pub struct CudaConverter {
    spec: ConversionSpec,
    max_pixels: usize,
    /// Whether to capture graphs. False after a capture failed: from then on kernels are launched one by one.
    captures: bool,
    /// Declared before `gpu`: a graph must be dropped before the stream that it was captured from.
    current: Option<Current>,
    gpu: OpenGpu,
}

/// The state for images of one size.
struct Current {
    sequence: LaunchSequence,
    /// Whether an image of this size was converted before.
    is_repeated: bool,
    /// Captured with the second image of this size, unless capturing failed.
    graph: Option<CudaGraph>,
}

/// A radiograph whose copy to the GPU is queued, and whose conversion is not.
#[must_use = "only `start` starts the conversion"]
pub struct Uploaded<'a> {
    gpu: &'a OpenGpu,
    current: &'a mut Current,
}

/// The network's input in GPU memory: 3 x height x width values of f32, channel by channel.
///
/// The tensor is complete once the stream has executed the conversion, so later work on the same stream can read it. The next
/// conversion runs on the same stream and overwrites the tensor.
#[derive(Debug, Clone, Copy)]
pub struct GpuTensor<'a> {
    /// The tensor's address in GPU memory, the same for all images.
    pub address: u64,
    /// Height and width of each plane.
    pub size: Size,
    /// The stream that writes the tensor.
    pub stream: &'a Arc<CudaStream>,
}

/// Durations of the steps of a conversion.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// The processor's copy of the levels to pinned memory, from which the GPU can copy.
    pub staging: Duration,
    /// The copy of the levels to the GPU, by the GPU's clock.
    pub upload: Duration,
    /// The kernels of one conversion, by the GPU's clock: the mean of conversions that were launched back to back.
    pub kernels: Duration,
    /// Whether the kernels were launched as a captured graph.
    pub is_graph: bool,
}

impl CudaConverter {
    /// Opens the GPU, compiles the kernels (about a second in all) and allocates memory for images of up to `max_pixels`
    /// pixels.
    ///
    /// # Errors
    /// [`CudaError`]: CUDA is missing or too old, there is no GPU, too little memory, or kernels can't carry out the
    /// specification.
    pub fn new(spec: &ConversionSpec, max_pixels: usize) -> Result<Self, CudaError> {
        // The specification is checked before the libraries, so that a machine without CUDA reports a wrong
        // specification too.
        LaunchSequence::check(spec)?;
        let max_pixels = max_pixels.clamp(1, LaunchSequence::MAX_PIXELS);
        let output_pixels = spec.size.map_or(max_pixels, Size::pixels);
        let gpu = OpenGpu::new(
            &LaunchSequence::kernels(spec),
            LaunchSequence::most_bytes(spec, max_pixels),
            3 * output_pixels * size_of::<f32>(),
        )?;
        Ok(Self { spec: spec.clone(), max_pixels, captures: true, current: None, gpu })
    }

    /// The GPU that the conversion runs on.
    #[must_use]
    pub fn gpu(&self) -> &GpuInfo {
        &self.gpu.info
    }

    /// The stream for all work.
    #[must_use]
    pub fn stream(&self) -> &Arc<CudaStream> {
        self.gpu.stream()
    }

    /// Starts the conversion of `radiograph` and does not wait for it; see [`GpuTensor`]. Waits up to 60 s for earlier copies.
    ///
    /// # Errors
    /// As [`upload`](Self::upload) and [`Uploaded::start`].
    pub fn convert<'a>(&mut self, radiograph: impl Into<RadiographView<'a>>) -> Result<GpuTensor<'_>, CudaError> {
        self.upload(radiograph, Instant::now() + MAX_WAIT)?.start()
    }

    /// Copies the levels of `radiograph` to pinned memory, and queues their copy to the GPU. Prepares the conversion if the size
    /// differs from the previous image's, and captures it with the second image of a size. The levels are no longer used when this
    /// function returns. Waits for the GPU at most until `deadline`.
    ///
    /// # Errors
    /// [`CudaError::TooLarge`], [`CudaError::Sequence`], and errors of the driver. After [`CudaError::ContextLost`] the converter
    /// is unusable.
    pub fn upload<'a>(
        &mut self,
        radiograph: impl Into<RadiographView<'a>>,
        deadline: Instant,
    ) -> Result<Uploaded<'_>, CudaError> {
        let radiograph = radiograph.into();
        let image_size = Size { height: radiograph.height(), width: radiograph.width() };
        if image_size.pixels() > self.max_pixels {
            return Err(CudaError::TooLarge { found: image_size.pixels(), expected: self.max_pixels });
        }
        let current = match self.current.take() {
            Some(current) if current.sequence.image_size() == image_size => self.current.insert(current),
            // After an error, `current` stays `None`.
            _ => {
                let sequence = LaunchSequence::new(&self.spec, image_size)?;
                self.gpu.upload(0, sequence.fixed(), deadline)?;
                self.current.insert(Current { sequence, is_repeated: false, graph: None })
            }
        };
        self.gpu.upload(current.sequence.levels().start, radiograph.levels().as_bytes(), deadline)?;
        if current.is_repeated && current.graph.is_none() && self.captures {
            current.graph = capture(&self.gpu, &current.sequence)?;
            self.captures = current.graph.is_some();
        }
        Ok(Uploaded { gpu: &self.gpu, current })
    }

    /// Converts `radiographs` and copies each tensor to the host. Starts all conversions before it waits for the first.
    ///
    /// # Errors
    /// As [`CudaConverter::convert`].
    pub fn to_bytes(&mut self, radiographs: &[RadiographView<'_>]) -> Result<Vec<Vec<u8>>, CudaError> {
        let kept = radiographs.iter().map(|radiograph| {
            let image_size = Size { height: radiograph.height(), width: radiograph.width() };
            self.gpu.take(3 * self.spec.size.unwrap_or(image_size).pixels() * size_of::<f32>())
        });
        let kept = kept.collect::<Result<Vec<_>, _>>()?;
        for (&radiograph, kept) in radiographs.iter().zip(&kept) {
            self.convert(radiograph)?;
            self.gpu.keep_tensor(kept)?;
        }
        kept.iter().map(|kept| self.gpu.read(kept)).collect()
    }

    /// Measures each step of a conversion separately, as the mean over `rounds`.
    ///
    /// # Errors
    /// As [`CudaConverter::convert`].
    pub fn time(&mut self, radiograph: RadiographView<'_>, rounds: u32) -> Result<Timings, CudaError> {
        let rounds = rounds.max(1);
        // The second conversion of an image size captures the graph.
        for _ in 0..3 {
            self.convert(radiograph)?;
        }
        self.wait()?;
        let Self { current: Some(Current { sequence, graph, .. }), gpu, .. } = self else {
            return Ok(Timings::default());
        };
        let bytes = radiograph.levels().as_bytes();
        let start = Instant::now();
        (0..rounds).try_for_each(|_| gpu.stage_only(bytes, start + MAX_WAIT))?;
        let staging = start.elapsed() / rounds;
        let upload = gpu.time(|gpu| (0..rounds).try_for_each(|_| gpu.send_only(sequence.levels().start, bytes)))?;
        let kernels = gpu.time(|gpu| {
            (0..rounds).try_for_each(|_| match &graph {
                Some(graph) => gpu.start_graph(graph),
                None => gpu.start(sequence),
            })
        })?;
        Ok(Timings { staging, upload: upload / rounds, kernels: kernels / rounds, is_graph: graph.is_some() })
    }

    /// Waits until the last conversion is complete.
    ///
    /// # Errors
    /// [`CudaError`]: the GPU failed meanwhile.
    pub fn wait(&self) -> Result<(), CudaError> {
        self.gpu.wait()
    }
}

/// Captures `sequence` as a graph. `None` if that is not possible: then the kernels are launched one by one.
fn capture(gpu: &OpenGpu, sequence: &LaunchSequence) -> Result<Option<CudaGraph>, CudaError> {
    match gpu.capture(sequence) {
        Ok(graph) => Ok(Some(graph)),
        Err(error) if error.is_context_lost() => Err(error),
        Err(error) => {
            tracing::warn!(
                event = "graph_capture_failed",
                %error,
                "the conversion was not captured as a graph; its kernels are launched one by one"
            );
            Ok(None)
        }
    }
}

impl<'a> Uploaded<'a> {
    /// Starts the conversion and does not wait for it; see [`GpuTensor`].
    ///
    /// # Errors
    /// Errors of the driver. After [`CudaError::ContextLost`] the converter is unusable.
    pub fn start(self) -> Result<GpuTensor<'a>, CudaError> {
        let Self { gpu, current } = self;
        match &current.graph {
            Some(graph) => gpu.start_graph(graph)?,
            None => gpu.start(&current.sequence)?,
        }
        current.is_repeated = true;
        Ok(GpuTensor { address: gpu.tensor_address(), size: current.sequence.output_size(), stream: gpu.stream() })
    }
}

impl Drop for CudaConverter {
    fn drop(&mut self) {
        if self.gpu.is_lost() {
            // The GPU may be executing the graph, and may never end.
            std::mem::forget(self.current.take());
        }
    }
}
