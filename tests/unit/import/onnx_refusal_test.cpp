// What the ONNX importer refuses, and what damaged files do to it.

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <filesystem>

#include "import/model.hpp"
#include "scratch.hpp"
#include "seed.hpp"
#include "tests/unit/import/onnx_check.hpp"

namespace espalier::tests {
namespace {

using Catch::Matchers::Contains;
using Ints = std::vector<std::int64_t>;

OnnxBuilder image_model() {
  OnnxBuilder m;
  m.input("x", {1, 4, 6, 6}).floats("k", {6, 1}, random_floats(6, 1));
  return m;
}

TEST_CASE("onnx: refusals name the operator and the node") {
  struct Case {
    const char* type;
    std::vector<std::string> inputs;
    std::vector<Attribute> attributes;
    const char* message;
  };
  const auto c =
      GENERATE(Case{"Sigmoid", {"x"}, {}, "operator is not supported"},
               Case{"Mul", {"x", "x"}, {}, "multiplies two activations"},
               Case{"Add", {"x", "k"}, {}, "constant of 6x1 on an activation of 1x4x6x6"},
               Case{"Transpose", {"x"}, {{"perm", Ints{0, 0, 1, 2}}}, "perm 0x0x1x2"},
               Case{"Reshape", {"x", "odd"}, {}, "splits an axis"},
               Case{"Reshape", {"x", "wrong"}, {}, "reshapes 1x4x6x6 to 5x5"},
               Case{"ReduceMean", {"x"}, {{"axes", Ints{1}}}, "reduces dimension 1"},
               Case{"MaxPool", {"x"}, {{"kernel_shape", Ints{9, 9}}}, "window spans 9 pixels"},
               Case{"MaxPool", {"x"}, {{"kernel_shape", Ints{3}}}, "kernel_shape has 1 values"},
               Case{"MaxPool",
                    {"x"},
                    {{"kernel_shape", Ints{1, 1}}, {"pads", Ints{1, 0, 0, 0}}},
                    "nothing but padding"},
               Case{"AveragePool",
                    {"x"},
                    {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{0, 1}}},
                    "stride is 0"},
               Case{"Conv", {"x", "k"}, {}, "weights are 6x1"},
               Case{"Conv", {"x", "x"}, {}, "computed at run time"},
               Case{"Conv", {"x", "ghost"}, {}, "'ghost' is not defined"},
               Case{"Conv", {"x"}, {}, "input 1 is missing"},
               Case{"Concat", {"x", "x"}, {{"axis", 2}}, "joins dimension 2"},
               Case{"Concat", {"x", "k"}, {{"axis", 1}}, "is a constant"},
               Case{"Pad", {"x", "pads"}, {{"mode", "reflect"}}, "mode 'reflect'"},
               Case{"Slice", {"x", "ones", "ends", "ones", "minus"}, {}, "step -1"},
               Case{"Clip", {"x"}, {{"min", 2.0F}, {"max", 1.0F}}, "clips to 2 .. 1"},
               Case{"Softmax", {"x"}, {{"axis", 3}}, "not the channels"},
               Case{"Flatten", {"x"}, {{"axis", 9}}, "axis is 9"},
               Case{"Gemm", {"x", "k"}, {}, "two dimensions are needed"},
               Case{"MatMul", {"x", "k"}, {}, "mixes image axes"},
               Case{"Cast", {"x"}, {{"to", 6}}, "casts an activation"});
  OnnxBuilder m = image_model();
  m.ints("odd", {1, 2, 72}).ints("wrong", {5, 5}).ints("pads", Ints(8, 1));
  m.ints("ones", {1}).ints("ends", {3}).ints("minus", {-1});
  m.node(c.type, c.inputs, {"y"}, c.attributes).output("y");
  const std::string error = import_error(m);
  INFO(error);
  CHECK_THAT(error, Contains(c.message));
  CHECK_THAT(error, Contains(std::string("node 'node_y' (") + c.type + ")"));
}

TEST_CASE("onnx: refuses groups that would expand without end") {
  OnnxBuilder m;
  m.input("x", {1, 8192, 2, 2}).floats("w", {8192, 1, 1, 1}, random_floats(8192, 1));
  m.node("Conv", {"x", "w"}, {"y"}, {{"group", 8192}}).output("y");
  CHECK_THAT(import_error(m), Contains("8192 groups expand to 67108864 weights"));
}

TEST_CASE("onnx: refuses a model with more than one input or output, or none") {
  OnnxBuilder two = image_model();
  two.input("z", {1, 4, 6, 6}).node("Add", {"x", "z"}, {"y"}).output("y");
  CHECK_THAT(import_error(two), Contains("2 inputs"));
  OnnxBuilder outputs = image_model();
  outputs.node("Relu", {"x"}, {"y"}).output("y").output("x");
  CHECK_THAT(import_error(outputs), Contains("2 outputs"));
  OnnxBuilder open;
  open.input("x", {1, 3, -1, 4}).node("Relu", {"x"}, {"y"}).output("y");
  CHECK_THAT(import_error(open), Contains("dimension 2 is 'N'"));
  OnnxBuilder nothing = image_model();
  nothing.node("Identity", {"x"}, {"y"}).output("y");
  CHECK_THAT(import_error(nothing), Contains("no operator"));
  OnnxBuilder cycle = image_model();
  cycle.node("Add", {"x", "b"}, {"a"}).node("Relu", {"a"}, {"b"}).output("b");
  CHECK_THAT(import_error(cycle), Contains("'b' is not defined before it"));
  OnnxBuilder middle = image_model();
  middle.node("Softmax", {"x"}, {"s"}, {{"axis", 1}}).node("Relu", {"s"}, {"y"}).output("y");
  CHECK_THAT(import_error(middle), Contains("node 'node_s'"));
}

TEST_CASE("onnx: weights must be finite numbers and as many as their dimensions say") {
  OnnxBuilder m;
  m.input("x", {1, 1, 2, 2}).floats("w", {1, 1, 1, 1}, {std::numeric_limits<float>::infinity()});
  m.node("Conv", {"x", "w"}, {"y"}).output("y");
  CHECK_THAT(import_error(m), Contains("not a finite number") && Contains("node_y"));
  m.graph().mutable_initializer(0)->set_dims(0, 3);
  CHECK_THAT(import_error(m), Contains("tensor 'w': has 4 bytes") && Contains("want 12"));
}

OnnxBuilder external_model(const std::string& location, const std::string& offset = "0",
                           const std::string& length = "16") {
  OnnxBuilder m;
  m.input("x", {1, 2, 1, 1});
  onnx::TensorProto& t = *m.graph().add_initializer();
  t.set_name("w");
  t.set_data_type(onnx::TensorProto::FLOAT);
  for (const int dim : {2, 2, 1, 1}) t.add_dims(dim);
  t.set_data_location(onnx::TensorProto::EXTERNAL);
  for (const auto& [key, value] : {std::pair<std::string, std::string>{"location", location},
                                   {"offset", offset},
                                   {"length", length}}) {
    auto* entry = t.add_external_data();
    entry->set_key(key);
    entry->set_value(value);
  }
  m.node("Conv", {"x", "w"}, {"y"}).output("y");
  return m;
}

TEST_CASE("onnx: external data is read beside the model, and never from elsewhere") {
  const Scratch scratch;
  const float weights[] = {9, 1, 2, 3, 4};
  const std::string data(reinterpret_cast<const char*>(weights), sizeof(weights));
  (void)scratch.write("model/data/w.bin", data);
  (void)scratch.write("secret.bin", data);
  std::filesystem::create_symlink("../secret.bin", scratch.path("model/link.bin"));
  const std::string model =
      scratch.write("model/m.onnx", external_model("data/w.bin", "4").bytes());
  const auto loaded = import_::load(model);
  REQUIRE(loaded.ok());
  const auto& graph = std::get<ir::FloatGraph>(loaded.value());
  CHECK(std::get<ir::FloatConv>(graph.nodes[0].op).weights == std::vector<float>{1, 2, 3, 4});

  const std::string folder = std::filesystem::path(model).parent_path().string();
  CHECK_THAT(import_error(external_model("../secret.bin"), folder), Contains("outside"));
  CHECK_THAT(import_error(external_model("data/../../secret.bin"), folder), Contains("outside"));
  CHECK_THAT(import_error(external_model("link.bin"), folder), Contains("outside"));
  CHECK_THAT(import_error(external_model("/etc/passwd"), folder), Contains("outside"));
  CHECK_THAT(import_error(external_model("data/none.bin"), folder), Contains("not a file"));
  CHECK_THAT(import_error(external_model("data"), folder), Contains("not a file"));
  CHECK_THAT(import_error(external_model("data/w.bin", "8"), folder), Contains("20 bytes"));
  CHECK_THAT(import_error(external_model("data/w.bin", "-1"), folder), Contains("no number"));
  CHECK_THAT(import_error(external_model("data/w.bin", "18446744073709551615"), folder),
             Contains("20 bytes"));
}

/// A model whose weights are long enough to stay in its file until they are used.
OnnxBuilder long_model(const std::vector<float>& weights) {
  OnnxBuilder m;
  m.input("x", {1, 128, 2, 2}).floats("w", {160, 128, 1, 1}, weights);
  m.floats("b", {160}, random_floats(160, 8));
  m.node("Conv", {"x", "w", "b"}, {"y"}).output("y");
  return m;
}

TEST_CASE("onnx: long weights are read from where they lie") {
  const std::vector<float> weights = random_floats(160 * 128, 7);
  OnnxBuilder m = long_model(weights);
  const auto read = [](const ir::FloatGraph& graph) {
    return std::get<ir::FloatConv>(graph.nodes[0].op).weights;
  };
  CHECK(read(import_ok(m)) == weights);
  const Scratch scratch;
  const auto loaded = import_::load(scratch.write("m.onnx", m.bytes()));
  REQUIRE(loaded.ok());
  CHECK(read(std::get<ir::FloatGraph>(loaded.value())) == weights);

  // As other types, too, and of two the last counts, as in protocol buffers.
  OnnxBuilder doubles = m;
  onnx::TensorProto& tensor = *doubles.graph().mutable_initializer(0);
  const std::vector<double> wide(weights.begin(), weights.end());
  tensor.set_data_type(onnx::TensorProto::DOUBLE);
  tensor.set_raw_data(wide.data(), wide.size() * sizeof(double));
  CHECK(read(import_ok(doubles)) == weights);
  const std::vector<float> others = random_floats(160 * 128, 9);
  for (const auto& [first, last] :
       {std::pair{weights, others}, {std::vector<float>{1}, weights}, {weights, {1}}}) {
    onnx::TensorProto twice = float_tensor("w", {160, 128, 1, 1}, first), again;
    again.set_raw_data(last.data(), last.size() * sizeof(float));
    const std::string bytes = twice.SerializeAsString() + again.SerializeAsString();
    OnnxBuilder rest = m;
    rest.graph().mutable_initializer()->DeleteSubrange(0, 1);
    // A field of its own: the graph's fields merge.
    const auto field = [](int number, const std::string& content) {
      std::string text;
      {
        google::protobuf::io::StringOutputStream stream(&text);
        google::protobuf::io::CodedOutputStream out(&stream);
        out.WriteVarint32(static_cast<std::uint32_t>(number << 3 | 2));
        out.WriteVarint32(static_cast<std::uint32_t>(content.size()));
        out.WriteString(content);
      }
      return text;
    };
    const auto graph = import_::parse_onnx(rest.bytes() + field(7, field(5, bytes)), ".", "test");
    if (last.size() == 1) {
      REQUIRE_FALSE(graph.ok());
      CHECK_THAT(graph.error().text(), Contains("tensor 'w': has 4 bytes"));
    } else {
      REQUIRE(graph.ok());
      CHECK(read(*graph) == last);
    }
  }

  m.graph().mutable_initializer(0)->set_dims(0, 161);
  CHECK_THAT(import_error(m), Contains("tensor 'w': has 81920 bytes") && Contains("want 82432"));
}

TEST_CASE("onnx: a model with long weights that is cut off is refused") {
  const std::string whole = long_model(random_floats(160 * 128, 7)).bytes();
  const Scratch scratch;
  std::size_t refused = 0;
  std::vector<std::size_t> sizes;
  for (std::size_t size = 0; size < whole.size(); size += 997) sizes.push_back(size);
  for (std::size_t left = 1; left < 1000; left += 13) sizes.push_back(whole.size() - left);
  for (const std::size_t size : sizes) {
    const auto model = import_::load(scratch.write("cut.onnx", whole.substr(0, size)));
    REQUIRE_FALSE(model.ok());
    CHECK_THAT(model.error().text(), Contains("cut.onnx"));
    ++refused;
  }
  CHECK(refused > 100);
}

TEST_CASE("load: names the file in every complaint") {
  const Scratch scratch;
  CHECK_THAT(import_::load(scratch.path("none.onnx")).error().text(),
             Contains("none.onnx: cannot be opened: No such file"));
  const std::string text = scratch.write("text.onnx", "this is no model");
  CHECK_THAT(import_::load(text).error().text(), Contains("text.onnx: is not an ONNX model"));
  const std::string lite = scratch.write("text.tflite", "this is no model");
  CHECK_THAT(import_::load(lite).error().text(), Contains("is not a TensorFlow Lite model"));
  OnnxBuilder m = image_model();
  m.node("Tanh", {"x"}, {"y"}).output("y");
  const std::string tanh = scratch.write("tanh.onnx", m.bytes());
  CHECK_THAT(import_::load(tanh).error().text(), Contains("tanh.onnx: node 'node_y' (Tanh)"));
}

/// A model with most operators, small enough to damage in every place.
std::string rich_model() {
  OnnxBuilder m;
  m.input("x", {1, 4, 6, 6}).floats("w", {4, 2, 3, 3}, random_floats(72, 1));
  m.floats("g", {4}, random_floats(4, 2)).floats("v", {4}, {1, 1, 2, 2});
  m.floats("k", {4, 3}, random_floats(12, 3)).ints("p", {0, 0, 1, 1, 0, 0, 1, 1});
  m.ints("s", {0})
      .ints("e", {2})
      .ints("a", {2})
      .ints("t", {2})
      .ints("minus", {-1})
      .ints("z", {0}, true);
  m.node("Pad", {"x", "p"}, {"b"}).node("Conv", {"b", "w"}, {"c"}, {{"group", 2}});
  m.node("BatchNormalization", {"c", "g", "g", "g", "v"}, {"n"}).node("Relu", {"n"}, {"r"});
  m.node("MaxPool", {"r"}, {"q"}, {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}});
  m.node("Slice", {"q", "s", "e", "a", "t"}, {"l"})
      .node("Concat", {"l", "l"}, {"d"}, {{"axis", 1}});
  m.node("Split", {"d"}, {"d1", "d2"}, {{"axis", 1}}).node("Add", {"d1", "d2"}, {"u"});
  m.node("ReduceMean", {"u"}, {"o"}, {{"axes", Ints{2, 3}}});
  m.node("Shape", {"o"}, {"h"})
      .node("Gather", {"h", "z"}, {"i"})
      .node("Unsqueeze", {"i", "s"}, {"j"});
  m.node("Concat", {"j", "minus"}, {"f"}, {{"axis", 0}}).node("Reshape", {"o", "f"}, {"m"});
  m.node("Gemm", {"m", "k"}, {"y"}).node("Softmax", {"y"}, {"out"}).output("out");
  return m.bytes();
}

TEST_CASE("onnx: a model cut off anywhere is refused or read, never more") {
  const std::string whole = rich_model();
  REQUIRE(import_::parse_onnx(whole, ".", "test").ok());
  std::size_t refused = 0;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto graph = import_::parse_onnx(whole.substr(0, size), ".", "test");
    if (graph.ok()) CHECK(ir::verify(graph.value()).ok());
    refused += graph.ok() ? 0 : 1;
  }
  CHECK(2 * refused > whole.size());
}

TEST_CASE("onnx: a model with flipped bits is refused or read, never more") {
  const std::string whole = rich_model();
  std::mt19937_64 random(seed());
  INFO("seed " << seed());
  int read = 0;
  constexpr int kRounds = 6000;
  for (int round = 0; round < kRounds; ++round) {
    std::string damaged = whole;
    const int flips = 1 + static_cast<int>(random() % 3);
    for (int i = 0; i < flips; ++i) {
      damaged[random() % damaged.size()] ^= static_cast<char>(1U << (random() % 8));
    }
    const auto graph = import_::parse_onnx(damaged, ".", "test");
    if (graph.ok()) CHECK(ir::verify(graph.value()).ok());
    read += graph.ok() ? 1 : 0;
  }
  CHECK(read > kRounds / 20);
  CHECK(read < kRounds * 19 / 20);
}

}  // namespace
}  // namespace espalier::tests
