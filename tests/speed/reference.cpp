#include "tests/speed/reference.hpp"

#include <array>
#include <cstddef>
#include <utility>

namespace espalier::speed {
namespace {

constexpr std::size_t kWords = 8192, kParts = 64, kPieces = 32;
using State = std::array<std::uint32_t, kWords>;

/// Two loads, a product, a choice, a store: what an element of the array takes, at places of its
/// own.
template <std::size_t Piece>
void piece(State& state) {
  constexpr std::size_t kAt = Piece * 2654435761U % kWords;
  constexpr std::size_t kFrom = (Piece * 40503U + 12345U) % kWords;
  const std::uint32_t a = state[kAt], b = state[kFrom];
  const std::uint32_t product = (a & 0xFFU) * (b >> 24) + static_cast<std::uint32_t>(Piece);
  state[kAt] = (b & 1U) != 0 ? a + product : a ^ (product << 3);
}

template <std::size_t Part, std::size_t... Pieces>
[[gnu::noinline]] void part(State& state, std::index_sequence<Pieces...> /*pieces*/) {
  (piece<Part * kPieces + Pieces>(state), ...);
}

template <std::size_t... Parts>
void step(State& state, std::index_sequence<Parts...> /*parts*/) {
  (part<Parts>(state, std::make_index_sequence<kPieces>{}), ...);
}

}  // namespace

std::uint32_t reference_steps(int steps) {
  State state{};
  for (std::size_t i = 0; i < kWords; ++i) state[i] = static_cast<std::uint32_t>(i) * 2246822519U;
  for (int i = 0; i < steps; ++i) step(state, std::make_index_sequence<kParts>{});
  std::uint32_t sum = 0;
  for (const std::uint32_t word : state) sum = sum * 31U + word;
  return sum;
}

}  // namespace espalier::speed
