#include "flows/user_stream.hpp"

#include <fmt/format.h>

#include <sstream>

#include "flows/images.hpp"
#include "base/numbers.hpp"
#include "base/whole_file.hpp"

namespace espalier::flows {

Result<UserStream> UserStream::open(const ir::QuantGraph& graph, const std::string& path,
                                    const std::string& labels, const Listener& listener) {
  auto set =
      open_images(path, graph.tensors[static_cast<std::size_t>(graph.input)].shape, listener);
  if (!set) return set.error();
  UserStream stream(graph, std::move(*set));
  stream.predicted_ = labels == "predicted";
  if (stream.predicted_) return stream;
  if (labels != "given") {
    if (const Status s = stream.read_labels(path, labels); !s) return s.error();
    return stream;
  }
  if (!stream.set_.has_labels())
    return fail(ErrorCode::kUsage, "has no labels; take --labels predicted, or a file of labels",
                path);
  for (std::size_t i = 0; i < stream.size(); ++i) stream.labels_.push_back(stream.set_.label(i));
  return stream;
}

Status UserStream::read_labels(const std::string& images, const std::string& path) {
  const int outputs = graph_->tensors[static_cast<std::size_t>(graph_->output)].shape.c;
  const auto text = read_file(path);
  if (!text) return text.error();
  std::istringstream in(*text);
  std::string line;
  while (std::getline(in, line)) {
    const auto value = parse_whole(line);
    const std::string place = fmt::format("{}:{}", path, labels_.size() + 1);
    if (!value || *value >= static_cast<std::uint64_t>(outputs)) {
      return fail(ErrorCode::kMalformed,
                  fmt::format("`{}` is no class; the model has {}, from 0 on", line, outputs),
                  place);
    }
    const std::size_t i = labels_.size();
    labels_.push_back(static_cast<int>(*value));
    if (i < set_.size() && set_.has_labels() && set_.label(i) != labels_[i]) {
      return fail(ErrorCode::kMismatch,
                  fmt::format("says {}; {} says {}", labels_[i], set_.name(i), set_.label(i)),
                  place);
    }
  }
  if (labels_.size() != set_.size()) {
    return fail(ErrorCode::kMismatch,
                fmt::format("has {} labels; {} has {} images", labels_.size(), images, set_.size()),
                path);
  }
  return {};
}

Result<std::vector<std::int8_t>> UserStream::load(std::size_t first, std::size_t count) const {
  std::vector<std::int8_t> inputs;
  for (std::size_t i = first; i < first + count; ++i) {
    const auto input = load_input(set_, *graph_, i);
    if (!input) return input.error();
    inputs.insert(inputs.end(), input->begin(), input->end());
  }
  return inputs;
}

}  // namespace espalier::flows
