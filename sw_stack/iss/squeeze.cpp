#include "iss/squeeze.hpp"

#include <string>

namespace espalier::iss {
namespace {

constexpr std::size_t kParamBytes = 8;

/// Fills up to a multiple of `unit` with zeros.
void fill(std::vector<std::uint8_t>& out, std::size_t unit) {
  out.resize((out.size() + unit - 1) / unit * unit, 0);
}

Status check_size(std::size_t bytes, std::size_t expected) {
  if (bytes == expected) return {};
  return fail(ErrorCode::kDevice, "squeezes " + std::to_string(bytes) + " bytes; by its maps " +
                                      std::to_string(expected));
}

}  // namespace

Result<std::vector<std::uint8_t>> squeeze_weights(std::span<const std::uint8_t> words,
                                                  const isa::Maps& k, const isa::Maps& n,
                                                  std::size_t taps) {
  const std::size_t lanes = n.live.front().size();
  const std::size_t row = taps * k.live.size() * lanes;
  if (const Status s = check_size(words.size(), n.live.size() * lanes * row); !s) return s.error();
  std::vector<std::uint8_t> out;
  const auto row_of = [&](const std::uint8_t* from) {
    for (std::size_t tap = 0; tap < taps; ++tap) {
      for (std::size_t block = 0; block < k.live.size(); ++block, from += lanes) {
        for (std::size_t lane = 0; lane < lanes; ++lane) {
          if (k.live[block][lane]) out.push_back(from[lane]);
        }
        if (k.ends[block]) fill(out, lanes);
      }
    }
  };
  const std::vector<std::uint8_t> zeros(row, 0);
  std::size_t segment = 0;  // its rows so far
  const std::uint8_t* from = words.data();
  for (std::size_t block = 0; block < n.live.size(); ++block) {
    for (std::size_t lane = 0; lane < lanes; ++lane, from += row) {
      if (!n.live[block][lane]) continue;
      row_of(from);
      ++segment;
    }
    if (!n.ends[block]) continue;
    for (; segment % lanes != 0; ++segment) row_of(zeros.data());
    segment = 0;
  }
  return out;
}

Result<std::vector<std::uint8_t>> squeeze_params(std::span<const std::uint8_t> words,
                                                 const isa::Maps& n) {
  const std::size_t lanes = n.live.front().size();
  if (const Status s = check_size(words.size(), n.live.size() * lanes * kParamBytes); !s)
    return s.error();
  std::vector<std::uint8_t> out;
  const std::uint8_t* from = words.data();
  for (std::size_t block = 0; block < n.live.size(); ++block) {
    for (std::size_t lane = 0; lane < lanes; ++lane, from += kParamBytes) {
      if (n.live[block][lane]) out.insert(out.end(), from, from + kParamBytes);
    }
    if (n.ends[block]) fill(out, lanes * kParamBytes);
  }
  return out;
}

}  // namespace espalier::iss
