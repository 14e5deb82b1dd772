#pragma once
// Espalier for programs in C++20: compile a network, run it on the simulated machine, see where its
// cycles go, mask channels, make it a user's own. docs/api.md shows it at work.
//
// Nothing here throws or prints. Objects are cheap to copy and hold what they need. Different
// objects may be used by different threads, one Machine by one thread at a time.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "espalier/result.hpp"

#if defined(ESPALIER_BUILDS_API)
#define ESPALIER_API __attribute__((visibility("default")))
#else
#define ESPALIER_API
#endif

namespace espalier {

/// The version of the library: `0.1.0`.
ESPALIER_API std::string_view version();

/// What is on its way, and how much of it is done.
using Progress = std::function<void(std::string_view what, std::size_t done, std::size_t total)>;

// ---------------------------------------------------------------- programs

/// Extents of an image or of a network's output: [channels][rows][columns].
struct Extents {
  int channels = 0, rows = 0, columns = 0;
  [[nodiscard]] std::size_t count() const {
    return static_cast<std::size_t>(channels) * static_cast<std::size_t>(rows) *
           static_cast<std::size_t>(columns);
  }
};

/// A network compiled for one configuration of the machine.
class ESPALIER_API Program {
 public:
  /// Reads what save() or `espalier compile` wrote. Errors: kIo, kMalformed, kMismatch.
  static Result<Program> load(const std::string& file);
  /// Writes it, or leaves the file as it was. Errors: kIo.
  [[nodiscard]] Status save(const std::string& file) const;

  [[nodiscard]] const std::string& network() const;
  [[nodiscard]] std::string configuration() const;
  [[nodiscard]] Extents input() const;
  [[nodiscard]] Extents output() const;
  [[nodiscard]] bool maskable() const;  ///< takes masks
  /// Multiply-accumulates of one image.
  [[nodiscard]] std::uint64_t macs() const;
  [[nodiscard]] std::vector<std::string> layers() const;

  struct Impl;
  explicit Program(std::shared_ptr<const Impl> impl);
  [[nodiscard]] const Impl& impl() const { return *impl_; }

 private:
  std::shared_ptr<const Impl> impl_;
};

struct CompileOptions {
  std::string configuration = "edge";
  bool maskable = false;  ///< a program that takes any mask
  /// Images to quantise a float model on: a CIFAR-10 .bin file, an .npy array or a folder.
  std::string images;
  std::size_t count = 0;         ///< of them; 0: 200, or as many as there are
  std::vector<float> mean, std;  ///< by channel, of pixels / 255; empty: pixels as they are
};

/// Compiles a model file: .onnx or .tflite, float or quantised. Errors: kIo and kMalformed, with
/// the file; kUnsupported, with all nodes that are refused; kUsage, kCapacity.
ESPALIER_API Result<Program> compile(const std::string& model, const CompileOptions& options = {},
                                     const Progress& progress = {});

// ---------------------------------------------------------------- masks

/// Which channels of a network stay.
class ESPALIER_API Mask {
 public:
  /// Which groups of channels may lose some.
  enum class Scope {
    kInternal,  ///< those inside a block: in no residual add and in no concatenation
    kAll,
  };

  /// Reads a .mask file made for this network. Errors: kIo, kMalformed, kMismatch, kRange.
  static Result<Mask> load(const Program& program, const std::string& file);
  /// A share of each group's channels, drawn by the seed. Range: 0 < keep <= 1. Errors: kRange;
  /// kUnsupported where nothing could go.
  static Result<Mask> random(const Program& program, double keep, std::uint64_t seed = 1,
                             Scope scope = Scope::kInternal);
  /// The heaviest channels, over all groups. Range and errors: as above.
  static Result<Mask> magnitude(const Program& program, double keep,
                                Scope scope = Scope::kInternal);
  /// Errors: kIo.
  [[nodiscard]] Status save(const std::string& file) const;

  [[nodiscard]] std::size_t channels() const;  ///< that could go
  [[nodiscard]] std::size_t live() const;      ///< that stay, of these

  struct Impl;
  explicit Mask(std::shared_ptr<const Impl> impl);
  [[nodiscard]] const Impl& impl() const { return *impl_; }

 private:
  std::shared_ptr<const Impl> impl_;
};

// ---------------------------------------------------------------- machines

/// What runs a program; all give the same numbers, bit for bit.
enum class Engine {
  kGolden,     ///< whole layers
  kSimulator,  ///< the machine's instructions
  kVerilated,  ///< the machine itself, cycle by cycle
};

/// Whether this build can run a program on it.
ESPALIER_API bool has(Engine engine, const Program& program);

struct ESPALIER_API Answer {
  std::vector<float> scores;            ///< the network's output, [channels][rows][columns]
  std::optional<std::uint64_t> cycles;  ///< from start to interrupt; of kVerilated
  /// Index of the first largest score.
  [[nodiscard]] std::size_t best() const;
};

/// A program that is loaded, with masks that are resident.
class ESPALIER_API Machine {
 public:
  /// `masks`: packed now, so that images may change between them at no cost. Errors: kUsage (the
  /// build has no such engine; the program takes no masks), kRange, kUnsupported, kCapacity.
  static Result<Machine> open(const Program& program, Engine engine,
                              const std::vector<Mask>& masks = {});
  /// One image of pixels from 0 to 255, [channels][rows][columns]; the program knows how they
  /// become the network's input. `mask`: which of the resident ones. Errors: kShape (another number
  /// of pixels), kRange (no such mask), kDevice.
  Result<Answer> run(std::span<const float> pixels, std::size_t mask = 0);

  struct Impl;
  explicit Machine(std::shared_ptr<Impl> impl);

 private:
  std::shared_ptr<Impl> impl_;
};

// ---------------------------------------------------------------- profiles

/// Where the cycles of one image go, by the timing model. Units: cycles.
struct Profile {
  struct Layer {
    std::string name;
    std::int64_t cycles = 0;
    double bound = 0;          ///< what no machine of this size could beat
    std::int64_t compute = 0;  ///< products of the network
    std::int64_t ragged = 0;   ///< passes with room to spare
    std::int64_t waits = 0;    ///< for weights, activations or a free accumulator
    std::int64_t rest = 0;     ///< pools, start and end
  };
  std::int64_t cycles = 0;
  double bound = 0;
  std::vector<Layer> layers;
};

/// Errors: kUnsupported where the configuration has no timing model; those of Machine::open().
ESPALIER_API Result<Profile> profile(const Program& program, const Mask* mask = nullptr);

// ---------------------------------------------------------------- personal models

struct PersonaliseOptions {
  std::string images;                  ///< what the user shows: as CompileOptions::images
  std::vector<std::uint64_t> classes;  ///< outputs that the user needs, two or more
  /// Where labels come from: `predicted` (the network's own answers), `given` (the images'), or a
  /// file with one a line.
  std::string labels = "predicted";
  double cycles = 0.5;          ///< at most so much of the generic model's
  std::size_t count = 300;      ///< images to learn from
  std::size_t held_back = 300;  ///< images to measure on
  std::string mask;             ///< files to write
  std::string program;
  std::string scores;  ///< kept there while it works, so that it goes on where it stopped
};

struct Personal {
  double generic = 0, personal = 0;  ///< accuracy on the images held back, among the classes
  double macs_share = 1;             ///< of the generic model's
  std::optional<std::int64_t> cycles_before, cycles_after;  ///< by the timing model
};

/// Finds the channels that a user's classes need, and writes a mask and a program of the user's
/// own. `program`: the generic one's file. Errors: what is wrong with a file or an option;
/// kCapacity where the budget cannot be met.
ESPALIER_API Result<Personal> personalise(const std::string& program,
                                          const PersonaliseOptions& options,
                                          const Progress& progress = {});

}  // namespace espalier
