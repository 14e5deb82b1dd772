#include "flows/classes.hpp"

#include <fmt/format.h>

#include <set>

namespace espalier::flows {

Result<int> outputs_of(const ir::QuantGraph& graph, const std::string& place) {
  const ir::Shape& out = graph.tensors[static_cast<std::size_t>(graph.output)].shape;
  if (out.h == 1 && out.w == 1) return out.c;
  return fail(ErrorCode::kUnsupported,
              fmt::format("is no classifier: its output is {}x{}x{}", out.c, out.h, out.w), place);
}

Result<std::vector<int>> choose_classes(const std::vector<std::uint64_t>& chosen, int outputs) {
  std::set<int> classes;
  for (const std::uint64_t value : chosen) {
    if (value >= static_cast<std::uint64_t>(outputs)) {
      return fail(ErrorCode::kUsage,
                  fmt::format("{} is no class of the model; it has {}, from 0 on", value, outputs),
                  "--classes");
    }
    if (!classes.insert(static_cast<int>(value)).second)
      return fail(ErrorCode::kUsage, fmt::format("names {} twice", value), "--classes");
  }
  if (classes.size() < 2)
    return fail(ErrorCode::kUsage, "names 1 class; a choice needs 2", "--classes");
  return std::vector<int>(classes.begin(), classes.end());
}

}  // namespace espalier::flows
