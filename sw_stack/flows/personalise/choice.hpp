#pragma once
// What of the network its user keeps, and with which corrections.

#include <cstdint>
#include <vector>

#include "compiler/compiler.hpp"
#include "flows/personalise/lesson.hpp"
#include "flows/personalise/subject.hpp"
#include "masks/mask.hpp"

namespace espalier::flows {

struct Choice {
  masks::Mask mask;
  ir::QuantGraph graph;             ///< pruned and corrected, with the user's classes only
  std::vector<std::uint8_t> patch;  ///< its file, where one is wanted
};

/// `dense`: cycles of the whole network, for a budget of cycles. Errors: kUnsupported where nothing
/// can go in such blocks; where the budget cannot be met, those of personal::meet and
/// personal::push; those of the compiler and of masks::make_patch.
Result<Choice> choose(const PersonaliseOptions& options, const Subject& subject,
                      const Lesson& lesson, std::optional<std::int64_t> dense);

/// The program of a pruned graph. Errors: those of compiler::compile.
Result<program::Program> compile_personal(const ir::QuantGraph& graph, const isa::Config& machine,
                                          const compiler::Options& how = {});

}  // namespace espalier::flows
