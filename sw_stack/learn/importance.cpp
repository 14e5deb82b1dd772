#include "learn/importance.hpp"

#include <algorithm>
#include <cmath>

#include "learn/parallel.hpp"
#include "support/bytes.hpp"

namespace espalier::learn {
namespace {

std::size_t index(int id) { return static_cast<std::size_t>(id); }

bool is_sum(const ir::QuantNode& node) {
  return std::holds_alternative<ir::QuantAdd>(node.op) && node.inputs.size() > 1;
}

}  // namespace

std::vector<bool> scored_tensors(const ir::QuantGraph& graph, const prune::Channels& channels,
                                 prune::Scope scope) {
  std::vector<bool> in_scope(channels.classes(), false);
  for (const prune::Group& group : channels.groups) {
    if (!prune::in_scope(group, scope)) continue;
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
    if (!source || only_added[t] || prune::is_copy(graph, node)) continue;
    scored[t] =
        std::ranges::any_of(channels.of_tensor[t], [&](int c) { return in_scope[index(c)]; });
  }
  return scored;
}

std::int64_t backward_macs(const ir::QuantGraph& graph, const std::vector<bool>& scored) {
  std::vector<bool> needed = scored;
  std::int64_t sum = 0;
  for (const ir::QuantNode& node : graph.nodes) {
    if (std::ranges::none_of(node.inputs, [&](int t) { return needed[index(t)]; })) continue;
    needed[index(node.output)] = true;
    sum += ir::macs(graph, node);
  }
  return sum;
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

struct Meter::Impl {
  const ir::QuantGraph* graph;
  const prune::Channels* channels;
  std::vector<int> classes;
  std::vector<bool> scored;
  golden::Runner runner;
  golden::Backward backward;

  Impl(const ir::QuantGraph& g, const prune::Channels& c, prune::Scope scope, std::vector<int> user)
      : graph(&g),
        channels(&c),
        classes(std::move(user)),
        scored(scored_tensors(g, c, scope)),
        runner(g),
        backward(g, scored) {}

  /// One image's part, by class of Channels.
  struct Sample {
    golden::BackwardPass pass;
    std::vector<double> taylor, activation;
  };

  [[nodiscard]] Sample measure(std::span<const std::int8_t> input, int label,
                               std::span<const float> scales) const {
    const std::vector<golden::Tensor> tensors = runner.run(input);
    const golden::Tensor& output = tensors[index(graph->output)];
    if (label < 0) label = best_of(output, classes);
    const golden::OutputGradient gradient =
        backward.quantise_output(loss_gradient(*graph, output, classes, label));
    Sample sample{backward.run(tensors, gradient.values, scales),
                  std::vector<double>(channels->classes(), 0.0),
                  std::vector<double>(channels->classes(), 0.0)};
    for (std::size_t t = 0; t < scored.size(); ++t) {
      if (!scored[t]) continue;
      const ir::QuantTensor& tensor = graph->tensors[t];
      const std::size_t plane = index(tensor.shape.h) * index(tensor.shape.w);
      for (std::size_t c = 0; c < index(tensor.shape.c); ++c) {
        const auto id = index(channels->of_tensor[t][c]);
        if (!sample.pass.sums[t].empty()) {
          sample.taylor[id] += static_cast<double>(sample.pass.sums[t][c]) * gradient.scale *
                               backward.unit(sample.pass, static_cast<int>(t), c);
        }
        std::int64_t sum = 0;
        for (std::size_t i = c * plane; i < (c + 1) * plane; ++i)
          sum += std::abs(tensors[t][i] - tensor.quant.zero);
        sample.activation[id] +=
            static_cast<double>(sum) * tensor.quant.scale / static_cast<double>(plane);
      }
    }
    return sample;
  }
};

Meter::Meter(const ir::QuantGraph& graph, const prune::Channels& channels, prune::Scope scope,
             std::vector<int> classes)
    : impl_(std::make_unique<Impl>(graph, channels, scope, std::move(classes))) {}
Meter::~Meter() = default;
Meter::Meter(Meter&&) noexcept = default;

std::size_t Meter::slots() const { return impl_->backward.slots(); }

void Meter::add(std::span<const std::int8_t> inputs, std::span<const int> labels, Importance& state,
                int threads, const std::function<void(std::size_t)>& done) const {
  const auto size =
      static_cast<std::size_t>(impl_->graph->tensors[index(impl_->graph->input)].shape.count());
  ESP_CHECK(inputs.size() == labels.size() * size);
  state.taylor.resize(impl_->channels->classes(), 0.0);
  state.activation.resize(impl_->channels->classes(), 0.0);
  const auto image = [&](std::size_t i) { return inputs.subspan(i * size, size); };
  if (!labels.empty() && state.scales.scales().empty())
    state.scales.start(impl_->measure(image(0), labels[0], {}).pass);
  for (std::size_t first = 0; first < labels.size();) {
    const std::size_t count = std::min(labels.size() - first, kRound - state.images % kRound);
    std::vector<Impl::Sample> samples(count);
    each(count, threads, [&](std::size_t i) {
      samples[i] = impl_->measure(image(first + i), labels[first + i], state.scales.scales());
    });
    for (const Impl::Sample& sample : samples) {
      for (std::size_t c = 0; c < state.taylor.size(); ++c) {
        state.taylor[c] += std::abs(sample.taylor[c]);
        state.activation[c] += sample.activation[c];
      }
      state.scales.note(sample.pass);
    }
    for (std::size_t i = first; i < first + count; ++i)
      state.digest = digest(state.digest, image(i), labels[i]);
    state.images += count;
    first += count;
    if (state.images % kRound == 0) state.scales.update();
    if (done) done(first);
  }
}

}  // namespace espalier::learn
