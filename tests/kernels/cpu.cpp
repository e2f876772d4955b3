// Runs the kernels of edge/kernels one block, and one thread, after the other.

#include "cpu.h"

#include "kernels.h"

// Runs the kernel `name` with `blocks[0] * blocks[1]` blocks and `number` arguments. Returns false if there is no such kernel with
// arguments of these sizes.
extern "C" bool cellgate_run_kernel(const char* name, const unsigned* blocks, unsigned threads, unsigned char* shared,
                                    bool backward, const void* const* addresses,
                                    const std::size_t* sizes, std::size_t number)
{
    return with_kernel(name, {addresses, sizes, number}, [=](auto kernel) {
        const unsigned total = blocks[0] * blocks[1];
        for (unsigned step = 0; step < total; step++) {
            const unsigned block = backward ? total - 1 - step : step;
            running = {block % blocks[0], block / blocks[0], threads, backward, shared};
            kernel();
        }
    });
}
