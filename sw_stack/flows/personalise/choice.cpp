#include "flows/personalise/choice.hpp"

#include <fmt/format.h>

#include "personal/select.hpp"
#include "masks/patch.hpp"
#include "masks/prune.hpp"

namespace espalier::flows {
namespace {

constexpr int kSteps = 9;  // of the search for a loss
constexpr compiler::Options kRough{.refine = false};

class Chooser {
 public:
  Chooser(const PersonaliseOptions& options, const Subject& subject, const Lesson& lesson,
          std::optional<std::int64_t> dense)
      : options_(options), subject_(subject), lesson_(lesson), dense_(dense) {
    if (options.correct == personal::Correction::kNone) return;
    reference_ = personal::measure_reference(subject.graph, lesson.learnt().inputs, options.jobs);
  }

  Result<masks::Mask> mask() const {
    const int align = options_.align > 0 ? options_.align : subject_.program.machine().lanes;
    const personal::Ranking ranking(subject_.channels, options_.scope, scores(), align,
                                    personal::channel_macs(subject_.graph, subject_.channels),
                                    options_.least);
    if (ranking.size() == 0) {
      return fail(ErrorCode::kUnsupported,
                  fmt::format("has no channels that could go in blocks of {}", align),
                  options_.program);
    }
    auto found = search(ranking);
    if (!found) return placed(found.error(), "--budget");
    return std::move(found->mask);
  }

  Result<Choice> corrected(masks::Mask mask) const {
    const ir::QuantGraph& dense = subject_.graph;
    const auto light = masks::prune(dense, subject_.channels, mask);
    if (!light) return light.error();
    auto graph = personal::correct(dense, *light, masks::by_tensor(subject_.channels, mask),
                                   reference_, lesson_.learnt().inputs, subject_.classes,
                                   options_.correct, options_.jobs);
    if (!graph) return graph.error();
    Choice choice;
    if (!options_.patch.empty()) {
      const auto patch =
          masks::make_patch(dense, subject_.channels, mask, *light, *graph, subject_.model);
      if (!patch) return placed(patch.error(), "--patch");
      choice.patch = masks::serialise(*patch);
    }
    choice.mask = std::move(mask);
    choice.graph = personal::keep_outputs(std::move(*graph), subject_.classes);
    return choice;
  }

 private:
  [[nodiscard]] std::vector<double> scores() const {
    switch (options_.by) {
      case RankBy::kMagnitude:
        return masks::magnitudes(subject_.graph, subject_.channels);
      case RankBy::kActivation:
        return lesson_.importance().activation;
      case RankBy::kRandom:
        return personal::random_scores(subject_.channels.classes(), options_.seed);
      case RankBy::kTaylor:
        break;
    }
    return lesson_.importance().taylor;
  }

  [[nodiscard]] Result<personal::Selected> search(const personal::Ranking& ranking) const {
    const double limit = options_.budget.limit;
    switch (options_.budget.kind) {
      case Budget::Kind::kMacs:
        return personal::meet(
            ranking, limit,
            [this](const masks::Mask& mask) -> Result<double> {
              return personal::macs_share(subject_.graph, subject_.channels, mask);
            },
            "the share of MACs");
      case Budget::Kind::kLoss:
        return personal::push(
            ranking, limit,
            [this, generic = accuracy(subject_.graph)](const masks::Mask& mask) -> Result<double> {
              const auto graph = personal(mask, options_.correct);
              if (!graph) return graph.error();
              return 100 * (generic - accuracy(*graph));
            },
            kSteps, "the loss");
      case Budget::Kind::kCycles:
        break;
    }
    // Without the search for tiles a program is compiled in a fraction of the time, and takes about
    // the same share of the dense one's cycles.
    const auto rough = cycles(subject_.graph, kRough);
    if (!rough) return rough.error();
    return personal::meet(
        ranking, limit, [this](const masks::Mask& mask) { return cycles_share(mask, {}, *dense_); },
        "the share of cycles",
        [this, dense = *rough](const masks::Mask& mask) {
          return cycles_share(mask, kRough, dense);
        });
  }

  [[nodiscard]] double accuracy(const ir::QuantGraph& graph) const {
    return personal::accuracy(graph, lesson_.trial(), subject_.classes, options_.jobs);
  }
  [[nodiscard]] Result<ir::QuantGraph> personal(const masks::Mask& mask,
                                                personal::Correction level) const {
    return personal::personalise(subject_.graph, subject_.channels, mask, reference_,
                                 lesson_.learnt().inputs, subject_.classes, level, options_.jobs);
  }
  [[nodiscard]] Result<std::int64_t> cycles(const ir::QuantGraph& graph,
                                            const compiler::Options& how) const {
    const auto program = compile_personal(graph, subject_.program.machine(), how);
    if (!program) return program.error();
    return cycles_of(*program);
  }
  [[nodiscard]] Result<double> cycles_share(const masks::Mask& mask, const compiler::Options& how,
                                            std::int64_t dense) const {
    const auto graph = personal(mask, personal::Correction::kNone);
    if (!graph) return graph.error();
    const auto now = cycles(*graph, how);
    if (!now) return now.error();
    return static_cast<double>(*now) / static_cast<double>(dense);
  }

  const PersonaliseOptions& options_;
  const Subject& subject_;
  const Lesson& lesson_;
  std::optional<std::int64_t> dense_;
  personal::Reference reference_;
};

}  // namespace

Result<program::Program> compile_personal(const ir::QuantGraph& graph, const isa::Config& machine,
                                          const compiler::Options& how) {
  auto program = compiler::compile(graph, machine, how);
  if (!program) return placed(program.error(), "the pruned program");
  return program;
}

Result<Choice> choose(const PersonaliseOptions& options, const Subject& subject,
                      const Lesson& lesson, std::optional<std::int64_t> dense) {
  const Chooser chooser(options, subject, lesson, dense);
  auto mask = chooser.mask();
  if (!mask) return mask.error();
  return chooser.corrected(std::move(*mask));
}

}  // namespace espalier::flows
