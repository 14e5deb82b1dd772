// PACK on the RTL: memory afterwards as in the functional simulator, byte for byte; its cycles.

#include "bare_metal.hpp"
#include "catch.hpp"
#include "iss/iss.hpp"
#include "isa/maps.hpp"
#include "machine_tester.hpp"
#include "program/pack.hpp"
#include "seed.hpp"

using namespace espalier;

namespace {

/// Channels of one side: how many blocks there are at most, and how much of them lives.
enum class Keep { kAny, kBlocks, kAll, kOne };

/// Random layers with their masks: the dense image in region 0, the layer table and the maps in
/// region 4, the packed image in region 1.
class PackTester {
 public:
  PackTester(const char* config, std::uint64_t seed)
      : config_(*isa::find_config(config)), lanes_(config_.lanes), random_(seed) {
    program_.config = config_;
    program_.maskable.emplace();
    for (auto& region : regions_) region.resize(4096);
  }

  PackTester& taps(int n) { return taps_ = n, *this; }
  PackTester& blocks(int k, int n) { return k_ = k, n_ = n, *this; }
  PackTester& tapwise(bool on) { return tapwise_ = on, *this; }
  PackTester& keep(Keep k, Keep n, double share = 0.6) {
    keep_k_ = k, keep_n_ = n, share_ = share;
    return *this;
  }
  PackTester& stall(double probability) { return stall_ = probability, *this; }
  PackTester& anything() {
    const auto draw = [&](int n) { return 1 + static_cast<int>(random_() % unsigned(n)); };
    constexpr std::array<Keep, 5> kKinds = {Keep::kAny, Keep::kAny, Keep::kBlocks, Keep::kAll,
                                            Keep::kOne};
    return taps(draw(9))
        .blocks(draw(9), draw(5))
        .tapwise(draw(2) == 1)
        .keep(kKinds[random_() % 5], kKinds[random_() % 5], 0.1 * draw(9));
  }

  /// Adds a layer.
  PackTester& layer() {
    program::Maskable::Weights w;
    w.taps = taps_;
    w.k_blocks = k_;
    w.n_blocks = n_;
    w.tapwise = tapwise_;
    w.weights = place(w.part_bytes(lanes_) * w.parts());
    w.params = place(std::int64_t{n_} * lanes_ * 8);
    std::vector<std::uint8_t> k_maps, n_maps;
    isa::LayerRow row;
    row.k_live = put_maps(k_maps, k_, keep_k_);
    row.n_live = put_maps(n_maps, n_, keep_n_);
    row.block_words =
        static_cast<std::uint32_t>(w.block_words(lanes_, static_cast<int>(row.k_live)));
    w.maps = static_cast<std::uint32_t>(regions_[4].size());
    regions_[4].resize(w.maps_end());
    std::copy(k_maps.begin(), k_maps.end(), regions_[4].begin() + w.maps);
    std::copy(n_maps.begin(), n_maps.end(), regions_[4].begin() + w.n_maps());
    regions_[4].resize((regions_[4].size() + 31) / 32 * 32);
    isa::encode(row, table_);
    program_.layers.emplace_back();
    program_.maskable->layers.emplace_back();
    program_.maskable->layers.back().weights = w;
    return *this;
  }

  /// Runs all layers on both; the machine's result where memory agrees.
  tb::RunResult run() {
    const auto [result, differences] = compare();
    REQUIRE(differences == 0);
    return result;
  }

  /// And the bytes that differ; `spoiled`: one weight is another for the simulator.
  std::pair<tb::RunResult, int> compare(bool spoiled = false) {
    std::copy(table_.begin(), table_.end(), regions_[4].begin());
    const auto code = program::pack_program(
        program_, std::vector<bool>(program_.layers.size(), true), regions_[4]);
    const auto list = program::decode_list(code);
    REQUIRE(list.ok());
    regions_[1].assign(regions_[0].size(), 0xA5);
    iss::Regions want = regions_;
    if (spoiled) want[0][program_.maskable->layers[0].weights->weights] ^= 1U;
    const Status status = iss::Iss(config_).run(*list, want);
    INFO((status.ok() ? std::string() : status.error().text()));
    REQUIRE(status.ok());
    iss::Regions regions = regions_;
    const std::size_t start = regions[0].size();
    regions[0].insert(regions[0].end(), code.begin(), code.end());
    tb::SimulationOptions options;
    options.memory.stall = stall_;
    options.memory.seed = random_();
    options.max_cycles = 5'000'000;
    auto machine = tb::make_simulation(config_, options);
    REQUIRE(machine.ok());
    const tests::BareRun run = tests::run_bare(**machine, config_, regions, start);
    REQUIRE_FALSE(run.result.timed_out);
    INFO("fault " << isa::name(run.result.fault));
    REQUIRE(run.result.fault == isa::Fault::kNone);
    int differences = 0;
    for (std::size_t b = 0; b < want[1].size(); ++b) differences += run.regions[1][b] != want[1][b];
    return {run.result, differences};
  }

 private:
  /// So many bytes of weights behind what is there.
  std::uint32_t place(std::int64_t bytes) {
    const std::size_t at = regions_[0].size();
    regions_[0].resize((at + static_cast<std::size_t>(bytes) + 63 + 64 * (random_() % 3)) / 64 *
                       64);
    for (std::size_t b = at; b < regions_[0].size(); ++b) {
      regions_[0][b] = static_cast<std::uint8_t>(random_());
    }
    return static_cast<std::uint32_t>(at);
  }
  /// The live blocks; one at least.
  std::uint32_t put_maps(std::vector<std::uint8_t>& out, int blocks, Keep keep) {
    std::uint32_t live_blocks = 0;
    int live = 0;  // of the segment
    for (int b = 0; b < blocks; ++b) {
      std::uint64_t word = 0;
      const bool last = b + 1 == blocks, block = chance(share_);
      const int channels = keep == Keep::kAny && chance(0.3)
                               ? 1 + static_cast<int>(random_() % unsigned(lanes_))
                               : lanes_;
      for (int lane = 0; lane < channels; ++lane) {
        bool alive = keep == Keep::kAll || (keep == Keep::kBlocks && block) ||
                     (keep == Keep::kAny && chance(share_));
        if (last && lane + 1 == channels && live_blocks == 0 && live == 0) alive = true;
        if (!alive) continue;
        word |= std::uint64_t{1} << lane;
        ++live;
      }
      if (last || channels < lanes_ || chance(0.2)) {
        word |= std::uint64_t{1} << isa::kSegmentEnd;
        live_blocks += static_cast<std::uint32_t>((live + lanes_ - 1) / lanes_);
        live = 0;
      }
      if (last) word |= std::uint64_t{1} << isa::kListEnd;
      for (unsigned i = 0; i < isa::kMapBytes; ++i) {
        out.push_back(static_cast<std::uint8_t>(word >> (8 * i)));
      }
    }
    return live_blocks;
  }
  bool chance(double p) { return static_cast<double>(random_() >> 11) * 0x1p-53 < p; }

  const isa::Config& config_;
  int lanes_;
  std::mt19937_64 random_;
  program::Program program_;
  std::vector<std::uint8_t> table_;
  iss::Regions regions_;
  int taps_ = 1, k_ = 4, n_ = 2;
  bool tapwise_ = false;
  Keep keep_k_ = Keep::kAny, keep_n_ = Keep::kAny;
  double share_ = 0.6, stall_ = 0;
};

void compare(const char* config, int usual) {
  const std::uint64_t seed = tests::seed();
  for (int i = 0; i < tests::rounds(usual); ++i) {
    INFO("ESPALIER_SEED=" << seed << " " << config << " program " << i);
    PackTester tester(config, seed * 1000 + static_cast<std::uint64_t>(i));
    for (int layer = 0; layer < 4; ++layer) tester.anything().layer();
    tester.stall(0.25 * (i % 3)).run();
  }
}

}  // namespace

TEST_CASE("pack rtl: random layers and masks equal the functional simulator on nano") {
  compare("nano", 30);
}
TEST_CASE("pack rtl: random layers and masks equal the functional simulator on tiny") {
  compare("tiny", 20);
}
TEST_CASE("pack rtl: random layers and masks equal the functional simulator on edge") {
  compare("edge", 20);
}
TEST_CASE("pack rtl: random layers and masks equal the functional simulator on zynq") {
  compare("zynq", 20);
}
TEST_CASE("pack rtl: random layers and masks equal the functional simulator on wide") {
  compare("wide", 10);
}

TEST_CASE("pack rtl: the comparison sees one wrong weight") {
  PackTester tester("nano", 3);
  tester.keep(Keep::kAll, Keep::kAll).layer();
  CHECK(tester.compare().second == 0);
  CHECK(tester.compare(true).second == 1);
}

TEST_CASE("pack rtl: a step a cycle for live rows, three more for a LOAD, and none for dead rows") {
  const auto cycles = [](double share) {
    PackTester tester("nano", 9);
    tester.blocks(64, 16).keep(Keep::kAll, share < 1 ? Keep::kBlocks : Keep::kAll, share).layer();
    return static_cast<double>(tester.run().cycles);
  };
  const double all = 64 * 16 * 4 + 16 * 4 * 2;  // rows; parameters
  CHECK(cycles(1) > all);
  CHECK(cycles(1) < 1.02 * all + 500);
  const double few = cycles(0.3);
  CHECK(few > 0.05 * all);
  CHECK(few < 0.6 * all);
}
