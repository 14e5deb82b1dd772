#include "runtime/lockstep.hpp"

#include <algorithm>
#include <numeric>

#include "isa/clip.hpp"
#include "iss/hazards.hpp"
#include "iss/run.hpp"
#include "runtime/capture.hpp"
#include "runtime/devices.hpp"
#include "runtime/interrupt.hpp"
#include "runtime/rtl_host.hpp"
#include "base/integers.hpp"

namespace espalier::runtime {
namespace {

using isa::Engine;
using isa::Load;
using isa::Store;

constexpr std::uint64_t kWaveCycles = 1000;

/// Byte offset of word i of a strided transfer in its region.
template <typename Transfer>
std::uint64_t address(const Transfer& t, std::uint64_t word, std::uint64_t lanes) {
  const std::uint64_t row = word / t.x_words;
  return std::uint64_t{t.offset} + row / t.y_count * t.z_stride + row % t.y_count * t.y_stride +
         word % t.x_words * lanes;
}
template <typename Transfer>
std::uint64_t words(const Transfer& t) {
  return std::uint64_t{t.x_words} * t.y_count * t.z_count;
}

/// The instructions that the engines get, with a mask or without one.
Result<std::vector<isa::Instruction>> clipped(const program::Program& program,
                                              const program::Masked* masked) {
  const std::vector<isa::Instruction> list = program::decode_all(program);
  return isa::clip_all(list, masked != nullptr ? masked->table : program.constants,
                       program.machine());
}

/// One engine's instructions in order, with the data that each moves.
struct Moves {
  std::vector<std::size_t> instructions;  ///< of the engine, nops included
  std::vector<std::uint8_t> data;         ///< one after the other
  std::vector<std::size_t> first;         ///< where each one's data begin
};

/// What the simulator says that every LOAD reads and every STORE writes.
class Reference {
 public:
  Reference(const program::Program& program, std::span<const std::int8_t> image)
      : program_(program),
        lanes_(static_cast<std::uint64_t>(program.machine().lanes)),
        list_(program::decode_all(program)),
        regions_{constant_region(program),
                 std::vector<std::uint8_t>(program.activation_bytes, kPoison),
                 program::pack_input(program, image),
                 std::vector<std::uint8_t>(program.output_bytes, kPoison), program.constants},
        config_(program.machine()) {}

  Status run(const program::Masked* masked) {
    const std::vector<isa::Instruction> whole = list_;
    auto list = clipped(program_, masked);
    if (!list) return list.error();
    list_ = std::move(list).value();
    for (std::size_t i = 0; i < list_.size(); ++i) {
      moves_[static_cast<std::size_t>(isa::queue_of(list_[i]))].instructions.push_back(i);
    }
    if (masked != nullptr) {
      if (Status status = iss::pack(program_, *masked, regions_); !status) return status;
    }
    return iss::Iss(config_).run(whole, regions_, [this](Engine engine, std::uint64_t count) {
      if (engine == Engine::kLoadA || engine == Engine::kLoadW || engine == Engine::kStore)
        record(engine, count);
    });
  }
  [[nodiscard]] const Moves& moves(Engine engine) const {
    return moves_[static_cast<std::size_t>(engine)];
  }
  /// Clipped; valid after run().
  [[nodiscard]] const std::vector<isa::Instruction>& list() const { return list_; }

 private:
  void record(Engine engine, std::uint64_t count) {
    Moves& moves = moves_[static_cast<std::size_t>(engine)];
    moves.first.push_back(moves.data.size());
    const isa::Instruction& instruction = list_[moves.instructions[count - 1]];
    if (const auto* load = std::get_if<Load>(&instruction)) copy(*load, moves.data);
    if (const auto* store = std::get_if<Store>(&instruction)) copy(*store, moves.data);
  }
  template <typename Transfer>
  void copy(const Transfer& t, std::vector<std::uint8_t>& out) const {
    for (std::uint64_t w = 0; w < words(t); ++w) {
      const auto from =
          regions_[t.region].begin() + static_cast<std::ptrdiff_t>(address(t, w, lanes_));
      out.insert(out.end(), from, from + static_cast<std::ptrdiff_t>(lanes_));
    }
  }

  const program::Program& program_;
  std::uint64_t lanes_;
  std::vector<isa::Instruction> list_;
  iss::Regions regions_;
  isa::Config config_;
  std::array<Moves, 7> moves_;
};

class Lockstep {
 public:
  Lockstep(const program::Program& program, const LockstepOptions& options)
      : program_(program),
        options_(options),
        lanes_(static_cast<std::uint64_t>(program.machine().lanes)),
        bus_(static_cast<std::uint64_t>(program.machine().bus_bytes)),
        list_(program::decode_all(program)) {}

  Result<LockstepResult> run(std::span<const std::int8_t> image) {
    if (Status status = take_mask(); !status) return status.error();
    Reference reference(options_.reference != nullptr ? *options_.reference : program_, image);
    if (Status status = reference.run(masked()); !status) return status.error();
    reference_ = &reference;
    if (options_.check) {
      ir::ChannelMask live;
      if (masked() != nullptr) live = masked()->live;
      golden_ = golden::Runner(graph_of(program_, options_.device, 0), std::move(live)).run(image);
    }
    DeviceOptions device = options_.device;
    device.wave.clear();
    auto host = RtlHost::open(program_, device, masks_);
    if (!host) return host.error();
    host_ = host->get();
    readers_ = {Reader{Engine::kLoadA}, Reader{Engine::kLoadW}};
    for (Reader& reader : readers_) next_load(reader);
    host_->simulation().watch_reads(
        [this](std::uint64_t at, std::span<const std::uint8_t> beat) { read(at, beat); });
    host_->put_image(image);
    auto measured = host_->run([this](Engine engine, std::uint64_t count) {
      ++result_.instructions;
      if (engine == Engine::kStore) stored(count);
      if (interrupted() != 0) host_->simulation().stop();
    });
    if (!measured) return measured.error();
    Capture capture(program_, false, [this](isa::Region region) {
      return std::span<const std::uint8_t>(host_->bytes(region));
    });
    capture.use(masked());
    capture.finish(0, result_.execution);
    result_.execution.complete = !measured->stopped;
    host_->measure(*measured, result_.execution);
    if (result_.difference) {
      explain();
      if (Status status = wave(image); !status) return status.error();
    }
    return std::move(result_);
  }

 private:
  /// One of the machine's two loaders, and the beat that it is to read next.
  struct Reader {
    Engine engine;
    std::size_t next = 0;              // index in its Moves
    const Load* load = nullptr;        // nullptr: none is left
    std::uint64_t word = 0, part = 0;  // of that LOAD: word, bytes of it
  };

  /// Errors: those of program::apply_mask.
  Status take_mask() {
    if (!options_.device.masks.empty()) {
      auto made = runtime::masked(program_, options_.device, 0);
      if (!made) return made.error();
      masks_.push_back(std::move(made).value());
    }
    auto list = clipped(program_, masked());
    if (!list) return list.error();
    clipped_ = std::move(list).value();
    return {};
  }
  [[nodiscard]] const program::Masked* masked() const {
    return masks_.empty() ? nullptr : &masks_.front();
  }

  void next_load(Reader& reader) {
    const Moves& moves = reference_->moves(reader.engine);
    reader.load = nullptr;
    for (; reader.next < moves.instructions.size(); ++reader.next) {
      reader.load = std::get_if<Load>(&reference_->list()[moves.instructions[reader.next]]);
      if (reader.load != nullptr) break;
    }
    reader.word = reader.part = 0;
  }

  [[nodiscard]] std::uint64_t next_address(const Reader& reader) const {
    return host_->base(static_cast<isa::Region>(reader.load->region)) +
           address(*reader.load, reader.word, lanes_) + reader.part;
  }

  void read(std::uint64_t at, std::span<const std::uint8_t> beat) {
    if (result_.difference) return;
    for (Reader& reader : readers_) {
      if (reader.load == nullptr || next_address(reader) != at) continue;
      const Moves& moves = reference_->moves(reader.engine);
      const std::size_t from = moves.first[reader.next] + reader.word * lanes_ + reader.part;
      for (std::size_t i = 0; i < beat.size(); ++i) {
        if (beat[i] == moves.data[from + i]) continue;
        differ(moves.instructions[reader.next],
               "reads byte " + number(reader.word * lanes_ + reader.part + i) + ": rtl has " +
                   value(beat[i]) + ", the simulator " + value(moves.data[from + i]));
        return;
      }
      result_.bytes += beat.size();
      reader.part += beat.size();
      if (reader.part < lanes_) return;
      reader.part = 0;
      if (++reader.word < words(*reader.load)) return;
      ++reader.next;
      next_load(reader);
      return;
    }
    const std::uint64_t code = host_->code();
    if (at >= code / bus_ * bus_ && at < code + program_.instructions.size()) return;
    stray(at);
  }

  /// An address that neither loader should read: the one whose instruction reads it is at fault.
  void stray(std::uint64_t at) {
    std::size_t instruction = 0;
    std::string wanted;
    for (const Reader& reader : readers_) {
      if (reader.load == nullptr) continue;
      const std::size_t i = reference_->moves(reader.engine).instructions[reader.next];
      wanted += (wanted.empty() ? "" : " or ") + number(next_address(reader));
      const auto* load = std::get_if<Load>(&clipped_[i]);
      const bool own = load != nullptr && host_->base(static_cast<isa::Region>(load->region)) +
                                                  address(*load, reader.word, lanes_) +
                                                  reader.part ==
                                              at;
      if (instruction == 0 || own) instruction = i;
    }
    differ(instruction, "rtl reads address " + number(at) + ", the simulator " +
                            (wanted.empty() ? "nothing more" : wanted));
  }

  void stored(std::uint64_t count) {
    if (result_.difference) return;
    const Moves& moves = reference_->moves(Engine::kStore);
    ESP_CHECK(count <= moves.instructions.size());
    const std::size_t index = moves.instructions[count - 1];
    const auto* store = std::get_if<Store>(&reference_->list()[index]);
    if (store == nullptr) return;
    const auto region = host_->bytes(static_cast<isa::Region>(store->region));
    for (std::uint64_t w = 0; w < words(*store); ++w) {
      const std::uint64_t at = address(*store, w, lanes_);
      for (std::uint64_t lane = 0; lane < lanes_; ++lane) {
        const std::uint8_t wanted = moves.data[moves.first[count - 1] + w * lanes_ + lane];
        if (region[at + lane] == wanted) continue;
        differ(index, "writes word " + number(w) + ", lane " + number(lane) + ": rtl has " +
                          value(region[at + lane]) + ", the simulator " + value(wanted));
        return;
      }
    }
    result_.bytes += words(*store) * lanes_;
    if (options_.check) check(index, *store);
  }

  /// What a STORE wrote, where the tensors of its layer lie, against golden.
  void check(std::size_t index, const Store& store) {
    std::uint64_t placed = 0;
    const program::Layer& layer = program_.layers[store.layer];
    const auto region = host_->bytes(static_cast<isa::Region>(store.region));
    for (const program::Placement& p : program_.placements) {
      if (static_cast<std::uint32_t>(p.region) != store.region || !makes(layer, p.tensor)) continue;
      const auto& tensor = program_.graph.tensors[static_cast<std::size_t>(p.tensor)];
      const auto pixels =
          static_cast<std::uint64_t>(tensor.shape.h) * static_cast<std::uint64_t>(tensor.shape.w);
      const std::vector<int> channels = channels_of(p.tensor);
      const std::uint64_t start = start_of(p), size = pixels * channels.size();
      for (std::uint64_t w = 0; w < words(store); ++w) {
        const std::uint64_t at = address(store, w, lanes_);
        if (at < start || at >= start + size) continue;
        const std::uint64_t word = (at - start) / lanes_;
        ++placed;
        for (std::uint64_t lane = 0; lane < lanes_; ++lane) {
          const int channel = channels[word / pixels * lanes_ + lane];
          if (channel < 0) continue;
          const auto wanted = golden_[static_cast<std::size_t>(p.tensor)]
                                     [static_cast<std::uint64_t>(channel) * pixels + word % pixels];
          ++result_.values;
          if (static_cast<std::int8_t>(region[at + lane]) == wanted) continue;
          differ(index, "writes channel " + std::to_string(channel) + ", pixel " +
                            number(word % pixels) + " of tensor " + tensor.name + ": rtl has " +
                            value(region[at + lane]) + ", golden " + std::to_string(int{wanted}));
          return;
        }
      }
    }
    if (placed < words(store)) {
      differ(index,
             "writes " + number(words(store) - placed) + " words outside the tensors of its layer");
    }
  }
  /// The channel in every lane of a tensor's blocks, or -1.
  [[nodiscard]] std::vector<int> channels_of(int tensor) const {
    if (masked() != nullptr) return program::packed_channels(program_, *masked(), tensor);
    const auto channels =
        static_cast<std::size_t>(program_.graph.tensors[static_cast<std::size_t>(tensor)].shape.c);
    std::vector<int> list(channels);
    std::iota(list.begin(), list.end(), 0);
    list.resize(round_up(channels, lanes_), -1);
    return list;
  }
  /// Byte of its region where a tensor begins.
  [[nodiscard]] std::uint64_t start_of(const program::Placement& p) const {
    const std::int64_t moved =
        masked() == nullptr ? 0 : masked()->moved[static_cast<std::size_t>(p.tensor)];
    return static_cast<std::uint64_t>(std::int64_t{p.offset} + moved);
  }
  [[nodiscard]] bool makes(const program::Layer& layer, int tensor) const {
    return std::ranges::any_of(layer.nodes, [&](int node) {
      const ir::QuantNode& n = program_.graph.nodes[static_cast<std::size_t>(node)];
      return n.output == tensor && !ir::is_place(n.op);
    });
  }

  void differ(std::size_t instruction, const std::string& what) {
    LockstepDifference difference;
    difference.instruction = instruction;
    difference.disassembly = isa::disassemble(list_[instruction]);
    difference.layer = program_.layers[isa::layer(list_[instruction])].name;
    difference.cycle = host_->simulation().cycle();
    difference.what = what;
    result_.difference = std::move(difference);
    host_->simulation().stop();
  }

  void explain() {
    LockstepDifference& difference = *result_.difference;
    for (const std::size_t i : chain_of(program_.machine(), clipped_, difference.instruction)) {
      difference.chain.push_back("instruction " + std::to_string(i) + ": " +
                                 isa::disassemble(list_[i]));
    }
    const Status hazards = iss::check_hazards(program_.machine(), clipped_);
    if (!hazards) difference.hazard = hazards.error().text();
  }

  /// The same run again, which goes the same way, with the wave of its last cycles.
  Status wave(std::span<const std::int8_t> image) {
    if (options_.device.wave.empty() || !has_waves(program_.config.name)) return {};
    const std::uint64_t last = result_.difference->cycle;
    DeviceOptions device = options_.device;
    const std::uint64_t length = device.wave_cycles != 0 ? device.wave_cycles : kWaveCycles;
    device.wave_start = last > length ? last - length : 0;
    device.wave_cycles = 0;
    auto host = RtlHost::open(program_, device, masks_);
    if (!host) return host.error();
    tb::Simulation& simulation = (*host)->simulation();
    (*host)->put_image(image);
    const auto stop = [&] {
      if (simulation.cycle() >= last) simulation.stop();
    };
    simulation.watch_reads([&](std::uint64_t, std::span<const std::uint8_t>) { stop(); });
    const auto run = (*host)->run([&](Engine, std::uint64_t) { stop(); });
    if (!run) return run.error();
    result_.difference->wave = options_.device.wave;
    return {};
  }

  static std::string number(std::uint64_t n) { return std::to_string(n); }
  static std::string value(std::uint8_t byte) {
    return std::to_string(int{static_cast<std::int8_t>(byte)});
  }

  const program::Program& program_;
  const LockstepOptions& options_;
  std::uint64_t lanes_, bus_;
  std::vector<isa::Instruction> list_, clipped_;  // as compiled, and as the engines get them
  std::vector<program::Masked> masks_;            // one, or none
  const Reference* reference_ = nullptr;
  RtlHost* host_ = nullptr;
  std::vector<golden::Tensor> golden_;
  std::vector<Reader> readers_;
  LockstepResult result_;
};

}  // namespace

Result<LockstepResult> run_lockstep(const program::Program& program,
                                    std::span<const std::int8_t> image,
                                    const LockstepOptions& options) {
  return Lockstep(program, options).run(image);
}

}  // namespace espalier::runtime
