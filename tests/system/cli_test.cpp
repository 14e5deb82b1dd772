// The command from a model file to a report.

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "catch.hpp"
#include "has_rtl.hpp"
#include "program/program.hpp"
#include "skip.hpp"
#include "tiny_model.hpp"

using namespace espalier;
using nlohmann::json;
using tests::has_rtl;
using tests::Ran;
using tests::run_espalier;

namespace {

/// A folder with a compiled network, its model and its images.
struct Workplace {
  tests::Scratch scratch;
  std::string model = scratch.write("tiny.onnx", tests::tiny_model());
  std::string images = scratch.write("images.npy", tests::tiny_images(6));
  std::string program = scratch.path("tiny.espl");

  explicit Workplace(const std::string& config = "nano") {
    const Ran ran = run({"compile", model, "-o", program, "--config", config, "--calibrate", images,
                         "--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25"});
    INFO(ran.err);
    REQUIRE(ran.code == 0);
  }
  [[nodiscard]] Ran run(const std::vector<std::string>& arguments) const {
    return run_espalier(scratch, arguments);
  }
  /// Runs all images; returns the report.
  [[nodiscard]] json report(std::vector<std::string> more, int code = 0) const {
    std::vector<std::string> arguments{"run",  program,    "--images",
                                       images, "--report", scratch.path("report.json")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Ran ran = run(arguments);
    INFO(ran.out << ran.err);
    REQUIRE(ran.code == code);
    return json::parse(tests::slurp(scratch.path("report.json")));
  }
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

const std::set<std::string> kReportKeys = {"network",
                                           "config",
                                           "device",
                                           "images",
                                           "top1",
                                           "values_checked",
                                           "mismatches",
                                           "cycles",
                                           "cycles_per_image",
                                           "macs_per_image",
                                           "utilisation",
                                           "bytes_read",
                                           "bytes_written",
                                           "simulated_cycles_per_second",
                                           "layers",
                                           "fingerprint",
                                           "host_ops"};

}  // namespace

TEST_CASE("command: every device gives the same scores, and check finds no difference") {
  for (const std::string config : {"nano", "edge"}) {
    const Workplace place(config);
    std::vector<std::string> devices{"golden", "iss"};
    if (has_rtl(place.scratch, config)) devices.push_back("rtl");
    std::string expected;
    for (const std::string& device : devices) {
      INFO(config << " " << device);
      const std::string output = place.scratch.path(device + ".npy");
      std::vector<std::string> arguments{"--device", device, "--output", output};
      if (device != "golden") arguments.push_back("--check");
      const json report = place.report(arguments);
      for (const std::string& key : kReportKeys) {
        INFO(key);
        CHECK(report.contains(key));
      }
      CHECK(report["device"] == device);
      CHECK(report["images"] == 6);
      CHECK(report["mismatches"] == 0);
      CHECK(report["top1"].is_null());
      CHECK(report["host_ops"].size() == 1);
      // conv1, conv2 with the add, pool, conv3 with the average, fc
      CHECK(report["macs_per_image"] ==
            3 * 8 * 9 * 256 + 8 * 8 * 9 * 256 + 8 * 20 * 9 * 16 + 20 * 5);
      if (device != "golden")
        CHECK(report["values_checked"] >= 6 * (8 * 256 + 8 * 256 + 8 * 64 + 20 + 5));
      const std::string scores = tests::slurp(output);
      if (expected.empty()) expected = scores;
      CHECK(scores.size() > 6 * 5 * 4);
      CHECK(scores == expected);
    }
  }
}

TEST_CASE("command: softmax, its logarithm and the layout of the output are the host's") {
  const tests::Scratch scratch;
  const std::string images = scratch.write("images.npy", tests::tiny_images(2));
  const auto scores = [&](const std::string& last) {
    tests::OnnxWriter model(5, {1, 3, tests::kTinySize, tests::kTinySize});
    model.conv("conv", "image", 3, 4, 3, 1);
    if (last == "Transpose") {
      tests::OnnxWriter::ints(model.node(last, "last", {"conv"}), "perm", {0, 2, 3, 1});
    } else if (!last.empty()) {
      auto* axis = model.node(last, "last", {"conv"}).add_attribute();
      axis->set_name("axis");
      axis->set_type(onnx::AttributeProto::INT);
      axis->set_i(1);
    }
    const std::string file = scratch.write("m.onnx", model.bytes());
    const std::string program = scratch.path("m.espl");
    const std::string output = scratch.path("scores.npy");
    const Ran made =
        run_espalier(scratch, {"compile", file, "-o", program, "--config", "nano", "--calibrate",
                               images, "--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25"});
    INFO(made.err);
    REQUIRE(made.code == 0);
    const Ran ran = run_espalier(
        scratch, {"run", program, "--device", "golden", "--images", images, "--output", output});
    INFO(ran.err);
    REQUIRE(ran.code == 0);
    const std::string bytes = tests::slurp(output);
    std::vector<float> values(2 * 4 * tests::kTinySize * tests::kTinySize);
    REQUIRE(bytes.size() > values.size() * sizeof(float));
    std::memcpy(values.data(), &bytes[bytes.size() - values.size() * sizeof(float)],
                values.size() * sizeof(float));
    return values;
  };
  const std::vector<float> logits = scores("");
  const std::vector<float> shares = scores("Softmax");
  const std::vector<float> logarithms = scores("LogSoftmax");
  const std::vector<float> turned = scores("Transpose");
  constexpr std::size_t kPixels = std::size_t{tests::kTinySize} * tests::kTinySize;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const std::size_t image = i / (4 * kPixels) * 4 * kPixels;
    const std::size_t first = image + i % kPixels;
    REQUIRE(turned[image + i % kPixels * 4 + i / kPixels % 4] == logits[i]);
    double sum = 0;
    for (std::size_t c = 0; c < 4; ++c) sum += std::exp(double{logits[first + c * kPixels]});
    const double share = std::exp(double{logits[i]}) / sum;
    REQUIRE(shares[i] == Approx(share).epsilon(1e-4));
    REQUIRE(logarithms[i] == Approx(std::log(share)).epsilon(1e-4).margin(1e-5));
  }
}

TEST_CASE("command: the layers' cycles sum to the total, and utilisation follows from them") {
  const Workplace place;
  if (!has_rtl(place.scratch, "nano")) return tests::skip("this build has no rtl device");
  const json report =
      place.report({"--device", "rtl", "--check", "--mem-stall", "0.2", "--seed", "5"});
  std::uint64_t cycles = 0, macs = 0;
  for (const json& layer : report["layers"]) {
    for (const char* key : {"name", "op", "cycles", "macs", "utilisation"})
      CHECK(layer.contains(key));
    cycles += layer["cycles"].get<std::uint64_t>();
    macs += layer["macs"].get<std::uint64_t>();
  }
  CHECK(cycles == report["cycles"]);
  CHECK(macs == 6 * report["macs_per_image"].get<std::uint64_t>());
  CHECK(report["cycles_per_image"].get<double>() * 6 ==
        Catch::Detail::Approx(static_cast<double>(cycles)));
  const double expected = static_cast<double>(macs) / (16.0 * static_cast<double>(cycles));
  CHECK(std::abs(report["utilisation"].get<double>() - expected) < 1e-9);
  CHECK(report["bytes_read"] > 0);
  CHECK(report["bytes_written"] > 0);
  CHECK(report["simulated_cycles_per_second"] > 0);

  const json calm = place.report({"--device", "rtl"});
  const json slow = place.report({"--device", "rtl", "--mem-latency", "400,300"});
  CHECK(calm["cycles"] < report["cycles"]);
  CHECK(calm["cycles"] < slow["cycles"]);
  const json again =
      place.report({"--device", "rtl", "--check", "--mem-stall", "0.2", "--seed", "5"});
  CHECK(again["cycles"] == report["cycles"]);
}

TEST_CASE("command: the simulator's transfers are those that the machine's bus counts") {
  const Workplace place;
  if (!has_rtl(place.scratch, "nano")) return tests::skip("this build has no rtl device");
  const json iss = place.report({"--device", "iss"}), rtl = place.report({"--device", "rtl"});
  CHECK(iss["bytes_read"] == rtl["bytes_read"]);
  CHECK(iss["bytes_written"] == rtl["bytes_written"]);
}

TEST_CASE("command: a differing value makes the check fail, with exit code 1 and its place") {
  const Workplace place;
  auto program = program::load(place.program);
  REQUIRE(program.ok());
  for (std::uint8_t& byte : program->constants) byte ^= 0x10;
  REQUIRE(program::save(*program, place.program).ok());
  std::vector<std::string> devices{"iss"};
  if (has_rtl(place.scratch, "nano")) devices.push_back("rtl");
  for (const std::string& device : devices) {
    const json report = place.report({"--device", device, "--check"}, 1);
    CHECK(report["mismatches"] > 0);
    CHECK(report["first_mismatch"]["image"] == 0);
    CHECK(report["first_mismatch"]["layer"] == report["layers"][0]["name"]);
    CHECK(report["first_mismatch"]["device"] != report["first_mismatch"]["golden"]);
    const Ran ran =
        place.run({"run", place.program, "--images", place.images, "--device", device, "--check"});
    CHECK(ran.code == 1);
    for (const char* part :
         {"first difference: image 0, layer ", "channel ", "pixel (y ", "golden "}) {
      CHECK(contains(ran.out, part));
    }
  }
  CHECK(place.report({"--device", "iss"})["mismatches"] == 0);  // nobody asked
}

TEST_CASE("command: first and count choose images, and jobs change nothing") {
  const Workplace place;
  const auto scores = [&place](std::vector<std::string> more) {
    more.insert(more.end(), {"--output", place.scratch.path("o.npy")});
    const json report = place.report(more);
    const std::string file = tests::slurp(place.scratch.path("o.npy"));
    const auto bytes = report["images"].get<std::size_t>() * tests::kTinyClasses * 4;
    REQUIRE(file.size() > bytes);
    return file.substr(file.size() - bytes);
  };
  const std::string all = scores({"--device", "golden"});
  REQUIRE(all.size() == 6 * 5 * 4);
  CHECK(scores({"--device", "golden", "--first", "2", "--count", "3"}) ==
        all.substr(2 * 20, 3 * 20));
  CHECK(scores({"--device", "iss", "--first", "5"}) == all.substr(5 * 20));
  CHECK(scores({"--device", "iss", "--jobs", "2", "--check"}) == all);
  CHECK(scores({"--device", "iss", "--seed", "9"}) == all);
  // Softmax is the host's: every image's scores sum to one.
  for (std::size_t i = 0; i < 6; ++i) {
    float sum = 0;
    for (std::size_t c = 0; c < 5; ++c) {
      float value = 0;
      std::memcpy(&value, all.data() + (i * 5 + c) * 4, 4);
      sum += value;
    }
    CHECK(std::abs(sum - 1) < 1e-5F);
  }
}

TEST_CASE("command: labels give top-1, and class names are printed") {
  const tests::Scratch scratch;
  // A network on CIFAR-10's format: the label of every image is what golden says, save for one.
  tests::OnnxWriter writer(3, {1, 3, 32, 32});
  writer.conv("conv", "image", 3, 10, 3, 2);
  writer.node("Relu", "relu", {"conv"});
  writer.node("GlobalAveragePool", "gap", {"relu"});
  const std::string model = scratch.write("m.onnx", writer.bytes());
  std::mt19937_64 random(4);
  std::string cifar;
  for (int i = 0; i < 4 * 3073; ++i) cifar += static_cast<char>(i % 3073 == 0 ? 0 : random() % 256);
  std::string bin = scratch.write("x.bin", cifar);
  const std::string program = scratch.path("m.espl");
  REQUIRE(run_espalier(scratch,
                       {"compile", model, "-o", program, "--config", "tiny", "--calibrate", bin})
              .code == 0);
  Ran ran = run_espalier(
      scratch, {"run", program, "--device", "golden", "--images", bin, "--top", "1", "--json"});
  REQUIRE(ran.code == 0);
  const json top = json::parse(ran.out)["top"];
  for (std::size_t i = 0; i < 4; ++i) {
    const int best = top[i]["classes"][0]["class"];
    cifar[i * 3073] = static_cast<char>(i == 2 ? (best + 1) % 10 : best);
  }
  bin = scratch.write("x.bin", cifar);
  const std::string names =
      scratch.write("names.txt", "zero\none\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\n");
  ran = run_espalier(scratch, {"run", program, "--device", "golden", "--images", bin, "--top", "2",
                               "--classes", names, "--report", scratch.path("r.json")});
  REQUIRE(ran.code == 0);
  CHECK(json::parse(tests::slurp(scratch.path("r.json")))["top1"] == 0.75);
  CHECK(contains(ran.out, "75.00 % (3 of 4)"));
  const std::vector<std::string> words{"zero", "one", "two",   "three", "four",
                                       "five", "six", "seven", "eight", "nine"};
  CHECK(contains(ran.out, words[top[0]["classes"][0]["class"].get<std::size_t>()]));
}

TEST_CASE("command: the float model beside shows little noise, and another network is refused") {
  const Workplace place;
  const json report = place.report({"--device", "golden", "--compare-float", place.model});
  REQUIRE(report["float"]["layers"].size() >= 5);
  for (const json& layer : report["float"]["layers"]) {
    INFO(layer.dump());
    CHECK(layer["sqnr_db"] > 20);
  }
  const std::string other = place.scratch.write("other.onnx", tests::tiny_model(2));
  const json foreign = place.report({"--device", "golden", "--compare-float", other});
  CHECK(foreign["float"]["layers"][0]["sqnr_db"] < 10);  // same shapes, other weights
  tests::OnnxWriter writer(3, {1, 3, 32, 32});
  writer.conv("conv", "image", 3, 10, 3, 2);
  const std::string unlike = place.scratch.write("unlike.onnx", writer.bytes());
  const Ran ran =
      place.run({"run", place.program, "--images", place.images, "--compare-float", unlike});
  CHECK(ran.code == 2);
  CHECK(contains(ran.err, "unlike.onnx: is another network"));
}

TEST_CASE("command: inspect shows layers, memory and every instruction") {
  const Workplace place;
  const auto program = program::load(place.program);
  REQUIRE(program.ok());
  Ran ran = place.run({"inspect", place.program});
  REQUIRE(ran.code == 0);
  for (const auto& layer : program->layers) CHECK(contains(ran.out, layer.name));
  for (const char* part : {"memory map", "activations", "stored tensors", "layers", "softmax"}) {
    CHECK(contains(ran.out, part));
  }
  ran = place.run({"inspect", place.program, "--disassemble"});
  REQUIRE(ran.code == 0);
  const std::string code = ran.out.substr(ran.out.find("\ninstructions\n") + 14);
  const std::size_t count = program::decode_all(*program).size();
  CHECK(static_cast<std::size_t>(std::ranges::count(code, '\n')) == count);
  ran = place.run({"inspect", place.program, "--json", "--disassemble"});
  REQUIRE(ran.code == 0);
  const json parsed = json::parse(ran.out);
  CHECK(parsed["disassembly"].size() == count);
  CHECK(parsed["tensors"].size() == program->placements.size());
}

TEST_CASE("command: compile --dump-after prints what a pass found, before what was made") {
  const Workplace place;
  const std::string output = place.scratch.path("dumped.espl");
  const std::vector<std::string> compile{"compile",     place.model,  "-o",          output,
                                         "--calibrate", place.images, "--dump-after"};
  const auto with = [&](const std::string& pass) {
    std::vector<std::string> arguments = compile;
    arguments.push_back(pass);
    return place.run(arguments);
  };
  Ran ran = with("fuse");
  REQUIRE(ran.code == 0);
  CHECK(ran.out.find("after fuse:\nlayer 0: nodes 0") == 0);
  CHECK(ran.out.find("after ", 1) == std::string::npos);
  CHECK(contains(ran.out, "written to " + output));
  ran = with("all");
  REQUIRE(ran.code == 0);
  for (const char* pass : {"rewrite", "layout", "plan", "refine", "emit", "program"})
    CHECK(contains(ran.out, "after " + std::string(pass) + ":\n"));
  ran = with("sing");
  CHECK(ran.code == 2);
  CHECK(contains(ran.err, "--dump-after: `sing` is no pass; there are rewrite, fuse, layout"));
}

TEST_CASE("command: waves are written where the build has a traced machine") {
  const Workplace place;
  const Ran configs = place.run({"configs", "--json"});
  bool waves = false;
  for (const json& item : json::parse(configs.out))
    waves = waves || (item["name"] == "nano" && item["waves"]);
  const std::string wave = place.scratch.path("w.fst");
  const Ran ran = place.run({"run", place.program, "--images", place.images, "--count", "1",
                             "--device", has_rtl(place.scratch, "nano") ? "rtl" : "iss", "--wave",
                             wave, "--wave-cycles", "500"});
  if (!waves) {
    CHECK(ran.code == 2);
    CHECK(contains(ran.err, "--wave"));
    return;
  }
  REQUIRE(ran.code == 0);
  CHECK(tests::slurp(wave).size() > 1000);
}

TEST_CASE("command: help teaches by examples, and version and tables are there") {
  const tests::Scratch scratch;
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"--help"},
                                                    {"compile", "--help"},
                                                    {"run", "--help"},
                                                    {"inspect", "--help"}}) {
    const Ran ran = run_espalier(scratch, arguments);
    CHECK(ran.code == 0);
    CHECK(contains(ran.out, "examples:\n  espalier "));
    CHECK(ran.err.empty());
  }
  const Ran version = run_espalier(scratch, {"--version"});
  CHECK(version.code == 0);
  CHECK(contains(version.out, "espalier 0."));
  const Ran configs = run_espalier(scratch, {"configs"});
  CHECK(configs.code == 0);
  for (const char* name : {"pico", "nano", "tiny", "edge", "zynq", "wide"})
    CHECK(contains(configs.out, name));
  CHECK(contains(run_espalier(scratch, {"ops"}).out, "GlobalAveragePool"));
}

TEST_CASE("cli: --dense-tiles runs the tiles that are zero as well") {
  const Workplace place;
  onnx::ModelProto model;
  REQUIRE(model.ParseFromString(tests::tiny_model()));
  for (auto& tensor : *model.mutable_graph()->mutable_initializer()) {
    // Twelve of 20 output channels: three blocks of four lanes, in every tap.
    if (tensor.name() == "conv3.w")
      std::fill_n(tensor.mutable_float_data()->begin(), 12 * 72, 0.0F);
  }
  const std::string zeroed = place.scratch.write("zeroed.onnx", model.SerializeAsString());
  const auto profile = [&](const std::string& program, const std::vector<std::string>& more) {
    std::vector<std::string> arguments{"compile", zeroed,   "-o",          program,     "--config",
                                       "nano",    "--json", "--calibrate", place.images};
    arguments.insert(arguments.end(), more.begin(), more.end());
    REQUIRE(place.run(arguments).code == 0);
    const Ran ran = place.run({"profile", program, "--json"});
    REQUIRE(ran.code == 0);
    return json::parse(ran.out);
  };
  const std::string sparse = place.scratch.path("sparse.espl");
  const std::string dense = place.scratch.path("dense.espl");
  const json without = profile(sparse, {}), with = profile(dense, {"--dense-tiles"});
  // The last tile of a CONV runs whatever it holds, so four of the 54 do.
  CHECK(without["tiles_skipped"].get<int>() >= 3 * 9 * 2 - 4);
  CHECK(with["tiles_skipped"] == 0);
  CHECK(with["tiles"] == 0);
  CHECK(with["estimate"] > without["estimate"]);
  const auto scores = [&](const std::string& program) {
    const std::string output = place.scratch.path("scores.npy");
    REQUIRE(place
                .run({"run", program, "--images", place.images, "--device", "iss", "--check",
                      "--output", output})
                .code == 0);
    return tests::slurp(output);
  };
  CHECK(scores(sparse) == scores(dense));
}
