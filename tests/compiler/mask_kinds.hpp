#pragma once
// Masks of every kind for tests.

#include <random>

#include "masks/choose.hpp"

namespace espalier::tests {

/// A mask whose groups keep everything, one channel, nothing, every other channel, whole blocks of
/// four, or channels by chance.
inline masks::Mask random_kinds(const masks::Channels& channels, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  masks::Mask mask = masks::all_live(channels);
  for (const masks::Group& group : channels.groups) {
    const auto kind = random() % 8;
    const std::size_t one = random() % group.classes.size();
    for (std::size_t i = 0; i < group.classes.size(); ++i) {
      bool live = true;
      if (kind == 1) live = i == one;
      if (kind == 2) live = false;
      if (kind == 3) live = i % 2 == 0;
      if (kind == 4) live = (i / 4) % 2 == 0;
      if (kind >= 5) live = random() % 3 != 0;
      mask.live[static_cast<std::size_t>(group.classes[i])] = live;
    }
  }
  return mask;
}

}  // namespace espalier::tests
