#include "cli/classes_option.hpp"

#include <fmt/format.h>

#include <limits>

#include "cli/common.hpp"

namespace espalier::cli {

Result<std::vector<std::uint64_t>> parse_classes(const std::string& text) {
  if (text.empty()) return std::vector<std::uint64_t>();
  auto list = parse_wholes("--classes", text, 0, std::numeric_limits<std::uint64_t>::max());
  if (list) return list;
  return fail(ErrorCode::kUsage, fmt::format("`{}` is no list of classes, as in 3,5,8", text),
              "--classes");
}

}  // namespace espalier::cli
