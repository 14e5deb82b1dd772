#pragma once
// Small files around a set of images: class names and scores.

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace espalier::images {

/// Class names, one a line, in label order; blank lines at the end are dropped.
/// Errors: kIo, kMalformed (a blank line inside, a control character, no name at all).
Result<std::vector<std::string>> read_class_names(const std::string& path);

/// Writes scores as an .npy array of float32, version 1.0. Shapes: values [rows][columns].
Status write_scores(const std::string& path, std::span<const float> values, std::size_t rows,
                    std::size_t columns);

}  // namespace espalier::images
