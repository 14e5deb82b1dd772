#include "personal/scores_file.hpp"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/whole_file.hpp"

namespace espalier::personal {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "espalier scores";
constexpr int kVersion = 3;

Json header(const ScoresOf& of) {
  return {{"format", kFormat},
          {"version", kVersion},
          {"fingerprint", fmt::format("{:016x}", of.fingerprint)},
          {"scope", of.scope},
          {"classes", of.classes}};
}

/// A list of `size` finite numbers from 0.
template <typename T>
bool read(const Json& json, std::size_t size, std::vector<T>& out) {
  if (!json.is_array() || json.size() != size) return false;
  for (const Json& value : json) {
    if (!value.is_number()) return false;
    const auto number = value.get<T>();
    if (!std::isfinite(number) || number < 0) return false;
    out.push_back(number);
  }
  return true;
}

}  // namespace

Status save_scores(const ScoresOf& of, const Importance& importance, const std::string& path) {
  Json json = header(of);
  json["images"] = importance.images;
  json["digest"] = fmt::format("{:016x}", importance.digest);
  json["taylor"] = importance.taylor;
  json["activation"] = importance.activation;
  json["scales"] = importance.scales.scales();
  json["window"] = importance.scales.window();
  return write_file(path, json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

Result<Importance> load_scores(const ScoresOf& of, std::size_t size, std::size_t slots,
                               const std::string& path) {
  const auto text = read_file(path);
  if (!text) return text.error();
  const Json json = Json::parse(*text, nullptr, false);
  if (!json.is_object()) return fail(ErrorCode::kMalformed, "is no JSON object", path);
  const Json wanted = header(of);
  for (const auto& [key, value] : wanted.items()) {
    const auto found = json.find(key);
    if (found == json.end())
      return fail(ErrorCode::kMalformed, fmt::format("has no `{}`", key), path);
    if (*found != value) {
      return fail(ErrorCode::kMismatch,
                  fmt::format("is of another measurement: `{}` is {}, here {}", key, found->dump(),
                              value.dump()),
                  path);
    }
  }
  const auto list = [&json](const char* key) { return json.value(key, Json()); };
  Importance out;
  const Json images = list("images");
  if (!images.is_number_unsigned() || images.get<std::uint64_t>() == 0)
    return fail(ErrorCode::kMalformed, "`images` must be a whole number from 1", path);
  out.images = images.get<std::uint64_t>();
  const Json digest = list("digest");
  if (!digest.is_string() || digest.get<std::string>().size() != 16 ||
      digest.get<std::string>().find_first_not_of("0123456789abcdef") != std::string::npos)
    return fail(ErrorCode::kMalformed, "`digest` must be 16 hexadecimal digits", path);
  out.digest = std::stoull(digest.get<std::string>(), nullptr, 16);
  const auto bad = [&path](const char* key, std::size_t count) {
    return fail(ErrorCode::kMalformed,
                fmt::format("`{}` must be a list of {} numbers from 0", key, count), path);
  };
  if (!read(list("taylor"), size, out.taylor)) return bad("taylor", size);
  if (!read(list("activation"), size, out.activation)) return bad("activation", size);
  std::vector<float> scales;
  if (!read(list("scales"), slots, scales)) return bad("scales", slots);
  for (const float scale : scales) {
    if (!std::isnormal(scale)) return bad("scales", slots);
  }
  const Json window = list("window");
  if (!window.is_array() || window.size() > DelayedScales::kWindow)
    return fail(ErrorCode::kMalformed, "`window` must be a list of 64 images at most", path);
  std::vector<std::vector<double>> maxima;
  for (const Json& image : window) {
    if (!read(image, slots, maxima.emplace_back())) return bad("window", slots);
  }
  out.scales.restore(std::move(scales), std::move(maxima));
  return out;
}

}  // namespace espalier::personal
