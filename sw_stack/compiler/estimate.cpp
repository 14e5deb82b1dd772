#include "compiler/estimate.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "compiler/cost.hpp"

namespace espalier::compiler {
namespace {

using isa::Engine;

constexpr std::size_t kEngines = 7;
constexpr std::array<std::size_t, kEngines> kQueueDepth = {0, 16, 16, 4, 0, 4, 16};

/// Cycles of the read bus that are taken, in buckets. The bus is shared fairly: activations get
/// half of it even where weights asked first; what they displace is added to the weights that
/// follow.
class Bus {
 public:
  /// Takes `cycles` from `start` on; returns when the last of them is through.
  double take(double start, double cycles, bool weights) {
    if (weights) {
      cycles += debt_;
      debt_ = 0;
    }
    auto bucket = static_cast<std::size_t>(start / kBucket);
    double end = start;
    for (double left = cycles; left > 0; ++bucket) {
      if (bucket >= used_.size()) used_.resize(bucket + 1024);
      Use& use = used_[bucket];
      const double low = kBucket * static_cast<double>(bucket);
      const double free = kBucket - use.all;
      const double room = std::max(free, weights ? 0.0 : kBucket / 2 - use.activations);
      const double part =
          std::min({left, std::max(0.0, room), low + kBucket - std::max(start, low)});
      if (part > free) debt_ += part - std::max(0.0, free);
      use.all += part;
      if (!weights) use.activations += part;
      left -= part;
      if (part > 0) end = std::max(end, low) + part;
    }
    return end;
  }

 private:
  static constexpr double kBucket = 64;
  struct Use {
    double all = 0, activations = 0;
  };
  std::vector<Use> used_;
  double debt_ = 0;
};

/// A ring: when each of its words arrived and when each was given back.
class RingTimes {
 public:
  explicit RingTimes(std::int64_t size) : size_(size) {}
  /// When `words` more find room.
  double room(std::int64_t words) const { return given_back(loaded_ + words - size_); }
  void load(std::int64_t words, double from, double to) {
    loads_.push_back({loaded_, loaded_ + words, from, to});
    loaded_ += words;
  }
  /// When the words up to `position` are there. Positions are asked for in about rising order.
  double there(std::int64_t position) const {
    for (auto it = loads_.rbegin(); it != loads_.rend(); ++it) {
      if (position <= it->low) continue;
      if (position >= it->high) return it->to;
      return it->from + (it->to - it->from) * static_cast<double>(position - it->low) /
                            static_cast<double>(it->high - it->low);
    }
    return 0;
  }
  void release(std::int64_t words, double time) {
    base_ += words;
    releases_.emplace_back(base_, time);
  }
  [[nodiscard]] std::int64_t base() const { return base_; }

 private:
  struct Part {
    std::int64_t low, high;
    double from, to;
  };
  double given_back(std::int64_t position) const {
    double time = 0;
    for (auto it = releases_.rbegin(); it != releases_.rend() && it->first >= position; ++it)
      time = it->second;
    return position <= 0 ? 0 : time;
  }
  std::int64_t size_, loaded_ = 0, base_ = 0;
  std::vector<Part> loads_;
  std::vector<std::pair<std::int64_t, double>> releases_;
};

class Model {
 public:
  explicit Model(const program::Program& program)
      : config_(program.machine()), weights_(config_.weight_words), params_(config_.param_blocks) {
    out_.layers.assign(program.layers.size(), 0.0);
  }

  Estimate run(std::span<const isa::Instruction> list) {
    for (const isa::Instruction& instruction : list) {
      std::visit([&](const auto& x) { fetch(instruction, x); }, instruction);
    }
    out_.cycles = std::max(end_, reached_);
    return std::move(out_);
  }

 private:
  static std::size_t index(Engine e) { return static_cast<std::size_t>(e); }

  template <typename T>
  void fetch(const isa::Instruction& instruction, const T& x) {
    const std::size_t queue = index(isa::queue_of(instruction));
    auto& left = left_[queue];
    fetched_ += T::kWords;
    bus_.take(fetched_, T::kWords * 16.0 / config_.bus_bytes, false);
    if (queue != 0 && left.size() >= kQueueDepth[queue]) {
      fetched_ = std::max(fetched_, left[left.size() - kQueueDepth[queue]]);
    }
    double start = std::max(fetched_ + 4, free_[queue]);
    for (const isa::Dependency& d : isa::dependencies(instruction)) {
      if (d.engine == Engine::kNone) continue;
      const auto& done = retired_[index(d.engine)];
      const auto back = static_cast<std::uint16_t>(done.size() - d.count);
      if (back < done.size()) start = std::max(start, done[done.size() - 1 - back] + 1);
    }
    const double began = run(x, start);
    left.push_back(began);
  }

  /// Notes that time went on to `time` in a layer.
  void reach(std::uint32_t layer, double time) {
    if (time <= reached_) return;
    out_.layers[layer] += time - reached_;
    reached_ = time;
  }

  template <typename T>
  double transfer_cycles(const T& x, double& beats) const {
    beats += static_cast<double>(x.x_words) * x.y_count * x.z_count * word_beats(config_);
    return run_cycles(config_, x.x_words, static_cast<double>(x.y_count) * x.z_count);
  }

  double run(const isa::Nop& x, double start) {
    retired_[x.engine].push_back(start);
    return start;
  }
  double run(const isa::End&, double start) { return start; }

  double run(const isa::Load& x, double start) {
    const Engine engine = x.target < 2 ? Engine::kLoadA : Engine::kLoadW;
    const double cycles = transfer_cycles(x, out_.read_beats);
    const std::int64_t words = std::int64_t{x.x_words} * x.y_count * x.z_count;
    double end = 0;
    const auto target = static_cast<isa::LoadTarget>(x.target);
    if (engine == Engine::kLoadW) {
      RingTimes& ring = target == isa::LoadTarget::kWeights ? weights_ : params_;
      const std::int64_t units = target == isa::LoadTarget::kWeights ? words : words / kParamWords;
      const double room = ring.room(1);
      const double from = std::max(start, room);
      const double taken = bus_.take(from, cycles, true);
      end = std::max(taken, ring.room(units)) + kTiming.latency;
      ring.load(units, from + kTiming.latency, end);
      free_[index(engine)] = std::max(taken, end - kTiming.latency);
    } else {
      const double taken = bus_.take(start, cycles, false);
      end = taken + kTiming.latency;
      free_[index(engine)] = taken;
    }
    auto& done = retired_[index(engine)];
    done.push_back(done.empty() ? end : std::max(end, done.back()));
    return start;
  }

  double run(const isa::Conv& x, double start) {
    const std::int64_t base = weights_.base() + x.w_offset;
    const int taps = static_cast<int>(x.kh * x.kw);
    const int pieces = x.w_tapwise != 0 ? taps : 1;
    const double piece = double{1.0} * taps / pieces * x.k_blocks * x.n_blocks *
                         pass_cycles(config_, static_cast<int>(x.rows * x.cols));
    if (x.first != 0) start = std::max(start, half_free_[half_]);
    double time = start;
    double began = start;
    for (int p = 0; p < pieces; ++p) {
      time = std::max(time, weights_.there(base + std::int64_t{p + 1} * x.w_piece));
      if (p == 0) began = time;
      time += piece;
      out_.exec_busy += piece;
      if (x.w_release != 0) weights_.release(x.w_piece, time);
    }
    time += kTiming.conv_overhead;
    free_[index(Engine::kExec)] = time;
    retired_[index(Engine::kExec)].push_back(time);
    reach(x.layer, time);
    if (x.last != 0) post(x, time);
    return began;
  }

  void post(const isa::Conv& x, double exec_end) {
    double start = std::max(exec_end + kTiming.pass_latency, post_free_);
    start = std::max(start, params_.there(params_.base() + x.p_offset + x.n_blocks));
    const double end = start + double{1.0} * x.n_blocks * x.rows * x.cols * post_cycles(config_);
    post_free_ = end;
    half_free_[half_] = end;
    half_ ^= 1U;
    if (x.p_release != 0) params_.release(x.n_blocks, end);
    retired_[index(Engine::kPost)].push_back(end);
    if (x.gap == 0 || x.gap_last != 0) streams_[0].emplace_back(start, end);
    reach(x.layer, exec_end);
  }

  double run(const isa::Pool& x, double start) {
    const double word = std::max(static_cast<double>(x.kh * x.kw),
                                 double{1.0} * config_.lanes / config_.pool_lanes);
    const double end =
        start + double{1.0} * x.blocks * x.rows * x.cols * word + kTiming.pool_overhead;
    free_[index(Engine::kPool)] = end;
    retired_[index(Engine::kPool)].push_back(end);
    streams_[1].emplace_back(start, end);
    reach(x.layer, end);
    return start;
  }

  double run(const isa::Store& x, double start) {
    auto& stream = streams_[x.source];
    const auto [from, to] = stream[next_[x.source]++];
    const double cycles = transfer_cycles(x, out_.write_beats);
    const double began = std::max(start, from);
    const double written = std::max(to, began + cycles) + 4;
    free_[index(Engine::kStore)] = written;
    end_ = std::max(end_, written + kTiming.write_latency);
    retired_[index(Engine::kStore)].push_back(written + kTiming.write_latency);
    return began;
  }

  isa::Config config_;
  RingTimes weights_, params_;
  Bus bus_;
  Estimate out_;
  double fetched_ = kTiming.latency;
  double reached_ = 0, end_ = 0, post_free_ = 0;
  unsigned half_ = 0;
  std::array<double, 2> half_free_{};
  std::array<double, kEngines> free_{};
  std::array<std::vector<double>, kEngines> retired_, left_;
  std::array<std::vector<std::pair<double, double>>, 2> streams_;
  std::array<std::size_t, 2> next_{};
};

}  // namespace

Estimate estimate(const program::Program& program) {
  const std::vector<isa::Instruction> list = program::decode_all(program);
  return Model(program).run(list);
}

double Estimate::utilisation(const program::Program& program) const {
  double macs = 0;
  for (const program::Layer& layer : program.layers) macs += static_cast<double>(layer.macs);
  const double lanes = program.machine().lanes;
  return cycles > 0 ? macs / (cycles * lanes * lanes) : 0;
}

}  // namespace espalier::compiler
