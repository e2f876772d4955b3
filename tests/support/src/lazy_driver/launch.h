// Launches of kernels of the lazy driver, on the processor.

#pragma once

#include "../../../kernels/cpu.cpp"
#include "memory.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

namespace {

constexpr std::size_t ALIGNMENT = 256;

// The next number of a linear congruential generator (Knuth, MMIX), its upper half. It begins with the same number in each process.
unsigned random_number()
{
    static std::uint64_t state = 1;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<unsigned>(state >> 32);
}

struct Parameter {
    std::size_t bytes;
    bool is_address;
};

// Whether a parameter of this type begins with an address.
template <typename Type>
constexpr bool IS_ADDRESS = std::is_pointer<Type>::value || std::is_same<Type, Normalisation<u8>>::value;

template <typename... Types> std::vector<Parameter> parameters(void (*)(Types...))
{
    return {{sizeof(Types), IS_ADDRESS<Types>}...};
}

// All kernels of kernels.h.
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
