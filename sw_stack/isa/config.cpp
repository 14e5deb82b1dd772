#include "isa/config.hpp"

#include <bit>
#include <string>

#include "isa/generated/isa.hpp"

namespace espalier::isa {
namespace {

struct Range {
  std::string_view name;
  int value, low, high;
  bool power_of_two = true;
};

Status check(const Range& range) {
  const bool fits = range.value >= range.low && range.value <= range.high;
  if (fits && (!range.power_of_two || std::has_single_bit(static_cast<unsigned>(range.value))))
    return {};
  return fail(ErrorCode::kRange,
              "is " + std::to_string(range.value) + "; " +
                  (range.power_of_two ? "a power of two from " : "") + std::to_string(range.low) +
                  " to " + std::to_string(range.high),
              "config: " + std::string(range.name));
}

Status check_sizes(const Config& c) {
  const bool compact = c.core == Core::kCompact;
  if (!compact && c.core != Core::kPipelined) {
    return fail(ErrorCode::kRange,
                "is " + std::to_string(static_cast<int>(c.core)) + "; there are 0 and 1",
                "config: core");
  }
  for (const Range& range : {
           Range{"lanes", c.lanes, compact ? 2 : 4, compact ? 2 : 32},
           Range{"act_words", c.act_words, 2, compact ? 1024 : 65536},
           Range{"weight_words", c.weight_words, 2, 65536},
           Range{"acc_words", c.acc_words, 2, 65536},
           Range{"param_blocks", c.param_blocks, 2, 256},
           Range{"bus_bytes", c.bus_bytes, compact ? 2 : 4, c.lanes},
           Range{"post_lanes", c.post_lanes, 1, c.lanes},
           Range{"mask_layers", c.mask_layers, 0, compact ? 0 : 4096, false},
           Range{"fine", c.fine, 0, compact ? 0 : 1, false},
           Range{"address_bits", c.address_bits, 16, compact ? 20 : 32, false},
       }) {
    if (Status s = check(range); !s) return s;
  }
  if (c.pool_lanes != 0 || !compact) {
    if (Status s = check({"pool_lanes", c.pool_lanes, 1, compact ? 0 : c.lanes}); !s) return s;
  }
  const bool capable = !compact;
  if (c.acc_halves != (capable ? 2 : 1) || c.counters != capable || c.timing_model != capable) {
    return fail(ErrorCode::kRange, "has capabilities of another core", "config");
  }
  if (c.mask_layers == 0) return {};
  return check({"pack_lanes", c.pack_lanes, 2, c.bus_bytes});
}

}  // namespace

std::uint32_t config_hash(const Config& config) {
  std::string text = "espalier isa " + std::to_string(kIsaVersion) + ";";
  for (const ConfigSize& size : kConfigSizes) {
    text += (&size == kConfigSizes.data() ? " " : "; ") + std::string(size.name) + " " +
            std::to_string(config.*size.size);
  }
  if (config.core == Core::kCompact) text += "; compact 1";
  if (config.address_bits != Config().address_bits)
    text += "; address_bits " + std::to_string(config.address_bits);
  std::uint32_t hash = 0x811C9DC5;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x01000193;
  return hash;
}

Status check_config(const Config& config) {
  if (Status s = check_sizes(config); !s) return s;
  if (config.hash == config_hash(config)) return {};
  return fail(ErrorCode::kMismatch,
              "compiled for another version of configuration " + std::string(config.name.view()),
              "config");
}

}  // namespace espalier::isa
