// The command `espalier-automask`.

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <exception>
#include <filesystem>
#include <memory>
#include <new>

#include "automask/files.hpp"
#include "automask/model.hpp"
#include "automask/train.hpp"
#include "base/integers.hpp"
#include "base/numbers.hpp"
#include "base/processor.hpp"
#include "base/whole_file.hpp"

namespace {

using namespace espalier;
using namespace espalier::automask;

constexpr int kOk = 0, kBadInput = 2, kInterrupted = 128;  // as `espalier` has them

constexpr const char* kFooter =
    "examples:\n"
    "  espalier-automask train net.espl --images data_batch_1.bin --images data_batch_2.bin -o "
    "jpeg.env\n"
    "  espalier-automask train resnet20.onnx --calibrate data_batch_5.bin --mean "
    "0.485,0.456,0.406 \\\n"
    "                    --std 0.229,0.224,0.225 --images data_batch_1.bin -o jpeg.env\n"
    "  espalier-automask train net.espl --images dark/ --clean photos/ --labels none -o dark.env\n"
    "  espalier-automask compare net.espl --images data_batch_1.bin -o compared\n"
    "  espalier run net.espl --device golden --environment jpeg.env --images test_batch.bin\n"
    "\n"
    "exit codes: 0 done; 2 a file, a model or an option is at fault";

volatile std::sig_atomic_t signal_seen = 0;

std::string printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  return text;
}

int complain(const Diagnostic& diagnostic) {
  if (!diagnostic.message.empty())
    fmt::print(stderr, "espalier-automask: {}\n", printable(diagnostic.text()));
  return kBadInput;
}

struct Arguments {
  ModelOptions model;
  std::string calibrate, count, mean, std;
  Options train;
  std::vector<std::string> what{"2:4+bias+scale"};
  std::string labels = "given", device = "cpu", output, curve;
  std::uint64_t images = 0;
  bool no_flip = false;
};

/// A bar on stderr where that is a terminal.
class Bar {
 public:
  explicit Bar(int epochs) : epochs_(epochs), start_(now()) {}
  void show(int epoch, std::size_t done, std::size_t of) {
    if (isatty(STDERR_FILENO) == 0) return;
    if (first_ < 0) first_ = epoch;
    const double part = static_cast<double>(done) / static_cast<double>(of);
    const double passed = epoch - first_ + part, left = epochs_ - epoch - part;
    fmt::print(stderr, "\r\x1b[Kepoch {}/{}  {}/{}  {:.0f} s left", epoch + 1, epochs_, done, of,
               passed > 0 ? (now() - start_) / passed * left : 0);
    std::fflush(stderr);
  }
  static void wipe() {
    if (isatty(STDERR_FILENO) != 0) fmt::print(stderr, "\r\x1b[K");
  }

 private:
  static double now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }
  int epochs_, first_ = -1;
  double start_;
};

/// The options of `compile` that a model which is no program needs.
void read_model(Arguments& a, const std::string& beside) {
  if (a.model.program.empty())
    a.model.program = std::filesystem::path(beside).replace_extension(".espl").string();
  for (const auto& [name, value] :
       {std::pair("--calibrate", &a.calibrate), std::pair("--count", &a.count),
        std::pair("--mean", &a.mean), std::pair("--std", &a.std)}) {
    if (!value->empty()) a.model.compile.insert(a.model.compile.end(), {name, *value});
  }
}

/// Errors: those of check_files; the model's program is written where the model is none.
Status check_names(const Arguments& a, std::vector<NamedFile> written) {
  std::vector<NamedFile> read{{"MODEL", a.model.model}, {"--calibrate", a.calibrate}};
  for (const std::string& path : a.train.images) read.push_back({"--images", path});
  for (const std::string& path : a.train.clean) read.push_back({"--clean", path});
  if (!is_program(a.model.model)) written.push_back({"--program", a.model.program});
  return check_files(read, written);
}

Result<Trained> train_one(const ir::QuantGraph& graph, const Arguments& a, const Options& options) {
  Bar bar(options.epochs);
  Watch watch;
  watch.progress = [&bar](int epoch, std::size_t done, std::size_t of) {
    bar.show(epoch, done, of);
  };
  watch.epoch = [&](int epoch, const Epoch& e) {
    Bar::wipe();
    fmt::print("  epoch {}/{}: loss {:.4f}, held back {:.4f}", epoch + 1, options.epochs, e.loss,
               e.held_loss);
    if (a.labels == "given" || !options.clean.empty())
      fmt::print(", {:.2f} % {}", 100 * e.held_accuracy,
                 a.labels == "given" ? "right" : "as the teacher");
    fmt::print(", {:.0f} s\n", e.seconds);
    std::fflush(stdout);
  };
  watch.signal = [] { return static_cast<int>(signal_seen); };
  auto trained = automask::train(graph, options, watch);
  Bar::wipe();
  return trained;
}

Status keep(const Arguments& a, const Trained& trained, const std::string& path,
            const std::string& title) {
  if (const Status s = environment::save(trained.environment, path); !s) return s;
  if (a.curve.empty()) return {};
  return write_file(a.curve, to_svg(trained, title));
}

std::string kept(const environment::Environment& environment) {
  if (environment.count() == 0) return "no mask";
  return fmt::format("{} of {} masked weights stay, {:.1f} %", grouped(environment.live()),
                     grouped(environment.count()),
                     100 * ratio(environment.live(), environment.count()));
}

int run_train(Arguments& a) {
  if (a.what.size() > 1)
    return complain(fail(ErrorCode::kUsage, "one is trained; `compare` takes several", "--what"));
  const auto what = parse_what(a.what[0]);
  if (!what) return complain(what.error());
  a.train.what = *what;
  read_model(a, a.output);
  if (a.train.state.empty()) a.train.state = a.output + ".state";
  if (const Status s =
          check_names(a, {{"-o", a.output}, {"--state", a.train.state}, {"--curve", a.curve}});
      !s)
    return complain(s.error());
  const auto graph = load_model(a.model);
  if (!graph) return complain(graph.error());
  fmt::print("{} of {}, {} epochs, seed {}\n", what->text(), graph->name, a.train.epochs,
             a.train.seed);
  std::fflush(stdout);
  const auto trained = train_one(*graph, a, a.train);
  if (!trained) return complain(trained.error());
  if (trained->interrupted != 0) {
    fmt::print(stderr, "espalier-automask: stopped after {} epochs; --resume goes on from {}\n",
               trained->epochs.size(), a.train.state);
    return kInterrupted + trained->interrupted;
  }
  const Status s = keep(a, *trained, a.output, what->text() + " of " + graph->name);
  if (!s) return complain(s.error());
  if (trained->broken) {
    (void)complain(*trained->broken);
    fmt::print(stderr, "espalier-automask: {}: holds the last good epoch, {}\n", a.output,
               trained->best);
    return kBadInput;
  }
  std::error_code ignored;
  std::filesystem::remove(a.train.state, ignored);
  fmt::print("{}: {}; of {} images {} were held back, epoch {} was best there\n", a.output,
             kept(trained->environment), grouped(trained->learnt + trained->held),
             grouped(trained->held), trained->best);
  if (trained->adapted.of != 0) {
    fmt::print("held back, in int8 on golden: {:.2f} % right, {:.2f} % without it\n",
               trained->adapted.percent(), trained->frozen.percent());
  }
  return kOk;
}

int run_compare(Arguments& a) {
  std::error_code error;
  std::filesystem::create_directories(a.output, error);
  if (error) return complain(fail(ErrorCode::kIo, error.message(), a.output));
  std::vector<What> list;
  for (const std::string& text : a.what) {
    const auto what = parse_what(text);
    if (!what) return complain(what.error());
    list.push_back(*what);
  }
  read_model(a, a.output + "/model.espl");
  const auto graph = load_model(a.model);
  if (!graph) return complain(graph.error());
  std::string table =
      "| trained | weights that stay | held back, right | in int8 on golden | s |\n"
      "|---|---|---|---|---|\n";
  for (const What& what : list) {
    Options options = a.train;
    options.what = what;
    fmt::print("{} of {}\n", what.text(), graph->name);
    std::string file = what.text();
    std::ranges::replace(file, ':', '-');
    const std::string path = a.output + "/" + file + ".env";
    options.state = path + ".state";
    // A part that was stopped goes on, one that was not begun begins.
    options.resume = a.train.resume && std::filesystem::exists(options.state, error);
    const auto trained = train_one(*graph, a, options);
    if (!trained) return complain(trained.error());
    if (trained->interrupted != 0) {
      fmt::print(stderr, "espalier-automask: stopped; --resume goes on\n");
      return kInterrupted + trained->interrupted;
    }
    if (const Status s = environment::save(trained->environment, path); !s)
      return complain(s.error());
    const auto& environment = trained->environment;
    const Epoch& best = trained->best == 0
                            ? trained->before
                            : trained->epochs[static_cast<std::size_t>(trained->best) - 1];
    double seconds = 0;
    for (const Epoch& epoch : trained->epochs) seconds += epoch.seconds;
    table += fmt::format(
        "| {} | {:.1f} % | {:.2f} % | {:.2f} % | {:.0f} |\n", what.text(),
        environment.count() == 0 ? 100 : 100 * ratio(environment.live(), environment.count()),
        100 * best.held_accuracy, trained->adapted.percent(), seconds);
    if (&what == &list.back())
      table += fmt::format("| nothing | 100.0 % | | {:.2f} % | |\n", trained->frozen.percent());
  }
  fmt::print("\n{}", table);
  return kOk;
}

void add_options(CLI::App& command, Arguments& a) {
  command
      .add_option("MODEL", a.model.model,
                  "program of the clean model, or ONNX or TensorFlow Lite file")
      ->type_name("P.espl")
      ->required();
  command.add_option("--images", a.train.images, "degraded images to learn from; several times")
      ->type_name("IMAGES")
      ->required()
      ->allow_extra_args(false);
  command.add_option("--learn", a.images, "take at most so many of them, the first")
      ->type_name("N")
      ->check(CLI::Range(2, 100'000'000));
  command.add_option("--labels", a.labels, "given: learn from the images' labels; none: without")
      ->check(CLI::IsMember({"given", "none"}))
      ->capture_default_str();
  command
      .add_option("--clean", a.train.clean,
                  "with --labels none: the same pictures, not degraded, on which the clean model "
                  "teaches")
      ->type_name("IMAGES")
      ->allow_extra_args(false);
  command
      .add_option("--what", a.what,
                  "what is trained, parts joined by `+`: 2:4 or weights (masks), one-shot (the "
                  "mask\nstays as magnitudes choose it), bias, scale; or none: what the pictures "
                  "look like is kept alone")
      ->type_name("PARTS")
      ->capture_default_str()
      ->allow_extra_args(false);
  command.add_option("--epochs", a.train.epochs, "times that every image is learnt from")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  command.add_option("--batch", a.train.batch, "images a step")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  command.add_option("--mask-rate", a.train.mask_rate, "Adam's rate, of masks")
      ->check(CLI::Range(0.0, 3e37, "0..3e37"))
      ->capture_default_str();
  command.add_option("--rate", a.train.rate, "Adam's rate, of biases and scales")
      ->check(CLI::Range(0.0, 3e37, "0..3e37"))
      ->capture_default_str();
  command
      .add_option("--held", a.train.held,
                  "share of the images, the last, that is held back to choose the epoch by")
      ->check(CLI::Range(0.001, 0.9))
      ->capture_default_str();
  command.add_flag("--no-flip", a.no_flip, "mirror no pictures");
  command.add_option("--shift", a.train.shift, "move pictures by up to so many pixels")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  command.add_option("--seed", a.train.seed, "the same seed gives the same file, on one thread")
      ->capture_default_str();
  command.add_option("--threads", a.train.threads, "of LibTorch")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command.add_option("--device", a.device, "cpu, or cuda where LibTorch has it")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->capture_default_str();
  command.add_flag("--resume", a.train.resume, "go on from the state of a run that was stopped");
  command
      .add_option(
          "--program", a.model.program,
          "file for the program of a MODEL that is none (that of the environment, ending in "
          ".espl)")
      ->type_name("P.espl");
  command.add_option("--calibrate", a.calibrate,
                     "for MODEL that is a float model, as `espalier compile` has it");
  command.add_option("--count", a.count, "likewise");
  command.add_option("--mean", a.mean, "likewise");
  command.add_option("--std", a.std, "likewise");
}

int start(int argc, char** argv) {
  CLI::App app(
      "Trains masks, biases and scales over a model's frozen int8 weights, for one kind of\n"
      "degraded pictures.",
      "espalier-automask");
  app.set_version_flag("--version", "espalier-automask " ESPALIER_VERSION);
  app.require_subcommand(1);
  app.footer(kFooter);
  Arguments a;
  CLI::App* train = app.add_subcommand("train", "train an environment");
  add_options(*train, a);
  train->add_option("-o,--output", a.output, "environment to write")
      ->type_name("U.env")
      ->required();
  train->add_option("--state", a.train.state, "file that each epoch's state goes to (U.env.state)");
  train->add_option("--curve", a.curve, "draw loss and accuracy by epoch")->type_name("F.svg");
  CLI::App* compare =
      app.add_subcommand("compare", "train several parts one after the other, and print a table");
  add_options(*compare, a);
  compare->add_option("-o,--output", a.output, "folder for their environments")
      ->type_name("FOLDER")
      ->required();
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    return complain(
        fail(ErrorCode::kUsage, std::string(error.what()) + "; see espalier-automask --help"));
  }
  if (const Status s = check_processor(); !s) return complain(s.error());
  a.train.labels = a.labels == "given";
  a.train.flip = !a.no_flip;
  a.train.cuda = a.device == "cuda";
  if (a.images != 0) a.train.count = a.images;
  if (train->parsed()) return run_train(a);
  if (compare->count("--what") == 0)
    a.what = {"bias+scale", "2:4+bias+scale",          "2:4",
              "weights",    "2:4+one-shot+bias+scale", "2:4+one-shot"};
  return run_compare(a);
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error of writing like others
  for (const int signal : {SIGINT, SIGTERM})
    std::signal(signal, [](int number) { signal_seen = number; });
  try {
    return start(argc, argv);
  } catch (const std::bad_alloc&) {
    return complain(fail(ErrorCode::kCapacity, "out of memory"));
  } catch (const std::exception& error) {
    return complain(fail(ErrorCode::kIo, error.what()));
  }
}
