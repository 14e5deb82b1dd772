// Quantised graphs written as ONNX and read again.

#include <onnx/onnx_pb.h>

#include <set>

#include "catch.hpp"
#include "export/onnx_writer.hpp"
#include "golden/golden.hpp"
#include "import/onnx/onnx.hpp"
#include "quant_builder.hpp"
#include "seed.hpp"
#include "tests/compiler/graphs.hpp"

namespace espalier::tests {
namespace {

using export_::Form;

ir::QuantGraph read_again(const std::string& bytes) {
  auto model = import_::parse_onnx_model(bytes, ".", "again");
  INFO((model ? std::string("imported") : model.error().text()));
  REQUIRE(model.ok());
  REQUIRE(std::holds_alternative<ir::QuantGraph>(*model));
  return std::get<ir::QuantGraph>(std::move(*model));
}

std::vector<std::int8_t> output(const ir::QuantGraph& graph, const std::vector<std::int8_t>& x) {
  return golden::run(graph, x)[static_cast<std::size_t>(graph.output)];
}

ir::QuantGraph small() {
  QuantBuilder b({3, 6, 6}, {0.5F, 3});
  ir::QuantConv op = plain_conv({}, 4, std::vector<std::int8_t>(12, 5));
  op.scale.assign(4, (0.5F * 0.01F) / 0.25F);
  b.conv(0, op, {0.25F, -128});
  return b.graph();
}

}  // namespace

TEST_CASE("export: what is written as ONNX reads as the same numbers, in both forms") {
  const std::uint64_t base = seed(1);
  int written = 0;
  for (std::uint64_t i = 0; i < 80; ++i) {
    ir::QuantGraph graph = random_graph(base * 100 + i);
    derive_multipliers(graph);
    const auto x = random_image(graph, i);
    const auto wanted = output(graph, x);
    for (const Form form : {Form::kQdq, Form::kQoperator}) {
      INFO("seed " << base * 100 + i << ", form " << static_cast<int>(form));
      const auto bytes = export_::write_onnx(graph, {form, false});
      if (!bytes) {  // a pool that ONNX cannot say
        CHECK_THAT(bytes.error().text(), Catch::Contains("one axis only"));
        continue;
      }
      ++written;
      CHECK(output(read_again(*bytes), x) == wanted);
    }
  }
  CHECK(written > 120);
}

TEST_CASE("export: networks keep their tensors, and the softmax") {
  ir::QuantGraph graph = GENERATE(resnet8(), cifar_resnet(3));
  derive_multipliers(graph);
  graph.softmax = true;
  const auto x = random_image(graph, 7);
  const auto wanted = golden::run(graph, x);
  for (const Form form : {Form::kQdq, Form::kQoperator}) {
    const auto bytes = export_::write_onnx(graph, {form, false});
    REQUIRE(bytes.ok());
    const ir::QuantGraph again = read_again(*bytes);
    CHECK(again.softmax);
    CHECK(again.nodes.size() == graph.nodes.size());
    const auto got = golden::run(again, x);
    std::size_t compared = 0;
    for (std::size_t t = 0; t < graph.tensors.size(); ++t) {
      for (std::size_t u = 0; u < again.tensors.size(); ++u) {
        if (again.tensors[u].name != graph.tensors[t].name) continue;
        CHECK(got[u] == wanted[t]);
        ++compared;
      }
    }
    CHECK(compared == graph.tensors.size());
  }
}

TEST_CASE("export: groups are written as groups, and stay the network's work") {
  QuantBuilder b({4, 6, 6}, {0.5F, 3});
  std::vector<std::int8_t> weights;
  for (int n = 0; n < 8; ++n) {
    for (int tap = 0; tap < 9; ++tap) {
      for (int c = 0; c < 4; ++c)
        weights.push_back(static_cast<std::int8_t>(c / 2 == n / 4 ? n * 7 + tap - c : 0));
    }
  }
  ir::QuantConv op = plain_conv({3, 3}, 8, weights);
  op.scale.assign(8, (0.5F * 0.01F) / 0.25F);
  for (int n = 0; n < 8; ++n) op.reads.push_back({n / 4 * 2, n / 4 * 2 + 2});
  b.conv(0, op, {0.25F, -128});
  const ir::QuantGraph& graph = b.graph();
  const auto x = random_image(graph, 5);
  for (const Form form : {Form::kQdq, Form::kQoperator}) {
    const auto bytes = export_::write_onnx(graph, {form, false});
    REQUIRE(bytes.ok());
    const ir::QuantGraph again = read_again(*bytes);
    CHECK(ir::macs(again, again.nodes[0]) == 8 * 9 * 2 * 16);
    CHECK(output(again, x) == output(graph, x));
  }
}

TEST_CASE("export: the form qdq holds standard operators only, and every stored tensor on demand") {
  const auto bytes = export_::write_onnx(small(), {Form::kQdq, true});
  REQUIRE(bytes.ok());
  onnx::ModelProto model;
  REQUIRE(model.ParseFromString(*bytes));
  CHECK(model.opset_import_size() == 1);
  for (const auto& node : model.graph().node()) CHECK(node.domain().empty());
  std::set<std::string> outputs;
  for (const auto& value : model.graph().output()) outputs.insert(value.name());
  CHECK(outputs.size() == 3);
  CHECK(outputs.count("t1") == 1);
}

TEST_CASE("export: what no ONNX operator computes is refused by name") {
  using Catch::Contains;
  SECTION("multipliers of a sum that are not those of its scales") {
    QuantBuilder b({3, 4, 4});
    b.add(0, 0, {1U << 20, 1U << 20, 21});
    CHECK_THAT(export_::write_onnx(b.graph(), {}).error().text(),
               Contains("'n0'") && Contains("not those of its scales"));
  }
  SECTION("a graph that does not verify") {
    ir::QuantGraph graph = small();
    graph.output = 9;
    CHECK_FALSE(export_::write_onnx(graph, {}).ok());
  }
}

}  // namespace espalier::tests
