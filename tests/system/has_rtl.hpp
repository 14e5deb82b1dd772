#pragma once
// Which verilated machines the command has.

#include <nlohmann/json.hpp>

#include "catch.hpp"
#include "process.hpp"

namespace espalier::tests {

inline bool has_rtl(const Scratch& scratch, const std::string& config) {
  const Ran ran = run_espalier(scratch, {"configs", "--json"});
  REQUIRE(ran.code == 0);
  for (const nlohmann::json& item : nlohmann::json::parse(ran.out)) {
    if (item["name"] == config) return item["rtl"];
  }
  return false;
}

}  // namespace espalier::tests
