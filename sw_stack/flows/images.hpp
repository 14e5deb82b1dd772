#pragma once
// Images that an option names.

#include <cstdint>
#include <optional>

#include "flows/listener.hpp"
#include "images/dataset.hpp"

namespace espalier::flows {

/// Opens them, and tells of a folder's files that are no pictures. Errors: those of
/// images::Dataset::open.
Result<images::Dataset> open_images(const std::string& path, const ir::Shape& shape,
                                    const Listener& listener);

/// How many images to take from `first` on; without `count` all. Errors: kUsage where there are
/// not so many; `path` names the images in them.
Result<std::size_t> count_images(const images::Dataset& set, const std::string& path,
                                 std::uint64_t first, std::optional<std::uint64_t> count);

}  // namespace espalier::flows
