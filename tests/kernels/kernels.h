// All kernels of edge/kernels, to be called by name on the processor. Included after a header that defines the macros of
// edge/kernels/gpu.h: cpu.h or threads.h.

#include <cmath>
#include <cstddef>
#include <cstring>
#include <utility>

using std::floor;
using std::rint;

#include "../../edge/kernels/common.h"

#include "../../edge/kernels/bounds.cu"
#include "../../edge/kernels/convert.cu"
#include "../../edge/kernels/convert_kernels.cu"
#include "../../edge/kernels/histogram.cu"

// The arguments of a launch: their addresses, as for cuLaunchKernel, their sizes, and their number.
struct Given {
    const void* const* addresses;
    const std::size_t* sizes;
    std::size_t number;
};

// Reads an argument at an address. It uses memcpy, because arguments are stored as bytes that may not be aligned.
template <typename Argument> static Argument argument_at(const void* address)
{
    Argument argument;
    std::memcpy(&argument, address, sizeof argument);
    return argument;
}

template <typename... Arguments, std::size_t... Index>
static void call(void (*kernel)(Arguments...), const void* const* arguments, std::index_sequence<Index...>)
{
    kernel(argument_at<Arguments>(arguments[Index])...);
}

// Gives `run` a function that calls the kernel with the arguments. Returns false if the kernel has other arguments.
template <typename Run, typename... Arguments>
static bool with_arguments(void (*kernel)(Arguments...), const Given& given, Run run)
{
    const std::size_t sizes[] = {sizeof(Arguments)...};
    if (given.number != sizeof...(Arguments) || std::memcmp(given.sizes, sizes, sizeof sizes))
        return false;
    run([=] { call(kernel, given.addresses, std::index_sequence_for<Arguments...>()); });
    return true;
}

#define RUN(kernel)                                                                                                   \
    if (!std::strcmp(name, #kernel))                                                                                  \
        return with_arguments(kernel, given, run);

// Gives `run` a function that calls the kernel `name`. Returns false if there is no such kernel with arguments of these sizes.
template <typename Run> static bool with_kernel(const char* name, const Given& given, Run run)
{
    RUN(histogram)
    RUN(local_bounds)
    RUN(convert_tile_8)
    RUN(convert_tile_16)
    RUN(convert_pixel_8)
    RUN(convert_pixel_16)
    return false;
}
