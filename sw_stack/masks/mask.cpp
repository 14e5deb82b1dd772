#include "masks/mask.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "masks/by_name.hpp"
#include "base/integers.hpp"

namespace espalier::masks {
namespace {

std::string place_of(const std::string& file, const std::string& tensor) {
  return fmt::format("{}: tensor '{}'", file, tensor);
}

}  // namespace

Mask all_live(const Channels& channels) { return {std::vector<bool>(channels.classes(), true)}; }

ir::ChannelMask by_tensor(const Channels& channels, const Mask& mask) {
  ir::ChannelMask out;
  for (const std::vector<int>& classes : channels.of_tensor) {
    std::vector<bool>& live = out.emplace_back();
    for (const int c : classes) live.push_back(mask.live[index(c)]);
  }
  return out;
}

MaskFile to_file(const ir::QuantGraph& graph, const Channels& channels, const Mask& mask,
                 Known known) {
  MaskFile file{graph.name, fingerprint(graph, known), {}};
  std::vector<bool> told(channels.classes(), false);
  for (const ir::QuantNode& node : graph.nodes) {
    const std::vector<int>& classes = channels.of_tensor[index(node.output)];
    const bool news = std::ranges::any_of(
        classes, [&](int c) { return channels.prunable[index(c)] && !told[index(c)]; });
    if (!news) continue;
    MaskFile::Entry entry{graph.tensors[index(node.output)].name, node.name, {}};
    for (const int c : classes) {
      told[index(c)] = true;
      entry.live.push_back(mask.live[index(c)]);
    }
    file.entries.push_back(std::move(entry));
  }
  return file;
}

Result<Mask> from_file(const MaskFile& file, const ir::QuantGraph& graph, const Channels& channels,
                       const std::string& place, Known known) {
  const auto model = same_model(file.fingerprint, graph, place, known);
  if (!model) return model.error();
  constexpr int kTwice = -1;
  std::map<std::string, int> names;
  for (std::size_t t = 0; t < graph.tensors.size(); ++t) {
    const auto [at, first] = names.emplace(graph.tensors[t].name, static_cast<int>(t));
    if (!first) at->second = kTwice;
  }
  Mask mask = all_live(channels);
  std::vector<const std::string*> said_by(channels.classes(), nullptr);
  for (const MaskFile::Entry& entry : file.entries) {
    const auto complain = [&](ErrorCode code, std::string message) {
      return fail(code, std::move(message), place_of(place, entry.tensor));
    };
    const auto found = names.find(entry.tensor);
    if (found == names.end())
      return complain(ErrorCode::kMalformed, "the model has no such tensor");
    if (found->second == kTwice)
      return complain(ErrorCode::kMalformed, "the model has two tensors of this name");
    const std::vector<int>& classes = channels.of_tensor[index(found->second)];
    if (entry.live.size() != classes.size()) {
      return complain(ErrorCode::kMismatch, fmt::format("has {} channels; the model's has {}",
                                                        entry.live.size(), classes.size()));
    }
    for (std::size_t c = 0; c < classes.size(); ++c) {
      const std::size_t id = index(classes[c]);
      if (!channels.prunable[id] && !entry.live[c]) {
        return complain(ErrorCode::kRange,
                        fmt::format("channel {} is the network's input or output, and is masked; "
                                    "these must stay",
                                    c));
      }
      if (said_by[id] != nullptr && mask.live[id] != entry.live[c]) {
        return complain(
            ErrorCode::kRange,
            fmt::format("channel {} {}; tensor '{}', with which it is added, says otherwise", c,
                        entry.live[c] ? "stays" : "is masked", *said_by[id]));
      }
      said_by[id] = &entry.tensor;
      mask.live[id] = entry.live[c];
    }
  }
  return mask;
}

}  // namespace espalier::masks
