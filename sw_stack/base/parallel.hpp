#pragma once
// Work on many things side by side.

#include <cstddef>
#include <functional>

namespace espalier {

/// Runs work(i) for every i below count, in order, on several threads (0: every core), this one
/// among them; fewer where the system gives no more. Once a call throws, no more are begun, and the
/// exception of the lowest i is thrown on here.
void for_each(std::size_t count, int threads, const std::function<void(std::size_t)>& work);

/// How many threads for_each uses.
std::size_t thread_count(std::size_t count, int threads);

}  // namespace espalier
