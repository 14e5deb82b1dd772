#pragma once
// `--classes` of commands that take outputs by number.

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace espalier::cli {

/// `3,5,8`; nothing for an empty text. Errors: kUsage.
Result<std::vector<std::uint64_t>> parse_classes(const std::string& text);

}  // namespace espalier::cli
