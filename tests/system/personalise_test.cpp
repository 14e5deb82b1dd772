// A user's own model, as a user gets it: the demo's network and its drawn images.

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <thread>

#include "catch.hpp"
#include "examples/shapes/files.hpp"
#include "process.hpp"
#include "program/program.hpp"
#include "tiny_model.hpp"

using namespace espalier;
using nlohmann::json;
using tests::Ran;

namespace {

constexpr std::size_t kRecord = 3073;  // a label, 32 x 32 pixels of three colours
const std::string kClasses = "1,4,7";

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// The demo's network for `tiny`, and drawn images of ten classes in turn.
struct Place {
  tests::Scratch scratch;
  std::string images = scratch.path("images.bin");
  std::string program = scratch.path("shapes.espl");
  std::string mask = scratch.path("user.mask");

  explicit Place(std::uint64_t count = 1600) {
    const std::string calibration = scratch.path("calibration.bin");
    REQUIRE(shapes::write_records(calibration, 2, 64).ok());
    REQUIRE(shapes::write_records(images, 3, count).ok());
    good({"compile", ESPALIER_SOURCE_DIR "/examples/shapes/shapes.onnx", "-o", program, "--config",
          "tiny", "--calibrate", calibration, "--count", "64", "--mean", "0.5,0.5,0.5", "--std",
          "0.25,0.25,0.25"});
  }
  std::string good(const std::vector<std::string>& arguments) const {
    const Ran ran = run_espalier(scratch, arguments);
    INFO(ran.err);
    REQUIRE(ran.code == 0);
    return ran.out;
  }
  [[nodiscard]] std::vector<std::string> arguments(const std::vector<std::string>& more) const {
    std::vector<std::string> list{"personalise", program};
    const auto unless = [&](const char* option, const std::string& value) {
      if (std::ranges::count(more, option) == 0) list.insert(list.end(), {option, value});
    };
    unless("--images", images);
    unless("--classes", kClasses);
    unless("-o", mask);
    unless("--labels", "given");
    unless("--held", "100");
    unless("--count", "160");
    list.insert(list.end(), more.begin(), more.end());
    return list;
  }
  [[nodiscard]] json personalise(std::vector<std::string> more) const {
    more.emplace_back("--json");
    return json::parse(good(arguments(more)));
  }
  void forget() const {
    for (const char* name : {"user.mask", "user.espl", "user.scores"})
      std::filesystem::remove(scratch.path(name));
  }
  /// The drawn images of these classes, once for each time a class is named in `next`, in order.
  [[nodiscard]] std::string records(const std::string& wanted) const {
    const std::string all = tests::slurp(images);
    std::string out;
    for (std::size_t at = 0; at < all.size(); at += kRecord) {
      if (contains(wanted, std::string(1, static_cast<char>('0' + all[at]))))
        out += all.substr(at, kRecord);
    }
    return out;
  }
};

}  // namespace

TEST_CASE("personalise: users of three shapes get half the cycles for a point of accuracy") {
  const Place place(6000);
  // Twenty others: the long run below.
  for (const char* classes : {"0,1,2", "0,2,9", "1,4,7"}) {
    INFO(classes);
    place.forget();
    const json report = place.personalise(
        {"--classes", classes, "--budget", "cycles=0.5", "--count", "300", "--held", "1000"});
    CHECK(report["cycles_share"] <= 0.5);
    CHECK(report["accuracy"]["generic"].get<double>() > 0.98);
    CHECK(report["accuracy"]["personal"].get<double>() >=
          report["accuracy"]["generic"].get<double>() - 0.01);
    // The images after the switch, which had no part in it, say the same.
    CHECK(report["served_accuracy"].get<double>() > 0.97);
    CHECK(report["served_images"].get<std::size_t>() +
              report["images_until_switch"].get<std::size_t>() ==
          6000);
  }
}

// `make test-long` runs it. It prints the table of docs/personalise.md.
TEST_CASE("personalise: what twenty random users lose at half the cycles", "[.long]") {
  constexpr std::size_t kAllUsers = 20;
  const Place place(6000);
  // Seed 1 is for choosing the network and the options; this one for what is told.
  std::mt19937_64 random(3);
  std::set<std::string> users;
  double worst = 0;
  while (users.size() < kAllUsers) {
    std::set<std::uint64_t> shapes;
    while (shapes.size() < 3) shapes.insert(random() % 10);
    std::string user;
    for (const std::uint64_t shape : shapes) {
      if (!user.empty()) user += ',';
      user += std::to_string(shape);
    }
    if (!users.insert(user).second) continue;
    INFO(user);
    place.forget();
    const json report = place.personalise({"--classes", user, "--budget", "cycles=0.5", "--count",
                                           "600", "--held", "1000", "--serve", "0"});
    const double generic = report["accuracy"]["generic"], personal = report["accuracy"]["personal"];
    const double lost = 100 * (generic - personal);
    std::cout << user << ": lost " << lost << " of " << 100 * generic << " %, cycles "
              << report["cycles_share"] << std::endl;
    CHECK(report["cycles_share"] <= 0.5);
    CHECK(generic > 0.98);
    CHECK(lost <= 1.001);  // a point is ten of the images
    worst = std::max(worst, lost);
  }
  std::cout << "worst: " << worst << std::endl;
}

TEST_CASE("personalise: a device finds the mask that golden finds") {
  const Place place(800);
  const std::string answers = place.scratch.path("answers.csv");
  std::vector<std::string> found;
  for (const char* device : {"golden", "iss"}) {
    place.forget();
    const json report = place.personalise({"--device", device, "--count", "32", "--held", "32",
                                           "--serve", "64", "--answers", answers});
    found.push_back(tests::slurp(place.mask) + tests::slurp(place.scratch.path("user.scores")) +
                    tests::slurp(answers));
    // It serves as well: in whole chunks of the stream, before the switch and after it.
    CHECK(report["device"] == device);
    CHECK(report["served_images"] == 64);
    const auto until = report["images_until_switch"].get<std::size_t>();
    CHECK(report["device_images"] == (until + 63) / 64 * 64 + 64);
  }
  CHECK(found[0] == found[1]);
}

TEST_CASE("personalise: answers, picture, program and report belong together") {
  const Place place;
  const std::string answers = place.scratch.path("answers.csv"), svg = place.scratch.path("u.svg");
  const json report = place.personalise({"--every", "2", "--answers", answers, "--svg", svg});
  CHECK(report["scored_images"] == 160);
  CHECK(report["held_images"] == 100);
  // Every second of the user's images is scored, so 160 need 319 of them, of 10 classes in turn.
  const auto until = report["images_until_switch"].get<std::size_t>();
  CHECK(until > 1050);
  CHECK(until < 1080);
  const double share = report["scoring_share"];
  const double forward = report["forward_cycles"], backward = report["backward_cycles_estimate"];
  CHECK_THAT(share,
             Catch::Matchers::WithinAbs(
                 160 * backward / (160 * backward + static_cast<double>(until) * forward), 1e-9));
  CHECK(backward > 0.8 * forward);
  CHECK(backward < 2 * forward);
  // Each image has an answer; the new program gives the same from the switch on, on any device.
  const std::string table = tests::slurp(answers);
  CHECK(std::ranges::count(table, '\n') == 1601);
  const std::string scores = place.scratch.path("scores.npy");
  place.good({"run", place.scratch.path("user.espl"), "--images", place.images, "--first",
              std::to_string(until), "--count", "20", "--device", "iss", "--check", "--output",
              scores});
  const std::string bytes = tests::slurp(scores);
  const int classes[] = {1, 4, 7};
  for (std::size_t i = 0; i < 20; ++i) {
    float row[3];
    std::memcpy(row, bytes.data() + bytes.size() - (20 - i) * sizeof row, sizeof row);
    const auto best = std::max_element(row, row + 3) - row;
    const std::string line =
        "\n" + std::to_string(until + i) + "," + std::to_string(classes[best]) + ",personal\n";
    INFO(line);
    CHECK(contains(table, line));
  }
  CHECK(contains(table, "\n" + std::to_string(until - 1) + ","));
  // So does the model that it is as ONNX, corrections and all.
  const std::string small = place.scratch.path("small.onnx"),
                    read = place.scratch.path("read.espl");
  place.good({"prune", place.scratch.path("user.espl"), "-o", small});
  place.good({"compile", small, "-o", read, "--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25"});
  place.good({"run", read, "--images", place.images, "--first", std::to_string(until), "--count",
              "20", "--device", "golden", "--output", scores});
  CHECK(tests::slurp(scores) == bytes);
  const std::string picture = tests::slurp(svg);
  std::size_t layers = 0;
  for (const json& layer : report["layers"]) {
    CHECK(contains(picture, ">" + layer["name"].get<std::string>() + "</text>"));
    CHECK(contains(picture, ">" + std::to_string(layer["live"].get<int>()) + " of " +
                                std::to_string(layer["channels"].get<int>()) + "</text>"));
    CHECK(layer["live"].get<int>() % 8 == 0);
    layers += layer["live"] < layer["channels"] ? 1 : 0;
  }
  CHECK(layers > 0);
  // The mask is one of the generic program.
  CHECK(contains(place.good({"mask", "show", place.mask, place.program}), "block"));
  // As a table it says the same.
  place.forget();
  const std::string text = place.good(place.arguments({}));
  CHECK(contains(text, "block1.first"));
  CHECK(contains(text, "scores took"));
}

TEST_CASE("personalise: the generic program with mask and patch is the user's model") {
  const Place place;
  const std::string patch = place.scratch.path("user.patch"), any = place.scratch.path("any.espl");
  const json report = place.personalise({"--patch", patch, "--serve", "0"});
  CHECK(report["patch_bytes"] == std::filesystem::file_size(patch));
  CHECK(report["patch_bytes"] < std::filesystem::file_size(place.scratch.path("user.espl")));
  place.good({"compile", place.program, "--maskable", "-o", any, "--config", "tiny"});
  const auto scores = [&](const std::vector<std::string>& more) {
    const std::string file = place.scratch.path("scores.npy");
    std::vector<std::string> arguments{"run",      place.scratch.path("user.espl"),
                                       "--images", place.images,
                                       "--count",  "20",
                                       "--output", file};
    if (!more.empty()) arguments[1] = any;
    arguments.insert(arguments.end(), more.begin(), more.end());
    if (more.empty()) arguments.insert(arguments.end(), {"--device", "golden"});
    place.good(arguments);
    return tests::slurp(file);
  };
  const auto row = [](const std::string& bytes, std::size_t image, std::size_t width) {
    std::vector<float> values(width);
    const std::size_t size = width * sizeof(float);
    std::memcpy(values.data(), bytes.data() + bytes.size() - (20 - image) * size, size);
    return values;
  };
  const std::string own = scores({});
  for (const std::string device : {"golden", "iss"}) {
    std::vector<std::string> more{"--device", device, "--mask", place.mask, "--patch", patch};
    if (device == "iss") more.emplace_back("--check");
    const std::string all = scores(more);
    const std::string generic = scores({"--device", device, "--mask", place.mask});
    std::size_t same = 0;
    for (std::size_t i = 0; i < 20; ++i) {
      const auto user = row(own, i, 3), whole = row(all, i, 10), other = row(generic, i, 10);
      CHECK(user == std::vector<float>{whole[1], whole[4], whole[7]});
      same += user == std::vector<float>{other[1], other[4], other[7]} ? 1 : 0;
    }
    CHECK(same < 20);  // corrections do something
  }
  const json profile =
      json::parse(place.good({"profile", any, "--mask", place.mask, "--patch", patch, "--json"}));
  const json plain = json::parse(place.good({"profile", any, "--mask", place.mask, "--json"}));
  CHECK(profile["estimate"] == plain["estimate"]);
  CHECK(profile["estimated_packing_cycles"] >= plain["estimated_packing_cycles"]);

  const auto refused = [&](const std::vector<std::string>& arguments, const std::string& message) {
    const Ran ran = run_espalier(place.scratch, arguments);
    INFO(ran.err);
    CHECK(ran.code == 2);
    CHECK(contains(ran.err, message));
  };
  const std::vector<std::string> run{"run", any, "--images", place.images, "--device", "iss"};
  const auto with = [&run](std::vector<std::string> more) {
    more.insert(more.begin(), run.begin(), run.end());
    return more;
  };
  const std::string half = place.scratch.path("half.mask");
  place.good({"mask", "random", any, "-o", half});
  refused(with({"--mask", half, "--patch", patch}),
          "user.patch: is for another mask of this model");
  refused(with({"--mask", half, "--mask", place.mask, "--patch", patch}),
          "--patch: 1 patches for 2 masks; each mask needs its own");
  refused(with({"--mask", place.mask, "--patch", place.mask}), "user.mask: no patch: it does not");
  refused(with({"--patch", patch}), "--mask");
  refused(place.arguments({"--patch", patch, "--correct", "none"}),
          "--patch: there are no corrections to write with --correct none");
}

TEST_CASE("personalise: stopped while it learns it goes on from its scores, to the same end") {
  const Place place;
  (void)place.personalise({});
  const std::string mask = tests::slurp(place.mask);
  const std::string program = tests::slurp(place.scratch.path("user.espl"));
  place.forget();
  const std::string scores = place.scratch.path("user.scores");
  auto arguments = place.arguments({});
  arguments.insert(arguments.begin(), ESPALIER_BINARY);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO);
    execv(argv[0], argv.data());
    _exit(127);
  }
  while (!std::filesystem::exists(scores) && kill(child, 0) == 0)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  kill(child, SIGKILL);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
  CHECK_FALSE(std::filesystem::exists(place.mask));
  const json report = place.personalise({});
  CHECK(report["resumed_from"] > 0);
  CHECK(report["resumed_from"] < 160);
  CHECK(tests::slurp(place.mask) == mask);
  CHECK(tests::slurp(place.scratch.path("user.espl")) == program);
  // Scores of other images are refused.
  REQUIRE(shapes::write_records(place.images, 4, 1600).ok());
  const Ran other = run_espalier(place.scratch, place.arguments({}));
  CHECK(other.code == 2);
  CHECK(contains(other.err, "user.scores: is of other images than the 160 that this stream"));
  const std::string what_to_do = "; remove it to begin anew, or name another file with --scores\n";
  CHECK(other.err.ends_with(what_to_do));
  CHECK(std::filesystem::exists(scores));  // which this run did not begin
  const Ran others = run_espalier(place.scratch, place.arguments({"--classes", "2,3"}));
  CHECK(others.code == 2);
  CHECK(contains(others.err, "user.scores: is of another measurement: `classes` is [1,4,7]"));
  CHECK(others.err.ends_with(what_to_do));
  const Ran fewer = run_espalier(place.scratch, place.arguments({"--count", "100"}));
  CHECK(fewer.err.ends_with("is of 160 images; --count is 100" + what_to_do));
}

TEST_CASE("personalise: a watch returns to the generic model when the user changes") {
  const Place place(3000);
  const std::string own = place.records("147"), others = place.records("0235689");
  const std::string steady = place.scratch.write("steady.bin", own);
  const std::string changed =
      place.scratch.write("changed.bin", own.substr(0, 600 * kRecord) + others);
  const auto watch = [&](const std::string& stream, const std::string& labels) {
    place.forget();
    return run_espalier(place.scratch, place.arguments({"--images", stream, "--labels", labels,
                                                        "--watch", "--scope", "all", "--json"}));
  };
  const Ran calm = watch(steady, "given");
  INFO(calm.err);
  REQUIRE(calm.code == 0);
  CHECK(json::parse(calm.out)["returned_at"].is_null());
  CHECK(calm.err.empty());
  for (const std::string labels : {"given", "predicted"}) {
    const Ran alarm = watch(changed, labels);
    INFO(alarm.err);
    REQUIRE(alarm.code == 0);
    const json report = json::parse(alarm.out);
    REQUIRE(report["returned_at"].is_number());
    CHECK(report["returned_at"] > 600);
    CHECK(report["returned_at"] < 800);
    CHECK(contains(alarm.err, "the generic model answers from here on"));
  }
}

TEST_CASE("personalise: budgets of loss and of MACs are kept, with any ranking") {
  const Place place(2600);
  const json loss = place.personalise({"--budget", "loss=2", "--align", "1", "--held", "200"});
  CHECK(loss["macs_share"] < 1.0);
  CHECK(loss["accuracy"]["personal"].get<double>() > 0.93);
  for (const std::string by : {"taylor", "magnitude", "activation", "random"}) {
    place.forget();
    const json report = place.personalise({"--budget", "macs=0.6", "--by", by});
    CHECK(report["macs_share"] <= 0.6);
    CHECK(report["macs_share"] > 0.4);
  }
  place.forget();
  const json bare = place.personalise({"--budget", "macs=0.6", "--correct", "none"});
  place.forget();
  const json whole = place.personalise({"--budget", "macs=0.6"});
  CHECK(bare["accuracy"]["personal"] < whole["accuracy"]["personal"]);
}

TEST_CASE("personalise: scores go where what else was asked for cannot be written") {
  const Place place;
  for (const char* option : {"--svg", "--answers"}) {
    place.forget();
    const Ran ran = run_espalier(place.scratch, place.arguments({option, "/dev/full"}));
    INFO(option << ": " << ran.err);
    CHECK(ran.code == 2);
    CHECK(contains(ran.err, "/dev/full: cannot be written"));
    CHECK_FALSE(std::filesystem::exists(place.scratch.path("user.scores")));
  }
}

TEST_CASE("personalise: bad input is refused by name") {
  const Place place(600);
  const auto refuses = [&](const std::vector<std::string>& more, const std::string& part) {
    place.forget();
    const Ran ran = run_espalier(place.scratch, place.arguments(more));
    INFO(ran.err);
    CHECK(ran.code == 2);
    CHECK(ran.out.empty());
    CHECK(contains(ran.err, part));
    CHECK_FALSE(std::filesystem::exists(place.mask));
    CHECK_FALSE(std::filesystem::exists(place.scratch.path("user.scores")));
  };
  const auto classes = [&](const std::string& list, const std::string& part) {
    place.forget();
    auto arguments = place.arguments({});
    *(std::ranges::find(arguments, "--classes") + 1) = list;
    const Ran ran = run_espalier(place.scratch, arguments);
    CHECK(ran.code == 2);
    INFO(ran.err);
    CHECK(contains(ran.err, part));
  };
  classes("3,10", "--classes: 10 is no class of the model; it has 10, from 0 on");
  classes("3,3", "--classes: names 3 twice");
  classes("3", "--classes: names 1 class; a choice needs 2");
  classes("3,x", "--classes: `3,x` is no list of classes");
  refuses({}, "images.bin: has too few images of these classes: 160 of 160 to score, 20 of 100");
  refuses({"--count", "400"}, "180 of 400 to score");
  const std::string two = place.scratch.write("two.bin", place.records("14"));
  refuses({"--images", two}, "two.bin: has no image of class 7 among the 120 that were taken");
  const std::vector<std::string> few{"--count", "60", "--held", "60"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), few.begin(), few.end());
    return more;
  };
  refuses(with({"--budget", "cycles=0.01"}),
          "--budget: the share of cycles cannot go down to 0.01");
  refuses(with({"--budget", "macs=0.01"}), "--budget: the share of MACs cannot go down to 0.01");
  refuses(with({"--budget", "cycles=1.5"}), "`cycles=1.5` is out of range");
  refuses(with({"--budget", "time=1"}), "`time=1` is not cycles=SHARE, macs=SHARE or loss=POINTS");
  refuses(with({"--align", "192"}), "has no channels that could go in blocks of 192");
  // Labels: of another order, of another number, no classes, none at all.
  std::string shifted = tests::slurp(place.images);
  for (std::size_t at = 0; at < shifted.size(); at += kRecord) {
    const char label = shifted[at];
    shifted[at] = static_cast<char>(label == 1 ? 4 : label == 4 ? 7 : label == 7 ? 1 : label);
  }
  refuses(with({"--images", place.scratch.write("shifted.bin", shifted)}),
          "the labels agree with the model on ");
  std::string lines;
  for (int i = 0; i < 600; ++i) lines += std::to_string(i % 10) + "\n";
  refuses(with({"--labels", place.scratch.write("few.txt", lines.substr(0, 40))}), "few.txt:");
  std::string wrong;
  for (std::size_t at = 0; at < shifted.size(); at += kRecord)
    wrong += std::to_string(int{shifted[at]}) + "\n";
  refuses(with({"--labels", place.scratch.write("wrong.txt", wrong)}), "images.bin#");
  refuses(with({"--labels", place.scratch.write("ten.txt", "10\n")}),
          "ten.txt:1: `10` is no class; the model has 10");
  refuses(with({"--labels", place.scratch.path("none.txt")}), "none.txt: cannot be opened");
  // Files: scores that are none, programs that are none, a program over itself.
  place.forget();
  (void)place.scratch.write("bad.scores", "{}");
  refuses(with({"--scores", place.scratch.path("bad.scores")}), "bad.scores: has no `format`");
  refuses(with({"--scores", place.program}), "shapes.espl is the file that PROGRAM reads");
  refuses(with({"-o", place.scratch.path("none/") + "x/user.mask"}), "cannot be written");
}

TEST_CASE("personalise: a network without channels that could go is refused") {
  const tests::Scratch scratch;
  tests::OnnxWriter model(1, {1, 3, tests::kTinySize, tests::kTinySize});
  model.node("GlobalAveragePool", "gap", {"image"});
  model.node("Flatten", "flat", {"gap"});
  model.gemm("fc", "flat", 3, tests::kTinyClasses);
  const std::string file = scratch.write("plain.onnx", model.bytes());
  const std::string images = scratch.write("images.npy", tests::tiny_images(8));
  const std::string program = scratch.path("plain.espl");
  REQUIRE(run_espalier(scratch,
                       {"compile", file, "-o", program, "--config", "nano", "--calibrate", images})
              .code == 0);
  const Ran ran = run_espalier(scratch, {"personalise", program, "--images", images, "--classes",
                                         "1,2", "-o", scratch.path("u.mask")});
  CHECK(ran.code == 2);
  CHECK(contains(ran.err, "plain.espl: has no channels that could go in scope internal"));
}
