// Overlays as a user makes and uses them.

#include <nlohmann/json.hpp>

#include "catch.hpp"
#include "has_rtl.hpp"
#include "mask_place.hpp"

using namespace espalier;
using nlohmann::json;
using tests::contains;
using tests::Place;

TEST_CASE("overlay: devices give golden's scores, with and without a mask") {
  const Place place;
  const std::string any = place.scratch.path("any.espl");
  place.compile(place.model, any, true);
  const bool rtl = tests::has_rtl(place.scratch, "nano");
  const std::string dense = place.scores(any, {"--device", "golden"});
  const std::string overlay = place.scratch.path("user.overlay");
  place.good({"mask", "random", place.program, "--keep", "0.5", "--scope", "all", "--no-align",
              "-o", place.mask});
  for (const std::string by : {"magnitude", "random"}) {
    INFO(by);
    // Made for one program, an overlay fits every other of the same model.
    place.good({"mask", "overlay", place.program, "--keep", "0.4", "--by", by, "-o", overlay});
    const std::string wanted =
        place.scores(place.program, {"--device", "golden", "--overlay", overlay});
    CHECK(wanted != dense);
    CHECK(place.scores(any, {"--device", "iss", "--overlay", overlay, "--check"}) == wanted);
    const std::vector<std::string> both{"--overlay", overlay, "--mask", place.mask};
    const auto with = [&](std::vector<std::string> device) {
      device.insert(device.end(), both.begin(), both.end());
      return place.scores(any, device);
    };
    const std::string masked = with({"--device", "golden"});
    CHECK(masked != wanted);
    CHECK(with({"--device", "iss", "--check"}) == masked);
    if (rtl) CHECK(with({"--device", "rtl", "--check"}) == masked);
  }
  const json run = json::parse(place.good({"run", any, "--images", place.images, "--device", "iss",
                                           "--overlay", overlay, "--check", "--json"}));
  CHECK(run["mismatches"] == 0);
  CHECK(run["overlay"]["weights"] == 8 * 27 + 8 * 72 + 20 * 72 + 5 * 20);
  CHECK(run["overlay"]["live"] == 86 + 230 + 576 + 40);
  std::vector<std::string> profile{"profile", any, "--overlay", overlay, "--json"};
  if (rtl) profile.insert(profile.end(), {"--device", "rtl", "--images", place.images, "--check"});
  const json report = json::parse(place.good(profile));
  CHECK(report["mismatches"] == 0);
  CHECK(report["overlay"] == run["overlay"]);
  CHECK(contains(place.good({"profile", any, "--overlay", overlay}), "weights stay (40.0 %)"));
}

TEST_CASE("overlay: show tells what stays, and with a program what is not zero already") {
  const Place place;
  const std::string overlay = place.scratch.path("user.overlay");
  place.good({"mask", "overlay", place.program, "--keep", "0.5", "--by", "random", "--layers",
              "conv[13]*", "--seed", "3", "-o", overlay});
  const json alone = json::parse(place.good({"mask", "show", overlay, "--json"}));
  REQUIRE(alone["layers"].size() == 2);
  CHECK(alone["layers"][1]["weights"] == 20 * 72);
  CHECK(alone["layers"][1]["live"] == 720);
  CHECK(alone["bytes"] == tests::slurp(overlay).size());
  const json shown = json::parse(place.good({"mask", "show", overlay, place.program, "--json"}));
  CHECK(shown["layers"][1]["nonzero"] <= 720);
  CHECK(shown["layers"][1]["nonzero"] > 600);
  CHECK(contains(place.good({"mask", "show", overlay, place.program}), "not zero"));
  CHECK(contains(place.good({"mask", "show", overlay}), "overlay for tiny, fingerprint"));
}

TEST_CASE("overlay: mistakes are told by name") {
  const Place place;
  const std::string overlay = place.scratch.path("user.overlay");
  place.good({"mask", "overlay", place.program, "-o", overlay});
  const auto run = [&](const std::string& program, const std::string& file) {
    return place.complaint(
        {"run", program, "--images", place.images, "--device", "iss", "--overlay", file});
  };
  CHECK(contains(run(place.program, overlay),
                 "user.overlay: program 'tiny': does not say where its weights lie; compile with "
                 "--maskable"));
  CHECK(contains(place.complaint({"profile", place.program, "--overlay", overlay}), "--maskable"));
  const std::string other = place.scratch.path("other.espl");
  place.compile(place.scratch.write("other.onnx", tests::tiny_model(2)), other, true);
  CHECK(contains(run(other, overlay), "user.overlay: is for another model: its fingerprint is"));
  CHECK(contains(place.complaint({"mask", "show", overlay, other}), "is for another model"));
  const std::string bytes = tests::slurp(overlay);
  const std::string any = place.scratch.path("any.espl");
  place.compile(place.model, any, true);
  CHECK(contains(run(any, place.scratch.write("half", bytes.substr(0, bytes.size() / 2))),
                 "half: truncated near byte"));
  CHECK(contains(run(any, place.scratch.write("long", bytes + "x")), "long: 1 bytes follow"));
  std::string newer = bytes;
  newer[8] = 9;
  CHECK(contains(run(any, place.scratch.write("newer", newer)),
                 "newer: format version 9; this build reads 1"));
  CHECK(contains(run(any, place.images), "images.npy: no overlay"));
  CHECK(contains(run(any, "nowhere.overlay"), "nowhere.overlay: cannot be opened"));
  CHECK(contains(place.complaint({"mask", "overlay", place.program, "--layers", "zz*", "-o", "x"}),
                 "--layers: `zz*` names no convolution"));
  CHECK(contains(place.complaint({"mask", "overlay", place.program, "--keep", "2", "-o", "x"}),
                 "--keep"));
}
