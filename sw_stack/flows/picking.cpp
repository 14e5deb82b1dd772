#include "flows/picking.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/integers.hpp"
#include "compiler/compiler.hpp"
#include "runtime/interrupt.hpp"

namespace espalier::flows {
namespace {

using environment::Environment;
using runtime::DeviceKind;

struct Named {
  std::string path, name;
  Environment environment;
};

/// The environments of a folder, by name.
Result<std::vector<Named>> load_all(const std::string& folder) {
  std::vector<Named> list;
  std::error_code error;
  std::filesystem::directory_iterator entry(folder, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    if (entry->path().extension() == ".env")
      list.push_back({entry->path().string(), entry->path().stem().string(), {}});
  }
  if (error) return fail(ErrorCode::kIo, error.message(), folder);
  if (list.empty())
    return fail(ErrorCode::kUsage, "has no environment, no file that ends in .env", folder);
  std::ranges::sort(list, {}, &Named::name);
  for (Named& item : list) {
    auto environment = environment::load(item.path);
    if (!environment) return environment.error();
    item.environment = std::move(*environment);
  }
  return list;
}

bool same(const ir::QuantGraph& a, const ir::QuantGraph& b) {
  return std::ranges::equal(a.nodes, b.nodes, [](const auto& x, const auto& y) {
    const auto* from = std::get_if<ir::QuantConv>(&x.op);
    const auto* to = std::get_if<ir::QuantConv>(&y.op);
    if (from == nullptr || to == nullptr) return from == nullptr && to == nullptr;
    return from->weights == to->weights && from->bias == to->bias && from->scale == to->scale;
  });
}

/// What runs the images of each environment.
class Servers {
 public:
  Servers(const program::Program& program, const runtime::BatchOptions& options)
      : program_(program), options_(options) {
    options_.device.keep_tensors = options.check;
  }

  Status add(const Named& named) {
    auto graph = environment::apply(named.environment, program_.graph, named.path);
    if (!graph) return graph.error();
    if (options_.check) golden_.emplace_back(*graph);
    if (options_.kind == DeviceKind::kGolden) {
      program::Program own = program_;
      own.graph = std::move(*graph);
      return open(std::move(own));
    }
    const bool as_it_is = same(program_.graph, *graph);
    if (program_.switchable && !as_it_is) return select(*graph, named);
    if (as_it_is)
      return open(program_.switchable ? program::without_environment(program_) : program_);
    auto own = compiler::compile(*graph, program_.machine());
    if (!own) return placed(own.error(), named.path);
    return open(std::move(*own));
  }

  /// Opens what all selected environments share.
  Status finish() {
    if (selected_.masks.empty()) return {};
    shared_ = programs_.size();
    runtime::DeviceOptions device = options_.device;
    device.masks = selected_.masks;
    device.graphs = selected_.graphs;
    device.applied =
        std::make_shared<const std::vector<program::Masked>>(std::move(selected_.applied));
    return open(program_, device);
  }

  /// Runs an image with an environment.
  Result<runtime::Execution> run(std::size_t environment, std::span<const std::int8_t> image) {
    const Place& place = places_[environment];
    const std::size_t at = place.selected ? shared_ : place.at;
    if (place.selected) devices_[at]->use(place.at);
    auto runs = devices_[at]->run(image);
    if (!runs) return runs.error();
    return std::move((*runs)[0]);
  }

  [[nodiscard]] runtime::Comparison compare(std::size_t environment,
                                            const runtime::Execution& execution,
                                            std::span<const std::int8_t> image, std::size_t i) {
    const Place& place = places_[environment];
    return runtime::compare(*programs_[place.selected ? shared_ : place.at], execution,
                            golden_[environment].run(image), i);
  }

 private:
  struct Place {
    bool selected = false;
    std::size_t at = 0;  ///< a device, or which of those that the shared one has
  };

  Status open(program::Program program) {
    places_.push_back({false, programs_.size()});
    return open(std::move(program), options_.device);
  }
  Status open(program::Program program, const runtime::DeviceOptions& device) {
    programs_.push_back(std::make_unique<program::Program>(std::move(program)));
    auto devices = runtime::open(*programs_.back(), options_.kind, device);
    if (!devices) return devices.error();
    devices_.push_back(std::move((*devices)[0]));
    return {};
  }
  Status select(ir::QuantGraph& graph, const Named& named) {
    auto applied = program::apply_environment(program_, graph);
    if (!applied) return placed(applied.error(), named.path);
    places_.push_back({true, selected_.masks.size()});
    selected_.masks.push_back(program::all_channels(graph));
    selected_.graphs.push_back(std::move(graph));
    selected_.applied.push_back(std::move(*applied));
    return {};
  }

  const program::Program& program_;
  runtime::BatchOptions options_;
  std::vector<std::unique_ptr<program::Program>> programs_;
  std::vector<std::unique_ptr<runtime::Device>> devices_;
  std::vector<Place> places_;           // by environment
  std::vector<golden::Runner> golden_;  // likewise, with `check`
  std::size_t shared_ = 0;
  struct {
    std::vector<ir::ChannelMask> masks;
    std::vector<ir::QuantGraph> graphs;
    std::vector<program::Masked> applied;
  } selected_;
};

/// The first convolution on a device of its own.
class Probe {
 public:
  static Result<std::unique_ptr<Probe>> open(const program::Program& program,
                                             const runtime::BatchOptions& options) {
    auto graph = environment::probe(program.graph);
    if (!graph) return graph.error();
    auto compiled = compiler::compile(*graph, program.machine());
    if (!compiled) return compiled.error();
    std::unique_ptr<Probe> probe(new Probe(std::move(*compiled)));
    auto devices = runtime::open(probe->program_, options.kind, options.device);
    if (!devices) return devices.error();
    probe->device_ = std::move((*devices)[0]);
    return probe;
  }
  Result<std::vector<float>> look(std::span<const std::int8_t> image) {
    auto runs = device_->run(image);
    if (!runs) return runs.error();
    if (const auto& timing = (*runs)[0].timing) cycles = cycles.value_or(0) + timing->cycles;
    return environment::features(output(), (*runs)[0].output);
  }
  [[nodiscard]] std::size_t features() const { return index(output().shape.c) * 3; }

  std::optional<std::uint64_t> cycles;

 private:
  explicit Probe(program::Program program) : program_(std::move(program)) {}
  [[nodiscard]] const ir::QuantTensor& output() const {
    return at(program_.graph.tensors, program_.graph.output);
  }

  program::Program program_;
  std::unique_ptr<runtime::Device> device_;
};

}  // namespace

Result<runtime::BatchResult> run_picking(const program::Program& program, const std::string& folder,
                                         const runtime::BatchOptions& options, std::size_t count,
                                         const runtime::LoadImage& load,
                                         const runtime::Progress& progress, Picking& picking) {
  const auto named = load_all(folder);
  if (!named) return named.error();
  auto probe = Probe::open(program, options);
  if (!probe) return probe.error();
  Servers servers(program, options);
  std::vector<environment::Looks> looks;
  for (const Named& item : *named) {
    if (const Status s = servers.add(item); !s) return s.error();
    looks.push_back(item.environment.pictures.looks);
    if (looks.back().mean.empty()) {
      return fail(ErrorCode::kMismatch,
                  "does not say what its pictures look like; train it again to have it picked",
                  item.path);
    }
    if (looks.back().mean.size() != (*probe)->features()) {
      return fail(ErrorCode::kMismatch,
                  fmt::format("tells {} features of its pictures; the model has {}",
                              looks.back().mean.size(), (*probe)->features()),
                  item.path);
    }
    picking.names.push_back(item.name);
  }
  if (const Status s = servers.finish(); !s) return s.error();
  environment::Recogniser recogniser(std::move(looks));
  runtime::BatchResult batch;
  for (std::size_t i = 0; i < count; ++i) {
    if (runtime::interrupted() != 0) {
      batch.outputs.emplace_back();
      continue;
    }
    const auto image = load(i);
    if (!image) return image.error();
    const auto features = (*probe)->look(*image);
    if (!features) return features.error();
    const auto pick = recogniser.next(*features);
    auto execution = servers.run(pick.environment, *image);
    if (!execution) return execution.error();
    runtime::Comparison compared;
    if (options.check) compared = servers.compare(pick.environment, *execution, *image, i);
    execution->stored.clear();
    if (execution->complete) picking.images.push_back(pick);
    batch.add(i, std::move(*execution), compared);
    progress(i + 1);
  }
  picking.switches = recogniser.switches();
  picking.probe_cycles = (*probe)->cycles;
  batch.interrupted = runtime::interrupted();
  return batch;
}

}  // namespace espalier::flows
