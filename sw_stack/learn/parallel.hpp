#pragma once
// Work on many images side by side.

#include <cstddef>
#include <functional>

namespace espalier::learn {

/// Runs work(i) for every i below count, on several threads (0: every core).
void each(std::size_t count, int threads, const std::function<void(std::size_t)>& work);

}  // namespace espalier::learn
