// `espalier score`, as a user gets it: the demo's network and its drawn images.

#include <algorithm>
#include <nlohmann/json.hpp>

#include "catch.hpp"
#include "examples/shapes/files.hpp"
#include "has_rtl.hpp"
#include "process.hpp"
#include "tiny_model.hpp"

using namespace espalier;
using nlohmann::json;
using tests::Ran;

namespace {

struct Place {
  tests::Scratch scratch;
  std::string images = scratch.path("images.bin");
  std::string program = scratch.path("shapes.espl");
  std::string table = scratch.path("scores.csv");

  Place() {
    REQUIRE(shapes::write_records(images, 3, 64).ok());
    good({"compile", ESPALIER_SOURCE_DIR "/examples/shapes/shapes.onnx", "-o", program, "--config",
          "tiny", "--calibrate", images, "--count", "64", "--mean", "0.5,0.5,0.5", "--std",
          "0.25,0.25,0.25"});
  }
  std::string good(const std::vector<std::string>& arguments) const {
    const Ran ran = run_espalier(scratch, arguments);
    INFO(ran.err);
    REQUIRE(ran.code == 0);
    return ran.out;
  }
  [[nodiscard]] std::vector<std::string> arguments(const std::vector<std::string>& more) const {
    std::vector<std::string> list{"score", program, "--images", images};
    list.insert(list.end(), more.begin(), more.end());
    return list;
  }
  [[nodiscard]] json score(std::vector<std::string> more) const {
    more.emplace_back("--json");
    return json::parse(good(arguments(more)));
  }
  void refused(const std::vector<std::string>& more, const std::string& message) const {
    const Ran ran = run_espalier(scratch, arguments(more));
    INFO(ran.err);
    CHECK(ran.code == 2);
    CHECK(ran.err.find(message) != std::string::npos);
  }
};

}  // namespace

TEST_CASE("score: every device finds the same scores, and all that it stores is golden's") {
  const Place place;
  std::vector<std::string> tables;
  for (const std::string device : {"golden", "iss", "rtl"}) {
    if (device == "rtl" && !tests::has_rtl(place.scratch, "tiny")) continue;
    INFO(device);
    // Three rounds of scales: two changes on the way.
    const json report = place.score(
        {"--labels", "given", "--count", "36", "--device", device, "--check", "-o", place.table});
    CHECK(report["images"] == 36);
    CHECK(report["tensors"] == 3);
    CHECK(report["channels"] == 384);
    CHECK(report["measured"] == (device == "rtl"));
    if (device != "golden") {
      CHECK(report["checked"]["differ"] == 0);
      CHECK(report["checked"]["values"].get<std::uint64_t>() > 36U * 100'000U);
    }
    CHECK(report["backward_cycles"].get<double>() > 0.8 * report["forward_cycles"].get<double>());
    tables.push_back(tests::slurp(place.table));
  }
  for (const std::string& table : tables) CHECK(table == tables[0]);
  CHECK(tables[0].starts_with("tensor,channel,score\n"));
  CHECK(std::ranges::count(tables[0], '\n') == 385);
}

TEST_CASE("score: --from leaves out what is made before, and the pass is shorter") {
  const Place place;
  const std::string backward = place.scratch.path("backward.espl");
  const json all = place.score({"--count", "1"});
  const json last = place.score({"--count", "1", "--from", "block3", "--backward", backward});
  CHECK(last["tensors"] == 1);
  CHECK(last["backward_cycles"].get<double>() < 0.5 * all["backward_cycles"].get<double>());
  CHECK(place.good({"inspect", backward}).find("conv+score") != std::string::npos);
}

TEST_CASE("score: what cannot be is refused by name") {
  const Place place;
  place.refused({"--from", "nowhere"}, "has `nowhere` in its name");
  place.refused({"--count", "65"},
                "has 64 images of these classes from number 0 on; --count is 65");
  place.refused({"--classes", "3,12"}, "12 is no class of the model");
  const Ran ran = run_espalier(place.scratch, {"score", "none.espl", "--images", place.images});
  CHECK(ran.code == 2);
  CHECK(ran.err.find("none.espl") != std::string::npos);
}
