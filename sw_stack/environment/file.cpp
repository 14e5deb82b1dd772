// The file form of environments.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "environment/environment.hpp"
#include "ir/weight_mask.hpp"
#include "masks/sealed.hpp"
#include "base/bytes.hpp"
#include "base/whole_file.hpp"

namespace espalier::environment {
namespace {

constexpr char kMagic[8] = {'E', 'S', 'P', 'E', 'N', 'V', 'I', 'R'};
constexpr std::uint32_t kVersion = 2;
constexpr std::uint32_t kWithoutLooks = 1;
constexpr std::uint64_t kLeastLayer = 8 + 1 + 3 * 4;  // bytes, with an empty name
constexpr std::uint64_t kMostChannels = 1 << 24;

void put_floats(ByteWriter& out, const std::vector<float>& values) {
  out.put(static_cast<std::uint64_t>(values.size()));
  for (const float value : values) out.put(value);
}

std::vector<float> get_floats(ByteReader& in) {
  std::vector<float> values(in.get_count(sizeof(float)));
  for (float& value : values) value = in.get<float>();
  return values;
}

/// Two of four, everywhere.
Status check_groups(const Layer& layer, const std::string& place) {
  std::size_t bit = 0;
  for (std::uint32_t n = 0; n < layer.channels; ++n) {
    for (std::uint32_t tap = 0; tap < layer.taps; ++tap) {
      for (std::uint32_t c = 0; c < layer.inputs; c += kGroup) {
        const std::uint32_t size = std::min(kGroup, layer.inputs - c);
        std::uint32_t live = 0;
        for (std::uint32_t i = 0; i < size; ++i) live += ir::get_bit(layer.bits, bit++) ? 1 : 0;
        if (live == kept(size)) continue;
        return fail(ErrorCode::kMalformed,
                    fmt::format("channel {}, tap {}, inputs {} to {}: {} of {} weights stay; {} do",
                                n, tap, c, c + size - 1, live, size, kept(size)),
                    place);
      }
    }
  }
  return {};
}

Status check_scales(const Layer& layer, const std::string& place) {
  for (std::size_t n = 0; n < layer.scale.size(); ++n) {
    if (std::isnormal(layer.scale[n]) && layer.scale[n] > 0) continue;
    return fail(
        ErrorCode::kRange,
        fmt::format("multiplier of channel {} is {}; it is positive and normal", n, layer.scale[n]),
        place);
  }
  return {};
}

/// Of what the layer has; what is cut off is left to the reader.
Status get_layer(ByteReader& in, Layer& layer, const std::string& file) {
  layer.name = in.get_string();
  const auto kind = in.get<std::uint8_t>();
  layer.channels = in.get<std::uint32_t>();
  layer.taps = in.get<std::uint32_t>();
  layer.inputs = in.get<std::uint32_t>();
  if (!in.ok()) return {};
  const std::string place = fmt::format("{}: layer '{}'", file, layer.name);
  if (kind > static_cast<std::uint8_t>(Kind::kWeights))
    return fail(ErrorCode::kMalformed, fmt::format("is of kind {}; the last is 2", kind), place);
  layer.kind = static_cast<Kind>(kind);
  constexpr auto kMost = static_cast<std::uint64_t>(ir::kMaxElements);
  if (layer.channels > kMostChannels || layer.taps > kMostChannels ||
      std::uint64_t{layer.channels} * layer.taps > kMost || layer.count() == 0 ||
      layer.count() > kMost) {
    return fail(ErrorCode::kRange,
                fmt::format("has {} channels of {} x {} weights; a layer has 1 to {} in all",
                            layer.channels, layer.taps, layer.inputs, kMost),
                place);
  }
  if (layer.kind != Kind::kDense) {
    const auto bits = in.get_raw(ir::bit_bytes(layer.count()));
    if (!in.ok()) return {};
    layer.bits.assign(bits.begin(), bits.end());
    if (layer.count() % 8 != 0 && layer.bits.back() >> layer.count() % 8 != 0)
      return fail(ErrorCode::kMalformed, "has bits past its last weight", place);
  }
  if (in.remaining() / (sizeof(std::int32_t) + sizeof(float)) < layer.channels) {
    in.refuse();
    return {};
  }
  layer.bias.resize(layer.channels);
  layer.scale.resize(layer.channels);
  for (std::int32_t& bias : layer.bias) bias = in.get<std::int32_t>();
  for (float& scale : layer.scale) scale = in.get<float>();
  if (layer.kind == Kind::kTwoOfFour) {
    if (const Status s = check_groups(layer, place); !s) return s;
  }
  return check_scales(layer, place);
}

}  // namespace

std::vector<std::uint8_t> serialise(const Environment& environment) {
  ByteWriter out;
  for (const char c : kMagic) out.put(c);
  out.put(kVersion);
  out.put(environment.fingerprint);
  out.put_string(environment.model);
  out.put(environment.pictures.count);
  put_floats(out, environment.pictures.mean);
  put_floats(out, environment.pictures.deviation);
  put_floats(out, environment.pictures.looks.mean);
  put_floats(out, environment.pictures.looks.deviation);
  out.put(static_cast<std::uint64_t>(environment.layers.size()));
  for (const Layer& layer : environment.layers) {
    ESP_CHECK(layer.bits.size() == (layer.kind == Kind::kDense ? 0 : ir::bit_bytes(layer.count())));
    ESP_CHECK(layer.bias.size() == layer.channels && layer.scale.size() == layer.channels);
    out.put_string(layer.name);
    out.put(layer.kind);
    for (const std::uint32_t extent : {layer.channels, layer.taps, layer.inputs}) out.put(extent);
    out.put_raw(layer.bits);
    for (const std::int32_t bias : layer.bias) out.put(bias);
    for (const float scale : layer.scale) out.put(scale);
  }
  out.put(fnv1a(out.bytes()));
  return out.take();
}

Result<Environment> parse(std::span<const std::uint8_t> bytes, const std::string& place) {
  if (bytes.size() < sizeof(kMagic) ||
      !std::equal(std::begin(kMagic), std::end(kMagic), bytes.begin())) {
    return fail(ErrorCode::kMalformed, "no environment: it does not begin with `ESPENVIR`", place);
  }
  ByteReader in(bytes);
  (void)in.get_raw(sizeof(kMagic));
  ByteReader ahead = in;
  const bool looks = ahead.get<std::uint32_t>() != kWithoutLooks;
  if (const Status s = masks::check_version(in, looks ? kVersion : kWithoutLooks, place); !s)
    return s.error();
  Environment environment;
  environment.fingerprint = in.get<std::uint64_t>();
  environment.model = in.get_string();
  environment.pictures.count = in.get<std::uint64_t>();
  environment.pictures.mean = get_floats(in);
  environment.pictures.deviation = get_floats(in);
  if (looks) {
    Looks& read = environment.pictures.looks;
    read.mean = get_floats(in);
    read.deviation = get_floats(in);
    const auto finite = [](float value) { return std::isfinite(value); };
    if (read.mean.size() != read.deviation.size() || !std::ranges::all_of(read.mean, finite) ||
        !std::ranges::all_of(read.deviation, finite))
      return fail(ErrorCode::kMalformed, "what its pictures look like is no list of numbers",
                  place);
  }
  environment.layers.resize(in.get_count(kLeastLayer));
  for (Layer& layer : environment.layers) {
    if (const Status s = get_layer(in, layer, place); !s) return s.error();
    if (!in.ok()) break;
  }
  if (const Status s = masks::check_end(in, bytes, place); !s) return s.error();
  return environment;
}

Result<Environment> load(const std::string& path) {
  const auto text = read_file(path);
  if (!text) return text.error();
  return parse({reinterpret_cast<const std::uint8_t*>(text->data()), text->size()}, path);
}

Status save(const Environment& environment, const std::string& path) {
  return write_file(path, serialise(environment));
}

}  // namespace espalier::environment
