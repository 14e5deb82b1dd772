// Writes the PNG and JPEG files that the tests read.
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb/stb_image_write.h>
