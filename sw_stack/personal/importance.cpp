#include "personal/importance.hpp"

#include <algorithm>
#include <cmath>

#include "base/bytes.hpp"
#include "base/parallel.hpp"
#include "base/integers.hpp"

namespace espalier::personal {
namespace {

bool is_sum(const ir::QuantNode& node) {
  return std::holds_alternative<ir::QuantAdd>(node.op) && node.inputs.size() > 1;
}

}  // namespace

std::vector<bool> scored_tensors(const ir::QuantGraph& graph, const masks::Channels& channels,
                                 masks::Scope scope) {
  std::vector<bool> in_scope(channels.classes(), false);
  for (const masks::Group& group : channels.groups) {
    if (!masks::in_scope(group, scope)) continue;
    for (const int c : group.classes) in_scope[index(c)] = true;
  }
  std::vector<bool> only_added(graph.tensors.size(), true);
  for (const ir::QuantNode& node : graph.nodes) {
    for (const int input : node.inputs) {
      if (!is_sum(node)) only_added[index(input)] = false;
    }
  }
  std::vector<bool> scored(graph.tensors.size(), false);
  for (const ir::QuantNode& node : graph.nodes) {
    const auto t = index(node.output);
    const bool source = std::holds_alternative<ir::QuantConv>(node.op) || is_sum(node);
    if (!source || only_added[t] || masks::is_copy(graph, node)) continue;
    scored[t] =
        std::ranges::any_of(channels.of_tensor[t], [&](int c) { return in_scope[index(c)]; });
  }
  return scored;
}

std::uint64_t digest(std::uint64_t before, std::span<const std::int8_t> input, int label) {
  ByteWriter out;
  out.put(before);
  out.put(label);
  out.put_raw({reinterpret_cast<const std::uint8_t*>(input.data()), input.size()});
  return fnv1a(out.bytes());
}

std::vector<double> loss_gradient(const ir::QuantGraph& graph, std::span<const std::int8_t> output,
                                  std::span<const int> classes, int label) {
  const double scale = graph.tensors[index(graph.output)].quant.scale;
  const int most = output[index(best_of(output, classes))];
  double sum = 0;
  for (const int c : classes) sum += std::exp(scale * (output[index(c)] - most));
  std::vector<double> gradient(output.size(), 0.0);
  for (const int c : classes) {
    gradient[index(c)] =
        std::exp(scale * (output[index(c)] - most)) / sum - (c == label ? 1.0 : 0.0);
  }
  return gradient;
}

int best_of(std::span<const std::int8_t> output, std::span<const int> classes) {
  return *std::ranges::max_element(
      classes, [&](int a, int b) { return output[index(a)] < output[index(b)]; });
}

namespace {

class GoldenPasses final : public Passes {
 public:
  GoldenPasses(const ir::QuantGraph& forward, const Backward& backward)
      : graph_(backward), forward_(forward), backward_(backward.graph()) {}
  Result<std::vector<golden::Tensor>> forward(std::span<const std::int8_t> input) override {
    return forward_.run(input);
  }
  Result<std::vector<golden::Tensor>> backward(std::span<const std::int8_t> input) override {
    return backward_.run(input);
  }
  Status rescaled() override {
    backward_.rescale(graph_.graph());
    return {};
  }
  [[nodiscard]] bool threads() const override { return true; }

 private:
  const Backward& graph_;
  golden::Runner forward_, backward_;
};

/// One image's part, by class of Channels; maxima by slot.
struct Sample {
  std::vector<double> taylor, activation;
  std::vector<int> maxima;
};

}  // namespace

DelayedScales fit_scales(Backward& backward, std::span<const std::int8_t> input) {
  constexpr int kAttempts = 24;
  DelayedScales scales;
  scales.start(backward.first_scales());
  golden::Runner runner(backward.graph());
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    backward.set_scales(scales.scales());
    runner.rescale(backward.graph());
    if (scales.fit(backward.maxima(runner.run(input)), attempt)) break;
  }
  backward.set_scales(scales.scales());
  return scales;
}

Result<std::unique_ptr<Passes>> golden_passes(const ir::QuantGraph& forward,
                                              const Backward& backward) {
  return std::unique_ptr<Passes>(std::make_unique<GoldenPasses>(forward, backward));
}

struct Meter::Impl {
  const ir::QuantGraph* graph;
  const masks::Channels* channels;
  std::vector<int> classes;
  Backward backward;
  std::unique_ptr<Passes> passes;

  /// The inputs of a backward pass: the output's gradient, then what was kept.
  struct Kept {
    std::vector<golden::Tensor> tensors;
    std::vector<std::int8_t> input;
    double scale = 0;
  };
  [[nodiscard]] Result<Kept> forward(std::span<const std::int8_t> image, int label) const {
    auto tensors = passes->forward(image);
    if (!tensors) return tensors.error();
    const golden::Tensor& output = (*tensors)[index(graph->output)];
    if (label < 0) label = best_of(output, classes);
    OutputGradient gradient =
        Backward::quantise_output(loss_gradient(*graph, output, classes, label));
    Kept kept{std::move(*tensors), std::move(gradient.values), gradient.scale};
    for (const int t : backward.kept())
      kept.input.insert(kept.input.end(), kept.tensors[index(t)].begin(),
                        kept.tensors[index(t)].end());
    return kept;
  }
  Status use(const std::vector<float>& scales) {
    if (backward.scales() == scales) return {};
    backward.set_scales(scales);
    return passes->rescaled();
  }

  /// Finds scales that fit an image, on the golden model whatever the passes run on.
  Status begin(std::span<const std::int8_t> image, int label, DelayedScales& scales) {
    const auto kept = forward(image, label);
    if (!kept) return kept.error();
    scales = fit_scales(backward, kept->input);
    return passes->rescaled();
  }

  [[nodiscard]] Result<Sample> measure(std::span<const std::int8_t> image, int label) const {
    auto kept = forward(image, label);
    if (!kept) return kept.error();
    const auto gradients = passes->backward(kept->input);
    if (!gradients) return gradients.error();
    Sample sample{std::vector<double>(channels->classes(), 0.0),
                  std::vector<double>(channels->classes(), 0.0), backward.maxima(*gradients)};
    for (const Backward::Score& score : backward.scores()) {
      const ir::QuantTensor& tensor = graph->tensors[index(score.activation)];
      const golden::Tensor& activation = kept->tensors[index(score.activation)];
      const golden::Tensor& sums = (*gradients)[index(score.sums)];
      const double unit = backward.unit(score) * kept->scale;
      const std::size_t plane = index(tensor.shape.h) * index(tensor.shape.w);
      for (std::size_t c = 0; c < index(tensor.shape.c); ++c) {
        const auto id = index(channels->of_tensor[index(score.activation)][c]);
        sample.taylor[id] += Backward::sum(sums, c) * unit;
        std::int64_t sum = 0;
        for (std::size_t i = c * plane; i < (c + 1) * plane; ++i)
          sum += std::abs(activation[i] - tensor.quant.zero);
        sample.activation[id] +=
            static_cast<double>(sum) * tensor.quant.scale / static_cast<double>(plane);
      }
    }
    return sample;
  }
};

Result<Meter> Meter::make(const ir::QuantGraph& graph, const masks::Channels& channels,
                          const std::vector<bool>& scored, std::vector<int> classes,
                          const MakePasses& passes) {
  auto backward = Backward::make(graph, scored);
  if (!backward) return backward.error();
  auto impl = std::make_unique<Impl>(
      Impl{&graph, &channels, std::move(classes), std::move(*backward), nullptr});
  auto made = passes(graph, impl->backward);
  if (!made) return made.error();
  impl->passes = std::move(*made);
  return Meter(std::move(impl));
}

Meter::Meter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Meter::~Meter() = default;
Meter::Meter(Meter&&) noexcept = default;

std::size_t Meter::slots() const { return impl_->backward.slots(); }

Status Meter::add(std::span<const std::int8_t> inputs, std::span<const int> labels,
                  Importance& state, int threads, const std::function<void(std::size_t)>& done) {
  const auto size =
      static_cast<std::size_t>(impl_->graph->tensors[index(impl_->graph->input)].shape.count());
  ESP_CHECK(inputs.size() == labels.size() * size);
  state.taylor.resize(impl_->channels->classes(), 0.0);
  state.activation.resize(impl_->channels->classes(), 0.0);
  const auto image = [&](std::size_t i) { return inputs.subspan(i * size, size); };
  if (!labels.empty() && state.scales.scales().empty()) {
    if (Status s = impl_->begin(image(0), labels[0], state.scales); !s) return s;
  }
  for (std::size_t first = 0; first < labels.size();) {
    const std::size_t count = std::min(labels.size() - first, kRound - state.images % kRound);
    if (Status s = impl_->use(state.scales.scales()); !s) return s;
    std::vector<Result<Sample>> samples(count, Sample{});
    for_each(count, impl_->passes->threads() ? threads : 1, [&](std::size_t i) {
      samples[i] = impl_->measure(image(first + i), labels[first + i]);
    });
    for (const auto& sample : samples) {
      if (!sample) return sample.error();
    }
    for (const auto& sample : samples) {
      for (std::size_t c = 0; c < state.taylor.size(); ++c) {
        state.taylor[c] += std::abs(sample->taylor[c]);
        state.activation[c] += sample->activation[c];
      }
      state.scales.note(sample->maxima);
    }
    for (std::size_t i = first; i < first + count; ++i)
      state.digest = digest(state.digest, image(i), labels[i]);
    state.images += count;
    first += count;
    if (state.images % kRound == 0) state.scales.update();
    if (done) done(first);
  }
  return {};
}

}  // namespace espalier::personal
