// All kernels of convert.cu, each on its own line of text. `Kernel::source` in edge/src/convert/kernel.rs copies the lines of text
// of the kernels that a method needs, and only those are compiled.

CONVERT_KERNEL(convert_tile_8, convert_tile, u8)
CONVERT_KERNEL(convert_tile_16, convert_tile, u16)
CONVERT_KERNEL(convert_pixel_8, convert_pixel, u8)
CONVERT_KERNEL(convert_pixel_16, convert_pixel, u16)
