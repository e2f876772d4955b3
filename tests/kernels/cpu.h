// The words of edge/kernels/gpu.h on a processor: a block's threads run one after the other, from the first to the last or
// from the last to the first, and so do the blocks.
//
// What one thread of a block does to shared memory within one EACH_THREAD, and another one reads within the same, shows as
// a difference between the two orders. That is all that running them in turns can show of races.

#include <cmath>
#include <cstddef>
#include <cstring>
#include <utility>

#define KERNEL(threads) static void
#define DEVICE inline

struct Running {
    unsigned block_x;
    unsigned block_y;
    unsigned threads;
    bool backward;
    unsigned char* shared;
};
static thread_local Running running;

static inline unsigned in_order(unsigned step, unsigned of) { return running.backward ? of - 1 - step : step; }

#define BLOCK_X (running.block_x)
#define BLOCK_Y (running.block_y)
#define THREADS (running.threads)
#define EACH_THREAD                                                                                                   \
    for (unsigned step = 0, thread = in_order(0, THREADS); step < THREADS; thread = in_order(++step, THREADS))
#define UNROLL
#define SHARED_MEMORY (running.shared)
#define ATOMIC_ADD(address, value) (*(address) += (value))

using std::floor;
using std::rint;

// What lies at an address; memcpy, as arguments lie in memory for bytes.
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

// The arguments of a launch: their addresses, as cuLaunchKernel takes them, their sizes, and how many they are.
struct Given {
    const void* const* addresses;
    const std::size_t* sizes;
    std::size_t number;
};

// Runs a kernel's blocks; false where it takes other arguments.
template <typename... Arguments>
static bool launch(void (*kernel)(Arguments...), const unsigned* blocks, unsigned threads, unsigned char* shared,
                   bool backward, const Given& given)
{
    const std::size_t sizes[] = {sizeof(Arguments)...};
    if (given.number != sizeof...(Arguments) || std::memcmp(given.sizes, sizes, sizeof sizes))
        return false;
    const unsigned total = blocks[0] * blocks[1];
    for (unsigned step = 0; step < total; step++) {
        const unsigned block = backward ? total - 1 - step : step;
        running = {block % blocks[0], block / blocks[0], threads, backward, shared};
        call(kernel, given.addresses, std::index_sequence_for<Arguments...>());
    }
    return true;
}
