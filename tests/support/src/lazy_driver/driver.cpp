// The part of a CUDA driver without a GPU that does queued work late: copies, kernels, graphs and memory that is freed in a stream's
// order. Built together with ../driver.c, which has the other functions.
//
// A GPU may do queued work at any time until somebody waits for it. This driver does it as late as possible: when the stream, or an
// event behind the work, is waited for or queried, or at the end of the process. So pinned memory that is written again too early,
// memory that is freed too early, and a result that is read too early always show: as wrong bytes, or as the end of the process, if
// possible with a message. The kernels are those of edge/kernels, compiled for the processor. New GPU memory is filled with garbage,
// and so is memory that is freed; no address is used twice.
//
// The time is simulated: each piece of work takes the time below, and waiting takes none.

#include "launch.h"
#include "memory.h"
#include "streams.h"

#include <cstdlib>
#include <mutex>
#include <vector>

// Counts the call and returns the status that was set for the function (driver.c).
extern "C" int called(const char* name);

namespace {

enum Status { NOT_FOUND = 500, NOT_READY = 600, INVALID_HANDLE = 400 };
constexpr double CLEAR_MS = 0.25, COPY_MS = 16, LAUNCH_MS = 1;

std::recursive_mutex driver;

// A status below 0 means: do nothing, and return 0. Tests break the product's waiting with it.
#define BEGIN                                                                                                         \
    std::lock_guard<std::recursive_mutex> guard(driver);                                                              \
    if (const int status = called(__func__))                                                                          \
        return status < 0 ? 0 : status;

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
