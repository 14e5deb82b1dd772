#pragma once
// Images that an option names.

#include "images/dataset.hpp"

namespace espalier::cli {

/// Opens them, and tells on stderr of a folder's files that are no pictures. Errors: those of
/// images::Dataset::open.
Result<images::Dataset> open_images(const std::string& path, const ir::Shape& shape);

}  // namespace espalier::cli
