// The view of the waves names signals that the waves have.

#include <gtkwave/fstapi.h>

#include <iterator>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "catch.hpp"
#include "process.hpp"
#include "skip.hpp"
#include "tiny_model.hpp"

using namespace espalier;
using nlohmann::json;

namespace {

/// Every signal of a wave, as `scope.scope.name[high:low]`.
std::set<std::string> signals_of(const std::string& wave) {
  std::set<std::string> names;
  void* reader = fstReaderOpen(wave.c_str());
  REQUIRE(reader != nullptr);
  std::vector<std::string> scopes{""};
  while (const fstHier* item = fstReaderIterateHier(reader)) {
    if (item->htyp == FST_HT_SCOPE) {
      scopes.push_back(scopes.back() + item->u.scope.name + ".");
    } else if (item->htyp == FST_HT_UPSCOPE) {
      scopes.pop_back();
    } else if (item->htyp == FST_HT_VAR) {
      std::string name = item->u.var.name;
      std::erase(name, ' ');
      names.insert(scopes.back() + name);
    }
  }
  fstReaderClose(reader);
  return names;
}

/// Signals that a save file of GTKWave names.
std::set<std::string> signals_in_view(const std::string& text) {
  const std::regex signal(R"(TOP\.[\w.]+(\[\d+:\d+\])?)");
  std::set<std::string> names;
  for (auto it = std::sregex_iterator(text.begin(), text.end(), signal);
       it != std::sregex_iterator(); ++it) {
    names.insert(it->str());
  }
  return names;
}

bool has_waves(const tests::Scratch& scratch, const std::string& config) {
  for (const json& item : json::parse(tests::run_espalier(scratch, {"configs", "--json"}).out)) {
    if (item["name"] == config) return item["waves"];
  }
  return false;
}

}  // namespace

TEST_CASE("waves: the wave of the edge machine holds every signal of the view") {
  const tests::Scratch scratch;
  if (!has_waves(scratch, "edge")) return tests::skip("this build has no traced machine of edge");
  const std::string model = scratch.write("tiny.onnx", tests::tiny_model());
  const std::string images = scratch.write("images.npy", tests::tiny_images(6));
  const std::string program = scratch.path("tiny.espl"), wave = scratch.path("w.fst");
  REQUIRE(
      tests::run_espalier(scratch, {"compile", model, "-o", program, "--calibrate", images}).code ==
      0);
  REQUIRE(tests::run_espalier(scratch, {"run", program, "--images", images, "--count", "1",
                                        "--device", "rtl", "--wave", wave, "--wave-cycles", "200"})
              .code == 0);
  const std::set<std::string> held = signals_of(wave);
  CHECK(held.size() > 1000);
  const std::string folder = std::string(ESPALIER_SOURCE_DIR) + "/tb/gtkwave/";
  const std::set<std::string> shown = signals_in_view(tests::slurp(folder + "demo.gtkw"));
  CHECK(shown.size() > 100);
  for (const std::string& name : shown) {
    INFO(name);
    CHECK(held.contains(name));
  }
  CHECK_FALSE(held.contains("TOP.esp_sim.u_top.u_core.no_such_signal"));
}

TEST_CASE("waves: the translate files that the view names are beside it") {
  const std::string folder = std::string(ESPALIER_SOURCE_DIR) + "/tb/gtkwave/";
  const std::string view = tests::slurp(folder + "demo.gtkw");
  const std::regex file(R"(\^\d+ /waves/(\w+\.txt))");
  std::set<std::string> names;
  for (auto it = std::sregex_iterator(view.begin(), view.end(), file); it != std::sregex_iterator();
       ++it) {
    names.insert((*it)[1]);
  }
  CHECK(names.contains("opcode.txt"));
  CHECK(names.contains("feeder_state.txt"));
  const std::regex line(R"([0-9A-Fa-f]+ \S.*)");
  for (const std::string& name : names) {
    INFO(name);
    const std::string text = tests::slurp(folder + name);
    CHECK_FALSE(text.empty());
    for (std::size_t from = 0; from < text.size();) {
      const std::size_t end = text.find('\n', from);
      REQUIRE(end != std::string::npos);
      CHECK(std::regex_match(text.substr(from, end - from), line));
      from = end + 1;
    }
  }
}
