// PACK on the RTL: memory afterwards as in the functional simulator, byte for byte; its cycles and
// faults.

#include "bare_metal.hpp"
#include "catch.hpp"
#include "iss/pack.hpp"
#include "machine_tester.hpp"
#include "seed.hpp"

using namespace espalier;

namespace {

/// Channels of one side: how many blocks there are at most, and how much of them lives.
enum class Keep { kAny, kBlocks, kAll, kNone };

/// Random layers with their masks, in two regions.
class PackTester {
 public:
  PackTester(const char* config, std::uint64_t seed)
      : config_(*isa::find_config(config)),
        lanes_(static_cast<std::uint32_t>(config_.lanes)),
        random_(seed) {
    for (auto& region : regions_) region.resize(4096);
  }

  PackTester& taps(std::uint32_t n) { return taps_ = n, *this; }
  PackTester& blocks(std::uint32_t k, std::uint32_t n) { return k_ = k, n_ = n, *this; }
  PackTester& unit(std::uint32_t kc, std::uint32_t nb) { return kc_ = kc, nb_ = nb, *this; }
  PackTester& tapwise(bool on) { return tapwise_ = on, *this; }
  PackTester& keep(Keep k, Keep n, double share = 0.6) {
    keep_k_ = k, keep_n_ = n, share_ = share;
    return *this;
  }
  PackTester& stall(double probability) { return stall_ = probability, *this; }
  PackTester& anything() {
    const auto draw = [&](std::uint32_t n) {
      return 1 + static_cast<std::uint32_t>(random_() % n);
    };
    constexpr std::array<Keep, 5> kKinds = {Keep::kAny, Keep::kAny, Keep::kBlocks, Keep::kAll,
                                            Keep::kNone};
    return taps(draw(9))
        .blocks(draw(9), draw(5))
        .unit(draw(5), draw(3))
        .tapwise(draw(2) == 1)
        .keep(kKinds[draw(9) % 5], kKinds[draw(9) % 5], 0.1 * draw(9));
  }

  /// Adds a layer.
  PackTester& layer() {
    isa::Pack p;
    p.taps = taps_;
    p.k_blocks = k_;
    p.n_blocks = n_;
    p.kc = kc_;
    p.nb = nb_;
    p.tapwise = tapwise_ ? 1 : 0;
    const std::uint32_t groups = (n_ + nb_ - 1) / nb_, chunks = (k_ + kc_ - 1) / kc_;
    const std::uint32_t tap = nb_ * lanes_ * kc_ * lanes_;
    p.tap_stride = tapwise_ ? tap : 0;
    p.chunk_stride = tap * taps_ + gap();
    p.group_stride = p.chunk_stride * chunks + gap();
    p.weights = place(p.group_stride * groups);
    p.params = place(n_ * lanes_ * 8);
    std::vector<std::uint8_t> masks;
    put_mask(masks, k_, keep_k_);
    put_mask(masks, n_, keep_n_);
    p.masks = place(static_cast<std::uint32_t>(masks.size()));
    std::copy(masks.begin(), masks.end(), regions_[4].begin() + p.masks);
    packs.push_back(p);
    return *this;
  }

  /// Runs all layers on both; the machine's result where memory agrees.
  tb::RunResult run() {
    const auto [result, differences] = compare();
    INFO(text());
    REQUIRE(differences == 0);
    return result;
  }

  /// And the bytes that differ; `spoiled`: one weight is another for the simulator.
  std::pair<tb::RunResult, int> compare(bool spoiled = false) {
    iss::Regions want = regions_;
    if (spoiled) want[0][packs[0].weights] ^= 1U;
    for (const isa::Pack& p : packs) {
      const Status status = iss::pack(p, config_, want[0], want[4]);
      INFO((status.ok() ? std::string() : status.error().text()));
      REQUIRE(status.ok());
    }
    tests::BareRun run = on_machine();
    REQUIRE_FALSE(run.result.timed_out);
    INFO("fault " << isa::name(run.result.fault));
    REQUIRE(run.result.fault == isa::Fault::kNone);
    int differences = 0;
    for (std::size_t b = 0; b < want[4].size(); ++b) differences += run.regions[4][b] != want[4][b];
    return {run.result, differences};
  }

  tests::BareRun on_machine() {
    iss::Regions regions = regions_;
    std::vector<isa::Instruction> program(packs.begin(), packs.end());
    program.emplace_back(isa::End{});
    const std::size_t code = regions[0].size();
    for (const auto& x : program) isa::encode(x, regions[0]);
    tb::SimulationOptions options;
    options.memory.stall = stall_;
    options.memory.seed = random_();
    options.max_cycles = 5'000'000;
    auto machine = tb::make_simulation(config_, options);
    REQUIRE(machine.ok());
    tests::BareRun run = tests::run_bare(**machine, config_, regions, code);
    run.regions[0].resize(code);
    return run;
  }

  std::vector<isa::Pack> packs;

 private:
  [[nodiscard]] std::string text() const {
    std::string out;
    for (const isa::Pack& p : packs) out += isa::disassemble(p) + "\n";
    return out;
  }
  std::uint32_t gap() {
    return static_cast<std::uint32_t>(random_() % 3) *
           static_cast<std::uint32_t>(config_.bus_bytes);
  }
  /// So many bytes behind what is there, in both regions.
  std::uint32_t place(std::uint32_t bytes) {
    const auto at = static_cast<std::uint32_t>(regions_[0].size());
    for (const std::size_t r : {0U, 4U}) {
      regions_[r].resize((at + bytes + 31 + 32 * (random_() % 3)) / 32 * 32);
      regions_[r].resize(std::max(regions_[0].size(), regions_[4].size()), 0xA5);
    }
    regions_[0].resize(regions_[4].size());
    for (std::size_t b = at; b < regions_[0].size(); ++b) {
      regions_[0][b] = static_cast<std::uint8_t>(random_());
    }
    return at;
  }
  void put_mask(std::vector<std::uint8_t>& out, std::uint32_t blocks, Keep keep) {
    for (std::uint32_t b = 0; b < blocks; ++b) {
      std::uint64_t word = 0;
      const bool block = chance(share_);
      const std::uint32_t channels = keep == Keep::kAny && chance(0.3)
                                         ? 1 + static_cast<std::uint32_t>(random_() % lanes_)
                                         : lanes_;
      for (std::uint32_t lane = 0; lane < channels; ++lane) {
        const bool live = keep == Keep::kAll || (keep == Keep::kBlocks && block) ||
                          (keep == Keep::kAny && chance(share_));
        if (live) word |= std::uint64_t{1} << lane;
      }
      if (channels < lanes_ || chance(0.2)) word |= std::uint64_t{1} << iss::kSegmentEnd;
      for (unsigned i = 0; i < iss::kMaskBytes; ++i) {
        out.push_back(static_cast<std::uint8_t>(word >> (8 * i)));
      }
    }
  }
  bool chance(double p) { return static_cast<double>(random_() >> 11) * 0x1p-53 < p; }

  const isa::Config& config_;
  std::uint32_t lanes_;
  std::mt19937_64 random_;
  iss::Regions regions_;
  std::uint32_t taps_ = 1, k_ = 4, n_ = 2, kc_ = 4, nb_ = 2;
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

TEST_CASE("pack rtl: long rows take a beat a cycle, dead rows next to nothing") {
  const auto cycles = [](double share) {
    PackTester tester("nano", 9);
    tester.blocks(64, 16).unit(64, 4).keep(Keep::kAll, Keep::kBlocks, share).layer();
    return static_cast<double>(tester.run().cycles);
  };
  const double beats = 64 * 16 * 4;
  const double all = cycles(1), none = cycles(0);
  CHECK(all > beats);
  CHECK(all < 1.05 * beats + 600);
  CHECK(none < 700);
}

namespace {

using tests::MachineTester;

/// A PACK of one block on each side, everything live, by windows that can be moved.
class FaultTester : public MachineTester {
 public:
  FaultTester() {
    set(isa::reg::kBase4, kOut).set(isa::reg::kReadHigh, kEnd);
    pack.params = 0x200;
    pack.masks = 0x400;
    pack.tapwise = 1;
    for (const std::uint32_t block : {0U, 1U}) {
      for (std::uint32_t b = 0; b < 8; ++b) byte(kOut + pack.masks + 8 * block + b) = b % 4 == 0;
      byte(kOut + pack.masks + 8 * block) = 0xF;
    }
  }
  void expect(isa::Fault cause, isa::Engine engine) {
    program({isa::Nop(nop_), pack, isa::End{}});
    const auto before = machine().memory();
    const auto result = run();
    REQUIRE_FALSE(result.timed_out);
    CHECK(result.fault == cause);
    CHECK(result.fault_engine == static_cast<std::uint32_t>(engine));
    CHECK(result.fault_address == (cause == isa::Fault::kNone ? 0 : address(1)));
    const std::uint32_t end = get(isa::reg::kWriteHigh);
    CHECK(std::equal(before.begin() + end, before.end(), machine().memory().begin() + end));
    CHECK(std::equal(before.begin(), before.begin() + kOut, machine().memory().begin()));
  }
  isa::Pack pack;

 private:
  isa::Nop nop_ = [] {
    isa::Nop nop;
    nop.engine = static_cast<std::uint32_t>(isa::Engine::kLoadA);
    return nop;
  }();
};

}  // namespace

TEST_CASE("pack rtl: faults name the PACK, and nothing outside the windows is written") {
  using isa::Engine;
  using isa::Fault;
  FaultTester().expect(Fault::kNone, Engine::kNone);
  {
    FaultTester tester;
    tester.pack.k_blocks = 512;
    tester.expect(Fault::kCapacity, Engine::kNone);
  }
  for (auto field : {&isa::Pack::weights, &isa::Pack::params, &isa::Pack::tap_stride,
                     &isa::Pack::chunk_stride, &isa::Pack::group_stride}) {
    FaultTester tester;
    tester.pack.*field += 2;
    tester.expect(Fault::kIllegalField, Engine::kNone);
  }
  {
    FaultTester tester;
    tester.pack.masks += 8;
    tester.expect(Fault::kIllegalField, Engine::kNone);
  }
  {
    FaultTester tester;
    tester.pack.masks = MachineTester::kEnd;
    tester.expect(Fault::kReadWindow, Engine::kLoadW);
  }
  {
    FaultTester tester;
    tester.pack.weights = MachineTester::kEnd;
    tester.expect(Fault::kReadWindow, Engine::kLoadW);
  }
  {
    FaultTester tester;
    tester.set(isa::reg::kWriteHigh, MachineTester::kOut + 8);
    tester.expect(Fault::kWriteWindow, Engine::kStore);
  }
  {
    FaultTester tester;  // the parameters do not fit
    tester.set(isa::reg::kWriteHigh, MachineTester::kOut + 0x208);
    tester.expect(Fault::kWriteWindow, Engine::kStore);
  }
}
