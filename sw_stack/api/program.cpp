#include "api/impl.hpp"
#include "base/processor.hpp"
#include "flows/compile.hpp"

namespace espalier {
namespace {

const ir::QuantTensor& tensor(const program::Program& program, int id) {
  return program.graph.tensors[static_cast<std::size_t>(id)];
}

Extents extents(const ir::Shape& shape) { return {shape.c, shape.h, shape.w}; }

Program wrap(program::Program program) {
  return Program(std::make_shared<const Program::Impl>(std::move(program)));
}

}  // namespace

std::string_view version() { return ESPALIER_VERSION; }

Program::Impl::Impl(program::Program made)
    : program(std::move(made)),
      model(masks::fingerprint(program.graph)),
      channels(masks::find_channels(program.graph)) {}

Program::Program(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

Result<Program> Program::load(const std::string& file) {
  if (const Status s = check_processor(); !s) return s.error();
  auto program = program::load(file);
  if (!program) return program.error();
  return wrap(std::move(*program));
}

Status Program::save(const std::string& file) const { return program::save(impl_->program, file); }

const std::string& Program::network() const { return impl_->program.graph.name; }
std::string Program::configuration() const { return std::string(impl_->program.config.name); }
Extents Program::input() const {
  return extents(tensor(impl_->program, impl_->program.graph.input).shape);
}
Extents Program::output() const {
  return extents(tensor(impl_->program, impl_->program.graph.output).shape);
}
bool Program::maskable() const { return impl_->program.maskable.has_value(); }
std::uint64_t Program::macs() const { return runtime::macs(impl_->program); }

std::vector<std::string> Program::layers() const {
  std::vector<std::string> names;
  for (const program::Layer& layer : impl_->program.layers) names.push_back(layer.name);
  return names;
}

Result<Program> compile(const std::string& model, const CompileOptions& options,
                        const Progress& progress) {
  if (const Status s = check_processor(); !s) return s.error();
  flows::CompileOptions flow;
  flow.model = model;
  flow.config = options.configuration;
  flow.maskable = options.maskable;
  flow.calibration.images = options.images;
  flow.calibration.mean = options.mean;
  flow.calibration.std = options.std;
  if (options.count > 0) flow.calibration.count = options.count;
  flows::Listener listener;
  listener.progress = progress;
  auto made = flows::compile(flow, listener);
  if (!made) return made.error();
  return wrap(std::move(made->program));
}

}  // namespace espalier
