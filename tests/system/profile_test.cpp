// `espalier profile`, `run --lockstep`, `run --jobs`, and what an interrupt leaves.

#include <cmath>
#include <csignal>
#include <ctime>
#include <nlohmann/json.hpp>
#include <sstream>

#include "catch.hpp"
#include "process.hpp"
#include "program/program.hpp"
#include "skip.hpp"
#include "tiny_model.hpp"

using namespace espalier;
using nlohmann::json;
using tests::Ran;

namespace {

struct Workplace {
  tests::Scratch scratch;
  std::string images = scratch.write("images.npy", tests::tiny_images(6));
  std::string program = scratch.path("tiny.espl");
  bool rtl = false;

  Workplace() {
    const std::string model = scratch.write("tiny.onnx", tests::tiny_model());
    const Ran ran = run({"compile", model, "-o", program, "--config", "nano", "--calibrate", images,
                         "--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25"});
    INFO(ran.err);
    REQUIRE(ran.code == 0);
    for (const json& item : json::parse(run({"configs", "--json"}).out))
      rtl = rtl || (item["name"] == "nano" && item["rtl"]);
  }
  [[nodiscard]] Ran run(const std::vector<std::string>& arguments) const {
    return tests::run_espalier(scratch, arguments);
  }
  [[nodiscard]] json report(std::vector<std::string> arguments, int code = 0) const {
    const std::string file = scratch.path("report.json");
    arguments.insert(arguments.end(), {"--report", file});
    const Ran ran = run(arguments);
    INFO(ran.err);
    REQUIRE(ran.code == code);
    return json::parse(tests::slurp(file));
  }
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("command: profile tells cycles by layer and cause as table, CSV and JSON") {
  const Workplace place;
  const std::string csv = place.scratch.path("layers.csv");
  const json report = place.report({"profile", place.program, "--csv", csv});
  CHECK(report["device"].is_null());
  CHECK(report["cycles"].is_null());
  CHECK(report["error"].is_null());
  const auto estimate = report["estimate"].get<std::int64_t>();
  CHECK(static_cast<double>(estimate) >= report["bound"].get<double>());
  std::int64_t cycles = 0;
  double bound = 0;
  for (const json& layer : report["layers"]) {
    std::int64_t causes = 0;
    for (const auto& cause : layer["estimate_by_cause"].items())
      causes += cause.value().get<std::int64_t>();
    CHECK(causes == layer["estimate"].get<std::int64_t>());
    cycles += causes;
    bound += layer["bound"].get<double>();
  }
  CHECK(cycles == estimate);
  CHECK(std::abs(bound - report["bound"].get<double>()) < 0.01);

  std::istringstream lines(tests::slurp(csv));
  std::string line;
  std::getline(lines, line);
  CHECK(line.starts_with("layer,operator,macs,estimate,bound,"));
  std::size_t count = 0;
  while (std::getline(lines, line)) ++count;
  CHECK(count == report["layers"].size());

  const Ran table = place.run({"profile", place.program});
  CHECK(contains(table.out, "bound"));
  CHECK(contains(table.out, "weights"));
  const json slow = place.report({"profile", place.program, "--mem-latency", "200"});
  CHECK(slow["estimate"].get<std::int64_t>() > estimate);
}

TEST_CASE(
    "command: times are the cycles at the clock that is asked for, or at the configuration's") {
  const Workplace place;
  double stated = 0;
  for (const json& item : json::parse(place.run({"configs", "--json"}).out)) {
    CHECK(item["mhz"].get<double>() > 0);
    if (item["name"] == "nano") stated = item["mhz"];
  }
  const auto check = [](const json& report, double mhz, double cycles) {
    CHECK(report["mhz"] == mhz);
    CHECK(std::abs(report["ms_per_image"].get<double>() / (cycles / mhz / 1e3) - 1) < 1e-9);
    CHECK(std::abs(report["images_per_second"].get<double>() / (mhz * 1e6 / cycles) - 1) < 1e-9);
  };
  const json own = place.report({"profile", place.program});
  check(own, stated, own["estimate"].get<double>());
  const json slow = place.report({"profile", place.program, "--mhz", "12.5"});
  check(slow, 12.5, own["estimate"].get<double>());
  CHECK(contains(place.run({"profile", place.program, "--mhz", "12.5"}).out, "at 12.5 MHz"));
  // A device without cycles has no time.
  const json none = place.report(
      {"run", place.program, "--images", place.images, "--device", "iss", "--mhz", "12.5"});
  CHECK(none["mhz"] == 12.5);
  CHECK(none["ms_per_image"].is_null());
  CHECK(none["images_per_second"].is_null());
  for (const std::string bad : {"0", "-1", "x", "nan"})
    CHECK(place.run({"profile", place.program, "--mhz", bad}).code == 2);
  if (!place.rtl) return;
  const json ran =
      place.report({"run", place.program, "--images", place.images, "--device", "rtl"});
  check(ran, stated, ran["cycles_per_image"].get<double>());
  const json measured = place.report(
      {"profile", place.program, "--device", "rtl", "--images", place.images, "--mhz", "200"});
  check(measured, 200, measured["cycles_per_image"].get<double>());
}

TEST_CASE("command: profile measures, and refuses what makes no sense") {
  const Workplace place;
  CHECK(place.run({"profile", place.program, "--device", "rtl"}).code == 2);
  CHECK(place.run({"profile", place.program, "--images", place.images}).code == 2);
  CHECK(place.run({"profile", place.program, "--check"}).code == 2);
  CHECK(place.run({"profile", place.scratch.path("none.espl")}).code == 2);
  if (!place.rtl) return;
  const json report = place.report(
      {"profile", place.program, "--device", "rtl", "--images", place.images, "--check"});
  CHECK(report["images"] == 1);
  CHECK(report["mismatches"] == 0);
  CHECK(report["values_checked"] > 1000);
  CHECK(std::abs(report["error"].get<double>()) < 0.01);
  CHECK(report["estimated_bytes_read"] == report["bytes_read"]);
  CHECK(report["wall_seconds"] > 0);
  CHECK(place
            .run({"profile", place.program, "--device", "rtl", "--images", place.images, "--first",
                  "6"})
            .code == 2);
}

TEST_CASE("command: lockstep agrees, and names a LOAD of wrong weights with golden's help") {
  const Workplace place;
  const std::vector<std::string> lockstep{"run",     place.program, "--images",   place.images,
                                          "--count", "2",           "--lockstep", "--check"};
  if (!place.rtl) {
    CHECK(place.run(lockstep).code == 2);
    return;
  }
  const json right = place.report(lockstep);
  CHECK(right["lockstep"]["difference"].is_null());
  CHECK(right["lockstep"]["instructions"] > 10);
  CHECK(right["images"] == 2);
  CHECK(right["values_checked"] > 1000);

  auto program = program::load(place.program);
  REQUIRE(program.ok());
  std::vector<isa::Instruction> list = program::decode_all(*program);
  std::size_t at = 0;
  for (bool found = false; !found; ++at) {
    auto* load = std::get_if<isa::Load>(&list[at]);
    found =
        load != nullptr && load->target == static_cast<std::uint32_t>(isa::LoadTarget::kWeights);
    if (found) load->offset += 16;
  }
  --at;
  program->instructions.clear();
  for (const isa::Instruction& instruction : list) isa::encode(instruction, program->instructions);
  const std::string broken = place.scratch.path("broken.espl");
  REQUIRE(program::save(*program, broken).ok());
  const std::string wave = place.scratch.path("last.fst");
  const json wrong = place.report({"run", broken, "--images", place.images, "--count", "2",
                                   "--lockstep", "--check", "--wave", wave},
                                  1);
  const json& difference = wrong["lockstep"]["difference"];
  REQUIRE(difference.is_object());
  CHECK(difference["image"] == 0);
  bool named = false;
  for (const json& line : difference["chain"])
    named = named || line.get<std::string>().starts_with("instruction " + std::to_string(at) + ":");
  CHECK(named);
  CHECK(contains(difference["what"], "golden"));
  CHECK(difference["wave"] == wave);
  CHECK(tests::slurp(wave).size() > 1000);
  CHECK(place.run({"run", place.program, "--images", place.images, "--device", "iss", "--lockstep"})
            .code == 2);
}

TEST_CASE("command: several processes give the report of one") {
  const Workplace place;
  const std::string device = place.rtl ? "rtl" : "iss";
  const std::vector<std::string> run{"run",      place.program, "--images", place.images,
                                     "--device", device,        "--check"};
  json one = place.report(run);
  auto more = run;
  more.insert(more.end(), {"--jobs", "4"});
  json four = place.report(more);
  // One machine runs its images without a gap between them; four have one each, or two.
  if (place.rtl) CHECK(one["cycles"] < four["cycles"]);
  CHECK(one["counters"]["write_beats"] == four["counters"]["write_beats"]);
  for (json* report : {&one, &four}) {
    for (const char* key :
         {"cpu_seconds", "simulated_cycles_per_second", "cycles", "cycles_per_image",
          "ms_per_image", "images_per_second", "utilisation", "counters", "bytes_read", "layers"})
      report->erase(key);
  }
  CHECK(one == four);
}

TEST_CASE("command: an interrupt leaves a valid report of what was done") {
  const Workplace place;
  if (!place.rtl) return tests::skip("this build has no rtl device");
  const std::string report = place.scratch.path("cut.json");
  // Runs for so long, then sends the signal; gives the exit code.
  const auto cut = [&](int signal, const char* jobs, int milliseconds) {
    std::vector<std::string> arguments{ESPALIER_BINARY, "run",     place.program, "--images",
                                       place.images,    "--check", "--jobs",      jobs,
                                       "--mem-latency", "9000",    "--report",    report};
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    const pid_t child = fork();
    if (child == 0) {
      dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO);
      execv(argv[0], argv.data());
      _exit(127);
    }
    const timespec while_it_works{milliseconds / 1000, milliseconds % 1000 * 1'000'000L};
    nanosleep(&while_it_works, nullptr);
    kill(child, signal);
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  };
  for (const int signal : {SIGINT, SIGTERM}) {
    for (const char* jobs : {"1", "2"}) {
      INFO("signal " << signal << ", jobs " << jobs);
      json cut_short;
      // A busy host may take its time to begin.
      for (int milliseconds = 200; milliseconds < 40'000; milliseconds *= 2) {
        if (cut(signal, jobs, milliseconds) != 128 + signal) continue;
        cut_short = json::parse(tests::slurp(report));
        if (!cut_short["partial"].empty()) break;
      }
      REQUIRE(cut_short.is_object());
      CHECK(cut_short["interrupted"] == signal);
      CHECK(cut_short["images"] < 6);
      CHECK(cut_short["mismatches"] == 0);
      REQUIRE_FALSE(cut_short["partial"].empty());
      CHECK(cut_short["partial"][0]["cycles"] > 0);
    }
  }
}
