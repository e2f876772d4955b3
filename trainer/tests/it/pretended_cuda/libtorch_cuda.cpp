// A stand-in for libtorch's CUDA library, for tests on machines without a GPU. It pretends that there is one GPU: its tensors lie
// in main memory, and each operation on them is computed by libtorch's CPU code. As on a GPU, an operation on tensors of the GPU
// and of the CPU is an error.
#include <ATen/Context.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <cstdio>
#include <cstdlib>
#include <torch/library.h>

namespace {

const c10::Device GPU(c10::kCUDA, 0);

struct Hooks : at::CUDAHooksInterface {
  explicit Hooks(at::CUDAHooksArgs) {}
  void init() const override {}
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasCUDA() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  c10::DeviceIndex getCurrentDevice() const override { return 0; }
  c10::DeviceIndex current_device() const override { return 0; }
  int getNumGPUs() const override { return 1; }
};

struct Guard final : c10::impl::NoOpDeviceGuardImpl<c10::kCUDA> {
  c10::Device exchangeDevice(c10::Device) const override { return GPU; }
  c10::Device getDevice() const override { return GPU; }
  c10::Stream getStream(c10::Device) const noexcept override { return c10::Stream(c10::Stream::DEFAULT, GPU); }
  c10::Stream exchangeStream(c10::Stream) const noexcept override { return getStream(GPU); }
};

// The storage in main memory that a storage of the pretended GPU stands for.
void forget(void *storage) { delete static_cast<c10::Storage *>(storage); }
const c10::Storage &in_memory(const at::Tensor &tensor) {
  return *static_cast<c10::Storage *>(tensor.storage().data_ptr().get_context());
}

at::Tensor tensor_of(c10::Storage storage, c10::DispatchKey key, const at::Tensor &like) {
  auto tensor = at::detail::make_tensor<c10::TensorImpl>(std::move(storage), c10::DispatchKeySet(key), like.dtype());
  tensor.unsafeGetTensorImpl()->set_sizes_and_strides(like.sizes(), like.strides(), like.storage_offset());
  return tensor;
}

c10::DataPtr pointer_to(const c10::Storage &storage) {
  return c10::DataPtr(storage.mutable_data_ptr().get(), new c10::Storage(storage), &forget, GPU);
}

// One operation: the tensors of the pretended GPU among its arguments, each with its stand-in in main memory.
struct Operation {
  std::string name;
  bool is_copy;
  std::vector<std::pair<at::Tensor, at::Tensor>> tensors;
  bool has_cpu_tensor = false;

  c10::IValue to_memory(const c10::IValue &value) {
    if (value.isTensor()) {
      const at::Tensor &tensor = value.toTensor();
      if (!tensor.defined() || !tensor.is_cuda()) {
        // A number of no dimension may come from the CPU.
        has_cpu_tensor |= tensor.defined() && tensor.dim() > 0;
        return value;
      }
      tensors.emplace_back(tensor, tensor_of(in_memory(tensor), c10::DispatchKey::CPU, tensor));
      return tensors.back().second;
    }
    if (value.isTensorList()) {
      c10::List<at::Tensor> list;
      for (const at::Tensor &tensor : value.toTensorVector()) list.push_back(to_memory(tensor).toTensor());
      return list;
    }
    if (value.isList() && value.toListRef().size() > 0 && !value.isIntList() && !value.isDoubleList() && !value.isBoolList()) {
      auto list = c10::impl::GenericList(value.toList().elementType());
      for (const c10::IValue &item : value.toListRef()) list.push_back(to_memory(item));
      return list;
    }
    if (value.isDevice() && value.toDevice().is_cuda()) return c10::Device(c10::kCPU);
    return value;
  }

  // The tensor of the GPU for a result in main memory. A result that shares the memory of an argument is a view of it.
  at::Tensor to_gpu(const at::Tensor &result) const {
    if (!result.defined()) return result;
    for (const auto &[gpu, memory] : tensors) {
      if (result.is_same(memory)) return gpu;
      if (result.storage().is_alias_of(memory.storage())) return tensor_of(gpu.storage(), c10::DispatchKey::CUDA, result);
    }
    c10::Storage storage(c10::Storage::use_byte_size_t(), result.storage().nbytes(), pointer_to(result.storage()), nullptr, false);
    return tensor_of(std::move(storage), c10::DispatchKey::CUDA, result);
  }

  c10::IValue to_gpu(const c10::IValue &value) const {
    if (value.isTensor()) return to_gpu(value.toTensor());
    if (!value.isTensorList()) return value;
    c10::List<at::Tensor> list;
    for (const at::Tensor &tensor : value.toTensorVector()) list.push_back(to_gpu(tensor));
    return list;
  }
};

void compute(const c10::OperatorHandle &handle, torch::jit::Stack *stack) {
  const auto &schema = handle.schema();
  Operation operation{schema.name(), schema.name() == "aten::copy_"};
  for (size_t place = stack->size() - schema.arguments().size(); place < stack->size(); place++) {
    (*stack)[place] = operation.to_memory((*stack)[place]);
  }
  TORCH_CHECK(operation.is_copy || operation.tensors.empty() || !operation.has_cpu_tensor, operation.name,
              ": found tensors on the GPU and on the CPU, expected all on the same device");
  bool to_cpu = false;
  if (operation.is_copy) to_cpu = !operation.tensors.empty() && !(*stack)[stack->size() - 3].toTensor().is_same(operation.tensors[0].second);
  {
    at::AutoDispatchBelowADInplaceOrView guard;
    handle.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), stack);
  }
  for (const auto &[gpu, memory] : operation.tensors) {
    // The operation may have given a tensor another size and more memory.
    if (gpu.sizes() == memory.sizes() && gpu.strides() == memory.strides()) continue;
    if (gpu.storage().data() != memory.storage().data()) {
      gpu.storage().set_data_ptr_noswap(pointer_to(memory.storage()));
      gpu.storage().unsafeGetStorageImpl()->set_nbytes(memory.storage().nbytes());
    }
    gpu.unsafeGetTensorImpl()->set_sizes_and_strides(memory.sizes(), memory.strides(), memory.storage_offset());
  }
  if (to_cpu) return;
  for (size_t place = stack->size() - schema.returns().size(); place < stack->size(); place++) {
    (*stack)[place] = operation.to_gpu((*stack)[place]);
  }
}

TORCH_LIBRARY_IMPL(_, CUDA, library) { library.fallback(torch::CppFunction::makeFromBoxedFunction<&compute>()); }

TORCH_LIBRARY_IMPL(aten, CUDA, library) { library.impl("copy_", torch::CppFunction::makeFromBoxedFunction<&compute>()); }

// The trainer must choose the precision before it opens this library.
const bool IS_CHECKED = [] {
  const at::Context &context = at::globalContext();
  if (context.allowTF32CuDNN(at::Float32Op::CONV) || context.allowTF32CuBLAS() || !context.deterministicCuDNN()) {
    fputs("the pretended GPU: TF32 is allowed, or cuDNN is not deterministic\n", stderr);
    std::_Exit(99);
  }
  return true;
}();

} // namespace

namespace at {
using CUDAHooks = ::Hooks;
REGISTER_CUDA_HOOKS(CUDAHooks)
} // namespace at
C10_REGISTER_GUARD_IMPL(CUDA, Guard)
