// Programs that take environments as they run.

#include <filesystem>
#include <nlohmann/json.hpp>

#include "catch.hpp"
#include "environment/environment.hpp"
#include "environment/recognise.hpp"
#include "flows/images.hpp"
#include "golden/golden.hpp"
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

TEST_CASE("environment: the one for an image's kind is picked, on every device") {
  const EnvironmentPlace place;
  // Sixteen images as they are and sixteen dark ones, in turns of sixteen.
  const std::string bright = place.scratch.write("bright.npy", tests::tiny_images(16, 3));
  const std::string dark = place.scratch.path("dark.npy");
  place.good({"images", "degrade", bright, "-o", dark, "--dark", "0.2"});
  const auto loaded = program::load(place.shared);
  REQUIRE(loaded.ok());
  const std::string kinds = place.scratch.path("kinds");
  std::filesystem::create_directory(kinds);
  const auto probe = environment::probe(loaded->graph);
  REQUIRE(probe.ok());
  const auto write = [&](const std::string& name, const std::string& images, std::uint64_t seed,
                         bool looks) {
    auto environment = tests::random_environment(loaded->graph, Kind::kTwoOfFour, seed);
    environment::LooksMeter meter;
    const auto dataset = flows::open_images(images, probe->tensors[0].shape, {});
    REQUIRE(dataset.ok());
    for (std::size_t i = 0; i < dataset->size(); ++i) {
      const auto image = flows::load_input(*dataset, loaded->graph, i);
      REQUIRE(image.ok());
      meter.add(environment::features(probe->tensors[1], golden::run(*probe, *image)[1]));
    }
    if (looks) environment.pictures.looks = meter.looks();
    REQUIRE(environment::save(environment, kinds + "/" + name + ".env").ok());
  };
  write("bright", bright, 1, true);
  write("dark", dark, 2, true);
  std::vector<std::string> devices{"golden", "iss"};
  if (tests::has_rtl(place.scratch, "tiny")) devices.emplace_back("rtl");
  for (const auto& [images, name] : {std::pair(bright, "bright"), std::pair(dark, "dark")}) {
    const std::string one = place.scratch.path("one.npy"), all = place.scratch.path("all.npy");
    place.good({"run", place.any, "--images", images, "--device", "golden", "--environment",
                kinds + "/" + name + ".env", "--output", one});
    for (const std::string& device : devices) {
      INFO(name << " on " << device);
      for (const std::string& program : {place.any, place.shared}) {
        std::vector<std::string> arguments{"run",      program,  "--images",       images,
                                           "--device", device,   "--environments", kinds,
                                           "--auto",   "--json", "--output",       all};
        if (device != "golden") arguments.emplace_back("--check");
        const json run = json::parse(place.good(arguments));
        CHECK(run["mismatches"] == 0);
        CHECK(run["picking"]["served"][name] == 16);
        CHECK(run["picking"]["switches"] == 0);
        CHECK(run["picking"]["images"].size() == 16);
        CHECK(run["picking"]["images"][15]["sure"] > 0.5);
        CHECK(run["picking"]["probe_cycles"].is_null() == (device != "rtl"));
        CHECK(tests::slurp(all) == tests::slurp(one));
      }
    }
  }
  CHECK(contains(place.good({"run", place.any, "--images", dark, "--device", "iss",
                             "--environments", kinds, "--auto"}),
                 "dark 16; 0 switches"));
  const auto run = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments{"run", place.any, "--images", dark, "--device", "iss"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return place.complaint(arguments);
  };
  CHECK(contains(run({"--auto"}), "--auto: picks from a folder"));
  CHECK(contains(run({"--environments", kinds}), "--environments: goes with --auto"));
  CHECK(contains(run({"--environments", kinds, "--auto", "--lockstep"}), "--auto: cannot go with"));
  const std::string empty = place.scratch.path("empty");
  std::filesystem::create_directory(empty);
  CHECK(contains(run({"--environments", empty, "--auto"}), "has no environment"));
  write("blind", dark, 3, false);
  CHECK(contains(run({"--environments", kinds, "--auto"}),
                 "blind.env: does not say what its pictures look like"));
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
