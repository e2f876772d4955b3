// GPU memory and pinned memory of the lazy driver, and the end of the process if they are misused.

#pragma once

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>

using Address = unsigned long long;

namespace {

// The content of memory that is new, and of memory that was freed.
constexpr unsigned char NEW = 0xa5, FREED = 0x5a;

[[noreturn]] void fault(const char* what)
{
    std::fprintf(stderr, "lazy driver: %s\n", what);
    std::abort();
}

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

} // namespace
