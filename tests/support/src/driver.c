// A CUDA driver that needs no GPU. Its memory is the computer's, copies are done immediately, and launches of kernels are only
// counted. Any function can be made to fail. Tests use this driver to check how the product handles a driver, not what a GPU
// would do. With -DLAZY, lazy_driver/driver.cpp defines the functions of streams, events, graphs, memory and kernels instead.

#include <stdlib.h>
#include <string.h>

typedef unsigned long long address;
// FUNCTIONS: the most functions that are counted. NOT_THERE: CUDA_ERROR_INVALID_DEVICE.
enum { FUNCTIONS = 128, NOT_THERE = 101 };

static struct {
    const char *name;
    int calls;
    // The function returns `status` in all calls after the first `good_until`.
    int good_until;
    int status;
} functions[FUNCTIONS];

static int entry(const char *name)
{
    int at = 0;
    while (at < FUNCTIONS - 1 && functions[at].name && strcmp(functions[at].name, name))
        at++;
    if (!functions[at].name)
        functions[at].name = strdup(name);
    return at;
}

// The function `name` works for the next `good` calls, and returns `status` after them. With status 0 it works.
void pretend_status(const char *name, int status, int good)
{
    int at = entry(name);
    functions[at].status = status;
    functions[at].good_until = functions[at].calls + good;
}
// Returns how often `name` was called.
int pretend_calls(const char *name) { return functions[entry(name)].calls; }

int called(const char *name)
{
#ifdef FAILS
#ifndef FAILS_WITH
#define FAILS_WITH 999
#endif
    // -DFAILS names a function that always fails, -DFAILS_WITH its status (default: 999, CUDA_ERROR_UNKNOWN).
    if (!strcmp(name, FAILS))
        return FAILS_WITH;
#endif
    int at = entry(name);
    return ++functions[at].calls > functions[at].good_until ? functions[at].status : 0;
}

// BEGIN counts the call, and returns the configured status if it is not 0.
// NOTHING defines a function that does nothing else.
// GIVES defines a function that also writes `value` to its parameter `to`.
#define BEGIN                                                                                                          \
    int status = called(__func__);                                                                                    \
    if (status)                                                                                                       \
        return status;
#define NOTHING(name, ...)                                                                                             \
    int name(__VA_ARGS__)                                                                                             \
    {                                                                                                                 \
        BEGIN return 0;                                                                                               \
    }
#define GIVES(name, value, ...)                                                                                        \
    int name(__VA_ARGS__)                                                                                             \
    {                                                                                                                 \
        BEGIN *to = (value);                                                                                          \
        return 0;                                                                                                     \
    }

GIVES(cuDriverGetVersion, 13000, int *to)
NOTHING(cuInit, unsigned flags)
int cuDeviceGet(int *device, int number)
{
    BEGIN *device = number;
    return number ? NOT_THERE : 0;
}
int cuDeviceGetName(char *name, int length, int device)
{
    BEGIN strncpy(name, "Pretended", length);
    return 0;
}
// Compute capability 8.7 unless -DMAJOR and -DMINOR name another; its attributes are 75 and 76. Attribute 18: whether the GPU is
// integrated. All other attributes are 1, so there are memory pools.
#ifndef MAJOR
#define MAJOR 8
#endif
#ifndef MINOR
#define MINOR 7
#endif
static int is_integrated = 1;
// From now on the GPU has memory of its own (0) or shares the processor's (1, as at the start).
void pretend_integrated(int is) { is_integrated = is; }
GIVES(cuDeviceGetAttribute,
      attribute == 75   ? MAJOR
      : attribute == 76 ? MINOR
      : attribute == 18 ? is_integrated
                        : 1,
      int *to, int attribute, int device)
int cuGetErrorString(int status, const char **text)
{
    *text = "the configured error";
    return 0;
}

// NVRTC calls this function, and works although the function fails.
int cuGetExportTable(const void **table, const void *which) { return NOT_THERE; }

static void *current;
GIVES(cuDevicePrimaryCtxRetain, (void *)&current, void **to, int device)
NOTHING(cuDevicePrimaryCtxRelease_v2, int device)
GIVES(cuCtxGetCurrent, current, void **to)
int cuCtxSetCurrent(void *context)
{
    BEGIN current = context;
    return 0;
}

#ifndef LAZY
static int is_capturing;
NOTHING(cuCtxSynchronize, void)

GIVES(cuStreamCreate, malloc(1), void **to, unsigned flags)
NOTHING(cuStreamDestroy_v2, void *stream)
NOTHING(cuStreamSynchronize, void *stream)
NOTHING(cuStreamQuery, void *stream)
NOTHING(cuStreamWaitEvent, void *stream, void *event, unsigned flags)
GIVES(cuStreamIsCapturing, is_capturing, void *stream, int *to)
int cuStreamBeginCapture_v2(void *stream, int mode)
{
    BEGIN is_capturing = 1;
    return 0;
}
int cuStreamEndCapture(void *stream, void **graph)
{
    is_capturing = 0;
    BEGIN *graph = malloc(1);
    return 0;
}
GIVES(cuGraphInstantiateWithFlags, malloc(1), void **to, void *graph, unsigned long long flags)
NOTHING(cuGraphLaunch, void *graph, void *stream)
NOTHING(cuGraphExecDestroy, void *graph)
NOTHING(cuGraphDestroy, void *graph)

GIVES(cuEventCreate, malloc(1), void **to, unsigned flags)
NOTHING(cuEventDestroy_v2, void *event)
NOTHING(cuEventRecord, void *event, void *stream)
NOTHING(cuEventSynchronize, void *event)
NOTHING(cuEventQuery, void *event)
GIVES(cuEventElapsedTime_v2, 2.0f, float *to, void *start, void *end)

GIVES(cuMemAlloc_v2, (address)malloc(bytes), address *to, size_t bytes)
GIVES(cuMemAllocAsync, (address)malloc(bytes), address *to, size_t bytes, void *stream)
// The bytes of pinned memory that were allocated so far: with the flag CU_MEMHOSTALLOC_WRITECOMBINED (4) or without it.
static size_t pinned[2];
size_t pretend_pinned(int is_write_combined) { return pinned[is_write_combined]; }
int cuMemHostAlloc(void **to, size_t bytes, unsigned flags)
{
    BEGIN pinned[flags & 4 ? 1 : 0] += bytes;
    *to = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    return 0;
}
int cuMemFree_v2(address at)
{
    BEGIN free((void *)at);
    return 0;
}
int cuMemFreeAsync(address at, void *stream)
{
    BEGIN free((void *)at);
    return 0;
}
int cuMemFreeHost(void *at)
{
    BEGIN free(at);
    return 0;
}
int cuMemsetD8Async(address at, unsigned char value, size_t bytes, void *stream)
{
    BEGIN memset((void *)at, value, bytes);
    return 0;
}
int cuMemcpyHtoDAsync_v2(address to, const void *from, size_t bytes, void *stream)
{
    BEGIN memcpy((void *)to, from, bytes);
    return 0;
}
int cuMemcpyDtoHAsync_v2(void *to, address from, size_t bytes, void *stream)
{
    BEGIN memcpy(to, (void *)from, bytes);
    return 0;
}
int cuMemcpyDtoDAsync_v2(address to, address from, size_t bytes, void *stream)
{
    BEGIN memcpy((void *)to, (void *)from, bytes);
    return 0;
}

GIVES(cuModuleLoadData, malloc(1), void **to, const void *image)
NOTHING(cuModuleUnload, void *module)
GIVES(cuModuleGetFunction, malloc(1), void **to, void *module, const char *name)
NOTHING(cuLaunchKernel, void *function, unsigned x, unsigned y, unsigned z, unsigned tx, unsigned ty, unsigned tz,
        unsigned shared, void *stream, void **arguments, void **more)
#endif
