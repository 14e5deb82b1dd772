#pragma once
// Images that an option names.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "flows/listener.hpp"
#include "images/dataset.hpp"

namespace espalier::flows {

/// Opens them, and tells of a folder's files that are no pictures. Errors: those of
/// images::Dataset::open.
Result<images::Dataset> open_images(const std::string& path, const ir::Shape& shape,
                                    const Listener& listener);

/// Tells of files that are no pictures; nothing where there are none.
void tell_left_out(const std::vector<std::string>& names, const std::string& path,
                   const Listener& listener);

/// How many images to take from `first` on; without `count` all. Errors: kUsage where there are
/// not so many; `path` names the images in them.
Result<std::size_t> count_images(const images::Dataset& set, const std::string& path,
                                 std::uint64_t first, std::optional<std::uint64_t> count);

/// Image i as the graph's int8 input. Several threads may load. Errors: those of
/// images::Dataset::load.
Result<std::vector<std::int8_t>> load_input(const images::Dataset& set, const ir::QuantGraph& graph,
                                            std::size_t i);

}  // namespace espalier::flows
