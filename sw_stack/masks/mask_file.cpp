// The file form of masks.

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "masks/mask.hpp"
#include "base/whole_file.hpp"

namespace espalier::masks {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "espalier mask";
constexpr int kVersion = 1;
constexpr std::size_t kMaxChannels = 1 << 16;

/// A hexadecimal digit holds four channels, the first in its lowest bit.
std::string to_hex(const std::vector<bool>& bits) {
  std::string text((bits.size() + 3) / 4, '0');
  for (std::size_t d = 0; d < text.size(); ++d) {
    unsigned value = 0;
    for (std::size_t b = 0; b < 4 && 4 * d + b < bits.size(); ++b)
      value |= bits[4 * d + b] ? 1U << b : 0U;
    text[d] = "0123456789abcdef"[value];
  }
  return text;
}

/// Reads keys of one object; keeps the first complaint.
class Reader {
 public:
  Reader(const Json& json, std::string place) : json_(json), place_(std::move(place)) {
    if (!json.is_object()) complain("is no object");
  }
  [[nodiscard]] const Status& status() const { return status_; }
  void complain(std::string message) {
    if (status_.ok()) status_ = fail(ErrorCode::kMalformed, std::move(message), place_);
  }

  std::string text(const char* key) {
    const Json* value = find(key);
    if (value != nullptr && value->is_string()) return value->get<std::string>();
    complain(fmt::format("`{}` must be a text", key));
    return {};
  }
  std::size_t number(const char* key, std::size_t most) {
    const Json* value = find(key);
    if (value == nullptr || !value->is_number_unsigned()) {
      complain(fmt::format("`{}` must be a whole number from 0", key));
      return 0;
    }
    const auto n = value->get<std::uint64_t>();
    if (n > most) complain(fmt::format("`{}` is {}; the limit is {}", key, n, most));
    return n;
  }
  const Json& list(const char* key) {
    static const Json kNone = Json::array();
    const Json* value = find(key);
    if (value != nullptr && value->is_array()) return *value;
    complain(fmt::format("`{}` must be a list", key));
    return kNone;
  }
  const Json& object(const char* key) {
    static const Json kNone = Json::object();
    const Json* value = find(key);
    if (value != nullptr && value->is_object()) return *value;
    complain(fmt::format("`{}` must be an object", key));
    return kNone;
  }

 private:
  const Json* find(const char* key) {
    if (!status_.ok()) return nullptr;
    const auto at = json_.find(key);
    if (at != json_.end()) return &*at;
    complain(fmt::format("`{}` is missing", key));
    return nullptr;
  }
  const Json& json_;
  std::string place_;
  Status status_;
};

Result<MaskFile::Entry> parse_entry(const Json& json, const std::string& place) {
  Reader reader(json, place);
  MaskFile::Entry entry;
  entry.tensor = reader.text("tensor");
  entry.layer = reader.text("layer");
  const std::size_t channels = reader.number("channels", kMaxChannels);
  const std::size_t live = reader.number("live", kMaxChannels);
  const std::string hex = reader.text("mask");
  if (!reader.status()) return reader.status().error();
  if (hex.size() != (channels + 3) / 4) {
    reader.complain(fmt::format("`mask` has {} digits; {} channels need {}", hex.size(), channels,
                                (channels + 3) / 4));
  }
  for (std::size_t d = 0; d < hex.size() && reader.status().ok(); ++d) {
    const std::size_t value = std::string_view("0123456789abcdef").find(hex[d]);
    if (value == std::string_view::npos) {
      reader.complain(fmt::format("`mask` has `{}`; digits are 0-9 and a-f", hex[d]));
      break;
    }
    for (std::size_t b = 0; b < 4; ++b) {
      const bool bit = (value >> b & 1U) != 0;
      if (4 * d + b < channels) {
        entry.live.push_back(bit);
      } else if (bit) {
        reader.complain(
            fmt::format("`mask` says something of channel {}; there are {}", 4 * d + b, channels));
      }
    }
  }
  const auto counted = static_cast<std::size_t>(std::ranges::count(entry.live, true));
  if (reader.status().ok() && counted != live)
    reader.complain(fmt::format("`live` is {}; `mask` leaves {} channels", live, counted));
  if (!reader.status()) return reader.status().error();
  return entry;
}

}  // namespace

std::string to_text(const MaskFile& file) {
  Json json{
      {"format", kFormat},
      {"version", kVersion},
      {"model", {{"name", file.model}, {"fingerprint", fmt::format("{:016x}", file.fingerprint)}}},
      {"tensors", Json::array()}};
  for (const MaskFile::Entry& entry : file.entries) {
    json["tensors"].push_back({{"tensor", entry.tensor},
                               {"layer", entry.layer},
                               {"channels", entry.live.size()},
                               {"live", std::ranges::count(entry.live, true)},
                               {"mask", to_hex(entry.live)}});
  }
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<MaskFile> parse_mask(const std::string& text, const std::string& place) {
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) return fail(ErrorCode::kMalformed, "is no JSON", place);
  Reader reader(json, place);
  if (reader.text("format") != kFormat)
    reader.complain(fmt::format("no mask: `format` is not `{}`", kFormat));
  const std::size_t version = reader.number("version", 1U << 30U);
  if (reader.status().ok() && version != kVersion) {
    return fail(ErrorCode::kMismatch,
                fmt::format("format version {}; this build reads {}", version, kVersion), place);
  }
  Reader model(reader.object("model"), place + ": model");
  MaskFile file;
  file.model = model.text("name");
  const std::string hex = model.text("fingerprint");
  const Json& tensors = reader.list("tensors");
  if (!reader.status()) return reader.status().error();
  if (hex.size() != 16 || hex.find_first_not_of("0123456789abcdef") != std::string::npos)
    model.complain("`fingerprint` must have 16 digits of 0-9 and a-f");
  if (!model.status()) return model.status().error();
  file.fingerprint = std::stoull(hex, nullptr, 16);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    auto entry = parse_entry(tensors[i], fmt::format("{}: entry {}", place, i));
    if (!entry) return entry.error();
    file.entries.push_back(std::move(*entry));
  }
  return file;
}

Result<MaskFile> load_mask(const std::string& path) {
  const auto text = read_file(path);
  if (!text) return text.error();
  return parse_mask(*text, path);
}

Result<Mask> load_mask_for(const ir::QuantGraph& graph, const Channels& channels,
                           const std::string& path, Known known) {
  const auto file = load_mask(path);
  if (!file) return file.error();
  return from_file(*file, graph, channels, path, known);
}

Status save_mask(const MaskFile& file, const std::string& path) {
  return write_file(path, to_text(file));
}

}  // namespace espalier::masks
