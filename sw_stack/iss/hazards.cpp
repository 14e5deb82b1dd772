#include "iss/hazards.hpp"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <vector>

namespace espalier::iss {
namespace {

using isa::Conv;
using isa::Engine;
using isa::Load;
using isa::LoadTarget;
using isa::Nop;
using isa::Pool;
using isa::Store;
using isa::StoreSource;

constexpr std::size_t kEngines = 7;
using Clock = std::array<std::uint64_t, kEngines>;  // instructions of each engine known to be done

void join(Clock& into, const Clock& other) {
  for (std::size_t e = 0; e < kEngines; ++e) into[e] = std::max(into[e], other[e]);
}

/// The last access of each engine to a word: its count and whether it wrote. Zero: none.
struct Word {
  std::array<std::uint32_t, kEngines> read{}, written{};
};

class Checker {
 public:
  Checker(const isa::Config& config, std::span<const isa::Instruction> program)
      : config_(config), program_(program), act_(static_cast<std::size_t>(config.act_words)) {
    squeezes_ = std::any_of(program.begin(), program.end(), [](const isa::Instruction& x) {
      const auto* load = std::get_if<Load>(&x);
      return load != nullptr && static_cast<LoadTarget>(load->target) == LoadTarget::kSqueezer;
    });
  }

  Status run() {
    for (std::size_t i = 0; i < program_.size() && status_.ok(); ++i) {
      const Engine engine = isa::queue_of(program_[i]);
      if (engine == Engine::kNone) break;
      const auto e = static_cast<std::size_t>(engine);
      Clock clock = done_[e].empty() ? Clock{} : done_[e].back();
      for (const isa::Dependency& d : isa::dependencies(program_[i])) {
        if (d.engine == Engine::kNone) continue;
        if (!follow(i, d, clock)) return status_;
      }
      index_[e].push_back(i);
      std::visit([&](const auto& x) { access(i, x, clock); }, program_[i]);
      clock[e] = index_[e].size();
      done_[e].push_back(clock);
    }
    return status_;
  }

 private:
  /// Joins what a dependency proves; false where it names a later instruction.
  bool follow(std::size_t i, const isa::Dependency& d, Clock& clock) {
    const auto e = static_cast<std::size_t>(d.engine);
    const auto back = static_cast<std::uint16_t>(done_[e].size() - d.count);
    const std::uint64_t count = done_[e].size() - back;
    if (back >= 0x8000U || count > done_[e].size()) {
      status_ = fail(ErrorCode::kDevice,
                     "waits for an instruction that comes later: " + isa::disassemble(program_[i]),
                     "instruction " + std::to_string(i));
      return false;
    }
    if (count > 0) {
      join(clock, done_[e][count - 1]);
      clock[e] = std::max(clock[e], count);
    }
    return true;
  }

  void conflict(std::size_t i, Engine other, std::uint64_t count, const std::string& what) {
    if (!status_.ok()) return;
    const auto& list = index_[static_cast<std::size_t>(other)];
    const std::size_t j = other == Engine::kPost ? post_index_[count - 1] : list[count - 1];
    status_ = fail(ErrorCode::kDevice,
                   what + " is not ordered after instruction " + std::to_string(j) + " (" +
                       isa::disassemble(program_[j]) + "): no dependency on " +
                       std::string(isa::name(other)) + " >= " + std::to_string(count),
                   "instruction " + std::to_string(i) + " (" + isa::disassemble(program_[i]) + ")");
  }

  void touch(std::size_t i, Engine engine, std::uint64_t count, const Clock& clock, Word& word,
             bool write, const char* what) {
    for (std::size_t e = 1; e < kEngines; ++e) {
      if (e == static_cast<std::size_t>(engine)) continue;
      if (word.written[e] > clock[e]) conflict(i, static_cast<Engine>(e), word.written[e], what);
      if (write && word.read[e] > clock[e]) conflict(i, static_cast<Engine>(e), word.read[e], what);
    }
    auto& mark = write ? word.written : word.read;
    mark[static_cast<std::size_t>(engine)] = static_cast<std::uint32_t>(count);
  }

  void touch_act(std::size_t i, Engine engine, std::uint64_t count, const Clock& clock,
                 std::uint64_t word, bool write) {
    touch(i, engine, count, clock, act_[word % act_.size()], write, "activation buffer");
  }

  template <typename Transfer>
  void touch_memory(std::size_t i, Engine engine, std::uint64_t count, const Clock& clock,
                    const Transfer& t, bool write) {
    const auto lanes = static_cast<std::uint64_t>(config_.lanes);
    for (std::uint64_t z = 0; z < t.z_count; ++z) {
      for (std::uint64_t y = 0; y < t.y_count; ++y) {
        const std::uint64_t start = t.offset + z * t.z_stride + y * t.y_stride;
        for (std::uint64_t at = start / lanes; at <= (start + t.x_words * lanes - 1) / lanes;
             ++at) {
          touch(i, engine, count, clock, memory_[std::uint64_t{t.region} << 40U | at], write,
                "memory");
        }
      }
    }
  }

  void access(std::size_t, const Nop&, const Clock&) {}
  void access(std::size_t, const isa::End&, const Clock&) {}

  void access(std::size_t i, const Load& x, const Clock& clock) {
    const Engine engine = isa::queue_of(program_[i]);
    const std::uint64_t count = index_[static_cast<std::size_t>(engine)].size();
    touch_memory(i, engine, count, clock, x, false);
    if (static_cast<LoadTarget>(x.target) == LoadTarget::kActivations) {
      const std::uint64_t words = std::uint64_t{x.x_words} * x.y_count * x.z_count;
      for (std::uint64_t w = 0; w < words; ++w)
        touch_act(i, engine, count, clock, isa::act_address(x, w), true);
    } else if (static_cast<LoadTarget>(x.target) == LoadTarget::kPoolTable) {
      touch(i, engine, count, clock, pool_table_, true, "pool table");
    } else if (static_cast<LoadTarget>(x.target) == LoadTarget::kLayerTable) {
      touch(i, engine, count, clock, layer_table_, true, "layer table and bit maps");
      table_loads_ = count;
    } else if (static_cast<LoadTarget>(x.target) == LoadTarget::kSqueezer) {
      squeeze(i, x);
    }
  }

  /// The squeezer reads the bit maps until the STORE that takes its words has retired. LOADs of one
  /// queue overlap, so it has to wait for them.
  void squeeze(std::size_t i, const Load& x) {
    bool waits = table_loads_ == 0;
    for (const isa::Dependency& d : isa::dependencies(x)) {
      if (d.engine != Engine::kLoadW) continue;
      const auto behind = static_cast<std::uint16_t>(d.count - table_loads_);
      waits = waits || behind < 0x8000U;
    }
    if (!waits) conflict(i, Engine::kLoadW, table_loads_, "bit maps");
  }

  void access(std::size_t i, const Store& x, Clock& clock) {
    auto& queue = streams_[x.source];
    if (squeezes_ && static_cast<StoreSource>(x.source) == StoreSource::kPool) {
      // It takes words of the squeezer, whichever LOADs bring them: these wait for the bit maps,
      // and new maps for it.
      touch_memory(i, Engine::kStore, index_[6].size(), clock, x, true);
      layer_table_.read[6] = static_cast<std::uint32_t>(index_[6].size());
      return;
    }
    if (queue.empty()) {
      status_ = fail(ErrorCode::kDevice, "nothing before it produces what it stores",
                     "instruction " + std::to_string(i));
      return;
    }
    join(clock, queue.front());
    queue.erase(queue.begin());
    touch_memory(i, Engine::kStore, index_[6].size(), clock, x, true);
  }

  void access(std::size_t i, const Conv& x, Clock& clock) {
    const std::uint64_t count = index_[3].size();
    for (std::uint64_t kb = 0; kb < (x.n_blocks == 0 ? 0 : x.k_blocks); ++kb) {
      for (std::uint64_t row = 0; row < x.in_rows; ++row) {
        for (std::uint64_t col = 0; col < x.in_cols; ++col) {
          const std::uint64_t word = x.act_base + kb * x.plane + row * x.row_pitch + col;
          touch_act(i, Engine::kExec, count, clock, word, false);
          if (x.fine != 0)
            touch_act(i, Engine::kExec, count, clock, word + x.pair - x.pair_cols, false);
        }
      }
    }
    if (x.last == 0) return;
    constexpr std::size_t kPost = 4;
    Clock post = done_[kPost].empty() ? Clock{} : done_[kPost].back();
    join(post, clock);
    post[3] = std::max(post[3], count);
    post_index_.push_back(i);
    const std::uint64_t post_count = done_[kPost].size() + 1;
    if (x.add != 0 && (x.add_mb != 0 || x.product != 0)) {  // times 0, any operand will do
      const std::uint64_t words = std::uint64_t{x.n_blocks} * x.rows * x.cols;
      for (std::uint64_t w = 0; w < words; ++w)
        touch_act(i, Engine::kPost, post_count, post, x.add_base + w, false);
    }
    post[kPost] = post_count;
    done_[kPost].push_back(post);
    if (x.n_blocks != 0 && (x.gap == 0 || x.gap_last != 0))
      streams_[static_cast<std::size_t>(StoreSource::kPost)].push_back(post);
  }

  void access(std::size_t i, const Pool& x, Clock& clock) {
    const std::uint64_t count = index_[5].size();
    for (std::uint64_t block = 0; block < x.blocks; ++block) {
      for (std::uint64_t row = 0; row < x.in_rows; ++row) {
        for (std::uint64_t col = 0; col < x.in_cols; ++col) {
          touch_act(i, Engine::kPool, count, clock,
                    x.act_base + block * x.plane + row * x.row_pitch + col, false);
        }
      }
    }
    if (x.use_table != 0) touch(i, Engine::kPool, count, clock, pool_table_, false, "pool table");
    Clock after = clock;
    after[5] = count;
    streams_[static_cast<std::size_t>(StoreSource::kPool)].push_back(after);
  }

  isa::Config config_;
  std::span<const isa::Instruction> program_;
  std::vector<Word> act_;
  Word pool_table_, layer_table_;
  std::uint64_t table_loads_ = 0;  // load_w's count with the last LOAD of the layer table
  bool squeezes_ = false;          // the program packs: its STOREs take the squeezer's words
  std::unordered_map<std::uint64_t, Word> memory_;
  std::array<std::vector<Clock>, kEngines> done_;  // clock after each instruction, by engine
  std::array<std::vector<std::size_t>, kEngines> index_;
  std::vector<std::size_t> post_index_;
  std::array<std::vector<Clock>, 2> streams_;
  Status status_;
};

}  // namespace

Status check_hazards(const isa::Config& config, std::span<const isa::Instruction> program) {
  return Checker(config, program).run();
}

}  // namespace espalier::iss
