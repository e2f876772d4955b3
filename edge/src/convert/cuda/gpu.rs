//! Opens the GPU with a context, a stream, kernels and memory, and executes launch sequences on it.
#![expect(unsafe_code, reason = "hands addresses to the CUDA driver")]

use super::context::{FIRST, context};
use super::error::{before, while_doing};
use super::module::Module;
use super::{CudaError, compile, driver_version};
use crate::convert::{Argument, Kernel, Launch, LaunchSequence, LaunchStep};
use cudarc::driver::sys::{
    CU_MEMHOSTALLOC_WRITECOMBINED, CUdevice_attribute, CUdeviceptr, CUevent_flags, CUgraphInstantiate_flags,
    CUstreamCaptureMode,
};
use cudarc::driver::{
    CudaContext, CudaEvent, CudaGraph, CudaSlice, CudaStream, DevicePtr as _, PinnedHostSlice, result,
};
use std::ffi::{c_int, c_void};
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Properties of a GPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuInfo {
    /// The GPU's name.
    pub name: String,
    /// The GPU's compute capability, major and minor.
    pub capability: (u32, u32),
    /// How many multiprocessors the GPU has.
    pub multiprocessors: u32,
    /// Whether the GPU has no memory of its own, but shares the processor's.
    pub is_integrated: bool,
}

/// Reads the properties of the first GPU without creating a context.
///
/// # Errors
/// [`CudaError`]: the driver is missing or too old, or finds no GPU.
pub fn gpu_info() -> Result<GpuInfo, CudaError> {
    driver_version()?;
    before("starting the driver", result::init())?;
    let gpu = before("finding the GPU", result::device::get(FIRST as c_int))?;
    let name = before("reading the GPU's name", result::device::get_name(gpu))?;
    let reading = "reading the GPU's attributes";
    // SAFETY: the driver found the GPU just now.
    let attribute = |attribute| before(reading, unsafe { result::device::get_attribute(gpu, attribute) });
    let major = attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
    let minor = attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
    let multiprocessors = attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?.unsigned_abs();
    let is_integrated = attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_INTEGRATED)? != 0;
    Ok(GpuInfo { name, capability: (major.unsigned_abs(), minor.unsigned_abs()), multiprocessors, is_integrated })
}

/// An open GPU with memory for launch sequences.
pub(super) struct OpenGpu {
    pub(super) info: GpuInfo,
    stream: Arc<CudaStream>,
    // `Drop` drops these four, or leaks them after `is_lost`.
    kernels: ManuallyDrop<Module>,
    memory: ManuallyDrop<Block>,
    tensor: ManuallyDrop<Block>,
    /// Two buffers, used in turns: one is filled while the other is still being copied.
    staging: ManuallyDrop<[Staging; 2]>,
    /// The index of the buffer in `staging` that was filled last.
    filled: usize,
    /// Whether the GPU failed, or did not answer in time, when a copy was waited for. Then it may never answer.
    is_lost: bool,
}

/// GPU memory at a fixed address.
pub(super) struct Block {
    slice: CudaSlice<u8>,
    address: CUdeviceptr,
}

/// Pinned host memory that the GPU copies from, for one piece of the data.
struct Staging {
    /// Signalled when the last copy from this memory is complete.
    copied: CudaEvent,
    memory: PinnedHostSlice<u8>,
}

impl OpenGpu {
    /// Opens the GPU, compiles `kernels` for it and allocates all memory.
    pub(super) fn new(kernels: &[Kernel], memory_bytes: usize, tensor_bytes: usize) -> Result<Self, CudaError> {
        let info = gpu_info()?;
        let context = context()?;
        let kernels = Module::new(&context, kernels, &compile(kernels, info.capability)?)?;
        let stream = while_doing("creating a stream", context.new_stream())?;
        let memory = Block::new(&stream, memory_bytes)?;
        let tensor = Block::new(&stream, tensor_bytes)?;
        let staging = [Staging::new(&context, &info)?, Staging::new(&context, &info)?];
        Ok(Self {
            info,
            stream,
            kernels: ManuallyDrop::new(kernels),
            memory: ManuallyDrop::new(memory),
            tensor: ManuallyDrop::new(tensor),
            staging: ManuallyDrop::new(staging),
            filled: 0,
            is_lost: false,
        })
    }

    /// The stream for all work.
    pub(super) fn stream(&self) -> &Arc<CudaStream> {
        &self.stream
    }

    /// The address of the tensor.
    pub(super) fn tensor_address(&self) -> u64 {
        self.tensor.address
    }

    /// Whether the GPU may never answer, so that everything on it must be leaked.
    pub(super) fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// Copies `bytes` to pinned memory piece by piece, and queues the copy of each piece to its place in the sequence's memory, where
    /// the first byte has the offset `at`. The GPU copies one piece while the processor copies the next. Waits for the GPU at most
    /// until `deadline`.
    pub(super) fn upload(&mut self, at: usize, bytes: &[u8], deadline: Instant) -> Result<(), CudaError> {
        Staging::pieces(bytes).try_for_each(|(start, piece)| {
            self.stage(piece, deadline)?;
            self.send(at + start, piece.len())
        })
    }

    /// Copies a piece to the next of the two pinned buffers. First waits until the previous copy from this buffer is complete.
    fn stage(&mut self, piece: &[u8], deadline: Instant) -> Result<(), CudaError> {
        self.filled = (self.filled + 1) % 2;
        let staging = &mut self.staging[self.filled];
        let waited = staging.wait(deadline);
        self.is_lost |= waited.as_ref().is_err_and(CudaError::is_context_lost);
        waited?;
        let staged = while_doing("accessing pinned memory", staging.memory.as_mut_slice())?;
        staged[..piece.len()].copy_from_slice(piece);
        Ok(())
    }

    /// Copies `bytes` to pinned memory like [`upload`](Self::upload), but not to the GPU. For measurements.
    pub(super) fn stage_only(&mut self, bytes: &[u8], deadline: Instant) -> Result<(), CudaError> {
        Staging::pieces(bytes).try_for_each(|(_, piece)| self.stage(piece, deadline))
    }

    /// Queues the copies of [`upload`](Self::upload), but from whatever the pinned memory holds. For measurements.
    pub(super) fn send_only(&mut self, at: usize, bytes: &[u8]) -> Result<(), CudaError> {
        Staging::pieces(bytes).try_for_each(|(start, piece)| self.send(at + start, piece.len()))
    }

    /// Queues a copy of the first `bytes` staged bytes to offset `at` of the sequence's memory.
    fn send(&mut self, at: usize, bytes: usize) -> Result<(), CudaError> {
        let staging = &mut self.staging[self.filled];
        let staged = &while_doing("accessing pinned memory", staging.memory.as_slice())?[..bytes];
        assert!(at + bytes <= self.memory.slice.len(), "the sequence fits the memory");
        let to = self.memory.address + at as CUdeviceptr;
        while_doing("binding the context", self.stream.context().bind_to_thread())?;
        // SAFETY: the target lies within the sequence's memory. The source does not change before the event signals the end of
        // the copy: only `stage` writes to the source, after waiting for the event, and `Drop` waits before the source is freed.
        let copy = unsafe { result::memcpy_htod_async(to, staged, self.stream.cu_stream()) };
        while_doing("copying to the GPU", copy)?;
        while_doing("marking the end of a copy", staging.copied.record(&self.stream))
    }

    /// Queues the steps of `sequence`.
    pub(super) fn start(&self, sequence: &LaunchSequence) -> Result<(), CudaError> {
        assert!(sequence.bytes() <= self.memory.slice.len(), "the sequence fits the memory");
        assert!(sequence.tensor_bytes() <= self.tensor.slice.len(), "the tensor fits its memory");
        while_doing("binding the context", self.stream.context().bind_to_thread())?;
        sequence.steps().iter().try_for_each(|step| match step {
            LaunchStep::Clear(range) => {
                let from = self.memory.address + range.start as CUdeviceptr;
                // SAFETY: the range lies within the sequence's memory.
                let clear = unsafe { result::memset_d8_async(from, 0, range.len(), self.stream.cu_stream()) };
                while_doing("clearing memory", clear)
            }
            LaunchStep::Launch(launch) => self.launch(launch),
        })
    }

    /// Captures the steps of `sequence` as a graph that can be launched repeatedly.
    pub(super) fn capture(&self, sequence: &LaunchSequence) -> Result<CudaGraph, CudaError> {
        let mode = CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        // Clears an error that cudarc recorded earlier; ending the capture would return it.
        let _ = self.stream.context().check_err();
        while_doing("capturing a graph", self.stream.begin_capture(mode))?;
        let started = self.start(sequence);
        // Ends the capture in any case: a capturing stream accepts no other work.
        let graph = while_doing("ending a graph", self.stream.end_capture(CUgraphInstantiate_flags(0)));
        started?;
        graph?.ok_or_else(|| CudaError::Driver { doing: "ending a graph", detail: "the graph is empty".to_owned() })
    }

    /// Queues a graph that [`capture`](Self::capture) returned.
    pub(super) fn start_graph(&self, graph: &CudaGraph) -> Result<(), CudaError> {
        while_doing("starting the conversion", graph.launch())
    }

    /// Waits until all queued work is complete.
    pub(super) fn wait(&self) -> Result<(), CudaError> {
        while_doing("waiting for the conversion", self.stream.synchronize())
    }

    /// Allocates GPU memory.
    pub(super) fn take(&self, bytes: usize) -> Result<Block, CudaError> {
        Block::new(&self.stream, bytes)
    }

    /// Queues a copy of the start of the tensor to `to`.
    pub(super) fn keep_tensor(&self, to: &Block) -> Result<(), CudaError> {
        assert!(to.slice.len() <= self.tensor.slice.len(), "no more than the tensor has");
        while_doing("binding the context", self.stream.context().bind_to_thread())?;
        let (from, bytes, stream) = (self.tensor.address, to.slice.len(), self.stream.cu_stream());
        // SAFETY: both blocks have at least `bytes` bytes, and the same stream frees them later.
        let copy = unsafe { result::memcpy_dtod_async(to.address, from, bytes, stream) };
        while_doing("copying the tensor", copy)
    }

    /// The content of a block after all queued work.
    pub(super) fn read(&self, block: &Block) -> Result<Vec<u8>, CudaError> {
        let mut values = vec![0; block.slice.len()];
        while_doing("reading from the GPU", self.stream.memcpy_dtoh(&block.slice, &mut values))?;
        self.wait()?;
        Ok(values)
    }

    /// Measures `work` by the GPU's clock, and waits for its end.
    pub(super) fn time(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<(), CudaError>,
    ) -> Result<Duration, CudaError> {
        let mark = |gpu: &Self| {
            while_doing("recording a time", gpu.stream.record_event(Some(CUevent_flags::CU_EVENT_DEFAULT)))
        };
        let start = mark(self)?;
        work(self)?;
        let ms = while_doing("reading a time", start.elapsed_ms(&mark(self)?))?;
        Ok(Duration::try_from_secs_f32(ms / 1e3).unwrap_or_default())
    }

    fn launch(&self, launch: &Launch) -> Result<(), CudaError> {
        let function = self.kernels.function(launch.kernel)?;
        let address = |argument: &Argument| match argument {
            Argument::Memory(offset) => self.memory.address + *offset as CUdeviceptr,
            Argument::Tensor => self.tensor.address,
            Argument::Value(_) => 0,
        };
        let addresses: Vec<CUdeviceptr> = launch.arguments.iter().map(address).collect();
        let place = |(argument, address): (&Argument, &CUdeviceptr)| match argument {
            Argument::Value(bytes) => bytes.as_ptr().cast_mut().cast::<c_void>(),
            _ => std::ptr::from_ref(address).cast_mut().cast(),
        };
        let mut arguments: Vec<*mut c_void> = launch.arguments.iter().zip(&addresses).map(place).collect();
        let [x, y] = launch.blocks;
        // SAFETY: number and types of the arguments are the kernel's, as the tests on the CPU prove with the same list. The
        // driver copies them before it returns. The addresses lie in memory that lives as long as the stream and is large
        // enough for the sequence.
        let launched = unsafe {
            result::launch_kernel(
                function,
                (x, y, 1),
                (launch.threads, 1, 1),
                launch.shared_bytes,
                self.stream.cu_stream(),
                &mut arguments,
            )
        };
        while_doing("starting a kernel", launched)
    }
}

impl Drop for OpenGpu {
    fn drop(&mut self) {
        if self.is_lost {
            // Waiting for this GPU might never end, and so might freeing. Each memory block holds the stream, so that is leaked too.
            return;
        }
        // Clears an error that cudarc recorded earlier; the next call would return it instead of waiting.
        let _ = self.stream.context().check_err();
        // Memory in use must not be freed, so wait. Errors are ignored here: the call that caused one has already returned it.
        let _ = self.stream.synchronize();
        // SAFETY: none of the four is used after this.
        unsafe {
            ManuallyDrop::drop(&mut self.staging);
            ManuallyDrop::drop(&mut self.tensor);
            ManuallyDrop::drop(&mut self.memory);
            ManuallyDrop::drop(&mut self.kernels);
        }
    }
}

impl Block {
    fn new(stream: &Arc<CudaStream>, bytes: usize) -> Result<Self, CudaError> {
        let slice = while_doing("allocating GPU memory", stream.alloc_zeros::<u8>(bytes))?;
        let address = slice.device_ptr(stream).0;
        Ok(Self { slice, address })
    }
}

impl Staging {
    /// The size of each buffer: a fifth of the paper's largest radiograph, and small, because pinned memory is never paged out.
    const BYTES: usize = 1 << 20;

    fn new(context: &Arc<CudaContext>, info: &GpuInfo) -> Result<Self, CudaError> {
        let copied = while_doing("creating an event", context.new_event(None))?;
        // Write-combined memory does not pass through the processor's caches on its way over PCIe. An integrated GPU reads the same
        // memory as the processor, without PCIe.
        let flags = if info.is_integrated { 0 } else { CU_MEMHOSTALLOC_WRITECOMBINED };
        // SAFETY: the processor never reads this memory, and the GPU copies only bytes that `stage` has written, except for
        // measurements, which use no result of the copy; any byte is a valid u8.
        let memory = unsafe { context.alloc_pinned_with_flags::<u8>(Self::BYTES, flags) };
        Ok(Self { copied, memory: while_doing("allocating pinned memory", memory)? })
    }

    /// Waits until the last copy from this memory is complete, at most until `deadline`. CUDA's own function would wait forever if the
    /// GPU does not answer.
    fn wait(&self, deadline: Instant) -> Result<(), CudaError> {
        let doing = "waiting for an earlier copy";
        while !while_doing(doing, self.copied.try_is_complete())? {
            if Instant::now() >= deadline {
                return Err(CudaError::ContextLost { doing, detail: "the GPU did not answer in time".to_owned() });
            }
            std::thread::yield_now();
        }
        Ok(())
    }

    /// The pieces of `bytes` that fit a buffer, each with the offset of its first byte.
    fn pieces(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
        bytes.chunks(Self::BYTES).enumerate().map(|(index, piece)| (index * Self::BYTES, piece))
    }
}
