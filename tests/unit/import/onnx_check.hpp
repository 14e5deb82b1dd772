#pragma once
// Imports a model, runs it in float and compares.

#include <string>

#include "catch.hpp"
#include "golden/float_reference.hpp"
#include "import/onnx/onnx.hpp"
#include "tests/unit/import/onnx_builder.hpp"
#include "tests/unit/import/plain.hpp"

namespace espalier::tests {

inline ir::FloatGraph import_ok(const OnnxBuilder& builder, const std::string& folder = ".") {
  auto graph = import_::parse_onnx(builder.bytes(), folder, "test");
  INFO((graph ? std::string("imported") : graph.error().text()));
  REQUIRE(graph.ok());
  return std::move(graph.value());
}

inline std::string import_error(const OnnxBuilder& builder, const std::string& folder = ".") {
  const auto graph = import_::parse_onnx(builder.bytes(), folder, "test");
  REQUIRE_FALSE(graph.ok());
  return graph.error().text();
}

/// The largest difference between what the graph makes of `x` and `wanted`.
inline float worst_difference(const ir::FloatGraph& graph, const plain::Image& x,
                              const plain::Image& wanted) {
  const auto got = golden::run_float(graph, x.values)[graph.output];
  float worst = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    worst = std::max(worst, std::abs(got[i] - wanted.values[i]));
  }
  return worst;
}

/// Requires that the imported graph computes `wanted` from `x`; returns it for further checks.
inline ir::FloatGraph require_same(const OnnxBuilder& builder, const plain::Image& x,
                                   const plain::Image& wanted) {
  ir::FloatGraph graph = import_ok(builder);
  CHECK(graph.tensors[graph.input].shape == ir::Shape{x.c, x.h, x.w});
  REQUIRE(graph.tensors[graph.output].shape == ir::Shape{wanted.c, wanted.h, wanted.w});
  CHECK(worst_difference(graph, x, wanted) < 1e-4F);
  return graph;
}

inline int count_ops(const ir::FloatGraph& graph, const std::string& name) {
  int count = 0;
  for (const ir::FloatNode& node : graph.nodes) count += ir::op_name(node.op) == name ? 1 : 0;
  return count;
}

}  // namespace espalier::tests
