//! A device: its context, its one stream, the kernels, and how a sequence is carried out on it.
#![expect(unsafe_code, reason = "hands addresses to the CUDA driver")]

use super::error::{before, while_doing};
use super::module::Module;
use super::{CudaError, compile, driver_version};
use crate::convert::{Argument, Kernel, Launch, LaunchSequence, LaunchStep};
use cudarc::driver::sys::{
    CUdevice_attribute, CUdeviceptr, CUevent_flags, CUgraphInstantiate_flags, CUstreamCaptureMode,
};
use cudarc::driver::{
    CudaContext, CudaEvent, CudaGraph, CudaSlice, CudaStream, DevicePtr as _, PinnedHostSlice, result,
};
use std::ffi::{c_int, c_void};
use std::sync::Arc;
use std::time::Duration;

/// What a device says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Its name.
    pub name: String,
    /// Its compute capability, major and minor.
    pub capability: (u32, u32),
    /// How many multiprocessors it has.
    pub multiprocessors: u32,
}

/// The first device in the driver's order; `CUDA_VISIBLE_DEVICES` changes that.
pub(super) const FIRST: usize = 0;

/// Looks at the first device without opening it.
///
/// # Errors
/// [`CudaError`]: the driver is missing or too old, or knows no such device.
pub fn device_info() -> Result<DeviceInfo, CudaError> {
    driver_version()?;
    before("starting the driver", result::init())?;
    let device = before("looking for the device", result::device::get(FIRST as c_int))?;
    let name = before("asking for the device's name", result::device::get_name(device))?;
    let asking = "asking for the device's kind";
    // SAFETY: the device was found just now.
    let attribute = |attribute| before(asking, unsafe { result::device::get_attribute(device, attribute) });
    let major = attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
    let minor = attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
    let multiprocessors = attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?.unsigned_abs();
    Ok(DeviceInfo { name, capability: (major.unsigned_abs(), minor.unsigned_abs()), multiprocessors })
}

/// A device that is ready, with memory for a sequence.
pub(super) struct Device {
    pub(super) info: DeviceInfo,
    stream: Arc<CudaStream>,
    kernels: Module,
    memory: Block,
    tensor: Block,
    /// Used in turns: one is filled while the other is still being copied.
    staging: [Staging; 2],
    next: usize,
}

/// Memory on the device, at the same address as long as it lives.
pub(super) struct Block {
    slice: CudaSlice<u8>,
    address: CUdeviceptr,
}

/// Memory of the host that the device copies from.
struct Staging {
    /// When its last copy is done.
    copied: CudaEvent,
    memory: PinnedHostSlice<u8>,
}

impl Device {
    /// Opens the device, compiles `kernels` for it and takes all memory.
    pub(super) fn new(kernels: &[Kernel], memory_bytes: usize, tensor_bytes: usize) -> Result<Self, CudaError> {
        let info = device_info()?;
        let context = before("opening the device", CudaContext::new(FIRST))?;
        let kernels = Module::new(&context, kernels, &compile(kernels, info.capability)?)?;
        let stream = while_doing("making a stream", context.new_stream())?;
        let memory = Block::new(&stream, memory_bytes)?;
        let tensor = Block::new(&stream, tensor_bytes)?;
        let staging = [Staging::new(&context, memory_bytes)?, Staging::new(&context, memory_bytes)?];
        Ok(Self { info, stream, kernels, memory, tensor, staging, next: 0 })
    }

    /// The stream that everything is done on.
    pub(super) fn stream(&self) -> &Arc<CudaStream> {
        &self.stream
    }

    /// The address of the tensor.
    pub(super) fn tensor_address(&self) -> u64 {
        self.tensor.address
    }

    /// Copies `bytes` to the sequence's memory, from `at` on, as soon as what came before is done; does not wait for it.
    pub(super) fn upload(&mut self, at: usize, bytes: &[u8]) -> Result<(), CudaError> {
        self.stage(bytes)?;
        self.send(at, bytes.len())
    }

    /// Copies `bytes` to where the device can copy them from by itself; waits for the copy before the last one.
    pub(super) fn stage(&mut self, bytes: &[u8]) -> Result<(), CudaError> {
        self.next = (self.next + 1) % 2;
        let staging = &mut self.staging[self.next];
        while_doing("waiting for an earlier copy", staging.copied.synchronize())?;
        let staged = while_doing("reaching pinned memory", staging.memory.as_mut_slice())?;
        staged[..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    /// Copies the first `bytes` of what was staged last to the sequence's memory, from `at` on.
    pub(super) fn send(&mut self, at: usize, bytes: usize) -> Result<(), CudaError> {
        let staging = &mut self.staging[self.next];
        let staged = &while_doing("reaching pinned memory", staging.memory.as_slice())?[..bytes];
        assert!(at + bytes <= self.memory.slice.len(), "the sequence fits the memory");
        let to = self.memory.address + at as CUdeviceptr;
        while_doing("binding the context", self.stream.context().bind_to_thread())?;
        // SAFETY: the place lies within the sequence's memory. The source stays as it is until the event says that it was
        // copied: nobody else writes to it, and `Drop` waits before it is given back.
        let copy = unsafe { result::memcpy_htod_async(to, staged, self.stream.cu_stream()) };
        while_doing("copying to the device", copy)?;
        while_doing("marking the end of a copy", staging.copied.record(&self.stream))
    }

    /// Starts the steps of `sequence`; does not wait for them.
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

    /// The steps of `sequence` as a graph, to be started again and again.
    pub(super) fn capture(&self, sequence: &LaunchSequence) -> Result<CudaGraph, CudaError> {
        let mode = CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        // An error that was recorded earlier would be answered instead of ending the capture.
        let _ = self.stream.context().check_err();
        while_doing("capturing a graph", self.stream.begin_capture(mode))?;
        let started = self.start(sequence);
        // Ended in any case: nothing else can be done on a stream that is being captured.
        let graph = while_doing("ending a graph", self.stream.end_capture(CUgraphInstantiate_flags(0)));
        started?;
        graph?.ok_or_else(|| CudaError::Driver { doing: "ending a graph", detail: "it is empty".to_owned() })
    }

    /// Starts a graph that was captured here; does not wait for it.
    pub(super) fn start_graph(&self, graph: &CudaGraph) -> Result<(), CudaError> {
        while_doing("starting the conversion", graph.launch())
    }

    /// Waits until everything is done.
    pub(super) fn wait(&self) -> Result<(), CudaError> {
        while_doing("waiting for the conversion", self.stream.synchronize())
    }

    /// Memory that lives as long as the result.
    pub(super) fn take(&self, bytes: usize) -> Result<Block, CudaError> {
        Block::new(&self.stream, bytes)
    }

    /// Copies the start of the tensor as soon as what came before is done; does not wait for it.
    pub(super) fn keep_tensor(&self, to: &Block) -> Result<(), CudaError> {
        assert!(to.slice.len() <= self.tensor.slice.len(), "no more than the tensor has");
        while_doing("binding the context", self.stream.context().bind_to_thread())?;
        let (from, bytes, stream) = (self.tensor.address, to.slice.len(), self.stream.cu_stream());
        // SAFETY: both have so many bytes; they are given back by the same stream, after this.
        let copy = unsafe { result::memcpy_dtod_async(to.address, from, bytes, stream) };
        while_doing("keeping the tensor", copy)
    }

    /// What a block holds when everything before is done.
    pub(super) fn read(&self, block: &Block) -> Result<Vec<u8>, CudaError> {
        let mut values = vec![0; block.slice.len()];
        while_doing("reading from the device", self.stream.memcpy_dtoh(&block.slice, &mut values))?;
        self.wait()?;
        Ok(values)
    }

    /// How long the device is at `work`, by its own clock; waits for it.
    pub(super) fn time(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<(), CudaError>,
    ) -> Result<Duration, CudaError> {
        let mark = |device: &Self| {
            while_doing("marking a time", device.stream.record_event(Some(CUevent_flags::CU_EVENT_DEFAULT)))
        };
        let start = mark(self)?;
        work(self)?;
        let ms = while_doing("taking a time", start.elapsed_ms(&mark(self)?))?;
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
        // SAFETY: the arguments are as many and of the types that the kernel takes, which the tests on a processor show
        // with the same list; the driver copies them before it returns. The addresses lie in memory that lives as long as
        // the stream, and is large enough for the sequence.
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

impl Drop for Device {
    fn drop(&mut self) {
        // An error that was recorded earlier would be answered instead of waiting.
        let _ = self.stream.context().check_err();
        // Memory that is still being read or written is not given back; an error has been told where it came from.
        let _ = self.stream.synchronize();
    }
}

impl Block {
    fn new(stream: &Arc<CudaStream>, bytes: usize) -> Result<Self, CudaError> {
        let slice = while_doing("taking memory on the device", stream.alloc_zeros::<u8>(bytes))?;
        let address = slice.device_ptr(stream).0;
        Ok(Self { slice, address })
    }
}

impl Staging {
    fn new(context: &Arc<CudaContext>, bytes: usize) -> Result<Self, CudaError> {
        let copied = while_doing("making an event", context.new_event(None))?;
        // SAFETY: what it holds is not read before it is written: each copy begins with filling what it copies.
        let memory = unsafe { context.alloc_pinned::<u8>(bytes) };
        Ok(Self { copied, memory: while_doing("taking pinned memory", memory)? })
    }
}
