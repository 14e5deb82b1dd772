#include <random>

#include "catch.hpp"
#include "ir/graph.hpp"
#include "quant_builder.hpp"
#include "seed.hpp"

namespace {

using namespace espalier;
using Bytes = std::vector<std::uint8_t>;

/// Every operator, with values that differ from their defaults.
ir::QuantGraph sample() {
  tests::QuantBuilder b({2, 6, 5}, {0.1F, 1});
  ir::QuantConv op =
      tests::plain_conv({3, 2, 2, 1, 1, 0, 2, 1, 1, 2}, 3, std::vector<std::int8_t>(36, -7));
  op.bias = {-5, 2147000, -2147000};
  op.scale = {0.5F, 1e-8F, 3.25F};
  op.lo = -100;
  op.hi = 99;
  op.border = {5, -128};
  const int x = b.conv(0, op, {0.2F, -3});
  const int y = b.add(x, x, {4194303, 17, 29, -3, 90}, {0.2F, -3});
  const ir::Shape s = b.shape(y);
  const int m = b.pool(y, {ir::PoolKind::kMax, {1, 1}, false, -5, 6}, s.h, s.w, {0.2F, -3});
  const int a = b.pool(y, {ir::PoolKind::kAverage, {1, 1}, true}, s.h, s.w, {0.2F, -3});
  const int k = b.concat({m, a, x});
  std::vector<std::int8_t> diagonal;
  for (int n = 0; n < 9; ++n) {
    for (int c = 0; c < 9; ++c) diagonal.push_back(static_cast<std::int8_t>(c == n ? 5 : 0));
  }
  ir::QuantConv depthwise = tests::plain_conv({}, 9, diagonal);
  for (int c = 0; c < 9; ++c) depthwise.reads.push_back({c, c + 1});
  b.conv(k, depthwise, {0.2F, -3});
  ir::QuantGraph& g = b.graph();
  g.name = "a name";
  g.preprocess = {{0.4F, 0.5F}, {0.2F, 0.3F}};
  g.softmax = true;
  g.host_ops = {"softmax", "", "dequantise"};
  return g;
}

/// What only backward graphs have.
ir::QuantGraph backward_sample() {
  ir::QuantGraph g;
  g.tensors = {{"g", {4, 3, 3}, {0.5F, 0}},     {"a", {4, 3, 3}, {0.1F, -7}},
               {"z", {4, 3, 3}, {0.5F, 0}},     {"part", {3, 3, 3}, {0.5F, 0}},
               {"whole", {3, 5, 6}, {0.5F, 0}}, {"s", {4, 1, 4}, {}},
               {"row", {3, 3, 3}, {0.5F, 0}},   {"b", {3, 2, 3}, {0.5F, 0}}};
  g.input = 0;
  g.more_inputs = {1, 6, 7};
  g.keep = {2};
  g.output = 5;
  g.nodes = {{"gate", {0, 1}, 2, ir::QuantGate{-3, 90}},
             {"slice", {2}, 3, ir::QuantSlice{1}},
             {"whole", {3, 6, 7, 7}, 4, ir::QuantInterleave{2, 2}},
             {"score", {2, 1}, 5, ir::QuantScore{}}};
  return g;
}

bool same(const ir::QuantConv& a, const ir::QuantConv& b) {
  return a.window == b.window && a.out_channels == b.out_channels && a.weights == b.weights &&
         a.bias == b.bias && a.scale == b.scale && a.lo == b.lo && a.hi == b.hi &&
         a.border == b.border && a.reads == b.reads;
}
bool same(const ir::QuantAdd& a, const ir::QuantAdd& b) {
  return a.ma == b.ma && a.mb == b.mb && a.shift == b.shift && a.lo == b.lo && a.hi == b.hi;
}
bool same(const ir::QuantPool& a, const ir::QuantPool& b) {
  return a.kind == b.kind && a.window == b.window && a.count_include_pad == b.count_include_pad &&
         a.lo == b.lo && a.hi == b.hi;
}
bool same(const ir::QuantConcat&, const ir::QuantConcat&) { return true; }
bool same(const ir::QuantGate& a, const ir::QuantGate& b) {
  return a.low == b.low && a.high == b.high;
}
bool same(const ir::QuantScore&, const ir::QuantScore&) { return true; }
bool same(const ir::QuantSlice& a, const ir::QuantSlice& b) { return a.first == b.first; }
bool same(const ir::QuantInterleave& a, const ir::QuantInterleave& b) {
  return a.rows == b.rows && a.cols == b.cols;
}

bool same(const ir::QuantGraph& a, const ir::QuantGraph& b) {
  if (a.name != b.name || a.tensors.size() != b.tensors.size() ||
      a.nodes.size() != b.nodes.size() || a.input != b.input || a.output != b.output ||
      a.more_inputs != b.more_inputs || a.keep != b.keep ||
      a.preprocess.mean != b.preprocess.mean || a.preprocess.std != b.preprocess.std ||
      a.softmax != b.softmax || a.host_ops != b.host_ops) {
    return false;
  }
  for (std::size_t i = 0; i < a.tensors.size(); ++i) {
    const auto& s = a.tensors[i];
    const auto& t = b.tensors[i];
    if (s.name != t.name || !(s.shape == t.shape) || !(s.quant == t.quant)) return false;
  }
  for (std::size_t i = 0; i < a.nodes.size(); ++i) {
    const auto& s = a.nodes[i];
    const auto& t = b.nodes[i];
    if (s.name != t.name || s.inputs != t.inputs || s.output != t.output) return false;
    const bool ops = std::visit(
        [](const auto& p, const auto& q) {
          if constexpr (std::is_same_v<decltype(p), decltype(q)>) return same(p, q);
          return false;
        },
        s.op, t.op);
    if (!ops) return false;
  }
  return true;
}

/// Parses a copy that ends where its bytes end, so that a sanitizer sees any read beyond.
Result<ir::QuantGraph> parse(const Bytes& bytes) {
  const Bytes exact(bytes);
  return ir::parse_graph(exact.data(), exact.size());
}

}  // namespace

TEST_CASE("serialise: a graph comes back as it was") {
  const ir::QuantGraph graph = sample();
  REQUIRE(ir::verify(graph).ok());
  const Bytes bytes = ir::serialise(graph);
  const auto parsed = parse(bytes);
  REQUIRE(parsed.ok());
  CHECK(same(graph, *parsed));
  CHECK(ir::serialise(*parsed) == bytes);
  ir::QuantGraph other = graph;
  std::get<ir::QuantAdd>(other.nodes[1].op).hi = 89;
  CHECK_FALSE(same(graph, other));
}

TEST_CASE("serialise: a backward graph comes back as it was, and a wrong one is refused") {
  const ir::QuantGraph graph = backward_sample();
  const Status status = ir::verify(graph);
  INFO((status ? "" : status.error().text()));
  REQUIRE(status.ok());
  const auto parsed = parse(ir::serialise(graph));
  REQUIRE(parsed.ok());
  CHECK(same(graph, *parsed));
  const auto refused = [&](auto change, const char* message) {
    ir::QuantGraph wrong = graph;
    change(wrong);
    const Status found = ir::verify(wrong);
    REQUIRE_FALSE(found.ok());
    CHECK_THAT(found.error().text(), Catch::Contains(message));
  };
  refused([](auto& g) { g.tensors[0].quant.zero = 1; }, "zero point 1; it must be 0");
  refused([](auto& g) { std::get<ir::QuantSlice>(g.nodes[1].op).first = 2; },
          "3 channels from 2 on; there are 4");
  refused([](auto& g) { g.tensors[5].quant.scale = 2; }, "the output's scale is not 1");
  refused([](auto& g) { std::get<ir::QuantInterleave>(g.nodes[2].op).rows = 6; },
          "6x2 phases of 5x6 pixels");
  refused([](auto& g) { g.tensors[7].shape.h = 3; }, "interleave 'whole'");
  refused([](auto& g) { g.more_inputs[1] = 1; }, "is an input twice");
  refused([](auto& g) { g.keep = {9}; }, "keeps tensor 9 of 8");
}

TEST_CASE("parse: every truncation and every byte too many is refused") {
  Bytes bytes = ir::serialise(sample());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto parsed = parse(Bytes(bytes.begin(), bytes.begin() + std::ptrdiff_t(size)));
    REQUIRE_FALSE(parsed.ok());
    REQUIRE(parsed.error().code == ErrorCode::kMalformed);
  }
  bytes.push_back(0);
  CHECK_THAT(parse(bytes).error().text(), Catch::Contains("after the end"));
  CHECK_FALSE(ir::parse_graph(nullptr, 0).ok());
}

TEST_CASE("parse: any changed byte gives a verified graph or a diagnostic") {
  const Bytes bytes = ir::serialise(sample());
  int refused = 0, accepted = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (const int value : {0x00, 0x01, 0x7F, 0x80, 0xFF, bytes[i] ^ 0x01, bytes[i] ^ 0x40}) {
      Bytes changed = bytes;
      changed[i] = static_cast<std::uint8_t>(value);
      const auto parsed = parse(changed);
      ++(parsed.ok() ? accepted : refused);
      if (parsed.ok()) {
        REQUIRE(ir::verify(*parsed).ok());
      } else {
        REQUIRE_FALSE(parsed.error().message.empty());
      }
    }
  }
  CHECK(refused > 500);
  CHECK(accepted > 100);  // names, weights
}

TEST_CASE("parse: survives random bytes behind a sound start, and counts beyond the file") {
  const auto seed = tests::seed();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  const Bytes bytes = ir::serialise(sample());
  for (int i = 0; i < 3000; ++i) {
    Bytes changed = bytes;
    const std::size_t from = 8 + random() % (bytes.size() - 8);
    for (std::size_t k = from; k < changed.size(); ++k) {
      if (random() % 4 == 0) changed[k] = static_cast<std::uint8_t>(random());
    }
    const auto parsed = parse(changed);
    if (parsed.ok()) REQUIRE(ir::verify(*parsed).ok());
  }
  Bytes huge(bytes.begin(), bytes.begin() + 8);  // magic and version, then a name of 4 GiB
  huge.insert(huge.end(), 4, 0xFF);
  CHECK_THAT(parse(huge).error().text(), Catch::Contains("4294967295 elements"));
}

TEST_CASE("parse: another version and other files are named") {
  Bytes bytes = ir::serialise(sample());
  ++bytes[4];
  CHECK(parse(bytes).error().code == ErrorCode::kMismatch);
  CHECK_THAT(parse(bytes).error().text(), Catch::Contains("version 5; this reader has 4"));
  bytes[0] = 'X';
  CHECK_THAT(parse(bytes).error().text(), Catch::Contains("not a graph"));
}
