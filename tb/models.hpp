#pragma once
// The list of verilated models that CMake writes; for tb/simulation.cpp alone.

#include <memory>
#include <string_view>
#include <vector>

#include "tb/simulation.hpp"

namespace espalier::tb {

enum class Purpose { kFast, kTraced, kAsserting, kMaskless };

struct ModelEntry {
  std::string_view config;
  Purpose purpose;
  std::unique_ptr<Simulation> (*make)(const SimulationOptions& options);
};

const std::vector<ModelEntry>& models();

}  // namespace espalier::tb
