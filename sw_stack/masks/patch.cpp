#include "masks/patch.hpp"

#include <fmt/format.h>

#include <set>

#include "masks/by_name.hpp"
#include "masks/sealed.hpp"
#include "base/bytes.hpp"
#include "base/whole_file.hpp"
#include "base/integers.hpp"

namespace espalier::masks {
namespace {

constexpr char kMagic[8] = {'E', 'S', 'P', 'P', 'A', 'T', 'C', 'H'};
constexpr std::uint32_t kVersion = 1;

/// The numbers of live channels of a tensor.
std::vector<std::size_t> live_channels(const Channels& channels, const Mask& mask, int tensor) {
  std::vector<std::size_t> list;
  const std::vector<int>& classes = channels.of_tensor[index(tensor)];
  for (std::size_t c = 0; c < classes.size(); ++c) {
    if (mask.live[index(classes[c])]) list.push_back(c);
  }
  return list;
}

template <typename T>
std::span<const std::uint8_t> raw(const std::vector<T>& values) {
  return {reinterpret_cast<const std::uint8_t*>(values.data()), values.size() * sizeof(T)};
}

template <typename T>
std::vector<T> get_values(ByteReader& in, std::uint64_t count) {
  const auto bytes = in.get_raw(count * sizeof(T));
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

}  // namespace

std::uint64_t digest(const ir::QuantGraph& graph, const Channels& channels, const Mask& mask,
                     Known known) {
  const std::string text = to_text(to_file(graph, channels, mask, known));
  return fnv1a({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

Result<Patch> make_patch(const ir::QuantGraph& graph, const Channels& channels, const Mask& mask,
                         const Pruned& pruned, const ir::QuantGraph& changed, Known known) {
  const std::uint64_t model = fingerprint(graph, known);
  Patch patch{graph.name, model, digest(graph, channels, mask, model), {}};
  std::set<std::string> names;
  ESP_CHECK(changed.nodes.size() == pruned.graph.nodes.size());
  for (std::size_t n = 0; n < changed.nodes.size(); ++n) {
    const ir::QuantNode& node = changed.nodes[n];
    const auto* now = std::get_if<ir::QuantConv>(&node.op);
    if (now == nullptr) continue;
    const auto& before = std::get<ir::QuantConv>(pruned.graph.nodes[n].op);
    if (!names.insert(node.name).second) {
      return fail(ErrorCode::kUnsupported, "the model has two convolutions of this name",
                  "layer '" + node.name + "'");
    }
    if (now->weights == before.weights && now->bias == before.bias && now->scale == before.scale)
      continue;
    patch.layers.push_back({node.name,
                            static_cast<std::uint32_t>(now->weights.size() / now->bias.size()),
                            now->weights, now->bias, now->scale});
  }
  return patch;
}

Result<ir::QuantGraph> patched(const Patch& patch, const ir::QuantGraph& graph,
                               const Channels& channels, const Mask& mask, const std::string& place,
                               Known known) {
  const auto model = same_model(patch.fingerprint, graph, place, known);
  if (!model) return model.error();
  if (patch.mask != digest(graph, channels, mask, *model))
    return fail(ErrorCode::kMismatch, "is for another mask of this model", place);
  const Convolutions convolutions(graph);
  ir::QuantGraph out = graph;
  std::set<std::string> done;
  for (const Patch::Layer& layer : patch.layers) {
    const std::string here = fmt::format("{}: layer '{}'", place, layer.name);
    const auto found = convolutions.find(layer.name, here);
    if (!found) return found.error();
    const auto complain = [&](ErrorCode code, std::string message) {
      return fail(code, std::move(message), here);
    };
    if (!done.insert(layer.name).second) return complain(ErrorCode::kMalformed, "is there twice");
    ir::QuantNode& node = out.nodes[index(*found)];
    auto& conv = std::get<ir::QuantConv>(node.op);
    const std::size_t depth = index(out.tensors[index(node.inputs[0])].shape.c);
    const std::size_t taps = index(conv.window.kh) * index(conv.window.kw);
    const auto rows = live_channels(channels, mask, node.output);
    const auto columns = live_channels(channels, mask, node.inputs[0]);
    if (layer.bias.size() != rows.size() || layer.weights != taps * columns.size()) {
      return complain(
          ErrorCode::kMismatch,
          fmt::format("has {} channels of {} weights; the mask leaves {} of {}", layer.bias.size(),
                      layer.weights, rows.size(), taps * columns.size()));
    }
    auto value = layer.values.begin();
    for (std::size_t n = 0; n < rows.size(); ++n) {
      conv.bias[rows[n]] = layer.bias[n];
      conv.scale[rows[n]] = layer.scale[n];
      for (std::size_t t = 0; t < taps; ++t) {
        for (const std::size_t c : columns)
          conv.weights[(rows[n] * taps + t) * depth + c] = *value++;
      }
    }
    ir::settle_reads(conv);
  }
  if (const Status status = ir::verify(out); !status) {
    Diagnostic error = status.error();
    error.place = place + ": " + error.place;
    return error;
  }
  return out;
}

std::vector<std::uint8_t> serialise(const Patch& patch) {
  ByteWriter out;
  for (const char c : kMagic) out.put(c);
  out.put(kVersion);
  out.put(patch.fingerprint);
  out.put(patch.mask);
  out.put_string(patch.model);
  out.put(static_cast<std::uint64_t>(patch.layers.size()));
  for (const Patch::Layer& layer : patch.layers) {
    out.put_string(layer.name);
    out.put(static_cast<std::uint32_t>(layer.bias.size()));
    out.put(layer.weights);
    out.put_raw(raw(layer.values));
    out.put_raw(raw(layer.bias));
    out.put_raw(raw(layer.scale));
  }
  out.put(fnv1a(out.bytes()));
  return out.take();
}

Result<Patch> parse_patch(std::span<const std::uint8_t> bytes, const std::string& place) {
  if (bytes.size() < sizeof(kMagic) ||
      !std::equal(std::begin(kMagic), std::end(kMagic), bytes.begin()))
    return fail(ErrorCode::kMalformed, "no patch: it does not begin with `ESPPATCH`", place);
  ByteReader in(bytes);
  (void)in.get_raw(sizeof(kMagic));
  if (const Status status = check_version(in, kVersion, place); !status) return status.error();
  Patch patch;
  patch.fingerprint = in.get<std::uint64_t>();
  patch.mask = in.get<std::uint64_t>();
  patch.model = in.get_string();
  patch.layers.resize(in.get_count(16));
  for (Patch::Layer& layer : patch.layers) {
    layer.name = in.get_string();
    const auto channels = in.get<std::uint32_t>();
    layer.weights = in.get<std::uint32_t>();
    layer.values = get_values<std::int8_t>(in, std::uint64_t{channels} * layer.weights);
    layer.bias = get_values<std::int32_t>(in, channels);
    layer.scale = get_values<float>(in, channels);
    if (!in.ok()) break;
  }
  if (const Status status = check_end(in, bytes, place); !status) return status.error();
  return patch;
}

Result<Patch> load_patch(const std::string& path) {
  const auto text = read_file(path);
  if (!text) return text.error();
  return parse_patch({reinterpret_cast<const std::uint8_t*>(text->data()), text->size()}, path);
}

}  // namespace espalier::masks
