#include "flows/personalise/service.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "golden/golden.hpp"
#include "images/output.hpp"
#include "personal/watch.hpp"

namespace espalier::flows {
namespace {

/// An answer of the user's classes, and how sure the model is.
struct Sure {
  int best = 0;
  double confidence = 0;
};

class Service {
 public:
  Service(const PersonaliseOptions& options, const Subject& subject, const Personal& personal,
          const UserStream& stream, Server& server, const Listener& listener, Personalised& result)
      : options_(options),
        subject_(subject),
        personal_(personal),
        stream_(stream),
        server_(server),
        listener_(listener),
        result_(result) {}

  /// Learns from images held back how sure the model is of what it knows.
  void watch(const personal::Samples& held) {
    std::vector<double> confidences;
    const auto outputs = golden::run_batch(personal_.graph, held.inputs, options_.jobs);
    for (const Sure& a : answers(outputs, held.size())) confidences.push_back(a.confidence);
    watch_.emplace(std::move(confidences));
  }

  Status serve() {
    std::size_t at = result_.until_switch;
    const std::size_t end = at + std::min(options_.serve, stream_.size() - at);
    const std::size_t total = end - at;
    listener_.show("serving", 0, total);
    while (at < end) {
      const std::size_t count = std::min(kChunk, end - at);
      if (const Status s = serve_chunk(at, count); !s) return s;
      at += count;
      listener_.show("serving", result_.served, total);
    }
    result_.answered = server_.images();
    if (server_.cycles() > 0) result_.cycles = server_.cycles();
    if (watch_) result_.low_share = watch_->low_share();
    if (result_.judged > 0)
      result_.served_right = static_cast<double>(right_) / static_cast<double>(result_.judged);
    return {};
  }

 private:
  Status serve_chunk(std::size_t first, std::size_t count) {
    const auto inputs = stream_.load(first, count);
    if (!inputs) return inputs.error();
    const auto outputs = server_.answer(personal_.program, *inputs);
    if (!outputs) return outputs.error();
    const auto list = answers(*outputs, count);
    std::vector<std::int8_t> generic;  // once it answers again
    for (std::size_t i = 0; i < count; ++i, ++result_.served) {
      const std::size_t image = first + i;
      int best = list[i].best;
      if (result_.returned) {
        if (generic.empty()) {
          auto again = server_.answer(subject_.program, *inputs);
          if (!again) return again.error();
          generic = std::move(*again);
        }
        const auto row =
            std::span<const std::int8_t>(generic).subspan(i * subject_.outputs, subject_.outputs);
        best = images::arg_max(row);
      }
      judge(image, best);
      if (watch_ && !result_.returned && watch_->note(list[i].confidence)) go_back(image);
    }
    return {};
  }

  void judge(std::size_t image, int answer) {
    if (options_.keep_answers)
      result_.answers.push_back({image, answer, !result_.returned.has_value()});
    if (stream_.predicted() || !std::ranges::binary_search(subject_.classes, stream_.label(image)))
      return;
    ++result_.judged;
    right_ += answer == stream_.label(image) ? 1 : 0;
  }

  void go_back(std::size_t image) {
    result_.returned = image + 1;
    listener_.tell(fmt::format(
        "image {}: the personal model is unsure of {:.0f} % of the last {} images, {:.0f} % of "
        "those held back; the generic model answers from here on",
        image, 100 * watch_->low_share(), personal::Watch::kWindow,
        100 * personal::Watch::kLowShare));
  }

  /// Answers of the user's classes, one an image.
  [[nodiscard]] std::vector<Sure> answers(std::span<const std::int8_t> outputs,
                                          std::size_t count) const {
    const ir::QuantTensor& out =
        personal_.graph.tensors[static_cast<std::size_t>(personal_.graph.output)];
    const std::vector<int>& classes = subject_.classes;
    const bool reduced = out.shape.c == static_cast<int>(classes.size());
    const std::size_t width = outputs.size() / count;
    std::vector<Sure> list;
    for (std::size_t i = 0; i < count; ++i) {
      const auto row = outputs.subspan(i * width, width);
      std::vector<std::int8_t> own;
      for (std::size_t c = 0; c < classes.size(); ++c)
        own.push_back(row[reduced ? c : static_cast<std::size_t>(classes[c])]);
      const int best = images::arg_max(std::span<const std::int8_t>(own));
      list.push_back(
          {classes[static_cast<std::size_t>(best)], personal::confidence(out.quant, own)});
    }
    return list;
  }

  const PersonaliseOptions& options_;
  const Subject& subject_;
  const Personal& personal_;
  const UserStream& stream_;
  Server& server_;
  const Listener& listener_;
  Personalised& result_;
  std::optional<personal::Watch> watch_;
  std::size_t right_ = 0;
};

}  // namespace

Status serve(const PersonaliseOptions& options, const Subject& subject, const Personal& personal,
             const personal::Samples& held, const UserStream& stream, Server& server,
             const Listener& listener, Personalised& result) {
  Service service(options, subject, personal, stream, server, listener, result);
  if (options.watch) service.watch(held);
  return service.serve();
}

}  // namespace espalier::flows
