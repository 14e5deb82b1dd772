// The file form of overlays.

#include <fmt/format.h>

#include <algorithm>

#include "masks/overlay.hpp"
#include "masks/sealed.hpp"
#include "base/bytes.hpp"
#include "base/whole_file.hpp"

namespace espalier::masks {
namespace {

constexpr char kMagic[8] = {'E', 'S', 'P', 'O', 'V', 'L', 'A', 'Y'};
constexpr std::uint32_t kVersion = 1;

}  // namespace

std::vector<std::uint8_t> serialise(const Overlay& overlay) {
  ByteWriter out;
  for (const char c : kMagic) out.put(c);
  out.put(kVersion);
  out.put(overlay.fingerprint);
  out.put_string(overlay.model);
  out.put(static_cast<std::uint64_t>(overlay.layers.size()));
  for (const Overlay::Layer& layer : overlay.layers) {
    ESP_CHECK(layer.bits.size() == ir::bit_bytes(layer.count()));
    out.put_string(layer.name);
    out.put(layer.channels);
    out.put(layer.weights);
    out.put_raw(layer.bits);
  }
  out.put(fnv1a(out.bytes()));
  return out.take();
}

bool is_overlay(std::span<const std::uint8_t> bytes) {
  return bytes.size() >= sizeof(kMagic) &&
         std::equal(std::begin(kMagic), std::end(kMagic), bytes.begin());
}

Result<Overlay> parse_overlay(std::span<const std::uint8_t> bytes, const std::string& place) {
  if (!is_overlay(bytes))
    return fail(ErrorCode::kMalformed, "no overlay: it does not begin with `ESPOVLAY`", place);
  ByteReader in(bytes);
  (void)in.get_raw(sizeof(kMagic));
  if (const Status status = check_version(in, kVersion, place); !status) return status.error();
  Overlay overlay;
  overlay.fingerprint = in.get<std::uint64_t>();
  overlay.model = in.get_string();
  overlay.layers.resize(in.get_count(16));
  for (Overlay::Layer& layer : overlay.layers) {
    layer.name = in.get_string();
    layer.channels = in.get<std::uint32_t>();
    layer.weights = in.get<std::uint32_t>();
    if (!in.ok()) break;
    const std::string layer_place = fmt::format("{}: layer '{}'", place, layer.name);
    if (layer.count() == 0 || layer.count() > std::uint64_t{ir::kMaxElements}) {
      return fail(
          ErrorCode::kRange,
          fmt::format("has {} weights; a layer has 1 to {}", layer.count(), ir::kMaxElements),
          layer_place);
    }
    const auto bits = in.get_raw(ir::bit_bytes(layer.count()));
    if (!in.ok()) break;
    layer.bits.assign(bits.begin(), bits.end());
    if (layer.count() % 8 != 0 && layer.bits.back() >> layer.count() % 8 != 0)
      return fail(ErrorCode::kMalformed, "has bits past its last weight", layer_place);
  }
  if (const Status status = check_end(in, bytes, place); !status) return status.error();
  return overlay;
}

Result<Overlay> load_overlay(const std::string& path) {
  const auto text = read_file(path);
  if (!text) return text.error();
  return parse_overlay({reinterpret_cast<const std::uint8_t*>(text->data()), text->size()}, path);
}

Status save_overlay(const Overlay& overlay, const std::string& path) {
  return write_file(path, serialise(overlay));
}

}  // namespace espalier::masks
