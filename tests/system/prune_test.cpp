// `espalier prune`: the model that it writes gives golden's scores with the mask.

#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "catch.hpp"
#include "mask_place.hpp"

using namespace espalier;
using nlohmann::json;
using tests::contains;
using tests::Place;

namespace {

const std::vector<std::string> kCalibrated{"--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25"};

std::vector<std::string> joined(std::vector<std::string> a, const std::vector<std::string>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// The place's model quantised, as a file of its own, with a program and a mask for it.
struct Written : Place {
  std::string quantised = scratch.path("q.onnx"), small = scratch.path("small.onnx");
  std::string again = scratch.path("again.espl");

  Written() {
    good(joined({"quantise", model, "-o", quantised, "--calibrate", images}, kCalibrated));
    good(joined({"compile", quantised, "-o", program, "--config", "nano"}, kCalibrated));
    good({"mask", "random", program, "--keep", "0.4", "--scope", "all", "--no-align", "-o", mask});
  }
  /// Golden's scores of the model that was written.
  [[nodiscard]] std::string written() const {
    good(joined({"compile", small, "-o", again, "--config", "nano"}, kCalibrated));
    return scores(again, {"--device", "golden"});
  }
};

std::vector<float> floats(const std::string& npy, std::size_t count) {
  std::vector<float> values(count);
  std::memcpy(values.data(), npy.data() + npy.size() - count * sizeof(float),
              count * sizeof(float));
  return values;
}

}  // namespace

TEST_CASE("prune: the written model has the scores of golden with the mask") {
  const Written place;
  const std::string dense = place.scores(place.program, {"--device", "golden"});
  const std::string masked =
      place.scores(place.program, {"--device", "golden", "--mask", place.mask});
  REQUIRE(masked != dense);
  for (const std::string form : {"qdq", "qoperator"}) {
    for (const std::string& model : {place.quantised, place.program}) {
      INFO(model << ", " << form);
      const json report = json::parse(place.good(
          {"prune", model, "--mask", place.mask, "-o", place.small, "--form", form, "--json"}));
      CHECK(report["macs"]["written"] < report["macs"]["model"]);
      CHECK(report["outputs"] == 5);
      CHECK(report["bytes"] == tests::slurp(place.small).size());
      CHECK(place.written() == masked);
      const json compiled = json::parse(place.good({"profile", place.again, "--json"}));
      CHECK(compiled["macs_per_image"] == report["macs"]["written"]);
    }
  }
  // A float model, quantised in the same way as the one that the mask was made for.
  place.good(joined(
      {"prune", place.model, "--mask", place.mask, "-o", place.small, "--calibrate", place.images},
      kCalibrated));
  CHECK(place.written() == masked);
}

TEST_CASE("prune: a program is written as it is, or without some of its outputs") {
  const Written place;
  const std::string pruned = place.scratch.path("pruned.espl");
  place.good({"compile", place.program, "--prune", place.mask, "-o", pruned, "--config", "nano"});
  const std::string text = place.good({"prune", pruned, "-o", place.small});
  CHECK(contains(text, "5 outputs"));
  CHECK(contains(text, "(100.0 %)"));
  CHECK(place.written() == place.scores(pruned, {"--device", "golden"}));

  const auto all = floats(place.scores(pruned, {"--device", "golden"}), 20);
  place.good({"prune", place.program, "--mask", place.mask, "--classes", "3,1", "-o", place.small});
  const auto two = floats(place.written(), 8);
  for (std::size_t i = 0; i < 4; ++i) {  // a softmax over classes 1 and 3
    const float sum = all[5 * i + 1] + all[5 * i + 3];
    CHECK(std::abs(two[2 * i] - all[5 * i + 1] / sum) < 1e-5F);
    CHECK(std::abs(two[2 * i + 1] - all[5 * i + 3] / sum) < 1e-5F);
  }
}

TEST_CASE("prune: bad input is refused by name, and nothing is written") {
  const Written place;
  const auto refused = [&](const std::vector<std::string>& arguments, const std::string& message) {
    std::remove(place.small.c_str());
    const std::string error = place.complaint(joined({"prune"}, arguments));
    INFO(error);
    CHECK(contains(error, message));
    CHECK_FALSE(std::filesystem::exists(place.small));
  };
  refused({place.quantised, "-o", place.small}, "q.onnx: nothing to leave out; name a --mask");
  refused({place.quantised, "--mask", place.scratch.path("none.mask"), "-o", place.small},
          "none.mask: cannot be opened");
  const std::string whole = place.scratch.path("whole.mask");
  place.good({"mask", "random", place.program, "--keep", "1", "-o", whole});
  refused({place.quantised, "--mask", whole, "-o", place.small},
          "whole.mask: leaves nothing out: every channel of the model stays");
  const std::string other = place.scratch.write("other.onnx", tests::tiny_model(2));
  refused(joined({other, "--mask", place.mask, "-o", place.small, "--calibrate", place.images},
                 kCalibrated),
          "user.mask: is for another model");
  refused({place.model, "--mask", place.mask, "-o", place.small}, "--calibrate");
  refused({place.program, "--mask", place.mask, "-o", place.small, "--calibrate", place.images},
          "is quantised already; leave it out");
  refused({place.program, "--classes", "1,5", "-o", place.small},
          "--classes: 5 is no class of the model; it has 5, from 0 on");
  refused({place.program, "--mask", place.mask, "-o", place.model + "/small.onnx"},
          "tiny.onnx/small.onnx: cannot be written");
  const std::string before = tests::slurp(place.program);
  refused({place.program, "--mask", place.mask, "-o", place.program},
          "tiny.espl is the file that MODEL reads; give it a name of its own");
  CHECK(tests::slurp(place.program) == before);
}
