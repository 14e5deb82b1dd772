// The store engine: a burst goes when all its words wait; at most 8 are unanswered.

#include "timing/model.hpp"

namespace espalier::timing {

using isa::Engine;

namespace {
constexpr std::size_t kOutstanding = 8;
}

bool Model::try_store() {
  Queue& queue = queues_[index(Engine::kStore)];
  bool moved = false;
  for (;;) {
    while (try_nop(Engine::kStore, queue)) moved = true;
    if (!store_walker_.has_burst()) {
      if (queue.empty() || head_is_nop(queue)) return moved;
      const Time time =
          std::max({board_.ready(queue.head(), queue.head_valid()), store_walker_.accepts()});
      if (!known(time)) return moved;
      store_ = queue.head().instruction;
      queue.leave(time);
      store_walker_.accept(as<isa::Store>(store_), time);
      moved = true;
    }
    Stream& stream = streams_[as<isa::Store>(store_).source];
    std::int64_t& gathered = gathered_[as<isa::Store>(store_).source];
    const Burst burst = store_walker_.burst();
    const std::int64_t words = (gathered + burst.beats + word_beats_ - 1) / word_beats_;
    if (static_cast<std::int64_t>(stream.pushed.size()) < words) return moved;
    Time send = std::max({store_walker_.visible(), send_free_,
                          stream.pushed[static_cast<std::size_t>(words - 1)] + 1});
    if (answers_.size() >= kOutstanding) {
      send = std::max(send, answers_[answers_.size() - kOutstanding] + 1);
    }
    send_free_ = send + 1;
    store_walker_.take(send);
    const Time first = std::max(send + 2, write_free_);
    write_free_ = first + burst.beats;
    // A word leaves with its last beat.
    for (std::int64_t beat = 0; beat < burst.beats; ++beat) {
      if ((gathered + beat + 1) % word_beats_ == 0) stream.popped.push_back(first + beat);
    }
    gathered += burst.beats;
    const Time answer = std::max(write_free_ - 1 + memory_.write_latency,
                                 answers_.empty() ? 0 : answers_.back() + 1);
    answers_.push_back(answer);
    if (burst.last) board_.retire(Engine::kStore, answer + 1);
    moved = true;
  }
}

}  // namespace espalier::timing
