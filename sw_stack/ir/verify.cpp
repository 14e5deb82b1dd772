#include "ir/verify.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace espalier::ir {
namespace {

constexpr int kMaxTaps = 1 << 22;

std::string text(const Shape& s) { return fmt::format("{}x{}x{}", s.c, s.h, s.w); }

/// Checks a pool's windows along one axis. Each must hold a pixel of the image.
Status check_pool_axis(int size, int out, int kernel, int stride, int dilation, int before,
                       int after, const char* axis, const std::string& place) {
  const std::int64_t room =
      std::int64_t{size} + before + after - (std::int64_t{dilation} * (kernel - 1) + 1);
  const std::int64_t floor = room < 0 ? 0 : room / stride + 1;
  const std::int64_t ceil = room < 0 ? 1 - (-room) / stride : (room + stride - 1) / stride + 1;
  if (out != floor && out != ceil) {
    return fail(ErrorCode::kShape,
                fmt::format("output {} is {}; the window gives {} or, in ceil mode, {}", axis, out,
                            floor, ceil),
                place);
  }
  for (int o = 0; o < out; ++o) {
    const std::int64_t start = std::int64_t{o} * stride - before;
    if (start >= size || taps_inside(static_cast<int>(start), kernel, dilation, 0, size) == 0) {
      return fail(
          ErrorCode::kShape,
          fmt::format("window {} of the {} axis holds no pixel of the image's {}", o, axis, size),
          place);
    }
  }
  return {};
}

Status check_ids(std::size_t tensors, const NodeFrame& node) {
  const auto outside = [tensors](int id) {
    return id < 0 || static_cast<std::size_t>(id) >= tensors;
  };
  for (const int id : node.inputs) {
    if (outside(id)) {
      return fail(ErrorCode::kMalformed, fmt::format("input {} of {} tensors", id, tensors),
                  node_place("node", *node.name));
    }
  }
  if (outside(node.output)) {
    return fail(ErrorCode::kMalformed, fmt::format("output {} of {} tensors", node.output, tensors),
                node_place("node", *node.name));
  }
  return {};
}

}  // namespace

std::string node_place(const std::string& op, const std::string& name) {
  return fmt::format("{} '{}'", op, name);
}

Status check_shape(const Shape& s, const std::string& place) {
  for (const int extent : {s.c, s.h, s.w}) {
    if (extent < 1 || extent > kMaxExtent) {
      return fail(ErrorCode::kShape,
                  fmt::format("shape {}; each extent must be 1..{}", text(s), kMaxExtent), place);
    }
  }
  if (s.count() > kMaxElements) {
    return fail(
        ErrorCode::kShape,
        fmt::format("shape {} has {} elements; the limit is {}", text(s), s.count(), kMaxElements),
        place);
  }
  return {};
}

Status check_frame(std::size_t tensors, std::span<const NodeFrame> nodes,
                   std::span<const int> inputs, int output) {
  const auto index = [](int id) { return static_cast<std::size_t>(id); };
  for (const int input : inputs) {
    if (input < 0 || index(input) >= tensors) {
      return fail(ErrorCode::kMalformed,
                  fmt::format("graph input {} of {} tensors", input, tensors));
    }
  }
  if (output < 0 || index(output) >= tensors) {
    return fail(ErrorCode::kMalformed,
                fmt::format("graph output {} of {} tensors", output, tensors));
  }
  if (nodes.empty()) return fail(ErrorCode::kMalformed, "the graph has no nodes");
  std::vector<bool> defined(tensors, false);
  for (const int input : inputs) {
    if (defined[index(input)])
      return fail(ErrorCode::kMalformed, fmt::format("tensor {} is an input twice", input));
    defined[index(input)] = true;
  }
  for (const NodeFrame& node : nodes) {
    if (Status s = check_ids(tensors, node); !s) return s;
    for (const int id : node.inputs) {
      if (!defined[index(id)]) {
        return fail(ErrorCode::kMalformed, fmt::format("reads tensor {} before it is made", id),
                    node_place("node", *node.name));
      }
    }
    if (defined[index(node.output)]) {
      return fail(ErrorCode::kMalformed, fmt::format("makes tensor {} again", node.output),
                  node_place("node", *node.name));
    }
    defined[index(node.output)] = true;
  }
  for (std::size_t id = 0; id < tensors; ++id) {
    if (!defined[id])
      return fail(ErrorCode::kMalformed, fmt::format("tensor {} is never made", id));
  }
  if (std::ranges::find(inputs, output) != inputs.end())
    return fail(ErrorCode::kMalformed, "the graph's output is its input");
  return {};
}

Status check_window(const Window& w, const std::string& place) {
  const struct {
    const char* name;
    int value, least;
  } fields[] = {
      {"kernel height", w.kh, 1},
      {"kernel width", w.kw, 1},
      {"stride height", w.stride_h, 1},
      {"stride width", w.stride_w, 1},
      {"dilation height", w.dilation_h, 1},
      {"dilation width", w.dilation_w, 1},
      {"top pad", w.pad_top, 0},
      {"left pad", w.pad_left, 0},
      {"bottom pad", w.pad_bottom, 0},
      {"right pad", w.pad_right, 0},
  };
  for (const auto& field : fields) {
    if (field.value < field.least || field.value >= kMaxExtent) {
      return fail(ErrorCode::kRange,
                  fmt::format("{} is {}; the range is {}..{}", field.name, field.value, field.least,
                              kMaxExtent - 1),
                  place);
    }
  }
  if (std::int64_t{w.kh} * w.kw > kMaxTaps) {
    return fail(ErrorCode::kRange,
                fmt::format("a window of {}x{} taps; the limit is {}", w.kh, w.kw, kMaxTaps),
                place);
  }
  return {};
}

Status check_conv(const Window& w, int out_channels, const Shape& x, const Shape& y,
                  std::size_t weights, std::size_t bias, const std::string& place) {
  if (Status s = check_window(w, place); !s) return s;
  const Shape wanted{out_channels,
                     window_extent(x.h, w.kh, w.stride_h, w.dilation_h, w.pad_top, w.pad_bottom),
                     window_extent(x.w, w.kw, w.stride_w, w.dilation_w, w.pad_left, w.pad_right)};
  if (!(y == wanted)) {
    return fail(ErrorCode::kShape,
                fmt::format("output is {}; the window gives {}", text(y), text(wanted)), place);
  }
  const std::int64_t padded_h = std::int64_t{x.h} + w.pad_top + w.pad_bottom;
  const std::int64_t padded_w = std::int64_t{x.w} + w.pad_left + w.pad_right;
  if (padded_h * padded_w > kMaxElements / x.c) {
    return fail(ErrorCode::kShape,
                fmt::format("padded input is {}x{}x{}; the limit is {} elements", x.c, padded_h,
                            padded_w, kMaxElements),
                place);
  }
  const std::int64_t size = std::int64_t{out_channels} * x.c;  // below 2^33; times 2^22 below 2^55
  const std::int64_t count = size * w.kh * w.kw;
  if (count > kMaxElements) {
    return fail(ErrorCode::kRange, fmt::format("{} weights; the limit is {}", count, kMaxElements),
                place);
  }
  if (weights != static_cast<std::size_t>(count)) {
    return fail(ErrorCode::kShape, fmt::format("{} weights; the shapes need {}", weights, count),
                place);
  }
  if (bias != static_cast<std::size_t>(out_channels)) {
    return fail(ErrorCode::kShape,
                fmt::format("{} biases for {} output channels", bias, out_channels), place);
  }
  return {};
}

Status check_pool(const Window& w, const Shape& x, const Shape& y, const std::string& place) {
  if (Status s = check_window(w, place); !s) return s;
  if (x.c != y.c) {
    return fail(ErrorCode::kShape, fmt::format("{} channels in, {} out", x.c, y.c), place);
  }
  if (Status s = check_pool_axis(x.h, y.h, w.kh, w.stride_h, w.dilation_h, w.pad_top, w.pad_bottom,
                                 "height", place);
      !s) {
    return s;
  }
  return check_pool_axis(x.w, y.w, w.kw, w.stride_w, w.dilation_w, w.pad_left, w.pad_right, "width",
                         place);
}

Status check_reads(const Reads& reads, int out_channels, int channels, const std::string& place) {
  if (reads.empty()) return {};
  if (reads.size() != static_cast<std::size_t>(out_channels)) {
    return fail(ErrorCode::kShape,
                fmt::format("{} ranges of input channels for {} output channels", reads.size(),
                            out_channels),
                place);
  }
  for (const ChannelRange& range : reads) {
    if (range.first < 0 || range.last < range.first || range.last > channels) {
      return fail(ErrorCode::kRange,
                  fmt::format("reads channels {} to before {}; the input has {}", range.first,
                              range.last, channels),
                  place);
    }
  }
  return {};
}

bool zero_outside(const QuantConv& conv) {
  if (conv.reads.empty()) return true;
  const std::size_t taps = static_cast<std::size_t>(conv.window.kh) * conv.window.kw;
  const std::size_t row = conv.weights.size() / conv.reads.size(), channels = row / taps;
  for (std::size_t n = 0; n < conv.reads.size(); ++n) {
    const ChannelRange& range = conv.reads[n];
    const std::int8_t* weight = conv.weights.data() + n * row;
    if (range.empty()) {
      if (row - static_cast<std::size_t>(std::count(weight, weight + row, 0)) > 1) return false;
      continue;
    }
    for (std::size_t tap = 0; tap < taps; ++tap, weight += channels) {
      const auto zero = [](std::int8_t w) { return w == 0; };
      if (!std::all_of(weight, weight + range.first, zero)) return false;
      if (!std::all_of(weight + range.last, weight + channels, zero)) return false;
    }
  }
  return true;
}

Status check_concat(std::span<const Shape> inputs, const Shape& y, const std::string& place) {
  if (inputs.size() < 2) {
    return fail(ErrorCode::kShape, fmt::format("{} inputs; the least is 2", inputs.size()), place);
  }
  std::int64_t channels = 0;
  for (const Shape& x : inputs) {
    channels += x.c;
    if (x.h != y.h || x.w != y.w) {
      return fail(ErrorCode::kShape, fmt::format("input is {}; output is {}", text(x), text(y)),
                  place);
    }
  }
  if (channels != y.c) {
    return fail(ErrorCode::kShape,
                fmt::format("inputs have {} channels; output has {}", channels, y.c), place);
  }
  return {};
}

Status check_same(const Shape& x, const Shape& y, const std::string& place) {
  if (x == y) return {};
  return fail(ErrorCode::kShape, fmt::format("input is {}; output is {}", text(x), text(y)), place);
}

Status check_arity(std::size_t inputs, std::size_t wanted, const std::string& place) {
  if (inputs == wanted) return {};
  return fail(ErrorCode::kShape, fmt::format("{} inputs; the operator takes {}", inputs, wanted),
              place);
}

}  // namespace espalier::ir
