// All kernels of edge/kernels, for running on the CPU.

#include "cpu.h"

#include "../../edge/kernels/common.h"

#include "../../edge/kernels/bounds.cu"
#include "../../edge/kernels/convert.cu"
#include "../../edge/kernels/convert_kernels.cu"
#include "../../edge/kernels/histogram.cu"

#define RUN(kernel)                                                                                                   \
    if (!std::strcmp(name, #kernel))                                                                                  \
        return launch(kernel, blocks, threads, shared, backward, {addresses, sizes, number});

// Runs the kernel `name` with `blocks[0] * blocks[1]` blocks and `number` arguments. Returns false if there is no such kernel with
// arguments of these sizes.
extern "C" bool cellgate_run_kernel(const char* name, const unsigned* blocks, unsigned threads, unsigned char* shared,
                                    bool backward, const void* const* addresses,
                                    const std::size_t* sizes, std::size_t number)
{
    RUN(histogram)
    RUN(local_bounds)
    RUN(convert_tile_8)
    RUN(convert_tile_16)
    RUN(convert_pixel_8)
    RUN(convert_pixel_16)
    return false;
}
