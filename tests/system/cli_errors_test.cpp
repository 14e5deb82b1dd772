// What the command says to bad input: one line on stderr, exit code 2.

#include <algorithm>
#include <random>
#include <sstream>

#include "catch.hpp"
#include "process.hpp"
#include "seed.hpp"
#include "base/bytes.hpp"
#include "tiny_model.hpp"

using namespace espalier;
using tests::Ran;
using tests::run_espalier;

namespace {

struct Workplace {
  tests::Scratch scratch;
  std::string model = scratch.write("tiny.onnx", tests::tiny_model());
  std::string images = scratch.write("images.npy", tests::tiny_images(3));
  std::string program = scratch.path("tiny.espl");

  Workplace() {
    REQUIRE(
        run({"compile", model, "-o", program, "--config", "nano", "--calibrate", images}).code ==
        0);
  }
  [[nodiscard]] Ran run(const std::vector<std::string>& arguments) const {
    return run_espalier(scratch, arguments);
  }

  /// Exit code 2 and one line that holds all of `parts`.
  void refuses(const std::vector<std::string>& arguments,
               const std::vector<std::string>& parts) const {
    const Ran ran = run(arguments);
    std::string line;
    for (const std::string& argument : arguments) line += argument + " ";
    INFO(line << "\n" << ran.err);
    CHECK(ran.code == 2);
    CHECK(ran.out.empty());
    CHECK(std::ranges::count(ran.err, '\n') == 1);
    CHECK(ran.err.starts_with("espalier: "));
    for (const std::string& part : parts) {
      INFO(part);
      CHECK(ran.err.find(part) != std::string::npos);
    }
  }
  void refuses_run(std::vector<std::string> more, const std::vector<std::string>& parts) const {
    more.insert(more.begin(), {"run", program, "--images", images});
    refuses(more, parts);
  }
  void refuses_compile(std::vector<std::string> more, const std::vector<std::string>& parts) const {
    more.insert(more.begin(), {"compile", model, "-o", scratch.path("new.espl")});
    refuses(more, parts);
  }
};

}  // namespace

TEST_CASE("command: refuses options that make no sense, by name and limit") {
  const Workplace place;
  place.refuses({}, {"subcommand"});
  place.refuses({"shrink"}, {"shrink"});
  place.refuses({"run", place.program}, {"--images"});
  place.refuses_run({"--frist", "1"}, {"--frist"});
  place.refuses_run({"--device", "gpu"}, {"--device", "gpu", "golden"});
  place.refuses_run({"--device", "fpga:"}, {"--device", "fpga:", "fpga:/dev/uioN"});
  place.refuses_run({"--device", "fpga:/dev/uio99"}, {"/dev/uio99: there is no such device"});
  place.refuses_run({"--device", "fpga:/dev/uio99", "--jobs", "2"}, {"--jobs", "2"});
  place.refuses_run({"--device", "iss", "--buffer", "/dev/udmabuf0"}, {"--buffer"});
  place.refuses_run({"--device", "golden", "--check"}, {"--check"});
  place.refuses_run({"--device", "iss", "--wave", "x.fst"}, {"--wave"});
  place.refuses_run({"--device", "iss", "--mem-stall", "0.1"}, {"--mem-stall"});
  place.refuses_run({"--wave-cycles", "5"}, {"--wave-cycles"});
  place.refuses_run({"--count", "0"}, {"--count", "0"});
  place.refuses_run({"--count", "4"}, {"--count", "4", "3 images"});
  place.refuses_run({"--count", "-1"}, {"--count"});
  place.refuses_run({"--count", "many"}, {"--count", "many"});
  place.refuses_run({"--first", "3"}, {"--first", "3 images"});
  place.refuses_run({"--first", "1", "--count", "3"}, {"--count", "2 images"});
  place.refuses_run({"--top", "6", "--device", "golden"}, {"--top", "6", "5 outputs"});
  place.refuses_run({"--jobs", "0"}, {"--jobs"});
  // Whole numbers, each with its range; a 0 before them does not make them octal.
  place.refuses_run({"--count", "1.5"}, {"--count: `1.5` is no whole number; 1 to 1000000000000"});
  place.refuses_run({"--count", "1e0"}, {"--count: `1e0` is no whole number"});
  place.refuses_run({"--count", "0x1"}, {"--count: `0x1` is no whole number"});
  place.refuses_run({"--count", "+1"}, {"--count: `+1` is no whole number"});
  place.refuses_run({"--count", "010"}, {"--count: is 10; ", "3 images"});
  place.refuses_run({"--first", "99999999999999999999999"}, {"--first", "is out of range; 0 to "});
  place.refuses_run({"--jobs", "257"}, {"--jobs: `257` is out of range; 1 to 256"});
  place.refuses_run({"--seed", "1000000000000000001"},
                    {"--seed", "is out of range; 0 to 1000000000000000000"});
  place.refuses_run({"--device", "rtl", "--mem-latency", "60.5"},
                    {"--mem-latency: `60.5` is no whole number; 1 to 10000"});
  for (const std::string stall : {"1", "-0.1", "nan", "x"})
    place.refuses_run({"--mem-stall", stall}, {"--mem-stall", stall});
  place.refuses_run({"--report", place.scratch.path("no") + "/such/r.json", "--device", "iss"},
                    {"r.json"});
  place.refuses_run({"--output", place.scratch.path("no") + "/such/o.npy", "--device", "iss"},
                    {"o.npy"});
}

TEST_CASE("command: refuses to compile what it lacks the means for") {
  const Workplace place;
  place.refuses_compile({}, {"tiny.onnx", "--calibrate"});
  place.refuses_compile({"--config", "huge", "--calibrate", place.images}, {"--config", "huge"});
  place.refuses_compile({"--calibrate", place.images, "--count", "9"},
                        {"--count", "9", "3 images"});
  place.refuses_compile({"--calibrate", place.images, "--count", "0"}, {"--count"});
  place.refuses_compile({"--calibrate", place.images, "--mean", "0.5,0.5,0.5"}, {"--std"});
  place.refuses_compile({"--calibrate", place.images, "--mean", "0.5,0.5", "--std", "1,1"},
                        {"--mean", "2", "3 channels"});
  place.refuses_compile({"--calibrate", place.images, "--mean", "0,0,0", "--std", "1,0,1"},
                        {"--std", "0"});
  place.refuses_compile({"--calibrate", place.images, "--mean", "0,a,0", "--std", "1,1,1"},
                        {"--mean", "`a`"});
  place.refuses_compile({"--calibrate", place.scratch.path("none.npy")}, {"none.npy"});
  place.refuses({"compile", place.scratch.path("none.onnx"), "-o", place.scratch.path("x.espl")},
                {"none.onnx"});
  place.refuses({"compile", place.model, "-o", place.scratch.path("no") + "/such/x.espl",
                 "--calibrate", place.images},
                {"x.espl"});
  tests::OnnxWriter writer(1, {1, 3, 8, 8});
  writer.conv("conv", "image", 3, 4, 3, 1);
  writer.node("Erf", "strange", {"conv"});
  writer.node("Erf", "other", {"strange"});
  const std::string both = place.scratch.write("odder.onnx", writer.bytes());
  for (const std::string command : {"compile", "quantise", "prune"}) {
    std::vector<std::string> arguments{command, both, "-o", place.scratch.path("x.out")};
    if (command == "prune") arguments.insert(arguments.end(), {"--mask", place.images});
    const Ran ran = place.run(arguments);
    CHECK(ran.code == 2);
    CHECK(ran.out.empty());
    CHECK(ran.err == "espalier: " + both +
                         ": node 'strange' (Erf): operator is not supported\n"
                         "  2 of 3 nodes are refused:\n"
                         "    2 Erf: operator is not supported: strange, other\n"
                         "  100.0 % of 6,912 multiply-accumulates map\n");
  }
  CHECK(tests::slurp(place.scratch.path("new.espl")).empty());
}

TEST_CASE("command: refuses truncated and corrupt programs, naming the file") {
  const Workplace place;
  const std::string bytes = tests::slurp(place.program);
  const std::uint64_t seed = tests::seed(11);
  INFO("ESPALIER_SEED=" << seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 12; ++i) {
    const std::string cut =
        place.scratch.write("cut.espl", bytes.substr(0, i == 0 ? 0 : random() % bytes.size()));
    place.refuses({"inspect", cut}, {"cut.espl"});
    std::string changed = bytes;
    changed[random() % bytes.size()] ^= static_cast<char>(1 + random() % 255);
    const std::string corrupt = place.scratch.write("bad.espl", changed);
    place.refuses({"run", corrupt, "--device", "iss", "--images", place.images}, {"bad.espl"});
  }
  place.refuses({"inspect", place.scratch.path("none.espl")}, {"none.espl"});
  place.refuses({"inspect", place.images}, {"images.npy"});
  place.refuses({"inspect", std::filesystem::path(place.program).parent_path().string()}, {});
}

TEST_CASE("command: survives programs that were changed with their fingerprint made right") {
  const Workplace place;
  const std::string bytes = tests::slurp(place.program);
  const std::uint64_t seed = tests::seed(12);
  INFO("ESPALIER_SEED=" << seed);
  std::mt19937_64 random(seed);
  int refused = 0;
  for (int i = 0; i < 40; ++i) {
    std::string changed = bytes;
    const int changes = 1 + static_cast<int>(random() % 3);
    for (int k = 0; k < changes; ++k)
      changed[16 + random() % (bytes.size() - 24)] = static_cast<char>(random());
    const std::span<const std::uint8_t> body(reinterpret_cast<const std::uint8_t*>(changed.data()),
                                             changed.size() - 8);
    const std::uint64_t fingerprint = fnv1a(body);
    std::memcpy(changed.data() + changed.size() - 8, &fingerprint, 8);
    const std::string file = place.scratch.write("odd.espl", changed);
    for (const std::vector<std::string>& arguments :
         {std::vector<std::string>{"inspect", file},
          {"run", file, "--device", "iss", "--images", place.images, "--count", "1", "--check"}}) {
      const Ran ran = place.run(arguments);
      INFO(i << ": " << ran.err);
      CHECK((ran.code == 0 || ran.code == 1 || ran.code == 2));
      CHECK(std::ranges::count(ran.err, '\n') == (ran.code == 2 ? 1 : 0));
      refused += ran.code == 2 ? 1 : 0;
    }
  }
  CHECK(refused > 0);
}

TEST_CASE("command: refuses image files that are not what they say") {
  const Workplace place;
  const std::string good = tests::slurp(place.images);
  const auto refuses = [&place](const std::string& name, const std::string& bytes) {
    const std::string file = place.scratch.write(name, bytes);
    place.refuses({"run", place.program, "--device", "iss", "--images", file}, {name});
  };
  refuses("cut.npy", good.substr(0, good.size() - 5));
  refuses("head.npy", good.substr(0, 9));
  refuses("empty.npy", "");
  refuses("text.npy", "no array at all");
  refuses("shape.npy", tests::npy("|u1", "1, 3, 8, 8", std::string(192, 'x')));
  refuses("type.npy", tests::npy("<i8", "1, 3, 16, 16", std::string(768 * 8, 'x')));
  refuses("many.npy", tests::npy("|u1", "99999999999, 3, 16, 16", std::string(768, 'x')));
  refuses("none.npy", tests::npy("|u1", "0, 3, 16, 16", ""));
  refuses("x.bin", std::string(100, 'x'));
  place.refuses(
      {"run", place.program, "--device", "iss", "--images", place.scratch.path("absent.npy")},
      {"absent.npy"});
  std::ignore = place.scratch.write("folder/cats/a.png", "not a picture");
  place.refuses({"run", place.program, "--device", "iss", "--images", place.scratch.path("folder")},
                {"a.png"});
  std::ignore = place.scratch.write("bare/readme.txt", "nothing");
  place.refuses({"run", place.program, "--device", "iss", "--images", place.scratch.path("bare")},
                {"bare"});
}

TEST_CASE("command: refuses models that are cut, corrupt or not models") {
  const Workplace place;
  const std::string bytes = tests::slurp(place.model);
  const std::uint64_t seed = tests::seed(13);
  INFO("ESPALIER_SEED=" << seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 8; ++i) {
    const std::string cut =
        place.scratch.write("cut.onnx", bytes.substr(0, random() % (bytes.size() - 200)));
    place.refuses({"compile", cut, "-o", place.scratch.path("x.espl"), "--calibrate", place.images},
                  {"cut.onnx"});
  }
  for (int i = 0; i < 20; ++i) {
    std::string changed = bytes;
    for (int k = 0; k < 4; ++k) changed[random() % bytes.size()] = static_cast<char>(random());
    const std::string file = place.scratch.write("odd.onnx", changed);
    const Ran ran = place.run(
        {"compile", file, "-o", place.scratch.path("x.espl"), "--calibrate", place.images});
    INFO(i << ": " << ran.err);
    CHECK((ran.code == 0 || ran.code == 2));
    // One line; a list of refused nodes may stand behind it, further in.
    std::istringstream lines(ran.err);
    std::size_t complaints = 0;
    for (std::string line; std::getline(lines, line);) complaints += line.starts_with("  ") ? 0 : 1;
    CHECK(complaints == (ran.code == 2 ? 1 : 0));
  }
  const std::string text = place.scratch.write("x.tflite", "hello");
  place.refuses({"compile", text, "-o", place.scratch.path("x.espl")}, {"x.tflite"});
}

TEST_CASE("command: refuses class files that do not fit") {
  const Workplace place;
  const std::string two = place.scratch.write("two.txt", "a\nb\n");
  place.refuses_run({"--device", "golden", "--top", "1", "--classes", two},
                    {"two.txt", "2 classes", "5 outputs"});
  place.refuses_run({"--classes", place.scratch.path("none.txt")}, {"none.txt"});
}
