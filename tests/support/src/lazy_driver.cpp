// The part of a CUDA driver without a GPU that does queued work late: copies, kernels, graphs and memory that is freed in a stream's
// order. Built together with driver.c, which has the other functions.
//
// A GPU may do queued work at any time until somebody waits for it. This driver does it as late as possible: when the stream, or an
// event behind the work, is waited for or queried, or at the end of the process. So pinned memory that is written again too early, memory that is freed too early,
// and a result that is read too early always show: as wrong bytes, or as an end of the process with a message. The kernels are those
// of edge/kernels, compiled for the processor. New GPU memory is filled with garbage, and so is memory that is freed; no address is
// used twice.
//
// The time is simulated: each piece of work takes the time below, and waiting takes none.

#include "../../kernels/cpu.cpp"

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <type_traits>
#include <vector>

using Address = unsigned long long;

// Counts the call and returns the status that was set for the function (driver.c).
extern "C" int called(const char* name);

namespace {

enum Status { NOT_FOUND = 500, NOT_READY = 600, INVALID_HANDLE = 400 };
constexpr double CLEAR_MS = 0.25, COPY_MS = 16, LAUNCH_MS = 1;
constexpr unsigned char NEW = 0xa5, FREED = 0x5a;
constexpr std::size_t ALIGNMENT = 256;

std::recursive_mutex driver;

// A status below 0 means: do nothing, and return 0. Tests break the product's waiting with it.
#define BEGIN                                                                                                         \
    std::lock_guard<std::recursive_mutex> guard(driver);                                                              \
    if (const int status = called(__func__))                                                                          \
        return status < 0 ? 0 : status;

[[noreturn]] void fault(const char* what)
{
    std::fprintf(stderr, "lazy driver: %s\n", what);
    std::abort();
}

// The next number of a linear congruential generator (Knuth, MMIX), its upper half. It begins with the same number in each process.
unsigned random_number()
{
    static std::uint64_t state = 1;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<unsigned>(state >> 32);
}

// ---- Memory ----

struct Block {
    std::size_t bytes;
    bool is_freed;
};
// All memory that was ever allocated, by its address. Freed memory stays, so that its use is found.
std::map<Address, Block> gpu_memory, pinned_memory;

Address allocate(std::map<Address, Block>& memory, std::size_t bytes)
{
    void* start = std::aligned_alloc(4096, (bytes / 4096 + 1) * 4096);
    std::memset(start, NEW, bytes);
    memory[reinterpret_cast<Address>(start)] = {bytes, false};
    return reinterpret_cast<Address>(start);
}

void release(std::map<Address, Block>& memory, Address start)
{
    const auto found = memory.find(start);
    if (found == memory.end() || found->second.is_freed)
        fault("memory is freed that is not allocated");
    found->second.is_freed = true;
    std::memset(reinterpret_cast<void*>(start), FREED, found->second.bytes);
}

// The block that has this address, or null.
const Block* block_at(const std::map<Address, Block>& memory, Address at, std::size_t bytes)
{
    const auto after = memory.upper_bound(at);
    if (after == memory.begin())
        return nullptr;
    const auto& [start, block] = *std::prev(after);
    return at + bytes <= start + block.bytes ? &block : nullptr;
}

// GPU memory for work that is done now.
unsigned char* on_gpu(Address at, std::size_t bytes)
{
    const Block* block = block_at(gpu_memory, at, bytes);
    if (!block)
        fault("work uses an address outside of GPU memory");
    if (block->is_freed)
        fault("work uses GPU memory that was freed before");
    return reinterpret_cast<unsigned char*>(at);
}

bool is_pinned(const void* at, std::size_t bytes)
{
    const Block* block = block_at(pinned_memory, reinterpret_cast<Address>(at), bytes);
    if (block && block->is_freed)
        fault("a copy uses pinned memory that was freed before");
    return block;
}

// ---- Streams and events ----

using Work = std::function<void()>;

struct Stream {
    std::deque<Work> queue;
    bool is_destroyed = false;
    bool is_capturing = false;
    std::vector<Work> captured;
};

// A place in a stream's queue, behind all work that was queued before.
struct Mark {
    Stream* stream;
    bool is_reached;
    double at_ms;
};

struct Event {
    bool is_timed;
    std::shared_ptr<Mark> latest;
};

struct Graph {
    std::vector<Work> work;
};

std::set<Stream*> streams;
std::set<Graph*> graphs;
double now_ms = 0;

Stream& stream_of(void* handle)
{
    Stream* stream = static_cast<Stream*>(handle);
    if (!streams.count(stream) || stream->is_destroyed)
        fault("a stream is used that does not exist");
    return *stream;
}

void queue(void* handle, double takes_ms, Work work)
{
    Stream& stream = stream_of(handle);
    Work timed = [=] {
        work();
        now_ms += takes_ms;
    };
    if (stream.is_capturing)
        stream.captured.push_back(timed);
    else
        stream.queue.push_back(timed);
}

void do_next(Stream& stream)
{
    if (stream.queue.empty())
        fault("an event is waited for that no queued work reaches");
    const Work work = stream.queue.front();
    stream.queue.pop_front();
    work();
}

void finish(Stream& stream)
{
    if (stream.is_capturing)
        fault("a stream is waited for that is captured");
    while (!stream.queue.empty())
        do_next(stream);
}

void reach(const Mark& mark)
{
    while (!mark.is_reached)
        do_next(*mark.stream);
}

void finish_all()
{
    for (Stream* stream : streams)
        finish(*stream);
}

// ---- Kernels ----

struct Parameter {
    std::size_t bytes;
    bool is_address;
};

template <typename... Types> std::vector<Parameter> parameters(void (*)(Types...))
{
    return {{sizeof(Types), std::is_pointer<Types>::value}...};
}

#define ENTRY(kernel) {#kernel, parameters(kernel)}
const std::map<std::string, std::vector<Parameter>> KERNELS = {
    ENTRY(histogram),       ENTRY(local_bounds),    ENTRY(convert_tile_8),
    ENTRY(convert_tile_16), ENTRY(convert_pixel_8), ENTRY(convert_pixel_16),
};

// A launch with copies of its arguments.
struct Launch {
    std::string kernel;
    unsigned blocks[2];
    unsigned threads;
    std::size_t shared_bytes;
    std::vector<std::vector<unsigned char>> arguments;
};

void launch_now(const Launch& launch)
{
    std::vector<const void*> addresses;
    std::vector<std::size_t> sizes;
    const std::vector<Parameter>& parameters = KERNELS.at(launch.kernel);
    for (std::size_t index = 0; index < parameters.size(); index++) {
        const std::vector<unsigned char>& argument = launch.arguments[index];
        if (parameters[index].is_address)
            on_gpu(argument_at<Address>(argument.data()), 1);
        addresses.push_back(argument.data());
        sizes.push_back(argument.size());
    }
    std::vector<unsigned char> memory(launch.shared_bytes + ALIGNMENT, NEW);
    void* shared = memory.data();
    std::size_t space = memory.size();
    std::align(ALIGNMENT, launch.shared_bytes, shared, space);
    cellgate_run_kernel(launch.kernel.c_str(), launch.blocks, launch.threads, static_cast<unsigned char*>(shared),
                        random_number() % 2, addresses.data(), sizes.data(), sizes.size());
}

} // namespace

extern "C" {

// Queues a call of `work` with `data`, as cuLaunchHostFunc does. A test's network works so.
void pretend_work(void* stream, void (*work)(void*), void* data)
{
    std::lock_guard<std::recursive_mutex> guard(driver);
    queue(stream, LAUNCH_MS, [=] { work(data); });
}

int cuCtxSynchronize()
{
    BEGIN
    finish_all();
    return 0;
}

int cuStreamCreate(void** to, unsigned)
{
    BEGIN
    if (streams.empty())
        std::atexit(finish_all);
    Stream* stream = new Stream();
    streams.insert(stream);
    *to = stream;
    return 0;
}
int cuStreamDestroy_v2(void* stream)
{
    BEGIN
    // What is queued is still done, at the latest at the end of the process.
    stream_of(stream).is_destroyed = true;
    return 0;
}
int cuStreamSynchronize(void* stream)
{
    BEGIN
    finish(stream_of(stream));
    return 0;
}
int cuStreamQuery(void* stream)
{
    BEGIN
    if (stream_of(stream).queue.empty())
        return 0;
    do_next(stream_of(stream));
    return NOT_READY;
}
int cuStreamWaitEvent(void* stream, void* event, unsigned)
{
    BEGIN
    if (const std::shared_ptr<Mark> mark = static_cast<Event*>(event)->latest)
        queue(stream, 0, [=] { reach(*mark); });
    return 0;
}

int cuStreamIsCapturing(void* stream, int* to)
{
    BEGIN
    *to = stream_of(stream).is_capturing;
    return 0;
}
int cuStreamBeginCapture_v2(void* stream, int)
{
    BEGIN
    stream_of(stream).is_capturing = true;
    return 0;
}
int cuStreamEndCapture(void* handle, void** to)
{
    BEGIN
    Stream& stream = stream_of(handle);
    Graph* graph = new Graph{stream.captured};
    stream.captured.clear();
    stream.is_capturing = false;
    graphs.insert(graph);
    *to = graph;
    return 0;
}
int cuGraphInstantiateWithFlags(void** to, void* graph, unsigned long long)
{
    BEGIN
    Graph* instance = new Graph(*static_cast<Graph*>(graph));
    graphs.insert(instance);
    *to = instance;
    return 0;
}
int cuGraphLaunch(void* graph, void* stream)
{
    BEGIN
    if (!graphs.count(static_cast<Graph*>(graph)))
        fault("a graph is launched that does not exist");
    for (const Work& work : static_cast<Graph*>(graph)->work)
        queue(stream, 0, work);
    return 0;
}
int cuGraphDestroy(void* graph)
{
    BEGIN
    if (!graphs.erase(static_cast<Graph*>(graph)))
        fault("a graph is destroyed that does not exist");
    delete static_cast<Graph*>(graph);
    return 0;
}
int cuGraphExecDestroy(void* graph)
{
    BEGIN
    // A queued launch keeps its work: a driver frees a graph that is running after its end.
    if (!graphs.erase(static_cast<Graph*>(graph)))
        fault("a graph is destroyed that does not exist");
    delete static_cast<Graph*>(graph);
    return 0;
}

int cuEventCreate(void** to, unsigned flags)
{
    BEGIN
    // CU_EVENT_DISABLE_TIMING is 2.
    *to = new Event{!(flags & 2), nullptr};
    return 0;
}
int cuEventDestroy_v2(void* event)
{
    BEGIN
    delete static_cast<Event*>(event);
    return 0;
}
int cuEventRecord(void* event, void* stream)
{
    BEGIN
    const auto mark = std::make_shared<Mark>(Mark{&stream_of(stream), false, 0});
    static_cast<Event*>(event)->latest = mark;
    queue(stream, 0, [=] {
        mark->is_reached = true;
        mark->at_ms = now_ms;
    });
    return 0;
}
int cuEventSynchronize(void* event)
{
    BEGIN
    if (const std::shared_ptr<Mark> mark = static_cast<Event*>(event)->latest)
        reach(*mark);
    return 0;
}
int cuEventQuery(void* event)
{
    BEGIN
    const std::shared_ptr<Mark> mark = static_cast<Event*>(event)->latest;
    if (!mark || mark->is_reached)
        return 0;
    if (random_number() % 2) {
        do_next(*mark->stream);
        return NOT_READY;
    }
    reach(*mark);
    return 0;
}
int cuEventElapsedTime_v2(float* to, void* start, void* end)
{
    BEGIN
    const Event &from = *static_cast<Event*>(start), &until = *static_cast<Event*>(end);
    if (!from.is_timed || !until.is_timed || !from.latest || !until.latest)
        return INVALID_HANDLE;
    if (!from.latest->is_reached || !until.latest->is_reached)
        return NOT_READY;
    *to = static_cast<float>(until.latest->at_ms - from.latest->at_ms);
    return 0;
}

int cuMemAlloc_v2(Address* to, std::size_t bytes)
{
    BEGIN
    *to = allocate(gpu_memory, bytes);
    return 0;
}
int cuMemAllocAsync(Address* to, std::size_t bytes, void*)
{
    BEGIN
    *to = allocate(gpu_memory, bytes);
    return 0;
}
int cuMemHostAlloc(void** to, std::size_t bytes, unsigned)
{
    BEGIN
    *to = reinterpret_cast<void*>(allocate(pinned_memory, bytes));
    return 0;
}
int cuMemFree_v2(Address at)
{
    BEGIN
    release(gpu_memory, at);
    return 0;
}
int cuMemFreeAsync(Address at, void* stream)
{
    BEGIN
    queue(stream, 0, [=] { release(gpu_memory, at); });
    return 0;
}
int cuMemFreeHost(void* at)
{
    BEGIN
    release(pinned_memory, reinterpret_cast<Address>(at));
    return 0;
}

int cuMemsetD8Async(Address at, unsigned char value, std::size_t bytes, void* stream)
{
    BEGIN
    queue(stream, CLEAR_MS, [=] { std::memset(on_gpu(at, bytes), value, bytes); });
    return 0;
}
int cuMemcpyHtoDAsync_v2(Address to, const void* from, std::size_t bytes, void* stream)
{
    BEGIN
    if (is_pinned(from, bytes)) {
        queue(stream, COPY_MS, [=] {
            is_pinned(from, bytes);
            std::memcpy(on_gpu(to, bytes), from, bytes);
        });
        return 0;
    }
    // A driver reads memory that is not pinned before it returns.
    const auto first = static_cast<const unsigned char*>(from);
    const std::vector<unsigned char> content(first, first + bytes);
    queue(stream, COPY_MS, [=] { std::memcpy(on_gpu(to, bytes), content.data(), bytes); });
    return 0;
}
int cuMemcpyDtoHAsync_v2(void* to, Address from, std::size_t bytes, void* stream)
{
    BEGIN
    const bool is_late = is_pinned(to, bytes);
    queue(stream, COPY_MS, [=] {
        is_pinned(to, bytes);
        std::memcpy(to, on_gpu(from, bytes), bytes);
    });
    // A driver writes memory that is not pinned before it returns.
    if (!is_late)
        finish(stream_of(stream));
    return 0;
}
int cuMemcpyDtoDAsync_v2(Address to, Address from, std::size_t bytes, void* stream)
{
    BEGIN
    queue(stream, COPY_MS, [=] { std::memcpy(on_gpu(to, bytes), on_gpu(from, bytes), bytes); });
    return 0;
}

int cuModuleLoadData(void** to, const void*)
{
    BEGIN
    *to = nullptr;
    return 0;
}
int cuModuleUnload(void*)
{
    BEGIN
    return 0;
}
int cuModuleGetFunction(void** to, void*, const char* name)
{
    BEGIN
    const auto found = KERNELS.find(name);
    if (found == KERNELS.end())
        return NOT_FOUND;
    *to = const_cast<std::pair<const std::string, std::vector<Parameter>>*>(&*found);
    return 0;
}
int cuLaunchKernel(void* function, unsigned x, unsigned y, unsigned, unsigned threads, unsigned, unsigned, unsigned shared,
                   void* stream, void** arguments, void**)
{
    BEGIN
    const auto& [name, parameters] = *static_cast<std::pair<const std::string, std::vector<Parameter>>*>(function);
    Launch launch{name, {x, y}, threads, shared, {}};
    for (std::size_t index = 0; index < parameters.size(); index++) {
        const auto first = static_cast<const unsigned char*>(arguments[index]);
        launch.arguments.emplace_back(first, first + parameters[index].bytes);
    }
    queue(stream, LAUNCH_MS, [=] { launch_now(launch); });
    return 0;
}

} // extern "C"
