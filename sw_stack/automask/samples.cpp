#include "automask/samples.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "images/dataset.hpp"
#include "images/input.hpp"
#include "base/bytes.hpp"
#include "base/integers.hpp"

namespace espalier::automask {
namespace {

using torch::Tensor;

Diagnostic no_labels(const std::string& path) {
  return fail(ErrorCode::kUsage,
              "has no labels; give a CIFAR-10 .bin file or a folder of one sub-folder a class, or "
              "take --labels none",
              path);
}

/// `from` moved into `to`, which is 0. Shapes: both [C][H][W].
template <typename T>
void move_into(const T* from, const Move& move, const ir::Shape& shape, T* to) {
  for (int c = 0; c < shape.c; ++c) {
    for (int y = std::max(0, move.down); y < std::min(shape.h, shape.h + move.down); ++y) {
      const T* const source = from + (std::int64_t{c} * shape.h + y - move.down) * shape.w;
      T* const row = to + (std::int64_t{c} * shape.h + y) * shape.w;
      for (int x = std::max(0, move.right); x < std::min(shape.w, shape.w + move.right); ++x)
        row[x] = source[move.mirrored ? shape.w - 1 - (x - move.right) : x - move.right];
    }
  }
}

template <typename T>
void gather(const Tensor& pixels, const std::vector<std::size_t>& list,
            const std::vector<Move>& moves, const ir::Shape& shape, const Tensor& into) {
  const auto count = static_cast<std::size_t>(shape.count());
  for (std::size_t i = 0; i < list.size(); ++i) {
    move_into(pixels.data_ptr<T>() + list[i] * count, moves.empty() ? Move() : moves[i], shape,
              into.data_ptr<T>() + i * count);
  }
}

}  // namespace

std::size_t draw(std::mt19937_64& random, std::size_t count) { return random() % count; }

Result<Samples> Samples::load(const std::vector<std::string>& paths, const ir::QuantGraph& graph,
                              bool labels, std::uint64_t count) {
  const ir::Shape& shape = at(graph.tensors, graph.input).shape;
  const int classes = at(graph.tensors, graph.output).shape.c;
  std::vector<images::Dataset> sets;
  std::vector<std::size_t> sizes;
  std::size_t total = 0;
  for (const std::string& path : paths) {
    auto set = images::Dataset::open(path, shape);
    if (!set) return set.error();
    if (labels && !set->has_labels()) return no_labels(path);
    if (!sets.empty() && set->raw_float() != sets[0].raw_float()) {
      return fail(ErrorCode::kMismatch,
                  fmt::format("has {}; {} has {}", set->raw_float() ? "float values" : "pixels",
                              paths[0], set->raw_float() ? "pixels" : "float values"),
                  path);
    }
    sizes.push_back(static_cast<std::size_t>(std::min<std::uint64_t>(set->size(), count - total)));
    total += sizes.back();
    sets.push_back(std::move(*set));
  }
  Samples samples(graph);
  const bool raw = sets[0].raw_float();
  samples.pixels_ =
      torch::empty({static_cast<std::int64_t>(total), shape.c, shape.h, shape.w},
                   torch::TensorOptions().dtype(raw ? torch::kFloat32 : torch::kUInt8));
  std::size_t to = 0;
  for (std::size_t s = 0; s < sets.size(); ++s) {
    for (std::size_t i = 0; i < sizes[s]; ++i, to += static_cast<std::size_t>(shape.count())) {
      const auto values = sets[s].load(i);
      if (!values) return values.error();
      if (raw) {
        std::ranges::copy(*values, samples.pixels_.data_ptr<float>() + to);
      } else {
        std::ranges::transform(*values, samples.pixels_.data_ptr<std::uint8_t>() + to,
                               [](float v) { return static_cast<std::uint8_t>(v); });
      }
      if (!labels) continue;
      const int label = sets[s].label(i);
      if (label >= classes) {
        return fail(ErrorCode::kRange,
                    fmt::format("has label {}; the network has {} outputs", label, classes),
                    sets[s].name(i));
      }
      samples.labels_.push_back(label);
    }
  }
  return samples;
}

Tensor Samples::inputs(const std::vector<std::size_t>& list, const std::vector<Move>& moves) const {
  const ir::Shape& shape = at(graph_->tensors, graph_->input).shape;
  const Tensor batch = torch::zeros(
      {static_cast<std::int64_t>(list.size()), shape.c, shape.h, shape.w}, pixels_.options());
  if (pixels_.scalar_type() == torch::kFloat32) {
    gather<float>(pixels_, list, moves, shape, batch);
    return batch;
  }
  gather<std::uint8_t>(pixels_, list, moves, shape, batch);
  const Tensor real = batch.to(torch::kFloat32);
  const ir::Preprocess& preprocess = graph_->preprocess;
  if (preprocess.mean.empty()) return real;
  return (real / 255 - torch::tensor(preprocess.mean).reshape({1, -1, 1, 1})) /
         torch::tensor(preprocess.std).reshape({1, -1, 1, 1});
}

Tensor Samples::labels(const std::vector<std::size_t>& list) const {
  const Tensor batch = torch::empty({static_cast<std::int64_t>(list.size())}, torch::kInt64);
  for (std::size_t i = 0; i < list.size(); ++i)
    batch.data_ptr<std::int64_t>()[i] = labels_[list[i]];
  return batch;
}

std::vector<std::int8_t> Samples::stored(std::size_t i) const {
  const bool raw = pixels_.scalar_type() == torch::kFloat32;
  const Tensor image = pixels_[static_cast<std::int64_t>(i)].to(torch::kFloat32).contiguous();
  return images::quantise_input(
      *graph_, {image.data_ptr<float>(), static_cast<std::size_t>(image.numel())}, raw);
}

std::uint64_t Samples::digest() const {
  ByteWriter out;
  out.put(fnv1a({static_cast<const std::uint8_t*>(pixels_.data_ptr()), pixels_.nbytes()}));
  for (const int label : labels_) out.put(static_cast<std::int32_t>(label));
  return fnv1a(out.bytes());
}

environment::Pictures Samples::statistics(std::size_t count) const {
  const auto channels = pixels_.size(1);
  environment::Pictures pictures{count, std::vector<float>(index(channels)),
                                 std::vector<float>(index(channels))};
  for (std::int64_t c = 0; c < channels; ++c) {
    double sum = 0, squares = 0;
    for (std::size_t i = 0; i < count; ++i) {  // image by image, in double: small, and exact enough
      const Tensor plane = pixels_[static_cast<std::int64_t>(i)][c].to(torch::kFloat64);
      sum += plane.mean().item<double>();
      squares += plane.square().mean().item<double>();
    }
    const double mean = sum / static_cast<double>(count);
    pictures.mean[index(c)] = static_cast<float>(mean);
    pictures.deviation[index(c)] = static_cast<float>(
        std::sqrt(std::max(0.0, squares / static_cast<double>(count) - mean * mean)));
  }
  return pictures;
}

}  // namespace espalier::automask
