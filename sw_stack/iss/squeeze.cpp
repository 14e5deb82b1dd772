#include "iss/squeeze.hpp"

#include <string>

namespace espalier::iss {
namespace {

constexpr std::size_t kParamBytes = 8;

/// Fills up to a multiple of `unit` with zeros.
void fill_up(std::vector<std::uint8_t>& out, std::size_t unit) {
  out.resize((out.size() + unit - 1) / unit * unit, 0);
}

}  // namespace

Result<std::vector<std::uint8_t>> squeeze_rows(std::span<const std::uint8_t> words,
                                               const isa::Maps& k, std::size_t taps, bool fill,
                                               std::size_t& segment) {
  const std::size_t lanes = k.live.front().size();
  const std::size_t row = taps * k.live.size() * lanes;
  if (row == 0 || words.size() % row != 0) {
    return fail(ErrorCode::kDevice, "squeezes " + std::to_string(words.size()) +
                                        " bytes; by its maps a row has " + std::to_string(row));
  }
  std::vector<std::uint8_t> out;
  const auto row_of = [&](const std::uint8_t* from) {
    for (std::size_t tap = 0; tap < taps; ++tap) {
      for (std::size_t block = 0; block < k.live.size(); ++block, from += lanes) {
        for (std::size_t lane = 0; lane < lanes; ++lane) {
          if (k.live[block][lane]) out.push_back(from[lane]);
        }
        if (k.ends[block]) fill_up(out, lanes);
      }
    }
    ++segment;
  };
  for (; !words.empty(); words = words.subspan(row)) row_of(words.data());
  if (!fill) return out;
  const std::vector<std::uint8_t> zeros(row, 0);
  while (segment % lanes != 0) row_of(zeros.data());
  segment = 0;
  return out;
}

Result<std::vector<std::uint8_t>> squeeze_params(std::span<const std::uint8_t> words,
                                                 const isa::Maps& n) {
  const std::size_t lanes = n.live.front().size();
  if (const std::size_t expected = n.live.size() * lanes * kParamBytes; words.size() != expected) {
    return fail(ErrorCode::kDevice, "squeezes " + std::to_string(words.size()) +
                                        " bytes; by its maps " + std::to_string(expected));
  }
  std::vector<std::uint8_t> out;
  const std::uint8_t* from = words.data();
  for (std::size_t block = 0; block < n.live.size(); ++block) {
    for (std::size_t lane = 0; lane < lanes; ++lane, from += kParamBytes) {
      if (n.live[block][lane]) out.insert(out.end(), from, from + kParamBytes);
    }
    if (n.ends[block]) fill_up(out, lanes * kParamBytes);
  }
  return out;
}

}  // namespace espalier::iss
