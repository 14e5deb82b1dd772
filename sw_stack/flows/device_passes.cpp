#include "flows/device_passes.hpp"

#include <algorithm>

#include "compiler/compiler.hpp"
#include "base/integers.hpp"

namespace espalier::flows {
namespace {

using Tensors = std::vector<golden::Tensor>;

constexpr compiler::Options kFewRuns{.refine = false};

Result<program::Program> compile_forward(const ir::QuantGraph& graph,
                                         const personal::Backward& backward,
                                         const isa::Config& machine) {
  ir::QuantGraph kept = graph;
  for (const int tensor : backward.kept()) {
    if (tensor != graph.input && tensor != graph.output) kept.keep.push_back(tensor);
  }
  return compiler::compile(kept, machine, kFewRuns);
}

/// One program on its device.
class Runner {
 public:
  Runner(runtime::DeviceKind kind, const runtime::DeviceOptions& device, bool check)
      : kind_(kind), options_(device), check_(check) {
    options_.keep_tensors = true;
  }

  Status open(program::Program program) {
    device_.reset();
    program_ = std::make_unique<program::Program>(std::move(program));
    return reopen();
  }
  /// Leaves a board to another program.
  void leave() {
    if (kind_ == runtime::DeviceKind::kFpga) device_.reset();
  }

  Result<Tensors> run(std::span<const std::int8_t> input, std::uint64_t image,
                      std::uint64_t& cycles, runtime::Comparison& comparison) {
    if (!device_) {
      if (Status s = reopen(); !s) return s.error();
    }
    auto list = device_->run(input);
    if (!list) return list.error();
    runtime::Execution& execution = list->front();
    if (!execution.complete) return fail(ErrorCode::kDevice, "the run was interrupted");
    if (execution.timing) cycles += execution.timing->cycles;
    if (check_) {
      const auto expected = golden::run(program_->graph, input);
      comparison.merge(runtime::compare(*program_, execution, expected, image));
    }
    const ir::QuantGraph& graph = program_->graph;
    Tensors tensors(graph.tensors.size());
    for (runtime::StoredTensor& stored : execution.stored)
      tensors[index(stored.tensor)] = std::move(stored.values);
    tensors[index(graph.output)] = std::move(execution.output);
    const auto first = static_cast<std::size_t>(graph.tensors[index(graph.input)].shape.count());
    tensors[index(graph.input)].assign(input.begin(),
                                       input.begin() + static_cast<std::ptrdiff_t>(first));
    // A concatenation whose parts have gaps between them comes part by part.
    for (const ir::QuantNode& node : graph.nodes) {
      golden::Tensor& whole = tensors[index(node.output)];
      if (!whole.empty() || !std::holds_alternative<ir::QuantConcat>(node.op)) continue;
      for (const int part : node.inputs)
        whole.insert(whole.end(), tensors[index(part)].begin(), tensors[index(part)].end());
    }
    return tensors;
  }

 private:
  Status reopen() {
    auto devices = runtime::open(*program_, kind_, options_);
    if (!devices) return devices.error();
    device_ = std::move(devices->front());
    return {};
  }

  runtime::DeviceKind kind_;
  runtime::DeviceOptions options_;
  bool check_;
  std::unique_ptr<program::Program> program_;
  std::unique_ptr<runtime::Device> device_;
};

class DevicePasses final : public personal::Passes {
 public:
  DevicePasses(const personal::Backward& backward, const isa::Config& machine,
               runtime::DeviceKind kind, const runtime::DeviceOptions& device, bool check,
               std::shared_ptr<ScoringTotals> totals)
      : graph_(backward),
        machine_(machine),
        totals_(std::move(totals)),
        forward_(kind, device, check),
        backward_(kind, device, check) {}

  Status open(const ir::QuantGraph& forward) {
    auto program = compile_forward(forward, graph_, machine_);
    if (!program) return program.error();
    if (Status s = forward_.open(std::move(*program)); !s) return s;
    auto compiled = compiler::Rescalable::compile(graph_.graph(), machine_, kFewRuns);
    if (!compiled) return compiled.error();
    compiled_.emplace(std::move(*compiled));
    forward_.leave();
    return backward_.open(compiled_->program());
  }
  Status rescaled() override {
    if (Status s = compiled_->rescale(graph_.graph()); !s) return s;
    forward_.leave();
    return backward_.open(compiled_->program());
  }
  Result<Tensors> forward(std::span<const std::int8_t> input) override {
    backward_.leave();
    return forward_.run(input, totals_->forward_images++, totals_->forward_cycles,
                        totals_->forward);
  }
  Result<Tensors> backward(std::span<const std::int8_t> input) override {
    forward_.leave();
    return backward_.run(input, totals_->backward_images++, totals_->backward_cycles,
                         totals_->backward);
  }

 private:
  const personal::Backward& graph_;
  isa::Config machine_;
  std::shared_ptr<ScoringTotals> totals_;
  std::optional<compiler::Rescalable> compiled_;  // the backward graph
  Runner forward_, backward_;
};

}  // namespace

Result<program::Program> compile_backward(const personal::Backward& backward,
                                          const isa::Config& machine) {
  return compiler::compile(backward.graph(), machine, kFewRuns);
}

Result<ScoringPrograms> compile_scoring(const ir::QuantGraph& forward,
                                        const personal::Backward& backward,
                                        const isa::Config& machine) {
  auto there = compile_forward(forward, backward, machine);
  if (!there) return there.error();
  auto back = compile_backward(backward, machine);
  if (!back) return back.error();
  return ScoringPrograms{std::move(*there), std::move(*back)};
}

personal::MakePasses device_passes(const isa::Config& machine, runtime::DeviceKind kind,
                                   const runtime::DeviceOptions& device, bool check,
                                   const std::shared_ptr<ScoringTotals>& totals) {
  return [=](const ir::QuantGraph& forward,
             const personal::Backward& backward) -> Result<std::unique_ptr<personal::Passes>> {
    auto passes = std::make_unique<DevicePasses>(backward, machine, kind, device, check, totals);
    if (Status s = passes->open(forward); !s) return s.error();
    return std::unique_ptr<personal::Passes>(std::move(passes));
  };
}

}  // namespace espalier::flows
