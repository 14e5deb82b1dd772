#pragma once
// Serves a stream of images, learns from them what its user needs, and goes on with a model of the
// user's own. docs/personalise.md tells how.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "flows/listener.hpp"
#include "personal/correct.hpp"
#include "masks/choose.hpp"
#include "runtime/device.hpp"

namespace espalier::flows {

/// What the personal model may cost.
struct Budget {
  enum class Kind { kCycles, kMacs, kLoss };
  Kind kind = Kind::kCycles;
  double limit = 0.5;  ///< a share of the generic model's; kLoss: points of accuracy
};

/// What ranks the channels.
enum class RankBy { kTaylor, kMagnitude, kActivation, kRandom };
/// taylor, magnitude, activation or random.
constexpr std::string_view name(RankBy by) {
  constexpr std::string_view kNames[] = {"taylor", "magnitude", "activation", "random"};
  return kNames[static_cast<std::size_t>(by)];
}

struct PersonaliseOptions {
  std::string program;                 ///< file
  std::string images;                  ///< where they are, as images::Dataset has it
  std::string labels = "predicted";    ///< given, predicted or a file, as UserStream has it
  std::vector<std::uint64_t> classes;  ///< outputs that the user needs
  std::string mask;                    ///< file to write
  std::string personal;                ///< program to write
  std::string patch;                   ///< file to write; empty: none
  std::string scores;                  ///< file to keep them in, and to go on from
  Budget budget;
  personal::Correction correct = personal::Correction::kAll;
  RankBy by = RankBy::kTaylor;
  masks::Scope scope = masks::Scope::kInternal;
  std::size_t count = 300;    ///< images to score
  std::size_t held = 300;     ///< images to measure accuracy on
  std::size_t every = 1;      ///< of the user's images one in so many is scored
  std::size_t serve = ~0ULL;  ///< images after the switch, at most
  std::uint64_t seed = 1;     ///< of RankBy::kRandom
  /// That answers, and runs the passes of scored images.
  runtime::DeviceKind device = runtime::DeviceKind::kGolden;
  runtime::FpgaOptions fpga;  ///< of that device
  int align = 0;              ///< live channels come in blocks of so many; 0: the machine's lanes
  double least = 0;           ///< share of a group's channels that stays
  int jobs = 0;               ///< threads; 0: every core
  bool watch = false;         ///< return to the generic model where unsure answers become many
  bool keep_answers = false;  ///< in the result
};

struct Personalised {
  struct Layer {
    std::string name;
    std::size_t live = 0, channels = 0;
  };
  struct Answer {
    std::size_t image = 0;
    int answer = 0;
    bool personal = false;  ///< which model gave it
  };
  std::string network;
  std::vector<int> classes;      ///< ascending
  bool predicted = false;        ///< labels are the network's own
  std::size_t scored = 0;        ///< images
  std::size_t resumed = 0;       ///< of them, those from the file of scores
  std::size_t until_switch = 0;  ///< images that the generic model answered before
  std::size_t held = 0;
  double generic = 0, personal = 0;  ///< accuracy on images held back
  double macs_share = 1;
  std::optional<std::size_t> patch;  ///< bytes of the file, where one is written
  /// Cycles of one image and of its backward pass by the timing model;
  /// nothing where the configuration has no timing model.
  std::optional<std::int64_t> forward, backward, pruned;
  std::size_t answered = 0;             ///< images that the device answered; twice counts twice
  std::optional<std::uint64_t> cycles;  ///< of these on the device, where it counts them
  std::size_t served = 0;               ///< images after the switch
  std::size_t judged = 0;               ///< of them, those with a label of the user's classes
  double served_right = 0;              ///< share of the judged
  std::optional<double> low_share;      ///< of confident answers, with `watch`: at the end
  std::optional<std::size_t> returned;  ///< the image at which the generic model came back
  std::vector<Layer> layers;
  std::vector<Answer> answers;  ///< with keep_answers

  /// Share of the cycles until the switch that scores took.
  [[nodiscard]] std::optional<double> scoring_share() const;
};

/// Writes the mask, the program, and the patch where one is wanted; `deliver` writes what else the
/// user is to have. Stopped at any moment, it goes on from its scores; scores of a run that came to
/// nothing are removed. Errors: what is wrong with a file or an option, or a budget that cannot be
/// met; those of `deliver`.
Result<Personalised> personalise(const PersonaliseOptions& options, const Listener& listener = {},
                                 const std::function<Status(const Personalised&)>& deliver = {});

}  // namespace espalier::flows
