#include "compiler/compiler.hpp"

#include "compiler/assemble.hpp"
#include "compiler/passes.hpp"

namespace espalier::compiler {
namespace {

Status run(State& state, const AfterPass& after) {
  for (const Pass& pass : passes()) {
    if (Status status = pass.run(state); !status) return status;
    if (after) after(pass.name, [&] { return pass.dump(state); });
  }
  return {};
}

State begin(const ir::QuantGraph& graph, const isa::Config& config, const Options& options) {
  State state;
  state.given = &graph;
  state.config = config;
  state.options = options;
  return state;
}

}  // namespace

std::vector<std::string_view> pass_names() {
  std::vector<std::string_view> names;
  for (const Pass& pass : passes()) names.push_back(pass.name);
  return names;
}

Result<program::Program> compile(const ir::QuantGraph& graph, const isa::Config& config,
                                 const Options& options, const AfterPass& after) {
  State state = begin(graph, config, options);
  if (const Status s = run(state, after); !s) return s.error();
  return std::move(state.program);
}

struct Rescalable::Impl {
  State state;
};

Result<Rescalable> Rescalable::compile(const ir::QuantGraph& graph, const isa::Config& config,
                                       const Options& options) {
  auto impl = std::make_unique<Impl>(Impl{begin(graph, config, options)});
  if (const Status s = run(impl->state, {}); !s) return s.error();
  impl->state.given = nullptr;  // the caller's
  return Rescalable(std::move(impl));
}

Rescalable::Rescalable(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Rescalable::~Rescalable() = default;
Rescalable::Rescalable(Rescalable&&) noexcept = default;
Rescalable& Rescalable::operator=(Rescalable&&) noexcept = default;

const program::Program& Rescalable::program() const { return impl_->state.program; }

Status Rescalable::rescale(const ir::QuantGraph& graph) {
  State& s = impl_->state;
  auto rewritten = rewrite(graph, s.config.lanes);
  if (!rewritten) return rewritten.error();
  ESP_CHECK(rewritten->nodes.size() == s.program.graph.nodes.size());
  put_scales(*rewritten, s.layers, s.layout, s.constants.places, s.program.constants);
  s.emitted = emit(*rewritten, s.layers, s.layout, s.schedule, s.constants, s.config, s.how.room);
  encode(s);
  s.program.graph = std::move(*rewritten);
  return {};
}

}  // namespace espalier::compiler
