#include "compiler/emit.hpp"

#include <algorithm>
#include <array>

#include "compiler/act_buffer.hpp"
#include "isa/maps.hpp"

namespace espalier::compiler {
namespace {

constexpr std::size_t kEngines = 7;
constexpr int kAhead = 12;  // loads in a queue for steps to come: the queue holds 16
constexpr int kAll = 1 << 30;
constexpr std::int64_t kOldest = 16384;  // counts are compared modulo 2^16
constexpr std::int64_t kFreshen = 8192;

/// Counts that an instruction waits for, by engine; 0: none.
using Waits = std::array<std::int64_t, kEngines>;

void need(Waits& waits, isa::Engine engine, std::int64_t count) {
  std::int64_t& wait = waits[static_cast<std::size_t>(engine)];
  wait = std::max(wait, count);
}

class Emitter {
 public:
  Emitter(const ir::QuantGraph& graph, const std::vector<Layer>& layers, const Layout& layout,
          const Schedule& schedule, const Constants& constants, const isa::Config& config,
          const RingRoom& room)
      : graph_(graph),
        layers_(layers),
        layout_(layout),
        schedule_(schedule),
        constants_(constants),
        config_(config),
        buffer_(config, layers, schedule.pieces),
        weights_(config, layers, schedule, constants, layout.maskable, room),
        before_(predecessors(schedule, config.lanes, layout)),
        address_(schedule.pieces.size(), -1),
        load_count_(schedule.pieces.size(), 0),
        root_read_(layout.roots.size(), 0) {}

  Emitted run() {
    const int steps = static_cast<int>(schedule_.order.size());
    if (layout_.maskable) load_rows(-1);
    for (int i = 0; i < steps; ++i) {
      if (i >= rows_end_) load_rows(steps);  // and whoever still needs what goes, verify refuses
      load_tiles(i - 1, i, kAll);
      load_weights(i);
      ESP_CHECK(next_step_ > i && weights_.loaded(i));
      step(i);
      after_.push_back(counts_);
      out_.stores.push_back(
          static_cast<std::uint32_t>(counts_[static_cast<std::size_t>(isa::Engine::kStore)]));
      if (layout_.maskable) load_rows(i);
      const int limit = std::min({i + 2 * kAhead, steps - 1, rows_end_ - 1});
      load_tiles(i, limit, kAhead);
      while (weights_.ahead(i) < kAhead) {
        const auto load = weights_.next(limit);
        if (!load) break;
        put_weights(*load);
      }
    }
    isa::End end;
    end.layer = static_cast<std::uint32_t>(layers_.size() - 1);
    out_.instructions.emplace_back(end);
    return std::move(out_);
  }

 private:
  std::int64_t& count(isa::Engine engine) { return counts_[static_cast<std::size_t>(engine)]; }

  /// Appends an instruction, and nops before it for dependencies too many.
  void put(isa::Instruction instruction, const Waits& waits) {
    const isa::Engine queue = isa::queue_of(instruction);
    std::vector<isa::Dependency> list;
    for (std::size_t e = 1; e < kEngines; ++e) {
      std::int64_t wait = waits[e];
      if (wait == 0) continue;
      if (counts_[e] - wait > kOldest) wait = counts_[e] - kFreshen;
      ESP_CHECK(wait <= counts_[e]);
      list.push_back({static_cast<isa::Engine>(e), static_cast<std::uint16_t>(wait)});
    }
    while (list.size() > 3) {
      isa::Nop nop;
      nop.layer = isa::layer(instruction);
      nop.engine = static_cast<std::uint32_t>(queue);
      isa::Instruction carrier = nop;
      isa::set_dependencies(carrier, {list[0], list[1], list[2]});
      list.erase(list.begin(), list.begin() + 3);
      out_.instructions.push_back(carrier);
      ++count(queue);
    }
    list.resize(3);
    isa::set_dependencies(instruction, {list[0], list[1], list[2]});
    out_.instructions.push_back(std::move(instruction));
    ++count(queue);
  }

  /// Emits LOADs of the layer table, half of its rows each, as far as the steps up to `done`, which
  /// are out, are the last ones to need what is there.
  void load_rows(int done) {
    const int half = config_.mask_layers / 2, layers = static_cast<int>(layers_.size());
    while (rows_ < layers && rows_free_ <= done) {
      isa::Load load;
      load.target = static_cast<std::uint32_t>(isa::LoadTarget::kLayerTable);
      load.region = static_cast<std::uint32_t>(isa::Region::kMask);
      load.layer = static_cast<std::uint32_t>(rows_);
      load.offset = load.layer * static_cast<std::uint32_t>(isa::kRowBytes);
      load.sram_address = isa::row_word(config_, load.layer);
      load.x_words = static_cast<std::uint32_t>(std::min(half, layers - rows_)) *
                     static_cast<std::uint32_t>(isa::kRowBytes) /
                     static_cast<std::uint32_t>(config_.lanes);
      put(load, {});
      rows_ += half;
      rows_free_ = last_step(rows_ - half);
      rows_end_ = first_step(rows_);
    }
  }

  /// The last step of the layers before `layer`, -1 without one; the first of those from it on.
  [[nodiscard]] int last_step(int layer) const {
    const auto& order = schedule_.order;
    const auto found = std::find_if(order.rbegin(), order.rend(),
                                    [&](const Need& need) { return need.layer < layer; });
    return static_cast<int>(order.rend() - found) - 1;
  }
  [[nodiscard]] int first_step(int layer) const {
    const auto& order = schedule_.order;
    const auto found = std::find_if(order.begin(), order.end(),
                                    [&](const Need& need) { return need.layer >= layer; });
    return static_cast<int>(found - order.begin());
  }

  /// Emits LOADs of pieces first used by steps up to `limit`, as far as the steps up to `done`,
  /// which are out, make room for them and write what they read.
  /// At most `ahead` LOADs stay out for steps after `done`.
  void load_tiles(int done, int limit, int ahead) {
    while (next_step_ <= limit) {
      while (used_step_ <= done)
        used_ += static_cast<int>(at(schedule_.loads, used_step_++).size());
      const auto& loads = at(schedule_.loads, next_step_);
      if (next_load_ == loads.size()) {
        ++next_step_;
        next_load_ = 0;
        continue;
      }
      if (loaded_ - used_ >= ahead) return;
      const int id = loads[next_load_];
      const Piece& piece = at(schedule_.pieces, id);
      if (piece.ready_step > done) return;
      const int address = buffer_.address(piece);
      Waits waits{};
      for (const int other : buffer_.occupants(piece, address)) {
        const Piece& old = at(schedule_.pieces, other);
        if (old.last_step > done) return;
        const auto engine = old.kind == PieceKind::kTile      ? isa::Engine::kExec
                            : old.kind == PieceKind::kOperand ? isa::Engine::kPost
                                                              : isa::Engine::kPool;
        need(waits, engine, at(after_, old.last_step)[static_cast<std::size_t>(engine)]);
      }
      if (piece.ready_step >= 0) {
        need(waits, isa::Engine::kStore, at(out_.stores, piece.ready_step));
      }
      buffer_.place(id, address);
      at(address_, id) = address;
      put(load_fields(layout_, at(constants_.places, piece.layer), piece, address, config_.lanes),
          waits);
      at(load_count_, id) = count(isa::Engine::kLoadA);
      if (piece.root >= 0) at(root_read_, piece.root) = count(isa::Engine::kLoadA);
      ++next_load_;
      ++loaded_;
    }
  }

  void load_weights(int limit) {
    while (!weights_.loaded(limit)) {
      const auto load = weights_.next(limit);
      if (!load) break;
      put_weights(*load);
    }
  }
  void put_weights(const isa::Load& load) {
    Waits waits{};
    need(waits, isa::Engine::kExec, weights_.exec_wait());
    need(waits, isa::Engine::kPost, weights_.post_wait());
    put(load, waits);
  }

  void step(int i) {
    const Need& ref = at(schedule_.order, i);
    const Layer& layer = at(layers_, ref.layer);
    const Step& step = at(at(schedule_.by_layer, ref.layer), ref.step);
    Waits waits{};
    for (const int p : {step.piece, step.operand, step.table}) {
      if (p >= 0) need(waits, isa::Engine::kLoadA, at(load_count_, p));
    }
    const Piece& piece = at(schedule_.pieces, step.piece);
    if (layer.is_pool()) {
      put(pool_fields(graph_, layer, step, piece, at(address_, step.piece), layout_.maskable),
          waits);
    } else {
      isa::Conv conv =
          conv_fields(graph_, layer, step, piece, at(address_, step.piece),
                      step.operand < 0 ? 0 : at(address_, step.operand), layout_.maskable);
      weights_.use(step, conv);
      put(conv, waits);
      if (step.last) ++count(isa::Engine::kPost);
      weights_.out(count(isa::Engine::kExec), count(isa::Engine::kPost));
    }
    if (!step.stores) return;
    Waits store_waits{};
    for (const int root : at(before_, at(layout_.spots, layer.nodes.output).root)) {
      need(store_waits, isa::Engine::kLoadA, at(root_read_, root));
    }
    put(store_fields(layer, layout_, step, config_.lanes), store_waits);
  }

  const ir::QuantGraph& graph_;
  const std::vector<Layer>& layers_;
  const Layout& layout_;
  const Schedule& schedule_;
  const Constants& constants_;
  const isa::Config& config_;
  ActBuffer buffer_;
  WeightQueue weights_;
  std::vector<std::vector<int>> before_;
  Emitted out_;
  Waits counts_{};                        // instructions out, by engine
  std::vector<Waits> after_;              // the same after each step
  std::vector<int> address_;              // by piece
  std::vector<std::int64_t> load_count_;  // by piece: load_a's count with it
  std::vector<std::int64_t> root_read_;   // by root: load_a's count with its last reader
  int rows_ = 0;                          // of the layer table that are out
  int rows_free_ = -1;                    // the step behind which rows of the next layers have room
  int rows_end_ = kAll;                   // the first step whose row is not
  int next_step_ = 0;
  std::size_t next_load_ = 0;
  int loaded_ = 0, used_ = 0, used_step_ = 0;  // LOADs out, and those of steps that are out
};

}  // namespace

Emitted emit(const ir::QuantGraph& graph, const std::vector<Layer>& layers, const Layout& layout,
             const Schedule& schedule, const Constants& constants, const isa::Config& config,
             const RingRoom& room) {
  return Emitter(graph, layers, layout, schedule, constants, config, room).run();
}

}  // namespace espalier::compiler
