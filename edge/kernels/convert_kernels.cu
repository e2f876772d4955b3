// All kinds of kernels from convert.cu, one a line: a device compiles the lines that it needs.

CONVERT_KERNEL(convert_tile_8_f32, convert_tile, u8, float)
CONVERT_KERNEL(convert_tile_8_f16, convert_tile, u8, u16)
CONVERT_KERNEL(convert_tile_16_f32, convert_tile, u16, float)
CONVERT_KERNEL(convert_tile_16_f16, convert_tile, u16, u16)
CONVERT_KERNEL(convert_pixel_8_f32, convert_pixel, u8, float)
CONVERT_KERNEL(convert_pixel_8_f16, convert_pixel, u8, u16)
CONVERT_KERNEL(convert_pixel_16_f32, convert_pixel, u16, float)
CONVERT_KERNEL(convert_pixel_16_f16, convert_pixel, u16, u16)
