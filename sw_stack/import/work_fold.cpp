// The passes of WorkGraph: what folds into neighbours, and what becomes a convolution.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "import/work_graph.hpp"

namespace espalier::import_ {
namespace {

Stride compose(const Stride& first, const Stride& second) {
  return {first.first + first.step * second.first, first.step * second.step, second.count};
}

/// The kernel extent and the tap that pick the positions of `stride` out of `size` pixels.
std::pair<int, int> crop_kernel(const Stride& stride, int size) {
  return {std::max(stride.first + 1, size - stride.count * stride.step + 1), stride.first};
}

/// conv(x) * scale + shift, per output channel.
void scale_outputs(ir::FloatConv& conv, const Affine& affine) {
  const std::size_t row = conv.weights.size() / static_cast<std::size_t>(conv.out_channels);
  for (std::size_t n = 0; n < conv.bias.size(); ++n) {
    for (std::size_t k = 0; k < row; ++k) conv.weights[n * row + k] *= affine.scale[n];
    conv.bias[n] = conv.bias[n] * affine.scale[n] + affine.shift[n];
  }
}

/// conv(scale * x + shift), per input channel; exact where the convolution has no padding, or
/// where its padding takes the values that become 0.
void scale_inputs(ir::FloatConv& conv, const Affine& affine) {
  const std::size_t channels = affine.scale.size();
  const std::size_t row = conv.weights.size() / static_cast<std::size_t>(conv.out_channels);
  for (std::size_t n = 0; n < conv.bias.size(); ++n) {
    double shift = 0;
    for (std::size_t k = 0; k < row; ++k) {
      float& weight = conv.weights[n * row + k];
      shift += static_cast<double>(weight) * affine.shift[k % channels];
      weight *= affine.scale[k % channels];
    }
    conv.bias[n] += static_cast<float>(shift);
  }
}

/// What an affine turns into 0, per channel.
std::vector<float> zeros_of(const Affine& affine) {
  std::vector<float> values;
  for (std::size_t c = 0; c < affine.scale.size(); ++c)
    values.push_back(-affine.shift[c] / affine.scale[c]);
  return values;
}

bool has_zero(const Affine& affine) {
  return std::ranges::all_of(zeros_of(affine), [](float value) { return std::isfinite(value); });
}

}  // namespace

std::vector<int> every_channel(int count) {
  std::vector<int> channels(static_cast<std::size_t>(count));
  for (int c = 0; c < count; ++c) channels[c] = c;
  return channels;
}

Select whole(const ir::Shape& shape) {
  return {every_channel(shape.c), {0, 1, shape.h}, {0, 1, shape.w}};
}

Result<ir::FloatConv> selection_conv(const std::vector<int>& source, int channels,
                                     const std::vector<float>& gain, std::vector<float> bias,
                                     const ir::Window& window, int row, int column) {
  const std::int64_t per_output = std::int64_t{window.kh} * window.kw * channels;
  const std::int64_t count = per_output * static_cast<std::int64_t>(source.size());
  if (per_output > kMaxExpandedWeights || count > kMaxExpandedWeights) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("needs a convolution of {} weights in its place; the limit is {}",
                            count, kMaxExpandedWeights));
  }
  ir::FloatConv conv;
  conv.window = window;
  conv.out_channels = static_cast<int>(source.size());
  conv.bias = std::move(bias);
  conv.bias.resize(source.size(), 0.0F);
  conv.weights.assign(static_cast<std::size_t>(count), 0.0F);
  conv.reads.resize(source.size());  // without a gain nothing is multiplied
  for (std::size_t n = 0; n < source.size(); ++n) {
    if (source[n] < 0) continue;
    if (!gain.empty()) conv.reads[n] = {source[n], source[n] + 1};
    const std::int64_t at = (std::int64_t{row} * window.kw + column) * channels + source[n];
    conv.weights[n * static_cast<std::size_t>(per_output) + static_cast<std::size_t>(at)] =
        gain.empty() ? 1.0F : gain[n];
  }
  return conv;
}

/// A concatenation that puts every channel of one image back in its place, scaled and shifted on
/// its own, is an affine of that image: so do networks that take another network's normalisation.
void WorkGraph::merge_channel_affines() {
  struct Channel {
    int source;
    float scale = 1, shift = 0;
  };
  for (WorkNode& node : nodes_) {
    if (node.dead || !std::holds_alternative<ir::FloatConcat>(node.op)) continue;
    int root = -1;
    Affine merged;
    bool fits = true;
    for (int tensor : node.inputs) {
      std::vector<Channel> channels;
      for (int c = 0; c < tensors_[tensor].shape.c; ++c) channels.push_back({c});
      for (int from = producer_[tensor]; from >= 0; from = producer_[tensor]) {
        const WorkNode& step = nodes_[from];
        const ir::Shape& in = tensors_[step.inputs[0]].shape;
        if (const auto* affine = std::get_if<Affine>(&step.op)) {
          for (Channel& c : channels) {
            c.shift += c.scale * affine->shift[c.source];
            c.scale *= affine->scale[c.source];
          }
        } else if (const auto* select = std::get_if<Select>(&step.op);
                   select != nullptr && select->rows.count == in.h &&
                   select->columns.count == in.w &&
                   std::find(select->source.begin(), select->source.end(), -1) ==
                       select->source.end()) {
          for (Channel& c : channels) c.source = select->source[c.source];
        } else {
          break;
        }
        tensor = step.inputs[0];
      }
      fits = fits && (root < 0 || root == tensor);
      root = tensor;
      for (const Channel& c : channels) {
        fits = fits && c.source == static_cast<int>(merged.scale.size());
        merged.scale.push_back(c.scale);
        merged.shift.push_back(c.shift);
      }
    }
    if (!fits || tensors_[root].shape != tensors_[node.output].shape) continue;
    node.op = std::move(merged);
    node.inputs = {root};
  }
}

void WorkGraph::merge_selects() {
  for (WorkNode& node : nodes_) {
    auto* second = std::get_if<Select>(&node.op);
    if (node.dead || second == nullptr) continue;
    const int from = producer_[node.inputs[0]];
    if (from < 0 || !sole_consumer(node.inputs[0])) continue;
    const auto* first = std::get_if<Select>(&nodes_[from].op);
    if (first == nullptr) continue;
    for (int& source : second->source) source = source < 0 ? -1 : first->source[source];
    second->rows = compose(first->rows, second->rows);
    second->columns = compose(first->columns, second->columns);
    node.inputs = nodes_[from].inputs;
    nodes_[from].dead = true;
    std::replace(consumers_[node.inputs[0]].begin(), consumers_[node.inputs[0]].end(), from,
                 static_cast<int>(&node - nodes_.data()));
  }
}

Status WorkGraph::become(WorkNode& node, Result<ir::FloatConv> conv) {
  if (!conv) return work_error(node, conv.error().code, conv.error().message);
  node.op = std::move(*conv);
  return {};
}

Status WorkGraph::lower_selects() {
  for (WorkNode& node : nodes_) {
    const auto* select = std::get_if<Select>(&node.op);
    if (node.dead || select == nullptr) continue;
    const ir::Shape& in = tensors_[node.inputs[0]].shape;
    const auto [kh, row] = crop_kernel(select->rows, in.h);
    const auto [kw, column] = crop_kernel(select->columns, in.w);
    ir::Window window;
    window.kh = kh;
    window.kw = kw;
    window.stride_h = select->rows.step;
    window.stride_w = select->columns.step;
    const Status status =
        become(node, selection_conv(select->source, in.c, {}, {}, window, row, column));
    if (!status) return status;
  }
  return {};
}

void WorkGraph::fold_affines_back() {
  for (WorkNode& node : nodes_) {
    const auto* affine = std::get_if<Affine>(&node.op);
    if (node.dead || affine == nullptr) continue;
    const int tensor = node.inputs[0];
    const int from = producer_[tensor];
    if (from < 0 || !sole_consumer(tensor)) continue;
    if (auto* conv = std::get_if<ir::FloatConv>(&nodes_[from].op)) {
      scale_outputs(*conv, *affine);
    } else if (auto* before = std::get_if<Affine>(&nodes_[from].op)) {
      for (std::size_t c = 0; c < before->scale.size(); ++c) {
        before->scale[c] *= affine->scale[c];
        before->shift[c] = before->shift[c] * affine->scale[c] + affine->shift[c];
      }
    } else {
      continue;
    }
    nodes_[from].output = node.output;
    producer_[node.output] = from;
    node.dead = true;
  }
}

void WorkGraph::fold_affines_forward() {
  for (WorkNode& node : nodes_) {
    const auto* affine = std::get_if<Affine>(&node.op);
    if (node.dead || affine == nullptr || node.output == output) continue;
    const bool shifts = std::any_of(affine->shift.begin(), affine->shift.end(),
                                    [](float shift) { return shift != 0; });
    const std::vector<int>& users = consumers_[node.output];
    // Around the graph's input the host writes whatever becomes 0, where that is one reader's wish.
    const bool first = node.inputs[0] == input && consumers_[input].size() == 1 &&
                       users.size() == 1 && has_zero(*affine);
    const auto takes = [&](int index) {
      const auto* conv = std::get_if<ir::FloatConv>(&nodes_[index].op);
      return conv != nullptr && (first || !(shifts && padded(conv->window)));
    };
    if (users.empty() || !std::all_of(users.begin(), users.end(), takes)) continue;
    const int from = node.inputs[0];
    std::erase(consumers_[from], static_cast<int>(&node - nodes_.data()));
    for (const int index : users) {
      auto& conv = std::get<ir::FloatConv>(nodes_[index].op);
      scale_inputs(conv, *affine);
      if (shifts && padded(conv.window)) conv.border = zeros_of(*affine);
      nodes_[index].inputs[0] = from;
      consumers_[from].push_back(index);
    }
    node.dead = true;
  }
}

Status WorkGraph::lower_affines() {
  for (WorkNode& node : nodes_) {
    const auto* affine = std::get_if<Affine>(&node.op);
    if (node.dead || affine == nullptr) continue;
    const int channels = tensors_[node.inputs[0]].shape.c;
    const Status status = become(node, selection_conv(every_channel(channels), channels,
                                                      affine->scale, affine->shift, {}, 0, 0));
    if (!status) return status;
  }
  return {};
}

}  // namespace espalier::import_
