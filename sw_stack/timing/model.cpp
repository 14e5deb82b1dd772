#include "timing/model.hpp"

#include <algorithm>
#include <numeric>

#include "isa/clip.hpp"

namespace espalier::timing {

using isa::Engine;

namespace {

constexpr std::size_t kFetchDepth = 64;    // words ahead of the decoder
constexpr std::size_t kQueueDepth = 31;    // of every queue, behind its head
constexpr std::uint64_t kFetchBytes = 16;  // a word
constexpr std::uint64_t kLine = 4096;
constexpr Time kStart = 2;   // from start to the decoder's first word
constexpr Time kBurst = 4;   // from a burst of the program to the next request
constexpr Time kChecks = 3;  // from an instruction's last word to its dispatch
constexpr Time kCut = 3;     // from a clip word until the word behind it is shortened

}  // namespace

Model::Model(const program::Program& program, const isa::Config& machine, const Memory& memory,
             std::vector<isa::Instruction> list, std::vector<unsigned> lengths,
             std::vector<program::TileCodes> codes, Squeezes squeezes)
    : program_(program),
      memory_(memory),
      config_(machine),
      lanes_(config_.lanes),
      slices_(config_.lanes / config_.post_lanes),
      word_beats_(config_.lanes / config_.bus_bytes),
      list_(std::move(list)),
      lengths_(std::move(lengths)),
      codes_(std::move(codes)),
      queues_{Queue(1), Queue(kQueueDepth), Queue(kQueueDepth), Queue(kQueueDepth),
              Queue(1), Queue(kQueueDepth), Queue(kQueueDepth)},
      weight_queue_(4),
      weights_(config_.weight_words),
      params_(config_.param_blocks),
      loaders_{LoadState{Engine::kLoadA, &queues_[1], Walker(config_), {}, {}},
               LoadState{Engine::kLoadW, &queues_[2], Walker(config_), {}, {}}},
      store_(config_) {
  squeezer_.rows = std::move(squeezes);
  fetch_.words = std::accumulate(lengths_.begin(), lengths_.end(), std::size_t{0});
  decode_.free = bus_.grant_free = kStart;
  fetch_.visible = kStart - 1 + kBurst;
  fetch_.arrived.reserve(fetch_.words);
  fetch_.taken.reserve(fetch_.words);
}

/// Words of the next burst of the program.
bool Model::try_fetch() {
  if (fetch_.asked == fetch_.words || known(fetch_.visible)) return false;
  const std::size_t burst = std::min<std::size_t>(16, static_cast<std::size_t>(config_.bus_bytes));
  const std::size_t ahead = kFetchDepth - burst;
  if (fetch_.asked <= ahead) {
    fetch_.visible = fetch_.next;
  } else if (fetch_.taken.size() >= fetch_.asked - ahead) {
    fetch_.visible = std::max(fetch_.next, fetch_.taken[fetch_.asked - ahead - 1] + 2);
  }
  return known(fetch_.visible);
}

void Model::grant_fetch(Time now, Time first) {
  const auto bus = static_cast<std::uint64_t>(config_.bus_bytes);
  const std::uint64_t address = program_.code_offset() + fetch_.asked * kFetchBytes;
  std::uint64_t words = std::min<std::uint64_t>(16, bus);
  if (bus > kFetchBytes && address % bus != 0) words = 15;
  words = std::min({words, (kLine - address % kLine) / kFetchBytes,
                    static_cast<std::uint64_t>(fetch_.words - fetch_.asked)});
  // A beat gives its words one a cycle; a word may take several beats.
  const Time step = std::max<Time>(1, static_cast<Time>(kFetchBytes / bus));
  for (std::uint64_t w = 0; w < words; ++w) {
    fetch_.arrived.push_back(first + kRegister + (static_cast<Time>(w) + 1) * step);
  }
  bus_.free = first + static_cast<Time>(words) * step;
  // A beat has moved when its first word goes on, which of two words is the one before the last.
  const bool two = bus > kFetchBytes && words > 1 && (address / kFetchBytes + words) % 2 == 0;
  bus_.outstanding.push_back(bus_.free - (two ? 2 : 1));
  fetch_.asked += words;
  fetch_.visible = kNever;
  fetch_.next = now + kBurst;
}

void Model::push(Engine engine, std::size_t instruction, Time time) {
  Queued item;
  item.instruction = instruction;
  item.nop = std::holds_alternative<isa::Nop>(list_[instruction]);
  item.pushed = time;
  const auto dependencies = isa::dependencies(list_[instruction]);
  for (std::size_t d = 0; d < 3; ++d) {
    // Dependencies name earlier instructions: the newest with that count, modulo.
    const std::uint64_t sent = decode_.dispatched[index(dependencies[d].engine)];
    const auto back = static_cast<std::uint16_t>(sent - dependencies[d].count);
    item.engine[d] = dependencies[d].engine;
    item.count[d] = back <= sent ? sent - back : 0;
  }
  queues_[index(engine)].push(item);
  ++decode_.dispatched[index(engine)];
  if (engine != Engine::kExec) return;
  const auto* conv = std::get_if<isa::Conv>(&list_[instruction]);
  if (conv == nullptr) return;
  if (conv->n_blocks != 0) weight_queue_.push(item);
  if (conv->last != 0) ++decode_.dispatched[index(Engine::kPost)];
}

bool Model::try_decode() {
  bool moved = false;
  while (!decode_.ended && decode_.decoded < list_.size()) {
    const isa::Instruction& instruction = list_[decode_.decoded];
    const std::size_t words = lengths_[decode_.decoded];
    // The clip stage waits for the table, but for a last LOAD of later layers; a nop has lost its
    // clip word as well.
    const bool clipped = words != isa::words(instruction);
    Time table = 0;
    if (clipped) {
      const bool last = isa::layer(instruction) >= decode_.table_layer;
      table = board_.shows(Engine::kLoadW, last ? decode_.table_last : decode_.table_before);
    }
    while (decode_.taken < words && fetch_.taken.size() < fetch_.arrived.size()) {
      Time after = decode_.taken == 0 ? decode_.free : fetch_.taken.back() + 1;
      // The row is read in between.
      if (clipped && decode_.taken == 1) after = std::max(after, table) + 1;
      if (!known(after)) return moved;
      fetch_.taken.push_back(std::max(after, fetch_.arrived[fetch_.taken.size()]));
      ++decode_.taken;
      moved = true;
    }
    if (decode_.taken < words) return moved;
    const Engine engine = isa::queue_of(instruction);
    Time dispatch = fetch_.taken.back() + kChecks + (words == 1 ? 1 : 0);
    if (clipped) {
      const Time cut = fetch_.taken[fetch_.taken.size() - words + 1] + kCut;
      dispatch = std::max(dispatch, cut + kChecks);
    }
    if (engine == Engine::kNone) {
      Time idle = dispatch;
      for (std::size_t e = 1; e < kEngines; ++e) {
        idle = std::max(idle, board_.shows(static_cast<Engine>(e), decode_.dispatched[e]));
      }
      if (!known(idle)) return moved;
      decode_.ended = true;
      decode_.end = idle;
      return true;
    }
    const auto* conv = std::get_if<isa::Conv>(&instruction);
    dispatch = std::max(dispatch, queues_[index(engine)].room());
    if (conv != nullptr && conv->n_blocks != 0) {
      dispatch = std::max(dispatch, weight_queue_.room());
    }
    if (!known(dispatch)) return moved;
    push(engine, decode_.decoded, dispatch);
    const auto* load = std::get_if<isa::Load>(&instruction);
    if (load != nullptr &&
        static_cast<isa::LoadTarget>(load->target) == isa::LoadTarget::kLayerTable) {
      decode_.table_before = decode_.table_last;
      decode_.table_last = decode_.dispatched[index(Engine::kLoadW)];
      decode_.table_layer = load->layer;
    }
    decode_.free = dispatch + 1;
    decode_.taken = 0;
    ++decode_.decoded;
    moved = true;
  }
  return moved;
}

bool Model::head_is_nop(const Queue& queue) const { return !queue.empty() && queue.head().nop; }

bool Model::try_nop(Engine engine, Queue& queue) {
  if (!head_is_nop(queue)) return false;
  const Time time = std::max(
      {board_.ready(queue.head(), queue.head_valid()), board_.shows(engine, queue.left()) + 1});
  if (!known(time)) return false;
  queue.leave(time);
  board_.retire(engine, time + 1);
  return true;
}

Result<Estimate> Model::run() {
  while (!decode_.ended) {
    gate_ = kNever;
    for (bool moved = true; moved;) {
      moved = try_decode();
      moved |= try_fetch();
      for (LoadState& loader : loaders_) moved |= try_load(loader);
      moved |= try_exec();
      moved |= try_post();
      moved |= try_pool();
      moved |= try_store();
    }
    if (decode_.ended) break;
    const Time grants = next_grant();
    const Time next = std::min(grants, gate_);
    if (!known(next)) {
      return fail(ErrorCode::kDevice, "the program would hang: " + waiting(), program_.graph.name);
    }
    now_ = std::max(now_, next);
    if (grants <= now_) grant(now_);
  }
  Estimate out;
  out.layers.resize(program_.layers.size());
  for (std::size_t i = 0; i < list_.size(); ++i) {
    LayerEstimate& layer = out.layers[isa::layer(list_[i])];
    layer.tiles += codes_[i].size();
    layer.tiles_run += static_cast<std::uint64_t>(
        std::ranges::count_if(codes_[i], [](std::uint8_t code) { return code != 0; }));
  }
  charge(passes_.shown, pool_.shown, decode_.end, out);
  const auto lanes = static_cast<std::uint64_t>(lanes_);
  const auto bus = static_cast<std::uint64_t>(config_.bus_bytes);  // fetch reads whole beats
  out.bytes_read = (fetch_.words * kFetchBytes + bus - 1) / bus * bus;
  for (const isa::Instruction& instruction : list_) {
    const auto bytes = [lanes](const auto& t) {
      return std::uint64_t{t.x_words} * t.y_count * t.z_count * lanes;
    };
    LayerEstimate& layer = out.layers[isa::layer(instruction)];
    if (const auto* load = std::get_if<isa::Load>(&instruction)) layer.bytes_read += bytes(*load);
    if (const auto* s = std::get_if<isa::Store>(&instruction)) layer.bytes_written += bytes(*s);
  }
  for (const LayerEstimate& layer : out.layers) {
    out.bytes_read += layer.bytes_read;
    out.bytes_written += layer.bytes_written;
  }
  return out;
}

std::string Model::waiting() const {
  std::string text;
  for (std::size_t e = 1; e < kEngines; ++e) {
    if (queues_[e].empty()) continue;
    text += (text.empty() ? "" : "; ") + std::string(isa::name(static_cast<Engine>(e))) +
            " holds instruction " + std::to_string(queues_[e].head().instruction);
  }
  return text.empty()
             ? "instruction " + std::to_string(decode_.decoded) + " does not leave the decoder"
             : text;
}

Result<Estimate> estimate(const program::Program& program, const Memory& memory,
                          std::span<const std::uint8_t> table, const ir::ChannelMask& live) {
  return estimate(program, program.machine(), memory, table, live);
}

namespace {

/// `clipped`: as the engines get them; `lengths`: the words of each in memory; `events`: where the
/// run's go, or null.
Result<Estimate> follow(const program::Program& program, const isa::Config& machine,
                        const Memory& memory, std::vector<isa::Instruction> clipped,
                        std::vector<unsigned> lengths, std::vector<isa::Event>* events = nullptr) {
  auto codes = program::tile_codes(clipped, program.constants, machine);
  if (!codes) return codes.error();
  Model model(program, machine, memory, std::move(clipped), std::move(lengths), std::move(*codes));
  auto estimate = model.run();
  if (events != nullptr) *events = model.events();
  return estimate;
}

std::vector<unsigned> lengths_of(const std::vector<isa::Instruction>& list) {
  std::vector<unsigned> lengths;
  lengths.reserve(list.size());
  for (const isa::Instruction& instruction : list) lengths.push_back(isa::words(instruction));
  return lengths;
}

Status has_model(const program::Program& program, const isa::Config& machine) {
  if (machine.timing_model) return {};
  return fail(ErrorCode::kUnsupported,
              "configuration " + std::string(program.config.name) + " has no timing model");
}

/// A program as it is encoded, cut by the table; without one by its own.
Result<Estimate> follow(const program::Program& program, const isa::Config& machine,
                        const Memory& memory, std::span<const std::uint8_t> table,
                        std::vector<isa::Event>* events = nullptr) {
  if (const Status status = has_model(program, machine); !status) return status.error();
  const std::vector<isa::Instruction> list = program::decode_all(program);
  auto clipped = isa::clip_all(list, table.empty() ? program.constants : table, machine);
  if (!clipped) return clipped.error();
  return follow(program, machine, memory, std::move(*clipped), lengths_of(list), events);
}

}  // namespace

Result<Estimate> estimate(const program::Program& program, const isa::Config& machine,
                          const Memory& memory, std::span<const std::uint8_t> table,
                          const ir::ChannelMask& live) {
  auto out = follow(program, machine, memory, table);
  if (out) charge_compute(program, live, *out);
  return out;
}

Result<std::vector<isa::Event>> events(const program::Program& program, const Memory& memory,
                                       std::span<const std::uint8_t> table) {
  std::vector<isa::Event> events;
  const auto out = follow(program, program.machine(), memory, table, &events);
  if (!out) return out.error();
  return events;
}

Result<Estimate> estimate(const program::Program& program, std::vector<isa::Instruction> list,
                          const isa::Config& machine, const Memory& memory) {
  if (const Status status = has_model(program, machine); !status) return status.error();
  std::vector<unsigned> lengths = lengths_of(list);
  return follow(program, machine, memory, std::move(list), std::move(lengths));
}

}  // namespace espalier::timing
