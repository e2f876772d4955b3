// All kernels of convert.cu, one per line. Only the lines that a method needs are compiled.

CONVERT_KERNEL(convert_tile_8, convert_tile, u8)
CONVERT_KERNEL(convert_tile_16, convert_tile, u16)
CONVERT_KERNEL(convert_pixel_8, convert_pixel, u8)
CONVERT_KERNEL(convert_pixel_16, convert_pixel, u16)
