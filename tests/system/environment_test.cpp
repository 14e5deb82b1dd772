// Programs that take environments as they run.

#include <filesystem>
#include <nlohmann/json.hpp>

#include "catch.hpp"
#include "environment/environment.hpp"
#include "has_rtl.hpp"
#include "mask_place.hpp"
#include "program/program.hpp"
#include "random_environment.hpp"

using namespace espalier;
using environment::Kind;
using nlohmann::json;
using tests::contains;

namespace {

/// The tiny model for `tiny`, which selects weights, and environments for it.
struct EnvironmentPlace : tests::Place {
  std::string shared = scratch.path("shared.espl");
  std::string first = scratch.path("first.env"), second = scratch.path("second.env");
  std::string any = scratch.path("any.espl");

  EnvironmentPlace() {
    good({"compile", program, "--config", "tiny", "-o", shared});
    write(first, Kind::kTwoOfFour, 1);
    write(second, Kind::kTwoOfFour, 2);
    good(
        {"compile", shared, "--environment", first, "--switchable", "--config", "tiny", "-o", any});
  }
  void write(const std::string& path, Kind kind, std::uint64_t seed) const {
    const auto loaded = program::load(shared);
    REQUIRE(loaded.ok());
    REQUIRE(environment::save(tests::random_environment(loaded->graph, kind, seed), path).ok());
  }
};

}  // namespace

TEST_CASE("environment: one program runs with one and with another, with golden's scores") {
  const EnvironmentPlace place;
  const std::string clean = place.scores(place.shared, {"--device", "golden"});
  std::string before = clean;
  for (const std::string& environment : {place.first, place.second}) {
    const std::string wanted =
        place.scores(place.shared, {"--device", "golden", "--environment", environment});
    CHECK(wanted != before);
    before = wanted;
    CHECK(place.scores(place.any, {"--device", "golden", "--environment", environment}) == wanted);
    CHECK(place.scores(place.any, {"--device", "iss", "--environment", environment, "--check"}) ==
          wanted);
    if (!tests::has_rtl(place.scratch, "tiny")) continue;
    for (const std::string how : {"--check", "--lockstep"})
      CHECK(place.scores(place.any, {"--device", "rtl", "--environment", environment, how}) ==
            wanted);
  }
  // Without one it computes the model as it is.
  for (const std::string device : {"golden", "iss"})
    CHECK(place.scores(place.any, {"--device", device}) == clean);
  CHECK(place.scores(place.any, {"--device", "iss", "--check"}) == clean);
  if (tests::has_rtl(place.scratch, "tiny"))
    CHECK(place.scores(place.any, {"--device", "rtl", "--lockstep"}) == clean);
  const json run =
      json::parse(place.good({"run", place.any, "--images", place.images, "--device", "iss",
                              "--environment", place.first, "--check", "--json"}));
  CHECK(run["mismatches"] == 0);
  CHECK(run["environment"]["file"] == place.first);
  CHECK(run["environment"]["live"] < run["environment"]["weights"]);
}

TEST_CASE("environment: what a program cannot take is told by name") {
  const EnvironmentPlace place;
  const auto run = [&](const std::string& program, const std::vector<std::string>& more) {
    std::vector<std::string> arguments{"run", program, "--images", place.images, "--device", "iss"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return place.complaint(arguments);
  };
  CHECK(contains(run(place.shared, {"--environment", place.first}), "--switchable"));
  const std::string weights = place.scratch.path("weights.env");
  place.write(weights, Kind::kWeights, 3);
  CHECK(contains(run(place.any, {"--environment", weights}), "weights.env: layer '"));
  const std::string to = place.scratch.path("no.espl");
  const auto compile = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments{"compile", place.shared, "-o", to, "--switchable"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return place.complaint(arguments);
  };
  CHECK(contains(compile({"--config", "tiny"}), "--switchable: needs --environment"));
  CHECK(contains(compile({"--environment", place.first, "--config", "nano"}),
                 "--switchable: configuration nano"));
  CHECK(contains(compile({"--environment", place.first, "--config", "tiny", "--maskable"}),
                 "--switchable: cannot go with --maskable"));
  CHECK_FALSE(std::filesystem::exists(to));
}
