// The table of operators against the importers and the page in docs/.

#include "cli/operators.hpp"

#include <onnx/defs/schema.h>

#include <regex>
#include <set>

#include "catch.hpp"
#include "import/model.hpp"
#include "tiny_model.hpp"

using namespace espalier;

namespace {

std::set<std::string> listed(std::string_view format) {
  std::set<std::string> names;
  for (const cli::Operator& op : cli::operators()) {
    if (op.format == format) names.emplace(op.name);
  }
  return names;
}

}  // namespace

TEST_CASE("operators: the page in docs is the table's") {
  const std::string page =
      tests::slurp(std::string(ESPALIER_SOURCE_DIR) + "/docs/reference/operators.md");
  INFO("espalier ops --markdown > docs/reference/operators.md");
  CHECK(page == cli::operators_page());
}

TEST_CASE("operators: the importer takes those of ONNX that are listed, and no other") {
  const tests::Scratch scratch;
  std::set<std::string> names, known;
  for (const auto& schema : onnx::OpSchemaRegistry::get_all_schemas()) {
    if (schema.domain().empty()) names.insert(schema.Name());
  }
  REQUIRE(names.size() > 100);
  for (const std::string& name : names) {
    tests::OnnxWriter writer(1, {1, 3, 8, 8});
    writer.node(name, "only", {"image"});
    const auto model = import_::load(scratch.write("one.onnx", writer.bytes()));
    if (model.ok() || model.error().message.find("operator is not supported") == std::string::npos)
      known.insert(name);
  }
  CHECK(known == listed("onnx"));
}

TEST_CASE("operators: every operator of TensorFlow Lite that the importer handles is listed") {
  std::set<std::string> handled;
  const std::regex pattern(
      "case BuiltinOperator_([A-Z0-9_]+)|case lite::BuiltinOperator_([A-Z0-9_]+)");
  const std::string folder = std::string(ESPALIER_SOURCE_DIR) + "/sw_stack/import/tflite";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string text = tests::slurp(entry.path().string());
    for (auto it = std::sregex_iterator(text.begin(), text.end(), pattern);
         it != std::sregex_iterator(); ++it) {
      handled.insert((*it)[1].matched ? (*it)[1] : (*it)[2]);
    }
  }
  CHECK(handled == listed("tflite"));
}
