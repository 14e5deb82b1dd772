#pragma once
// The files that the drawer writes: image sets, class names and contact sheets.

#include <cstdint>
#include <string>

#include "base/result.hpp"

namespace espalier::shapes {

inline constexpr std::uint64_t kMaxCount = 1'000'000;   ///< images in a file
inline constexpr std::uint64_t kMaxSheetCount = 1'000;  ///< images on a contact sheet

/// Writes images 0 .. count-1 of a set in CIFAR-10's binary format: a label byte and 3,072 bytes,
/// the red, green and blue planes, for each image.
/// Errors: kRange, kIo.
Status write_records(const std::string& path, std::uint64_t seed, std::uint64_t count);

/// Writes the names of the classes, one a line, in the order of their labels.
/// Errors: kIo.
Status write_class_names(const std::string& path);

/// Writes a PNG of the first images (at most kMaxSheetCount), twenty a row, each pixel twice as
/// large.
/// Errors: kRange, kIo.
Status write_sheet(const std::string& path, std::uint64_t seed, std::uint64_t count);

}  // namespace espalier::shapes
