// The store engine: a burst goes when all its words wait; at most 8 are unanswered.

#include "timing/model.hpp"

namespace espalier::timing {

using isa::Engine;

namespace {
constexpr std::size_t kOutstanding = 8;
constexpr Time kGathered = 3;  // from a burst's last word to its address
}  // namespace

bool Model::try_store() {
  Queue& queue = queues_[index(Engine::kStore)];
  bool moved = false;
  for (;;) {
    while (try_nop(Engine::kStore, queue)) moved = true;
    if (!store_.walker.has_burst()) {
      if (queue.empty() || head_is_nop(queue)) return moved;
      const Time time =
          std::max({board_.ready(queue.head(), queue.head_valid()), store_.walker.accepts()});
      if (!known(time)) return moved;
      store_.instruction = queue.head().instruction;
      queue.leave(time);
      store_.walker.accept(as<isa::Store>(store_.instruction), time);
      moved = true;
    }
    Stream& stream = streams_[as<isa::Store>(store_.instruction).source];
    std::int64_t& gathered = store_.gathered[as<isa::Store>(store_.instruction).source];
    const Burst burst = store_.walker.burst();
    const std::int64_t words = (gathered + burst.beats + word_beats_ - 1) / word_beats_;
    if (static_cast<std::int64_t>(stream.pushed.size()) < words) return moved;
    Time send = std::max({store_.walker.visible(), store_.send_free,
                          stream.pushed[static_cast<std::size_t>(words - 1)] + kGathered});
    if (store_.answers.size() >= kOutstanding) {
      send = std::max(send, store_.answers[store_.answers.size() - kOutstanding] + 1);
    }
    store_.send_free = send + 1;
    store_.walker.take(send);
    const Time first = std::max(send + 2, store_.write_free);
    store_.write_free = first + burst.beats;
    // A word leaves with its last beat.
    for (std::int64_t beat = 0; beat < burst.beats; ++beat) {
      if ((gathered + beat + 1) % word_beats_ == 0) stream.popped.push_back(first + beat);
    }
    gathered += burst.beats;
    const Time answer = std::max(store_.write_free - 1 + memory_.write_latency,
                                 store_.answers.empty() ? 0 : store_.answers.back() + 1);
    store_.answers.push_back(answer);
    if (burst.last) board_.retire(Engine::kStore, answer + 1);
    moved = true;
  }
}

}  // namespace espalier::timing
