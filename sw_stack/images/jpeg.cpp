// JPEG there and back, by libjpeg.

#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <memory>
// libjpeg's header needs FILE before it.
#include <jpeglib.h>

#include "images/degrade.hpp"
#include "images/source.hpp"

namespace espalier::images {
namespace {

/// libjpeg reports an error by a function that must not return.
struct Errors {
  jpeg_error_mgr manager;  // first: libjpeg knows this alone
  std::jmp_buf back;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void give_up(j_common_ptr info) {
  auto* errors = reinterpret_cast<Errors*>(info->err);
  errors->manager.format_message(info, errors->message);
  std::longjmp(errors->back, 1);
}

void be_quiet(j_common_ptr) {}

jpeg_error_mgr* prepare(Errors& errors) {
  jpeg_error_mgr* manager = jpeg_std_error(&errors.manager);
  manager->error_exit = give_up;
  manager->output_message = be_quiet;
  return manager;
}

// In the two functions below nothing with a destructor lives where a jump may pass.

/// False: `errors` has a message.
bool compress(const Picture& picture, int quality, Errors& errors, unsigned char** bytes,
              unsigned long* size) {
  jpeg_compress_struct info;
  info.err = prepare(errors);
  jpeg_create_compress(&info);
  if (setjmp(errors.back) != 0) {
    jpeg_destroy_compress(&info);
    return false;
  }
  jpeg_mem_dest(&info, bytes, size);
  info.image_width = static_cast<JDIMENSION>(picture.width);
  info.image_height = static_cast<JDIMENSION>(picture.height);
  info.input_components = picture.channels;
  info.in_color_space = picture.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, quality, TRUE);
  jpeg_start_compress(&info, TRUE);
  const std::size_t row = std::size_t(picture.width) * std::size_t(picture.channels);
  while (info.next_scanline < info.image_height) {
    auto* line = const_cast<JSAMPROW>(picture.pixels.data() + row * info.next_scanline);
    jpeg_write_scanlines(&info, &line, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  return true;
}

/// Into `out`, whose pixels have their size. False: `errors` has a message.
bool expand(const unsigned char* bytes, unsigned long size, Errors& errors, Picture& out) {
  jpeg_decompress_struct info;
  info.err = prepare(errors);
  jpeg_create_decompress(&info);
  if (setjmp(errors.back) != 0) {
    jpeg_destroy_decompress(&info);
    return false;
  }
  jpeg_mem_src(&info, bytes, size);
  jpeg_read_header(&info, TRUE);
  jpeg_start_decompress(&info);
  const std::size_t row = std::size_t(out.width) * std::size_t(out.channels);
  while (info.output_scanline < info.output_height) {
    JSAMPROW line = out.pixels.data() + row * info.output_scanline;
    jpeg_read_scanlines(&info, &line, 1);
  }
  jpeg_finish_decompress(&info);
  jpeg_destroy_decompress(&info);
  return true;
}

}  // namespace

Result<Picture> through_jpeg(const Picture& picture, int quality) {
  Errors errors;
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  const bool compressed = compress(picture, quality, errors, &bytes, &size);
  const std::unique_ptr<unsigned char, decltype(&std::free)> held(bytes, &std::free);
  if (!compressed) return fail(ErrorCode::kUnsupported, errors.message);
  Picture out{picture.width, picture.height, picture.channels, {}};
  out.pixels.resize(picture.pixels.size());
  if (!expand(bytes, size, errors, out)) return fail(ErrorCode::kUnsupported, errors.message);
  return out;
}

}  // namespace espalier::images
