#include "automask/what.hpp"

#include <fmt/format.h>

namespace espalier::automask {
namespace {

constexpr const char* kOption = "--what";

}  // namespace

std::string What::text() const {
  std::string parts;
  const auto add = [&parts](bool there, const char* part) {
    if (!there) return;
    if (!parts.empty()) parts += '+';
    parts += part;
  };
  add(mask == environment::Kind::kTwoOfFour, "2:4");
  add(mask == environment::Kind::kWeights, "weights");
  add(one_shot, "one-shot");
  add(bias, "bias");
  add(scale, "scale");
  return parts.empty() ? "none" : parts;
}

bool What::trains() const {
  return bias || scale || (mask != environment::Kind::kDense && !one_shot);
}

Result<What> parse_what(const std::string& text) {
  What what{environment::Kind::kDense, false, false, false};
  if (text == "none") return what;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find('+', at), text.size());
    const std::string part = text.substr(at, end - at);
    at = end + 1;
    const bool mask = part == "2:4" || part == "weights";
    if (mask && what.mask != environment::Kind::kDense)
      return fail(ErrorCode::kUsage, "`" + text + "` names two masks", kOption);
    if (part == "2:4") {
      what.mask = environment::Kind::kTwoOfFour;
    } else if (part == "weights") {
      what.mask = environment::Kind::kWeights;
    } else if (part == "bias") {
      what.bias = true;
    } else if (part == "scale") {
      what.scale = true;
    } else if (part == "one-shot") {
      what.one_shot = true;
    } else {
      return fail(ErrorCode::kUsage,
                  fmt::format("`{}` is no part; there are 2:4, weights, one-shot, bias and scale, "
                              "joined by `+`",
                              part),
                  kOption);
    }
  }
  if (what.one_shot && what.mask == environment::Kind::kDense)
    return fail(ErrorCode::kUsage, "one-shot goes with a mask, 2:4 or weights", kOption);
  return what;
}

}  // namespace espalier::automask
