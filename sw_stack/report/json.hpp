#pragma once
// JSON for machines.

#include <nlohmann/json.hpp>
#include <optional>

#include "report/json_fwd.hpp"

namespace espalier::report {

/// The value, or null.
template <typename T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}

}  // namespace espalier::report
