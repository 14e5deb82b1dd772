#pragma once
// JSON for machines, as headers need it.

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace espalier::report {

/// Keys stay in the order in which they were added.
using Json = nlohmann::ordered_json;

/// Indented; bytes that are not UTF-8 are replaced.
std::string json_text(const Json& json);

}  // namespace espalier::report
