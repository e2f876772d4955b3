// Definitions that all kernels share.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

// Number of 16-bit levels.
constexpr u32 LEVELS16 = 65536;

// Levels between two bounds, spread over 0..=255: `Spread` in models/src/conversion/spread.rs. `step_whole` and `step_rest` are its
// `step[0]` and `step[1]`.
struct Spread {
    u32 lo;
    u32 range;
    u32 step_whole;
    u32 step_rest;
};

DEVICE u32 smaller(u32 a, u32 b) { return a < b ? a : b; }

// How far a level lies above the lower bound: 0 below the lower bound, the range above the upper bound.
DEVICE u32 above_bound(const Spread& spread, u32 level)
{
    return level > spread.lo ? smaller(level - spread.lo, spread.range) : 0;
}

// The 8-bit level: `Spread::level8` in models/src/conversion/spread.rs.
DEVICE u32 spread_level(const Spread& spread, u32 level)
{
    const u32 above = above_bound(spread, level);
    return smaller((above * spread.step_whole + (above * spread.step_rest >> 16)) >> 16, 255);
}
