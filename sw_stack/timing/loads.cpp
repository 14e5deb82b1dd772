// The read bus and its clients.

#include <algorithm>

#include "timing/model.hpp"

namespace espalier::timing {
namespace {

constexpr std::size_t kOutstanding = 8;  // bursts on the bus; LOADs of one engine
constexpr std::int64_t kParamWords = 8;  // words of a block of parameters
constexpr Time kRoom = 3;                // from room given back to the request that it allows
constexpr Time kSlot = 3;                // from a LOAD's last beat to the next LOAD in its place

/// Of a word of the pool table, whose entries are written one a cycle.
Time table_cycles(const isa::Config& config) { return config.lanes / 4; }

}  // namespace

bool Model::try_load(LoadState& loader) {
  Queue& queue = *loader.queue;
  bool moved = false;
  while (try_nop(loader.engine, queue)) moved = true;
  if (queue.empty() || head_is_nop(queue) || !known(loader.walker.accepts())) return moved;
  Time slot = 0;
  if (loader.accepted.size() >= kOutstanding) {
    const std::size_t oldest = loader.accepted.size() - kOutstanding;
    slot = oldest < loader.done.size() ? loader.done[oldest] + kSlot : kNever;
  }
  const Queued& head = queue.head();
  const Time time =
      std::max({board_.ready(head, queue.head_valid()), loader.walker.accepts(), slot});
  if (!known(time)) return moved;
  loader.walker.accept(as<isa::Load>(head.instruction), time);
  loader.accepted.push_back(head.instruction);
  queue.leave(time);
  return true;
}

/// When a client's request can be granted, the bus aside.
Time Model::request(std::size_t client) {
  if (client == BusState::kFetch) return fetch_.asked == fetch_.words ? kNever : fetch_.visible;
  LoadState& loader = loaders_[client - BusState::kLoadA];
  if (!loader.walker.has_burst()) return kNever;
  const Time visible = loader.walker.visible();
  if (client == BusState::kLoadA) return visible;
  // The burst is of the LOAD before the newest where the walker has taken the next one already.
  const std::size_t of = loader.bursts_of;
  const auto target = static_cast<isa::LoadTarget>(as<isa::Load>(loader.accepted[of]).target);
  const auto beats = static_cast<std::int64_t>(loader.walker.burst().beats);
  const auto words = [this](std::int64_t b) { return (b + word_beats_ - 1) / word_beats_; };
  if (target == isa::LoadTarget::kWeights) {
    return std::max(visible, weight_room(words(bus_.weights_asked + beats)) + kRoom);
  }
  if (target == isa::LoadTarget::kLayerTable || target == isa::LoadTarget::kSqueezer)
    return visible;
  const std::int64_t blocks = (words(bus_.params_asked + beats) + kParamWords - 1) / kParamWords;
  return std::max(visible, params_.room(blocks) + kRoom);
}

/// When the weight ring has room up to `position` beside the words that will be left out.
Time Model::weight_room(std::int64_t position) const {
  Time time = 0;
  while (true) {
    const auto first = std::ranges::upper_bound(bus_.left_out, time);
    const Time room = weights_.room(position + (bus_.left_out.end() - first));
    if (room <= time) return time;
    if (first == bus_.left_out.end()) return room;
    time = std::min(room, *first);
  }
}

Time Model::next_grant() {
  Time open = bus_.grant_free;
  if (bus_.outstanding.size() >= kOutstanding) {
    open = std::max(open, bus_.outstanding[bus_.outstanding.size() - kOutstanding] + 2);
  }
  Time first = kNever;
  for (std::size_t client = 0; client < BusState::kClients; ++client) {
    bus_.requests[client] = request(client);
    first = std::min(first, bus_.requests[client]);
  }
  return known(first) ? std::max(first, open) : kNever;
}

void Model::grant(Time now) {
  std::size_t client = bus_.last_client;
  do {
    client = (client + 1) % BusState::kClients;
  } while (bus_.requests[client] > now && client != bus_.last_client);
  bus_.last_client = client;
  bus_.grant_free = now + 1;
  while (bus_.outstanding.size() > kOutstanding) bus_.outstanding.pop_front();
  while (!bus_.left_out.empty() && bus_.left_out.front() + kRoom <= now) bus_.left_out.pop_front();
  Time first = std::max(now + 1 + memory_.read_latency, bus_.free);
  if (client == BusState::kFetch) {
    grant_fetch(now, first);
    return;
  }
  LoadState& loader = loaders_[client - BusState::kLoadA];
  const Burst burst = loader.walker.burst();
  const std::size_t load = loader.accepted[loader.bursts_of];
  first = std::max(first, loader.written - kRegister);
  Time last = first + burst.beats - 1;
  if (squeezer_.rows.contains(load)) last = squeeze(load, first, burst.beats);
  bus_.free = last + 1;
  if (static_cast<isa::LoadTarget>(as<isa::Load>(load).target) == isa::LoadTarget::kPoolTable) {
    last = write_table(loader, first, burst.beats);
  }
  bus_.outstanding.push_back(last);
  grant_load(loader, burst, first);
  loader.walker.take(now);
}

/// A word of the pool table is written entry by entry; the beats behind it wait in the loader, then
/// in the bus's register. Returns the last one's cycle.
Time Model::write_table(LoadState& loader, Time first, std::int64_t beats) {
  Time at = first;
  for (std::int64_t beat = 0; beat < beats; ++beat) {
    if (beat != 0) at = std::max(at + 1, bus_.free);
    bus_.free = std::max(at + kRegister, loader.written);  // it leaves the register
    if ((beat + 1) % word_beats_ == 0) loader.written = bus_.free + table_cycles(config_);
  }
  return at;
}

void Model::grant_load(LoadState& loader, const Burst& burst, Time first) {
  const auto& load = as<isa::Load>(loader.accepted[loader.bursts_of]);
  const auto target = static_cast<isa::LoadTarget>(load.target);
  // Runs are whole words, so bursts are too.
  const std::int64_t words = burst.beats / word_beats_;
  const Time word_first = first + kRegister + word_beats_ - 1;  // its last beat
  if (target == isa::LoadTarget::kActivations) {
    const auto first_word = static_cast<std::uint64_t>(loader.words);
    port_.write(words, word_first + 1, word_beats_,
                static_cast<std::int64_t>(isa::act_address(load, first_word)));
    loader.words = burst.last ? 0 : loader.words + words;
  } else if (target == isa::LoadTarget::kWeights) {
    if (static_cast<isa::LoadForm>(load.form) == isa::LoadForm::kPlain) {
      bus_.weights_asked += burst.beats;
      weights_.load(words, word_first + 2, word_beats_);
    } else {  // what is left out has its room back
      for (std::int64_t i = 0; i < words; ++i) {
        const Time there = word_first + 2 + i * word_beats_;
        if (isa::left_out(load, static_cast<std::uint64_t>(loader.words + i))) {
          bus_.left_out.push_back(there);
          continue;
        }
        bus_.weights_asked += word_beats_;
        weights_.load(1, there, word_beats_);
      }
      loader.words = burst.last ? 0 : loader.words + words;
    }
  } else if (target == isa::LoadTarget::kParameters) {
    const std::int64_t before = bus_.params_asked / word_beats_ % kParamWords;
    bus_.params_asked += burst.beats;
    const std::int64_t blocks = (before + words) / kParamWords;
    if (blocks > 0) {
      params_.load(blocks, word_first + 2 + (kParamWords - 1 - before) * word_beats_,
                   kParamWords * word_beats_);
    }
  }
  if (!burst.last) return;
  const Time done = bus_.free - 1;
  loader.done.push_back(done);
  ++loader.bursts_of;
  const Time write = target == isa::LoadTarget::kPoolTable ? table_cycles(config_) : 1;
  board_.retire(loader.engine, done + kRegister + write + 1);
}

}  // namespace espalier::timing
