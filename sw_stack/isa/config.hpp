#pragma once
// Machines by value: what makes one, and the fingerprint that tells them apart.

#include <cstdint>

#include "isa/generated/configs.hpp"
#include "base/result.hpp"

namespace espalier::isa {

/// The fingerprint of a machine's sizes and instruction set, as spec/generate.py has it.
/// Source: FNV-1a of 32 bits over the sizes as text.
std::uint32_t config_hash(const Config& config);

/// What esp_core or esp_compact_core takes as parameters, and a hash that is config_hash's.
/// Errors: kRange (a size that no machine has), kMismatch (another hash).
Status check_config(const Config& config);

}  // namespace espalier::isa
