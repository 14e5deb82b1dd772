// Masks as a user makes and uses them.

#include <nlohmann/json.hpp>

#include "catch.hpp"
#include "has_rtl.hpp"
#include "mask_place.hpp"
#include "program/program.hpp"
#include "skip.hpp"

using namespace espalier;
using nlohmann::json;
using tests::contains;
using tests::Place;

TEST_CASE("mask: a program with the mask and one without its channels give the same scores") {
  const Place place;
  const std::string pruned = place.scratch.path("pruned.espl");
  const std::string dense = place.scores(place.program, {"--device", "golden"});
  for (const char* kind : {"random", "magnitude"}) {
    for (const char* scope : {"internal", "all"}) {
      INFO(kind << ", " << scope);
      place.good(
          {"mask", kind, place.program, "--keep", "0.5", "--scope", scope, "-o", place.mask});
      const std::string masked =
          place.scores(place.program, {"--device", "golden", "--mask", place.mask});
      CHECK(masked != dense);
      place.good(
          {"compile", place.program, "--prune", place.mask, "-o", pruned, "--config", "nano"});
      CHECK(place.scores(pruned, {"--device", "iss", "--check"}) == masked);
      // From the model, quantised in the same way, comes the same.
      place.good({"compile", place.model, "--prune", place.mask, "-o", pruned, "--config", "nano",
                  "--calibrate", place.images, "--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25"});
      CHECK(place.scores(pruned, {"--device", "golden"}) == masked);
    }
  }
}

TEST_CASE("mask: a program that takes masks packs its weights for each, and runs with any") {
  const Place place;
  const std::string any = place.scratch.path("any.espl");
  place.compile(place.model, any, true);
  CHECK(place.scores(any, {"--device", "iss", "--check"}) ==
        place.scores(place.program, {"--device", "golden"}));
  std::vector<std::string> masks;
  for (const char* seed : {"1", "2"}) {
    masks.push_back(place.scratch.path("user" + std::string(seed) + ".mask"));
    // Made for one program, a mask fits every other of the same model.
    place.good({"mask", "random", place.program, "--keep", "0.4", "--scope", "all", "--no-align",
                "--seed", seed, "-o", masks.back()});
    const std::string packed =
        place.scores(any, {"--device", "iss", "--mask", masks.back(), "--check"});
    CHECK(packed == place.scores(place.program, {"--device", "golden", "--mask", masks.back()}));
    CHECK(packed != place.scores(any, {"--device", "iss"}));
  }
  // Both are resident, and images take turns.
  const json run =
      json::parse(place.good({"run", any, "--images", place.images, "--device", "iss", "--mask",
                              masks[0], "--mask", masks[1], "--check", "--json"}));
  CHECK(run["mismatches"] == 0);
  CHECK(run["values_checked"] > 0);
  REQUIRE(run["packing"].size() == 2);
  CHECK(run["packing"][0]["mask"] == masks[0]);
  CHECK(run["packing"][0]["layers"] == 4);
  CHECK(run["packing"][0]["cycles"].is_null());
  CHECK(run["live_macs_per_image"] < run["macs_per_image"]);
  std::uint64_t macs = 0;
  for (const json& layer : run["layers"]) macs += layer["macs"].get<std::uint64_t>();
  const auto images = run["images"].get<std::uint64_t>();
  REQUIRE(images > 0);
  CHECK(macs == images * run["live_macs_per_image"].get<std::uint64_t>());
  // The program stays what it is.
  CHECK(run["macs_per_image"] ==
        json::parse(place.good({"inspect", any, "--json"}))["macs_per_image"]);
  CHECK_FALSE(run.contains("switch"));
  if (tests::has_rtl(place.scratch, "nano")) {
    const std::vector<std::string> turns{"run",      any,      "--images", place.images,
                                         "--device", "rtl",    "--mask",   masks[0],
                                         "--mask",   masks[1], "--check"};
    std::vector<std::string> in_json = turns;
    in_json.emplace_back("--json");
    const json measured = json::parse(place.good(in_json));
    CHECK(measured["mismatches"] == 0);
    CHECK(measured["switch"]["cycles"].get<int>() ==
          measured["switch"]["after"].get<int>() - measured["switch"]["same"].get<int>());
    CHECK(measured["switch"]["layer_table"] > 0);
    CHECK(contains(place.good(turns), "behind another mask"));
  }
  const auto image = [&](const std::string& scores, int i) {
    const std::size_t bytes = 5 * sizeof(float);
    return scores.substr(scores.size() - bytes * static_cast<std::size_t>(4 - i), bytes);
  };
  const std::string first = place.scores(any, {"--device", "iss", "--mask", masks[0]});
  const std::string second = place.scores(any, {"--device", "iss", "--mask", masks[1]});
  const std::string turns =
      place.scores(any, {"--device", "iss", "--mask", masks[0], "--mask", masks[1]});
  for (int i = 0; i < 4; ++i) CHECK(image(turns, i) == image(i % 2 == 0 ? first : second, i));
  CHECK(first != second);

  const json dense = json::parse(place.good({"profile", any, "--json"}));
  const json masked = json::parse(place.good({"profile", any, "--mask", masks[0], "--json"}));
  CHECK(masked["estimate"] < dense["estimate"]);
  CHECK(masked["bound"] < dense["bound"]);
  CHECK(masked["bound"] < masked["estimate"]);
  CHECK(masked["fingerprint"] == dense["fingerprint"]);
  CHECK(masked["macs_per_image"] == dense["macs_per_image"]);
  const json shown = json::parse(place.good({"mask", "show", masks[0], any, "--json"}));
  CHECK(shown["estimated_cycles"]["masked"] == masked["estimate"]);
  CHECK(contains(place.good({"mask", "show", masks[0], any}), "packed instead of pruned"));
}

TEST_CASE("mask: lockstep follows masked images, each with its own") {
  const Place place;
  if (!tests::has_rtl(place.scratch, "nano")) return tests::skip("this build has no rtl device");
  const std::string any = place.scratch.path("any.espl"), other = place.scratch.path("other.mask");
  place.compile(place.model, any, true);
  place.good({"mask", "random", any, "--keep", "0.4", "--scope", "all", "-o", place.mask});
  place.good({"mask", "random", any, "--keep", "0.7", "--no-align", "--seed", "2", "-o", other});
  const json run = json::parse(
      place.good({"run", any, "--images", place.images, "--count", "3", "--device", "rtl", "--mask",
                  place.mask, "--mask", other, "--lockstep", "--check", "--json"}));
  CHECK(run["lockstep"]["difference"].is_null());
  CHECK(run["lockstep"]["bytes"] > 0);
  CHECK(run["images"] == 3);
  CHECK(run["values_checked"] > 0);
  const std::vector<std::string> both{"--device", "iss", "--mask", place.mask, "--mask", other};
  std::vector<std::string> lockstep = both;
  lockstep[1] = "rtl";
  lockstep.emplace_back("--lockstep");
  CHECK(place.scores(any, lockstep) == place.scores(any, both));
}

TEST_CASE("mask: show tells live channels, and MACs and cycles of the pruned program") {
  const Place place;
  place.good(
      {"mask", "random", place.program, "--keep", "0.5", "--scope", "all", "-o", place.mask});
  const json file = json::parse(place.good({"mask", "show", place.mask, "--json"}));
  REQUIRE(file["tensors"].size() == 2);  // the residual group, conv3
  CHECK(file["tensors"][0]["live"] == 4);
  CHECK(file["tensors"][0]["channels"] == 8);
  CHECK(file["tensors"][1]["live"] == 12);  // 10, in blocks of 4
  const json shown = json::parse(place.good({"mask", "show", place.mask, place.program, "--json"}));
  const std::int64_t dense = 3 * 8 * 9 * 256 + 8 * 8 * 9 * 256 + 8 * 20 * 9 * 16 + 20 * 5;
  const std::int64_t live = 3 * 4 * 9 * 256 + 4 * 4 * 9 * 256 + 4 * 12 * 9 * 16 + 12 * 5;
  CHECK(shown["macs"]["dense"] == dense);
  CHECK(shown["macs"]["live"] == live);
  CHECK(shown["estimated_cycles"]["pruned"] < shown["estimated_cycles"]["dense"]);
  CHECK(shown["mask_bytes"] == 1 + 3);
  const std::string pruned = place.scratch.path("pruned.espl");
  place.good({"compile", place.program, "--prune", place.mask, "-o", pruned, "--config", "nano"});
  const json report = json::parse(place.good({"profile", pruned, "--json"}));
  CHECK(report["estimate"] == shown["estimated_cycles"]["pruned"]);
  CHECK(contains(place.good({"mask", "show", place.mask, place.program}), "speed-up"));
  CHECK(contains(place.good({"mask", "show", place.mask}), "fingerprint"));
  const json run = json::parse(place.good({"run", place.program, "--images", place.images,
                                           "--device", "golden", "--mask", place.mask, "--json"}));
  CHECK(run["macs_per_image"] == dense);
  CHECK(run["live_macs_per_image"] == live);
}

TEST_CASE("mask: the same seed gives the same file, and unaligned masks count single channels") {
  const Place place;
  const auto make = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments{"mask", "random", place.program, "-o", place.mask};
    arguments.insert(arguments.end(), more.begin(), more.end());
    place.good(arguments);
    return tests::slurp(place.mask);
  };
  CHECK(make({"--seed", "4"}) == make({"--seed", "4"}));
  CHECK(make({"--seed", "4"}) != make({"--seed", "5"}));
  const json single = json::parse(make({"--no-align", "--keep", "0.33"}));
  CHECK(single["tensors"][1]["live"] == 7);
  const json fives = json::parse(make({"--align", "5", "--keep", "0.33"}));
  CHECK(fives["tensors"][1]["live"] == 10);
}

TEST_CASE("mask: channels that a model has zeroed become a mask, or go at once") {
  const Place place;
  onnx::ModelProto model;
  REQUIRE(model.ParseFromString(tests::tiny_model()));
  for (auto& tensor : *model.mutable_graph()->mutable_initializer()) {
    if (tensor.name() == "conv3.w") std::fill_n(tensor.mutable_float_data()->begin(), 2 * 72, 0.0F);
    if (tensor.name() == "conv3.b") std::fill_n(tensor.mutable_float_data()->begin(), 2, 0.0F);
  }
  const std::string zeroed = place.scratch.write("zeroed.onnx", model.SerializeAsString());
  const std::string program = place.scratch.path("zeroed.espl");
  place.compile(zeroed, program);
  place.good({"mask", "zeroed", program, "-o", place.mask});
  const json file = json::parse(tests::slurp(place.mask));
  CHECK(file["tensors"][1]["live"] == 18);
  CHECK(file["tensors"][1]["mask"] == "cffff");
  const std::string pruned = place.scratch.path("pruned.espl");
  place.good({"compile", zeroed, "--prune-zeroed", "-o", pruned, "--config", "nano", "--calibrate",
              place.images, "--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25"});
  CHECK(place.scores(pruned, {"--device", "iss"}) == place.scores(program, {"--device", "golden"}));
}

TEST_CASE("mask: mistakes are told by name") {
  const Place place;
  place.good({"mask", "random", place.program, "-o", place.mask});
  CHECK(contains(place.complaint({"run", place.program, "--images", place.images, "--device", "iss",
                                  "--mask", place.mask}),
                 "user.mask: program 'tiny': takes no masks; compile with --maskable"));
  const std::string any = place.scratch.path("any.espl");
  place.compile(place.model, any, true);
  const std::string other = place.scratch.path("other.espl");
  place.compile(place.scratch.write("other.onnx", tests::tiny_model(2)), other);
  CHECK(contains(place.complaint({"run", other, "--images", place.images, "--device", "golden",
                                  "--mask", place.mask}),
                 "user.mask: is for another model"));
  CHECK(contains(place.complaint({"compile", other, "--prune", place.mask, "-o", "x"}),
                 "user.mask: is for another model"));
  CHECK(contains(place.complaint({"mask", "show", place.program}), "is no JSON"));
  CHECK(contains(place.complaint({"mask", "show", "nowhere.mask"}),
                 "nowhere.mask: cannot be opened"));
  CHECK(contains(place.complaint({"mask", "random", place.program, "--keep", "0", "-o", "x"}),
                 "--keep"));
  CHECK(contains(
      place.complaint({"mask", "random", place.program, "--align", "4", "--no-align", "-o", "x"}),
      "excludes"));
  json empty = json::parse(tests::slurp(place.mask));
  for (json& entry : empty["tensors"]) {
    entry["live"] = 0;
    entry["mask"] = std::string(entry["mask"].get<std::string>().size(), '0');
  }
  const std::string file = place.scratch.write("empty.mask", empty.dump());
  const std::string text = place.complaint({"compile", place.program, "--prune", file, "-o", "x"});
  CHECK(contains(text, "empty.mask: conv '"));
  CHECK(contains(text, "needs a live input channel"));
  CHECK(contains(
      place.complaint({"run", any, "--images", place.images, "--device", "iss", "--mask", file}),
      "needs a live input channel"));
}
