// No command writes over what it reads, or over what it has just written: all pairs of the options
// that name files, however the one file is spelled.

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <regex>
#include <set>

#include "catch.hpp"
#include "process.hpp"
#include "tiny_model.hpp"

using namespace espalier;
using tests::Ran;
using tests::run_espalier;

namespace {

namespace fs = std::filesystem;

/// A subcommand with all of its options that name files.
struct Command {
  std::vector<std::string> words;     ///< up to the first option
  std::vector<std::string> reads;     ///< options; one that starts with a capital is positional
  std::vector<std::string> writes;    ///< options, with those whose names are derived
  std::vector<std::string> settings;  ///< what else it needs
};

std::vector<Command> commands() {
  return {
      {{"compile"}, {"MODEL", "--calibrate", "--prune", "--environment"}, {"--output"}, {}},
      {{"quantise"}, {"MODEL", "--calibrate"}, {"--output"}, {}},
      {{"prune"}, {"MODEL", "--mask", "--calibrate"}, {"--output"}, {}},
      {{"mask", "random"}, {"PROGRAM"}, {"--output"}, {}},
      {{"mask", "magnitude"}, {"PROGRAM"}, {"--output"}, {}},
      {{"mask", "zeroed"}, {"PROGRAM"}, {"--output"}, {}},
      {{"mask", "overlay"}, {"PROGRAM"}, {"--output"}, {}},
      {{"mask", "show"}, {"MASK", "PROGRAM"}, {}, {}},
      {{"score"}, {"PROGRAM", "--images", "--labels"}, {"--output", "--backward"}, {}},
      {{"personalise"},
       {"PROGRAM", "--images", "--labels"},
       {"--output", "--program", "--scores", "--patch", "--svg", "--answers"},
       {"--classes", "1,2"}},
      {{"run"},
       {"PROGRAM", "--images", "--mask", "--patch", "--overlay", "--environment", "--classes",
        "--compare-float"},
       {"--report", "--output", "--wave"},
       {}},
      {{"profile"},
       {"PROGRAM", "--images", "--mask", "--patch", "--overlay"},
       {"--report", "--csv"},
       {}},
      {{"inspect"}, {"PROGRAM"}, {}, {}},
      {{"images", "degrade"}, {"IMAGES"}, {"--output"}, {"--jpeg", "10"}},
  };
}

/// Options whose values are files by what --help says that they take.
std::set<std::string> file_options(const std::string& help) {
  static const std::regex line(R"(^  (?:-o,)?([A-Z]+|--[a-z-]+) ([^\s=]+))");
  std::set<std::string> found;
  std::size_t at = 0;
  while (at < help.size()) {
    const std::size_t end = std::min(help.find('\n', at), help.size());
    const std::string text = help.substr(at, end - at);
    at = end + 1;
    std::smatch match;
    if (!std::regex_search(text, match, line)) continue;
    const std::string type = match[2];
    const bool file = type == "FILE" || type == "IMAGES" || type == "MODEL" || type == "LABELS" ||
                      std::regex_match(type, std::regex(R"([A-Z]+\.[a-z]+)"));
    if (file && match[1] != "--buffer") found.insert(match[1]);  // --buffer names a device
  }
  return found;
}

/// Files of a folder with their bytes.
std::vector<std::pair<std::string, std::string>> contents(const fs::path& folder) {
  std::vector<std::pair<std::string, std::string>> list;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_regular_file() && name != "stdout" && name != "stderr")
      list.emplace_back(entry.path().string(), tests::slurp(entry.path().string()));
  }
  std::ranges::sort(list);
  return list;
}

struct Workplace {
  tests::Scratch scratch;
  fs::path folder = fs::path(scratch.path("x")).parent_path();

  Workplace() {
    fs::create_directories(folder / "sub");
    fs::create_directory_symlink(folder, folder / "sub" / "way");
  }
  /// Runs a command with these values of options; files for the others.
  [[nodiscard]] Ran run(const Command& command,
                        const std::vector<std::pair<std::string, std::string>>& values) const {
    std::vector<std::string> arguments = command.words;
    std::set<std::string> named;
    for (const auto& [option, value] : values) named.insert(option);
    for (const auto* list : {&command.reads, &command.writes}) {
      for (const std::string& option : *list) {
        std::string value;
        for (const auto& [name, given] : values) value = name == option ? given : value;
        if (value.empty()) {
          if (option[0] == '-' && option != "--output" && option != "--images") continue;
          if (option == "--output" && command.words[0] == "run") continue;
          value = list == &command.reads ? scratch.write("other.in", "other")
                                         : scratch.path("other.out");
        }
        if (option[0] == '-') arguments.push_back(option);
        arguments.push_back(value);
        // --patch needs --mask.
        if (option == "--patch" && list == &command.reads && !named.contains("--mask"))
          arguments.insert(arguments.end(), {"--mask", scratch.write("other.mask", "mask")});
      }
    }
    arguments.insert(arguments.end(), command.settings.begin(), command.settings.end());
    return run_espalier(scratch, arguments);
  }
};

/// Ways to name the file `name` of a folder, given that it is there.
std::vector<std::string> spellings(const fs::path& folder, const std::string& name, bool there) {
  const std::string whole = (folder / name).string();
  std::vector<std::string> list{
      whole, (folder / "." / name).string(), (folder / "sub" / ".." / name).string(),
      (folder / "sub" / "way" / name).string(), fs::relative(whole).string()};
  const auto fresh = [&](const std::string& link) {
    fs::remove(folder / link);
    return folder / link;
  };
  fs::create_symlink(whole, fresh("soft"));
  list.push_back((folder / "soft").string());
  fs::create_symlink("soft", fresh("softer"));
  list.push_back((folder / "softer").string());
  if (there) {
    fs::create_hard_link(whole, fresh("hard"));
    list.push_back((folder / "hard").string());
  }
  return list;
}

}  // namespace

TEST_CASE("command: the test of files knows all options that name files") {
  const tests::Scratch scratch;
  std::size_t options = 0;
  for (const Command& command : commands()) {
    std::vector<std::string> arguments = command.words;
    arguments.emplace_back("--help");
    const Ran ran = run_espalier(scratch, arguments);
    REQUIRE(ran.code == 0);
    std::set<std::string> known(command.reads.begin(), command.reads.end());
    known.insert(command.writes.begin(), command.writes.end());
    INFO(command.words.back());
    CHECK(file_options(ran.out) == known);
    options += known.size();
  }
  CHECK(options > 40);
  const Ran all = run_espalier(scratch, {"--help"});
  for (const std::string name : {"ops", "configs"})  // which name no file
    CHECK(all.out.find("  " + name) != std::string::npos);
}

TEST_CASE("command: two files that are one are refused before any work, however they are spelled") {
  const Workplace place;
  std::size_t pairs = 0;
  for (const Command& command : commands()) {
    for (const std::string& written : command.writes) {
      for (const bool output : {false, true}) {
        for (const std::string& other : output ? command.writes : command.reads) {
          if (other == written) continue;
          // A file of another name stands for what is read; for two outputs it may not be there.
          for (const bool there : {true, false}) {
            if (!output && !there) continue;
            fs::remove(place.folder / "one.file");
            if (there) (void)place.scratch.write("one.file", "what was there");
            for (const std::string& spelling : spellings(place.folder, "one.file", there)) {
              const std::string plain = (place.folder / "one.file").string();
              const auto before = contents(place.folder);
              const Ran ran = place.run(command, {{other, plain}, {written, spelling}});
              INFO(command.words.back()
                   << " " << other << " " << plain << " " << written << " " << spelling << "\n"
                   << ran.err);
              CHECK(ran.code == 2);
              CHECK(ran.out.empty());
              const std::string what = output ? " writes too" : " reads";
              CHECK(ran.err.find("is the file that ") != std::string::npos);
              CHECK(ran.err.find(what) != std::string::npos);
              CHECK(ran.err.find("give it a name of its own") != std::string::npos);
              std::vector<std::string> names{written, other};
              for (const std::string& name : names) CHECK(ran.err.find(name) != std::string::npos);
              // The run writes other.in and the like itself; what was there has not changed.
              for (const auto& [file, bytes] : before) CHECK(tests::slurp(file) == bytes);
              ++pairs;
            }
          }
        }
      }
    }
  }
  CHECK(pairs > 500);
}

TEST_CASE("command: a name that personalise derives is no other file's") {
  const Workplace place;
  const std::string program = place.scratch.write("net.espl", "a program");
  const std::string images = place.scratch.write("images.bin", "");
  const auto refused = [&](const std::string& output, const std::vector<std::string>& more,
                           const std::string& message) {
    std::vector<std::string> arguments{"personalise", program, "--images", images,
                                       "--classes",   "1,2",   "-o",       output};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Ran ran = run_espalier(place.scratch, arguments);
    INFO(ran.err);
    CHECK(ran.code == 2);
    CHECK(ran.err.find(message) != std::string::npos);
    CHECK(tests::slurp(program) == "a program");
  };
  const std::string folder = place.folder.string() + "/";
  refused(folder + "u.espl", {}, "--program: " + folder + "u.espl is the file that --output");
  refused(folder + "u.scores", {}, "--scores: " + folder + "u.scores is the file that --output");
  refused(folder + "net.mask", {}, "--program: " + folder + "net.espl is the file that PROGRAM");
  refused(folder + "u.mask", {"--svg", folder + "u.espl"}, "u.espl is the file that");
  refused("/dev/null", {}, "--program: is missing: /dev/null is no file to name it after");
}

TEST_CASE("command: weights that a model keeps in a file beside it stay") {
  const Workplace place;
  onnx::ModelProto model;
  REQUIRE(model.ParseFromString(tests::tiny_model()));
  auto* weights = model.mutable_graph()->mutable_initializer(0);
  weights->clear_float_data();
  weights->set_data_location(onnx::TensorProto::EXTERNAL);
  auto* entry = weights->add_external_data();
  entry->set_key("location");
  entry->set_value("weights.bin");
  const std::string file = place.scratch.write("big.onnx", model.SerializeAsString());
  const std::string data = place.scratch.write("weights.bin", "weights");
  for (const std::string& output :
       {data, (place.folder / "sub" / "way" / "weights.bin").string()}) {
    const Ran ran = run_espalier(place.scratch, {"compile", file, "-o", output});
    INFO(ran.err);
    CHECK(ran.code == 2);
    CHECK(ran.err.find("is the file that MODEL") != std::string::npos);
    CHECK(tests::slurp(data) == "weights");
  }
}

TEST_CASE("command: devices and pipes take several outputs, and a wave's own name is kept free") {
  const Workplace place;
  const std::string model = place.scratch.write("tiny.onnx", tests::tiny_model());
  const std::string images = place.scratch.write("images.npy", tests::tiny_images(3));
  const std::string program = place.scratch.path("tiny.espl");
  REQUIRE(run_espalier(place.scratch,
                       {"compile", model, "-o", program, "--config", "nano", "--calibrate", images})
              .code == 0);
  const Ran two = run_espalier(place.scratch,
                               {"profile", program, "--report", "/dev/null", "--csv", "/dev/null"});
  CHECK(two.code == 0);
  const Ran wave = run_espalier(place.scratch, {"run", program, "--images", images, "--lockstep",
                                                "--report", "tiny.lockstep.fst"});
  CHECK(wave.code == 2);
  CHECK(wave.err.find("is the file that --report writes too") != std::string::npos);
}

TEST_CASE("command: folders are no files to write, and pictures that are read stay") {
  const Workplace place;
  const std::string program = place.scratch.write("net.espl", "a program");
  (void)place.scratch.write("photos/a.png", "a picture");
  (void)place.scratch.write("classes/cat/a.jpg", "a picture");
  const std::string folder = place.folder.string();
  const auto refused = [&](const std::string& images, const std::string& output,
                           const std::string& message) {
    const Ran ran = run_espalier(place.scratch, {"run", program, "--images", folder + "/" + images,
                                                 "--output", folder + "/" + output});
    INFO(ran.err);
    CHECK(ran.code == 2);
    CHECK(ran.err.find(message) != std::string::npos);
    CHECK(tests::slurp(folder + "/photos/a.png") == "a picture");
    CHECK(tests::slurp(folder + "/classes/cat/a.jpg") == "a picture");
  };
  refused("photos", "photos/a.png", "a.png is a picture in " + folder + "/photos, which --images");
  refused("classes", "sub/way/classes/cat/a.jpg", "is a picture in ");
  refused("photos", "photos", "is the file that --images reads");
  refused("photos", "sub", "sub: is a folder");
  refused("photos", "none/o.npy", "o.npy: cannot be written: there is no folder " + folder);
}
