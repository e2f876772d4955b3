//! Images in, tensors on the device out.

use super::device::Device;
use super::{CudaError, CudaOptions, DeviceInfo};
use crate::convert::{OutputType, Plan};
use cellgate_models::conversion::{ConversionSpec, Size};
use cellgate_models::radiograph::RadiographView;
use cudarc::driver::{CudaGraph, CudaStream};
use std::sync::Arc;
use zerocopy::IntoBytes as _;

/// A specification made ready to run on a GPU; one a thread.
///
/// All memory is taken when it is made. An image of the size of the one before costs a copy of its levels and the start of
/// a captured graph; another size costs its resize weights and tables on the host (below a millisecond) and a start kernel
/// by kernel.
pub struct CudaConverter {
    spec: ConversionSpec,
    output_type: OutputType,
    max_pixels: usize,
    /// Before the device: a graph goes before the stream that it was captured from.
    current: Option<Current>,
    device: Device,
}

/// What is there for images of one size.
struct Current {
    plan: Plan,
    /// From the second image on.
    graph: Option<CudaGraph>,
}

/// The network's input on the device: 3 x height x width values, channel by channel.
///
/// It is complete when the stream has come so far: what is started on the same stream sees it. The next conversion
/// overwrites it, on the same stream too.
#[derive(Debug, Clone, Copy)]
pub struct DeviceTensor<'a> {
    /// Its address on the device, the same for all images.
    pub address: u64,
    /// Height and width of each plane.
    pub size: Size,
    /// The type of its values.
    pub output_type: OutputType,
    /// The stream that writes it.
    pub stream: &'a Arc<CudaStream>,
}

impl CudaConverter {
    /// Opens the device, compiles the kernels (about a second in all) and takes memory for images of up to `max_pixels` pixels.
    ///
    /// # Errors
    /// [`CudaError`]: CUDA is missing or too old, there is no device, too little memory, or the specification can't be
    /// carried out.
    pub fn new(
        spec: &ConversionSpec,
        max_pixels: usize,
        output_type: OutputType,
        options: &CudaOptions,
    ) -> Result<Self, CudaError> {
        // Before the libraries: a wrong specification is told on any machine.
        Plan::new(spec, Size { height: 1, width: 1 }, output_type)?;
        let max_pixels = max_pixels.clamp(1, Plan::MAX_PIXELS);
        let output_pixels = spec.size.map_or(max_pixels, Size::pixels);
        let device = Device::new(
            options,
            &Plan::kernels(spec, output_type),
            Plan::most_bytes(spec, max_pixels),
            3 * output_pixels * output_type.bytes(),
        )?;
        Ok(Self { spec: spec.clone(), output_type, max_pixels, current: None, device })
    }

    /// The device that it runs on.
    #[must_use]
    pub fn device(&self) -> &DeviceInfo {
        &self.device.info
    }

    /// Starts the conversion of `radiograph`; the tensor is complete when its stream has come so far.
    ///
    /// # Errors
    /// [`CudaError::TooLarge`], [`CudaError::Plan`], and what the driver says: after [`CudaError::ContextLost`] nothing here
    /// works any more.
    pub fn convert<'a>(&mut self, radiograph: impl Into<RadiographView<'a>>) -> Result<DeviceTensor<'_>, CudaError> {
        let radiograph = radiograph.into();
        let image = Size { height: radiograph.height(), width: radiograph.width() };
        if image.pixels() > self.max_pixels {
            return Err(CudaError::TooLarge { found: image.pixels(), expected: self.max_pixels });
        }
        let output = match self.current.take() {
            Some(current) if current.plan.image() == image => self.again(current, radiograph)?,
            _ => self.first(image, radiograph)?,
        };
        Ok(DeviceTensor {
            address: self.device.tensor_address(),
            size: output,
            output_type: self.output_type,
            stream: self.device.stream(),
        })
    }

    /// The tensor's bytes on the host; waits for them.
    ///
    /// # Errors
    /// As [`CudaConverter::convert`].
    pub fn to_bytes<'a>(&mut self, radiograph: impl Into<RadiographView<'a>>) -> Result<Vec<u8>, CudaError> {
        let size = self.convert(radiograph)?.size;
        self.device.read_tensor(3 * size.pixels() * self.output_type.bytes())
    }

    /// Waits until the last conversion is done.
    ///
    /// # Errors
    /// What went wrong on the device meanwhile.
    pub fn wait(&self) -> Result<(), CudaError> {
        self.device.wait()
    }

    /// An image of another size than the one before. An error leaves no plan behind.
    fn first(&mut self, image: Size, radiograph: RadiographView<'_>) -> Result<Size, CudaError> {
        let plan = Plan::new(&self.spec, image, self.output_type)?;
        self.device.upload(0, plan.fixed())?;
        self.device.upload(plan.levels().start, radiograph.levels().as_bytes())?;
        self.device.start(&plan)?;
        let output = plan.output();
        self.current = Some(Current { plan, graph: None });
        Ok(output)
    }

    /// An image of the same size.
    fn again(&mut self, mut current: Current, radiograph: RadiographView<'_>) -> Result<Size, CudaError> {
        self.device.upload(current.plan.levels().start, radiograph.levels().as_bytes())?;
        if current.graph.is_none() {
            current.graph = self.device.capture(&current.plan)?;
        }
        match &current.graph {
            Some(graph) => self.device.start_graph(graph)?,
            None => self.device.start(&current.plan)?,
        }
        let output = current.plan.output();
        self.current = Some(current);
        Ok(output)
    }
}
