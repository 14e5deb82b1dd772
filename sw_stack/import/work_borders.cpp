// Borders of a WorkGraph: padding of the windows that read them, or convolutions.

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "import/work_graph.hpp"

namespace espalier::import_ {

ir::Window around(const Border& border) {
  ir::Window window;
  window.pad_top = border.top;
  window.pad_left = border.left;
  window.pad_bottom = border.bottom;
  window.pad_right = border.right;
  return window;
}

bool windows_hold_pixels(int outputs, int kernel, int stride, int dilation, int pad_before,
                         int size) {
  for (int o = 0; o < outputs; ++o) {
    const std::int64_t start = std::int64_t{o} * stride - pad_before;
    std::int64_t at = start;
    if (at < 0) at += (-at + dilation - 1) / dilation * dilation;
    if (at >= size || at > start + std::int64_t{dilation} * (kernel - 1)) return false;
  }
  return true;
}

bool WorkGraph::border_fits(const Border& border, int tensor, bool not_negative) const {
  if (tensor == output || consumers_[tensor].empty()) return false;
  const ir::Shape& padded_shape = tensors_[tensor].shape;
  const int h = padded_shape.h - border.top - border.bottom;
  const int w = padded_shape.w - border.left - border.right;
  return std::all_of(consumers_[tensor].begin(), consumers_[tensor].end(), [&](int index) {
    const WorkNode& node = nodes_[index];
    if (std::holds_alternative<ir::FloatConv>(node.op)) return border.value == 0;
    const auto* pool = std::get_if<ir::FloatPool>(&node.op);
    if (pool == nullptr) return false;
    const ir::Window& win = pool->window;
    if (pool->kind == ir::PoolKind::kAverage) {
      if (border.value != 0 || (!pool->count_include_pad && padded(win))) return false;
    } else {
      // Lowest values never win; zeros never win where a pixel, which is not negative, is in sight.
      if (border.value != 0 && border.value > std::numeric_limits<float>::lowest()) return false;
      if (border.value == 0 && (!not_negative || padded(win))) return false;
    }
    const ir::Shape& out = tensors_[node.output].shape;
    return windows_hold_pixels(out.h, win.kh, win.stride_h, win.dilation_h,
                               win.pad_top + border.top, h) &&
           windows_hold_pixels(out.w, win.kw, win.stride_w, win.dilation_w,
                               win.pad_left + border.left, w);
  });
}

/// Tensors whose real values are all 0 or more. A stored tensor's are, where 0 is its least step.
std::vector<bool> WorkGraph::find_not_negative() const {
  std::vector<bool> found(tensors_.size(), false);
  const auto judged = [&](const WorkNode& node) {
    const bool inputs_are = std::ranges::all_of(node.inputs, [&](int t) { return found[t]; });
    if (const auto* clamp = std::get_if<ir::FloatClamp>(&node.op)) return clamp->lo >= 0;
    if (const auto* border = std::get_if<Border>(&node.op)) return inputs_are && border->value >= 0;
    if (const auto* q = std::get_if<Quantise>(&node.op))
      return inputs_are || q->zero == least_of(q->type);
    if (const auto* d = std::get_if<Dequantise>(&node.op))
      return inputs_are || (d->type != Stored::kUnknown && d->zero == least_of(d->type));
    return inputs_are && !std::holds_alternative<ir::FloatConv>(node.op) &&
           !std::holds_alternative<Affine>(node.op);
  };
  for (const WorkNode& node : nodes_) {
    if (!node.dead) found[node.output] = judged(node);
  }
  return found;
}

/// The tensor in which others read what a border makes: in a quantised model it is stored and read
/// back, which changes nothing where its scale stays the same. -1 where nothing can read past it.
int WorkGraph::border_reader(const WorkNode& border) const {
  const int from = producer_[border.inputs[0]];
  if (from < 0 || std::holds_alternative<Quantise>(nodes_[from].op))
    return from < 0 ? border.output : -1;
  const auto* before = std::get_if<Dequantise>(&nodes_[from].op);
  if (before == nullptr || !sole_consumer(border.output)) return border.output;
  const WorkNode& store = nodes_[consumers_[border.output][0]];
  const auto* stored = std::get_if<Quantise>(&store.op);
  if (stored == nullptr) return border.output;
  if (!sole_consumer(store.output)) return -1;
  const WorkNode& read = nodes_[consumers_[store.output][0]];
  const auto* again = std::get_if<Dequantise>(&read.op);
  const auto same = [before](const auto& other) {
    return other.scale == before->scale && other.zero == before->zero && other.type == before->type;
  };
  return again != nullptr && same(*stored) && same(*again) ? read.output : -1;
}

void WorkGraph::fold_borders() {
  drop_dead();
  index();
  merge_borders();
}

void WorkGraph::merge_borders() {
  const std::vector<bool> not_negative = find_not_negative();
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    WorkNode& node = nodes_[i];
    const auto* border = std::get_if<Border>(&node.op);
    if (node.dead || border == nullptr) continue;
    const int from = node.inputs[0], reader = border_reader(node);
    if (reader < 0 || !border_fits(*border, reader, not_negative[from])) continue;
    for (const int index : consumers_[reader]) {
      WorkNode& consumer = nodes_[index];
      auto* pool = std::get_if<ir::FloatPool>(&consumer.op);
      ir::Window& window = pool ? pool->window : std::get<ir::FloatConv>(consumer.op).window;
      window.pad_top += border->top;
      window.pad_left += border->left;
      window.pad_bottom += border->bottom;
      window.pad_right += border->right;
      if (pool != nullptr && pool->kind == ir::PoolKind::kAverage) pool->count_include_pad = true;
      consumer.inputs[0] = from;
      consumers_[from].push_back(index);
    }
    for (int tensor = reader;; tensor = nodes_[producer_[tensor]].inputs[0]) {
      nodes_[producer_[tensor]].dead = true;
      if (tensor == node.output) break;
    }
    std::erase(consumers_[from], static_cast<int>(i));
  }
}

Status WorkGraph::lower_borders() {
  for (WorkNode& node : nodes_) {
    const auto* border = std::get_if<Border>(&node.op);
    if (node.dead || border == nullptr) continue;
    if (border->value != 0) {  // importers split others into a shift, a border of 0 and a shift
      return work_error(node, ErrorCode::kUnsupported,
                        fmt::format("pads with {}; nothing after it can take that", border->value));
    }
    const ir::Shape& in = tensors_[node.inputs[0]].shape;
    const Status status =
        become(node, selection_conv(every_channel(in.c), in.c, {}, {}, around(*border), 0, 0));
    if (!status) return status;
  }
  return {};
}

}  // namespace espalier::import_
