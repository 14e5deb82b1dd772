// `espalier-automask` as a user gets it, on the demo's network and its drawn images.

#include <signal.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <thread>

#include "catch.hpp"
#include "environment/environment.hpp"
#include "examples/shapes/files.hpp"
#include "process.hpp"
#include "skip.hpp"

using namespace espalier;
using nlohmann::json;
using tests::Ran;

#ifdef ESPALIER_AUTOMASK
namespace {

/// The demo's program, and images with noise to learn from and to test with.
struct Place {
  tests::Scratch scratch;
  std::string program = scratch.path("shapes.espl");
  std::string learn = scratch.path("learn.bin"), test = scratch.path("test.bin");
  std::string environment = scratch.path("noise.env");

  explicit Place(int images = 600) {
    const std::string clean = scratch.path("clean.bin"), sharp = scratch.path("sharp.bin");
    REQUIRE(shapes::write_records(clean, 2, 64).ok());
    good({"compile", ESPALIER_SOURCE_DIR "/examples/shapes/shapes.onnx", "-o", program, "--config",
          "tiny", "--calibrate", clean, "--count", "64", "--mean", "0.5,0.5,0.5", "--std",
          "0.25,0.25,0.25"});
    REQUIRE(shapes::write_records(sharp, 11, static_cast<std::uint64_t>(images)).ok());
    good({"images", "degrade", sharp, "-o", learn, "--noise", "0.25"});
    std::filesystem::remove(sharp);
    REQUIRE(shapes::write_records(sharp, 12, 300).ok());
    good({"images", "degrade", sharp, "-o", test, "--noise", "0.25", "--seed", "9"});
  }
  std::string good(const std::vector<std::string>& arguments) const {
    const Ran ran = run_espalier(scratch, arguments);
    INFO(ran.err);
    REQUIRE(ran.code == 0);
    return ran.out;
  }
  [[nodiscard]] std::vector<std::string> arguments(const std::string& verb,
                                                   const std::vector<std::string>& more) const {
    std::vector<std::string> list{ESPALIER_AUTOMASK, verb, program, "--images", learn};
    list.insert(list.end(), more.begin(), more.end());
    return list;
  }
  [[nodiscard]] Ran train(const std::vector<std::string>& more) const {
    return tests::run_command(scratch, arguments("train", more));
  }
  std::string trained(const std::string& to, std::vector<std::string> more) const {
    more.insert(more.end(), {"-o", to});
    const Ran ran = train(more);
    INFO(ran.err);
    REQUIRE(ran.code == 0);
    return tests::slurp(to);
  }
  void refused(const std::vector<std::string>& more, const std::string& message) const {
    const Ran ran = train(more);
    INFO(ran.out << ran.err);
    CHECK(ran.code == 2);
    CHECK(ran.err.find(message) != std::string::npos);
    CHECK(ran.err.starts_with("espalier-automask: "));
  }
  /// Right answers of the test images on golden.
  [[nodiscard]] int right(const std::vector<std::string>& more) const {
    std::vector<std::string> list{"run", program, "--device", "golden", "--images", test, "--json"};
    list.insert(list.end(), more.begin(), more.end());
    return static_cast<int>(std::lround(300 * json::parse(good(list))["top1"].get<double>()));
  }
};

}  // namespace
#endif

TEST_CASE("automask: an environment wins noisy images back, with the weights as they were") {
#ifdef ESPALIER_AUTOMASK
  const Place place;
  const std::string curve = place.scratch.path("curve.svg");
  place.trained(place.environment, {"--epochs", "3", "--batch", "16", "--curve", curve});
  const int before = place.right({}), after = place.right({"--environment", place.environment});
  INFO(before << " right before, " << after << " after, of 300");
  CHECK(after >= before + 15);
  CHECK(tests::slurp(curve).starts_with("<svg "));
  CHECK_FALSE(std::filesystem::exists(place.environment + ".state"));
  const auto environment = environment::load(place.environment);
  REQUIRE(environment.ok());
  CHECK(2 * environment->live() == environment->count());
  CHECK(environment->pictures.count == 540);
  // Compiled in, the simulator of instructions computes the same.
  const std::string own = place.scratch.path("own.espl");
  place.good({"compile", place.program, "--environment", place.environment, "-o", own, "--config",
              "tiny"});
  place.good({"run", own, "--device", "iss", "--images", place.test, "--count", "2", "--check"});
  const Ran other =
      run_espalier(place.scratch, {"run", place.program, "--device", "iss", "--images", place.test,
                                   "--environment", place.environment});
  CHECK(other.code == 2);
  CHECK(other.err.find("--environment: goes with --device golden") != std::string::npos);
  const Ran wrong = run_espalier(place.scratch, {"run", own, "--device", "golden", "--images",
                                                 place.test, "--environment", place.environment});
  CHECK(wrong.code == 2);
  CHECK(wrong.err.find("is for another model: its fingerprint is ") != std::string::npos);
#else
  tests::skip("LibTorch is not there");
#endif
}

TEST_CASE("automask: a run that was killed goes on to the same file") {
#ifdef ESPALIER_AUTOMASK
  const Place place(200);
  const std::vector<std::string> how{"--epochs", "3", "--seed", "5", "--batch", "32"};
  const std::string whole = place.trained(place.scratch.path("whole.env"), how);
  CHECK(place.trained(place.scratch.path("again.env"), how) == whole);
  // Killed as soon as the first epoch's state is there.
  const std::string cut = place.scratch.path("cut.env"), state = cut + ".state";
  auto words = place.arguments("train", how);
  words.insert(words.end(), {"-o", cut});
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO);
    execv(argv[0], argv.data());
    _exit(127);
  }
  while (!std::filesystem::exists(state) && waitpid(child, nullptr, WNOHANG) == 0)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  REQUIRE(std::filesystem::exists(state));
  CHECK_FALSE(std::filesystem::exists(cut));
  auto more = how;
  more.emplace_back("--resume");
  // What is of another training, broken or missing is refused.
  auto others = more;
  others[3] = "6";
  others.insert(others.end(), {"-o", cut});
  place.refused(others, "cut.env.state: is of another training");
  const std::string bytes = tests::slurp(state);
  const std::string broken = place.scratch.write("broken", bytes.substr(0, bytes.size() / 2));
  auto with = more;
  with.insert(with.end(), {"-o", cut, "--state", broken});
  place.refused(with, "broken: truncated near byte ");
  with.back() = place.scratch.path("nothing");
  place.refused(with, "nothing: cannot be opened");
  CHECK(place.trained(cut, more) == whole);
#else
  tests::skip("LibTorch is not there");
#endif
}

TEST_CASE("automask: without labels a clean model teaches, or answers become sure") {
#ifdef ESPALIER_AUTOMASK
  const Place place(200);
  const std::string sharp = place.scratch.path("pairs.bin");
  REQUIRE(shapes::write_records(sharp, 11, 200).ok());
  const Ran taught =
      place.train({"--labels", "none", "--clean", sharp, "--epochs", "1", "-o", place.environment});
  INFO(taught.err);
  CHECK(taught.code == 0);
  CHECK(taught.out.find("% as the teacher") != std::string::npos);
  const Ran sure = place.train({"--labels", "none", "--epochs", "1", "-o", place.environment});
  INFO(sure.err);
  CHECK(sure.code == 0);
  place.refused({"--clean", sharp, "-o", place.environment}, "--clean: goes with --labels none");
  const std::string few = place.scratch.path("few.bin");
  REQUIRE(shapes::write_records(few, 11, 20).ok());
  place.refused({"--labels", "none", "--clean", few, "-o", place.environment},
                "--clean: are 20; --images are 200");
#else
  tests::skip("LibTorch is not there");
#endif
}

TEST_CASE("automask: rates too high are told with the layer, and what is bad is refused") {
#ifdef ESPALIER_AUTOMASK
  const Place place(100);
  const std::string to = place.environment;
  const Ran broken = place.train({"--mask-rate", "3e37", "--batch", "4", "-o", to});
  INFO(broken.err);
  CHECK(broken.code == 2);
  CHECK(broken.err.find("is no finite number any more") != std::string::npos);
  CHECK(broken.err.find("layer '") != std::string::npos);
  CHECK(environment::load(to).ok());
  place.refused({"--what", "bits", "-o", to}, "--what: `bits` is no part");
  place.refused({"--images", "/nowhere.bin", "-o", to}, "/nowhere.bin: does not exist");
  place.refused({"--learn", "2", "--held", "0.001", "-o", to}, "--images: are 2; of so many 0");
  place.refused({"--epochs", "1", "-o", "/nowhere/u.env"},
                "/nowhere/u.env: cannot be written: there is no folder /nowhere");
  place.refused({"--epochs", "1", "-o", to, "--state", "/dev/full"},
                "/dev/full: cannot be written");
  place.refused({"-o", place.learn}, "is the file that --images reads; give it a name of its own");
  place.refused({"-o", to, "--curve", to}, "is the file that -o writes too");
  // Pictures without labels.
  const std::string pixels(2 * 3 * 32 * 32, 'x');
  std::string header = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3, 32, 32), }";
  header.append(64 - (10 + header.size() + 1) % 64, ' ');
  header += '\n';
  std::string npy = "\x93NUMPY";
  npy += std::string{'\x01', '\x00', static_cast<char>(header.size()), '\x00'};
  const std::string bare = place.scratch.write("bare.npy", npy + header + pixels);
  place.refused({"--images", bare, "-o", to}, "bare.npy: has no labels");
  std::string labelled = tests::slurp(place.learn).substr(0, 3073 * 5);
  labelled[3073 * 3] = 77;
  const std::string high = place.scratch.write("high.bin", labelled);
  place.refused({"--images", high, "-o", to}, "high.bin: image 3 has label 77");
  const Ran none = tests::run_command(place.scratch, {ESPALIER_AUTOMASK, "train", "/nowhere.espl",
                                                      "--images", place.learn, "-o", to});
  CHECK(none.code == 2);
  CHECK(none.err.find("/nowhere.espl: does not exist") != std::string::npos);
#else
  tests::skip("LibTorch is not there");
#endif
}

TEST_CASE("automask: a model that is no program is compiled first, and a table compares parts") {
#ifdef ESPALIER_AUTOMASK
  const Place place(100);
  const std::string to = place.scratch.path("own.env");
  const Ran ran = tests::run_command(
      place.scratch,
      {ESPALIER_AUTOMASK, "train", ESPALIER_SOURCE_DIR "/examples/shapes/shapes.onnx",
       "--calibrate", place.scratch.path("clean.bin"), "--count", "64", "--mean", "0.5,0.5,0.5",
       "--std", "0.25,0.25,0.25", "--images", place.learn, "--epochs", "1", "-o", to});
  INFO(ran.err);
  REQUIRE(ran.code == 0);
  // It is the same shared model, whatever the machine that it was compiled for.
  CHECK(place.right({"--environment", to}) > 0);
  CHECK(std::filesystem::exists(place.scratch.path("own.espl")));
  const Ran table = tests::run_command(
      place.scratch, place.arguments("compare", {"--epochs", "1", "--what", "bias", "--what",
                                                 "2:4+one-shot", "-o", place.scratch.path("c")}));
  INFO(table.err);
  CHECK(table.code == 0);
  CHECK(table.out.find("| 2:4+one-shot | 50.0 % |") != std::string::npos);
  CHECK(std::filesystem::exists(place.scratch.path("c/bias.env")));
#else
  tests::skip("LibTorch is not there");
#endif
}
