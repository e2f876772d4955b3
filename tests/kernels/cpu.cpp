// All kernels of edge/kernels, to be run on a processor.

#include "cpu.h"

#include "../../edge/kernels/common.h"

#include "../../edge/kernels/bounds.cu"
#include "../../edge/kernels/convert.cu"
#include "../../edge/kernels/convert_kernels.cu"
#include "../../edge/kernels/dhe.cu"
#include "../../edge/kernels/histogram.cu"
#include "../../edge/kernels/tiles.cu"

#define RUN(kernel)                                                                                                   \
    if (!std::strcmp(name, #kernel))                                                                                  \
        return launch(kernel, blocks, threads, shared, backward, {addresses, sizes, number});

// Runs the kernel of that name with `blocks[0] * blocks[1]` blocks and `number` arguments; false where there is none that
// takes arguments of these sizes.
extern "C" bool cellgate_run_kernel(const char* name, const unsigned* blocks, unsigned threads, unsigned char* shared,
                                    bool backward, const void* const* addresses,
                                    const std::size_t* sizes, std::size_t number)
{
    RUN(histogram)
    RUN(local_bounds)
    RUN(tile_histograms)
    RUN(clahe_mappings)
    RUN(dhe_table)
    RUN(convert_tile_8_f32)
    RUN(convert_tile_8_f16)
    RUN(convert_tile_16_f32)
    RUN(convert_tile_16_f16)
    RUN(convert_pixel_8_f32)
    RUN(convert_pixel_8_f16)
    RUN(convert_pixel_16_f32)
    RUN(convert_pixel_16_f16)
    return false;
}

// The size of what the kernel dhe_table keeps in shared memory.
extern "C" std::size_t cellgate_dhe_memory() { return sizeof(DheMemory); }
