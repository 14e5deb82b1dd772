#include "base/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace espalier {
namespace {

/// The exception of the lowest index.
class First {
 public:
  void note(std::size_t index, std::exception_ptr error) {
    const std::lock_guard lock(mutex_);
    if (error_ != nullptr && index > index_) return;
    index_ = index;
    error_ = std::move(error);
  }
  void throw_on() const {
    if (error_ != nullptr) std::rethrow_exception(error_);
  }

 private:
  std::mutex mutex_;
  std::size_t index_ = 0;
  std::exception_ptr error_;
};

}  // namespace

std::size_t thread_count(std::size_t count, int threads) {
  const std::size_t wanted = threads > 0 ? static_cast<std::size_t>(threads)
                                         : std::max(1U, std::thread::hardware_concurrency());
  return std::min(wanted, count);
}

void for_each(std::size_t count, int threads, const std::function<void(std::size_t)>& work) {
  std::atomic<std::size_t> next{0};
  First first;
  const auto loop = [&] {
    for (std::size_t i = next++; i < count; i = next++) {
      try {
        work(i);
      } catch (...) {
        first.note(i, std::current_exception());
        next = count;
      }
    }
  };
  {
    std::vector<std::jthread> others;
    const std::size_t wanted = thread_count(count, threads);
    others.reserve(wanted);
    try {
      while (others.size() + 1 < wanted) others.emplace_back(loop);
    } catch (const std::system_error&) {
      // No more threads are to be had: those that run do all of it.
    }
    loop();
  }
  first.throw_on();
}

}  // namespace espalier
