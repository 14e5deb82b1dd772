#pragma once
// The time before the switch: the generic model answers, and what the user's images need is scored.

#include <optional>
#include <span>
#include <string>

#include "flows/personalise/subject.hpp"
#include "flows/server.hpp"
#include "flows/user_stream.hpp"
#include "personal/importance.hpp"
#include "personal/user_model.hpp"
#include "personal/scores_file.hpp"

namespace espalier::flows {

constexpr std::size_t kChunk = 64;  ///< images served side by side; then the scores are saved

class Lesson {
 public:
  /// All must outlive it; `result` gets what it finds, and the answers.
  Lesson(const PersonaliseOptions& options, const Subject& subject, const UserStream& stream,
         Server& server, const Listener& listener, Personalised& result);
  /// Scores of a run that came to nothing would refuse the next one: they go, unless `keep` was
  /// called.
  ~Lesson();
  Lesson(const Lesson&) = delete;
  Lesson& operator=(const Lesson&) = delete;

  /// Serves until there are images enough, and scores on the way. Errors: those of the file of
  /// scores, of personal::Meter and of the device; kRange where the stream has too few images of
  /// the user's classes; kMismatch where the labels cannot be those of the images.
  Status give();
  void keep() { kept_ = true; }

  [[nodiscard]] const personal::Samples& learnt() const { return learnt_; }
  [[nodiscard]] const personal::Samples& trial() const { return trial_; }  ///< to try losses on
  [[nodiscard]] const personal::Samples& held() const { return held_; }  ///< to measure accuracy on
  [[nodiscard]] const personal::Importance& importance() const { return importance_; }

 private:
  Status open_meter();
  Status open_scores();
  Status learn();
  Status score();
  Status check() const;
  void take(std::span<const std::int8_t> input, int label);
  [[nodiscard]] std::size_t trials() const;
  [[nodiscard]] bool full() const;
  [[nodiscard]] personal::ScoresOf scores_of() const;

  const PersonaliseOptions& options_;
  const Subject& subject_;
  const UserStream& stream_;
  Server& server_;
  const Listener& listener_;
  Personalised& result_;
  std::optional<personal::Meter> meter_;
  personal::Importance importance_;
  personal::Samples learnt_, trial_, held_;
  std::size_t at_ = 0;        // the next image of the stream
  std::size_t seen_ = 0;      // of the user's
  std::size_t agreed_ = 0;    // labels that are the generic model's answer
  std::size_t checked_ = 0;   // images of learnt_ against the file of scores
  std::uint64_t digest_ = 0;  // of these
  bool made_scores_ = false;  // this run began the file of scores
  bool kept_ = false;
};

}  // namespace espalier::flows
