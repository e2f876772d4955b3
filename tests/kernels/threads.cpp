// A program that runs launches of the kernels of edge/kernels, with a thread for each thread of a block and several blocks at once.
// tests/offline/kernel_threads compiles it with sanitizers.
//
// stdin, all numbers as 64 bits in the machine's byte order:
// number of buffers; for each: number of bytes, shift, the bytes
// number of steps; for each:
//   0, buffer: sets the buffer to 0
//   1, length of the kernel's name, name, number of threads, seed and weakened barrier (see `Team`), bytes of shared memory,
//     number of blocks, for each in the order in which they start: x, y
//     number of arguments, for each: 0, number of bytes, the bytes; or 1, buffer, offset of the address in the buffer
// stdout: the bytes of the first buffer after the last step.
// Exit status: 0, 2 for input that is not like this, any other from a sanitizer.

#include "threads.h"

#include "kernels.h"

#include <cstdio>
#include <string>

// Number of blocks that run at once.
constexpr unsigned TEAMS = 3;

[[noreturn]] static void fail(const char* what)
{
    std::fprintf(stderr, "threads.cpp: %s\n", what);
    std::exit(2);
}

static void read_bytes(void* to, std::size_t bytes)
{
    if (std::fread(to, 1, bytes, stdin) != bytes)
        fail("found the end of stdin, expected more");
}

static std::uint64_t read_number()
{
    std::uint64_t number;
    read_bytes(&number, sizeof number);
    return number;
}

static std::string read_text()
{
    std::string text(read_number(), 0);
    read_bytes(text.data(), text.size());
    return text;
}

struct Buffer {
    std::size_t bytes;
    Memory memory;
};

static Buffer read_buffer()
{
    const std::size_t bytes = read_number();
    const std::size_t shift = read_number();
    // The alignment of all addresses that CUDA allocates.
    Buffer buffer{bytes, Memory(bytes, 256, shift)};
    read_bytes(buffer.memory.at(), bytes);
    return buffer;
}

static void launch(const std::vector<Buffer>& buffers)
{
    const std::string name = read_text();
    const unsigned threads = read_number();
    const std::uint64_t seed = read_number();
    const unsigned weakened = read_number();
    const std::size_t shared_bytes = read_number();
    std::vector<Block> blocks[TEAMS];
    const std::size_t number = read_number();
    for (std::size_t at = 0; at < number; at++) {
        const unsigned x = read_number();
        const unsigned y = read_number();
        // The alignment that gpu.h states.
        blocks[at % TEAMS].push_back({x, y, Memory(shared_bytes, 16)});
    }
    std::vector<std::string> arguments(read_number());
    for (std::string& argument : arguments) {
        if (read_number()) {
            const Buffer& buffer = buffers.at(read_number());
            const void* address = buffer.memory.at() + read_number();
            argument.assign(reinterpret_cast<const char*>(&address), sizeof address);
        } else
            argument = read_text();
    }
    std::vector<const void*> addresses;
    std::vector<std::size_t> sizes;
    for (const std::string& argument : arguments) {
        addresses.push_back(argument.data());
        sizes.push_back(argument.size());
    }
    const Given given{addresses.data(), sizes.data(), sizes.size()};
    const bool found = with_kernel(name.c_str(), given, [&](auto kernel) {
        std::vector<std::thread> starters;
        for (unsigned at = 0; at < TEAMS && at < number; at++)
            starters.emplace_back([&, at, kernel] {
                Team(threads, seed ? seed * TEAMS + at : 0, weakened).run(blocks[at], kernel);
            });
        for (std::thread& starter : starters)
            starter.join();
    });
    if (!found)
        fail("found a kernel or arguments that edge/kernels does not have");
}

int main()
{
    // A fault on purpose may keep threads running for ever.
    alarm(900);
    std::vector<Buffer> buffers;
    for (std::uint64_t left = read_number(); left; left--)
        buffers.push_back(read_buffer());
    for (std::uint64_t left = read_number(); left; left--) {
        if (read_number())
            launch(buffers);
        else {
            const Buffer& buffer = buffers.at(read_number());
            std::memset(buffer.memory.at(), 0, buffer.bytes);
        }
    }
    const Buffer& result = buffers.at(0);
    if (std::fwrite(result.memory.at(), 1, result.bytes, stdout) != result.bytes)
        fail("could not write to stdout");
}
